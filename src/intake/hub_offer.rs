//! Who pushes a feed, as the feed says it (WebSub §4).

use super::decode;
use super::foreign_feed::resolve;
use crate::domain::WebUrl;
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};

/// The longest address that is kept.
const LONGEST: usize = 2_000;

/// How many hubs of a document are kept.
const MOST: usize = 5;

/// Hubs that push a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubOffer {
    /// Who is asked to push, in the document's order; never empty.
    pub hubs: Vec<WebUrl>,
    /// What is asked for: the document's address by its own word.
    pub topic: WebUrl,
}

/// The hubs that were named, and the first address that the document gave itself.
#[derive(Debug, Default)]
struct Named {
    hubs: Vec<WebUrl>,
    /// Whether no more are wanted.
    enough: bool,
    topic: Option<WebUrl>,
}

impl Named {
    fn note(&mut self, relations: &str, target: &str, base: &WebUrl) {
        let url = || resolve(target, Some(base)).filter(|url| url.as_str().len() <= LONGEST);
        for relation in relations.split_ascii_whitespace() {
            match relation.to_ascii_lowercase().as_str() {
                "hub" if !self.enough => {
                    self.hubs.extend(url().filter(|url| !self.hubs.contains(url)));
                    self.enough = self.hubs.len() == MOST;
                }
                "self" => self.topic = self.topic.take().or_else(url),
                _ => {}
            }
        }
    }

    fn is_whole(&self) -> bool {
        !self.hubs.is_empty() && self.topic.is_some()
    }

    fn offer(self) -> Option<HubOffer> {
        self.is_whole().then_some(HubOffer { hubs: self.hubs, topic: self.topic? })
    }
}

impl HubOffer {
    /// Finds it in the Link headers of an answer, and what they leave out in its body.
    pub fn find<'l>(links: impl Iterator<Item = &'l str>, body: &[u8], base: &WebUrl) -> Option<Self> {
        let mut named = Named::default();
        links.for_each(|header| read_header(header, base, &mut named));
        if !named.is_whole() {
            named.enough = !named.hubs.is_empty();
            let text = decode::decode(body, &mut Vec::new()).unwrap_or_default();
            if text.trim_start().starts_with('{') {
                read_json(&text, base, &mut named);
            } else {
                read_xml(&text, base, &mut named);
            }
        }
        named.offer()
    }
}

/// `<https://a.example/>; rel="hub", <…>; rel=self` (RFC 8288 §3).
fn read_header(header: &str, base: &WebUrl, named: &mut Named) {
    let mut rest = header;
    while let Some((target, after)) = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        // A comma within quotes ends no link.
        let mut quoted = false;
        let end = after.find(|c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (parameters, later) = after.split_at(end.unwrap_or(after.len()));
        let relations = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"'))
        });
        named.note(relations.unwrap_or_default(), target, base);
        rest = later;
    }
}

