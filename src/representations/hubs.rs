use super::{Representations, Wanted, Which};
use crate::domain::{FeedName, FeedPlace, Term, WebUrl};
use std::sync::Arc;

/// The hubs that tell of changes (WebSub §4).
#[derive(Clone, Debug, Default)]
pub struct Hubs {
    /// Ours, which distributes every document that is polled.
    pub own: Option<WebUrl>,
    /// Others, which are told of the feeds that have a name of their own: the rest is without number,
    /// and a reader's private feed is nobody else's business.
    pub external: Vec<WebUrl>,
}

impl Hubs {
    /// Those of the documents at a place.
    pub(super) fn of(&self, place: &FeedPlace) -> Vec<WebUrl> {
        let is_listed = matches!(place, FeedPlace::Named(FeedName::One(Term::Named(_))));
        let external = self.external.iter().filter(|_| is_listed);
        self.own.iter().chain(external).cloned().collect()
    }

    /// What of the documents depends on them; nothing where there is none.
    pub(super) fn fingerprint(&self) -> String {
        self.own.iter().chain(&self.external).map(|url| format!(" hub {url}")).collect()
    }
}

impl Representations {
    /// The `Link` of a document that hubs distribute: them, and the topic, once (WebSub §4).
    pub(super) fn link(&self, wanted: &Wanted) -> Option<Arc<str>> {
        let is_polled = matches!(wanted.which, Which::Subscription | Which::Page(1));
        let hubs = self.hubs.of(&wanted.feed.place);
        if !is_polled || hubs.is_empty() {
            return None;
        }
        let topic = self.publication.url(&wanted.path()?);
        let hubs: String = hubs.iter().map(|hub| format!("<{hub}>; rel=\"hub\", ")).collect();
        Some(format!("{hubs}<{topic}>; rel=\"self\"").into())
    }
}
