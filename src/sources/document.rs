//! A document of another server, asked for politely.

use super::looking::SourceError;
use super::politeness::{freshness, retry_after};
use crate::domain::{Instant, WebUrl};
use crate::fetch::{Answer, FetchError, Fetcher, Method};
use crate::intake::{in_charset, unpacked};
use chrono::Duration;
use serde::{Deserialize, Serialize};

/// What is remembered of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Where it is now, where its server said that it has moved for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<WebUrl>,
    /// Its entity tag, when it was last taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_tag: Option<String>,
    /// Its Last-Modified, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<String>,
    /// Whether caches on the way are passed by this time: it is known to have changed.
    #[serde(skip)]
    pub afresh: bool,
}

/// What came back.
#[derive(Debug)]
pub struct Found {
    /// Its bytes, in UTF-8 where the server names a character set. `None`: as it was when last taken.
    pub bytes: Option<Vec<u8>>,
    /// Where it was found.
    pub url: WebUrl,
    /// What is to be remembered once it is taken.
    pub remembered: Remembered,
    /// How long it stays as it is, as its server says.
    pub fresh: Duration,
    /// What its Link headers say.
    pub links: Vec<String>,
}

/// Asks for a document that may have changed since it was taken.
pub async fn ask(
    fetcher: &Fetcher,
    url: &WebUrl,
    known: &Remembered,
    now: Instant,
) -> Result<Found, SourceError> {
    let mut headers = vec![("accept-encoding", "identity".to_owned())];
    headers.extend(known.entity_tag.clone().map(|tag| ("if-none-match", tag)));
    headers.extend(known.changed_at.clone().map(|date| ("if-modified-since", date)));
    headers.extend(known.afresh.then(|| ("cache-control", "no-cache".to_owned())));
    let here = known.moved.as_ref().unwrap_or(url);
    let answer = fetcher.ask(Method::Get, here.as_url(), &headers).await.map_err(|error| match error {
        FetchError::NotPublic { .. } => {
            SourceError::Failed(format!("{error}; `private = true` lets this source lie in the own network"))
        }
        error => SourceError::Failed(error.to_string()),
    })?;
    let fresh = freshness(&answer);
    let links = answer.headers.iter().filter(|(name, _)| name == "link").map(|(_, value)| value.clone());
    let links = links.collect();
    let moved = moved_for_good(&answer).or_else(|| known.moved.clone());
    let is_known = known.entity_tag.is_some() || known.changed_at.is_some();
    let url = WebUrl::parse(answer.url.as_str()).map_err(|error| SourceError::Failed(error.to_string()))?;
    match answer.status {
        304 if is_known => {
            Ok(Found { bytes: None, url, remembered: Remembered { moved, ..known.clone() }, fresh, links })
        }
        200..=299 => {
            // What is told to be gzip is unpacked like a file that is gzip.
            let coding = answer.header("content-encoding").unwrap_or("identity");
            if !["identity", "gzip", "x-gzip"].contains(&coding) {
                return Err(SourceError::Failed("the server sends it compressed, unasked".to_owned()));
            }
            let header =
                |name: &str| answer.header(name).map(str::to_owned).filter(|value| value.len() <= 500);
            let (entity_tag, changed_at) = (header("etag"), header("last-modified"));
            let remembered = Remembered { moved, entity_tag, changed_at, afresh: false };
            let kind = answer.header("content-type").unwrap_or_default().to_owned();
            let body = unpacked(answer.body).map_err(|fault| SourceError::Failed(fault.to_string()))?;
            let bytes = match kind.split_once("charset=") {
                Some((_, label)) => in_charset(body, label.split(';').next().unwrap_or_default()),
                None => body,
            };
            Ok(Found { bytes: Some(bytes), url, remembered, fresh, links })
        }
        410 => Err(SourceError::Gone),
        status => match retry_after(&answer, now) {
            Some(wait) => Err(SourceError::Later { status, wait }),
            None => Err(SourceError::Answered(status)),
        },
    }
}

/// Where a document has moved to: as far as every redirect on the way says that it is for good.
fn moved_for_good(answer: &Answer) -> Option<WebUrl> {
    let last = answer.hops.iter().take_while(|hop| matches!(hop.status, 301 | 308)).last()?;
    WebUrl::parse(last.to.as_str()).ok()
}
