use super::{Engine, Store, StoreError};
use crate::domain::{EmailAddress, Secret, SubscriberId};
use serde_json::{Map, Value};
use sqlx::{AnyConnection, AssertSqlSafe};

/// Every table that holds something of a person, and which rows are whose. A test compares it with
/// the schema.
pub const PERSONAL_TABLES: [(&str, &str); 11] = [
    ("subscribers", "n = $1"),
    ("opt_ins", "subscriber = $1"),
    ("subscriptions", "subscriber = $1"),
    ("deliveries", "subscriber = $1"),
    ("kept_letters", "delivery IN (SELECT n FROM deliveries WHERE subscriber = $1)"),
    ("bounces", "subscriber = $1"),
    ("ledger", "subscriber = $1"),
    ("topics", "subscriber = $1"),
    ("topic_feeds", "topic IN (SELECT n FROM topics WHERE subscriber = $1)"),
    ("callbacks", "topic IN (SELECT n FROM topics WHERE subscriber = $1)"),
    ("callback_requests", "path IN (SELECT path FROM topics WHERE subscriber = $1)"),
];

const TITLES: [&str; 2] = [
    "SELECT l.article, a.title FROM ledger l JOIN articles a ON a.n = l.article WHERE l.subscriber = $1",
    "SELECT s.feed, f.key FROM subscriptions s JOIN feeds f ON f.n = s.feed WHERE s.subscriber = $1",
];

impl Store {
    /// Everything that is held about a person, table by table and column by column as it is stored;
    /// besides the titles of what was mailed and the feeds' keys, by their numbers. `None`: nobody.
    pub async fn personal_data(
        &self,
        id: SubscriberId,
        address: &EmailAddress,
        secret: &Secret,
    ) -> Result<Option<Value>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let mut held = Map::new();
        for (table, whose) in PERSONAL_TABLES {
            let rows = rows(&mut snapshot, self.engine(), table, whose, id).await?;
            if table == "subscribers" && rows.is_empty() {
                return Ok(None);
            }
            held.insert(table.to_owned(), Value::Array(rows));
        }
        for (name, statement) in ["titles", "feeds"].into_iter().zip(TITLES) {
            let rows =
                sqlx::query_as::<_, (i64, String)>(statement).bind(id.0).fetch_all(&mut *snapshot).await?;
            let named = rows.into_iter().map(|(n, text)| (n.to_string(), Value::from(text)));
            held.insert(name.to_owned(), Value::Object(named.collect()));
        }
        drop(snapshot);
        held.insert("suppressed".to_owned(), self.is_suppressed(address, secret).await?.into());
        Ok(Some(Value::Object(held)))
    }
}

/// Rows as JSON objects, whatever columns there are.
async fn rows(
    connection: &mut AnyConnection,
    engine: Engine,
    table: &str,
    whose: &str,
    id: SubscriberId,
) -> Result<Vec<Value>, StoreError> {
    let object = match engine {
        Engine::Postgres => "to_jsonb(x)::text".to_owned(),
        Engine::Sqlite => {
            let columns = format!("SELECT name, type FROM pragma_table_info('{table}')");
            let columns: Vec<(String, String)> =
                sqlx::query_as(AssertSqlSafe(columns)).fetch_all(&mut *connection).await?;
            let pairs = columns.iter().map(|(column, kind)| match kind.as_str() {
                // JSON holds no bytes; those that are kept of a person are letters.
                "BLOB" => format!("'{column}', CAST(x.{column} AS TEXT)"),
                _ => format!("'{column}', x.{column}"),
            });
            format!("json_object({})", pairs.collect::<Vec<_>>().join(", "))
        }
    };
    let text = format!("SELECT {object} FROM {table} x WHERE {whose} ORDER BY 1");
    let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(text)).bind(id.0).fetch_all(connection).await?;
    let damaged = |_| super::statement::damaged("subscribers", id, "what is no JSON");
    rows.iter().map(|row| serde_json::from_str(row).map_err(damaged)).collect()
}
