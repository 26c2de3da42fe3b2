//! Letters as their readers hold them, readers by the hundred, and the ledger behind both.

use crate::newsroom::Seeded;
use crate::world::World;
use bantin::app::SystemClock;
use bantin::config::{built_in_digest, read_folder};
use bantin::digest::{register, run_now};
use bantin::domain::{
    Calendar, Clock as _, Digest, EmailAddress, FeedKey, Frequency, Language, Secret, Wish,
};
use bantin::store::{CutAnswer, OptInRequest, Store, StoreUrl};
use bantin::subscribe::consent;
use mail_parser::{Message, MessageParser};
use serde_json::{Value, json};
use std::future::Future;

fn calendar(digest: &Digest) -> Calendar<'_> {
    Calendar {
        digests: std::slice::from_ref(digest),
        zone: chrono_tz::Tz::Asia__Ho_Chi_Minh,
        spread: std::time::Duration::ZERO,
    }
}

/// One mail, as it was handed over.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter(pub Vec<u8>);

impl Letter {
    fn read<T>(&self, look: impl FnOnce(&Message<'_>) -> T) -> T {
        look(&MessageParser::default().parse(&self.0).unwrap())
    }

    /// Whom it goes to.
    pub fn to(&self) -> String {
        self.read(|m| m.to().unwrap().first().unwrap().address().unwrap().to_owned())
    }

    /// Its subject, decoded.
    pub fn subject(&self) -> String {
        self.read(|m| m.subject().unwrap().to_owned())
    }

    /// Its text part.
    pub fn text(&self) -> String {
        self.read(|m| m.body_text(0).unwrap().into_owned())
    }

    /// Its HTML part.
    pub fn html(&self) -> String {
        self.read(|m| m.body_html(0).unwrap().into_owned())
    }

    /// A header as it stands.
    pub fn header(&self, name: &str) -> Option<String> {
        self.read(|m| m.header_raw(name.to_owned()).map(|value| value.trim().to_owned()))
    }

    /// The path of its link to a door: `confirm`, `unsubscribe`, `preferences`, `editions`.
    pub fn link(&self, door: &str) -> String {
        let text = self.text();
        let at = text.find(&format!("/{door}/")).unwrap_or_else(|| panic!("no link to {door} in\n{text}"));
        text[at..].split_whitespace().next().unwrap().to_owned()
    }

    /// The headlines of a digest.
    pub fn headlines(&self) -> Vec<String> {
        self.text().lines().filter_map(|line| Some(line.strip_prefix("* ")?.trim().to_owned())).collect()
    }
}

/// An article of a section, as JSON.
pub fn article(key: &str, title: &str, category: &str) -> Value {
    json!({ "external_id": key, "title": title, "categories": [category],
            "summary": format!("Tóm tắt: {title}."), "content_text": format!("{title}. Toàn văn.") })
}

/// The reader of a number.
pub fn reader(number: usize) -> String {
    format!("doc.gia.{number}@doc.example")
}

impl World {
    /// The mails to an address, the oldest first.
    pub fn mail_to(&self, address: &str) -> Vec<Letter> {
        self.letters().into_iter().map(Letter).filter(|letter| letter.to() == address).collect()
    }

    /// Fills in the form and waits for the question by mail.
    pub fn ask(&self, address: &str, feeds: &[&str]) -> Letter {
        let before = self.mail_to(address).len();
        let mut fields = vec![("address", address)];
        fields.extend(feeds.iter().map(|feed| ("feed", *feed)));
        let answer = self.post("/subscribe", &fields);
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.wait_for("the question is mailed", |world| world.mail_to(address).len() > before);
        self.mail_to(address).pop().unwrap()
    }

    /// A reader who asked and said yes.
    pub fn subscribe(&self, address: &str, feeds: &[&str]) {
        let question = self.ask(address, feeds);
        assert_eq!(self.post(&question.link("confirm"), &[]).status, 200);
    }

    /// Runs the digest by hand and waits for the mail to a reader.
    pub fn digest_for(&self, address: &str) -> Letter {
        let before = self.mail_to(address).len();
        self.done(&["digest", "run", "hang-ngay"]);
        self.wait_for("the digest is mailed", |world| world.mail_to(address).len() > before);
        self.mail_to(address).pop().unwrap()
    }

    /// What `bantin subscriber show` says.
    pub fn subscriber(&self, address: &str) -> Value {
        serde_json::from_str(&self.done(&["subscriber", "show", address, "--json"])).unwrap()
    }

    /// The feeds a reader gets, in the alphabet's order.
    pub fn feeds_of(&self, address: &str) -> Vec<String> {
        let shown = self.subscriber(address);
        let rows = shown["subscriptions"].as_array().unwrap();
        let mut feeds: Vec<String> =
            rows.iter().map(|row| row["feed"].as_str().unwrap().to_owned()).collect();
        feeds.sort();
        feeds
    }

    /// Where the store is.
    pub fn store_url(&self) -> StoreUrl {
        match self.setting("BANTIN_STORE__URL") {
            Some(url) => url.parse().unwrap(),
            None => format!("sqlite:{}", self.path("var/bantin.db").display()).parse().unwrap(),
        }
    }

