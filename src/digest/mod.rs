//! Floor 3: finds due slots and cuts editions.
//!
//! What is due stands in the store: the next slot of each plan, and how far the last cut at once
//! went. Nothing is remembered here, so a tick that was missed, doubled or late changes nothing, and
//! the same question serves the first try and the recovery after a crash (reference/mail.md §5).

use crate::domain::{Calendar, Digest, Frequency, Instant, Plan, Slot};
use crate::store::{CutAnswer, Cutting, Planned, Rehearsal, Store, StoreError, Turn, Whom};
use std::time::Duration;

/// How many articles may wait for the readers who want each at once before one mail brings them
/// all: after a time in which nothing was cut, or when a newsroom publishes a pile.
const MANY: usize = 3;

/// How many waiting articles are looked at. What is beyond comes with the next look.
const LOOK_AHEAD: u32 = 1_000;

/// Makes the store know when each declared digest comes, and what a changed publication zone or a
/// changed rule of a zone does to the hours that readers chose. An unchanged schedule moves nothing,
/// however long the program was down.
pub async fn register(store: &Store, calendar: &Calendar<'_>, now: Instant) -> Result<(), StoreError> {
    let known = store.plans().await?.into_iter().filter(|planned| !planned.schedule.is_empty());
    let declared = calendar.digests.iter().map(|digest| Plan::from(digest.slug.clone()));
    let mut plans: Vec<Plan> = known.map(|planned| planned.plan).chain(declared).collect();
    plans.sort();
    plans.dedup();
    let planned: Vec<Planned> = plans.into_iter().filter_map(|plan| planned(calendar, plan, now)).collect();
    store.register_plans(&planned).await?;
    for digest in calendar.digests {
        store.set_review(&digest.slug, digest.review).await?;
    }
    Ok(())
}

/// A plan with its first slot after an instant.
fn planned(calendar: &Calendar<'_>, plan: Plan, after: Instant) -> Option<Planned> {
    let schedule = calendar.schedule(&plan)?;
    let (next, schedule) = (Slot(schedule.next_after(after)?), schedule.to_string());
    Some(Planned { plan, schedule, next })
}

/// Cuts an edition of every plan whose slot has come, and of what came out for who wants it at once.
/// Slots missed while the program was down become one edition. One plan that fails does not stop
/// the others. Besides, what letters in doubt left out is queued again where it can be told. Returns how often
/// something was queued.
pub async fn open_due(store: &Store, calendar: &Calendar<'_>, now: Instant) -> Result<usize, StoreError> {
    // What became visible until this instant belongs to these editions.
    crate::publish::release_due(store, now).await?;
    let (mut made, mut failure) = (0, None);
    match store.queue_owed(now).await {
        Ok(0) => {}
        Ok(letters) => {
            tracing::info!(letters, "letters in doubt tell now what they left out");
            made += 1;
        }
        Err(error) => failure = Some(error),
    }
    made += cut_at_once(store, calendar, now).await?;
    for due in due_plans(store, calendar, now).await? {
        match cut_planned(store, calendar, &due, now).await {
            Ok(cut) => made += usize::from(cut),
            Err(error) => {
                tracing::error!(plan = %due.plan, %error, "edition not cut; tried again at the next tick");
                failure = Some(error);
            }
        }
    }
    failure.map_or(Ok(made), Err)
}

/// The plans whose slot has come, in the order of their slots. One that its first reader just made,
/// or that is read on another clock than before, gets its slot first.
async fn due_plans(store: &Store, calendar: &Calendar<'_>, now: Instant) -> Result<Vec<Planned>, StoreError> {
    let due = store.due_plans(now).await?;
    let fresh = due.iter().filter_map(|due| {
        let text = calendar.schedule(&due.plan)?.to_string();
        let after = if due.schedule.is_empty() { due.next.0 } else { now };
        planned(calendar, due.plan.clone(), after).filter(|_| due.schedule != text)
    });
    let fresh: Vec<Planned> = fresh.collect();
    if fresh.is_empty() {
        return Ok(due);
    }
    store.register_plans(&fresh).await?;
    store.due_plans(now).await
}

