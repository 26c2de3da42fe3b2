//! A trial of a source: whether it can be reached and read. Nothing is taken and nothing remembered.

use super::document::{Remembered, ask};
use super::folder::files_below;
use super::looking::SourceError;
use super::table::{admit, first_rows};
use super::{Source, SourceKind, Sources, Table};
use crate::domain::WebUrl;
use crate::intake::{InputFormat, Sitemap, detect, read};
use crate::query::Session;

impl Sources {
    /// Tries a source, and says in a line what is there.
    pub async fn try_out(&self, source: &Source) -> Result<String, SourceError> {
        match &source.kind {
            SourceKind::Feed(url) => {
                let (bytes, url) = self.try_document(source, url).await?;
                let format = detect(url.as_url().path(), &bytes);
                let intake = self.intake(source, url.as_str(), Some(format), Some(url.clone()));
                let items = read(&intake, &bytes);
                let sound = items.iter().filter(|item| item.is_ok()).count();
                match items.into_iter().find_map(Result::err) {
                    Some(fault) if sound == 0 => Err(SourceError::Failed(fault.to_string())),
                    _ => Ok(format!("{url} is a feed of {sound} articles")),
                }
            }
            SourceKind::Sitemap(url) => {
                let (bytes, url) = self.try_document(source, url).await?;
                if detect(url.as_url().path(), &bytes) != InputFormat::Sitemap {
                    return Err(SourceError::Failed(format!("{url} is no sitemap")));
                }
                let Sitemap { pages, sitemaps } = Sitemap::read(&bytes);
                Ok(format!("{url} names {} pages and {} sitemaps", pages.len(), sitemaps.len()))
            }
            SourceKind::Folder(path) => match std::fs::read_dir(path) {
                Ok(_) => Ok(format!("{} has {} files", path.display(), files_below(path).len())),
                Err(error) => Err(SourceError::Failed(format!("{}: {error}", path.display()))),
            },
            SourceKind::Sql(table) => self.try_table(source, table).await,
            SourceKind::Webhook(hook) => Ok(match (&hook.key, &hook.secret) {
                (Some(_), Some(_)) => {
                    format!("{}/KEY takes posts, and signed ones without the key", source.place())
                }
                (Some(_), None) => format!("{}/KEY takes posts", source.place()),
                _ => format!("{} takes signed posts", source.place()),
            }),
        }
    }

    async fn try_document(&self, source: &Source, url: &WebUrl) -> Result<(Vec<u8>, WebUrl), SourceError> {
        let found = ask(self.fetcher(source), url, &Remembered::default(), self.clock.now()).await?;
        Ok((found.bytes.unwrap_or_default(), found.url))
    }

    async fn try_table(&self, source: &Source, table: &Table) -> Result<String, SourceError> {
        let mut session = Session::open(&table.url).await?;
        let asked = first_rows(table, &session);
        let rows = session.rows(asked).await;
        session.close().await;
        let rows = rows?;
        let Some(first) = rows.first() else { return Ok(format!("{} has no such rows yet", table.url)) };
        admit(table, first)?;
        let key = first.get(&table.key).map(|key| key.text.clone()).unwrap_or_default();
        match self.article(source, table, &key, first) {
            Ok(arrival) => Ok(format!("{} has `{}` and more", table.url, arrival.draft.title)),
            Err(fault) => Err(SourceError::Failed(format!("row {key}: {fault}; is a column to be mapped?"))),
        }
    }
}
