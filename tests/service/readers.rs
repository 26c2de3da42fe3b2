//! Feed readers of others follow a newsroom from poll to poll: each sees each article once and each
//! change (CONTRACT.md, promise 1; reference/feeds.md §6).
//!
//! All follow the same story. What a reader makes of a change is its own affair: the tables below
//! say what is true of each, so that a change of ours that readers notice fails here.

use crate::api::{Api, told};
use crate::judges::reload;
use crate::mailroom::Letter;
use crate::served::{AT_ONCE, FORMATS, article, feed, id_of, instant, items, text, titles, with};
use crate::world::{World, node, python};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PARTY: &str = "xay-dung-dang";
const ECONOMY: &str = "kinh-te";

/// What happens to one article between two polls, in the order of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Three articles stand in one section, one in the other.
    Start,
    Nothing,
    /// Headline and text change.
    Edit,
    /// The text changes and nobody needs to know (`"significant": false`).
    Correction,
    Withdrawal,
    /// The withdrawn article is published again.
    Return,
    /// To the other section.
    Move,
}

const STORY: [Act; 7] =
    [Act::Start, Act::Nothing, Act::Edit, Act::Correction, Act::Withdrawal, Act::Return, Act::Move];

const HEADLINE: &str = "Chi bộ ấp & tổ tự quản";
const NEW_HEADLINE: &str = "Chi bộ ấp & 5 tổ tự quản";

struct Newsroom {
    world: World,
    /// The id of the article that the story is about, as commands take it.
    id: String,
}

impl Newsroom {
    fn open() -> Self {
        let mut world = World::new();
        world.import(&[
            article("a", "Đại hội Đảng bộ", "Xây dựng Đảng"),
            Self::copy(HEADLINE, "Bản đầu.", "Xây dựng Đảng"),
            article("ccc", "Kết nạp đảng viên", "Xây dựng Đảng"),
            article("dddd", "Giá lúa", "Kinh tế"),
        ]);
        world.serve();
        let id = id_of(&world, PARTY, HEADLINE);
        Self { world, id }
    }

    fn copy(title: &str, words: &str, section: &str) -> Value {
        with(
            article("bb", title, section),
            json!({ "content_html": format!("<p>{words}</p>"), "tags": ["chi bộ"] }),
        )
    }

    /// Does what the newsroom does, at its command line, and waits until every format shows it.
    fn play(&self, act: Act) {
        let import = |title, words, section, significant: bool| {
            let copy = with(Self::copy(title, words, section), json!({ "significant": significant }));
            self.world.import(&[copy]);
        };
        let tags =
            || FORMATS.map(|format| feed(&self.world, PARTY, format).header("etag").unwrap().to_owned());
        let before = tags();
        match act {
            Act::Start => {}
            Act::Nothing => return,
            Act::Edit => import(NEW_HEADLINE, "Bản hai.", "Xây dựng Đảng", true),
            Act::Correction => import(NEW_HEADLINE, "Bản hai, đã sửa lỗi.", "Xây dựng Đảng", false),
            Act::Withdrawal => drop(self.world.done(&["article", "withdraw", &self.id])),
            Act::Return => drop(self.world.done(&["article", "publish", &self.id])),
            Act::Move => import(NEW_HEADLINE, "Bản hai, đã sửa lỗi.", "Kinh tế", true),
        }
        self.world.wait_at_most(AT_ONCE, &format!("{act:?} shows in each format"), |_| {
            act == Act::Start || tags().iter().zip(&before).all(|(now, before)| now != before)
        });
        if act == Act::Move {
            self.world.wait_at_most(AT_ONCE, "it has arrived", |world| titles(world, ECONOMY).len() == 2);
        }
        // feedparser and those who use it read dates to the second: the next act is in another.
        std::thread::sleep(Duration::from_millis(1_100));
    }

    /// The article's id, as readers know it.
    fn guid(&self) -> String {
        format!("urn:uuid:{}", self.id)
    }

