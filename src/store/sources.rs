//! The sources from which articles flow in: what is due, who looks at it, what came of it.
//!
//! A source's memory (validators, marks) and the states of its items are written in the transaction
//! that takes its articles. Killed before it, everything is met again; after it, nothing is.

use super::acceptance::{Accepted, accept_in};
use super::claims::{Claimed, extend, give_back, hold};
use super::deliveries::storable_reply;
use super::drafts::{Doubtful, Kept, keep_in};
use super::source_hubs::{PEACE, leave};
use super::statement::{damaged, insert_rows, storable};
use super::{Store, StoreError};
use crate::domain::{Attempt, Chance, Draft, Instant, Slug, SourceId, from_micros, micros};
use sqlx::Row;
use sqlx::any::AnyRow;
use std::ops::AddAssign;

/// A source that one worker may look at, until its claim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedSource {
    /// Which.
    pub id: SourceId,
    /// As the configuration calls it.
    pub name: Slug,
    /// What it remembers, as JSON.
    pub memory: String,
    /// Which try this is since the last that succeeded.
    pub attempt: Attempt,
    /// Since when it fails.
    pub failing_since: Option<Instant>,
    /// When its hub said that there is news.
    pub announced_at: Option<Instant>,
}

/// What a source brought, taken as a whole or not at all.
#[derive(Debug, Default)]
pub struct Haul<'d> {
    /// Articles that digests mail.
    pub news: &'d [Draft],
    /// Articles that they do not.
    pub archive: &'d [Draft],
    /// What is for a person to decide.
    pub doubtful: &'d [Doubtful<'d>],
    /// The items that those were, and those with which something was wrong.
    pub items: &'d [ItemMet],
    /// What is to be remembered from now on, if anything.
    pub memory: Option<&'d str>,
    /// Whether what was wrong before is forgotten: the source was read as a whole.
    pub whole: bool,
}

/// An item as it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemMet {
    /// Its path, address or key.
    pub item: String,
    /// The state in which it was taken.
    pub state: String,
    /// What was wrong with it.
    pub error: Option<String>,
}

/// What became of a haul.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// New articles.
    pub new: usize,
    /// Changed ones.
    pub revised: usize,
    /// Those that say nothing new.
    pub unchanged: usize,
    /// Drafts that wait for a person.
    pub drafts: usize,
}

impl Taken {
    /// Counts what became of an article.
    pub fn count(&mut self, what: &Accepted) {
        match what {
            Accepted::New => self.new += 1,
            Accepted::Revised { .. } => self.revised += 1,
            Accepted::Unchanged => self.unchanged += 1,
        }
    }
}

impl AddAssign for Taken {
    fn add_assign(&mut self, more: Self) {
        self.new += more.new;
        self.revised += more.revised;
        self.unchanged += more.unchanged;
        self.drafts += more.drafts;
    }
}

/// How a look at a source ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSettlement {
    /// Well. The next look, if there is one by itself; what is still open is looked at then.
    Done {
        /// When.
        next: Option<Instant>,
        /// What is to be remembered from now on, if anything.
        memory: Option<String>,
        /// The announcement that was looked for. One that came meanwhile is looked for soon.
        announced: Option<Instant>,
    },
    /// Badly.
    Later {
        /// When to try again.
        next: Instant,
        /// Why.
        error: String,
    },
    /// For good: its server says that it is gone.
    Stopped {
        /// In which words.
        error: String,
    },
}

/// A source as the newsroom sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceState {
    /// Which.
    pub id: SourceId,
    /// As the configuration calls it.
    pub name: Slug,
    /// What it remembers, as JSON.
    pub memory: String,
    /// When it is looked at next.
    pub due_at: Option<Instant>,
    /// Whether somebody looks at it now, as long as nobody died.
    pub is_claimed: bool,
    /// When it was last looked at to the end.
    pub looked_at: Option<Instant>,
    /// When an article last came of it.
    pub taken_at: Option<Instant>,
    /// When a look last ended well.
    pub succeeded_at: Option<Instant>,
    /// Since when it fails.
    pub failing_since: Option<Instant>,
    /// Why.
    pub last_error: Option<String>,
    /// Since when it is looked at no more.
    pub stopped_at: Option<Instant>,
}

