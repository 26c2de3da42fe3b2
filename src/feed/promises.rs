//! CONTRACT promise 1: every format says the same, well-formed whatever text came in.

use super::text::zoned;
use super::{Part, Recent, Snapshot, Tombstone, opml, render, render_each, render_one, sample, sitemap};
use crate::domain::*;
use chrono::DateTime;
use proptest::prelude::*;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use std::sync::Arc;

/// What the three formats must agree on: id, title, published, updated.
type Said = (String, String, i64, Instant);

/// Any text at all, and more often than chance would the texts that break feeds.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        any::<String>(),
        "[\u{0}-\u{1f}\u{7f}-\u{9f}]{1,4}",
        Just("]]>".to_owned()),
        Just("<![CDATA[".to_owned()),
        Just("&amp;&#0;&#x1F;&nbsp;".to_owned()),
        Just("<script>alert(1)</script>".to_owned()),
        Just("\u{fffe}\u{ffff}\u{fffd}\u{1fffe}\u{feff}".to_owned()),
        Just("Xa\u{302}y du\u{31b}\u{323}ng Đa\u{309}ng".to_owned()),
        Just("\r\n\r\u{85}\u{2028}".to_owned()),
        "[A-Za-zàảãáạăđê ]{0,20}",
    ];
    prop::collection::vec(pieces, 0..4).prop_map(|pieces| pieces.concat())
}

prop_compose! {
    fn any_article()(
        number in 0_u128..1 << 40,
        title in text(), summary in prop::option::of(text()), body in text(), safe in any::<bool>(),
        authors in prop::collection::vec(text(), 0..3), tags in prop::collection::vec(text(), 0..3),
        section in text(), caption in prop::option::of(text()), origin in prop::option::of(text()),
        media_type in text(), path in text(), published in any::<i64>(), recent in any::<bool>(),
        later in 0_i64..1 << 40,
    ) -> Article {
        let published = if recent { published.rem_euclid(1 << 51) } else { published };
        let address = WebUrl::parse(&format!("https://a.vn/{path}")).ok();
        Article {
            summary,
            body: if safe { SafeHtml::clean(&body, None) } else { SafeHtml::stored(body) },
            url: address.clone(),
            authors,
            tags,
            categories: vec![Category { title: section, ..sample::category() }],
            published: from_micros(published),
            updated: from_micros(published.saturating_add(later)),
            image: address.clone().map(|url| Image {
                url, width: Some(1), height: None, credit: caption.clone(), caption,
            }),
            enclosures: address.clone().map(|url| Enclosure { url, media_type, length: 7 }).into_iter().collect(),
            source: origin.map(|title| Source { title, url: address }),
            ..sample::article(number, &title)
        }
    }
}

fn any_place() -> impl Strategy<Value = FeedPlace> {
    let private = |token: String, public: bool| FeedPlace::Private {
        token,
        public: public.then(|| "kinh-te,xa-hoi".parse().unwrap()),
    };
    prop_oneof![
        Just(sample::place("xay-dung-dang")),
        text().prop_map(FeedPlace::Search),
        ("[0-9a-f]{32}", any::<bool>()).prop_map(move |(token, public)| private(token, public)),
    ]
}

fn any_part() -> impl Strategy<Value = Part> {
    let number = || prop_oneof![0_i64..4, any::<i64>()];
    prop_oneof![
        number().prop_map(|archives| Part::Subscription { archives }),
        (number(), number()).prop_map(|(number, archives)| Part::Archive { number, archives }),
        (prop_oneof![0_u32..4, any::<u32>()], any::<bool>())
            .prop_map(|(number, more)| Part::Page { number, more }),
    ]
}

