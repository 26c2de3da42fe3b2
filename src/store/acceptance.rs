use super::acceptance_rows::{
    NewArticle, Present, RevisedArticle, insert_articles, keys_in_use, present_articles, record_keys,
    revise_articles,
};
use super::categories::{categories_of_names, lineage_feeds};
use super::drafts::settle_drafts;
use super::endpoints::{EventKind, note_article_events};
use super::feeds::{FeedRow, Touched, feed_rows, keys_of, touch_feeds};
use super::labels::label_feeds;
use super::search::search_words;
use super::searches::{Searched, search_feeds};
use super::sequence::{advance_sequence, hold_sequence};
use super::statement::storable;
use super::{Engine, Store, StoreError};
use crate::domain::{
    ArticleId, ArticleState, CategoryName, Chance, Draft, FeedKey, IdentityKey, Instant, labels_of, micros,
    new_uuid,
};
use sha2::{Digest as _, Sha256};
use sqlx::AnyConnection;
use std::collections::{BTreeSet, HashMap, HashSet};

/// The longest identity key that is stored as it is, in bytes; PostgreSQL indexes 2,704 at most.
const KEY_BYTES: usize = 500;

/// What became of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The article it is.
    pub id: ArticleId,
    /// What it did.
    pub what: Accepted,
    /// The feeds it touched.
    pub feeds: Vec<FeedKey>,
}

/// What accepting a draft did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is a new article.
    New,
    /// It changed an article.
    Revised {
        /// The number of the revision that it made.
        number: i64,
        /// Whether the change moved `updated`.
        significant: bool,
    },
    /// It says what the store knows already.
    Unchanged,
}

impl Store {
    /// Takes drafts in, in one transaction for all of them; callers pass 1 to 500. Articles that
    /// are not `mailable`, as those of an archive, are in feeds but never in a digest.
    pub async fn accept(
        &self,
        drafts: &[Draft],
        mailable: bool,
        now: Instant,
        chance: &dyn Chance,
    ) -> Result<Vec<Acceptance>, StoreError> {
        let mut tx = self.write().await?;
        let acceptances = accept_in(&mut tx, self.engine(), drafts, mailable, now, chance).await?;
        tx.commit().await?;
        Ok(acceptances)
    }
}

/// Takes drafts in, in a transaction that does more.
pub(super) async fn accept_in(
    connection: &mut AnyConnection,
    engine: Engine,
    drafts: &[Draft],
    mailable: bool,
    now: Instant,
    chance: &dyn Chance,
) -> Result<Vec<Acceptance>, StoreError> {
    let incoming: Vec<Incoming<'_>> = drafts.iter().map(Incoming::new).collect();
    hold_sequence(connection, engine).await?;
    let mut desk = Desk::new(engine, mailable, now, chance);
    let mut acceptances = Vec::with_capacity(drafts.len());
    while let rest = &incoming[acceptances.len()..]
        && !rest.is_empty()
    {
        acceptances.extend(desk.take_in(connection, rest).await?);
    }
    desk.finish(connection).await?;
    Ok(acceptances)
}

/// A draft with what it is recognised and compared by.
pub(super) struct Incoming<'d> {
    pub(super) draft: &'d Draft,
    pub(super) fingerprint: String,
    /// By which it is recognised, the strongest first.
    pub(super) keys: Vec<String>,
}

impl<'d> Incoming<'d> {
    pub(super) fn new(draft: &'d Draft) -> Self {
        let mut keys: Vec<String> = draft.keys.iter().map(stored_key).collect();
        if keys.is_empty() {
            keys.push(stored_key(&IdentityKey::title(&draft.title, draft.published)));
        }
        Self { draft, fingerprint: draft.fingerprint(), keys }
    }
}

/// A key as it is stored: beyond the limit a digest stands for its end.
pub(super) fn stored_key(key: &IdentityKey) -> String {
    let key = storable(key.as_str());
    if key.len() <= KEY_BYTES {
        return key;
    }
    let digest = crate::domain::hex(&Sha256::digest(&key));
    let start = &key[..key.floor_char_boundary(KEY_BYTES - digest.len() - 1)];
    format!("{start}#{digest}")
}