/// `hubs` and `feed_url` of JSON Feed 1.1.
fn read_json(text: &str, base: &WebUrl, named: &mut Named) {
    #[derive(serde::Deserialize)]
    struct Top {
        #[serde(default)]
        feed_url: serde_json::Value,
        #[serde(default)]
        hubs: Vec<serde_json::Value>,
    }
    let Ok(top) = serde_json::from_str::<Top>(text) else { return };
    for hub in &top.hubs {
        let is_websub = hub["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("websub"));
        if let Some(url) = hub["url"].as_str().filter(|_| is_websub) {
            named.note("hub", url, base);
        }
    }
    named.note("self", top.feed_url.as_str().unwrap_or_default(), base);
}

/// `atom:link` of a feed, not of its items.
fn read_xml(text: &str, base: &WebUrl, named: &mut Named) {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    (config.allow_dangling_amp, config.allow_unmatched_ends, config.check_end_names) = (true, true, false);
    let mut within = 0_usize;
    // Links may stand behind the items, but where all is known nobody looks for more there.
    while within == 0 || !named.is_whole() {
        match reader.read_event() {
            Ok(Event::Start(tag)) if is_item(tag.local_name().as_ref()) => within += 1,
            Ok(Event::End(tag)) if is_item(tag.local_name().as_ref()) => within = within.saturating_sub(1),
            Ok(Event::Start(tag) | Event::Empty(tag)) if within == 0 => {
                if tag.local_name().as_ref() == "link" {
                    let (relations, target) = (value(&tag, "rel"), value(&tag, "href"));
                    named.note(&relations, &target, base);
                }
            }
            Ok(Event::Eof) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn is_item(name: &str) -> bool {
    matches!(name, "item" | "entry")
}

fn value(tag: &BytesStart<'_>, name: &str) -> String {
    let found = tag.attributes().with_checks(false).flatten().find(|found| found.key.as_ref() == name);
    let text = found.map(|attribute| attribute.value.into_owned()).unwrap_or_default();
    unescape(&text).map(std::borrow::Cow::into_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(links: &[&str], body: &str) -> Option<(String, String)> {
        let base = WebUrl::parse("https://bao.example/tin/rss").unwrap();
        let offer = HubOffer::find(links.iter().copied(), body.as_bytes(), &base)?;
        let hubs: Vec<&str> = offer.hubs.iter().map(WebUrl::as_str).collect();
        Some((hubs.join(" "), offer.topic.to_string()))
    }

    fn told(hub: &str, topic: &str) -> Option<(String, String)> {
        Some((hub.to_owned(), topic.to_owned()))
    }

    const ATOM: &str = "<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom'><link rel='self' href='/a.atom?x=1&amp;y=2'/>\
        <entry><link rel='hub' href='https://entry.example/'/></entry><link rel='hub' href='https://hub.example/'/></feed>";

    #[test]
    fn a_feed_names_its_hub_in_every_format() {
        let expected = told("https://hub.example/", "https://bao.example/a.atom?x=1&y=2");
        assert_eq!(find(&[], ATOM), expected);
        let rss = "<rss xmlns:a10='http://www.w3.org/2005/Atom'><channel><link>https://bao.example/</link>\
            <a10:link href='https://hub.example/' rel='alternate hub'/><a10:link rel='self' href='rss'></a10:link>\
            <item><title>Một</title>";
        assert_eq!(find(&[], rss), told("https://hub.example/", "https://bao.example/tin/rss"));
        let json = r#"{"version": "1.1", "feed_url": "https://bao.example/f.json", "hubs":
            [{"type": "rssCloud", "url": "https://cloud.example/"}, {"type": "WebSub", "url": "https://hub.example/"}]}"#;
        assert_eq!(find(&[], json), told("https://hub.example/", "https://bao.example/f.json"));
    }

    #[test]
    fn what_the_headers_say_stands_before_what_the_document_says() {
        let one = r#"<https://h.example/?a,b>; title="x, y"; rel="hub", </self>; REL=self"#;
        assert_eq!(find(&[one], ATOM), told("https://h.example/?a,b", "https://bao.example/self"));
        let two = ["<https://h.example/>;rel=hub", "<https://h2.example/>;rel=hub", "<rss>; rel=self"];
        let both = "https://h.example/ https://h2.example/";
        assert_eq!(find(&two, "damaged"), told(both, "https://bao.example/tin/rss"));
        let hub_alone = ["<https://h.example/>; rel=hub"];
        assert_eq!(find(&hub_alone, ATOM), told("https://h.example/", "https://bao.example/a.atom?x=1&y=2"));
    }

    #[test]
    fn every_hub_is_known_once_in_its_order_and_no_more_than_five() {
        let links: String =
            [3, 1, 3, 2, 4, 5, 6].map(|n| format!("<link rel='hub' href='https://h{n}.example/'/>")).concat();
        let rss =
            format!("<rss><channel>{links}<link rel='self' href='rss'/><item/><link rel='hub' href='/h'/>");
        let hubs = [3, 1, 2, 4, 5].map(|n| format!("https://h{n}.example/")).join(" ");
        assert_eq!(find(&[], &rss), told(&hubs, "https://bao.example/tin/rss"));
        let json = r#"{"feed_url": "/f", "hubs": [{"type": "websub", "url": "/a"}, {"type": "WebSub", "url": "/b"}]}"#;
        assert_eq!(
            find(&[], json),
            told("https://bao.example/a https://bao.example/b", "https://bao.example/f")
        );
    }

    #[test]
    fn where_either_is_missing_there_is_no_offer() {
        for (links, body) in [
            ("", "<rss><channel></channel></rss>"),
            ("<https://h.example/>; rel=hub", "<rss/>"),
            ("<ftp://h.example/>; rel=hub, <rss>; rel=self", ""),
            ("<https://h.example/>; rel=hub", r#"{"hubs": 3, "feed_url": "https://bao.example/"}"#),
        ] {
            assert_eq!(find(&[links], body), None, "{links} {body}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_is_too_odd(link in any::<String>(), body in any::<Vec<u8>>()) {
            let base = WebUrl::parse("https://bao.example/").unwrap();
            let _ = HubOffer::find([link.as_str()].into_iter(), &body, &base);
        }
    }
}
