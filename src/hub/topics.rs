use super::{Hub, HubError};
use crate::domain::{FeedName, FeedPlace, Selection, SubscriberId, TokenPurpose, TopicPath};
use crate::representations::{Found, Wanted, Which};
use crate::subscribe::{self, SubscribeError};

/// What stands behind a topic.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    /// The document.
    pub(super) wanted: Wanted,
    /// Whose feed it is, where it is one reader's.
    pub(super) reader: Option<SubscriberId>,
    /// Its topic's present path: the feed may have moved.
    pub(super) path: TopicPath,
}

impl Hub {
    /// The document of a topic as it is now; `None` where there is none, or none any more.
    pub(super) async fn resolve(&self, path: &TopicPath) -> Result<Option<Resolved>, HubError> {
        let Some(format) = path.format() else { return Ok(None) };
        let (file, query) = path.as_str().split_once('?').unwrap_or((path.as_str(), ""));
        let Some((name, _)) = file.rsplit_once('.') else { return Ok(None) };
        let (feed, reader) = match (name.strip_prefix("/my/"), name.strip_prefix("/feeds/")) {
            (Some(token), _) => match self.private(token).await? {
                Some((feed, reader)) => (feed, Some(reader)),
                None => return Ok(None),
            },
            (_, Some("search")) => {
                let typed = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "q");
                let feed = typed.and_then(|(_, typed)| self.representations.search_feed(&typed));
                match feed {
                    Some(feed) => (feed, None),
                    None => return Ok(None),
                }
            }
            (_, Some(name)) => {
                let Ok(name) = name.parse::<FeedName>() else { return Ok(None) };
                match self.representations.find(&name).await? {
                    Found::Feed(feed) | Found::Moved(feed) => (*feed, None),
                    Found::Gone | Found::Nothing => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        if !feed.formats.contains(&format) {
            return Ok(None);
        }
        let which = match (&feed.selection, &feed.place) {
            (Selection::Search(_), FeedPlace::Search(_)) => Which::Page(1),
            _ => Which::Subscription,
        };
        let wanted = Wanted { feed, which, format };
        let present = wanted.path().and_then(|path| TopicPath::of_path(&path));
        Ok(present.map(|path| Resolved { wanted, reader, path }))
    }

    async fn private(
        &self,
        token: &str,
    ) -> Result<Option<(crate::domain::FeedDefinition, SubscriberId)>, HubError> {
        let reader = match subscribe::reader_of(&self.secret, token, TokenPurpose::Feed) {
            Ok(reader) => reader,
            Err(SubscribeError::Link) => return Ok(None),
            Err(SubscribeError::Store(error)) => return Err(error.into()),
        };
        if self.store.subscriber(reader).await?.is_none() {
            return Ok(None);
        }
        let subscriptions = self.store.subscriptions(reader).await?;
        let keys = subscriptions.iter().map(|subscription| subscription.feed).collect();
        Ok(Some((self.representations.private_feed(token, keys), reader)))
    }
}
