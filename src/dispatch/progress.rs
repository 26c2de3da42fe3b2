use crate::domain::{DeliveryState, Instant};
use crate::store::{Edition, Store, StoreError};
use chrono::Duration;

/// How far an edition has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many letters it has.
    pub letters: u64,
    /// How many are settled, one way or the other.
    pub settled: u64,
    /// How many wait for another try.
    pub deferred: u64,
    /// How many were accepted in the last minute.
    pub per_minute: u64,
    /// How long it takes, at this pace, until each has had its first try.
    pub rest: Option<Duration>,
}

impl Progress {
    /// From its counts and pace.
    fn of(edition: &Edition, per_minute: u64) -> Self {
        let count = |state| edition.counts.iter().find(|(s, _)| *s == state).map_or(0, |(_, count)| *count);
        let letters = edition.counts.iter().map(|(_, count)| count).sum();
        let deferred = count(DeliveryState::Deferred);
        let waiting = count(DeliveryState::Pending) + count(DeliveryState::Claimed);
        let seconds = (waiting * 60).checked_div(per_minute).filter(|_| waiting > 0);
        Self {
            letters,
            settled: letters - waiting - deferred,
            deferred,
            per_minute,
            rest: seconds
                .map(|seconds| Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000))),
        }
    }
}

/// How far an edition has come by now.
pub async fn progress(store: &Store, edition: &Edition, now: Instant) -> Result<Progress, StoreError> {
    let per_minute = match edition.completed_at {
        Some(_) => 0,
        None => store.accepted_since(edition.id, now - Duration::minutes(1)).await?,
    };
    Ok(Progress::of(edition, per_minute))
}

/// Tells the log how far every running edition has come.
pub async fn tell_progress(store: &Store, now: Instant) -> Result<(), StoreError> {
    for id in store.running_editions().await? {
        let Some(edition) = store.edition(id).await? else { continue };
        let held = edition.held.is_some();
        let Progress { letters, settled, deferred, per_minute, rest } =
            progress(store, &edition, now).await?;
        let rest = rest.map(|rest| rest.num_seconds());
        tracing::info!(edition.id = %id, digest.plan = %edition.plan, letters, settled, deferred, per_minute,
            rest_seconds = rest, held, "edition under way");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Slug;

    #[test]
    fn the_rest_is_reckoned_at_the_present_pace() {
        let mut edition = Edition {
            counts: vec![
                (DeliveryState::Accepted, 90),
                (DeliveryState::Bounced, 5),
                (DeliveryState::Claimed, 4),
                (DeliveryState::Deferred, 7),
                (DeliveryState::Pending, 100),
            ],
            ..Edition::bare(Slug::parse("hang-ngay").unwrap().into())
        };
        let progress = Progress::of(&edition, 60);
        assert_eq!((progress.letters, progress.settled, progress.deferred), (206, 95, 7));
        assert_eq!(progress.rest, Some(Duration::seconds(104)));
        assert_eq!(Progress::of(&edition, 0).rest, None, "nothing moves");
        edition.counts.truncate(2);
        assert_eq!(Progress::of(&edition, 60).rest, None, "nothing waits");
    }
}
