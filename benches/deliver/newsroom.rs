//! A newsroom with many readers, in a store of the program's own making.

use crate::draft::Writer;
use bantin::app::{SystemChance, SystemClock};
use bantin::config::built_in_digest;
use bantin::domain::{Calendar, CategoryName, Clock as _, Digest, SafeHtml};
use bantin::mail::dkim::KeyKind;
use bantin::publish::{self, Occasion};
use bantin::store::{Cut, CutAnswer, Store};
use sqlx::{Connection as _, Executor as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// So many articles make a letter of some 30 kB.
const ARTICLES: usize = 11;
/// From whom; the domain is what the keys are for.
const FROM: &str = "bantin@songhau.example";

pub struct Newsroom {
    folder: TempDir,
    store: Store,
    writer: Writer,
    made: usize,
    pub readers: usize,
}

impl Newsroom {
    /// So many readers of everything, all confirmed.
    pub async fn open(readers: usize) -> Self {
        let folder = TempDir::new().unwrap();
        for kind in KeyKind::ALL {
            let key = kind.generate().unwrap();
            std::fs::write(folder.path().join(format!("{}.pem", kind.as_str())), key).unwrap();
        }
        let path = folder.path().join("bantin.db");
        let url = format!("sqlite:{}", path.display());
        let store = Store::open(&url.parse().unwrap()).await.unwrap();
        store.migrate(SystemClock.now()).await.unwrap();
        store.installation(SystemClock.now(), &SystemChance).await.unwrap();
        let mut newsroom = Self { folder, store, writer: Writer::new(), made: 0, readers };
        let digest = digest();
        bantin::digest::register(&newsroom.store, &calendar(&digest), SystemClock.now()).await.unwrap();
        // The first article makes the feed that they read.
        newsroom.publish().await;
        sqlx::any::install_default_drivers();
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        let fill = format!(
            "INSERT INTO subscribers (address, address_key, state, language, created_at, confirmed_at)
             WITH RECURSIVE reader (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM reader WHERE i < {readers})
             SELECT 'doc.gia.' || i || '@mail' || (i % 50) || '.example', 'doc.gia.' || i || '@mail' || (i % 50) || '.example',
             'active', 'vi', 0, 0 FROM reader"
        );
        connection.execute(sqlx::AssertSqlSafe(fill)).await.unwrap();
        let subscribe = "INSERT INTO subscriptions (subscriber, feed, frequency, plan, cursor, began, started_at)
             SELECT s.n, f.n, 'digest:hang-ngay', (SELECT n FROM digests WHERE slug = 'hang-ngay'), past.n, past.n, 0
             FROM subscribers s JOIN feeds f ON f.key = 'all',
             (SELECT max(sequence) AS n FROM entries) past";
        connection.execute(subscribe).await.unwrap();
        newsroom
    }

    async fn publish(&mut self) {
        let drafts: Vec<_> = (0..ARTICLES)
            .map(|_| {
                self.made += 1;
                let mut draft = self.writer.draft(self.made, false);
                draft.body = SafeHtml::from_text("Toàn văn.");
                draft.categories = vec![CategoryName(["Kinh tế", "Văn hóa"][self.made % 2].to_owned())];
                draft.published = Some(SystemClock.now());
                draft
            })
            .collect();
        publish::accept(&self.store, &drafts, Occasion::News, SystemClock.now(), &SystemChance)
            .await
            .unwrap();
    }

    /// News for everybody, and an edition of it that waits to be mailed.
    pub async fn cut(&mut self) {
        self.publish().await;
        let digest = digest();
        let now = SystemClock.now();
        let answer = bantin::digest::run_now(&self.store, &calendar(&digest), &digest, now).await.unwrap();
        let readers = i64::try_from(self.readers).unwrap();
        assert!(
            matches!(answer, CutAnswer::Made(Cut { deliveries, .. }) if i64::try_from(deliveries).unwrap() == readers),
            "{answer:?}"
        );
    }

    /// The program, which will mail what waits.
    pub fn program(&self, port: u16, sessions: usize, signed: bool, arguments: &[&str]) -> Command {
        let program = std::env::var("BANTIN_BENCH_PROGRAM");
        let mut command = Command::new(program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_bantin").to_owned()));
        let folder = self.folder.path();
        command
            .args(arguments)
            .current_dir(folder)
            .env("BANTIN_STORE__URL", format!("sqlite:{}/bantin.db", folder.display()))
            .env("BANTIN_PUBLICATION__BASE_URL", "https://tin.songhau.example")
            .env("BANTIN_PUBLICATION__TITLE", "Báo Sông Hậu")
            .env("BANTIN_MAIL__URL", format!("smtp://127.0.0.1:{port}?tls=none"))
            .env("BANTIN_MAIL__FROM", FROM)
            .env("BANTIN_LIMITS__MAIL_CONNECTIONS", sessions.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if signed {
            let keys = KeyKind::ALL.map(|kind| format!("{0}:{1}/{0}.pem", kind.as_str(), folder.display()));
            command.env("BANTIN_DKIM__KEYS", keys.join(","));
        }
        command
    }

    /// How long a signed letter is.
    pub async fn letter_bytes(&mut self, port: u16) -> usize {
        let outbox = self.folder.path().join("outbox");
        let done = self
            .program(port, 1, true, &["digest", "send-test", "hang-ngay", "--to", "an@doc.example"])
            .env("BANTIN_MAIL__URL", format!("outbox:{}", outbox.display()))
            .status()
            .unwrap();
        assert!(done.success());
        usize::try_from(std::fs::metadata(only_file(&outbox)).unwrap().len()).unwrap()
    }

    /// How many of the last edition were accepted.
    pub async fn assert_all_accepted(&self) {
        let counts = self.store.delivery_counts().await.unwrap();
        assert!(counts.iter().all(|(state, _)| state.as_str() == "accepted"), "{counts:?}");
    }
}

fn digest() -> Digest {
    built_in_digest(chrono_tz::Asia::Ho_Chi_Minh).unwrap()
}

fn calendar(digest: &Digest) -> Calendar<'_> {
    Calendar {
        digests: std::slice::from_ref(digest),
        zone: chrono_tz::Asia::Ho_Chi_Minh,
        spread: std::time::Duration::ZERO,
    }
}

fn only_file(folder: &Path) -> PathBuf {
    std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}
