use super::claims::{Claimed, hold};
use super::deliveries::storable_reply;
use super::sequence::hold_sequence;
use super::statement::{damaged, insert_rows};
use super::{Engine, Store, StoreError};
use crate::domain::{ArticleId, Attempt, EditionId, EndpointId, Instant, Slug, WebUrl, from_micros, micros};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

/// What an endpoint is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// Another hub: which topics changed.
    Hub,
    /// The newsroom's own program: what happened.
    Webhook,
}

impl EndpointKind {
    /// The word in which it is stored and told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Webhook => "webhook",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Hub, Self::Webhook].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What webhooks are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// An article became visible, for the first time or again.
    Published,
    /// A visible article was revised.
    Changed,
    /// An article was taken back.
    Withdrawn,
    /// Every delivery of an edition came to its end.
    Completed,
}

impl EventKind {
    const ALL: [Self; 4] = [Self::Published, Self::Changed, Self::Withdrawn, Self::Completed];

    /// The word in which it is stored and told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "article.published",
            Self::Changed => "article.changed",
            Self::Withdrawn => "article.withdrawn",
            Self::Completed => "edition.completed",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What an event is about, as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventSubject {
    /// An article.
    Article {
        /// Its id for ever.
        id: ArticleId,
        /// Its title.
        title: String,
        /// Its address, where it has one of its own.
        url: Option<String>,
        /// When it was published.
        published: Instant,
        /// When it was last revised significantly.
        updated: Instant,
    },
    /// An edition of a digest.
    Edition {
        /// Its number.
        id: EditionId,
        /// Of which digest.
        digest: Slug,
        /// For which instant.
        slot: Instant,
    },
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number; later ones have higher numbers.
    pub number: i64,
    /// Its id, by which a receiver knows a repeat.
    pub id: Uuid,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub happened_at: Instant,
    /// To what.
    pub subject: EventSubject,
}

/// An endpoint that one worker may tell, until its claim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedEndpoint {
    /// Which.
    pub id: EndpointId,
    /// What it is told.
    pub kind: EndpointKind,
    /// Where it is.
    pub url: WebUrl,
    /// The mark up to which it was told.
    pub told: i64,
    /// The mark of the newest.
    pub latest: i64,
    /// Which try this is.
    pub attempt: Attempt,
    /// Since when it does not take what it is told.
    pub failing_since: Option<Instant>,
}

/// What became of telling an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointSettlement {
    /// It was told up to this mark.
    Told(i64),
    /// It was told up to `told` and then failed.
    Later {
        /// The mark.
        told: i64,
        /// When to try again.
        next: Instant,
        /// Why.
        error: String,
    },
}

/// An endpoint as the newsroom sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointState {
    /// What it is told.
    pub kind: EndpointKind,
    /// Where it is.
    pub url: WebUrl,
    /// When it last took something.
    pub told_at: Option<Instant>,
    /// Since when it fails.
    pub failing_since: Option<Instant>,
    /// Why.
    pub last_error: Option<String>,
}

const LATEST: &str = "CASE kind WHEN 'hub' THEN (SELECT COALESCE(max(change_number), 0) FROM feeds) \
    ELSE (SELECT COALESCE(max(n), 0) FROM events) END";

