use super::catch::Catch;
use super::document::{Remembered, ask};
use super::looking::{Looked, SourceError};
use super::{Source, Sources};
use crate::domain::WebUrl;
use crate::intake::{InputFormat, detect, read};
use crate::store::ClaimedSource;

impl Sources {
    /// Polls a feed. Its items are known by their ids, then by their addresses; a changed one is a revision.
    pub(super) async fn look_at_feed(
        &self,
        claimed: &ClaimedSource,
        source: &Source,
        url: &WebUrl,
    ) -> Result<Looked, SourceError> {
        let mut known: Remembered = serde_json::from_str(&claimed.memory).unwrap_or_default();
        known.afresh = claimed.announced_at.is_some();
        let now = self.clock.now();
        let found = ask(self.fetcher(source), url, &known, now).await?;
        let memory = serde_json::to_string(&found.remembered).ok();
        self.note_offer(claimed.id, source, &found).await?;
        let Some(bytes) = found.bytes else {
            let next = self.next_poll(claimed, source, 0, found.fresh).await?;
            return Ok(Looked { memory, next, ..Looked::default() });
        };
        let format = detect(found.url.as_url().path(), &bytes);
        if !matches!(format, InputFormat::Feed | InputFormat::Json | InputFormat::JsonLines) {
            let words = format!("this is no feed but {format}; is the address right, or the kind?");
            return Err(SourceError::Failed(words));
        }
        let name = found.url.to_string();
        let mut catch = Catch::default();
        for (at, arrival) in
            read(&self.intake(source, &name, Some(format), Some(found.url)), &bytes).into_iter().enumerate()
        {
            match arrival {
                Ok(arrival) => catch.put(source, &name, arrival, now),
                Err(fault) => catch.note(&format!("item {}", at + 1), "read", Some(fault.to_string())),
            }
        }
        let taken = self.take(claimed.id, source, catch, memory.as_deref(), true).await?;
        let next =
            self.next_poll(claimed, source, taken.new + taken.revised + taken.drafts, found.fresh).await?;
        Ok(Looked { taken, memory: None, next })
    }
}
