//! WordPress exports (WXR): RSS with the blog's own fields, of any size, read an item at a time.

use super::foreign_feed::{image, resolve};
use super::shortcodes::without_shortcodes;
use super::xml_tree::{self, Element};
use super::{Arrival, Fault, Guess, Intake, Warning, dates, decode, mend_eth, plain_line, push_new};
use crate::domain::{CategoryName, Draft, IdentityKey, SafeHtml, WebUrl, clean_line, clean_paragraphs};
use std::collections::HashMap;
use std::io::{self, BufRead, ErrorKind};

/// No post is as big; what is, is an attack or a broken file.
const MAX_ITEM_BYTES: usize = 16 << 20;

/// The longest address of a picture that is kept.
const LONGEST: usize = 2_000;

/// The addresses of an export's pictures by their number. Posts name their picture by number, and it may
/// stand anywhere in the file: a first reading collects them, and whoever reads says where they lie.
pub trait Pictures {
    /// Keeps one; a later one of the same number stands before it.
    fn keep(&mut self, number: u64, address: &str) -> io::Result<()>;
    /// The address of one.
    fn find(&mut self, number: u64) -> io::Result<Option<String>>;
}

/// For an export that is in memory as a whole.
impl Pictures for HashMap<u64, String> {
    fn keep(&mut self, number: u64, address: &str) -> io::Result<()> {
        self.insert(number, address.to_owned());
        Ok(())
    }

    fn find(&mut self, number: u64) -> io::Result<Option<String>> {
        Ok(self.get(&number).cloned())
    }
}

/// Collects the pictures of an export.
pub fn collect_pictures(export: impl BufRead, pictures: &mut impl Pictures) -> io::Result<()> {
    for bytes in Items::new(export).flatten() {
        if !contains(&bytes, b"attachment_url") {
            continue;
        }
        let item = parsed(&bytes, 0);
        if let (Some(id), Some(url)) = (wp(&item, "post_id"), wp(&item, "attachment_url"))
            && let (Ok(id), url) = (id.trim().parse(), url.trim())
            && url.len() <= LONGEST
        {
            pictures.keep(id, url)?;
        }
    }
    Ok(())
}

/// The articles of an export, in its order. What is no published post is left out and counted.
pub struct Export<'a, R, P> {
    items: Items<R>,
    intake: &'a Intake<'a>,
    pictures: P,
    blog: Option<Blog>,
    /// How many items were no published posts: pages, drafts, pictures, menus.
    pub passed_over: usize,
}

/// What stands above the items.
#[derive(Default)]
struct Blog {
    url: Option<WebUrl>,
    /// Names for people by the names people log in with.
    authors: HashMap<String, String>,
}

impl<'a, R: BufRead, P: Pictures> Export<'a, R, P> {
    /// An export whose pictures are known.
    pub fn new(export: R, intake: &'a Intake<'a>, pictures: P) -> Self {
        Self { items: Items::new(export), intake, pictures, blog: None, passed_over: 0 }
    }
}

impl<R: BufRead, P: Pictures> Iterator for Export<'_, R, P> {
    type Item = Result<Arrival, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let bytes = match self.items.next()? {
                Ok(bytes) => bytes,
                Err(fault) => return Some(Err(fault)),
            };
            let blog = self.blog.get_or_insert_with(|| Blog::of(&self.items.head, self.intake));
            let item = parsed(&bytes, self.items.line);
            if wp(&item, "attachment_url").is_some_and(|url| !url.trim().is_empty())
                || wp(&item, "post_type").is_some_and(|kind| kind.trim() != "post")
                || wp(&item, "status").is_some_and(|status| status.trim() != "publish")
            {
                self.passed_over += 1;
                continue;
            }
            return Some(article(self.intake, blog, &mut self.pictures, &item));
        }
    }
}