/// Some of them of articles that stand in the feed.
fn any_tombstones(articles: &[Article]) -> impl Strategy<Value = Vec<Tombstone>> + use<> {
    let mut ids: Vec<ArticleId> = (0..3).map(|number| sample::article(1 << 41 | number, "").id).collect();
    ids.extend(articles.iter().map(|article| article.id));
    let tombstone = (prop::sample::select(ids), prop_oneof![any::<i64>(), 0_i64..3]);
    let tombstone = tombstone.prop_map(|(article, at)| Tombstone { article, withdrawn_at: from_micros(at) });
    prop::collection::vec(tombstone, 0..5)
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    (any_feed(), any_place(), any_part(), any::<bool>()).prop_flat_map(|(mut snapshot, place, part, hub)| {
        snapshot.feed.place = place;
        snapshot.part = part;
        snapshot.hubs = hub.then(|| sample::url("https://bao.example/websub")).into_iter().collect();
        any_tombstones(&snapshot.articles)
            .prop_map(move |tombstones| Snapshot { tombstones, ..snapshot.clone() })
    })
}

prop_compose! {
    fn any_feed()(
        articles in prop::collection::vec(any_article(), 0..4),
        masthead in text(), title in text(), description in text(), full in any::<bool>(),
        changed_at in any::<i64>(), rights in prop::option::of(text()),
    ) -> Snapshot {
        let mut snapshot = sample::snapshot();
        snapshot.publication.title = masthead;
        snapshot.publication.license = rights.as_ref().and_then(|text| WebUrl::parse(&format!("https://a.vn/{text}")).ok());
        snapshot.publication.rights = rights;
        snapshot.feed.title = title;
        snapshot.feed.description = description;
        snapshot.feed.content = if full { FeedContent::Full } else { FeedContent::Summary };
        snapshot.changed_at = from_micros(changed_at);
        snapshot.articles = articles;
        snapshot
    }
}

