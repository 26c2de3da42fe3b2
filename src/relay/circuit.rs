use crate::domain::{Attempt, Backoff, Instant};
use chrono::Duration;

/// How long a relay rests that could not be reached: it is asked again soon, by one letter at a time.
const REST: Backoff = Backoff { seconds: &[5, 15, 30, 60, 120, 300], patience: Duration::MAX };

/// How long that one letter has, until another may try.
const PROBE: Duration = Duration::seconds(30);

/// A server that greets with a refusal, or falls silent, is there; it rests when this many in a row fared so.
const REFUSALS: u32 = 3;

/// Whether a relay can be reached, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures: u32,
    refusals: u32,
    rests_until: Option<Instant>,
    is_probed: bool,
}

impl Circuit {
    /// From when on a letter may try: `now` where it may at once.
    pub(super) fn free_at(&self, now: Instant) -> Instant {
        // No rest is longer; a clock that was set back makes none so.
        let longest = now + Duration::minutes(7);
        self.rests_until.filter(|until| *until < longest).map_or(now, |until| until.max(now))
    }

    /// A letter tries. After a rest it is the only one until it is known what became of it.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.rests_until.is_some() {
            (self.rests_until, self.is_probed) = (Some(now + PROBE), true);
        }
    }

    /// The server was reached.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// The server is there and refused the connection, or said no more. Whether it rests from now on.
    pub(super) fn refused(&mut self, now: Instant, jitter: impl FnOnce() -> f64) -> bool {
        self.refusals += 1;
        (self.refusals >= REFUSALS || self.is_probed) && self.lost(now, jitter)
    }

    /// The server could not be reached. Whether it rests from now on.
    pub(super) fn lost(&mut self, now: Instant, jitter: impl FnOnce() -> f64) -> bool {
        // Letters under way find out the same.
        if self.rests_until.is_some() && !self.is_probed {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let rest = REST.delay(Attempt(self.failures.into()), now, now, jitter()).unwrap_or(PROBE);
        (self.rests_until, self.is_probed) = (Some(now + rest), false);
        true
    }

    /// Whether it rests, or is only being tried.
    pub(super) fn rests(&self) -> bool {
        self.rests_until.is_some()
    }

    /// Until when nobody tries.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        Some(self.free_at(now)).filter(|until| *until > now && !self.is_probed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::default() + Duration::seconds(seconds)
    }

    #[test]
    fn a_relay_that_is_down_rests_longer_and_longer_and_is_tried_by_one() {
        let mut circuit = Circuit::default();
        assert!(circuit.lost(at(0), || 0.0));
        assert!(!circuit.lost(at(1), || 0.0), "who was under way tells nothing new");
        assert_eq!(circuit.free_at(at(1)), at(5));
        assert_eq!(circuit.free_at(at(5)), at(5));
        circuit.begin(at(5));
        assert!(circuit.free_at(at(6)) > at(30), "one tries at a time");
        assert!(circuit.lost(at(7), || 0.0));
        assert_eq!(circuit.free_at(at(7)), at(22));
        circuit.begin(at(22));
        circuit.answered();
        assert_eq!(circuit.free_at(at(23)), at(23));
        assert!(!circuit.rests());
    }

    #[test]
    fn one_refused_connection_is_no_outage() {
        let mut circuit = Circuit::default();
        assert!(!circuit.refused(at(0), || 0.0) && !circuit.refused(at(0), || 0.0));
        assert!(circuit.refused(at(0), || 0.0));
        assert_eq!(circuit.free_at(at(1)), at(5));
    }
}