    fn url(&self, slug: &str, format: &str) -> String {
        self.world.url(&format!("/feeds/{slug}.{format}"))
    }

    fn titles_after(act: Act) -> [Vec<&'static str>; 2] {
        let others = ["Kết nạp đảng viên", "Đại hội Đảng bộ"];
        let party = |title| vec![others[0], title, others[1]];
        match act {
            Act::Start | Act::Nothing => [party(HEADLINE), vec!["Giá lúa"]],
            Act::Edit | Act::Correction | Act::Return => [party(NEW_HEADLINE), vec!["Giá lúa"]],
            Act::Withdrawal => [others.to_vec(), vec!["Giá lúa"]],
            Act::Move => [others.to_vec(), vec!["Giá lúa", NEW_HEADLINE]],
        }
    }
}

/// feed-rs, the parser of many Rust readers.
fn parsed(newsroom: &Newsroom, slug: &str, format: &str) -> Vec<[String; 5]> {
    let body = feed(&newsroom.world, slug, format).body;
    let feed = feed_rs::parser::parse(&*body).unwrap_or_else(|error| panic!("{slug}.{format}: {error}"));
    let entry = |entry: feed_rs::model::Entry| {
        [
            entry.id,
            entry.title.unwrap().content,
            entry.published.unwrap().timestamp().to_string(),
            entry.updated.unwrap().to_rfc3339(),
            entry.content.unwrap().body.unwrap(),
        ]
    };
    feed.entries.into_iter().map(entry).collect()
}

#[test]
fn feed_rs_reads_the_same_in_each_format_after_each_change() {
    let newsroom = Newsroom::open();
    for act in STORY {
        newsroom.play(act);
        for (slug, expected) in [PARTY, ECONOMY].iter().zip(Newsroom::titles_after(act)) {
            let [rss, atom, json] = FORMATS.map(|format| parsed(&newsroom, slug, format));
            assert_eq!(rss, json, "{act:?}: {slug}, RSS and JSON Feed");
            assert_eq!(atom, json, "{act:?}: {slug}, Atom and JSON Feed");
            assert_eq!(
                json.iter().map(|[_, title, ..]| title).collect::<Vec<_>>(),
                expected,
                "{act:?}: {slug}"
            );
        }
    }
}

#[test]
fn feedparser_finds_no_fault_and_equal_fields_after_each_change() {
    let newsroom = Newsroom::open();
    let bases = [PARTY, ECONOMY].map(|slug| newsroom.world.url(&format!("/feeds/{slug}")));
    let mut instants = BTreeSet::new();
    for act in STORY {
        newsroom.play(act);
        let read = python(include_str!("readers/feedparser.py"), &[&bases[0], &bases[1]]);
        for (line, expected) in read.lines().zip(Newsroom::titles_after(act)) {
            let [rss, atom, json]: [Vec<Value>; 3] = serde_json::from_str(line).unwrap();
            assert_eq!(rss, json, "{act:?}: RSS and JSON Feed");
            assert_eq!(atom, json, "{act:?}: Atom and JSON Feed");
            assert_eq!(
                json.iter().map(|entry| text(entry, "title")).collect::<Vec<_>>(),
                expected,
                "{act:?}"
            );
            instants.extend(
                json.iter().filter(|e| e["id"] == newsroom.guid()).map(|e| e["published"].to_string()),
            );
        }
    }
    assert_eq!(instants.len(), 1, "the instant of publication never moves: {instants:?}");
}

