use chrono::{DateTime, TimeZone, Utc};

/// An instant on the time line, kept to the microsecond as both databases keep it.
pub type Instant = DateTime<Utc>;

/// Where "now" comes from. Only doors ask it; everything below gets an [`Instant`].
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Instant;
}

/// Microseconds since 1970-01-01T00:00:00Z, the form in which instants are stored.
pub fn micros(instant: Instant) -> i64 {
    instant.timestamp_micros()
}

/// The instant of a stored number of microseconds.
///
/// Numbers outside of chrono's range (± 262,000 years) become the epoch: they can only
/// come from a database that somebody edited by hand.
pub fn from_micros(micros: i64) -> Instant {
    Utc.timestamp_micros(micros).single().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micros_round_trip() {
        let instant = Utc.with_ymd_and_hms(2024, 4, 3, 21, 30, 0).unwrap();
        assert_eq!(from_micros(micros(instant)), instant);
    }
}
