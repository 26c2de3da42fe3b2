use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that somebody else made (randomness is passed in).
            pub fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            pub fn uuid(self) -> Uuid {
                self.0
            }

            /// The permanent, location-independent name used as `atom:id`, `guid` and JSON Feed
            /// `id` (RFC 4287 §4.2.6: it never changes, whatever happens to title or URL).
            pub fn urn(self) -> String {
                self.0.urn().to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// An article's name for ever, whatever happens to its title, URL or category.
    ArticleId
);
uuid_id!(
    /// A category's name for ever; its slug and title may change.
    CategoryId
);
uuid_id!(
    /// The name for ever of a tag, byline or source; made of its letters.
    LabelId
);
uuid_id!(
    /// The name for ever of a search that readers subscribe to; made of its words.
    SearchId
);
row_id!(
    /// A subscriber in the store.
    SubscriberId
);
row_id!(
    /// One run of a digest.
    EditionId
);
row_id!(
    /// One mail to one subscriber.
    DeliveryId
);
row_id!(
    /// One request to subscribe, waiting for its confirmation.
    OptInId
);
row_id!(
    /// A feed's document that callbacks are subscribed to.
    TopicId
);
row_id!(
    /// A callback that is subscribed to a topic.
    CallbackId
);
row_id!(
    /// A wish to subscribe or unsubscribe a callback. Later ones have higher numbers.
    RequestId
);
row_id!(
    /// An external hub or a webhook that the newsroom declared.
    EndpointId
);
row_id!(
    /// What articles flow in from.
    SourceId
);
