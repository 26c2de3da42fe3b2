//! Atom (RFC 4287), with tombstones (RFC 6721).

use super::text;
use super::walk::Page;
use super::xml::{ATOM, Document, Element, TOMBSTONES, XHTML, XML};
use super::{About, Place, Report, history, html, quoted, rules};
use crate::domain::Instant;
use std::collections::{HashMap, HashSet};

rules! {
    REQUIRED: "atom-required", Error, "RFC 4287 §4.1.1, §4.1.2", "write exactly one id, title and updated";
    REPEATED: "atom-repeated", Error, "RFC 4287 §4.1.1, §4.1.2", "write the element once";
    ELEMENT: "atom-element", Error, "RFC 4287 §6.2", "take the element out, or give it a namespace of its own";
    BLANK: "atom-blank", Warning, "RFC 4287 §4.2", "write something into the element";
    AUTHOR: "atom-author", Error, "RFC 4287 §4.1.1", "write an <author> for the feed, or for every entry";
    PERSON: "atom-person", Error, "RFC 4287 §3.2", "write exactly one <name>, at most one <email> and <uri>, each in its form";
    DATE: "atom-date-format", Error, "RFC 4287 §3.3", "write the date like 2024-04-04T04:30:00+07:00, with T, and Z or an offset";
    IMPLAUSIBLE: "atom-date-implausible", Warning, "RFC 4287 §3.3", "write when it happened; some readers sort by it, others hide the future";
    TEXT_TYPE: "atom-text-type", Error, "RFC 4287 §3.1.1", "write type=\"text\", \"html\" or \"xhtml\"";
    XHTML_DIV: "atom-xhtml-div", Error, "RFC 4287 §3.1.1.3, §4.1.3.3", "put the XHTML into exactly one <div xmlns=\"http://www.w3.org/1999/xhtml\">";
    UNESCAPED: "atom-unescaped", Error, "RFC 4287 §3.1.1", "escape the HTML, or write type=\"xhtml\" with a <div>";
    TITLE_MARKUP: "atom-title-markup", Warning, "RFC 4287 §3.1.1.1", "say type=\"html\" where there is markup, or write plain text";
    TITLE_TWICE: "atom-title-escaped", Warning, "RFC 4287 §3.1.1.1", "escape the title once; readers show the letters `&amp;`";
    IRI: "atom-iri", Error, "RFC 4287 §2, §4.2.6", "write an IRI: absolute for ids, without blanks";
    ID_REPEATED: "atom-id-repeated", Error, "RFC 4287 §4.1.1", "give each entry an id of its own, or each version its own updated";
    ID_VERSIONS: "atom-id-versions", Warning, "RFC 4287 §4.1.1", "keep the newest version of an entry only; readers may show either";
    LINK: "atom-link", Error, "RFC 4287 §4.2.7", "write href as an IRI, type as a media type, hreflang as a language tag";
    ALTERNATE_REPEATED: "atom-alternate-repeated", Error, "RFC 4287 §4.1.1, §4.1.2", "keep one rel=\"alternate\" for each type and language";
    CONTENT_MISSING: "atom-content-missing", Error, "RFC 4287 §4.1.2", "give an entry without content a link with rel=\"alternate\"";
    SUMMARY_MISSING: "atom-summary-missing", Error, "RFC 4287 §4.1.2", "give an entry whose content lies elsewhere (src) or is Base64 a <summary>";
    CONTENT_SRC: "atom-content-src", Error, "RFC 4287 §4.1.3.2", "leave the content with src empty, and write its media type";
    CONTENT_TYPE: "atom-content-type", Error, "RFC 4287 §4.1.3.1", "write text, html, xhtml or a media type that is not composite";
    CATEGORY: "atom-category", Error, "RFC 4287 §4.2.2", "write the category's term, and its scheme as an IRI";
    SOURCE: "atom-source", Warning, "RFC 4287 §4.2.11", "copy id, title and updated of the feed that the entry came from";
    SELF_MISSING: "atom-self-missing", Warning, "RFC 4287 §4.1.1", "write <link rel=\"self\" href=\"…\"/>";
    SELF_REPEATED: "atom-self-repeated", Warning, "RFC 4287 §4.1.1; WebSub §4", "keep one rel=\"self\"";
    SELF_DIFFERS: "atom-self-differs", Warning, "RFC 4287 §4.2.7.2", "let rel=\"self\" be the address at which the feed is served";
    /// A SHOULD, and yet a note: a length that nobody knows must not be invented.
    ENCLOSURE_LENGTH: "atom-enclosure-length", Note, "RFC 4287 §4.2.7.2, §4.2.7.6", "write the enclosure's length in bytes where it is known";
    LANGUAGE: "atom-language", Error, "RFC 4287 §2", "write xml:lang as a language tag: vi, en-GB";
    LANGUAGE_MISSING: "atom-language-missing", Note, "RFC 4287 §2", "write xml:lang=\"vi\" on <feed>; readers choose fonts and voices by it";
    MEDIA_TYPE: "atom-media-type", Warning, "RFC 4287 §7", "serve it as application/atom+xml; charset=utf-8";
    TOMBSTONE: "tombstone-form", Error, "RFC 6721 §3", "write ref (the entry's id, an IRI) and when (RFC 3339)";
    TOMBSTONE_ORDER: "tombstone-order", Error, "RFC 4287 Appendix B; RFC 6721 §3", "write tombstones before the first entry; the schema of Atom refuses them after it";
    TOMBSTONE_REPEATED: "tombstone-repeated", Error, "RFC 6721 §3", "write one tombstone for each ref and when";
    TOMBSTONE_ALIVE: "tombstone-alive", Warning, "RFC 6721 §4", "leave the entry or its tombstone out; readers remove an entry whose tombstone is as new";
}