async fn cut_planned(
    store: &Store,
    calendar: &Calendar<'_>,
    due: &Planned,
    now: Instant,
) -> Result<bool, StoreError> {
    let Some(schedule) = calendar.schedule(&due.plan) else { return Ok(false) };
    // Who is looked after once an hour has missed nothing by an hour that was missed.
    let come = match due.plan.frequency() {
        Frequency::AtOnce => Some((due.next.0, 1)),
        _ => schedule.come_since(due.next.0, now),
    };
    let Some((slot, slots)) = come else { return Ok(false) };
    let Some(next) = schedule.next_after(now).map(Slot) else { return Ok(false) };
    let turn = Turn::Planned { expected: due.next, next };
    let (plan, zone, spread) = (&due.plan, calendar.zone, calendar.spread);
    let cutting = Cutting { plan, slot: Slot(slot), slots, turn, zone, spread };
    Ok(tell(&cutting, &store.cut_edition(&cutting, now).await?))
}

/// An edition of one article for each that came out, in the order of publishing; or one of all, where
/// many wait.
async fn cut_at_once(store: &Store, calendar: &Calendar<'_>, now: Instant) -> Result<usize, StoreError> {
    let plan = Plan::of(Frequency::AtOnce, None);
    let (mut after, waiting) = store.waiting_at_once(LOOK_AHEAD).await?;
    let together = if waiting.len() > MANY { waiting.len() } else { 1 };
    let mut made = 0;
    for articles in waiting.chunks(together) {
        let Some(up_to) = articles.last().copied() else { continue };
        let cutting = Cutting {
            plan: &plan,
            // No two of a plan have the same, whatever the clock says.
            slot: Slot(now + chrono::Duration::microseconds(up_to % 1_000_000)),
            slots: u32::try_from(articles.len()).unwrap_or(u32::MAX),
            turn: Turn::AtOnce { after, up_to },
            zone: calendar.zone,
            // Somebody waits for it.
            spread: Duration::ZERO,
        };
        let answer = store.cut_edition(&cutting, now).await?;
        made += usize::from(tell(&cutting, &answer));
        if answer == CutAnswer::TakenByAnother {
            break;
        }
        after = up_to;
    }
    Ok(made)
}

/// Cuts an edition now, outside of its schedule. Asking twice makes no second mail: what was
/// mailed stands in the ledger.
pub async fn run_now(
    store: &Store,
    calendar: &Calendar<'_>,
    digest: &Digest,
    now: Instant,
) -> Result<CutAnswer, StoreError> {
    crate::publish::release_due(store, now).await?;
    // The program may never have served yet. A digest that is known keeps its next slot.
    if !store.next_slots().await?.iter().any(|(slug, _)| *slug == digest.slug) {
        let only = Calendar { digests: std::slice::from_ref(digest), ..*calendar };
        register(store, &only, now).await?;
    }
    store.set_review(&digest.slug, digest.review).await?;
    let plan = Plan::from(digest.slug.clone());
    let (turn, zone, spread) = (Turn::ByHand, calendar.zone, Duration::ZERO);
    let cutting = Cutting { plan: &plan, slot: Slot(now), slots: 1, turn, zone, spread };
    let answer = store.cut_edition(&cutting, now).await?;
    tell(&cutting, &answer);
    Ok(answer)
}

/// What a cut of a plan at an instant, now or later, would make: of the slot that has come by then, or
/// else as if somebody cut it by hand. Changes nothing. `None`: nobody would get anything.
pub async fn rehearse(
    store: &Store,
    calendar: &Calendar<'_>,
    plan: &Plan,
    whom: Whom,
    at: Instant,
) -> Result<Option<Rehearsal>, StoreError> {
    let planned = store.plans().await?.into_iter().find(|planned| planned.plan == *plan);
    let next = planned.filter(|planned| !planned.schedule.is_empty()).map(|planned| planned.next.0);
    let come = calendar.schedule(plan).zip(next).and_then(|(schedule, next)| schedule.come_since(next, at));
    let (slot, slots) = come.unwrap_or((at, 1));
    let (turn, zone, spread) = (Turn::ByHand, calendar.zone, Duration::ZERO);
    let cutting = Cutting { plan, slot: Slot(slot), slots, turn, zone, spread };
    store.rehearse(&cutting, whom, at).await
}

fn tell(cutting: &Cutting<'_>, answer: &CutAnswer) -> bool {
    let Cutting { plan, slot, slots, .. } = cutting;
    match answer {
        CutAnswer::Made(cut) => {
            tracing::info!(%plan, slot = %slot.0, slots, edition.id = %cut.edition,
                articles = cut.articles, deliveries = cut.deliveries, "edition cut");
            true
        }
        CutAnswer::Empty => {
            tracing::debug!(%plan, slot = %slot.0, "nothing new, no edition");
            false
        }
        CutAnswer::TakenByAnother => {
            tracing::debug!(%plan, slot = %slot.0, "slot taken by another instance");
            false
        }
    }
}