/// Where one call of `accept` stands.
pub(super) struct Desk<'c> {
    engine: Engine,
    mailable: bool,
    now: Instant,
    chance: &'c dyn Chance,
    /// What is to be marked as changed at the end.
    touched: Touched,
    /// The last publish sequence that was taken.
    number: Option<i64>,
}

impl<'c> Desk<'c> {
    pub(super) fn new(engine: Engine, mailable: bool, now: Instant, chance: &'c dyn Chance) -> Self {
        Self { engine, mailable, now, chance, touched: Touched::default(), number: None }
    }

    /// Marks as changed what was touched; the last step before the commit.
    pub(super) async fn finish(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        touch_feeds(connection, &self.touched, self.number, self.now).await
    }

    /// Takes in as many drafts from the front as are different articles: a batch may bring one
    /// article twice, and then the second draft revises the first. What of them waits for a person waits
    /// no more.
    pub(super) async fn take_in(
        &mut self,
        connection: &mut AnyConnection,
        rest: &[Incoming<'_>],
    ) -> Result<Vec<Acceptance>, StoreError> {
        let front = distinct_front(rest);
        let keys: Vec<String> = front.iter().flat_map(|i| i.keys.iter().cloned()).collect();
        let in_use = keys_in_use(connection, &keys).await?;
        let mut known = HashSet::new();
        let front: Vec<(&Incoming<'_>, Option<i64>)> = front
            .iter()
            .map(|i| (i, i.keys.iter().find_map(|key| in_use.get(key)).copied()))
            .take_while(|(_, n)| n.is_none_or(|n| known.insert(n)))
            .collect();
        let known: Vec<i64> = front.iter().filter_map(|(_, n)| *n).collect();
        let mut present = present_articles(connection, &known).await?;

        let mut changed = Vec::new();
        let mut answers: Vec<Option<Acceptance>> = vec![None; front.len()];
        for (at, (incoming, n)) in front.iter().enumerate() {
            let present = n.and_then(|n| present.remove(&n));
            match present {
                Some(present) if !present.differs_from(incoming) => {
                    answers[at] =
                        Some(Acceptance { id: present.id, what: Accepted::Unchanged, feeds: Vec::new() });
                }
                present => changed.push((at, *incoming, present)),
            }
        }
        let mut rows: HashMap<usize, i64> =
            front.iter().enumerate().filter_map(|(at, (_, n))| n.map(|n| (at, n))).collect();
        if !changed.is_empty() {
            for (at, n, acceptance) in self.publish(connection, changed).await? {
                rows.insert(at, n);
                answers[at] = Some(acceptance);
            }
        }
        let fresh: Vec<(String, i64)> = front
            .iter()
            .enumerate()
            .flat_map(|(at, (incoming, _))| incoming.keys.iter().map(move |key| (at, key)))
            .filter(|(_, key)| !in_use.contains_key(*key))
            .filter_map(|(at, key)| rows.get(&at).map(|n| (key.clone(), *n)))
            .collect();
        record_keys(connection, &fresh).await?;
        settle_drafts(connection, &keys, self.now).await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Writes new and changed articles, and puts them where readers find them.
    async fn publish(
        &mut self,
        connection: &mut AnyConnection,
        changed: Vec<(usize, &Incoming<'_>, Option<Present>)>,
    ) -> Result<Vec<(usize, i64, Acceptance)>, StoreError> {
        let names: Vec<&CategoryName> = changed.iter().flat_map(|(_, i, _)| &i.draft.categories).collect();
        let (by_name, made) = categories_of_names(connection, &names, self.now, self.chance).await?;
        self.touched.feeds.extend(made);
        let (all, made) = feed_rows(connection, &[FeedKey::All]).await?;
        self.touched.feeds.extend(made);
        let labels = |draft: &Draft| labels_of(&draft.tags, &draft.authors, draft.source.as_ref());
        let (labelled, made) =
            label_feeds(connection, changed.iter().flat_map(|(_, i, _)| labels(i.draft))).await?;
        self.touched.feeds.extend(made);
        let categories: Vec<i64> = by_name.values().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let lineage = lineage_feeds(connection, &categories).await?;

        let words: Vec<String> =
            changed.iter().map(|(_, incoming, _)| search_words(incoming.draft)).collect();
        let searched: Vec<Searched<'_>> = changed
            .iter()
            .zip(&words)
            .map(|((_, _, present), words)| Searched {
                since: present.as_ref().and_then(|present| present.sequence).unwrap_or(i64::MAX),
                words,
                standing: present.as_ref().map(|present| &present.feeds),
            })
            .collect();
        let found = search_feeds(connection, &searched).await?;

        let (mut new, mut revised) = (Vec::new(), Vec::new());
        let (mut new_at, mut revised_at) = (Vec::new(), Vec::new());
        for (((at, incoming, present), words), found) in changed.into_iter().zip(words).zip(found) {
            let mut categories: Vec<i64> = Vec::new();
            for n in incoming.draft.categories.iter().filter_map(|name| by_name.get(name)) {
                if !categories.contains(n) {
                    categories.push(*n);
                }
            }
            let mut feeds: BTreeSet<FeedRow> = found;
            feeds.extend(all.values());
            feeds.extend(categories.iter().filter_map(|n| lineage.get(n)).flatten());
            let keys = labels(incoming.draft).into_iter().map(|label| FeedKey::Label(label.id));
            feeds.extend(keys.filter_map(|key| labelled.get(&key)));
            match present {
                None => {
                    new_at.push(at);
                    new.push(NewArticle {
                        incoming,
                        id: ArticleId::new(new_uuid(self.now, self.chance)),
                        times: Times::first(incoming.draft, None, micros(self.now)),
                        categories,
                        feeds,
                        words,
                        sequence: 0,
                    });
                }
                Some(present) => {
                    revised_at.push(at);
                    revised.push(RevisedArticle {
                        times: Times::revised(&present, incoming.draft, micros(self.now)),
                        incoming,
                        present,
                        categories,
                        feeds,
                        words,
                        sequence: 0,
                    });
                }
            }
        }
        self.number_entries(connection, &mut new, &mut revised).await?;
        let rows = insert_articles(connection, self.engine, &new, self.mailable, self.now).await?;
        revise_articles(connection, self.engine, &revised, self.now).await?;
        self.note_events(connection, &rows, &new, &revised).await?;

        let new = new_at.into_iter().zip(rows).zip(new).map(|((at, n), article)| {
            (at, n, Acceptance { id: article.id, what: Accepted::New, feeds: keys_of(&article.touched()) })
        });
        let revised = revised_at.into_iter().zip(revised).map(|(at, article)| {
            let what = Accepted::Revised {
                number: article.present.revision + 1,
                significant: article.incoming.draft.significant,
            };
            let feeds = keys_of(&article.touched());
            (at, article.present.n, Acceptance { id: article.present.id, what, feeds })
        });
        Ok(new.chain(revised).collect())
    }

    async fn note_events(
        &self,
        connection: &mut AnyConnection,
        rows: &[i64],
        new: &[NewArticle<'_>],
        revised: &[RevisedArticle<'_>],
    ) -> Result<(), StoreError> {
        let out = rows.iter().zip(new).filter(|(_, article)| article.times.is_visible()).map(|(n, _)| *n);
        let mut published: Vec<i64> = out.collect();
        let mut changed = Vec::new();
        for article in revised.iter().filter(|article| article.times.is_visible()) {
            let was_out = article.present.state == ArticleState::Visible;
            if was_out { &mut changed } else { &mut published }.push(article.present.n);
        }
        note_article_events(connection, EventKind::Published, &published, self.now).await?;
        note_article_events(connection, EventKind::Changed, &changed, self.now).await
    }

    /// Gives each article that enters a feed its place in the order of publishing, the new ones
    /// first, as the drafts came; and notes which feeds are touched.
    async fn number_entries(
        &mut self,
        connection: &mut AnyConnection,
        new: &mut [NewArticle<'_>],
        revised: &mut [RevisedArticle<'_>],
    ) -> Result<(), StoreError> {
        let entering = new.iter().filter(|a| a.times.is_visible()).count()
            + revised.iter().filter(|a| a.enters().next().is_some()).count();
        if entering > 0 {
            let count = i64::try_from(entering).unwrap_or(i64::MAX);
            let last = advance_sequence(connection, count).await?;
            self.number = Some(last);
            let mut numbers = last - count + 1..=last;
            for article in new.iter_mut().filter(|a| a.times.is_visible()) {
                article.sequence = numbers.next().unwrap_or(last);
            }
            for article in revised.iter_mut().filter(|a| a.enters().next().is_some()) {
                article.sequence = numbers.next().unwrap_or(last);
            }
        }
        self.touched.feeds.extend(new.iter().flat_map(NewArticle::touched));
        self.touched.feeds.extend(revised.iter().flat_map(RevisedArticle::touched));
        self.touched.pages.extend(revised.iter().flat_map(|article| &article.present.pages));
        Ok(())
    }
}

/// The longest front in which no key comes twice.
fn distinct_front<'i, 'd>(rest: &'i [Incoming<'d>]) -> &'i [Incoming<'d>] {
    let mut seen = HashSet::new();
    let distinct = rest.iter().take_while(|incoming| {
        let new = incoming.keys.iter().all(|key| !seen.contains(key.as_str()));
        seen.extend(incoming.keys.iter().map(String::as_str));
        new
    });
    &rest[..distinct.count()]
}

/// When an article is out, in microseconds, and whether it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) state: ArticleState,
    pub(super) published: i64,
    pub(super) updated: i64,
}

impl Times {
    /// Of an article that nobody has seen: its draft may still say when it comes out.
    fn first(draft: &Draft, planned: Option<i64>, now: i64) -> Self {
        let published = draft.published.map(micros).or(planned).unwrap_or(now);
        if published > now {
            return Self { state: ArticleState::Embargoed, published, updated: published };
        }
        let updated = draft.updated.map_or(published, micros).clamp(published, now);
        Self { state: ArticleState::Visible, published, updated }
    }

    /// Of an article that is changed.
    fn revised(present: &Present, draft: &Draft, now: i64) -> Self {
        if present.state == ArticleState::Embargoed {
            return Self::first(draft, Some(present.published), now);
        }
        let said = draft.updated.map(micros).filter(|said| *said > present.updated && *said <= now);
        let updated = match said {
            _ if !draft.significant => present.updated,
            Some(said) => said,
            None => now.max(present.updated + 1),
        };
        Self { state: present.state, published: present.published, updated }
    }

    pub(super) fn is_visible(&self) -> bool {
        self.state == ArticleState::Visible
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{WebUrl, from_micros};
    use proptest::prelude::*;

    #[test]
    fn a_long_key_stays_itself() {
        let key = |end: &str| {
            let url = format!("https://bao.example/{}{end}", "đ".repeat(5_000));
            stored_key(&IdentityKey::url(&WebUrl::parse(&url).unwrap()))
        };
        assert!(key("a").len() <= KEY_BYTES);
        assert_eq!(key("a"), key("a"));
        assert_ne!(key("a"), key("b"));
        let nul = WebUrl::parse("https://bao.example/?q=%00").unwrap();
        assert!(!stored_key(&IdentityKey::url(&nul)).contains('\0'));
    }

    proptest! {
        #[test]
        fn updated_lies_between_published_and_now(
            published in proptest::option::of(0_i64..1_000),
            updated in proptest::option::of(0_i64..1_000),
            now in 0_i64..1_000,
        ) {
            let mut draft = Draft::titled("Tin").unwrap();
            draft.published = published.map(from_micros);
            draft.updated = updated.map(from_micros);
            let times = Times::first(&draft, None, now);
            prop_assert!(times.published <= times.updated);
            prop_assert_eq!(times.is_visible(), times.published <= now);
            prop_assert!(times.updated <= now || !times.is_visible());
        }
    }
}