/// Elements of Atom by where they stand; `true` where more than one may.
const OF_FEED: [(&str, bool); 13] = [
    ("author", true),
    ("category", true),
    ("contributor", true),
    ("generator", false),
    ("icon", false),
    ("id", false),
    ("link", true),
    ("logo", false),
    ("rights", false),
    ("subtitle", false),
    ("title", false),
    ("updated", false),
    ("entry", true),
];
const OF_ENTRY: [(&str, bool); 12] = [
    ("author", true),
    ("category", true),
    ("content", false),
    ("contributor", true),
    ("id", false),
    ("link", true),
    ("published", false),
    ("rights", false),
    ("source", false),
    ("summary", false),
    ("title", false),
    ("updated", false),
];
/// Media types made of others, which content may not have (RFC 4287 §4.1.3.1).
const COMPOSITE: [&str; 2] = ["multipart/", "message/"];

pub(super) fn lint(document: &Document, about: &About, report: &mut Report, page: &mut Page) {
    let feed = &document.root;
    if let Some(told) = &about.content_type {
        let name = text::media_type_of(told);
        let right = ["application/atom+xml", "application/xml", "text/xml"].contains(&name.as_str());
        let place = Place::Header("Content-Type");
        report.add_if(!right, &MEDIA_TYPE, place, || format!("it is served as {}", quoted(told)));
    }
    report.add_if(feed.attribute_of(XML, "lang").is_none(), &LANGUAGE_MISSING, feed.place(), || {
        "the feed names no language".to_owned()
    });
    let based = feed.attribute_of(XML, "base").is_some();
    container(feed, &OF_FEED, based, about, report);
    history::check(feed, about, report, page);
    self_link(feed, about, report);
    let authored = feed.first(ATOM, "author").is_some();
    for entry in feed.all(ATOM, "entry") {
        let source = entry.first(ATOM, "source");
        let own = entry.first(ATOM, "author").or_else(|| source.and_then(|s| s.first(ATOM, "author")));
        if own.is_none() && !authored {
            report.add(&AUTHOR, entry.place(), "neither the entry nor the feed has an author");
        }
        self::entry(entry, based, about, report);
    }
    let empty = feed.first(ATOM, "entry").is_none();
    report.add_if(empty && !authored, &AUTHOR, feed.place(), || "the feed has no author".to_owned());
    versions(feed, report, page);
    tombstones(feed, report);
    page.readable = true;
}

