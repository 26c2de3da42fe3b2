use super::StoreError;
use crate::domain::Instant;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::Migrator;

use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, Transaction};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

static SQLITE: Migrator = sqlx::migrate!("src/store/migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("src/store/migrations/postgres");

/// WAL lets readers go on while one writes. NORMAL loses nothing committed when the *process*
/// dies; FULL also covers a power cut, which promise 4 needs. A large cache and a checkpoint every
/// 4,000 pages took imports from 15,900 to 22,900 rows/s (crates.md §3e). What is deleted is
/// overwritten: a reader who was forgotten is in no free page.
const SQLITE_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA busy_timeout = 30000; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 4000; \
    PRAGMA temp_store = MEMORY; PRAGMA secure_delete = ON";

/// How many pages are kept, in KiB: where one writes, and in each of the four that read. What another wrote
/// empties the cache of a reader.
const SQLITE_CACHES: [&str; 2] = ["PRAGMA cache_size = -16384", "PRAGMA cache_size = -4096"];

/// A machine that is put to sleep between two statements would hold its locks until it wakes, and another
/// program in its place would wait for them. No transaction of ours waits for anything but the database.
const SLEEPERS_LET_GO: &str = "SET idle_in_transaction_session_timeout = '15s'";

/// How long a request waits for a free connection before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which database stands behind the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded default.
    Sqlite,
    /// PostgreSQL 14 or later.
    Postgres,
}

/// Where the store is: `sqlite:PATH` or `postgres://…`.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file, made when it is not there.
    Sqlite(PathBuf),
    /// A server; the URL may hold a password, so it is never printed.
    Postgres(url::Url),
}

impl FromStr for StoreUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(StoreError::Url(text.to_owned()))
            } else {
                Ok(Self::Sqlite(PathBuf::from(path)))
            };
        }
        let scheme = text.split(':').next().unwrap_or_default();
        match text.parse::<url::Url>() {
            Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") => Ok(Self::Postgres(url)),
            _ => Err(StoreError::Url(format!("{scheme}:…"))),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                write!(f, "postgres://{}{}", url.host_str().unwrap_or("localhost"), url.path())
            }
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The newsroom's ledger.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
    readers: AnyPool,
    writer: AnyPool,
    /// SQLite's write-ahead log.
    pub(super) journal: Option<Arc<Path>>,
}

