//! What is the same of every queue whose rows a worker holds for a while: mail, requests to the hub,
//! pushes, endpoints, sources. `due_at` is when a row is due or when its claim ends, so that a claim whose
//! holder died is found by the query that finds what is due.

use super::StoreError;
use super::statement::{KEYS, places};
use crate::domain::{Instant, micros};
use sqlx::{AnyConnection, AssertSqlSafe};

/// A queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// Mail. Its rows say besides in a word that they are claimed.
    Deliveries,
    /// Requests to the hub.
    Requests,
    /// Pushes, one a callback.
    Pushes,
    /// Other hubs and webhooks.
    Endpoints,
    /// What articles flow in from.
    Sources,
}

impl Claimed {
    fn table(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries",
            Self::Requests => "callback_requests",
            Self::Pushes => "callbacks",
            Self::Endpoints => "endpoints",
            Self::Sources => "sources",
        }
    }

    /// Narrows an update to what may be held, by an index.
    fn held(self) -> &'static str {
        match self {
            Self::Deliveries => "settled_at IS NULL AND state = 'claimed' AND",
            Self::Pushes => "due_at IS NOT NULL AND",
            Self::Requests | Self::Endpoints | Self::Sources => "",
        }
    }
}

/// Writes a claim into rows, as one more try of each. The last number is repeated up to a power of
/// two, so that a handful of prepared statements serve every batch.
pub(super) async fn hold(
    connection: &mut AnyConnection,
    claimed: Claimed,
    rows: &[i64],
    worker: &str,
    until: Instant,
) -> Result<(), StoreError> {
    // Whoever held it until now may have sent it.
    let state = match claimed {
        Claimed::Deliveries => {
            "state = 'claimed', doubted = CASE WHEN state IN ('claimed', 'uncertain') THEN 1 ELSE doubted END, "
        }
        _ => "",
    };
    for rows in rows.chunks(KEYS) {
        let count = rows.len().next_power_of_two();
        let text = format!(
            "UPDATE {} SET {state}attempts = attempts + 1, claimed_by = $1, due_at = $2 WHERE n IN ({})",
            claimed.table(),
            places(3, count)
        );
        let statement = sqlx::query(AssertSqlSafe(text)).bind(worker.to_owned()).bind(micros(until));
        let padding = std::iter::repeat_n(rows.last(), count - rows.len()).flatten();
        rows.iter()
            .chain(padding)
            .fold(statement, |statement, n| statement.bind(*n))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// A sign of life: everything that this worker holds is held until a later instant. Returns how many
/// rows that are. On PostgreSQL it passes over what is just being settled: waiting for it, in another
/// order than that of numbers, ended in a deadlock, and the settlement was lost.
pub(super) async fn extend(
    connection: &mut AnyConnection,
    claimed: Claimed,
    worker: &str,
    until: Instant,
) -> Result<u64, StoreError> {
    let (table, held) = (claimed.table(), claimed.held());
    let text = if connection.backend_name() == "SQLite" {
        format!("UPDATE {table} SET due_at = $2 WHERE {held} claimed_by = $1")
    } else {
        format!(
            "UPDATE {table} SET due_at = $2 WHERE n IN \
             (SELECT n FROM {table} WHERE {held} claimed_by = $1 FOR UPDATE SKIP LOCKED)"
        )
    };
    let statement = sqlx::query(AssertSqlSafe(text)).bind(worker.to_owned()).bind(micros(until));
    Ok(statement.execute(connection).await?.rows_affected())
}

/// An orderly stop: what this worker has claimed and not done is due now, and the try does not count.
/// Looks through what is open, once at the end of a worker.
pub(super) async fn give_back(
    connection: &mut AnyConnection,
    claimed: Claimed,
    worker: &str,
    now: Instant,
) -> Result<u64, StoreError> {
    let state = if claimed == Claimed::Deliveries { "state = 'pending', " } else { "" };
    let text = format!(
        "UPDATE {} SET {state}due_at = $2, attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END, \
         claimed_by = NULL WHERE {} claimed_by = $1",
        claimed.table(),
        claimed.held()
    );
    let statement = sqlx::query(AssertSqlSafe(text)).bind(worker.to_owned()).bind(micros(now));
    Ok(statement.execute(connection).await?.rows_affected())
}