/// What feed, entry and source have in common.
fn container(parent: &Element, known: &[(&str, bool)], based: bool, about: &About, report: &mut Report) {
    let required = if parent.name == "source" { &SOURCE } else { &REQUIRED };
    for name in ["id", "title", "updated"] {
        report.add_if(parent.first(ATOM, name).is_none(), required, parent.place(), || {
            format!("{} has no <{name}>", parent.tag())
        });
    }
    language(parent, report);
    let mut seen = HashSet::new();
    let mut alternates = HashSet::new();
    for child in parent.children.iter().filter(|child| child.namespace == ATOM || child.namespace.is_empty())
    {
        let name = child.name.as_str();
        let known = known.iter().find(|(known, _)| *known == name && child.namespace == ATOM);
        let Some((_, many)) = known else {
            report.add(
                &ELEMENT,
                child.place(),
                format!("Atom has no {} in {}", quoted(&child.tag()), parent.tag()),
            );
            continue;
        };
        report.add_if(!seen.insert(name) && !many, &REPEATED, child.place(), || {
            format!("{} has a second <{name}>", parent.tag())
        });
        if name != "entry" {
            language(child, report);
        }
        match name {
            "id" => iri(child, child.text.as_str(), true, report),
            "icon" | "logo" => iri(child, child.text.as_str(), false, report),
            "updated" | "published" => date(child, about, report),
            "title" | "subtitle" | "rights" | "summary" => text_construct(child, based, report),
            "author" | "contributor" => person(child, report),
            "category" => category(child, report),
            "generator" => report.add_if(child.trimmed().is_empty(), &BLANK, child.place(), || {
                "<generator> is empty".to_owned()
            }),
            "link" => {
                link(child, report);
                let of = |name| child.attribute(name).unwrap_or_default().to_ascii_lowercase();
                let alternate = matches!(child.attribute("rel"), None | Some("alternate" | ""));
                let new = !alternate || alternates.insert((of("type"), of("hreflang")));
                report.add_if(!new, &ALTERNATE_REPEATED, child.place(), || {
                    format!("there is a second alternate of type {} and its language", quoted(&of("type")))
                });
            }
            _ => {}
        }
    }
}

fn entry(entry: &Element, based: bool, about: &About, report: &mut Report) {
    let based = based || entry.attribute_of(XML, "base").is_some();
    container(entry, &OF_ENTRY, based, about, report);
    let alternate =
        entry.all(ATOM, "link").any(|l| matches!(l.attribute("rel"), None | Some("alternate" | "")));
    let content = entry.first(ATOM, "content");
    report.add_if(content.is_none() && !alternate, &CONTENT_MISSING, entry.place(), || {
        "the entry has neither content nor a link to its page".to_owned()
    });
    if let Some(content) = content {
        self::content(content, based, report);
        let kind = content.attribute("type").unwrap_or("text").to_ascii_lowercase();
        let elsewhere = content.attribute("src").is_some();
        let readable = ["text", "html", "xhtml"].contains(&kind.as_str())
            || kind.starts_with("text/")
            || kind.ends_with("xml");
        report.add_if(
            (elsewhere || !readable) && entry.first(ATOM, "summary").is_none(),
            &SUMMARY_MISSING,
            entry.place(),
            || "the entry has no summary of content that cannot be read here".to_owned(),
        );
    }
    if let Some(source) = entry.first(ATOM, "source") {
        container(source, &OF_FEED, based, about, report);
    }
}

fn content(content: &Element, based: bool, report: &mut Report) {
    let kind = content.attribute("type").unwrap_or("text");
    if let Some(src) = content.attribute("src") {
        iri(content, src, false, report);
        let filled = !content.trimmed().is_empty() || !content.children.is_empty();
        let typed = content.attribute("type").is_none_or(text::is_media_type);
        report.add_if(filled || !typed, &CONTENT_SRC, content.place(), || {
            format!("the content lies at {} and has the type {}", quoted(src), quoted(kind))
        });
        return;
    }
    if ["text", "html", "xhtml"].contains(&kind) {
        return text_construct(content, based, report);
    }
    let kind = kind.to_ascii_lowercase();
    let composite = COMPOSITE.iter().any(|top| kind.starts_with(top));
    report.add_if(composite || !text::is_media_type(&kind), &CONTENT_TYPE, content.place(), || {
        format!("the type is {}", quoted(&kind))
    });
    let xml = kind.ends_with("+xml") || kind.ends_with("/xml");
    report.add_if(!xml && !content.children.is_empty(), &UNESCAPED, content.place(), || {
        format!("there are elements in content of type {}", quoted(&kind))
    });
}

