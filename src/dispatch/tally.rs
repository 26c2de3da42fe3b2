use crate::domain::Instant;
use prometheus_client::metrics::histogram::Histogram;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many mail providers are told apart in the metrics; the others are counted together.
const DOMAINS: usize = 50;
/// What they are counted as.
const OTHERS: &str = "others";

/// From a letter's being due to its being taken: from a tenth of a second to the five days after which
/// it is given up.
const LAG_SECONDS: [f64; 16] = [
    0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 86_400.0,
    432_000.0,
];

/// What became of letters since the start, for the metrics.
#[derive(Debug)]
pub struct Tally {
    counts: Mutex<HashMap<&'static str, u64>>,
    deferrals: Mutex<HashMap<String, u64>>,
    lag: Histogram,
    last_accepted: AtomicU64,
    is_paused: AtomicBool,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            counts: Mutex::default(),
            deferrals: Mutex::default(),
            lag: Histogram::new(LAG_SECONDS),
            last_accepted: AtomicU64::default(),
            is_paused: AtomicBool::default(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    pub(super) fn count(&self, outcome: &'static str) {
        *locked(&self.counts).entry(outcome).or_default() += 1;
    }

    pub(super) fn accepted(&self, queued: Instant, now: Instant) {
        self.lag.observe((now - queued).as_seconds_f64().max(0.0));
        self.last_accepted.store(now.timestamp().unsigned_abs(), Ordering::Relaxed);
    }

    pub(super) fn deferred(&self, domain: &str) {
        let mut deferrals = locked(&self.deferrals);
        let known = deferrals.len() < DOMAINS || deferrals.contains_key(domain);
        *deferrals.entry(if known { domain.to_owned() } else { OTHERS.to_owned() }).or_default() += 1;
    }

    /// Notes whether this process mails, or its store is a copy. True when that is news.
    pub fn pause(&self, is_paused: bool) -> bool {
        self.is_paused.swap(is_paused, Ordering::Relaxed) != is_paused
    }

    /// Whether mail rests because the store is a copy.
    pub fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// The counts by outcome.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        locked(&self.counts).iter().map(|(outcome, count)| (*outcome, *count)).collect()
    }

    /// How often each mail provider asked to come again; a bounded number of them.
    pub fn deferrals(&self) -> Vec<(String, u64)> {
        locked(&self.deferrals).iter().map(|(domain, count)| (domain.clone(), *count)).collect()
    }

    /// The time from due to accepted.
    pub fn lag(&self) -> Histogram {
        self.lag.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deferrals_are_told_of_a_bounded_number_of_domains() {
        let tally = Tally::default();
        for domain in 0..200 {
            tally.deferred(&format!("d{domain}.example"));
            tally.deferred("d0.example");
        }
        let told: HashMap<String, u64> = tally.deferrals().into_iter().collect();
        assert_eq!(told.len(), DOMAINS + 1);
        assert_eq!((told["d0.example"], told[OTHERS]), (201, 150));
    }
}