impl Store {
    /// Makes the store know the declared endpoints. A new one is told what happens from now on; one
    /// that is declared no more goes.
    pub async fn note_endpoints(&self, declared: &[(EndpointKind, WebUrl)]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let known = sqlx::query("SELECT n, kind, url FROM endpoints").fetch_all(&mut *tx).await?;
        for row in known {
            let (n, kind, url): (i64, String, String) =
                (row.try_get("n")?, row.try_get("kind")?, row.try_get("url")?);
            if !declared.iter().any(|(k, u)| k.as_str() == kind && u.as_str() == url) {
                sqlx::query("DELETE FROM endpoints WHERE n = $1").bind(n).execute(&mut *tx).await?;
            }
        }
        for (kind, url) in declared {
            let text = format!(
                "INSERT INTO endpoints (kind, url, told, due_at, attempts) \
                 SELECT kind, url, {LATEST}, 0, 0 FROM (SELECT CAST($1 AS TEXT) AS kind, CAST($2 AS TEXT) AS url) AS declared \
                 WHERE true ON CONFLICT (kind, url) DO NOTHING"
            );
            sqlx::query(sqlx::AssertSqlSafe(text))
                .bind(kind.as_str())
                .bind(url.as_str().to_owned())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Claims the endpoints that something is to be told to. There are few: all are looked at.
    pub async fn claim_endpoints(
        &self,
        worker: &str,
        until: Instant,
        now: Instant,
    ) -> Result<Vec<ClaimedEndpoint>, StoreError> {
        if !self.are_endpoints_behind(now).await? {
            return Ok(Vec::new());
        }
        let mut tx = self.write().await?;
        let text = format!(
            "SELECT n, kind, url, told, attempts, failing_since, {LATEST} AS latest FROM endpoints \
             WHERE due_at <= $1 ORDER BY n"
        );
        let rows = sqlx::query(self.skipping(&text, "")).bind(micros(now)).fetch_all(&mut *tx).await?;
        let mut claimed = rows.iter().map(endpoint_of).collect::<Result<Vec<_>, _>>()?;
        claimed.retain(|endpoint| endpoint.latest > endpoint.told);
        let ns: Vec<i64> = claimed.iter().map(|endpoint| endpoint.id.0).collect();
        hold(&mut tx, Claimed::Endpoints, &ns, worker, until).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Whether an endpoint is due and behind.
    pub async fn are_endpoints_behind(&self, now: Instant) -> Result<bool, StoreError> {
        let text = format!("SELECT count(*) FROM endpoints WHERE due_at <= $1 AND told < {LATEST}");
        let statement = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(text)).bind(micros(now));
        Ok(statement.fetch_one(self.readers()).await? > 0)
    }

    /// Writes down how far a claimed endpoint was told. `false`: the claim had ended.
    pub async fn settle_endpoint(
        &self,
        worker: &str,
        id: EndpointId,
        settlement: &EndpointSettlement,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let statement = match settlement {
            EndpointSettlement::Told(told) => sqlx::query(
                "UPDATE endpoints SET told = $1, told_at = $2, due_at = $2, attempts = 0, claimed_by = NULL, \
                 failing_since = NULL, last_error = NULL WHERE n = $3 AND claimed_by = $4",
            )
            .bind(*told)
            .bind(micros(now)),
            EndpointSettlement::Later { told, next, .. } => sqlx::query(
                "UPDATE endpoints SET told_at = CASE WHEN told < $1 THEN $5 ELSE told_at END, told = $1, due_at = $2, \
                 claimed_by = NULL, failing_since = COALESCE(failing_since, $5), last_error = $6 \
                 WHERE n = $3 AND claimed_by = $4",
            )
            .bind(*told)
            .bind(micros(*next)),
        };
        let mut statement = statement.bind(id.0).bind(worker.to_owned());
        if let EndpointSettlement::Later { error, .. } = settlement {
            statement = statement.bind(micros(now)).bind(storable_reply(error));
        }
        let ours = statement.execute(&mut *tx).await?.rows_affected() > 0;
        tx.commit().await?;
        Ok(ours)
    }

    /// The endpoints, other hubs first.
    pub async fn endpoint_states(&self) -> Result<Vec<EndpointState>, StoreError> {
        let text =
            "SELECT n, kind, url, told_at, failing_since, last_error FROM endpoints ORDER BY kind, url";
        let rows = sqlx::query(text).fetch_all(self.readers()).await?;
        rows.iter()
            .map(|row| {
                let instant = |name: &str| row.try_get::<Option<i64>, _>(name).map(|at| at.map(from_micros));
                Ok(EndpointState {
                    kind: kind_of(row)?,
                    url: url_of(row)?,
                    told_at: instant("told_at")?,
                    failing_since: instant("failing_since")?,
                    last_error: row.try_get("last_error")?,
                })
            })
            .collect()
    }

    /// What happened after an event, in order, each with its subject as it stands now.
    pub async fn events_after(&self, number: i64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let text = "SELECT e.n, e.kind, e.happened_at, e.edition, a.id AS article, a.title, a.url, \
            a.published_at, a.updated_at, d.slug, i.slot \
            FROM events e LEFT JOIN articles a ON a.n = e.article LEFT JOIN editions i ON i.n = e.edition \
            LEFT JOIN digests d ON d.n = i.digest WHERE e.n > $1 ORDER BY e.n LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(text).bind(number).bind(limit).fetch_all(self.readers()).await?;
        let newsroom: String = sqlx::query_scalar("SELECT publication FROM installation WHERE one = 1")
            .fetch_one(self.readers())
            .await?;
        let newsroom = newsroom.parse().map_err(|_| damaged("installation", 1, newsroom))?;
        rows.iter().map(|row| event_of(row, &newsroom)).collect()
    }

    /// Forgets events that every webhook was told of, and all before an instant.
    pub async fn forget_events(&self, before: Instant) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let text = "DELETE FROM events WHERE happened_at < $1 \
            OR n <= (SELECT COALESCE(min(told), 9223372036854775807) FROM endpoints WHERE kind = 'webhook')";
        let gone = sqlx::query(text).bind(micros(before)).execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(gone)
    }
}

/// Notes what happened to articles, where a webhook wants to know. In the transaction in which it does,
/// under the publish sequence, so that events stand in the order of their commits.
pub(super) async fn note_article_events(
    connection: &mut AnyConnection,
    kind: EventKind,
    articles: &[i64],
    now: Instant,
) -> Result<(), StoreError> {
    if articles.is_empty() || !has_webhook(connection).await? {
        return Ok(());
    }
    let text = "INSERT INTO events (kind, article, happened_at) VALUES {rows} RETURNING n";
    insert_rows(connection, text, "(?, ?, ?)", articles, |s, article| {
        s.bind(kind.as_str()).bind(*article).bind(micros(now))
    })
    .await?;
    Ok(())
}

/// Notes that an edition is complete, where a webhook wants to know.
pub(super) async fn note_edition_event(
    connection: &mut AnyConnection,
    engine: Engine,
    edition: i64,
    now: Instant,
) -> Result<(), StoreError> {
    if !has_webhook(connection).await? {
        return Ok(());
    }
    hold_sequence(connection, engine).await?;
    sqlx::query("INSERT INTO events (kind, edition, happened_at) VALUES ($1, $2, $3)")
        .bind(EventKind::Completed.as_str())
        .bind(edition)
        .bind(micros(now))
        .execute(connection)
        .await?;
    Ok(())
}

async fn has_webhook(connection: &mut AnyConnection) -> Result<bool, StoreError> {
    let text = "SELECT count(*) FROM endpoints WHERE kind = 'webhook'";
    Ok(sqlx::query_scalar::<_, i64>(text).fetch_one(connection).await? > 0)
}

fn kind_of(row: &AnyRow) -> Result<EndpointKind, StoreError> {
    let word: String = row.try_get("kind")?;
    EndpointKind::parse(&word).ok_or_else(|| damaged("endpoints", "of a kind", word))
}

fn url_of(row: &AnyRow) -> Result<WebUrl, StoreError> {
    let url: String = row.try_get("url")?;
    WebUrl::parse(&url).map_err(|_| damaged("endpoints", "of a URL", url))
}

fn endpoint_of(row: &AnyRow) -> Result<ClaimedEndpoint, StoreError> {
    Ok(ClaimedEndpoint {
        id: EndpointId(row.try_get("n")?),
        kind: kind_of(row)?,
        url: url_of(row)?,
        told: row.try_get("told")?,
        latest: row.try_get("latest")?,
        attempt: Attempt(row.try_get::<i64, _>("attempts")? + 1),
        failing_since: row.try_get::<Option<i64>, _>("failing_since")?.map(from_micros),
    })
}

fn event_of(row: &AnyRow, newsroom: &Uuid) -> Result<Event, StoreError> {
    let number: i64 = row.try_get("n")?;
    let kind: String = row.try_get("kind")?;
    let broken = |value: &str| damaged("events", number, value);
    let subject = match row.try_get::<Option<String>, _>("article")? {
        Some(article) => EventSubject::Article {
            id: article.parse().map_err(|_| broken(&article))?,
            title: row.try_get("title")?,
            url: row.try_get("url")?,
            published: from_micros(row.try_get("published_at")?),
            updated: from_micros(row.try_get("updated_at")?),
        },
        None => EventSubject::Edition {
            id: EditionId(row.try_get("edition")?),
            digest: Slug::parse(&row.try_get::<String, _>("slug")?).map_err(|_| broken("slug"))?,
            slot: from_micros(row.try_get("slot")?),
        },
    };
    Ok(Event {
        number,
        id: Uuid::new_v5(newsroom, format!("event {number}").as_bytes()),
        kind: EventKind::parse(&kind).ok_or_else(|| broken(&kind))?,
        happened_at: from_micros(row.try_get("happened_at")?),
        subject,
    })
}
