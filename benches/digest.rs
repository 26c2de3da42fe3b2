//! What a digest costs where a newspaper is large: 20,000 readers, 20 articles.
//!
//! `cargo bench --bench digest`. Both engines in one run; read the ratios.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark prints, waits, and may fall over"
)]

#[path = "../tests/service/newsroom.rs"]
#[expect(dead_code, unused_macros, unused_imports, reason = "made for the stories, which use all of it")]
mod newsroom;
#[path = "../tests/service/postgres.rs"]
mod postgres;

use bantin::domain::{Plan, Slot, Slug};
use bantin::store::{Cut, CutAnswer, Cutting, Planned, Settlement, Turn};
use newsroom::{Newsroom, at, draft};
use sqlx::Executor as _;
use std::time::Instant;

/// A confirmed reader of the feed of everything, so many times.
const READERS: [&str; 2] = [
    "INSERT INTO subscribers (address, address_key, state, language, created_at, confirmed_at)
     WITH RECURSIVE reader (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM reader WHERE i < 20000)
     SELECT 'r' || i || '@bao.example', 'r' || i || '@bao.example', 'active', 'vi', 0, 0 FROM reader",
    "INSERT INTO subscriptions (subscriber, feed, frequency, cursor, started_at)
     SELECT s.n, f.n, 'digest:sang', 0, 0 FROM subscribers s JOIN feeds f ON f.key = 'all'",
];

async fn twenty_articles_to_twenty_thousand(engine: &str, newsroom: Newsroom) {
    let plan = Plan::from(Slug::parse("sang").unwrap());
    let planned = Planned { plan: plan.clone(), schedule: String::new(), next: Slot(at("06:00:00")) };
    newsroom.register_plans(&[planned]).await.unwrap();
    let publish = async |name: &str| {
        let drafts: Vec<_> =
            (0..20).map(|n| draft(&format!("{name}{n}"), &format!("{name} {n}"), &["A"])).collect();
        newsroom.accept(&drafts, true, at("05:00:00"), &newsroom.chance).await.unwrap();
    };
    publish("một").await;
    let mut connection = newsroom.raw().await;
    for statement in READERS {
        connection.execute(statement).await.unwrap();
    }
    let mut told = Vec::new();
    for (round, slot) in ["06:00:00", "07:00:00"].into_iter().enumerate() {
        let start = Instant::now();
        let answer = {
            let (slot, zone) = (Slot(at(slot)), chrono_tz::Tz::UTC);
            let cutting = Cutting { plan: &plan, slot, slots: 1, turn: Turn::ByHand, zone };
            newsroom.cut_edition(&cutting, slot.0).await.unwrap()
        };
        told.push(format!("cut {round}: {:?}", start.elapsed()));
        assert!(
            matches!(answer, CutAnswer::Made(Cut { articles: 20, deliveries: 20_000, .. })),
            "{answer:?}"
        );
        publish("hai").await;
    }
    let start = Instant::now();
    let mut settled = 0;
    while settled < 20_000 {
        let batch = newsroom.claim_deliveries("w", 500, at("09:00:00"), at("08:00:00")).await.unwrap();
        let accepted: Vec<_> =
            batch.iter().map(|d| (d.id, Settlement::Accepted("250 2.0.0 ok".into()))).collect();
        newsroom.settle_deliveries("w", &accepted, at("08:01:00")).await.unwrap();
        settled += batch.len();
    }
    told.push(format!("20,000 claimed and settled by 500: {:?}", start.elapsed()));
    let start = Instant::now();
    for _ in 0..200 {
        let one = newsroom.claim_deliveries("w", 1, at("09:00:00"), at("08:00:00")).await.unwrap();
        let accepted = Settlement::Accepted("250 2.0.0 ok".into());
        assert!(newsroom.settle_delivery(one[0].id, "w", &accepted, at("08:01:00")).await.unwrap());
    }
    told.push(format!("200 claimed and settled one by one: {:?}", start.elapsed()));
    println!("{engine}: {}", told.join("; "));
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        twenty_articles_to_twenty_thousand("SQLite", Newsroom::on_sqlite().await).await;
        twenty_articles_to_twenty_thousand("PostgreSQL", Newsroom::on_postgres().await).await;
    });
}
