//! How an edition's delivery goes: how far it is, who did not get it and why, and a second chance.

use super::local;
use crate::app::App;
use crate::cli::{counted, print_json};
use crate::dispatch::{Progress, progress};
use crate::domain::{DeliveryId, EditionId, Instant};
use crate::store::Edition;
use anyhow::bail;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many failures are read at once.
const PAGE: usize = 1_000;

async fn find(app: &App, id: i64) -> anyhow::Result<Edition> {
    match app.store.edition(EditionId(id)).await? {
        Some(edition) => Ok(edition),
        None => bail!("there is no edition {id}; `bantin digest list` names the last ones"),
    }
}

/// An edition as JSON, with its progress.
pub(super) async fn as_json(app: &App, edition: &Edition, now: Instant) -> anyhow::Result<Value> {
    let Progress { letters, settled, deferred, per_minute, rest } =
        progress(&app.store, edition, now).await?;
    let counts: BTreeMap<&str, u64> = edition.counts.iter().map(|(s, n)| (s.as_str(), *n)).collect();
    let opened = app.store.opened(edition.id).await?;
    Ok(
        json!({ "edition": edition.id, "digest": edition.plan.to_string(), "slot": edition.slot.0, "slots": edition.slots, "articles": edition.articles,
        "cut": edition.cut_at, "completed": edition.completed_at, "deliveries": counts,
        "opened": app.desk.counts_opens.then_some(opened),
        "held": edition.held.as_ref().map(|hold| &hold.reason),
        "progress": { "letters": letters, "settled": settled, "deferred": deferred, "per_minute": per_minute,
            "rest_seconds": rest.map(|rest| rest.num_seconds()), "ends": rest.map(|rest| now + rest) } }),
    )
}

/// An edition in a line.
pub(super) async fn in_words(app: &App, edition: &Edition, now: Instant) -> anyhow::Result<String> {
    let counts: Vec<String> = edition.counts.iter().map(|(s, n)| format!("{} {n}", s.as_str())).collect();
    let Progress { letters, settled, per_minute, rest, .. } = progress(&app.store, edition, now).await?;
    let state = match (&edition.held, edition.completed_at, rest) {
        (Some(held), None, _) => format!("held: {}", held.reason),
        (_, Some(_), _) => "complete".to_owned(),
        (None, None, Some(rest)) => format!(
            "running: {settled} of {letters} settled, {per_minute} a minute, ends about {}",
            local(app, now + rest)
        ),
        (None, None, None) => format!("running: {settled} of {letters} settled"),
    };
    let opened = match app.store.opened(edition.id).await? {
        0 if !app.desk.counts_opens => String::new(),
        opened => format!("; about {opened} opened"),
    };
    Ok(format!(
        "edition {} of {} at {}: {}; {} ({state}){opened}",
        edition.id,
        edition.plan,
        local(app, edition.slot.0),
        counted(edition.articles, "article", "articles"),
        counts.join(", ")
    ))
}

pub(super) async fn show(app: &App, id: i64, json: bool) -> anyhow::Result<()> {
    let edition = find(app, id).await?;
    let now = app.clock.now();
    if json {
        print_json(&as_json(app, &edition, now).await?);
    } else {
        println!("{}", in_words(app, &edition, now).await?);
    }
    Ok(())
}

/// Who has not got it and why. Addresses are told only where they are asked for: what is printed ends
/// in mails and tickets.
pub(super) async fn failures(app: &App, id: i64, addresses: bool, json: bool) -> anyhow::Result<()> {
    let edition = find(app, id).await?;
    let mut behind = DeliveryId(0);
    let mut found = 0;
    loop {
        let failures = app.store.failures(edition.id, behind, PAGE).await?;
        let Some(last) = failures.last() else { break };
        behind = last.delivery;
        found += failures.len();
        for failure in failures {
            let state = failure.state.as_str();
            let address = failure.address.filter(|_| addresses).map(|address| address.to_string());
            if json {
                let mut row = json!({ "subscriber": failure.subscriber, "state": state,
                    "attempts": failure.attempts, "at": failure.at, "reply": failure.reply });
                if let Some(address) = address {
                    row["address"] = address.into();
                }
                print_json(&row);
            } else {
                let who = address.unwrap_or_else(|| format!("subscriber {}", failure.subscriber));
                println!("{who:20} {state:10} tries {:<3} {}", failure.attempts, failure.reply);
            }
        }
    }
    if found == 0 && !json {
        println!("edition {id}: nobody is known not to have got it");
    }
    Ok(())
}

/// Queues the failed ones again; the running program sends them.
pub(super) async fn resend(app: &App, id: i64, uncertain: bool, json: bool) -> anyhow::Result<()> {
    let edition = find(app, id).await?;
    let queued = app.store.resend(edition.id, uncertain, app.clock.now()).await?;
    if json {
        print_json(&json!({ "edition": edition.id, "queued": queued }));
    } else {
        println!("edition {id}: {queued} letters are queued again, each under its first Message-ID");
    }
    Ok(())
}
