//! Texts that wait for their gate, and parcels that overtake.

use super::super::server::{Act, Encryption, Server};
use super::tests::{Is, kind, once, parcel, patient, relay, small};
use super::*;
use std::sync::Mutex;
use tokio::{sync::Semaphore, task::JoinSet};

/// Opens as often as it is let, and notes how far the server was then.
struct Watched<'a> {
    server: &'a Server,
    lets: bool,
    asked: Mutex<Vec<String>>,
}

impl<'a> Watched<'a> {
    fn new(server: &'a Server, lets: bool) -> Self {
        Self { server, lets, asked: Mutex::default() }
    }
}

impl Gate for Watched<'_> {
    fn opens(&self) -> Handing<'_, bool> {
        Box::pin(async {
            self.asked.lock().unwrap().extend(self.server.commands().pop());
            self.lets
        })
    }
}

#[tokio::test]
async fn a_gate_is_asked_once_the_server_waits_for_the_text() {
    let server = Server::start(Encryption::None, |_, _| None).await;
    let gate = Watched::new(&server, true);
    let outcome = relay(&server, patient()).hand_over_in_turn(&small(), Turn::default(), &gate).await;
    assert_eq!(kind(&outcome.unwrap()), Is::Accepted);
    assert_eq!(*gate.asked.lock().unwrap(), ["DATA"]);
    assert_eq!(server.messages().len(), 1);
}

#[tokio::test]
async fn nothing_goes_through_a_gate_that_is_shut_and_the_next_parcel_finds_a_line() {
    let server = Server::start(Encryption::None, |_, _| None).await;
    let relay = relay(&server, patient());
    let gate = Watched::new(&server, false);
    assert_eq!(relay.hand_over_in_turn(&small(), Turn::default(), &gate).await, Err(Shut));
    assert_eq!(server.messages().len(), 0);
    assert_eq!(kind(&relay.hand_over(&small()).await), Is::Accepted);
    assert_eq!((server.messages().len(), server.connections()), (1, 2), "an empty text would be a mail");
}

#[tokio::test]
async fn who_is_refused_asks_no_gate() {
    for step in ["MAIL", "RCPT", "DATA"] {
        let server = Server::start(Encryption::None, once(step, Act::Say("550 5.7.1 no\r\n"))).await;
        let gate = Watched::new(&server, true);
        let outcome = relay(&server, patient()).hand_over_in_turn(&small(), Turn::default(), &gate).await;
        assert_eq!(kind(&outcome.unwrap()), Is::Refused, "{step}");
        assert_eq!(*gate.asked.lock().unwrap(), [""; 0], "{step}");
    }
}

/// Opens when there is a place.
struct Places(Arc<Semaphore>);

impl Gate for Places {
    fn opens(&self) -> Handing<'_, bool> {
        Box::pin(async {
            self.0.acquire().await.unwrap().forget();
            true
        })
    }
}

#[tokio::test]
async fn who_is_awaited_overtakes_all_but_who_was_announced() {
    let server = Server::start(Encryption::None, |_, _| None).await;
    let relay = Arc::new(relay(&server, SmtpOptions { connections: 1, ..patient() }));
    let places = Arc::new(Semaphore::new(0));
    let mut tasks = JoinSet::new();
    for (n, urgent) in [(0, false), (1, false), (2, false), (3, true), (4, true)] {
        let (relay, places) = (relay.clone(), places.clone());
        let turn = Turn { urgent, ..Turn::default() };
        tasks.spawn(async move {
            let parcel = parcel(&format!("{n}"));
            kind(&relay.hand_over_in_turn(&parcel, turn, &Places(places)).await.unwrap())
        });
        // The first waits at its gate, the others behind it.
        while n == 0 && server.commands().len() < 4 {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
    }
    places.add_permits(5);
    assert_eq!(tasks.join_all().await, [Is::Accepted; 5]);
    let messages: Vec<String> = server
        .messages()
        .into_iter()
        .map(|text| String::from_utf8(text).unwrap().trim().to_owned())
        .collect();
    assert_eq!(messages, ["0", "3", "4", "1", "2"]);
}
