//! A reader that comes seldom walks the archives and ends with every article (CONTRACT.md, promise 3;
//! RFC 5005 §4), and one that missed a withdrawal is told of it (RFC 6721).
//!
//! The walker knows nothing of ours: it starts at a feed's address and follows `prev-archive`, or
//! `next_url` in JSON Feed, with any address and any number of documents.

use crate::judges::ATOM;
use crate::served::{AT_ONCE, FORMATS, article, id_of, items, text, titles, with};
use crate::world::{Answer, World, judged};
use chrono::{DateTime, Utc};
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const WINDOW: usize = 5;
const SLUG: &str = "kinh-te";
const SECTION: &str = "Kinh tế";

const NS_ATOM: &str = "http://www.w3.org/2005/Atom";
const NS_HISTORY: &str = "http://purl.org/syndication/history/1.0";
const NS_TOMBSTONES: &str = "http://purl.org/atompub/tombstones/1.0";

/// One document of a feed as a reader takes it.
struct Document {
    address: String,
    answer: Answer,
    /// Title and last change by id.
    entries: BTreeMap<String, (String, DateTime<Utc>)>,
    /// The feed's own links, `next_url` as `prev-archive`.
    links: Vec<(String, String)>,
    is_archive: bool,
    tombstones: Vec<Tombstone>,
}

#[derive(Debug)]
struct Tombstone {
    id: String,
    when: DateTime<Utc>,
    /// Whether it stands before the first entry, where the schema of RFC 4287 lets it stand.
    before_entries: bool,
}

impl Document {
    fn get(world: &World, address: &str) -> Self {
        let path = address.strip_prefix(&world.url("")).unwrap_or_else(|| panic!("not ours: {address}"));
        let answer = world.get(path);
        assert_eq!(answer.status, 200, "{address}");
        Self::read(address, answer)
    }

    fn read(address: &str, answer: Answer) -> Self {
        let feed = feed_rs::parser::parse(&*answer.body).unwrap_or_else(|error| panic!("{address}: {error}"));
        let count = feed.entries.len();
        let entry = |e: feed_rs::model::Entry| (e.id, (e.title.unwrap().content, e.updated.unwrap()));
        let entries: BTreeMap<_, _> = feed.entries.into_iter().map(entry).collect();
        assert_eq!(entries.len(), count, "{address}: an id twice in one document");
        let (links, is_archive, tombstones) = (Vec::new(), false, Vec::new());
        let mut document =
            Self { address: address.to_owned(), answer, entries, links, is_archive, tombstones };
        if document.answer.header("content-type").unwrap().starts_with("application/feed+json") {
            document.read_json();
        } else {
            document.read_xml();
        }
        document
    }

    fn read_json(&mut self) {
        let feed: Value = serde_json::from_slice(&self.answer.body).unwrap();
        // The feed's own address is its name in each of its documents (JSON Feed 1.1, `feed_url`).
        for (name, rel) in [("feed_url", "current"), ("next_url", "prev-archive")] {
            self.links.extend(feed[name].as_str().map(|url| (rel.to_owned(), url.to_owned())));
        }
    }