/// Strictly well-formed: every character legal, every tag closed, every prefix bound, every
/// reference resolved. feed-rs alone accepts less.
fn assert_well_formed(bytes: &[u8]) {
    let xml = std::str::from_utf8(bytes).unwrap();
    assert!(xml.chars().all(|c| is_allowed_char(c) && c != '\u{fffd}'), "an illegal character in {xml:?}");
    let mut reader = quick_xml::NsReader::from_str(xml);
    let mut open = 0_i64;
    loop {
        let (namespace, event) = reader.read_resolved_event().unwrap();
        assert!(!matches!(namespace, ResolveResult::Unknown(_)), "an unbound prefix in {xml}");
        match &event {
            Event::Start(element) | Event::Empty(element) => {
                open += i64::from(matches!(event, Event::Start(_)));
                for attribute in element.attributes() {
                    attribute.unwrap().normalized_value(quick_xml::XmlVersion::Explicit1_0).unwrap();
                }
            }
            Event::End(_) => open -= 1,
            Event::Text(text) => assert!(!(**text).contains("]]>"), "`]]>` in {xml}"),
            Event::GeneralRef(name) => {
                assert!(["amp", "lt", "gt", "quot", "apos"].contains(&&**name), "{name:?} in {xml}");
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(open, 0, "an open element in {xml}");
}

fn read(date: &str) -> Instant {
    DateTime::parse_from_rfc3339(date).unwrap().to_utc()
}

fn said_in_json(bytes: &[u8]) -> Vec<Said> {
    let feed: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let word = |item: &serde_json::Value, key: &str| item[key].as_str().unwrap().to_owned();
    let items = feed["items"].as_array().unwrap().iter();
    items
        .map(|item| {
            let published = read(&word(item, "date_published"));
            assert_eq!(published.timestamp_subsec_nanos(), 0);
            let modified = read(&word(item, "date_modified"));
            (word(item, "id"), word(item, "title"), published.timestamp(), modified)
        })
        .collect()
}

fn said_in_rss(bytes: &[u8]) -> Vec<Said> {
    let channel = ::rss::Channel::read_from(bytes).unwrap();
    // The crate keeps no more than the links of Atom's namespace.
    let xml = std::str::from_utf8(bytes).unwrap();
    let instants = xml.split("<atom:updated>").skip(1).map(|rest| read(rest.split('<').next().unwrap()));
    let said = channel.items.iter().zip(instants).map(|(item, updated)| {
        let published = DateTime::parse_from_rfc2822(item.pub_date().unwrap()).unwrap().timestamp();
        (item.guid().unwrap().value.clone(), item.title().unwrap().to_owned(), published, updated)
    });
    said.collect()
}

fn said_in_atom(bytes: &[u8]) -> Vec<Said> {
    let feed = atom_syndication::Feed::read_from(bytes).unwrap();
    let said = feed.entries.into_iter().map(|entry| {
        (entry.id, entry.title.value, entry.published.unwrap().timestamp(), entry.updated.to_utc())
    });
    said.collect()
}

/// What an independent reader finds: it takes titles for HTML in its own ways, so ids and instants.
fn heard(bytes: &[u8]) -> Vec<(String, i64)> {
    let feed = feed_rs::parser::parse(bytes).unwrap();
    feed.entries.into_iter().map(|entry| (entry.id, entry.published.unwrap().timestamp())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_format_says_the_same_whatever_came_in(snapshot in any_snapshot()) {
        let bytes = |format| render(&snapshot, format).unwrap();
        let (rss, atom, json) = (bytes(Format::Rss), bytes(Format::Atom), bytes(Format::Json));
        assert_well_formed(&rss);
        assert_well_formed(&atom);
        let said = said_in_json(&json);
        prop_assert!(said.iter().all(|(_, title, ..)| !title.is_empty()));
        prop_assert_eq!(&said_in_rss(&rss), &said);
        prop_assert_eq!(&said_in_atom(&atom), &said);

        let ids: Vec<(String, i64)> = said.iter().map(|(id, _, at, _)| (id.clone(), *at)).collect();
        let expected: Vec<(String, i64)> = snapshot.articles.iter().map(|article| {
            (article.id.urn(), zoned(article.published, snapshot.publication.time_zone).timestamp())
        }).collect();
        prop_assert_eq!(&ids, &expected);
        prop_assert_eq!(&heard(&rss), &ids);
        prop_assert_eq!(&heard(&atom), &ids);
        prop_assert_eq!(&heard(&json), &ids);
    }

    #[test]
    fn the_text_is_the_same_in_every_format(snapshot in any_snapshot()) {
        let rss = ::rss::Channel::read_from(&*render(&snapshot, Format::Rss).unwrap()).unwrap();
        let atom = atom_syndication::Feed::read_from(&*render(&snapshot, Format::Atom).unwrap()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&render(&snapshot, Format::Json).unwrap()).unwrap();
        for (at, (item, entry)) in rss.items.iter().zip(&atom.entries).enumerate() {
            let content = entry.content.as_ref().and_then(|content| content.value.as_deref());
            prop_assert_eq!(item.content().map(str::trim), content.map(str::trim));
            if let Some(content) = content {
                prop_assert_eq!(json["items"][at]["content_html"].as_str().map(str::trim), Some(content.trim()));
            }
            let authors: Vec<&str> = entry.authors.iter().map(|author| author.name.as_str()).collect();
            let creators = item.dublin_core_ext().map(|dc| dc.creators.clone()).unwrap_or_default();
            prop_assert_eq!(creators, authors);
        }
    }

    #[test]
    fn a_document_says_where_it_is_once_and_leads_to_others(snapshot in any_snapshot()) {
        let rss = ::rss::Channel::read_from(&*render(&snapshot, Format::Rss).unwrap()).unwrap();
        let atom = atom_syndication::Feed::read_from(&*render(&snapshot, Format::Atom).unwrap()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&render(&snapshot, Format::Json).unwrap()).unwrap();
        let in_rss = &rss.atom_ext().unwrap().links;
        for links in [in_rss, &atom.links] {
            let of = |rel: &str| links.iter().filter(|link| link.rel == rel).map(|link| link.href.clone()).collect::<Vec<_>>();
            let own = of("self");
            prop_assert_eq!(own.len(), 1);
            for rel in ["prev-archive", "next-archive", "current", "previous", "next", "hub"] {
                prop_assert!(of(rel).len() <= 1);
                prop_assert!(!of(rel).contains(&own[0]), "{} leads to itself", rel);
            }
            let polled = matches!(snapshot.part, Part::Subscription { .. } | Part::Page { number: 0 | 1, .. });
            prop_assert!(polled || of("hub").is_empty() || of("prev-archive").is_empty());
        }
        let relations = |links: &[atom_syndication::Link]| -> Vec<String> {
            let ours = |link: &&atom_syndication::Link| !["alternate", "self"].contains(&link.rel.as_str());
            links.iter().filter(ours).map(|link| link.rel.clone()).collect()
        };
        prop_assert_eq!(relations(in_rss), relations(&atom.links));
        let older = relations(in_rss).iter().any(|rel| ["prev-archive", "next"].contains(&rel.as_str()));
        prop_assert_eq!(json["next_url"].is_string(), older);
        prop_assert_ne!(&json["next_url"], &json["feed_url"]);
        let is_archive = rss.extensions.contains_key("fh");
        prop_assert_eq!(is_archive, atom.extensions.contains_key("fh"));
        prop_assert_eq!(is_archive, relations(in_rss).contains(&"current".to_owned()));
    }

    #[test]
    fn what_was_taken_back_is_said_before_what_stands(snapshot in any_snapshot()) {
        let atom = String::from_utf8(render(&snapshot, Format::Atom).unwrap()).unwrap();
        let first = atom.find("\n <entry>").unwrap_or(atom.len());
        prop_assert!(atom.rfind("\n <at:deleted-entry ").is_none_or(|last| last < first));
        prop_assert!(atom.rfind("\n <fh:archive>").is_none_or(|last| last < first));
        prop_assert_eq!(atom.matches("\n <entry>").count(), snapshot.articles.len());

        let read = atom_syndication::Feed::read_from(atom.as_bytes()).unwrap();
        let elements = read.extensions.get("at").map(|names| names["deleted-entry"].clone()).unwrap_or_default();
        let in_atom: Vec<serde_json::Value> = elements
            .iter()
            .map(|element| serde_json::json!({ "id": element.attrs["ref"], "when": element.attrs["when"] }))
            .collect();
        let json: serde_json::Value = serde_json::from_slice(&render(&snapshot, Format::Json).unwrap()).unwrap();
        let in_json = json["_bantin"]["withdrawn"].as_array().cloned().unwrap_or_default();
        prop_assert_eq!(&in_atom, &in_json);
        prop_assert_eq!(atom.contains("xmlns:at="), !in_atom.is_empty());
        for (at, withdrawn) in in_atom.iter().enumerate() {
            prop_assert!(!in_atom[..at].contains(withdrawn), "said twice");
            prop_assert!(snapshot.articles.iter().all(|article| article.id.urn() != withdrawn["id"]));
        }
    }

    #[test]
    fn sitemaps_are_well_formed_too(snapshot in any_snapshot(), path in text()) {
        let Snapshot { publication, articles, changed_at, .. } = snapshot;
        assert_well_formed(&sitemap::news(&publication, &articles));
        let page = |loc| sitemap::Location { loc, lastmod: Some(changed_at) };
        let pages = [page(publication.url(&path)), page(path)];
        assert_well_formed(&sitemap::urls(&publication, &pages));
        assert_well_formed(&sitemap::index(&publication, &pages));
    }

    #[test]
    fn two_renders_are_the_same_bytes(snapshot in any_snapshot()) {
        for format in Format::ALL {
            prop_assert_eq!(render(&snapshot, format).unwrap(), render(&snapshot.clone(), format).unwrap());
        }
    }

    #[test]
    fn what_is_taken_over_is_what_would_be_written(
        before in any_snapshot(), mut after in any_snapshot(), same in any::<bool>(),
        becomes in prop::collection::vec((0_u8..4, text(), any::<prop::sample::Index>()), 4),
    ) {
        // One stays, one is revised, one is withdrawn, one moves to another place.
        for (article, (becomes, title, at)) in before.articles.iter().zip(becomes) {
            let revised = Article { title, revision: article.revision + 1, ..article.clone() };
            let at = at.index(after.articles.len() + 1);
            match becomes {
                0 => after.articles.push(article.clone()),
                1 => after.articles.insert(at, revised),
                2 => {}
                _ => after.articles.insert(at, article.clone()),
            }
        }
        if same {
            (after.publication, after.feed) = (before.publication.clone(), before.feed.clone());
        } else {
            // One program has one publication.
            after.publication = before.publication.clone();
        }
        let recent = Recent::new(1 << 14);
        let former = render_each(&before, &Format::ALL.map(|format| (format, None)), &recent).unwrap();
        let formats: Vec<_> = Format::ALL.into_iter().zip(former.into_iter().map(|one| Some(Arc::new(one)))).collect();
        for (written, format) in render_each(&after, &formats, &recent).unwrap().into_iter().zip(Format::ALL) {
            prop_assert_eq!(written.digest(), render_one(&after, format, &Recent::new(0)).unwrap().digest());
            prop_assert_eq!(written.into_bytes(), render(&after, format).unwrap());
        }
    }

    #[test]
    fn the_list_of_feeds_is_well_formed_too(snapshot in any_snapshot()) {
        let feeds = [snapshot.feed];
        assert_well_formed(&opml::render(&snapshot.publication, &feeds, snapshot.changed_at).unwrap());
    }
}

#[test]
fn an_id_outlives_title_slug_category_and_address() {
    let before = sample::snapshot();
    let mut after = before.clone();
    after.articles[0].title = "Một tên khác".into();
    after.articles[0].url = None;
    after.articles[0].categories.clear();
    after.feed.place = sample::place("ten-khac");
    after.feed.title = "Tên khác".into();
    for format in Format::ALL {
        let id = |snapshot| heard(&render(snapshot, format).unwrap())[0].clone();
        assert_eq!(id(&before), id(&after), "{format:?}");
    }
    let atom =
        |snapshot| atom_syndication::Feed::read_from(&*render(snapshot, Format::Atom).unwrap()).unwrap();
    assert_eq!(atom(&before).id, atom(&after).id);
    assert_eq!(atom(&before).id, sample::category().id.urn());
}

#[test]
fn the_lead_and_the_picture_are_shown_once() {
    let mut snapshot = sample::snapshot();
    let picture = snapshot.articles[0].image.clone().unwrap();
    let lead = snapshot.articles[0].summary.clone().unwrap();
    snapshot.articles[0].body = SafeHtml::clean(
        &format!("<p><b>STO</b> - {}</p><img src=\"{}\">", lead.replace('&', "&amp;"), picture.url),
        None,
    );
    let json = String::from_utf8(render(&snapshot, Format::Json).unwrap()).unwrap();
    let feed: serde_json::Value = serde_json::from_str(&json).unwrap();
    let content = feed["items"][0]["content_html"].as_str().unwrap();
    assert_eq!(content.matches("<img").count(), 1, "{content}");
    assert_eq!(content.matches("Đại hội chi bộ").count(), 1, "{content}");
}

#[test]
fn five_megabytes_of_one_article_are_carried() {
    let mut snapshot = sample::snapshot();
    snapshot.articles[0].body = SafeHtml::stored("<p>Đảng ]]> & \u{1}</p>\n".repeat(150_000));
    for format in [Format::Rss, Format::Atom] {
        assert_well_formed(&render(&snapshot, format).unwrap());
    }
}
