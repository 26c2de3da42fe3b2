//! How choices are said to readers.

use crate::domain::{
    Calendar, Directory, FeedDefinition, FeedKey, Frequency, Instant, Language, Plan, Publication, Wish,
};
use crate::store::{Store, StoreError};
use crate::wording::{Templates, when};
use chrono_tz::Tz;

/// With what choices are said, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Wording<'a> {
    /// The newspaper.
    pub publication: &'a Publication,
    /// The words.
    pub templates: &'a Templates,
    /// When everything comes.
    pub calendar: Calendar<'a>,
    /// In which language.
    pub language: Language,
    /// On whose clock, where the reader chose one.
    pub zone: Option<Tz>,
}

impl Wording<'_> {
    /// How often: "06:30 hằng ngày", "Bản tin buổi sáng (06:30 hằng ngày)".
    pub fn frequency(&self, frequency: &Frequency) -> String {
        let home = self.zone.unwrap_or(self.publication.time_zone);
        let schedule = self.calendar.schedule(&Plan::of(frequency.clone(), self.zone));
        let time = schedule.map(|schedule| when(self.templates, self.language, &schedule, home));
        match frequency {
            Frequency::AtOnce => self.templates.text(self.language, "page.when.at_once", &[]),
            Frequency::Daily(_) | Frequency::Weekly(..) => time.unwrap_or_default(),
            Frequency::Digest(slug) => {
                let digest = self.calendar.digests.iter().find(|digest| digest.slug == *slug);
                let title = digest.map_or_else(|| slug.to_string(), |digest| digest.title.clone());
                time.map_or(title.clone(), |time| format!("{title} ({time})"))
            }
        }
    }

    /// The titles of feeds and of searches.
    pub async fn titles(
        &self,
        store: &Store,
        directory: &Directory,
        keys: &[FeedKey],
    ) -> Result<Vec<(FeedKey, String)>, StoreError> {
        let mut titles = titles(directory, keys, self.publication, self.templates, self.language);
        titles.extend(search_titles(store, keys, self.templates, self.language).await?);
        Ok(titles)
    }

    /// Wishes, a line each: "Kinh tế – 06:30 hằng ngày".
    pub async fn wishes(
        &self,
        store: &Store,
        directory: &Directory,
        wishes: &[Wish],
    ) -> Result<Vec<String>, StoreError> {
        let keys: Vec<FeedKey> = wishes.iter().map(|wish| wish.feed).collect();
        let titles = self.titles(store, directory, &keys).await?;
        let line = |(key, title): (FeedKey, String)| {
            let wish = wishes.iter().find(|wish| wish.feed == key)?;
            Some(format!("{title} – {}", self.frequency(&wish.frequency)))
        };
        Ok(titles.into_iter().filter_map(line).collect())
    }
}

/// When the next mail may come: the earliest slot of what was chosen. What comes at once has none.
pub fn next_mail<'w>(
    calendar: &Calendar<'_>,
    frequencies: impl Iterator<Item = &'w Frequency>,
    zone: Option<Tz>,
    after: Instant,
) -> Option<Instant> {
    frequencies
        .filter(|frequency| **frequency != Frequency::AtOnce)
        .filter_map(|frequency| calendar.schedule(&Plan::of(frequency.clone(), zone))?.next_after(after))
        .min()
}

/// The titles of feeds as readers choose them. The feed of everything bears the newspaper's name,
/// which among the names of sections tells nobody what it is.
pub fn titles(
    directory: &Directory,
    keys: &[FeedKey],
    publication: &Publication,
    templates: &Templates,
    language: Language,
) -> Vec<(FeedKey, String)> {
    let title = |feed: &FeedDefinition| {
        if feed.key() == Some(FeedKey::All) && feed.title == publication.title {
            templates.text(language, "feed.everything", &[])
        } else {
            feed.title.clone()
        }
    };
    let kept = directory.feeds().iter().filter_map(|feed| Some((feed.key()?, feed)));
    kept.filter(|(key, _)| keys.contains(key)).map(|(key, feed)| (key, title(feed))).collect()
}

/// The titles of searches among these feeds: "Bài có “xâm nhập mặn”".
pub async fn search_titles(
    store: &Store,
    keys: &[FeedKey],
    templates: &Templates,
    language: Language,
) -> Result<Vec<(FeedKey, String)>, StoreError> {
    if !keys.iter().any(|key| matches!(key, FeedKey::Search(_))) {
        return Ok(Vec::new());
    }
    let title = |words: &str| templates.text(language, "feed.search", &[("words", words)]);
    let found = store.searches(keys).await?;
    Ok(found.into_iter().map(|search| (FeedKey::Search(search.id), title(&search.title))).collect())
}