    /// What stands at the feed's own level.
    fn read_xml(&mut self) {
        let xml = self.answer.text();
        let mut reader = NsReader::from_str(&xml);
        let (mut depth, mut entries) = (0, 0);
        loop {
            let (namespace, event) = reader.read_resolved_event().unwrap();
            let namespace = match namespace {
                ResolveResult::Bound(namespace) => namespace.into_inner().to_owned(),
                _ => String::new(),
            };
            match event {
                Event::Start(element) => {
                    if matches!(element.local_name().as_ref(), "entry" | "item") {
                        entries += 1;
                    }
                    self.read_element(&namespace, &element, entries);
                    depth += 1;
                }
                Event::Empty(element) => self.read_element(&namespace, &element, entries),
                Event::End(_) => depth -= 1,
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(depth, 0, "{}", self.address);
    }

    /// Entries have links of other relations only, so that their depth need not be looked at.
    fn read_element(&mut self, namespace: &str, element: &BytesStart<'_>, entries_before: usize) {
        let attribute = |name: &str| {
            let attribute = element.try_get_attribute(name).unwrap()?;
            Some(attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0).unwrap().into_owned())
        };
        let is = |ns: &str, name: &str| namespace == ns && element.local_name().as_ref() == name;
        if is(NS_ATOM, "link") {
            let rel = attribute("rel").unwrap_or_else(|| "alternate".to_owned());
            self.links.push((rel, attribute("href").unwrap()));
        } else if is(NS_HISTORY, "archive") {
            assert_eq!(entries_before, 0, "{}: fh:archive is of the feed", self.address);
            self.is_archive = true;
        } else if is(NS_TOMBSTONES, "deleted-entry") {
            let when = DateTime::parse_from_rfc3339(&attribute("when").unwrap()).unwrap().to_utc();
            let id = attribute("ref").unwrap();
            self.tombstones.push(Tombstone { id, when, before_entries: entries_before == 0 });
        }
    }

    fn link(&self, rel: &str) -> Option<&str> {
        let mut hrefs = self.links.iter().filter(|(of, _)| of == rel).map(|(_, href)| href.as_str());
        let first = hrefs.next();
        assert_eq!(hrefs.next(), None, "{}: one {rel} at most", self.address);
        first
    }

    fn ids(&self) -> BTreeSet<&str> {
        self.entries.keys().map(String::as_str).collect()
    }
}

/// The subscription document and its archives, the newest first.
fn walk(world: &World, slug: &str, format: &str) -> Vec<Document> {
    let subscription = world.url(&format!("/feeds/{slug}.{format}"));
    let mut walked = vec![Document::get(world, &subscription)];
    let mut seen = BTreeSet::from([subscription.clone()]);
    while let Some(previous) = walked.last().unwrap().link("prev-archive").map(str::to_owned) {
        assert!(seen.insert(previous.clone()), "{previous} comes back");
        assert!(seen.len() < 200, "a walk without an end");
        let page = Document::get(world, &previous);
        assert!(page.is_archive || format == "json", "{previous} has no fh:archive");
        assert_eq!(page.link("current"), Some(&*subscription), "{previous}");
        assert!(page.tombstones.is_empty(), "{previous}: tombstones are of the subscription document");
        walked.push(page);
    }
    // A page that is closed meanwhile is linked from one that was fetched after it alone: that is a
    // walk through two states, and another one goes through the later.
    let present = Document::get(world, &subscription);
    if present.link("prev-archive") != walked[0].link("prev-archive") {
        return walk(world, slug, format);
    }
    for document in &walked {
        assert!(format == "json" || document.link("self") == Some(&*document.address));
        let next = document.link("next-archive");
        // Not to one still under construction (§4): what it leads to leads back.
        if let Some(next) = next {
            let next = walked.iter().find(|page| page.address == next).unwrap_or_else(|| panic!("{next}"));
            assert_eq!(next.link("prev-archive"), Some(&*document.address));
        }
    }
    assert!(!walked[0].is_archive && walked[0].entries.len() <= WINDOW, "{slug}.{format}");
    walked
}

#[test]
fn the_walker_reads_what_the_rfcs_write() {
    let xml = |body: &str| {
        let headers = vec![("content-type".to_owned(), "application/atom+xml".to_owned())];
        Document::read("a", Answer { status: 200, headers, body: body.as_bytes().to_vec() })
    };
    // The examples of RFC 5005 §4 and RFC 6721 §2, in Atom and in RSS, with prefixes of their own.
    let tombstone = "<x:deleted-entry ref='urn:1' when='2005-11-29T12:11:12Z'/>";
    let entry = "<entry><title>T</title><id>urn:2</id><updated>2003-12-13T18:30:02Z</updated>\
                 <link rel='alternate' href='http://e/2'/></entry>";
    let atom = |before: &str, after: &str| {
        xml(&format!(
            "<feed xmlns='{NS_ATOM}' xmlns:h='{NS_HISTORY}' xmlns:x='{NS_TOMBSTONES}'><title>E</title><id>urn:0</id>\
             <updated>2003-12-13T18:30:02Z</updated><h:archive/><link rel='self' href='http://e/1'/>\
             <link rel='prev-archive' href='http://e/0?a&amp;b'/><link rel='current' href='http://e/'/>\
             {before}{entry}{after}</feed>"
        ))
    };
    let rss = xml(&format!(
        "<rss version='2.0' xmlns:a='{NS_ATOM}' xmlns:history='{NS_HISTORY}'><channel><title>E</title>\
         <link>http://e</link><description>d</description><history:archive/>\
         <a:link rel='prev-archive' href='http://e/0?a&amp;b'/><a:link rel='current' href='http://e/'/>\
         <item><title>T</title><guid isPermaLink='false'>urn:2</guid><a:updated>2003-12-13T18:30:02Z</a:updated>\
         </item></channel></rss>"
    ));
    let first = atom(tombstone, "");
    assert!(first.tombstones[0].before_entries && first.tombstones[0].id == "urn:1");
    assert!(!atom("", tombstone).tombstones[0].before_entries);
    for document in [&first, &rss] {
        assert!(document.is_archive);
        assert_eq!(document.link("prev-archive"), Some("http://e/0?a&b"));
        assert_eq!((document.link("current"), document.link("next-archive")), (Some("http://e/"), None));
    }
    assert_eq!((first.entries.len(), &first.entries), (1, &rss.entries));
}

/// What a walker ends with: by id, the state changed last (§4.2).
fn merged(walked: &[Document]) -> BTreeMap<String, (String, DateTime<Utc>)> {
    let mut merged: BTreeMap<String, (String, DateTime<Utc>)> = BTreeMap::new();
    for (id, state) in walked.iter().flat_map(|document| &document.entries) {
        let held = merged.entry(id.clone()).or_insert_with(|| state.clone());
        if held.1 < state.1 {
            *held = state.clone();
        }
    }
    merged
}

fn merged_titles(walked: &[Document]) -> Vec<String> {
    let mut titles: Vec<String> = merged(walked).into_values().map(|(title, _)| title).collect();
    titles.sort();
    titles
}

/// Walks each format and finds exactly these, in the same documents.
fn assert_complete(world: &World, slug: &str, expected: &BTreeSet<String>, what: &str) -> [Vec<Document>; 3] {
    let walks = FORMATS.map(|format| walk(world, slug, format));
    for (walked, format) in walks.iter().zip(FORMATS) {
        assert_eq!(merged_titles(walked), Vec::from_iter(expected.clone()), "{what}: {slug}.{format}");
    }
    let sets = |walked: &[Document]| walked.iter().map(|page| page.entries.clone()).collect::<Vec<_>>();
    assert_eq!(sets(&walks[0]), sets(&walks[2]), "{what}: {slug}, RSS and JSON Feed");
    assert_eq!(sets(&walks[1]), sets(&walks[2]), "{what}: {slug}, Atom and JSON Feed");
    walks
}

/// An article of its own minute, by number.
fn numbered(n: usize) -> Value {
    let published = format!("2026-11-03T{:02}:{:02}:00+07:00", 6 + n / 60, n % 60);
    with(article(&format!("so-{n}"), &title(n), SECTION), json!({ "published": published }))
}

fn title(n: usize) -> String {
    format!("Tin số {n:03}")
}

/// A section and the whole, both with a small window, and `count` articles.
fn newsroom(count: usize) -> World {
    let mut world = World::new();
    world.write(
        "feeds/kinh-te.toml",
        format!("[feed]\nslug = \"{SLUG}\"\ncategory = \"{SLUG}\"\nwindow = {WINDOW}\n"),
    );
    world.write("feeds/all.toml", format!("[feed]\nslug = \"all\"\nall = true\nwindow = {WINDOW}\n"));
    if count > 0 {
        world.import(&(0..count).map(numbered).collect::<Vec<_>>());
    }
    world.serve();
    world
}

fn wait_until_first(world: &World, title: &str) {
    world.wait_at_most(AT_ONCE, title, |world| {
        [SLUG, "all"].iter().all(|slug| titles(world, slug).first().is_some_and(|first| first == title))
    });
}

#[test]
fn a_burst_of_three_windows_between_two_polls_loses_nothing() {
    let world = newsroom(3);
    let titles_of = |count: usize| (0..count).map(title).collect::<BTreeSet<_>>();
    for slug in [SLUG, "all"] {
        assert_complete(&world, slug, &titles_of(3), "the first poll");
    }
    // Three windows and two between two polls.
    world.import(&(3..20).map(numbered).collect::<Vec<_>>());
    wait_until_first(&world, &title(19));
    for slug in [SLUG, "all"] {
        let walks = assert_complete(&world, slug, &titles_of(20), "after the burst");
        assert!(walks.iter().all(|walked| walked[0].entries.len() == WINDOW && walked.len() >= 2), "{slug}");
    }
    let page = &walk(&world, SLUG, "atom")[1];
    let file = world.write("page.atom", &page.answer.body);
    judged("xmllint", &["--noout"], &file).unwrap();
    judged("jing", &["-c", ATOM], &file).unwrap();
}

/// An archive page at an earlier look.
struct Page {
    ids: BTreeSet<String>,
    /// Whether it was the newest, which may be under construction.
    newest: bool,
    /// Whether a `next-archive` led to it, which says that it is complete (§4).
    promised: bool,
}

/// Every archive page that a walk came by, by its address.
#[derive(Default)]
struct Pages(BTreeMap<String, Page>);

impl Pages {
    /// Looks at a walk again: no page lost an entry, and none that was complete got one.
    fn look(&mut self, walked: &[Document], what: &str) {
        let next: BTreeSet<_> = walked.iter().filter_map(|page| page.link("next-archive")).collect();
        for (n, page) in walked.iter().enumerate().skip(1) {
            let ids: BTreeSet<String> = page.ids().into_iter().map(str::to_owned).collect();
            let now = Page { ids: ids.clone(), newest: n == 1, promised: next.contains(&*page.address) };
            let Some(before) = self.0.insert(page.address.clone(), now) else { continue };
            let may_grow = before.newest && !before.promised;
            let as_promised = before.ids.is_subset(&ids) && (may_grow || before.ids.len() == ids.len());
            assert!(as_promised, "{what}: {}: {:?} became {ids:?}", page.address, before.ids);
        }
    }
}

#[test]
fn an_archive_page_that_is_complete_holds_the_same_entries_for_ever() {
    let world = newsroom(12);
    let mut pages = Pages::default();
    let mut count = 12;
    // Every remainder of the window, by single articles and in bursts.
    for more in [0, 1, 1, 1, 1, 1, 7, 13] {
        if more > 0 {
            world.import(&(count..count + more).map(numbered).collect::<Vec<_>>());
            count += more;
            wait_until_first(&world, &title(count - 1));
        }
        let expected = (0..count).map(title).collect::<BTreeSet<_>>();
        for slug in [SLUG, "all"] {
            let what = format!("{count} articles");
            for walked in assert_complete(&world, slug, &expected, &what) {
                pages.look(&walked, &what);
            }
        }
    }
    let walked: BTreeSet<String> =
        walk(&world, SLUG, "rss")[1..].iter().map(|page| page.address.clone()).collect();
    assert!(walked.len() >= 2 && walked.is_subset(&pages.0.keys().cloned().collect()), "{walked:?}");
    // A page is asked for as cheaply as a feed.
    for page in walk(&world, SLUG, "json").iter().skip(1).take(1) {
        let path = page.address.strip_prefix(&world.url("")).unwrap();
        let tag = page.answer.header("etag").unwrap();
        assert_eq!(world.request("GET", path, &[("If-None-Match", tag)], b"").status, 304);
        assert!(page.answer.header("last-modified").is_some());
        assert_eq!(world.request("HEAD", path, &[], b"").status, 200);
    }
    for path in ["archive/0.rss", "archive/9999.atom", "archive/x.json", "archive/-1.rss", "archive/1.xml"] {
        let answer = world.get(&format!("/feeds/{SLUG}/{path}"));
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
    }
}

#[test]
fn an_article_dated_years_ago_is_found_although_no_window_ever_showed_it() {
    let world = newsroom(12);
    let mut expected = (0..12).map(title).collect::<BTreeSet<_>>();
    let mut pages = Pages::default();
    for slug in [SLUG, "all"] {
        FORMATS.iter().for_each(|format| pages.look(&walk(&world, slug, format), "before"));
    }
    // One, and then enough to fill a page.
    for (batch, count) in [1, 1, 6].into_iter().enumerate() {
        let old: Vec<Value> = (0..count)
            .map(|n| {
                let key = format!("cu-{batch}-{n}");
                let fields = json!({ "published": format!("201{n}-05-0{}T08:00:00+07:00", batch + 1) });
                with(article(&key, &format!("Bài cũ {batch}-{n}"), SECTION), fields)
            })
            .collect();
        world.import(&old);
        expected.extend(old.iter().map(|article| text(article, "title")));
        world.wait_at_most(AT_ONCE, "a walk finds it", |world| {
            ["rss", "atom", "json"]
                .iter()
                .all(|format| merged_titles(&walk(world, SLUG, format)).len() == expected.len())
        });
        for slug in [SLUG, "all"] {
            let walks = assert_complete(&world, slug, &expected, "dated years ago");
            let newest = (7..12).map(title).collect::<BTreeSet<_>>();
            let shown = walks[0][0].entries.values().map(|(title, _)| title.clone()).collect::<BTreeSet<_>>();
            assert_eq!(shown, newest, "{slug}: the window is of the newest");
            walks.iter().for_each(|walked| pages.look(walked, "dated years ago"));
        }
    }
}

#[test]
fn sixty_old_articles_imported_newest_first_are_all_found() {
    for already in [0, 8] {
        let world = newsroom(already);
        let old: Vec<Value> = (0..60)
            .rev()
            .map(|n| {
                let fields = json!({ "published": format!("2019-{:02}-{:02}T08:00:00+07:00", 1 + n / 28, 1 + n % 28) });
                with(article(&format!("kho-{n}"), &format!("Kho {n:02}"), SECTION), fields)
            })
            .collect();
        world.import(&old);
        let mut expected: BTreeSet<String> = old.iter().map(|article| text(article, "title")).collect();
        expected.extend((0..already).map(title));
        world.wait_at_most(AT_ONCE, "all are found", |world| {
            FORMATS.iter().all(|format| {
                world.get(&format!("/feeds/{SLUG}.{format}")).status == 200
                    && merged_titles(&walk(world, SLUG, format)).len() == expected.len()
            })
        });
        for slug in [SLUG, "all"] {
            assert_complete(&world, slug, &expected, "a bulk import");
        }
    }
}

/// The archive page that an article stands in.
fn page_of<'a>(walked: &'a [Document], id: &str) -> &'a Document {
    walked[1..]
        .iter()
        .find(|page| page.entries.contains_key(id))
        .unwrap_or_else(|| panic!("no page has {id}"))
}

