//! What the newsroom's programs post: articles, or the address of a page to fetch.

use super::catch::Catch;
use super::{Hook, Source, SourceKind, Sources};
use crate::domain::{WebUrl, micros};
use crate::intake::{InputFormat, read};
use crate::store::StoreError;
use serde::Serialize;

/// How many pages one post may ask for, and how much of what is wrong with it is told.
const MOST: usize = 100;

/// What became of a post.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HookAnswer {
    /// New articles.
    pub new: usize,
    /// Changed ones.
    pub revised: usize,
    /// Those that say nothing new.
    pub unchanged: usize,
    /// Drafts that wait for a person.
    pub drafts: usize,
    /// Pages that will be fetched.
    pub fetching: usize,
    /// What is wrong, each with its place.
    pub errors: Vec<String>,
}

impl Hook {
    /// Whether a post proves itself: by the key of its address, or by the signature of its body.
    pub fn admits(&self, key: Option<&str>, body: &[u8], signature: Option<&str>) -> bool {
        match (key, &self.key, &self.secret) {
            (Some(key), Some(known), _) => known.is(key),
            (None, _, Some(secret)) => signature.is_some_and(|signature| secret.signed(body, signature)),
            _ => false,
        }
    }
}

/// `{"fetch": "https://…"}`, or a list of addresses.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Notice {
    fetch: Addresses,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Addresses {
    One(String),
    Many(Vec<String>),
}

impl Sources {
    /// The webhook of a name.
    pub fn hook(&self, name: &str) -> Option<(&Source, &Hook)> {
        let source = self.find(name)?;
        match &source.kind {
            SourceKind::Webhook(hook) => Some((source, hook)),
            _ => None,
        }
    }

    /// Takes what was posted. The same post again changes nothing.
    pub async fn take_post(&self, source: &Source, body: &[u8]) -> Result<HookAnswer, StoreError> {
        match serde_json::from_slice::<Notice>(body) {
            Ok(notice) => self.take_notice(source, notice).await,
            Err(_) => self.take_articles(source, body).await,
        }
    }

    async fn take_notice(&self, source: &Source, notice: Notice) -> Result<HookAnswer, StoreError> {
        let mut answer = HookAnswer::default();
        let addresses = match notice.fetch {
            Addresses::One(address) => vec![address],
            Addresses::Many(addresses) => addresses,
        };
        let now = self.clock.now();
        if addresses.len() > MOST {
            answer.errors.push(format!("more than {MOST} addresses in one post; post the others in another"));
        }
        for address in addresses.into_iter().take(MOST) {
            match WebUrl::parse(&address) {
                Ok(url) if url.as_str().len() <= 2_000 => {
                    self.store
                        .ask_for_item(&source.name, url.as_str(), &micros(now).to_string(), now)
                        .await?;
                    answer.fetching += 1;
                }
                Ok(_) => answer.errors.push("an address is longer than 2,000 bytes".to_owned()),
                Err(error) => answer.errors.push(error.to_string()),
            }
        }
        Ok(answer)
    }

    async fn take_articles(&self, source: &Source, body: &[u8]) -> Result<HookAnswer, StoreError> {
        let mut answer = HookAnswer::default();
        let name = format!("webhook {}", source.name);
        let intake = self.intake(source, &name, Some(InputFormat::Json), None);
        let now = self.clock.now();
        let mut catch = Catch::default();
        for arrival in read(&intake, body) {
            match arrival {
                Ok(arrival) => catch.put(source, &name, arrival, now),
                Err(fault) => answer.errors.push(fault.to_string()),
            }
        }
        answer.errors.truncate(MOST);
        let taken = self.take_posted(source, &catch).await?;
        (answer.new, answer.revised) = (taken.new, taken.revised);
        (answer.unchanged, answer.drafts) = (taken.unchanged, taken.drafts);
        Ok(answer)
    }
}
