use super::Frequency;

/// How many days an estimate looks back.
pub const VOLUME_DAYS: u32 = 28;

/// How much came out in a feed, or in several together, in the last four weeks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// How many articles.
    pub articles: u32,
    /// On which days: bit 0 is the last 24 hours.
    pub days: u32,
}

impl Volume {
    /// Of two feeds by one mail. An article that stands in both counts twice.
    pub fn and(self, other: Self) -> Self {
        Self { articles: self.articles + other.articles, days: self.days | other.days }
    }

    /// How many mails a week that would have been, for a frequency that readers choose. Of a digest,
    /// whose schedule stands in its file: at most so many, where it comes daily.
    pub fn mails_a_week(self, frequency: &Frequency) -> f64 {
        let weeks = VOLUME_DAYS / 7;
        let mails = match frequency {
            Frequency::AtOnce => self.articles,
            Frequency::Daily(_) | Frequency::Digest(_) => self.days.count_ones(),
            Frequency::Weekly(..) => {
                (0..weeks).filter(|week| self.days >> (7 * week) & 0x7f != 0).count() as u32
            }
        };
        f64::from(mails) / f64::from(weeks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_a_quarter_of_what_was() {
        let volume =
            Volume { articles: 40, days: 0b1000_0001_0000_0011 }.and(Volume { articles: 2, days: 1 });
        let mails = |text: &str| volume.mails_a_week(&text.parse().unwrap());
        assert_eq!((mails("at-once"), mails("daily:06:30"), mails("weekly:mon:07:00")), (10.5, 1.0, 0.75));
        assert!(Volume::default().mails_a_week(&Frequency::AtOnce) < 0.1);
    }
}