#[test]
fn what_happens_to_an_archived_article_shows_in_its_page_and_in_no_other() {
    let world = newsroom(20);
    let walked = walk(&world, SLUG, "json");
    let id = merged(&walked).into_iter().find(|(_, (held, _))| *held == title(4)).unwrap().0;
    let command_id = id.trim_start_matches("urn:uuid:").to_owned();
    let address = page_of(&walked, &id).address.clone();
    let mut last = walked;
    let mut changed = |what: &str, expected: &dyn Fn(&Document) -> bool| {
        world.wait_at_most(AT_ONCE, what, |world| {
            FORMATS.iter().all(|format| {
                let address = address.replace(".json", &format!(".{format}"));
                expected(&Document::get(world, &address))
            })
        });
        let walked = walk(&world, SLUG, "json");
        let mut pages = 0;
        for (now, before) in walked[1..].iter().zip(&last[1..]) {
            assert_eq!(now.address, before.address, "{what}");
            if now.address == address {
                pages += 1;
                assert_ne!(now.answer.header("etag"), before.answer.header("etag"), "{what}: {address}");
            } else {
                assert_eq!(now.entries, before.entries, "{what}: {}", now.address);
            }
        }
        assert_eq!(pages, 1, "{what}");
        last = walked;
    };
    let before = Document::get(&world, &address);
    let others = |page: &Document| {
        page.ids().into_iter().filter(|of| *of != id).map(str::to_owned).collect::<Vec<_>>()
    };
    let stay = others(&before);

    world.import(&[with(numbered(4), json!({ "title": "Tin số bốn, đính chính" }))]);
    changed("a significant edit", &|page| {
        page.entries
            .get(&id)
            .is_some_and(|(title, at)| title == "Tin số bốn, đính chính" && *at > before.entries[&id].1)
            && others(page) == stay
    });
    let silent = json!({ "title": "Tin số bốn, đính chính", "content_html": "<p>Đã sửa dấu.</p>", "significant": false });
    world.import(&[with(numbered(4), silent)]);
    changed("a silent correction", &|page| page.answer.text().contains("Đã sửa dấu"));

    world.done(&["article", "withdraw", &command_id]);
    changed("a withdrawal", &|page| !page.entries.contains_key(&id) && others(page) == stay);
    for format in FORMATS {
        for document in walk(&world, SLUG, format) {
            assert!(!document.answer.text().contains("đính chính"), "{} still tells it", document.address);
        }
    }
    let expected = (0..20).filter(|n| *n != 4).map(title).collect::<BTreeSet<_>>();
    assert_complete(&world, SLUG, &expected, "a withdrawal");
    world.done(&["article", "publish", &command_id]);
    world.wait_at_most(AT_ONCE, "it is found again", |world| {
        FORMATS.iter().all(|format| merged(&walk(world, SLUG, format)).contains_key(&id))
    });
}

