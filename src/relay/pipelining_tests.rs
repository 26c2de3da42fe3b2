//! Commands in groups (RFC 2920), and connections that go from hand to hand.

use super::super::server::{Act, Encryption, Server};
use super::tests::{Is, impatient, kind, parcel, patient, relay, small};
use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

const MANY: usize = 20;

/// Does `act` at the nth time of a step, and what is right else.
fn nth(
    step: &'static str,
    n: usize,
    act: Act,
) -> impl Fn(&str, usize) -> Option<Act> + Send + Sync + 'static {
    let times = AtomicUsize::new(0);
    move |at, _| (at == step && times.fetch_add(1, Ordering::SeqCst) + 1 == n).then_some(act)
}

/// Hands so many over at once.
async fn hand_over_many(relay: SmtpRelay) -> Vec<Is> {
    let relay = Arc::new(relay);
    let mut tasks = JoinSet::new();
    for n in 0..MANY {
        let relay = relay.clone();
        tasks.spawn(
            async move { kind(&relay.hand_over(&parcel(&format!("Subject: {n}\r\n\r\ny\r\n"))).await) },
        );
    }
    tasks.join_all().await
}

fn one_connection(options: SmtpOptions) -> SmtpOptions {
    SmtpOptions { connections: 1, ..options }
}

fn count(outcomes: &[Is], of: Is) -> usize {
    outcomes.iter().filter(|outcome| **outcome == of).count()
}

#[tokio::test]
async fn a_parcel_takes_one_round_trip_where_another_waits() {
    let server = Server::start(Encryption::None, |_, _| None).await;
    let outcomes = hand_over_many(relay(&server, one_connection(patient()))).await;
    assert_eq!(count(&outcomes, Is::Accepted), MANY);
    // EHLO, the first group, and a text each.
    assert_eq!((server.waits(), server.connections()), (MANY + 2, 1));
    let mut messages = server.messages();
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), MANY);
}

#[tokio::test]
async fn a_refusal_in_between_costs_no_round_trip_and_nobody_else() {
    let server = Server::start(Encryption::None, nth("RCPT", 5, Act::Say("550 5.1.1 unknown\r\n"))).await;
    let outcomes = hand_over_many(relay(&server, one_connection(patient()))).await;
    assert_eq!((count(&outcomes, Is::Accepted), count(&outcomes, Is::Refused)), (MANY - 1, 1));
    // RSET went with the group behind it instead of a text.
    assert_eq!((server.waits(), server.connections()), (MANY + 2, 1));
    assert_eq!(server.commands().iter().filter(|command| *command == "RSET").count(), 1);
}

#[tokio::test]
async fn never_more_than_one_parcel_of_a_connection_is_in_doubt() {
    for (step, act, due) in [
        ("DOT", Act::Close, Is::Uncertain),
        ("DOT", Act::Silence, Is::Uncertain),
        ("DOT", Act::Say("what?\r\n"), Is::Uncertain),
        ("DOT", Act::Say("421 4.3.2 going\r\n"), Is::Deferred),
        ("DOT", Act::Say("451 4.3.0 later\r\n"), Is::Deferred),
        ("DOT", Act::Say("554 5.7.1 spam\r\n"), Is::Refused),
        ("RCPT", Act::Silence, Is::Deferred),
        ("DATA", Act::Say("451 4.3.0 later\r\n"), Is::Deferred),
        ("DATA", Act::Say("what?\r\n"), Is::Deferred),
    ] {
        let server = Server::start(Encryption::None, nth(step, 7, act)).await;
        let outcomes = hand_over_many(relay(&server, one_connection(impatient()))).await;
        assert_eq!((count(&outcomes, Is::Accepted), count(&outcomes, due)), (MANY - 1, 1), "{step} {act:?}");
        let mut messages = server.messages();
        let taken = messages.len();
        messages.sort();
        messages.dedup();
        assert_eq!(messages.len(), taken, "{step} {act:?}: a message came twice");
    }
}

#[tokio::test]
async fn a_server_that_ends_the_line_between_two_parcels_costs_nobody_anything() {
    // As servers do that take so many messages a connection.
    for act in [Act::Say("421 4.7.0 too many messages\r\n"), Act::Close] {
        for step in ["MAIL", "RCPT"] {
            let server = Server::start(Encryption::None, nth(step, 6, act)).await;
            let outcomes = hand_over_many(relay(&server, one_connection(patient()))).await;
            let due = if step == "RCPT" && matches!(act, Act::Say(_)) { MANY - 1 } else { MANY };
            assert_eq!(count(&outcomes, Is::Accepted), due, "{step} {act:?}");
        }
    }
}

#[tokio::test]
async fn a_text_that_nobody_is_to_get_is_a_lone_dot() {
    for step in ["MAIL", "RCPT"] {
        let first = super::tests::once(step, Act::Say("550 5.1.1 unknown\r\n"));
        let strange = super::tests::once("DATA", Act::Say("354 go on\r\n"));
        let server = Server::start(Encryption::None, move |at, number| {
            first(at, number).or_else(|| strange(at, number))
        })
        .await;
        let relay = relay(&server, patient());
        assert_eq!(kind(&relay.hand_over(&small()).await), Is::Refused, "{step}");
        assert_eq!(server.messages(), [b""], "RFC 2920 §3.1");
        assert_eq!(kind(&relay.hand_over(&small()).await), Is::Accepted);
        assert_eq!((server.messages().len(), server.connections()), (2, 1));
    }
}

#[tokio::test]
async fn an_empty_text_goes_to_nobody_who_was_taken() {
    // MAIL refused and yet RCPT and DATA taken: a dot would mail the reader nothing.
    let script = |at: &str, number: usize| match at {
        "MAIL" if number == 1 => Some(Act::Say("451 4.3.0 later\r\n")),
        "RCPT" if number == 1 => Some(Act::Say("250 ok\r\n")),
        _ => None,
    };
    let server = Server::start(Encryption::None, script).await;
    let relay = relay(&server, patient());
    assert_eq!(kind(&relay.hand_over(&small()).await), Is::Deferred);
    assert_eq!(server.messages().len(), 0);
    assert_eq!(kind(&relay.hand_over(&small()).await), Is::Accepted);
    assert_eq!((server.messages().len(), server.connections()), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_half_way_holds_nobody_up() {
    let slow = Server::start(Encryption::None, |_, _| None).await;
    let relay = Arc::new(relay(&slow, SmtpOptions { connections: 2, ..patient() }));
    for round in 0..40_u64 {
        let mut tasks = JoinSet::new();
        for n in 0..8_u64 {
            let relay = relay.clone();
            tasks.spawn(async move {
                let patience = if n % 2 == 0 {
                    Duration::from_micros(round * 40 + n * 30)
                } else {
                    Duration::from_secs(20)
                };
                tokio::time::timeout(patience, relay.hand_over(&small())).await.map(|outcome| kind(&outcome))
            });
        }
        let outcomes = tasks.join_all().await;
        assert!(outcomes.iter().flatten().all(|outcome| *outcome == Is::Accepted), "{outcomes:?}");
        assert!(outcomes.iter().flatten().count() >= 4, "round {round}: a patient one had no answer");
    }
    // Two, and beside them those of a round that were given up: the server sees a moment later that
    // they are closed.
    let peak = slow.log.lock().unwrap().peak;
    assert!(peak <= 2 + 4, "{peak} at once");
}