impl Blog {
    fn of(head: &[u8], intake: &Intake<'_>) -> Self {
        let text = decode::decode(head, &mut Vec::new()).unwrap_or_default();
        let tree = xml_tree::parse(&text, |_| false);
        let Some(channel) = find(&tree, "channel") else { return Self::default() };
        let link = channel.elements().find(|e| e.prefix.is_empty() && e.name == "link").map(Element::text);
        let url = wp(channel, "base_blog_url").or(link).and_then(|url| resolve(&url, None));
        let mut authors = HashMap::new();
        for author in channel.elements().filter(|e| e.prefix == "wp" && e.name == "author") {
            if let (Some(login), Some(name)) = (wp(author, "author_login"), wp(author, "author_display_name"))
            {
                authors.insert(login.trim().to_owned(), plain_line(&name));
            }
        }
        Self { url: url.or_else(|| intake.base.clone()), authors }
    }
}

fn find<'e>(element: &'e Element, name: &str) -> Option<&'e Element> {
    element.elements().find_map(|e| if e.name == name { Some(e) } else { find(e, name) })
}

/// A field of WordPress's own vocabulary.
fn wp(element: &Element, name: &str) -> Option<String> {
    element.elements().find(|e| e.prefix == "wp" && e.name == name).map(Element::text)
}

fn named(element: &Element, prefix: &str, name: &str) -> Option<String> {
    element.elements().find(|e| e.prefix == prefix && e.name == name).map(Element::text)
}

fn parsed(bytes: &[u8], line: usize) -> Element {
    let text = String::from_utf8_lossy(bytes);
    let tree = xml_tree::parse(&text, |name| name == "item");
    let mut item = tree.children.into_iter().find_map(|node| match node {
        xml_tree::Node::Element(element) if element.name == "item" => Some(element),
        _ => None,
    });
    if let Some(item) = &mut item {
        item.line = line;
    }
    item.unwrap_or_default()
}

fn article(
    intake: &Intake<'_>,
    blog: &Blog,
    pictures: &mut impl Pictures,
    item: &Element,
) -> Result<Arrival, Fault> {
    let fault = |message: String| Fault::new(item.line, message);
    if let Some(broken) = &item.broken {
        return Err(fault(format!("this item is not well-formed: {}; it was left out", clean_line(broken))));
    }
    let title =
        named(item, "", "title").map(|t| plain_line(&SafeHtml::clean(&t, None).text())).unwrap_or_default();
    let mut draft =
        Draft::titled(&title).ok_or_else(|| fault("this post has no title; it was left out".into()))?;
    let mut warnings = Vec::new();
    let link = named(item, "", "link").and_then(|link| resolve(&link, blog.url.as_ref()));
    // "/?p=12" is the address of what has none yet.
    draft.url = link.filter(|link| link.as_url().path() != "/" || link.as_url().query().is_none());
    let base = draft.url.as_ref().or(blog.url.as_ref());
    let content = named(item, "content", "encoded").unwrap_or_default();
    let html = paragraphs(&without_shortcodes(&mend_eth(&content)));
    draft.body = SafeHtml::clean(&html, base);
    let excerpt = named(item, "excerpt", "encoded").unwrap_or_default();
    let excerpt = clean_paragraphs(&SafeHtml::clean(&without_shortcodes(&mend_eth(&excerpt)), base).text());
    draft.summary = Some(excerpt.replace("\n\n", "\n")).filter(|e| !e.is_empty());
    if draft.body.is_empty() && draft.summary.is_none() {
        return Err(fault(format!("the post `{title}` has no text; it was left out")));
    }
    let zulu = |name: &str| {
        let text = wp(item, name)?;
        let text = text.trim().to_owned();
        // WordPress writes zeros for "never".
        (!text.starts_with("0000"))
            .then(|| dates::machine_date(intake.rules, &format!("{text}Z"), intake.zone))
            .flatten()
    };
    draft.published = zulu("post_date_gmt").map(|(at, _)| at);
    if draft.published.is_none() {
        let local = wp(item, "post_date").and_then(|at| dates::machine_date(intake.rules, &at, intake.zone));
        let sent =
            named(item, "", "pubDate").and_then(|at| dates::machine_date(intake.rules, &at, intake.zone));
        draft.published = local.or(sent).map(|(at, _)| at);
        if draft.published.is_some() {
            warnings.push(Warning::new(
                item.line,
                format!("`{title}` has no time in UTC; its local one was read in {}", intake.zone),
            ));
        }
    }
    let changed = zulu("post_modified_gmt").map(|(at, _)| at);
    draft.updated = changed.filter(|at| draft.published.is_some_and(|published| published < *at));
    for author in item.elements().filter(|e| e.prefix == "dc" && e.name == "creator").map(Element::text) {
        let name = blog.authors.get(author.trim()).cloned().unwrap_or_else(|| plain_line(&author));
        if !intake.rules.bylines.nobody.contains(&name) {
            push_new(&mut draft.authors, name);
        }
    }
    let mut sections = Vec::new();
    for category in item.elements().filter(|e| e.prefix.is_empty() && e.name == "category") {
        let name = plain_line(&category.text());
        match category.attribute("domain") {
            Some("post_tag") => push_new(&mut draft.tags, name),
            // What WordPress gives to posts without a section.
            Some("category")
                if !matches!(category.attribute("nicename"), Some("uncategorized" | "chua-phan-loai")) =>
            {
                push_new(&mut sections, name);
            }
            _ => {}
        }
    }
    draft.categories = sections.into_iter().map(CategoryName).collect();
    if draft.categories.is_empty() {
        draft.categories.extend(intake.category.clone());
    }
    match thumbnail(item, pictures) {
        Ok(address) => {
            let url = address.and_then(|address| resolve(&address, base));
            draft.image = url.and_then(|url| image(url, None));
        }
        Err(error) => {
            let words = format!("the picture of `{title}` cannot be looked up: {error}");
            warnings.push(Warning::new(item.line, words));
        }
    }
    let host = blog.url.as_ref().or(draft.url.as_ref()).map_or("wordpress", WebUrl::host);
    let host = host.strip_prefix("www.").unwrap_or(host);
    let guid = named(item, "", "guid").map(|id| clean_line(&id)).filter(|id| !id.is_empty());
    let guid = guid.or_else(|| wp(item, "post_id").map(|id| format!("post {}", clean_line(&id))));
    draft.keys = super::identity(&draft, guid.map(|id| IdentityKey::external(host, &id)));
    Ok(Arrival { draft, warnings, guesses: Vec::<Guess>::new() })
}

