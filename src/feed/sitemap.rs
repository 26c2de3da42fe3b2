//! What search engines read: sitemaps (sitemaps.org 0.9), Google's for news, and robots.txt.

use super::document::title_of;
use super::text::{line, uri, zoned};
use crate::domain::{Article, Instant, LanguageTag, Publication, WebUrl};
use chrono::SecondsFormat;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesStart, BytesText, Event};
use std::io;

/// The media type in which sitemaps are served.
pub const CONTENT_TYPE: &str = "application/xml; charset=utf-8";

/// Where the index of sitemaps is.
pub const INDEX_PATH: &str = "/sitemap.xml";

/// Where the sitemap for news is.
pub const NEWS_PATH: &str = "/sitemap-news.xml";

/// How old an article may be in a sitemap for news: "created in the last two days" (Google).
pub const NEWS_DAYS: i64 = 2;

/// Addresses of one news sitemap (Google).
pub const MOST_NEWS: usize = 1_000;

/// Addresses of one sitemap or index (sitemaps.org).
const MOST_LOCATIONS: usize = 50_000;

/// Bytes of one sitemap or index, uncompressed (sitemaps.org).
const MOST_BYTES: usize = 52_428_800;

/// Characters of an address: "less than 2,048" (sitemaps.org).
const LONGEST_ADDRESS: usize = 2_047;

const SITEMAP: &str = "http://www.sitemaps.org/schemas/sitemap/0.9";
const NEWS: &str = "http://www.google.com/schemas/sitemap-news/0.9";

/// What is for one reader's eyes, or costs more to fetch than it tells.
const NOT_FOR_ROBOTS: [&str; 6] =
    ["/my/", "/confirm/", "/preferences/", "/unsubscribe/", "/editions/", "/mailbox"];

/// A page, or a sitemap of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its absolute address.
    pub loc: String,
    /// When it last changed.
    pub lastmod: Option<Instant>,
}

/// The sitemap for news. Of what is given, the first thousand articles whose own page is on the
/// publication's host; which are young enough ([`NEWS_DAYS`]) is known where there is a clock.
pub fn news(publication: &Publication, articles: &[Article]) -> Vec<u8> {
    let (title, language) = (masthead(publication), language(&publication.language));
    let mut document = Document::new("urlset", "url", &[("xmlns:news", NEWS)]);
    let own =
        articles.iter().filter_map(|article| Some((article, own(publication, &article.link(publication))?)));
    for (article, loc) in own.take(MOST_NEWS) {
        let fields = [
            ("news:publication_date", date(publication, article.published)),
            ("news:title", title_of(article, &loc)),
        ];
        let added = document.add(|url| {
            text(url, "loc", &loc)?;
            text(url, "lastmod", &date(publication, article.updated))?;
            url.create_element("news:news").write_inner_content(|news| {
                news.create_element("news:publication").write_inner_content(|publication| {
                    text(publication, "news:name", &title)?;
                    text(publication, "news:language", &language)
                })?;
                fields.iter().try_for_each(|(name, value)| text(news, name, value))
            })?;
            Ok(())
        });
        if !added {
            break;
        }
    }
    document.finish()
}

/// A sitemap of pages: those on the publication's own host, as many as one may hold.
pub fn urls(publication: &Publication, pages: &[Location]) -> Vec<u8> {
    locations(publication, pages, Document::new("urlset", "url", &[]))
}

/// The index of sitemaps.
pub fn index(publication: &Publication, sitemaps: &[Location]) -> Vec<u8> {
    locations(publication, sitemaps, Document::new("sitemapindex", "sitemap", &[]))
}

/// robots.txt (RFC 9309). Counts only where the publication is at its host's root.
pub fn robots(publication: &Publication) -> String {
    let path = |path: &str| {
        let address = publication.url(path);
        WebUrl::parse(&address).map_or_else(|_| path.to_owned(), |url| url.as_url().path().to_owned())
    };
    let mut robots = "User-agent: *\n".to_owned();
    for closed in NOT_FOR_ROBOTS {
        robots.push_str(&format!("Disallow: {}\n", path(closed)));
    }
    robots.push('\n');
    for sitemap in [INDEX_PATH, NEWS_PATH] {
        robots.push_str(&format!("Sitemap: {}\n", uri(&publication.url(sitemap))));
    }
    robots
}

fn locations(publication: &Publication, locations: &[Location], mut document: Document) -> Vec<u8> {
    let own = locations.iter().filter_map(|location| Some((location, own(publication, &location.loc)?)));
    for (location, loc) in own.take(MOST_LOCATIONS) {
        let added = document.add(|element| {
            text(element, "loc", &loc)?;
            location.lastmod.map_or(Ok(()), |at| text(element, "lastmod", &date(publication, at)))
        });
        if !added {
            break;
        }
    }
    document.finish()
}

/// An address that a sitemap on the publication's host may hold: the same scheme, host and port.
fn own(publication: &Publication, address: &str) -> Option<String> {
    let url = WebUrl::parse(address).ok()?;
    let address = uri(url.as_str());
    let same = url.as_url().origin() == publication.base_url.as_url().origin();
    (same && address.len() <= LONGEST_ADDRESS).then_some(address)
}