impl Store {
    /// Opens the store, and makes the SQLite file with its folder when it is not there. Does not
    /// touch the schema; see [`Store::migrate`].
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        install_default_drivers();
        match url {
            StoreUrl::Sqlite(path) => Self::open_sqlite(path).await,
            StoreUrl::Postgres(url) => {
                let options = AnyConnectOptions::from_str(url.as_str())?;
                let opened = AnyPoolOptions::new()
                    .max_connections(10)
                    .acquire_timeout(PATIENCE)
                    .after_connect(|connection, _| {
                        Box::pin(async move { connection.execute(SLEEPERS_LET_GO).await.map(drop) })
                    })
                    .connect_with(options)
                    .await;
                let pool = match opened {
                    // The pool waits for a server that is just starting, and then knows no
                    // reason any more.
                    Err(sqlx::Error::PoolTimedOut) => {
                        AnyConnection::connect(url.as_str()).await?.close().await?;
                        return Err(sqlx::Error::PoolTimedOut.into());
                    }
                    opened => opened?,
                };
                Ok(Self { engine: Engine::Postgres, readers: pool.clone(), writer: pool, journal: None })
            }
        }
    }

    /// Whether the store's server answers at once, and if not, why.
    pub async fn reach(url: &StoreUrl) -> Result<(), StoreError> {
        install_default_drivers();
        if let StoreUrl::Postgres(url) = url {
            AnyConnection::connect(url.as_str()).await?.close().await?;
        }
        Ok(())
    }

    /// One connection writes and several read: SQLite has one writer, and waiting in our own
    /// queue beats "database is locked".
    async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|reason| StoreError::Folder { folder: folder.display().to_string(), reason })?;
        }
        let mut name = String::new();
        for byte in path.display().to_string().bytes() {
            match byte {
                b'?' | b'#' | b'%' | b' ' => name.push_str(&format!("%{byte:02X}")),
                byte if byte.is_ascii() => name.push(char::from(byte)),
                byte => name.push_str(&format!("%{byte:02X}")),
            }
        }
        let options = AnyConnectOptions::from_str(&format!("sqlite:{name}?mode=rwc"))?;
        let pool = |size, cache: &'static str| {
            let options = AnyPoolOptions::new().max_connections(size).acquire_timeout(PATIENCE);
            // A file hangs up on nobody; asking it each time takes as long as a small question.
            options.test_before_acquire(false).after_connect(move |connection, _| {
                Box::pin(async move {
                    connection.execute(sqlx::raw_sql(SQLITE_SETTINGS)).await?;
                    connection.execute(sqlx::raw_sql(cache)).await.map(drop)
                })
            })
        };
        let [writing, reading] = SQLITE_CACHES;
        let writer = pool(1, writing).connect_with(options.clone()).await?;
        let readers = pool(4, reading).connect_with(options).await?;
        let mut journal = path.as_os_str().to_owned();
        journal.push("-wal");
        let journal = Some(PathBuf::from(journal).into());
        Ok(Self { engine: Engine::Sqlite, readers, writer, journal })
    }

    /// Which database this is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Brings the schema up to date. Safe when several processes start at once: PostgreSQL's
    /// migrator takes an advisory lock; on SQLite the one that loses the race tries again.
    pub async fn migrate(&self, now: Instant) -> Result<(), StoreError> {
        match self.engine {
            Engine::Postgres => POSTGRES.run(&self.writer).await?,
            Engine::Sqlite => {
                let mut tries = 0;
                loop {
                    match SQLITE.run(&self.writer).await {
                        Ok(()) => break,
                        Err(error) if tries >= 10 => return Err(error.into()),
                        Err(_) => tries += 1,
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        self.catch_up(now).await
    }

    /// Whether the schema is the one that this program knows: every migration applied, each by the
    /// text that it has here.
    pub async fn is_current(&self) -> Result<bool, StoreError> {
        let known = match self.engine {
            Engine::Postgres => &POSTGRES,
            Engine::Sqlite => &SQLITE,
        };
        let applied = sqlx::query_as::<_, (i64, Vec<u8>)>(
            "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version",
        )
        .fetch_all(&self.readers)
        .await;
        match applied {
            Ok(applied) => Ok(known
                .iter()
                .map(|migration| (migration.version, &*migration.checksum))
                .eq(applied.iter().map(|(version, checksum)| (*version, checksum.as_slice())))),
            Err(sqlx::Error::Database(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.readers.execute("SELECT 1").await?;
        Ok(())
    }

    /// Lets every connection go, after what runs has ended.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// The connections for reading.
    pub(super) fn readers(&self) -> &AnyPool {
        &self.readers
    }

    /// The connections for writing.
    pub(super) fn writer(&self) -> &AnyPool {
        &self.writer
    }

    /// A transaction that writes. On SQLite it takes the write lock at once: a transaction that
    /// reads first and writes later fails at the upgrade when another wrote in between.
    pub(super) async fn write(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(match self.engine {
            Engine::Sqlite => self.writer.begin_with("BEGIN IMMEDIATE").await?,
            Engine::Postgres => begin_whole(&self.writer, "BEGIN").await?,
        })
    }

    /// A connection of one's own for several reads that must see the same state.
    pub(super) async fn snapshot(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(match self.engine {
            Engine::Sqlite => self.readers.begin().await?,
            Engine::Postgres => {
                begin_whole(&self.readers, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?
            }
        })
    }
}

/// Begins a transaction of PostgreSQL, also where nobody waits for it any more, as when a browser hangs
/// up. sqlx 0.9 forgets a BEGIN whose answer was not waited for, and the connection goes back into the
/// pool with the transaction open: be it one that reads, every later write on it fails.
async fn begin_whole(
    pool: &AnyPool,
    statement: &'static str,
) -> Result<Transaction<'static, Any>, StoreError> {
    let pool = pool.clone();
    #[expect(clippy::disallowed_methods, reason = "it ends with the answer to one BEGIN, waited for or not")]
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    Ok(begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??)
}