/// The address of the picture that a post names by its number.
fn thumbnail(item: &Element, pictures: &mut impl Pictures) -> io::Result<Option<String>> {
    let meta = item.elements().filter(|e| e.prefix == "wp" && e.name == "postmeta");
    let mut named = meta.filter(|m| wp(m, "meta_key").is_some_and(|key| key.trim() == "_thumbnail_id"));
    let number = named.next().and_then(|m| wp(m, "meta_value")).and_then(|id| id.trim().parse().ok());
    number.map_or(Ok(None), |number| pictures.find(number))
}

/// WordPress stores what its old editor was given: blank lines stand for paragraphs.
fn paragraphs(html: &str) -> String {
    if html.contains("<p>") || html.contains("<p ") || html.contains("<!-- wp:") {
        return html.to_owned();
    }
    let blocks = [
        "<p",
        "<h",
        "<ul",
        "<ol",
        "<li",
        "<table",
        "<blockquote",
        "<figure",
        "<div",
        "<pre",
        "<section",
        "</",
    ];
    let mut made = String::with_capacity(html.len() + 256);
    for part in html.replace("\r\n", "\n").split("\n\n").map(str::trim).filter(|part| !part.is_empty()) {
        if blocks.iter().any(|block| part.starts_with(block)) {
            made.push_str(part);
        } else {
            made.push_str(&format!("<p>{}</p>", part.replace('\n', "<br>")));
        }
        made.push('\n');
    }
    made
}

/// The bytes of one item after the other.
struct Items<R> {
    export: R,
    head: Vec<u8>,
    in_head: bool,
    line: usize,
    passed: usize,
    over: bool,
}

impl<R: BufRead> Items<R> {
    fn new(export: R) -> Self {
        Self { export, head: Vec::new(), in_head: true, line: 1, passed: 0, over: false }
    }