#[test]
fn reader_counts_each_article_as_new_once_and_each_change_as_one() {
    let newsroom = Newsroom::open();
    let library = newsroom.world.path("reader.sqlite");
    let poll = || -> BTreeMap<String, Value> {
        let urls: Vec<String> = FORMATS
            .iter()
            .flat_map(|format| [PARTY, ECONOMY].map(|slug| newsroom.url(slug, format)))
            .collect();
        let mut arguments = vec![library.to_str().unwrap()];
        arguments.extend(urls.iter().map(String::as_str));
        serde_json::from_str(&python(include_str!("readers/library.py"), &arguments)).unwrap()
    };
    let mut kept: BTreeMap<&str, Value> = BTreeMap::new();
    let mut withdrawn_at = 0;
    for act in STORY {
        newsroom.play(act);
        if act == Act::Withdrawal {
            withdrawn_at = chrono::Utc::now().timestamp() - 1;
        }
        let polled = poll();
        // New and modified, in the one section and the other.
        let expected = match act {
            Act::Start => [[3, 0], [1, 0]],
            Act::Nothing | Act::Withdrawal => [[0, 0], [0, 0]],
            Act::Edit | Act::Correction | Act::Return => [[0, 1], [0, 0]],
            Act::Move => [[0, 0], [1, 0]],
        };
        for format in FORMATS {
            for (slug, counts) in [PARTY, ECONOMY].iter().zip(expected) {
                let seen = &polled[&newsroom.url(slug, format)];
                assert_eq!(json!([seen["new"], seen["modified"]]), json!(counts), "{act:?}: {slug}.{format}");
            }
            let now = &polled[&newsroom.url(PARTY, format)]["kept"][newsroom.guid()];
            let said = |entry: &Value, name: &str| entry[name].as_i64().unwrap();
            if let Some(before) = kept.insert(format, now.clone()) {
                assert_eq!(now["published"], before["published"], "{act:?}: {format}");
                let moved = said(now, "updated") - said(&before, "updated");
                match act {
                    Act::Edit => assert!(moved > 0, "{format}: {now}"),
                    Act::Return => assert!(
                        moved > 0 && said(now, "updated") > withdrawn_at,
                        "{format}: {now}, withdrawn at {withdrawn_at}"
                    ),
                    _ => assert_eq!(moved, 0, "{act:?}: {format}: {now}"),
                }
                if act == Act::Correction {
                    assert!(text(now, "content").contains("đã sửa lỗi"), "{format}: {now}");
                }
            }
            // A library keeps what it once saw; what the documents hold is ours to say.
            let [party, economy] = [PARTY, ECONOMY]
                .map(|slug| parsed(&newsroom, slug, format).iter().any(|[id, ..]| *id == newsroom.guid()));
            let stands = (!matches!(act, Act::Withdrawal | Act::Move), act == Act::Move);
            assert_eq!((party, economy), stands, "{act:?}: {format}");
        }
    }
}

fn kept_by_newsboat(cache: &Path) -> Vec<Value> {
    serde_json::from_str(&python(include_str!("readers/newsboat.py"), &[cache.to_str().unwrap()])).unwrap()
}

#[test]
fn newsboat_keeps_each_article_once_through_every_change() {
    let newsroom = Newsroom::open();
    let homes = ["rss", "atom"].map(|format| {
        let urls = [PARTY, ECONOMY].map(|slug| newsroom.url(slug, format));
        let list = newsroom.world.write(&format!("{format}/urls"), urls.join("\n"));
        (format, newsroom.world.path(format), list)
    });
    for act in STORY {
        newsroom.play(act);
        for (format, home, urls) in &homes {
            let cache = home.join("cache.db");
            reload(home, urls, &cache, &newsroom.world.write(&format!("{format}/config"), ""));
            let kept = kept_by_newsboat(&cache);
            let ids: BTreeSet<String> = kept.iter().map(|item| text(item, "guid")).collect();
            assert_eq!((kept.len(), ids.len()), (4, 4), "{act:?}: {format}: {kept:?}");
            let ours = kept.iter().find(|item| item["guid"] == newsroom.guid()).unwrap();
            // It keeps what left a feed, as it last saw it, and knows an article across feeds.
            let (title, words, slug) = match act {
                Act::Start | Act::Nothing => (HEADLINE, "Bản đầu.", PARTY),
                Act::Edit => (NEW_HEADLINE, "Bản hai.", PARTY),
                Act::Correction | Act::Withdrawal | Act::Return => (NEW_HEADLINE, "đã sửa lỗi.", PARTY),
                Act::Move => (NEW_HEADLINE, "đã sửa lỗi.", ECONOMY),
            };
            assert_eq!(ours["title"], title, "{act:?}: {format}");
            assert!(text(ours, "content").contains(words), "{act:?}: {format}: {ours}");
            assert_eq!(ours["feedurl"], newsroom.url(slug, format), "{act:?}: {format}");
            assert_eq!(ours["deleted"], 0, "{act:?}: {format}: it knows no withdrawal");
        }
    }
}

