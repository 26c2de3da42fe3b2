/// When an edition is stopped because too many of its letters are refused, or too many of its readers
/// complain: a bought list, a broken template or a blocked sender is noticed after a hundred letters, not
/// after a hundred thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// How many refusals in a hundred are too many; 0 never stops.
    pub percent: u64,
    /// How many complaints in a thousand are too many; 0 never stops.
    pub complaints: u64,
    /// How many letters must have been answered before it judges.
    pub tries: u64,
}

/// Fewer complaints stop nothing, however few letters there were.
const COMPLAINTS: u64 = 3;

impl Breaker {
    /// Whether so many refusals beside so many letters that were taken are too many.
    pub fn stops(self, accepted: u64, refused: u64) -> bool {
        let answered = u128::from(accepted) + u128::from(refused);
        self.percent > 0
            && answered >= u128::from(self.tries)
            && u128::from(refused) * 100 > answered * u128::from(self.percent)
    }

    /// Whether so many complaints of so many letters that were taken are too many.
    pub fn stops_for_complaints(self, accepted: u64, complained: u64) -> bool {
        self.complaints > 0
            && accepted >= self.tries
            && complained >= COMPLAINTS
            && u128::from(complained) * 1_000 > u128::from(accepted) * u128::from(self.complaints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKER: Breaker = Breaker { percent: 5, complaints: 3, tries: 100 };

    #[test]
    fn more_than_its_share_of_enough_letters_stops_an_edition() {
        assert!(!BREAKER.stops(0, 99), "too few to judge");
        assert!(!BREAKER.stops(95, 5), "five in a hundred are not more than five");
        assert!(BREAKER.stops(94, 6));
        assert!(BREAKER.stops(0, u64::MAX));
        assert!(!Breaker { percent: 0, ..BREAKER }.stops(0, 1_000), "switched off");
    }

    #[test]
    fn more_than_its_share_of_complaints_stops_an_edition() {
        assert!(!BREAKER.stops_for_complaints(99, 99), "too few to judge");
        assert!(!BREAKER.stops_for_complaints(100, 2), "two may be mistaken");
        assert!(!BREAKER.stops_for_complaints(1_000, 3), "three in a thousand are not more than three");
        assert!(BREAKER.stops_for_complaints(999, 3));
        assert!(!Breaker { complaints: 0, ..BREAKER }.stops_for_complaints(100, 100), "switched off");
    }
}