#[test]
fn an_article_that_moves_is_found_by_walking_the_other_section_only() {
    let world = newsroom(20);
    world.import(&[article("vh", "Đờn ca", "Văn hóa")]);
    let moved = with(numbered(4), json!({ "categories": ["Văn hóa"] }));
    world.import(&[moved]);
    let expected = (0..20).filter(|n| *n != 4).map(title).collect::<BTreeSet<_>>();
    world.wait_at_most(AT_ONCE, "it has moved", |world| {
        titles(world, "van-hoa").len() == 2
            && FORMATS.iter().all(|format| merged(&walk(world, SLUG, format)).len() == expected.len())
    });
    assert_complete(&world, SLUG, &expected, "a move");
    let everything = (0..20).map(title).chain(["Đờn ca".to_owned()]).collect::<BTreeSet<_>>();
    assert_complete(&world, "all", &everything, "a move");
}

#[test]
fn a_withdrawal_leaves_a_tombstone_until_the_article_returns() {
    let world = newsroom(20);
    // One that the window shows, and one that only an archive has.
    let archived =
        merged(&walk(&world, SLUG, "atom")).into_iter().find(|(_, (held, _))| *held == title(4)).unwrap().0;
    let shown = format!("urn:uuid:{}", id_of(&world, SLUG, &title(17)));
    for id in [shown, archived] {
        let subscription = |slug: &str| Document::get(&world, &world.url(&format!("/feeds/{slug}.atom")));
        let of_it = |slug: &str| {
            let mut found = subscription(slug).tombstones;
            found.retain(|tombstone| tombstone.id == id);
            found
        };
        assert!(of_it(SLUG).is_empty());
        let command_id = id.trim_start_matches("urn:uuid:");
        // Both within one second, mostly, so that a rounding would show.
        let last = Utc::now().timestamp();
        world.wait_for("a second begins", |_| Utc::now().timestamp() > last);
        let begun = Utc::now();
        world.done(&["article", "withdraw", command_id]);
        let done = Utc::now();
        world.wait_at_most(AT_ONCE, "the tombstone stands", |_| {
            of_it(SLUG).len() == 1 && of_it("all").len() == 1
        });
        let (mut last, mut with_tombstone) = (begun, Vec::new());
        for slug in [SLUG, "all"] {
            let tombstone = &of_it(slug)[0];
            assert!(tombstone.before_entries, "{slug}: {tombstone:?}");
            // It may be said in whole seconds.
            assert!(
                (begun.timestamp()..=done.timestamp()).contains(&tombstone.when.timestamp()),
                "{slug}: {tombstone:?}"
            );
            last = tombstone.when;
            let document = subscription(slug);
            assert!(!document.entries.contains_key(&id));
            with_tombstone.push(document.answer.body);
        }
        world.done(&["article", "publish", command_id]);
        world.wait_at_most(AT_ONCE, "it is back without a tombstone", |world| {
            of_it(SLUG).is_empty()
                && of_it("all").is_empty()
                && merged(&walk(world, SLUG, "atom")).contains_key(&id)
        });
        for format in FORMATS {
            let updated = merged(&walk(&world, SLUG, format))[&id].1;
            assert!(updated > last, "{format}: updated {updated}, withdrawn {last} (RFC 6721 §3)");
        }
        for body in with_tombstone {
            let file = world.write("tombstone.atom", body);
            judged("xmllint", &["--noout"], &file).unwrap();
            judged("jing", &["-c", ATOM], &file).unwrap();
        }
    }
    assert_eq!(items(&world, SLUG).len(), WINDOW);
}
