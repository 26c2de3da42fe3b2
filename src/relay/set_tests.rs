use super::super::{
    Rehearsal,
    answer::Answer,
    fault::{Fault, Step},
    gate::Unguarded,
};
use super::*;
use crate::domain::{Clock, StatusCode};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Instant {
        crate::domain::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl Hand {
    fn forward(&self, millis: i64) {
        self.0.fetch_add(millis * 1_000, Ordering::SeqCst);
    }
}

struct Never;

impl Chance for Never {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// A relay that can be taken down, and how many parcels it heard of.
#[derive(Clone, Default)]
struct Server {
    is_down: Arc<std::sync::atomic::AtomicBool>,
    says: Arc<Mutex<Option<Outcome>>>,
    heard: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn relay(&self) -> Arc<dyn Relay> {
        let server = self.clone();
        Arc::new(Rehearsal::new(move |_| {
            server.asked.fetch_add(1, Ordering::SeqCst);
            if server.is_down.load(Ordering::SeqCst) {
                return Outcome::Untried("no connection".into());
            }
            server.heard.fetch_add(1, Ordering::SeqCst);
            let said = server.says.lock().unwrap().clone();
            said.unwrap_or_else(|| Outcome::Accepted("250 2.0.0 ok".into()))
        }))
    }

    fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    fn says(&self, outcome: Outcome) {
        *self.says.lock().unwrap() = Some(outcome);
    }
}

struct Stage {
    clock: Arc<Hand>,
    servers: Vec<Server>,
    set: RelaySet,
}

/// Relays by weight and rate.
fn stage(relays: &[(u32, Option<&str>)], rates: ProviderRates) -> Stage {
    let clock = Arc::<Hand>::default();
    let servers: Vec<Server> = relays.iter().map(|_| Server::default()).collect();
    let members = relays.iter().zip(&servers).enumerate().map(|(at, ((weight, rate), server))| Member {
        name: format!("relay-{at}"),
        relay: server.relay(),
        weight: *weight,
        rate: rate.map(|rate| rate.parse().unwrap()),
    });
    let set = RelaySet::new(members.collect(), rates, clock.clone(), Arc::new(Never));
    Stage { clock, servers, set }
}

fn parcel(to: &str) -> Parcel {
    Parcel {
        envelope_from: "tin@bao.vn".parse().unwrap(),
        to: to.parse().unwrap(),
        delivery: None,
        message_id: "<1@bao.vn>".into(),
        bytes: b"Subject: x\r\n\r\ny\r\n".to_vec(),
    }
}

impl Stage {
    /// Hands a letter over if it is its turn.
    async fn send(&self, to: &str, urgent: bool) -> Result<Outcome, Wait> {
        let parcel = parcel(to);
        let turn = self.set.turn(&parcel.to, urgent)?;
        Ok(self.set.hand_over_in_turn(&parcel, turn, &Unguarded).await.unwrap())
    }

    async fn accepted(&self, to: &str) -> usize {
        let mut accepted = 0;
        while let Ok(Outcome::Accepted(_)) = self.send(to, false).await {
            accepted += 1;
            assert!(accepted < 10_000, "nothing bounds it");
        }
        accepted
    }
}

fn said(code: u16, status: &str, words: &str) -> Reply {
    Reply { code: Some(code), status: status.parse::<StatusCode>().ok(), words: words.to_owned() }
}

#[tokio::test]
async fn letters_are_shared_out_by_weight() {
    let stage = stage(&[(1, None), (3, None)], ProviderRates::default());
    for _ in 0..400 {
        stage.send("an@doc.vn", false).await.unwrap();
    }
    assert_eq!((stage.servers[0].heard(), stage.servers[1].heard()), (100, 300));
}

#[tokio::test]
async fn past_a_relay_that_is_down_and_back_to_it_by_one_letter() {
    let stage = stage(&[(1, None), (1, None)], ProviderRates::default());
    stage.servers[0].down(true);
    for _ in 0..20 {
        assert!(matches!(stage.send("an@doc.vn", false).await, Ok(Outcome::Accepted(_))));
    }
    assert_eq!((stage.servers[0].asked(), stage.servers[1].heard()), (1, 20), "it is asked once");
    stage.clock.forward(6_000);
    for _ in 0..20 {
        assert!(matches!(stage.send("an@doc.vn", false).await, Ok(Outcome::Accepted(_))));
    }
    assert_eq!(stage.servers[0].asked(), 2, "after its rest one letter tries");
    assert!(stage.set.standings()[0].rests);
    stage.servers[0].down(false);
    stage.clock.forward(20_000);
    for _ in 0..20 {
        stage.send("an@doc.vn", false).await.unwrap();
    }
    assert!(stage.servers[0].heard() >= 10, "{}", stage.servers[0].heard());
    assert!(!stage.set.standings()[0].rests);
}

#[tokio::test]
async fn where_all_are_down_letters_wait_and_are_not_told_apart() {
    let stage = stage(&[(1, None), (1, None)], ProviderRates::default());
    stage.servers.iter().for_each(|server| server.down(true));
    assert!(matches!(stage.send("an@doc.vn", false).await, Ok(Outcome::Untried(_))));
    assert_eq!(stage.servers.iter().map(Server::asked).sum::<usize>(), 2, "each was tried");
    let wait = stage.send("an@doc.vn", true).await.unwrap_err();
    assert!(wait.is_down && !wait.provider_alone);
    assert_eq!(stage.set.rests_until(), Some(wait.until));
    assert_eq!(wait.until, stage.clock.now() + Span::seconds(5));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_says_nothing_of_the_letter() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("smtp://{closed}").parse().unwrap();
    let relay = super::super::open(&url, super::super::SmtpOptions::default()).unwrap();
    assert!(matches!(relay.hand_over(&parcel("an@doc.vn")).await, Outcome::Untried(_)));
}

#[tokio::test]
async fn a_letter_that_may_have_been_taken_goes_to_no_other_relay() {
    let stage = stage(&[(1, None), (1, None)], ProviderRates::default());
    stage.servers[0].says(Outcome::Uncertain("the line broke at the final dot".into()));
    assert!(matches!(stage.send("an@doc.vn", false).await, Ok(Outcome::Uncertain(_))));
    assert_eq!((stage.servers[0].heard(), stage.servers[1].heard()), (1, 0));
}

#[tokio::test]
async fn no_relay_gets_more_than_its_rate_and_a_confirmation_finds_room() {
    let stage = stage(&[(1, Some("20/minute")), (1, Some("10/second"))], ProviderRates::default());
    assert_eq!(stage.accepted("an@doc.vn").await, 11);
    assert_eq!((stage.servers[0].heard(), stage.servers[1].heard()), (1, 10));
    assert!(matches!(stage.send("an@doc.vn", true).await, Ok(Outcome::Accepted(_))));
    stage.clock.forward(60_000);
    for _ in 0..60 {
        stage.accepted("an@doc.vn").await;
        stage.clock.forward(1_000);
    }
    assert!(stage.servers[0].heard() <= 2 + 40, "{}", stage.servers[0].heard());
    assert!(stage.servers[0].heard() >= 20, "{}", stage.servers[0].heard());
}

#[tokio::test]
async fn a_slow_provider_holds_up_no_other() {
    let rates = ProviderRates { each: None, some: vec![("slow.vn".into(), "10/second".parse().unwrap())] };
    let stage = stage(&[(1, None)], rates);
    assert_eq!(stage.accepted("an@mail.slow.vn").await, 10);
    let wait = stage.send("an@mail.slow.vn", false).await.unwrap_err();
    assert!(wait.provider_alone);
    assert!(matches!(stage.send("an@quick.vn", false).await, Ok(Outcome::Accepted(_))));
    let to: EmailAddress = "an@mail.slow.vn".parse().unwrap();
    let mut turns = Vec::new();
    for _ in 0..20_000 {
        turns.extend(stage.set.turn_of_the_queue(&to));
    }
    assert!(turns.windows(2).all(|pair| pair[0] <= pair[1]));
    assert_eq!(turns[10] - turns[0], Span::seconds(1), "one after the other");
    assert_eq!(turns.last(), Some(&(stage.clock.now() + HORIZON)), "not further than one can foresee");
}

#[tokio::test]
async fn who_asks_for_less_gets_less_and_only_he() {
    let stage = stage(&[(1, None), (1, None)], ProviderRates::default());
    // A reader's server, through the relay.
    let told = said(451, "4.7.28", "451 4.7.28 unusual rate (at RCPT TO)");
    stage.servers.iter().for_each(|server| server.says(Outcome::Deferred(told.clone())));
    stage.send("an@slow.vn", false).await.unwrap();
    assert!(stage.send("an@slow.vn", false).await.unwrap_err().provider_alone);
    let slow: Vec<Standing> = stage.set.standings().into_iter().filter(|s| s.is_lowered).collect();
    assert_eq!(slow.iter().map(|s| (s.name.as_str(), s.is_relay)).collect::<Vec<_>>(), [("slow.vn", false)]);
    // The relay itself.
    let told = said(421, "4.7.0", "421 4.7.0 too many messages (at RCPT TO)");
    stage.servers.iter().for_each(|server| server.says(Outcome::Deferred(told.clone())));
    stage.send("an@quick.vn", false).await.unwrap();
    stage.send("an@quick.vn", false).await.unwrap();
    assert!(!stage.send("an@quick.vn", false).await.unwrap_err().provider_alone);
    assert!(stage.set.standings()[..2].iter().all(|s| s.is_relay && s.is_lowered));
    // Both recover.
    stage.servers.iter().for_each(|server| server.says(Outcome::Accepted("250 ok".into())));
    for _ in 0..3_000 {
        stage.clock.forward(1_000);
        let _ = stage.send("an@slow.vn", false).await;
    }
    assert!(stage.set.standings().iter().all(|s| !s.is_lowered), "{:?}", stage.set.standings());
}

#[test]
fn where_a_server_spoke_of_the_reader_is_read_from_its_reply() {
    let fault = Fault::Said(Answer::ours(451, "4.7.28 slow down"));
    assert!(speaks_of_the_reader(&fault.told(Step::Rcpt)));
    assert!(!speaks_of_the_reader(&fault.told(Step::Mail)));
    let farewell = Fault::Said(Answer::ours(421, "bye"));
    assert!(!speaks_of_the_reader(&farewell.told(Step::Rcpt)));
}