    /// Reads up to and with a closing angle bracket; whether there was one.
    fn read_tag(&mut self, into: &mut Vec<u8>) -> Result<bool, Fault> {
        let from = into.len();
        // `read_until` alone would take a file without any bracket into memory.
        loop {
            let available = match self.export.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Fault::new(self.passed + 1, format!("cannot be read: {error}"))),
            };
            if available.is_empty() {
                return Ok(false);
            }
            let end = available.iter().position(|b| *b == b'>');
            let taken = end.map_or(available.len(), |end| end + 1);
            into.extend_from_slice(&available[..taken]);
            self.export.consume(taken);
            if end.is_some() || into.len() > MAX_ITEM_BYTES {
                self.passed += into[from..].iter().filter(|b| **b == b'\n').count();
                return Ok(true);
            }
        }
    }
}

impl<R: BufRead> Iterator for Items<R> {
    type Item = Result<Vec<u8>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        let mut inside = false;
        let mut too_big = false;
        while !self.over {
            match self.read_tag(&mut bytes) {
                Err(fault) => {
                    self.over = true;
                    return Some(Err(fault));
                }
                Ok(false) => {
                    self.over = true;
                    let message = "the export breaks off in this item; it was left out";
                    return inside.then(|| Err(Fault::new(self.line, message)));
                }
                Ok(true) => {}
            }
            let opens = bytes.ends_with(b"<item>") || (bytes.ends_with(b">") && opens_item(&bytes));
            if !inside && opens {
                let start = bytes.windows(5).rposition(|w| w == b"<item").unwrap_or(0);
                if self.in_head {
                    self.head.extend_from_slice(&bytes[..start]);
                    self.in_head = false;
                }
                bytes.drain(..start);
                self.line = self.passed + 1;
                inside = true;
            } else if !inside {
                if self.in_head && self.head.len() < MAX_ITEM_BYTES {
                    self.head.append(&mut bytes);
                }
                bytes.clear();
            } else if bytes.ends_with(b"</item>") && !in_cdata(&bytes) {
                if too_big {
                    let message = format!("this item has more than {MAX_ITEM_BYTES} bytes; it was left out");
                    return Some(Err(Fault::new(self.line, message)));
                }
                return Some(Ok(bytes));
            } else if bytes.len() > MAX_ITEM_BYTES {
                // Only its end is looked for from here on.
                too_big = true;
                let keep = bytes.len() - 16;
                bytes.drain(..keep);
            }
        }
        None
    }
}

fn opens_item(bytes: &[u8]) -> bool {
    let start = bytes.iter().rposition(|b| *b == b'<').unwrap_or(0);
    bytes[start..].starts_with(b"<item ") || bytes[start..].starts_with(b"<item\n")
}

