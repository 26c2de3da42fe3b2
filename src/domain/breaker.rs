/// When an edition is stopped because too many of its letters are refused: a bought list, a broken
/// template or a blocked sender is noticed after a hundred letters, not after a hundred thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// How many in a hundred are too many; 0 never stops.
    pub percent: u64,
    /// How many letters must have been answered before it judges.
    pub tries: u64,
}

impl Breaker {
    /// Whether so many refusals beside so many letters that were taken are too many.
    pub fn stops(self, accepted: u64, refused: u64) -> bool {
        let answered = u128::from(accepted) + u128::from(refused);
        self.percent > 0
            && answered >= u128::from(self.tries)
            && u128::from(refused) * 100 > answered * u128::from(self.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_its_share_of_enough_letters_stops_an_edition() {
        let breaker = Breaker { percent: 5, tries: 100 };
        assert!(!breaker.stops(0, 99), "too few to judge");
        assert!(!breaker.stops(95, 5), "five in a hundred are not more than five");
        assert!(breaker.stops(94, 6));
        assert!(breaker.stops(0, u64::MAX));
        assert!(!Breaker { percent: 0, tries: 100 }.stops(0, 1_000), "switched off");
    }
}
