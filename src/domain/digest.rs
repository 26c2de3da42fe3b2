use super::{Frequency, Instant, Plan, Schedule, Slug};
use chrono::Duration;
use chrono_tz::Tz;
use std::borrow::Cow;

/// A planned instant of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub Instant);

/// Which feeds a digest offers to its subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigestFeeds {
    /// Every feed there is, also those to come.
    Every,
    /// The feeds of these slugs.
    These(Vec<Slug>),
}

/// The definition of a scheduled mail: which feeds, when, how it looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// Its name in commands and files.
    pub slug: Slug,
    /// Its name for people; the subject of its mails begins with it.
    pub title: String,
    /// When.
    pub schedule: Schedule,
    /// Of what.
    pub feeds: DigestFeeds,
    /// The folder of its template below `templates/mail/`.
    pub template: Slug,
    /// How many articles a mail shows; what is beyond is named by its number and a link. Keeps
    /// the HTML below the 100 kB at which Gmail clips a message.
    pub max_articles: usize,
    /// Whether its editions stand in the public archive.
    pub archive: bool,
    /// Whether each edition waits for a person before it goes out.
    pub review: bool,
}

/// How far back a new subscription reaches at least: whoever confirms at ten finds in the first mail
/// what came in since yesterday, not only since ten.
const LOOK_BACK: Duration = Duration::hours(24);

/// How far back it reaches at most.
const FARTHEST: Duration = Duration::days(31);

/// When everything comes: the digests that files declare, and what readers chose themselves.
#[derive(Clone, Copy, Debug)]
pub struct Calendar<'a> {
    /// The declared digests.
    pub digests: &'a [Digest],
    /// The publication's zone: the clock of readers who never chose one.
    pub zone: Tz,
    /// Over how long the letters of a planned edition fall due, one after the other.
    pub spread: std::time::Duration,
}

impl Calendar<'_> {
    /// When a plan's slots are. `None`: of a digest that is no longer declared.
    pub fn schedule(&self, plan: &Plan) -> Option<Cow<'_, Schedule>> {
        match plan.digest() {
            Some(slug) => {
                self.digests.iter().find(|digest| digest.slug == *slug).map(|d| Cow::Borrowed(&d.schedule))
            }
            None => plan.schedule(self.zone).map(Cow::Owned),
        }
    }

    /// Since when an article must be visible to be in the first mail of a subscription that begins
    /// now: one period, at least a day. Who wants to be told at once is told of what comes.
    pub fn first_mail_reaches_back_to(&self, frequency: &Frequency, now: Instant) -> Instant {
        match frequency {
            Frequency::AtOnce => now,
            Frequency::Daily(_) => now - Duration::days(1),
            Frequency::Weekly(..) => now - Duration::days(7),
            Frequency::Digest(slug) => {
                let digest = self.digests.iter().find(|digest| digest.slug == *slug);
                let period = digest.map_or(LOOK_BACK, |digest| digest.schedule.period_before(now));
                now - period.clamp(LOOK_BACK, FARTHEST)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Tz;

    fn digest() -> Digest {
        Digest {
            slug: Slug::parse("sang").unwrap(),
            title: "Sáng".into(),
            schedule: Schedule::parse("30 6 * * *", Tz::Asia__Ho_Chi_Minh).unwrap(),
            feeds: DigestFeeds::Every,
            template: Slug::parse("digest").unwrap(),
            max_articles: 30,
            archive: true,
            review: false,
        }
    }

    #[test]
    fn the_first_mail_reaches_back_a_period_or_a_day() {
        let now: Instant = "2026-11-23T03:00:00Z".parse().unwrap();
        for (schedule, hours) in [("30 6 * * *", 24), ("*/5 * * * *", 24), ("0 7 * * MON", 168)] {
            let schedule = Schedule::parse(schedule, Tz::Asia__Ho_Chi_Minh).unwrap();
            let digests = [Digest { schedule, ..digest() }];
            let calendar = Calendar { digests: &digests, zone: Tz::UTC, spread: std::time::Duration::ZERO };
            let back = now - calendar.first_mail_reaches_back_to(&Frequency::Digest(digest().slug), now);
            assert_eq!(back, Duration::hours(hours), "{}", digests[0].schedule);
        }
    }
}