    /// Puts the newsroom on a PostgreSQL database of its own.
    pub fn on_postgres(&mut self) {
        let StoreUrl::Postgres(url) = block(crate::postgres::fresh_database()) else { panic!("no server") };
        self.set("BANTIN_STORE__URL", url.as_str());
    }

    /// Works on the store through the library, as a process beside the program would.
    pub fn at_the_store<T>(&self, work: impl AsyncFnOnce(Store, Secret) -> T) -> T {
        block(async {
            let store = Store::open(&self.store_url()).await.unwrap();
            let secret = store.installation(SystemClock.now(), &Seeded::default()).await.unwrap().secret;
            let done = work(store.clone(), secret).await;
            store.close().await;
            done
        })
    }

    /// The first digest that the newsroom declares.
    pub fn digest(&self) -> Digest {
        let zone = chrono_tz::Tz::Asia__Ho_Chi_Minh;
        let declared = read_folder(&self.path("feeds"), zone).unwrap();
        declared.digests.into_iter().next().or_else(|| built_in_digest(zone)).unwrap()
    }

    /// Readers of everything who have said yes, without a mail each.
    pub fn fill(&self, readers: usize) {
        self.fill_with((0..readers).map(reader));
    }

    /// The same of these addresses.
    pub fn fill_with(&self, readers: impl Iterator<Item = String>) {
        let digest = self.digest();
        self.at_the_store(async |store, secret| {
            let now = SystemClock.now();
            for address in readers {
                let wish = OptInRequest {
                    address: EmailAddress::parse(&address).unwrap(),
                    wishes: vec![Wish {
                        feed: FeedKey::All,
                        frequency: Frequency::Digest(digest.slug.clone()),
                    }],
                    time_zone: None,
                    language: Language::Vi,
                    remote_address: "127.0.0.1".to_owned(),
                    wording: "test".to_owned(),
                };
                consent(&store, &secret, wish, &calendar(&digest), now).await.unwrap().unwrap();
            }
        });
    }

    /// Cuts an edition and leaves its delivery to whoever works next.
    pub fn cut(&self) -> CutAnswer {
        let digest = self.digest();
        self.at_the_store(async |store, _| {
            run_now(&store, &calendar(&digest), &digest, SystemClock.now()).await.unwrap()
        })
    }

    /// Makes the digest's slot due, as if the program had been down at its hour.
    pub fn miss_the_slot(&self) {
        let digest = self.digest();
        self.at_the_store(async |store, _| {
            register(&store, &calendar(&digest), SystemClock.now()).await.unwrap();
        });
        self.change("UPDATE digests SET next_slot = 0");
    }

    /// Makes everything that waits for another try due now.
    pub fn later(&self) {
        self.change("UPDATE deliveries SET due_at = 0 WHERE settled_at IS NULL AND state <> 'claimed'");
    }

    /// A number from the ledger.
    pub fn number(&self, sql: &'static str) -> i64 {
        self.past_the_store(async |connection| sqlx::query_scalar(sql).fetch_one(connection).await.unwrap())
    }

    /// A number from the ledger, of somebody.
    pub fn number_of(&self, sql: &'static str, name: &str) -> i64 {
        let name = name.to_owned();
        self.past_the_store(async |connection| {
            sqlx::query_scalar(sql).bind(name).fetch_one(connection).await.unwrap()
        })
    }

    /// Texts from the ledger.
    pub fn texts(&self, sql: &'static str) -> Vec<String> {
        self.past_the_store(async |connection| sqlx::query_scalar(sql).fetch_all(connection).await.unwrap())
    }

    /// How many editions' deliveries stand in a state.
    pub fn deliveries(&self, state: &str) -> i64 {
        let state = state.to_owned();
        self.past_the_store(async |connection| {
            sqlx::query_scalar("SELECT count(*) FROM deliveries WHERE kind = 'edition' AND state = $1")
                .bind(state)
                .fetch_one(connection)
                .await
                .unwrap()
        })
    }

    /// Whether every edition is complete, and there is one.
    pub fn is_complete(&self) -> bool {
        self.number("SELECT count(*) FROM editions") > 0
            && self.number("SELECT count(*) FROM editions WHERE completed_at IS NULL") == 0
    }

    /// Changes the ledger behind the program's back.
    pub fn change(&self, sql: &'static str) {
        self.past_the_store(async |connection| sqlx::query(sql).execute(connection).await.unwrap());
    }

    fn past_the_store<T>(&self, work: impl AsyncFnOnce(&mut sqlx::AnyConnection) -> T) -> T {
        sqlx::any::install_default_drivers();
        block(async {
            let url = match self.store_url() {
                StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
                StoreUrl::Postgres(url) => url.to_string(),
            };
            let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(&url).await.unwrap();
            let done = work(&mut connection).await;
            sqlx::Connection::close(connection).await.unwrap();
            done
        })
    }

    /// Neither an address nor a link's key may get into the log (HOUSE.md §2.4).
    pub fn assert_discreet(&self) {
        let log = self.log();
        assert!(!log.contains('@'), "an address in the log:\n{log}");
        for letter in self.letters().into_iter().map(Letter) {
            for word in letter.text().split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
                assert!(word.len() != 43 || !log.contains(word), "the key {word} in the log:\n{log}");
            }
        }
    }
}

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
