//! A private MariaDB for the whole test binary, gone with it.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Ends with the standard input that only this process holds, as the one of PostgreSQL does.
const KEEPER: &str = r#"
"$1" --no-defaults --user="$(id -un)" --datadir="$2/data" --socket="$2/socket" --pid-file="$2/pid" \
    --skip-networking --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=16M \
    --innodb-log-file-size=4M >"$2"/log 2>&1 </dev/null &
read -r _
exec 2>/dev/null
kill -KILL $!
wait $!
rm -rf "$2"
"#;

/// The address of a new and empty database.
pub async fn fresh_database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let folder = server();
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

fn server() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("bantin-maria-").tempdir().unwrap().keep();
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", folder.join("data").display()))
            .output()
            .unwrap_or_else(|error| {
                panic!("MariaDB is needed for the tests ({error}); tests/run installs it")
            });
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let program =
            ["/usr/sbin/mariadbd", "/usr/bin/mariadbd"].into_iter().find(|path| Path::new(path).exists());
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", program.unwrap_or("mariadbd")])
            .arg(&folder)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        // Its standard input must stay open for as long as this process lives.
        std::mem::forget(keeper);
        let patience = Instant::now() + Duration::from_secs(60);
        while !folder.join("socket").exists() {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < patience, "MariaDB did not start: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        folder
    })
}
