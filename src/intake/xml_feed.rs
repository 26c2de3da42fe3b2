//! RSS 0.9x, 1.0 and 2.0, Atom 1.0 and 0.3.

use super::foreign_feed::{Home, Item, image, person, resolve};
use super::json::media_type;
use super::xml_tree::{self, Element};
use super::{Fault, Intake, plain_line, push_new};
use crate::domain::{Enclosure, Image, LanguageTag, SafeHtml, Source, WebUrl, clean_line, is_allowed_char};
use base64::Engine as _;

/// What a browser's XML view saves before the root, and characters that XML forbids.
fn repaired(text: &str) -> String {
    let lower = text.get(..text.len().min(4096)).unwrap_or(text).to_ascii_lowercase();
    let start = ["<?xml", "<rss", "<feed", "<rdf:rdf", "<atom:feed", "<channel"]
        .iter()
        .filter_map(|root| lower.find(root))
        .min()
        .unwrap_or(0);
    // Line breaks stay, so that positions are those of the file.
    let skipped = "\n".repeat(text[..start].matches('\n').count());
    skipped + &text[start..].chars().filter(|c| is_allowed_char(*c)).collect::<String>()
}

/// Reads the feed's own fields and its items.
pub fn items(intake: &Intake<'_>, text: &str) -> Result<(Home, Vec<Item>), Fault> {
    let is_item = |name: &str| name == "item" || name == "entry";
    let tree = xml_tree::parse(&repaired(text), is_item);
    let is_root = |e: &&Element| {
        matches!(e.name.to_ascii_lowercase().as_str(), "rss" | "feed" | "rdf" | "channel" | "entry")
    };
    let Some(root) = tree.elements().find(is_root) else {
        let first = tree.elements().next();
        let line = first.map_or(1, |e| e.line);
        let what = first.map_or("no XML".to_owned(), |e| format!("`<{}>`", clean_line(&e.name)));
        return Err(Fault::new(
            line,
            format!("this is no feed: {what} stands where <rss>, <feed> or <rdf:RDF> is expected"),
        ));
    };
    let channel = root.elements().find(|e| e.name == "channel").unwrap_or(root);
    let base = intake.base.as_ref();
    let url = links(channel, base).or_else(|| base.cloned());
    let home = Home {
        title: plain(channel, "title").map(title_text).unwrap_or_default(),
        language: plain(channel, "language")
            .map(Element::text)
            .or_else(|| channel.attribute("xml:lang").map(str::to_owned))
            .and_then(|tag| LanguageTag::parse(&tag)),
        // RFC 4287 §4.2.1: an entry without an author has the feed's. RSS has no such rule.
        authors: if channel.name == "feed" { authors(channel) } else { Vec::new() },
        url,
    };
    let mut items: Vec<&Element> = Vec::new();
    if is_item(&root.name) {
        items.push(root);
    }
    for parent in std::iter::once(root).chain((channel.name != root.name).then_some(channel)) {
        items.extend(parent.elements().filter(|e| is_item(&e.name)));
    }
    // RSS 0.90 and Netscape's drafts put the items in a list of their own.
    items.extend(
        channel
            .elements()
            .filter(|e| e.name == "items")
            .flat_map(Element::elements)
            .filter(|e| is_item(&e.name)),
    );
    let items = items.into_iter().map(|element| item(element, home.url.as_ref().or(base))).collect();
    Ok((home, items))
}

/// Vocabularies in which a name means something else than in RSS and Atom.
const FOREIGN: [&str; 9] = ["media", "itunes", "podcast", "slash", "wfw", "thr", "georss", "content", "dc"];

/// The first child of a name that is RSS's or Atom's own.
fn plain<'e>(element: &'e Element, name: &str) -> Option<&'e Element> {
    element.elements().find(|e| e.name == name && !FOREIGN.contains(&e.prefix.as_str()))
}

