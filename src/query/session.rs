use super::{DatabaseUrl, QueryError, Row, Value};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Executor as _, Row as _, TypeInfo as _,
    ValueRef as _,
};
use std::str::FromStr as _;
use std::time::Duration;

/// How long connecting, or one question, may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection to the newsroom's database, which can only read.
pub struct Session(Engine);

enum Engine {
    Postgres(PgConnection),
    MySql(MySqlConnection),
    Sqlite(SqliteConnection),
}

impl Session {
    /// Connects.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, QueryError> {
        in_time(async {
            Ok(Self(match url {
                DatabaseUrl::Postgres(url) => {
                    let options = PgConnectOptions::from_str(url.as_str())?.disable_statement_logging();
                    let mut connection = PgConnection::connect_with(&options).await?;
                    // Instants come in UTC, and quotes are escaped by doubling them.
                    let ways = "SET default_transaction_read_only = on; SET TIME ZONE 'UTC'; \
                        SET datestyle = 'ISO'; SET standard_conforming_strings = on";
                    connection.execute(sqlx::raw_sql(ways)).await?;
                    Engine::Postgres(connection)
                }
                DatabaseUrl::MySql(url) => {
                    let options = MySqlConnectOptions::from_str(url.as_str())?
                        .timezone(Some("+00:00".to_owned()))
                        .disable_statement_logging();
                    let mut connection = MySqlConnection::connect_with(&options).await?;
                    connection.execute(sqlx::raw_sql("SET SESSION TRANSACTION READ ONLY")).await?;
                    Engine::MySql(connection)
                }
                DatabaseUrl::Sqlite(path) => {
                    let options = SqliteConnectOptions::new()
                        .filename(path)
                        .read_only(true)
                        .busy_timeout(Duration::from_secs(20))
                        .disable_statement_logging();
                    Engine::Sqlite(SqliteConnection::connect_with(&options).await?)
                }
            }))
        })
        .await
    }

    /// The rows of a SELECT, each value as the text that the server writes.
    pub async fn rows(&mut self, statement: String) -> Result<Vec<Row>, QueryError> {
        in_time(async {
            let question = sqlx::raw_sql(AssertSqlSafe(statement));
            match &mut self.0 {
                Engine::Postgres(connection) => {
                    question.fetch_all(connection).await?.iter().map(of_postgres).collect()
                }
                Engine::MySql(connection) => {
                    question.fetch_all(connection).await?.iter().map(of_mysql).collect()
                }
                Engine::Sqlite(connection) => {
                    question.fetch_all(connection).await?.iter().map(of_sqlite).collect()
                }
            }
        })
        .await
    }

    /// A value as it stands in a statement.
    pub fn literal(&self, value: &Value) -> String {
        if value.is_number && value.text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) {
            return value.text.clone();
        }
        let text = value.text.replace('\0', "").replace('\'', "''");
        match self.0 {
            // A backslash escapes here, unless the server was told otherwise.
            Engine::MySql(_) => {
                let text = if value.is_instant { text.trim_end_matches('Z') } else { &text };
                format!("'{}'", text.replace('\\', "\\\\"))
            }
            Engine::Postgres(_) | Engine::Sqlite(_) => format!("'{text}'"),
        }
    }

    /// Says good-bye.
    pub async fn close(self) {
        // Whoever cannot be told so any more has hung up himself.
        drop(match self.0 {
            Engine::Postgres(connection) => connection.close().await,
            Engine::MySql(connection) => connection.close().await,
            Engine::Sqlite(connection) => connection.close().await,
        });
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, QueryError>>) -> Result<T, QueryError> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(QueryError(format!("no answer within {} seconds", PATIENCE.as_secs()))),
    }
}

fn of_postgres(row: &PgRow) -> Result<Row, QueryError> {
    let value = |column: &sqlx::postgres::PgColumn| {
        let kind = column.type_info().name().to_owned();
        let text: Option<String> = row.try_get_unchecked(column.ordinal())?;
        let is_number = ["INT2", "INT4", "INT8", "NUMERIC", "OID"].contains(&kind.as_str());
        Ok((column.name().to_owned(), text.map(|text| told(text, is_number, kind == "TIMESTAMPTZ"))))
    };
    row.columns().iter().map(value).collect::<Result<_, _>>().map(Row)
}

fn of_mysql(row: &MySqlRow) -> Result<Row, QueryError> {
    let value = |column: &sqlx::mysql::MySqlColumn| {
        let kind = column.type_info().name().to_owned();
        // Bytes may be text in no known encoding; the reader of articles says so.
        let bytes: Option<Vec<u8>> = row.try_get_unchecked(column.ordinal())?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let is_number = kind.contains("INT") || kind == "DECIMAL" || kind == "YEAR";
        Ok((column.name().to_owned(), text.map(|text| told(text, is_number, kind == "TIMESTAMP"))))
    };
    row.columns().iter().map(value).collect::<Result<_, _>>().map(Row)
}

fn of_sqlite(row: &SqliteRow) -> Result<Row, QueryError> {
    let value = |column: &sqlx::sqlite::SqliteColumn| {
        let raw = row.try_get_raw(column.ordinal())?;
        let kind = raw.type_info().name().to_owned();
        if raw.is_null() {
            return Ok((column.name().to_owned(), None));
        }
        let text = match kind.as_str() {
            "INTEGER" => row.try_get_unchecked::<i64, _>(column.ordinal())?.to_string(),
            "REAL" => row.try_get_unchecked::<f64, _>(column.ordinal())?.to_string(),
            _ => String::from_utf8_lossy(row.try_get_unchecked::<&[u8], _>(column.ordinal())?).into_owned(),
        };
        let is_number = matches!(kind.as_str(), "INTEGER" | "REAL");
        Ok((column.name().to_owned(), Some(told(text, is_number, false))))
    };
    row.columns().iter().map(value).collect::<Result<_, _>>().map(Row)
}

/// A value; an instant that the server wrote in UTC with the letter by which RFC 3339 tells it.
fn told(text: String, is_number: bool, is_instant: bool) -> Value {
    let text = if is_instant { format!("{}Z", text.strip_suffix("+00").unwrap_or(&text)) } else { text };
    Value { text, is_number, is_instant }
}
