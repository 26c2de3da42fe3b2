//! One private PostgreSQL for the whole test binary, gone with it.

use bantin::store::{Store, StoreUrl};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const TEMPLATE: &str = "bantin_template";

/// The shell waits for the end of its standard input, a pipe that only this process holds: however
/// the tests end, the server stops and its folder goes.
const KEEPER: &str = r#"
"$1"/postgres -D "$2"/data -k "$2" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c max_connections=300 -c shared_buffers=64MB -c dynamic_shared_memory_type=mmap \
    >"$2"/log 2>&1 </dev/null &
read -r _
kill -INT $!
wait $!
rm -rf "$2"
"#;

/// The address of a new database that holds the schema and nothing else.
pub async fn fresh_database() -> StoreUrl {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let folder = server();
    let name = format!("bantin_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = AnyConnection::connect(&url(folder, "postgres")).await.unwrap();
    let text = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy");
    connection.execute(AssertSqlSafe(text)).await.unwrap();
    connection.close().await.unwrap();
    url(folder, &name).parse().unwrap()
}

fn url(folder: &Path, database: &str) -> String {
    format!("postgres://postgres@localhost/{database}?host={}", folder.display())
}

/// The folder of the server's socket; the first who asks starts it.
fn server() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        sqlx::any::install_default_drivers();
        let folder = start();
        // In a thread of its own, as a runtime cannot be started inside another one.
        let template = folder.clone();
        std::thread::spawn(move || make_template(&template)).join().unwrap();
        folder
    })
}

fn start() -> PathBuf {
    let programs = programs();
    let folder = tempfile::Builder::new().prefix("bantin-pg-").tempdir().unwrap().keep();
    let owner = as_server_user("chown").is_some();
    if owner {
        let done = Command::new("chown").arg("postgres:").arg(&folder).status().unwrap();
        assert!(done.success(), "chown of {} failed", folder.display());
    }
    let command = |program: &str| as_server_user(program).unwrap_or_else(|| Command::new(program));
    let made = command(&programs.join("initdb").display().to_string())
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
        .arg(folder.join("data"))
        .output()
        .unwrap();
    assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
    let keeper = command("sh")
        .args(["-c", KEEPER, "keeper"])
        .args([&programs, &folder])
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    // Its standard input must stay open for as long as this process lives.
    std::mem::forget(keeper);
    let socket = folder.join(".s.PGSQL.5432");
    let patience = Instant::now() + Duration::from_secs(30);
    while !socket.exists() {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < patience, "PostgreSQL did not start: {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
    folder
}

/// PostgreSQL refuses to run as root; then it runs as its own user.
fn as_server_user(program: &str) -> Option<Command> {
    let root = fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    root.then(|| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]);
        command.current_dir("/");
        command
    })
}

/// The folder that holds both `initdb` and `postgres`: from PATH, else the newest of Debian's.
fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort();
    std::env::split_paths(&path)
        .chain(folders.into_iter().rev())
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .expect("these tests need PostgreSQL and found none: apt-get install postgresql")
}

fn make_template(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let patience = Instant::now() + Duration::from_secs(30);
        let mut connection = loop {
            match AnyConnection::connect(&url(folder, "postgres")).await {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < patience, "PostgreSQL does not answer: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {TEMPLATE}"))).await.unwrap();
        connection.close().await.unwrap();
        let template: StoreUrl = url(folder, TEMPLATE).parse().unwrap();
        let store = Store::open(&template).await.unwrap();
        store.migrate(Default::default()).await.unwrap();
        store.close().await;
    });
}
