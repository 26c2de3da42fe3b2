use super::{Instant, Schedule, Slug};

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
}

impl Digest {
    /// The slot that is due: the last one at or before `now`, if one is at or after `next`.
    /// Slots missed while the program was down become this one.
    pub fn due_slot(&self, next: Slot, now: Instant) -> Option<Slot> {
        let last = self.schedule.last_at(now)?;
        (next.0 <= now).then(|| Slot(last.max(next.0)))
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
        }
    }

    #[test]
    fn missed_slots_become_the_last_one() {
        let next = Slot("2026-11-01T23:30:00Z".parse().unwrap());
        let due = |now: &str| digest().due_slot(next, now.parse().unwrap());
        assert_eq!(due("2026-11-01T23:29:59Z"), None);
        assert_eq!(due("2026-11-01T23:30:00Z"), Some(next));
        assert_eq!(due("2026-11-05T08:00:00Z"), Some(Slot("2026-11-04T23:30:00Z".parse().unwrap())));
    }
}
