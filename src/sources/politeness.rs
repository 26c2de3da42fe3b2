//! When a server is asked again: not before it allows, and ever more seldom while it fails.

use crate::domain::{Attempt, Backoff, Instant};
use crate::fetch::Answer;
use chrono::{DateTime, Duration};

/// For servers of others: 1, 5, 15 minutes, an hour, four, and then twice a day, for ever.
const FAR: Backoff = Backoff { seconds: &[60, 300, 900, 3_600, 14_400, 43_200], patience: Duration::MAX };

/// For the newsroom's own folder and database: whoever mends them looks on.
const NEAR: Backoff = Backoff { seconds: &[5, 15, 60, 300], patience: Duration::MAX };

/// The longest that a server's word is obeyed: one that says a year by mistake is asked daily.
const LONGEST: Duration = Duration::days(1);

/// How long after a failed look the next one is.
pub fn after_failure(is_far: bool, attempt: Attempt, now: Instant, jitter: f64) -> Duration {
    let rule = if is_far { FAR } else { NEAR };
    rule.delay(attempt, now, now, jitter).unwrap_or(LONGEST)
}

/// How long an answer says that it stays as it is (RFC 9111 §5.2.2.1).
pub fn freshness(answer: &Answer) -> Duration {
    let said = answer.header("cache-control").unwrap_or_default().to_ascii_lowercase();
    let directive = |name: &str| {
        said.split(',').find_map(|part| part.trim().strip_prefix(name)?.trim_matches('"').parse::<i64>().ok())
    };
    let age = answer.header("age").and_then(|age| age.trim().parse::<i64>().ok()).unwrap_or_default();
    let seconds = directive("max-age=").unwrap_or_default().saturating_sub(age.max(0));
    Duration::try_seconds(seconds.max(0)).unwrap_or(LONGEST).min(LONGEST)
}

/// How long a server wants to be left alone (RFC 9110 §10.2.3): seconds, or a date.
pub fn retry_after(answer: &Answer, now: Instant) -> Option<Duration> {
    let said = answer.header("retry-after")?.trim();
    let wait = match said.parse::<i64>() {
        Ok(seconds) => Duration::try_seconds(seconds).unwrap_or(LONGEST),
        Err(_) => DateTime::parse_from_rfc2822(said).ok()?.to_utc() - now,
    };
    Some(wait.clamp(Duration::zero(), LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = url::Url::parse("https://bao.example/").unwrap();
        Answer { url, hops: Vec::new(), status: 200, headers, body: Vec::new() }
    }

    #[test]
    fn a_server_says_how_long_it_is_left_alone() {
        let now: Instant = "2026-11-30T01:00:00Z".parse().unwrap();
        let wait = |said| retry_after(&answer(&[("retry-after", said)]), now);
        assert_eq!(wait("120"), Some(Duration::seconds(120)));
        assert_eq!(wait("Mon, 30 Nov 2026 01:05:00 GMT"), Some(Duration::minutes(5)));
        assert_eq!(wait("Mon, 30 Nov 2026 00:05:00 GMT"), Some(Duration::zero()));
        assert_eq!(wait("9999999999999"), Some(LONGEST));
        assert_eq!(wait("soon"), None);
        let fresh = |said| freshness(&answer(&[("cache-control", said), ("age", "60")]));
        assert_eq!(fresh("public, Max-Age=\"600\""), Duration::minutes(9));
        assert_eq!((fresh("no-cache"), fresh("max-age=31536000")), (Duration::zero(), LONGEST));
    }

    #[test]
    fn a_server_that_fails_is_asked_ever_more_seldom() {
        let now = Instant::default();
        let delays: Vec<i64> =
            (1..=7).map(|n| after_failure(true, Attempt(n), now, 0.0).num_seconds()).collect();
        assert_eq!(delays, [60, 300, 900, 3_600, 14_400, 43_200, 43_200]);
    }
}