fn text_construct(element: &Element, based: bool, report: &mut Report) {
    let based = based || element.attribute_of(XML, "base").is_some();
    let kind = element.attribute("type").unwrap_or("text");
    let words = element.text.trim();
    let is_title = element.name == "title";
    match kind {
        "xhtml" => {
            let div = element.children.first().filter(|child| child.is(XHTML, "div"));
            let alone = div.is_some() && element.children.len() == 1 && words.is_empty();
            report.add_if(!alone, &XHTML_DIV, element.place(), || {
                format!("{} is XHTML and not one <div>", element.tag())
            });
            html::check_elements(element, based, report);
        }
        "text" | "html" => {
            if let Some(child) = element.children.first() {
                let what = format!("{} stands in {} of type {kind}", quoted(&child.tag()), element.tag());
                report.add(&UNESCAPED, child.place(), what);
            }
            report.add_if(
                is_title && element.whole_text().trim().is_empty(),
                &BLANK,
                element.place(),
                || "<title> is empty".to_owned(),
            );
            if kind == "html" {
                html::check(words, &element.place(), based, report);
            } else if let Some(twice) = text::escaped_twice(words).filter(|_| is_title) {
                report.add(&TITLE_TWICE, element.place(), format!("the title says {}", quoted(twice)));
            } else if is_title && text::has_markup(words) {
                report.add(&TITLE_MARKUP, element.place(), format!("there is markup in {}", quoted(words)));
            }
        }
        kind => report.add(
            &TEXT_TYPE,
            element.place(),
            format!("{} has the type {}", element.tag(), quoted(kind)),
        ),
    }
}

fn person(person: &Element, report: &mut Report) {
    for (name, least) in [("name", 1), ("uri", 0), ("email", 0)] {
        let count = person.all(ATOM, name).count();
        report.add_if(count < least || count > 1, &PERSON, person.place(), || {
            format!("{} has {count} <{name}>", person.tag())
        });
    }
    for child in &person.children {
        let words = child.text.as_str();
        let wrong = match (child.namespace.as_str(), child.name.as_str()) {
            (ATOM, "name") => words.trim().is_empty(),
            (ATOM, "email") => !text::is_mail(words),
            (ATOM, "uri") => words.is_empty() || !text::is_reference(words),
            (ATOM, _) => true,
            _ => false,
        };
        report.add_if(wrong, &PERSON, child.place(), || format!("{} is {}", child.tag(), quoted(words)));
    }
}

fn category(category: &Element, report: &mut Report) {
    let term = category.attribute("term").unwrap_or_default();
    report.add_if(term.trim().is_empty(), &CATEGORY, category.place(), || {
        "the category has no term".to_owned()
    });
    if let Some(scheme) = category.attribute("scheme") {
        report.add_if(text::absolute(scheme, true).is_err(), &CATEGORY, category.place(), || {
            format!("the scheme is {}", quoted(scheme))
        });
    }
}

fn link(link: &Element, report: &mut Report) {
    let mut wrong = |what: String| report.add(&LINK, link.place(), what);
    match link.attribute("href") {
        None => wrong("the link has no href".to_owned()),
        Some(href) if !text::is_reference(href) => wrong(format!("href is {}", quoted(href))),
        Some(_) => {}
    }
    if let Some(kind) = link.attribute("type").filter(|kind| !text::is_media_type(kind)) {
        wrong(format!("the type is {}", quoted(kind)));
    }
    if let Some(language) = link.attribute("hreflang").filter(|language| !text::is_language(language)) {
        wrong(format!("hreflang is {}", quoted(language)));
    }
    let length = link.attribute("length").map(|length| length.parse::<u64>().is_ok());
    if length == Some(false) {
        wrong("the length is no number of bytes".to_owned());
    }
    let bare = link.attribute("rel") == Some("enclosure") && length.is_none();
    report.add_if(bare, &ENCLOSURE_LENGTH, link.place(), || "the enclosure has no length".to_owned());
}

fn self_link(feed: &Element, about: &About, report: &mut Report) {
    let mut own = feed.all(ATOM, "link").filter(|link| link.attribute("rel") == Some("self"));
    let Some(link) = own.next() else {
        return report.add(&SELF_MISSING, feed.place(), "the feed does not name its own address");
    };
    for other in own {
        report.add(&SELF_REPEATED, other.place(), "there is a second rel=`self`");
    }
    let href = link.attribute("href").unwrap_or_default();
    // A relative self is resolved against xml:base, which nobody writes; the address decides.
    let resolved = about.url.as_deref().and_then(|url| url::Url::parse(url).ok()?.join(href).ok());
    if let Some(url) = &about.url {
        let same = href == url || resolved.is_some_and(|resolved| resolved.as_str() == url);
        report.add_if(!same, &SELF_DIFFERS, link.place(), || {
            format!("it says {} and was found at {}", quoted(href), quoted(url))
        });
    }
}