impl Store {
    /// Makes the store know the declared sources: name, fingerprint of what is said of it, and whether it
    /// is looked at by itself. One that says something else than before begins anew.
    pub async fn declare_sources(
        &self,
        declared: &[(&Slug, String, bool)],
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        for (name, definition, polled) in declared {
            let due = polled.then(|| micros(now));
            let text = "INSERT INTO sources (name, definition, memory, due_at, attempts) VALUES ($1, $2, '{}', $3, 0) \
                ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, memory = '{}', \
                due_at = excluded.due_at, attempts = 0, claimed_by = NULL, failing_since = NULL, \
                announced_at = NULL, last_error = NULL, stopped_at = NULL WHERE sources.definition <> excluded.definition RETURNING n";
            let changed: Option<i64> = sqlx::query_scalar(text)
                .bind(name.to_string())
                .bind(definition.clone())
                .bind(due)
                .fetch_optional(&mut *tx)
                .await?;
            if let Some(n) = changed {
                let text = "DELETE FROM source_items WHERE source = $1";
                sqlx::query(text).bind(n).execute(&mut *tx).await?;
                leave(&mut tx, SourceId(n), now).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Claims those of these sources that are due. There are few: all are looked at.
    pub async fn claim_sources(
        &self,
        names: &[Slug],
        worker: &str,
        until: Instant,
        now: Instant,
    ) -> Result<Vec<ClaimedSource>, StoreError> {
        let text = "SELECT count(*) FROM sources WHERE due_at <= $1 AND stopped_at IS NULL";
        let due: i64 = sqlx::query_scalar(text).bind(micros(now)).fetch_one(self.readers()).await?;
        if due == 0 {
            return Ok(Vec::new());
        }
        let mut tx = self.write().await?;
        let text = "SELECT n, name, memory, attempts, failing_since, announced_at FROM sources \
            WHERE due_at <= $1 AND stopped_at IS NULL ORDER BY n";
        let rows = sqlx::query(self.skipping(text, "")).bind(micros(now)).fetch_all(&mut *tx).await?;
        let mut claimed = rows.iter().map(claimed_of).collect::<Result<Vec<_>, _>>()?;
        claimed.retain(|source| names.contains(&source.name));
        let ns: Vec<i64> = claimed.iter().map(|source| source.id.0).collect();
        hold(&mut tx, Claimed::Sources, &ns, worker, until).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Claims one source, due or not, also one that was stopped. `None`: it is not there, or another looks
    /// at it.
    pub async fn claim_source(
        &self,
        name: &Slug,
        worker: &str,
        until: Instant,
        now: Instant,
    ) -> Result<Option<ClaimedSource>, StoreError> {
        let mut tx = self.write().await?;
        let text = "SELECT n, name, memory, attempts, failing_since, announced_at FROM sources \
            WHERE name = $1 AND (claimed_by IS NULL OR due_at <= $2)";
        let statement = sqlx::query(self.locked(text)).bind(name.to_string()).bind(micros(now));
        let Some(row) = statement.fetch_optional(&mut *tx).await? else { return Ok(None) };
        let claimed = claimed_of(&row)?;
        hold(&mut tx, Claimed::Sources, &[claimed.id.0], worker, until).await?;
        tx.commit().await?;
        Ok(Some(claimed))
    }

    /// Takes what a claimed source brought, and holds it longer. `None`: the claim had ended, and nothing
    /// was taken.
    pub async fn take_from_source(
        &self,
        worker: &str,
        id: SourceId,
        haul: Haul<'_>,
        until: Instant,
        now: Instant,
        chance: &dyn Chance,
    ) -> Result<Option<Taken>, StoreError> {
        let mut tx = self.write().await?;
        let text =
            "UPDATE sources SET due_at = $1, memory = COALESCE($2, memory) WHERE n = $3 AND claimed_by = $4";
        let ours = sqlx::query(text)
            .bind(micros(until))
            .bind(haul.memory.map(storable))
            .bind(id.0)
            .bind(worker.to_owned())
            .execute(&mut *tx)
            .await?;
        if ours.rows_affected() == 0 {
            return Ok(None);
        }
        let mut taken = Taken::default();
        for (drafts, mailable) in [(haul.news, true), (haul.archive, false)] {
            if drafts.is_empty() {
                continue;
            }
            for acceptance in accept_in(&mut tx, self.engine(), drafts, mailable, now, chance).await? {
                taken.count(&acceptance.what);
            }
        }
        for doubtful in haul.doubtful {
            match keep_in(&mut tx, *doubtful, now, chance).await? {
                Kept::Waits(_) => taken.drafts += 1,
                Kept::Settled => taken.unchanged += 1,
            }
        }
        if haul.whole {
            let text = "UPDATE source_items SET error = NULL WHERE source = $1 AND error IS NOT NULL";
            sqlx::query(text).bind(id.0).execute(&mut *tx).await?;
        }
        let text = "INSERT INTO source_items (source, item, wanted, seen, error) VALUES {rows} \
            ON CONFLICT (source, item) DO UPDATE SET seen = excluded.seen, error = excluded.error, \
            wanted = CASE WHEN source_items.wanted = source_items.seen THEN excluded.wanted ELSE source_items.wanted END";
        insert_rows(&mut tx, text, "(?, ?, ?, ?, ?)", haul.items, |s, met| {
            let state = storable(&met.state);
            s.bind(id.0)
                .bind(storable(&met.item))
                .bind(state.clone())
                .bind(state)
                .bind(met.error.as_deref().map(storable_reply))
        })
        .await?;
        if taken.new + taken.revised + taken.drafts > 0 {
            let text = "UPDATE sources SET taken_at = $1 WHERE n = $2";
            sqlx::query(text).bind(micros(now)).bind(id.0).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(Some(taken))
    }

    /// Writes down how a look at a claimed source ended. `false`: the claim had ended.
    pub async fn settle_source(
        &self,
        worker: &str,
        id: SourceId,
        settlement: &SourceSettlement,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let statement = match settlement {
            // What was asked for meanwhile is looked at soon.
            SourceSettlement::Done { next, memory, announced } => sqlx::query(
                "UPDATE sources SET due_at = CASE WHEN announced_at <> $6 THEN $7 ELSE \
                     COALESCE($4, CASE WHEN EXISTS (SELECT 1 FROM source_items i \
                     WHERE i.source = sources.n AND i.wanted <> i.seen) THEN $1 END) END, \
                 announced_at = CASE WHEN announced_at <> $6 THEN announced_at END, \
                 memory = COALESCE($5, memory), claimed_by = NULL, attempts = 0, looked_at = $1, \
                 succeeded_at = $1, failing_since = NULL, last_error = NULL, stopped_at = NULL \
                 WHERE n = $2 AND claimed_by = $3",
            )
            .bind(micros(now))
            .bind(id.0)
            .bind(worker.to_owned())
            .bind(next.map(micros))
            .bind(memory.as_deref().map(storable))
            .bind(announced.map_or(0, micros))
            .bind(micros(now + PEACE)),
            SourceSettlement::Later { next, error } => sqlx::query(
                "UPDATE sources SET due_at = $4, claimed_by = NULL, looked_at = $1, \
                 failing_since = COALESCE(failing_since, $1), last_error = $5 WHERE n = $2 AND claimed_by = $3",
            )
            .bind(micros(now))
            .bind(id.0)
            .bind(worker.to_owned())
            .bind(micros(*next))
            .bind(storable_reply(error)),
            SourceSettlement::Stopped { error } => sqlx::query(
                "UPDATE sources SET due_at = NULL, claimed_by = NULL, looked_at = $1, stopped_at = $1, \
                 failing_since = COALESCE(failing_since, $1), last_error = $4 WHERE n = $2 AND claimed_by = $3",
            )
            .bind(micros(now))
            .bind(id.0)
            .bind(worker.to_owned())
            .bind(storable_reply(error)),
        };
        Ok(statement.execute(self.writer()).await?.rows_affected() > 0)
    }

    /// Notes that something was posted to a source.
    pub async fn note_post(&self, name: &Slug, now: Instant) -> Result<(), StoreError> {
        let text = "UPDATE sources SET looked_at = $1, taken_at = $1, succeeded_at = $1 WHERE name = $2";
        sqlx::query(text).bind(micros(now)).bind(name.to_string()).execute(self.writer()).await?;
        Ok(())
    }

    /// A sign of life: everything that this worker looks at is held longer.
    pub async fn extend_source_claims(&self, worker: &str, until: Instant) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        extend(&mut tx, Claimed::Sources, worker, until).await?;
        tx.commit().await?;
        Ok(())
    }

    /// An orderly stop: what this worker looks at is due now.
    pub async fn give_back_sources(&self, worker: &str, now: Instant) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let given = give_back(&mut tx, Claimed::Sources, worker, now).await?;
        tx.commit().await?;
        Ok(given)
    }

    /// The sources that were ever declared, by name.
    pub async fn source_states(&self) -> Result<Vec<SourceState>, StoreError> {
        let text = "SELECT n, name, memory, due_at, claimed_by, looked_at, taken_at, succeeded_at, failing_since, \
            last_error, stopped_at FROM sources ORDER BY name";
        let rows = sqlx::query(text).fetch_all(self.readers()).await?;
        rows.iter()
            .map(|row| {
                let instant =
                    |column: &str| row.try_get::<Option<i64>, _>(column).map(|at| at.map(from_micros));
                Ok(SourceState {
                    id: SourceId(row.try_get("n")?),
                    name: name_of(row)?,
                    memory: row.try_get("memory")?,
                    due_at: instant("due_at")?,
                    is_claimed: row.try_get::<Option<String>, _>("claimed_by")?.is_some(),
                    looked_at: instant("looked_at")?,
                    taken_at: instant("taken_at")?,
                    succeeded_at: instant("succeeded_at")?,
                    failing_since: instant("failing_since")?,
                    last_error: row.try_get("last_error")?,
                    stopped_at: instant("stopped_at")?,
                })
            })
            .collect()
    }
}

fn name_of(row: &AnyRow) -> Result<Slug, StoreError> {
    let name: String = row.try_get("name")?;
    Slug::parse(&name).map_err(|_| damaged("sources", "name", name))
}

fn claimed_of(row: &AnyRow) -> Result<ClaimedSource, StoreError> {
    Ok(ClaimedSource {
        id: SourceId(row.try_get("n")?),
        name: name_of(row)?,
        memory: row.try_get("memory")?,
        attempt: Attempt(row.try_get::<i64, _>("attempts")? + 1),
        failing_since: row.try_get::<Option<i64>, _>("failing_since")?.map(from_micros),
        announced_at: row.try_get::<Option<i64>, _>("announced_at")?.map(from_micros),
    })
}
