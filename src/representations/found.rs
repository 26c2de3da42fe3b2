use super::Representations;
use crate::domain::{
    Directory, FeedDefinition, FeedKey, FeedName, FeedPlace, Label, LabelKind, Selection, Slug, Term,
};
use crate::store::StoreError;
use std::sync::Arc;

/// What a name in a URL leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A feed.
    Feed(Box<FeedDefinition>),
    /// A feed that is published under another name.
    Moved(Box<FeedDefinition>),
    /// Nothing.
    Nothing,
}

impl Representations {
    /// The feed of a name: one of the directory's, or what its terms say.
    pub async fn find(&self, name: &FeedName) -> Result<Found, StoreError> {
        let directory = self.directory();
        let mut terms = Vec::with_capacity(name.terms().len());
        for term in name.terms() {
            match self.term(&directory, term).await? {
                Some(found) => terms.push(found),
                None => return Ok(Found::Nothing),
            }
        }
        if let ([feed], FeedName::One(Term::Named(_))) = (&terms[..], name) {
            return Ok(Found::Feed(Box::new(feed.clone())));
        }
        let keys: Option<Vec<FeedKey>> = terms.iter().map(FeedDefinition::key).collect();
        let Some(mut keys) = keys else { return Ok(Found::Nothing) };
        keys.sort_unstable();
        keys.dedup();
        let titles: Vec<&str> = terms.iter().map(|feed| feed.title.as_str()).collect();
        let (selection, title) = match name {
            _ if keys.len() == 1 => (Selection::One(keys[0]), titles[0].to_owned()),
            FeedName::Intersection(_) => (Selection::Intersection(keys), titles.join(" + ")),
            _ => (Selection::Union(keys), titles.join(", ")),
        };
        if let Some(declared) = directory.by_selection(&selection) {
            return Ok(Found::Moved(Box::new(declared.clone())));
        }
        let place = FeedPlace::Named(name.clone());
        Ok(Found::Feed(Box::new(FeedDefinition::undeclared(&self.publication, selection, place, title))))
    }

    async fn term(&self, directory: &Directory, term: &Term) -> Result<Option<FeedDefinition>, StoreError> {
        match term {
            Term::Named(slug) => Ok(directory.by_slug(slug).cloned()),
            Term::Label(kind, slug) => {
                let Some(label) = self.label(*kind, slug).await? else { return Ok(None) };
                let selection = Selection::One(FeedKey::Label(label.id));
                let place = FeedPlace::Named(FeedName::One(term.clone()));
                let title = label.title.clone();
                Ok(Some(FeedDefinition::undeclared(&self.publication, selection, place, title)))
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