/// Whether a text ends within CDATA: an article may be about feeds.
fn in_cdata(bytes: &[u8]) -> bool {
    let last = |needle: &[u8]| bytes.windows(needle.len()).rposition(|w| w == needle);
    match (last(b"<![CDATA["), last(b"]]>")) {
        (Some(open), Some(close)) => open > close,
        (open, _) => open.is_some(),
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{instant, intake};
    use super::*;

    const EXPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:wp="http://wordpress.org/export/1.2/"><channel><title>Báo Mẫu</title><link>https://bao.example</link>
<wp:base_blog_url>https://bao.example</wp:base_blog_url>
<wp:author><wp:author_login><![CDATA[chibao]]></wp:author_login><wp:author_display_name><![CDATA[CHÍ BẢO]]></wp:author_display_name></wp:author>
<item><title>Chi bộ gần dân</title><link>https://bao.example/2024/04/chi-bo/</link><dc:creator><![CDATA[chibao]]></dc:creator><guid isPermaLink="false">https://bao.example/?p=12</guid>
<content:encoded><![CDATA[Đoạn một nói về thẻ </item> trong feed & nhiều điều.

[caption id="a" width="300"]<img src="/anh.jpg" alt=""> Buổi họp. Ảnh: CHÍ BẢO[/caption]

Đoạn hai [sic] kể tiếp [1].[gallery ids="1,2"]

https://www.youtube.com/watch?v=abc]]></content:encoded><excerpt:encoded><![CDATA[Lời dẫn.]]></excerpt:encoded>
<wp:post_id>12</wp:post_id><wp:post_date>2024-04-04 04:30:00</wp:post_date><wp:post_date_gmt>2024-04-03 21:30:00</wp:post_date_gmt><wp:post_modified_gmt>2024-04-04 01:00:00</wp:post_modified_gmt><wp:status>publish</wp:status><wp:post_type>post</wp:post_type>
<category domain="category" nicename="xay-dung-dang"><![CDATA[Xây dựng Đảng]]></category><category domain="post_tag" nicename="chi-bo"><![CDATA[chi bộ]]></category>
<wp:postmeta><wp:meta_key>_thumbnail_id</wp:meta_key><wp:meta_value><![CDATA[13]]></wp:meta_value></wp:postmeta></item>
<item><title>Nháp</title><wp:status>draft</wp:status><wp:post_type>post</wp:post_type></item>
<item><title>Giới thiệu</title><wp:status>publish</wp:status><wp:post_type>page</wp:post_type></item>
<item><title>anh</title><wp:post_id>13</wp:post_id><wp:attachment_url>https://bao.example/anh-13.jpg</wp:attachment_url><wp:post_type>attachment</wp:post_type></item>
<item><title>Hỏng</title><content:encoded><![CDATA[x]]></content></item>
<item><title>Bài hai</title><link>https://bao.example/hai</link><content:encoded><![CDATA[<!-- wp:paragraph --><p>Chữ</p><!-- /wp:paragraph -->]]></content:encoded><wp:status>publish</wp:status><wp:post_type>post</wp:post_type></item>
<item><title>Đứt"#;

    #[test]
    fn an_export_comes_in_an_item_at_a_time() {
        let intake = intake("blog.xml");
        let mut pictures = HashMap::new();
        collect_pictures(EXPORT.as_bytes(), &mut pictures).unwrap();
        let mut export = Export::new(EXPORT.as_bytes(), &intake, pictures);
        let draft = export.next().unwrap().unwrap().draft;
        assert_eq!(draft.title, "Chi bộ gần dân");
        assert_eq!(draft.published, instant("2024-04-04T04:30:00+07:00"));
        assert_eq!(draft.updated, instant("2024-04-04T08:00:00+07:00"));
        assert_eq!((draft.authors[0].as_str(), draft.tags[0].as_str()), ("CHÍ BẢO", "chi bộ"));
        assert_eq!(draft.categories, [CategoryName("Xây dựng Đảng".into())]);
        assert_eq!(draft.summary.as_deref(), Some("Lời dẫn."));
        assert_eq!(draft.image.unwrap().url.as_str(), "https://bao.example/anh-13.jpg");
        assert_eq!(draft.keys[0], IdentityKey::external("bao.example", "https://bao.example/?p=12"));
        let body = draft.body.as_str();
        for part in [
            "trong feed &amp; nhiều điều.</p>",
            "<figure><img src=\"https://bao.example/anh.jpg\" alt=\"\"><figcaption>Buổi họp. Ảnh: CHÍ BẢO</figcaption></figure>",
            "<p>Đoạn hai [sic] kể tiếp [1].</p>",
            "<a href=\"https://www.youtube.com/watch?v=abc\"",
        ] {
            assert!(body.contains(part), "{part}\n{body}");
        }
        assert!(!body.contains("gallery") && !body.contains("caption]"), "{body}");
        let rest: Vec<_> = export.by_ref().collect();
        assert!(matches!(&rest[0], Err(fault) if fault.message.contains("not well-formed")), "{rest:?}");
        let second = &rest[1].as_ref().unwrap().draft;
        assert_eq!(second.body.as_str().trim(), "<p>Chữ</p>");
        assert!(matches!(&rest[2], Err(fault) if fault.message.contains("breaks off")), "{rest:?}");
        assert_eq!((rest.len(), export.passed_over), (3, 3));
    }
}