/// Newsboat lets curl drop an answer whose Last-Modified is not past the one it knows
/// (CURLOPT_TIMECONDITION), and keeps the new tag all the same: a change that it misses so stays
/// missed until the next.
#[test]
fn newsboat_sees_a_change_within_the_second_of_another() {
    let newsroom = Newsroom::open();
    let url = newsroom.url(PARTY, "atom");
    let (urls, config) = (newsroom.world.write("urls", &url), newsroom.world.write("config", ""));
    let (home, cache) = (newsroom.world.path(""), newsroom.world.path("cache.db"));
    let poll = || reload(&home, &urls, &cache, &config);
    let api = Api::running(newsroom.world, &["write"]);
    let edit = |title: &str| {
        let change = json!({ "title": title });
        told(&api.ask("PATCH", "/articles/key:bb", &[], Some(&change)), 200);
        api.world.wait_at_most(AT_ONCE, "the edit shows", |world| titles(world, PARTY)[1] == title);
    };
    let second = || chrono::Utc::now().timestamp();
    poll();
    // A busy machine needs several tries to be so fast.
    let shared = (0..100).find_map(|n| {
        let last = second();
        while second() == last {
            std::thread::sleep(Duration::from_millis(1));
        }
        edit(&format!("Lần {n}, tin đầu"));
        poll();
        let title = format!("Lần {n}, tin sau");
        edit(&title);
        (second() == last + 1).then_some(title)
    });
    let title = shared.expect("two edits and a poll between them within one second");
    poll();
    let kept = kept_by_newsboat(&cache);
    assert!(kept.iter().any(|item| item["title"] == title), "{title} is not among {kept:?}");
}

/// A configuration of rss2email whose mail goes to a folder a feed.
struct RssToEmail {
    folder: PathBuf,
}

impl RssToEmail {
    fn new(folder: PathBuf) -> Self {
        std::fs::create_dir_all(folder.join("mail")).unwrap();
        let client = Self { folder };
        client.r2e(&["new", "an@doc.example"]);
        client
    }

    fn r2e(&self, arguments: &[&str]) {
        let output = Command::new("r2e")
            .env("HOME", &self.folder)
            .current_dir(&self.folder)
            .args(["-c", "config", "-d", "data.json"])
            .args(arguments)
            .output()
            .unwrap_or_else(|error| {
                panic!("rss2email is needed for the tests ({error}); tests/run installs it")
            });
        let words = String::from_utf8_lossy(&output.stderr);
        // A feed that it cannot use is a line of its log and no failure.
        assert!(
            output.status.success() && !words.contains("[ERROR]") && !words.contains("[WARNING]"),
            "{words}"
        );
    }

    /// Adds a feed under a name; `replies` asks for a mail about each change too.
    fn add(&self, name: &str, url: &str, replies: bool) {
        self.r2e(&["add", name, url]);
        let file = self.folder.join("config");
        let config = std::fs::read_to_string(&file).unwrap();
        let section = format!("[feed.{name}]\n");
        let settings = format!(
            "{section}email-protocol = maildir\nmaildir-path = {}\nmaildir-mailbox = {name}\n\
             reply-changes = {}\nhtml-mail = True\n",
            self.folder.join("mail").display(),
            if replies { "True" } else { "False" },
        );
        assert!(config.contains(&section), "{config}");
        std::fs::write(&file, config.replace(&section, &settings)).unwrap();
    }

