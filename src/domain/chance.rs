use super::{Instant, micros};
use uuid::Uuid;

/// Where randomness comes from. Passed in, so that a test can repeat a history.
pub trait Chance: Send + Sync + 'static {
    /// Fills a buffer with unguessable bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// A new UUID, version 7: its beginning is the time, so that rows made together stay together
/// (RFC 9562 §5.7).
pub fn new_uuid(now: Instant, chance: &dyn Chance) -> Uuid {
    let mut random = [0; 10];
    chance.fill(&mut random);
    let millis = u64::try_from(micros(now) / 1_000).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// A number from 0.0 to below 1.0.
pub fn fraction(chance: &dyn Chance) -> f64 {
    let mut bytes = [0; 4];
    chance.fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

/// 32 random bytes in hex digits: a secret that is kept as text.
pub(super) fn unguessable(chance: &dyn Chance) -> String {
    let mut bytes = [0; 32];
    chance.fill(&mut bytes);
    super::hex(&bytes)
}