fn item(item: &Element, home: Option<&WebUrl>) -> Item {
    let base = item.attribute("xml:base").and_then(|b| resolve(b, home)).or_else(|| home.cloned());
    let base = base.as_ref();
    let guid = plain(item, "guid").or_else(|| plain(item, "id"));
    let id = guid
        .map(|g| clean_line(&g.text()))
        .filter(|id| !id.is_empty())
        .or_else(|| item.attribute("rdf:about").map(clean_line).filter(|id| !id.is_empty()));
    let permanent = guid.filter(|g| g.name == "guid" && g.attribute("isPermaLink") != Some("false"));
    let link = links(item, base).or_else(|| WebUrl::parse(&permanent?.text()).ok());
    let named = |names: &[(&str, &str)]| {
        let found = item.elements().find(|e| names.contains(&(e.prefix.as_str(), e.name.as_str())));
        found.map(Element::text)
    };
    let first = |names: &[&str]| names.iter().find_map(|name| plain(item, name)).map(Element::text);
    let encoded = item.elements().find(|e| e.name == "encoded" && !e.text().trim().is_empty());
    let content =
        encoded.or_else(|| plain(item, "content").filter(|c| c.attribute("src").is_none())).map(markup);
    let mut found = Item {
        line: Some(item.line),
        id,
        title: plain(item, "title")
            .or_else(|| {
                item.elements().find(|e| e.name == "title" && matches!(e.prefix.as_str(), "dc" | "media"))
            })
            .map(title_text)
            .unwrap_or_default(),
        summary: plain(item, "description").or_else(|| plain(item, "summary")).map(markup),
        content: content.filter(|c| !c.trim().is_empty()),
        published: first(&["pubDate", "published", "issued", "created"])
            .or_else(|| named(&[("dc", "date"), ("dcterms", "created")])),
        updated: first(&["updated", "modified"]).or_else(|| named(&[("dcterms", "modified")])),
        authors: authors(item),
        // On the item, or where a program marks each text: on the title.
        language: item
            .attribute("xml:lang")
            .or_else(|| plain(item, "title")?.attribute("xml:lang"))
            .and_then(LanguageTag::parse)
            .or_else(|| LanguageTag::parse(&named(&[("dc", "language")])?)),
        broken: item.broken.clone(),
        link,
        ..Item::default()
    };
    for element in item.elements() {
        match (element.prefix.as_str(), element.name.as_str()) {
            ("dc", "subject") => push_new(&mut found.categories, plain_line(&element.text())),
            (_, "category") => {
                let term = element.attribute("label").or_else(|| element.attribute("term"));
                let name = term.map_or_else(|| element.text(), str::to_owned);
                push_new(&mut found.categories, plain_line(&name));
            }
            ("media", "group") => element.elements().for_each(|e| media(e, base, &mut found)),
            ("media", _) | (_, "enclosure") => media(element, base, &mut found),
            (_, "link") if element.attribute("rel") == Some("enclosure") => media(element, base, &mut found),
            ("itunes", "image") => {
                let url = element.attribute("href").and_then(|href| resolve(href, base));
                found.image = found.image.take().or_else(|| image(url?, None));
            }
            ("" | "atom", "source") => found.source = source(element, base),
            // As our own Atom says it: atom:source is for entries copied from a feed with an id.
            (_, "link") if element.attribute("rel") == Some("via") => {
                let title = element.attribute("title").map(plain_line).filter(|title| !title.is_empty());
                let url = element.attribute("href").and_then(|href| resolve(href, base));
                found.source = found.source.take().or_else(|| Some(Source { title: title?, url }));
            }
            ("dc", "source") => {
                let title = plain_line(&element.text());
                let named = (!title.is_empty()).then_some(Source { title, url: None });
                found.source = found.source.take().or(named);
            }
            _ => {}
        }
    }
    found
}