fn date(publication: &Publication, instant: Instant) -> String {
    zoned(instant, publication.time_zone).to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// The name "omitting anything in parentheses" (Google).
fn masthead(publication: &Publication) -> String {
    let mut depth = 0_u32;
    let mut name = String::with_capacity(publication.title.len());
    for c in publication.title.chars() {
        match c {
            '(' | '（' => depth += 1,
            ')' | '）' => depth = depth.saturating_sub(1),
            _ if depth == 0 => name.push(c),
            _ => {}
        }
    }
    line(&name).unwrap_or_else(|| publication.base_url.host().to_owned())
}

/// The ISO 639 code, with the script of Chinese as Google wants it.
fn language(tag: &LanguageTag) -> String {
    let tag = tag.as_str().to_ascii_lowercase();
    match tag.as_str() {
        "zh-cn" | "zh-tw" => tag,
        _ => tag.split('-').next().unwrap_or_default().to_owned(),
    }
}

fn text(writer: &mut Writer<Vec<u8>>, name: &str, value: &str) -> io::Result<()> {
    writer.create_element(name).write_text_content(BytesText::new(value)).map(|_| ())
}

/// A document that is being written, kept within what one may weigh.
struct Document {
    writer: Writer<Vec<u8>>,
    root: &'static str,
    each: &'static str,
}

impl Document {
    fn new(root: &'static str, each: &'static str, namespaces: &[(&str, &str)]) -> Self {
        let mut document = Self { writer: Writer::new_with_indent(Vec::new(), b' ', 1), root, each };
        let mut start = BytesStart::new(root);
        start.push_attribute(("xmlns", SITEMAP));
        start.extend_attributes(namespaces.iter().copied());
        document.event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)));
        document.event(Event::Start(start));
        document
    }

    /// Memory takes every byte.
    fn event(&mut self, event: Event<'_>) {
        let written = self.writer.write_event(event);
        debug_assert!(written.is_ok());
    }

    /// Adds an element, unless the document would weigh too much with it; then it is full.
    fn add(&mut self, content: impl FnOnce(&mut Writer<Vec<u8>>) -> io::Result<()>) -> bool {
        let before = self.writer.get_ref().len();
        let written = self.writer.create_element(self.each).write_inner_content(content).is_ok();
        let end = self.root.len() + "\n</>".len();
        let fits = written && self.writer.get_ref().len() + end <= MOST_BYTES;
        if !fits {
            self.writer.get_mut().truncate(before);
        }
        fits
    }

    fn finish(mut self) -> Vec<u8> {
        let end = BytesStart::new(self.root);
        self.event(Event::End(end.to_end()));
        self.writer.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::sample;

    fn words(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    fn location(loc: &str) -> Location {
        Location { loc: loc.to_owned(), lastmod: None }
    }

    #[test]
    fn only_the_publications_own_pages_are_listed() {
        let mut snapshot = sample::snapshot();
        snapshot.articles[0].url = Some(sample::url("https://khac.example/1"));
        let news = words(news(&snapshot.publication, &snapshot.articles));
        assert_eq!(news.matches("<loc>").count(), snapshot.articles.len() - 1);
        let urls = urls(
            &snapshot.publication,
            &[
                "https://bao.example/a?b=1&c=<",
                "http://bao.example/a",
                "https://bao.example:8443/",
                "/a",
                "x",
            ]
            .map(location),
        );
        let urls = words(urls);
        assert_eq!(urls.matches("<loc>").count(), 1, "{urls}");
        assert!(urls.contains("<loc>https://bao.example/a?b=1&amp;c=%3C</loc>"), "{urls}");
    }

    #[test]
    fn a_name_stands_without_brackets_and_a_language_without_a_country() {
        let name = |title: &str| masthead(&Publication { title: title.into(), ..sample::publication() });
        assert_eq!(name("Báo Mẫu (bản (thử) nghiệm) Online"), "Báo Mẫu Online");
        assert_eq!(name("(BM)"), "bao.example");
        assert_eq!(name("Báo) Mẫu"), "Báo Mẫu");
        assert_eq!(language(&LanguageTag::parse("vi-VN").unwrap()), "vi");
        assert_eq!(language(&LanguageTag::parse("zh-TW").unwrap()), "zh-tw");
    }

    #[test]
    fn a_sitemap_never_grows_beyond_its_limits() {
        let publication = sample::publication();
        let articles = vec![sample::article(1, "Tin"); MOST_NEWS + 1];
        assert_eq!(words(news(&publication, &articles)).matches("<url>").count(), MOST_NEWS);

        let long = location(&format!("https://bao.example/{}", "a".repeat(2_000)));
        let full = urls(&publication, &vec![long.clone(); MOST_LOCATIONS]);
        assert!(full.len() <= MOST_BYTES && full.len() > MOST_BYTES - 3_000, "{}", full.len());
        assert!(full.ends_with(b"</url>\n</urlset>"));

        let many = urls(&publication, &vec![location("https://bao.example/"); MOST_LOCATIONS + 1]);
        assert_eq!(words(many).matches("<url>").count(), MOST_LOCATIONS);
        let too_long = location(&format!("https://bao.example/{}", "a".repeat(2_048)));
        assert!(!words(urls(&publication, &[too_long])).contains("<loc>"));
    }

    #[test]
    fn robots_are_kept_off_what_is_one_readers_own() {
        let robots = robots(&Publication {
            base_url: sample::url("https://bao.example/tin"),
            ..sample::publication()
        });
        assert!(robots.starts_with("User-agent: *\nDisallow: /tin/my/\n"), "{robots}");
        assert!(robots.contains("\nDisallow: /tin/mailbox\n"), "{robots}");
        assert!(robots.ends_with("\nSitemap: https://bao.example/tin/sitemap-news.xml\n"), "{robots}");
    }
}
