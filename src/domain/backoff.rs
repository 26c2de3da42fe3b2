use super::{Attempt, Instant};
use chrono::Duration;

/// How what failed is tried again: mail, pushes, pings. The same rule, each with its own figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Seconds after the first failed try, after the second, and so on; the last goes on.
    pub seconds: &'static [i64],
    /// How long after the first moment tries go on.
    pub patience: Duration,
}

impl Backoff {
    /// How long after a failed try the next one is, or `None` when it is time to give up. `since` is
    /// when the work first was due; `jitter` in 0.0 to 1.0 spreads what failed together by up to a fifth.
    pub fn delay(&self, attempt: Attempt, since: Instant, now: Instant, jitter: f64) -> Option<Duration> {
        if now - since > self.patience {
            return None;
        }
        let index = usize::try_from(attempt.0.max(1) - 1).unwrap_or(usize::MAX);
        let seconds = self.seconds.get(index).or(self.seconds.last())?;
        let spread = (*seconds as f64 * 0.2 * jitter.clamp(0.0, 1.0) * 1_000.0) as i64;
        Some(Duration::seconds(*seconds) + Duration::milliseconds(spread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Backoff = Backoff { seconds: &[1, 5, 60], patience: Duration::minutes(10) };

    #[test]
    fn delays_grow_to_the_last_and_end_with_patience() {
        let since = Instant::default();
        let delay = |attempt, minutes, jitter| {
            RULE.delay(Attempt(attempt), since, since + Duration::minutes(minutes), jitter)
        };
        assert_eq!(delay(0, 0, 0.0), Some(Duration::seconds(1)));
        assert_eq!(delay(1, 0, 0.0), Some(Duration::seconds(1)));
        assert_eq!(delay(2, 0, 1.0), Some(Duration::seconds(6)));
        assert_eq!(delay(40, 10, 0.0), Some(Duration::seconds(60)));
        assert_eq!(delay(1, 11, 0.0), None);
    }
}