/// Pictures become the item's picture, everything else its enclosure. Lengths of pictures are not
/// believed: VnExpress writes the width in pixels there.
fn media(element: &Element, base: Option<&WebUrl>, item: &mut Item) {
    let address = element.attribute("url").or_else(|| element.attribute("href"));
    let Some(url) = address.and_then(|address| resolve(address, base)) else { return };
    let path = url.as_url().path().to_ascii_lowercase();
    let by_ending = [".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif"].iter().any(|e| path.ends_with(e));
    let given = element.attribute("type").unwrap_or_default();
    let is_image = given.starts_with("image/")
        || element.attribute("medium") == Some("image")
        || element.name == "thumbnail"
        || (given.is_empty() && by_ending);
    if is_image {
        let side =
            |name: &str| element.attribute(name).and_then(|n| n.trim().parse().ok()).filter(|n| *n > 0);
        let caption =
            element.elements().find(|e| e.name == "description" || e.name == "title").map(Element::text);
        let picture =
            image(url, caption).map(|i| Image { width: side("width"), height: side("height"), ..i });
        item.image = item.image.take().or(picture);
    } else if element.name != "player" && element.name != "thumbnail" {
        item.enclosures.push(Enclosure {
            url,
            media_type: media_type(element.attribute("type")),
            length: ["length", "fileSize"]
                .iter()
                .find_map(|n| element.attribute(n)?.trim().parse().ok())
                .unwrap_or(0),
        });
    }
}

/// The page that an element links to: RSS has it as text, Atom as `href` of the alternate.
fn links(element: &Element, base: Option<&WebUrl>) -> Option<WebUrl> {
    let links = || element.elements().filter(|e| e.name == "link" && !FOREIGN.contains(&e.prefix.as_str()));
    let original = element.elements().find(|e| e.name == "origLink").map(Element::text);
    let text = links().map(Element::text).find(|text| !text.trim().is_empty());
    let alternate = || {
        let mut alternates = links().filter(|l| matches!(l.attribute("rel"), None | Some("alternate")));
        alternates.find_map(|l| l.attribute("href")).map(str::to_owned)
    };
    resolve(&original.or(text).or_else(alternate)?, base)
}

/// A title is plain text; marks of emphasis in it are left out.
fn title_text(title: &Element) -> String {
    let markup = matches!(title.attribute("type"), Some("html" | "xhtml" | "text/html"))
        || title.elements().next().is_some();
    // Atom 0.3 §3.1.2.
    let coded = (title.attribute("mode") == Some("base64"))
        .then(|| base64::engine::general_purpose::STANDARD.decode(title.text().trim()).ok())
        .flatten()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let text = match coded {
        Some(coded) => SafeHtml::clean(&coded, None).text(),
        None if markup => SafeHtml::clean(&title.html(), None).text(),
        None => title.text(),
    };
    let has_tag =
        ["<b>", "<i>", "<em>", "<strong>", "<br", "<span", "<font", "</"].iter().any(|t| text.contains(t));
    plain_line(&if has_tag { SafeHtml::clean(&text, None).text() } else { text })
}

/// The HTML of a description or a text.
fn markup(element: &Element) -> String {
    match element.attribute("type") {
        // RFC 4287 §3.1.1: without a type, Atom's text is text.
        Some("text" | "text/plain") => SafeHtml::from_text(&element.text()).as_str().to_owned(),
        None if matches!(element.name.as_str(), "summary" | "content") => {
            SafeHtml::from_text(&element.text()).as_str().to_owned()
        }
        _ => element.html(),
    }
}

fn authors(element: &Element) -> Vec<String> {
    let mut names = Vec::new();
    for author in element.elements().filter(|e| matches!(e.name.as_str(), "author" | "creator")) {
        let name = author.elements().find(|e| e.name == "name").map_or_else(
            || if author.elements().next().is_none() { author.text() } else { String::new() },
            Element::text,
        );
        push_new(&mut names, person(&name));
    }
    names
}

fn source(element: &Element, base: Option<&WebUrl>) -> Option<Source> {
    let nested = plain(element, "title").map(title_text);
    let url = element.attribute("url").and_then(|url| resolve(url, base)).or_else(|| links(element, base));
    let title = nested.unwrap_or_else(|| {
        if element.elements().next().is_none() { plain_line(&element.text()) } else { String::new() }
    });
    (!title.is_empty()).then_some(Source { title, url })
}
