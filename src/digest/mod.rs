//! Floor 3: finds due slots and cuts editions.
//!
//! What is due stands in the store: the next slot of each digest. Nothing is remembered here, so
//! a tick that was missed, doubled or late changes nothing, and the same question serves the
//! first try and the recovery after a crash (reference/mail.md §5).

use crate::domain::{Digest, Instant, Slot};
use crate::store::{CutAnswer, Store, StoreError};

/// How far back a new subscription reaches at least: whoever confirms at ten finds in the first
/// mail what came in since yesterday, not only since ten.
const LOOK_BACK: chrono::Duration = chrono::Duration::hours(24);

/// Makes the store know each digest and its next slot. A changed schedule moves it, an unchanged
/// one does not, however long the program was down.
pub async fn register(store: &Store, digests: &[Digest], now: Instant) -> Result<(), StoreError> {
    let rows: Vec<_> = digests
        .iter()
        .filter_map(|digest| {
            let next = Slot(digest.schedule.next_after(now)?);
            Some((digest.slug.clone(), digest.schedule.to_string(), next))
        })
        .collect();
    store.register_digests(&rows).await
}

/// Cuts an edition of every digest whose slot has come. Slots missed while the program was down
/// become one edition. One digest that fails does not stop the others.
pub async fn open_due(store: &Store, digests: &[Digest], now: Instant) -> Result<usize, StoreError> {
    let mut made = 0;
    let mut failure = None;
    for (slug, next) in store.next_slots().await? {
        let Some(digest) = digests.iter().find(|digest| digest.slug == slug) else { continue };
        let Some(slot) = digest.due_slot(next, now) else { continue };
        let Some(following) = digest.schedule.next_after(now).map(Slot) else { continue };
        // What became visible until this instant belongs to this edition.
        crate::publish::release_due(store, now).await?;
        match store.cut_edition(&slug, slot, Some((next, following)), now).await {
            Ok(answer) => made += usize::from(tell(digest, slot, &answer)),
            Err(error) => {
                tracing::error!(digest.slug = %slug, %error, "edition not cut; tried again at the next tick");
                failure = Some(error);
            }
        }
    }
    failure.map_or(Ok(made), Err)
}

/// Cuts an edition now, outside of its schedule. Asking twice makes no second mail: what was
/// mailed stands in the ledger.
pub async fn run_now(store: &Store, digest: &Digest, now: Instant) -> Result<CutAnswer, StoreError> {
    crate::publish::release_due(store, now).await?;
    // The program may never have served yet. A digest that is known keeps its next slot.
    if !store.next_slots().await?.iter().any(|(slug, _)| *slug == digest.slug) {
        register(store, std::slice::from_ref(digest), now).await?;
    }
    let answer = store.cut_edition(&digest.slug, Slot(now), None, now).await?;
    tell(digest, Slot(now), &answer);
    Ok(answer)
}

fn tell(digest: &Digest, slot: Slot, answer: &CutAnswer) -> bool {
    let slug = &digest.slug;
    match answer {
        CutAnswer::Made(cut) => {
            tracing::info!(digest.slug = %slug, slot = %slot.0, edition.id = %cut.edition,
                articles = cut.articles, deliveries = cut.deliveries, "edition cut");
            true
        }
        CutAnswer::Empty => {
            tracing::info!(digest.slug = %slug, slot = %slot.0, "nothing new, no edition");
            false
        }
        CutAnswer::TakenByAnother => {
            tracing::debug!(digest.slug = %slug, slot = %slot.0, "slot taken by another instance");
            false
        }
    }
}

/// Since when an article must be visible to be in the first mail of a subscription that begins
/// now: one period of the digest, at least a day.
pub fn first_mail_reaches_back_to(digest: &Digest, now: Instant) -> Instant {
    let period = digest.schedule.period_before(now).min(chrono::Duration::days(31));
    now - period.max(LOOK_BACK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DigestFeeds, Schedule, Slug};
    use chrono_tz::Tz;

    #[test]
    fn the_first_mail_reaches_back_a_period_or_a_day() {
        let now: Instant = "2026-11-23T03:00:00Z".parse().unwrap();
        for (schedule, hours) in [("30 6 * * *", 24), ("*/5 * * * *", 24), ("0 7 * * MON", 168)] {
            let digest = Digest {
                slug: Slug::parse("hang-ngay").unwrap(),
                title: "Bản tin".to_owned(),
                schedule: Schedule::parse(schedule, Tz::Asia__Ho_Chi_Minh).unwrap(),
                feeds: DigestFeeds::Every,
                template: Slug::parse("digest").unwrap(),
                max_articles: 30,
                archive: true,
            };
            let back = now - first_mail_reaches_back_to(&digest, now);
            assert_eq!(back, chrono::Duration::hours(hours), "{schedule}");
        }
    }
}