fn language(element: &Element, report: &mut Report) {
    if let Some(tag) = element.attribute_of(XML, "lang") {
        let wrong = !tag.is_empty() && !text::is_language(tag);
        report.add_if(wrong, &LANGUAGE, element.place(), || format!("xml:lang is {}", quoted(tag)));
    }
}

fn iri(element: &Element, words: &str, id: bool, report: &mut Report) {
    let right = if id {
        text::scheme(words).is_some() && text::is_reference(words)
    } else {
        text::is_reference(words)
    };
    report.add_if(!right || words.is_empty(), &IRI, element.place(), || {
        format!("{} is {}", element.tag(), quoted(words))
    });
}

fn date(element: &Element, about: &About, report: &mut Report) {
    let words = element.text.as_str();
    let Some(date) = text::rfc3339(words) else {
        return report.add(&DATE, element.place(), format!("{} is no RFC 3339 date", quoted(words)));
    };
    if let Some(why) = text::implausible(date, about.now) {
        report.add(&IMPLAUSIBLE, element.place(), format!("{} {why}", quoted(words)));
    }
}

/// Ids that come twice, compared character by character (§4.2.6.1).
fn versions(feed: &Element, report: &mut Report, page: &mut Page) {
    let mut versions: HashMap<&str, HashSet<&str>> = HashMap::new();
    for entry in feed.all(ATOM, "entry") {
        let Some(id) = entry.first(ATOM, "id") else { continue };
        let updated = entry.first(ATOM, "updated").map(Element::trimmed).unwrap_or_default();
        page.entries.push((id.trimmed().to_owned(), updated.to_owned()));
        let known = versions.entry(id.trimmed()).or_default();
        let rule = if known.is_empty() { None } else { Some(known.contains(updated)) };
        known.insert(updated);
        match rule {
            Some(true) => {
                report.add(&ID_REPEATED, id.place(), format!("{} comes twice", quoted(id.trimmed())))
            }
            Some(false) => {
                report.add(
                    &ID_VERSIONS,
                    id.place(),
                    format!("{} comes in two versions", quoted(id.trimmed())),
                );
            }
            None => {}
        }
    }
}

fn tombstones(feed: &Element, report: &mut Report) {
    let first = feed.children.iter().position(|child| child.is(ATOM, "entry"));
    let mut alive: HashMap<&str, Instant> = HashMap::new();
    for entry in feed.all(ATOM, "entry") {
        let id = entry.first(ATOM, "id").map(Element::trimmed);
        let updated = entry.first(ATOM, "updated").and_then(|date| text::rfc3339(date.trimmed()));
        if let (Some(id), Some(updated)) = (id, updated) {
            let newest = alive.entry(id).or_insert(updated);
            *newest = updated.max(*newest);
        }
    }
    let mut seen = HashSet::new();
    for (number, stone) in feed.children.iter().enumerate().filter(|(_, c)| c.is(TOMBSTONES, "deleted-entry"))
    {
        let (found, said) =
            (stone.attribute("ref").unwrap_or_default(), stone.attribute("when").unwrap_or_default());
        let when = text::rfc3339(said);
        let wrong = when.is_none() || text::scheme(found).is_none() || !text::is_reference(found);
        report.add_if(wrong, &TOMBSTONE, stone.place(), || {
            format!("ref is {}, when is {}", quoted(found), quoted(said))
        });
        report.add_if(first.is_some_and(|first| number > first), &TOMBSTONE_ORDER, stone.place(), || {
            format!("the tombstone of {} stands after an entry", quoted(found))
        });
        report.add_if(!seen.insert((found, said)), &TOMBSTONE_REPEATED, stone.place(), || {
            format!("there is a second tombstone of {} at {}", quoted(found), quoted(said))
        });
        let removes = when.is_some_and(|when| alive.get(found).is_some_and(|updated| *updated <= when));
        report.add_if(removes, &TOMBSTONE_ALIVE, stone.place(), || {
            format!("{} is an entry of this feed, and removed from it", quoted(found))
        });
    }
}
