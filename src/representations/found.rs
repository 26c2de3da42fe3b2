use super::Representations;
use crate::domain::{
    Directory, FeedDefinition, FeedKey, FeedName, FeedPlace, Label, LabelKind, Lookup, Selection, Slug, Term,
    clean_line, excerpt, fold,
};
use crate::store::StoreError;
use std::sync::Arc;

/// The longest search, in characters.
const SEARCH_CHARS: usize = 200;

/// What a name in a URL leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A feed.
    Feed(Box<FeedDefinition>),
    /// A feed that is published under another name.
    Moved(Box<FeedDefinition>),
    /// A feed that has ended for good.
    Gone,
    /// Nothing.
    Nothing,
}

impl Representations {
    /// The feed of a name: one of the directory's, or what its terms say.
    pub async fn find(&self, name: &FeedName) -> Result<Found, StoreError> {
        let directory = self.directory();
        let mut feeds = Vec::with_capacity(name.terms().len());
        for term in name.terms() {
            match self.term(&directory, term).await? {
                Found::Feed(feed) | Found::Moved(feed) => feeds.push(*feed),
                nothing => return Ok(nothing),
            }
        }
        // The terms by which the feeds go now.
        let terms: Option<Vec<Term>> = feeds.iter().map(term_of).collect();
        let present = terms.and_then(|terms| match name {
            FeedName::Intersection(_) => FeedName::intersection(terms),
            _ => FeedName::union(terms),
        });
        let Some(present) = present else { return Ok(Found::Nothing) };
        let found = match (&present, feeds.first()) {
            (FeedName::One(_), Some(feed)) => feed.clone(),
            _ => match self.joined(&feeds, &present) {
                Some(joined) => joined,
                None => return Ok(Found::Nothing),
            },
        };
        match directory.by_selection(&found.selection) {
            Some(declared) if declared.place != FeedPlace::Named(name.clone()) => {
                Ok(Found::Moved(Box::new(declared.clone())))
            }
            None if present != *name => Ok(Found::Moved(Box::new(found))),
            _ => Ok(Found::Feed(Box::new(found))),
        }
    }

    /// The feed of what somebody looks for: `None` where there is no word.
    pub fn search_feed(&self, typed: &str) -> Option<FeedDefinition> {
        let words = excerpt(&clean_line(typed), SEARCH_CHARS);
        let folded = fold(&words);
        let title = format!("“{words}”");
        let selection = Selection::Search(folded.clone());
        let place = FeedPlace::Search(words);
        (!folded.is_empty()).then(|| FeedDefinition::undeclared(&self.publication, selection, place, title))
    }

    /// The feed of what a reader has by mail, for his eyes alone.
    pub fn private_feed(&self, token: &str, mut keys: Vec<FeedKey>) -> FeedDefinition {
        let directory = self.directory();
        if keys.contains(&FeedKey::All) {
            keys = vec![FeedKey::All];
        }
        keys.sort_unstable();
        keys.dedup();
        let terms = keys.iter().filter_map(|key| match &directory.by_key(*key)?.place {
            FeedPlace::Named(FeedName::One(term)) => Some(term.clone()),
            _ => None,
        });
        let public = FeedName::union(terms.collect());
        let selection = match keys[..] {
            [key] => Selection::One(key),
            _ => Selection::Union(keys),
        };
        let place = FeedPlace::Private { token: token.to_owned(), public };
        FeedDefinition::undeclared(&self.publication, selection, place, self.publication.title.clone())
    }

    /// Several feeds as one. `None` where one of them keeps no entries, as a search.
    fn joined(&self, feeds: &[FeedDefinition], name: &FeedName) -> Option<FeedDefinition> {
        let mut keys: Vec<FeedKey> = feeds.iter().map(FeedDefinition::key).collect::<Option<_>>()?;
        keys.sort_unstable();
        let titles: Vec<&str> = feeds.iter().map(|feed| feed.title.as_str()).collect();
        let (selection, title) = match name {
            FeedName::Intersection(_) => (Selection::Intersection(keys), titles.join(" + ")),
            _ => (Selection::Union(keys), titles.join(", ")),
        };
        let place = FeedPlace::Named(name.clone());
        Some(FeedDefinition::undeclared(&self.publication, selection, place, title))
    }

    async fn term(&self, directory: &Directory, term: &Term) -> Result<Found, StoreError> {
        match term {
            Term::Named(slug) => Ok(match directory.lookup(slug) {
                Lookup::Feed(feed) => Found::Feed(Box::new(feed.clone())),
                Lookup::Moved(feed) => Found::Moved(Box::new(feed.clone())),
                Lookup::Retired => Found::Gone,
                Lookup::Nothing => Found::Nothing,
            }),
            Term::Label(kind, slug) => {
                let Some(label) = self.label(*kind, slug).await? else { return Ok(Found::Nothing) };
                let selection = Selection::One(FeedKey::Label(label.id));
                let place = FeedPlace::Named(FeedName::One(term.clone()));
                let title = label.title.clone();
                let feed = FeedDefinition::undeclared(&self.publication, selection, place, title);
                Ok(Found::Feed(Box::new(feed)))
            }
        }
    }

    /// A label; from memory where it was asked for before. One that is not there is looked for
    /// each time: it may come with the next article.
    async fn label(&self, kind: LabelKind, slug: &Slug) -> Result<Option<Arc<Label>>, StoreError> {
        let key = (kind, slug.clone());
        if let Some(label) = self.labels.get(&key).await {
            return Ok(Some(label));
        }
        let Some(label) = self.store.label(kind, slug).await?.map(Arc::new) else { return Ok(None) };
        self.labels.insert(key, Arc::clone(&label)).await;
        Ok(Some(label))
    }
}

fn term_of(feed: &FeedDefinition) -> Option<Term> {
    match &feed.place {
        FeedPlace::Named(FeedName::One(term)) => Some(term.clone()),
        _ => None,
    }
}