    /// The mails about a feed, in no order.
    fn mails(&self, name: &str) -> Vec<Letter> {
        let folder = self.folder.join("mail").join(name).join("new");
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        entries.map(|entry| Letter(std::fs::read(entry.unwrap().path()).unwrap())).collect()
    }
}

#[test]
fn rss2email_mails_each_article_once_and_changes_only_to_those_who_ask() {
    let newsroom = Newsroom::open();
    let client = RssToEmail::new(newsroom.world.path("r2e"));
    let name = |slug: &str, format: &str, replies: bool| format!("{slug}-{format}-{replies}");
    let kinds = ["rss", "atom"].into_iter().flat_map(|format| [(format, false), (format, true)]);
    for (format, replies) in kinds.clone() {
        for slug in [PARTY, ECONOMY] {
            client.add(&name(slug, format, replies), &newsroom.url(slug, format), replies);
        }
    }
    for act in STORY {
        newsroom.play(act);
        client.r2e(&["run"]);
        for (format, replies) in kinds.clone() {
            // Its rule with reply-changes: another text is a change, whatever the dates say; so a
            // silent correction is told and a return under the same text is not. Each feed has a
            // memory of its own: who follows both sections gets an article that moved from both.
            let expected = match (act, replies) {
                (Act::Start | Act::Nothing, _)
                | (Act::Edit | Act::Correction | Act::Withdrawal | Act::Return, false) => (3, 1),
                (Act::Edit, true) => (4, 1),
                (Act::Correction | Act::Withdrawal | Act::Return, true) => (5, 1),
                (Act::Move, false) => (3, 2),
                (Act::Move, true) => (5, 2),
            };
            let [party, economy] = [PARTY, ECONOMY].map(|slug| client.mails(&name(slug, format, replies)));
            assert_eq!((party.len(), economy.len()), expected, "{act:?}: {format}, replies: {replies}");
            for mails in [&party, &economy] {
                let first: Vec<_> =
                    mails.iter().filter(|mail| mail.header("In-Reply-To").is_none()).collect();
                let ids: BTreeSet<_> = first.iter().map(|mail| mail.header("X-RSS-ID").unwrap()).collect();
                assert_eq!(ids.len(), first.len(), "{act:?}: {format}: an article is announced once");
            }
            if act == Act::Move {
                let told: BTreeSet<String> = economy.iter().map(Letter::subject).collect();
                assert_eq!(told, BTreeSet::from(["Giá lúa".to_owned(), NEW_HEADLINE.to_owned()]));
            }
        }
    }
}

#[test]
fn rss_parser_reads_rss_and_atom_after_each_change() {
    let newsroom = Newsroom::open();
    let urls = ["rss", "atom"].map(|format| newsroom.url(PARTY, format));
    for act in STORY {
        newsroom.play(act);
        let read = node(include_str!("readers/rss-parser.js"), &[&urls[0], &urls[1]]);
        let [rss, atom]: [Vec<Value>; 2] = serde_json::from_str(&read).unwrap();
        let said = items(&newsroom.world, PARTY);
        assert_eq!((rss.len(), atom.len()), (said.len(), said.len()), "{act:?}");
        for ((rss, atom), said) in rss.iter().zip(&atom).zip(&said) {
            assert_eq!((&rss["guid"], &atom["id"]), (&said["id"], &said["id"]), "{act:?}");
            assert_eq!((&rss["creator"], &atom["author"]), (&json!("Thu Hà"), &json!("Thu Hà")), "{act:?}");
            let content = &said["content_html"];
            assert_eq!((&rss["content:encoded"], &atom["content"]), (content, content), "{act:?}");
            for read in [rss, atom] {
                assert_eq!((&read["title"], &read["link"]), (&said["title"], &said["url"]), "{act:?}");
                let at = |object, name| instant(&text(object, name));
                assert_eq!(at(read, "isoDate"), at(said, "date_published"), "{act:?}");
            }
        }
        let seen: Vec<String> = rss.iter().map(|item| text(item, "title")).collect();
        assert_eq!(seen, Newsroom::titles_after(act)[0], "{act:?}");
    }
}
