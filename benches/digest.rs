//! What a digest costs where a newspaper is large: 100,000 readers, each with 3 of 20 sections, at
//! their own hour, on two clocks; 40 articles in two sections each. And what it costs to send it.
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

use bantin::domain::{Plan, Slot};
use bantin::store::{CutAnswer, Cutting, Planned, Settlement, Turn};
use chrono_tz::Tz;
use newsroom::{Newsroom, at, draft};
use sqlx::{AssertSqlSafe, Executor as _};
use std::time::Instant;

const SECTIONS: usize = 20;

/// Confirmed readers, every other one in London, every tenth with a cap; three sections each.
fn readers(count: usize) -> [String; 2] {
    let reader = format!(
        "WITH RECURSIVE reader (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM reader WHERE i < {count})"
    );
    [
        format!(
            "INSERT INTO subscribers (address, address_key, state, language, created_at, confirmed_at, time_zone, daily_cap)
             {reader} SELECT 'r' || i || '@bao.example', 'r' || i || '@bao.example', 'active', 'vi', 0, 0,
             CASE i % 2 WHEN 0 THEN 'Europe/London' END, CASE i % 10 WHEN 0 THEN 3 END FROM reader"
        ),
        "INSERT INTO subscriptions (subscriber, feed, frequency, cursor, started_at, plan)
         SELECT s.n, f.n, 'daily:06:30', 0, 0, p.n FROM subscribers s
         JOIN (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2) k ON 1 = 1
         JOIN categories c ON c.slug = 'c' || ((s.n * 7 + k.k * 5) % 20)
         JOIN feeds f ON f.key = 'category:' || c.id
         JOIN digests p ON p.slug = CASE WHEN s.time_zone IS NULL THEN 'daily:06:30' ELSE 'daily:06:30@Europe/London' END"
            .to_owned(),
    ]
}

/// Resident memory of this process, in MB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or_default() / 1_024
}

async fn selection(engine: &str, newsroom: &Newsroom, count: usize) {
    let plans: [Plan; 2] = ["daily:06:30", "daily:06:30@Europe/London"].map(|name| name.parse().unwrap());
    let planned =
        plans.clone().map(|plan| Planned { plan, schedule: "x".into(), next: Slot(at("06:00:00")) });
    newsroom.register_plans(&planned).await.unwrap();
    let publish = async |name: &str| {
        let drafts: Vec<_> = (0..40)
            .map(|n| {
                let sections = [format!("c{}", n % SECTIONS), format!("c{}", (n * 3 + 1) % SECTIONS)];
                draft(&format!("{name}{n}"), &format!("{name} {n}"), &sections.each_ref().map(String::as_str))
            })
            .collect();
        newsroom.accept(&drafts, true, at("05:00:00"), &newsroom.chance).await.unwrap();
    };
    publish("một").await;
    let mut connection = newsroom.raw().await;
    for statement in readers(count) {
        connection.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    if engine == "PostgreSQL" {
        connection.execute("ANALYZE").await.unwrap();
    }
    for (round, slot) in ["06:00:00", "07:00:00"].into_iter().enumerate() {
        let (start, before) = (Instant::now(), memory());
        let mut deliveries = 0;
        for plan in &plans {
            let cutting = Cutting {
                plan,
                slot: Slot(at(slot)),
                slots: 1,
                turn: Turn::ByHand,
                zone: Tz::Asia__Ho_Chi_Minh,
                spread: std::time::Duration::ZERO,
            };
            let answer = newsroom.cut_edition(&cutting, at(slot)).await.unwrap();
            let CutAnswer::Made(cut) = answer else { panic!("{answer:?}") };
            deliveries += cut.deliveries;
        }
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{engine}, {count} readers, round {round}: {deliveries} deliveries in {seconds:.2} s, {:.0} readers/s, \
             {} MB resident before, {} after",
            f64::from(u32::try_from(count).unwrap()) / seconds,
            before,
            memory()
        );
        publish("hai").await;
    }
}

async fn sending(engine: &str, newsroom: &Newsroom) {
    let start = Instant::now();
    let mut settled = 0;
    while settled < 8_000 {
        let batch = newsroom.claim_deliveries("w", 500, at("09:00:00"), at("08:00:00")).await.unwrap();
        let accepted: Vec<_> =
            batch.iter().map(|d| (d.id, Settlement::Accepted("250 2.0.0 ok".into()))).collect();
        newsroom.settle_deliveries("w", &accepted, at("08:01:00")).await.unwrap();
        settled += batch.len();
    }
    println!("{engine}: 8,000 claimed and settled by 500: {:?}", start.elapsed());
    let start = Instant::now();
    for _ in 0..200 {
        let one = newsroom.claim_deliveries("w", 1, at("09:00:00"), at("08:00:00")).await.unwrap();
        let accepted = Settlement::Accepted("250 2.0.0 ok".into());
        assert!(newsroom.settle_delivery(one[0].id, "w", &accepted, at("08:01:00")).await.unwrap());
    }
    println!("{engine}: 200 claimed and settled one by one: {:?}", start.elapsed());
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for count in [10_000, 100_000] {
            let newsroom = Newsroom::on_sqlite().await;
            selection("SQLite", &newsroom, count).await;
            sending("SQLite", &newsroom).await;
        }
        for count in [10_000, 100_000] {
            let newsroom = Newsroom::on_postgres().await;
            selection("PostgreSQL", &newsroom, count).await;
            sending("PostgreSQL", &newsroom).await;
        }
    });
}
