use crate::domain::{Instant, micros};
use std::sync::atomic::{AtomicI64, Ordering};

/// Until when a worker's claims hold. A machine that slept through their end finds letters in its hands
/// that another has sent meanwhile.
#[derive(Debug, Default)]
pub struct Tenure {
    until: AtomicI64,
    /// When they last had ended before they were renewed.
    broken: AtomicI64,
}

impl Tenure {
    /// Claims were renewed, in time or not.
    pub(super) fn renew(&self, until: Instant, now: Instant) {
        if micros(now) >= self.until.load(Ordering::Relaxed) {
            self.broken.store(micros(now), Ordering::Relaxed);
        }
        self.until.store(micros(until), Ordering::Relaxed);
    }

    /// Whether a claim that was made until an instant still holds.
    pub(super) fn holds(&self, made_until: Instant, now: Instant) -> bool {
        let was_renewed = micros(made_until) > self.broken.load(Ordering::Relaxed)
            && micros(now) < self.until.load(Ordering::Relaxed);
        now < made_until || was_renewed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_as_long_as_it_is_renewed_in_time() {
        let at = |seconds| Instant::default() + chrono::Duration::seconds(seconds);
        let tenure = Tenure::default();
        assert!(tenure.holds(at(90), at(60)) && !tenure.holds(at(90), at(90)));
        tenure.renew(at(120), at(30));
        tenure.renew(at(150), at(60));
        assert!(tenure.holds(at(90), at(149)) && !tenure.holds(at(90), at(150)));
        tenure.renew(at(400), at(310));
        assert!(!tenure.holds(at(90), at(320)), "it slept");
        assert!(tenure.holds(at(401), at(320)), "what is claimed afterwards is its own");
    }
}
