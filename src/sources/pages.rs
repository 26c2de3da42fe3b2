//! Pages that a sitemap names or a notice asks for: fetched one by one, the latest first.

use super::catch::Catch;
use super::document::{Found, Remembered, ask};
use super::looking::{Looked, Next, SourceError};
use super::{Source, Sources};
use crate::domain::WebUrl;
use crate::intake::{InputFormat, Sitemap, detect, read};
use crate::store::{ClaimedSource, OpenItem, Taken};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many pages are fetched in one look. The rest is for the next, which comes at once.
const PAGES: i64 = 50;
/// How long a server has peace between two pages.
const PAUSE: Duration = Duration::from_millis(500);
/// After how many pages in a row that failed the server has peace for longer.
const IN_A_ROW: usize = 3;
/// How many sitemaps one may name.
const SITEMAPS: usize = 100;
/// The longest address that is kept, in bytes; PostgreSQL indexes 2,704 at most.
const LONGEST: usize = 2_000;
/// When pages that failed are tried again.
const FAILED: chrono::Duration = chrono::Duration::minutes(15);

/// What is remembered of a sitemap and of those that it names.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    documents: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    document: Remembered,
    sitemaps: Vec<WebUrl>,
}

impl Sources {
    /// Polls a sitemap, and fetches the pages that are new in it or say that they changed.
    pub(super) async fn look_at_sitemap(
        &self,
        claimed: &ClaimedSource,
        source: &Source,
        url: &WebUrl,
    ) -> Result<Looked, SourceError> {
        let mut memory: Memory = serde_json::from_str(&claimed.memory).unwrap_or_default();
        let (root, fresh) = self.read_sitemap(claimed, source, url, &mut memory).await?;
        for sitemap in root.sitemaps.iter().take(SITEMAPS) {
            self.read_sitemap(claimed, source, sitemap, &mut memory).await?;
        }
        memory.documents.retain(|name, _| {
            name == url.as_str() || root.sitemaps.iter().any(|sitemap| sitemap.as_str() == name)
        });
        let memory = serde_json::to_string(&memory).ok();
        let mut looked = self.look_at_pages(claimed, source).await?;
        looked.memory = memory;
        if looked.next == Next::WhenAsked {
            looked.next = Next::AfterAtLeast(fresh);
        }
        Ok(looked)
    }

    async fn read_sitemap(
        &self,
        claimed: &ClaimedSource,
        source: &Source,
        url: &WebUrl,
        memory: &mut Memory,
    ) -> Result<(Known, chrono::Duration), SourceError> {
        let mut known = memory.documents.get(url.as_str()).cloned().unwrap_or_default();
        let found = ask(self.fetcher(source), url, &known.document, self.clock.now()).await?;
        if let Some(bytes) = found.bytes {
            if detect(found.url.as_url().path(), &bytes) != InputFormat::Sitemap {
                return Err(SourceError::Failed(format!("{url} is no sitemap")));
            }
            let Sitemap { pages, sitemaps } = Sitemap::read(&bytes);
            let pages = pages.into_iter().filter(|(page, _)| page.as_str().len() <= LONGEST);
            let met: Vec<(String, String)> = pages
                .map(|(page, changed)| (page.to_string(), changed.unwrap_or_else(|| "once".to_owned())))
                .collect();
            for part in met.chunks(1_000) {
                self.store.meet_items(claimed.id, part).await?;
            }
            known.sitemaps = sitemaps;
        }
        known.document = found.remembered;
        memory.documents.insert(url.to_string(), known.clone());
        Ok((known, found.fresh))
    }

    /// Fetches the pages that are wanted. One that fails is tried again later, behind all others.
    pub(super) async fn look_at_pages(
        &self,
        claimed: &ClaimedSource,
        source: &Source,
    ) -> Result<Looked, SourceError> {
        let open = self.store.open_items(claimed.id, PAGES).await?;
        let is_full = open.len() as i64 == PAGES;
        let (mut sum, mut failed, mut in_a_row) = (Taken::default(), 0, 0);
        for (at, page) in open.iter().enumerate() {
            if at > 0 {
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            if self.stop.is_cancelled() {
                return Err(SourceError::Stopped);
            }
            let mut catch = Catch::default();
            match self.fetch_page(source, page, &mut catch).await {
                Ok(()) => in_a_row = 0,
                // The server, not the page, wants peace.
                Err(error @ SourceError::Later { .. }) => return Err(error),
                Err(error) => {
                    (failed, in_a_row) = (failed + 1, in_a_row + 1);
                    catch.note(&page.item, "", Some(error.to_string()));
                    self.take(claimed.id, source, catch, None, false).await?;
                    if in_a_row == IN_A_ROW {
                        return Err(SourceError::Failed(format!(
                            "{IN_A_ROW} pages in a row failed: {error}"
                        )));
                    }
                    continue;
                }
            }
            let taken = self.take(claimed.id, source, catch, None, false).await?;
            sum += taken;
        }
        let next = match (failed, is_full) {
            (0, true) => Next::AtOnce,
            (0, false) => Next::WhenAsked,
            _ => Next::AfterAtLeast(FAILED),
        };
        Ok(Looked { taken: sum, memory: None, next })
    }

    /// A page's article, or what is wrong with the page until it changes. An error may pass.
    async fn fetch_page(
        &self,
        source: &Source,
        page: &OpenItem,
        catch: &mut Catch,
    ) -> Result<(), SourceError> {
        let wrong = |catch: &mut Catch, why: String| -> Result<(), SourceError> {
            catch.note(&page.item, &page.wanted, Some(why));
            Ok(())
        };
        let url = match WebUrl::parse(&page.item) {
            Ok(url) => url,
            Err(error) => return wrong(catch, error.to_string()),
        };
        let now = self.clock.now();
        match ask(self.fetcher(source), &url, &Remembered::default(), now).await {
            Ok(Found { bytes, url, .. }) => {
                let bytes = bytes.unwrap_or_default();
                let format = detect(url.as_url().path(), &bytes);
                let intake = self.intake(source, &page.item, Some(format), Some(url));
                catch.add(source, (&page.item, &page.wanted), &page.item, read(&intake, &bytes), now);
                Ok(())
            }
            Err(error @ SourceError::Gone) => wrong(catch, error.to_string()),
            Err(SourceError::Answered(status)) if (400..500).contains(&status) && status != 429 => {
                wrong(catch, SourceError::Answered(status).to_string())
            }
            Err(error) => Err(error),
        }
    }
}
