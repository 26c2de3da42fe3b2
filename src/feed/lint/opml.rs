//! OPML 2.0 as a list of subscriptions.

use super::text;
use super::xml::{Document, Element};
use super::{About, Place, Report, quoted, rules};

rules! {
    VERSION: "opml-version", Error, "OPML 2.0 § opml", "write <opml version=\"2.0\">";
    HEAD: "opml-head", Error, "OPML 2.0 § opml", "write one <head> and then one <body>";
    BODY: "opml-outline-missing", Error, "OPML 2.0 § body", "put at least one <outline> into <body>";
    ELEMENT: "opml-element", Error, "OPML 2.0 § head, § outline", "take the element out, or give it a namespace";
    TITLE: "opml-title", Warning, "OPML 2.0 § head", "write a <title> into <head>; readers name the folder by it";
    TEXT: "opml-text", Error, "OPML 2.0 § outline", "give each outline a text; most programs show nothing else";
    TYPE: "opml-type", Warning, "OPML 2.0 § subscription lists", "write type=\"rss\", for Atom and JSON Feed too";
    XML_URL: "opml-xml-url", Error, "OPML 2.0 § subscription lists", "write the feed's absolute address as xmlUrl";
    HTML_URL: "opml-html-url", Error, "OPML 2.0 § subscription lists", "write the absolute address of the feed's page as htmlUrl";
    LANGUAGE: "opml-language", Warning, "OPML 2.0 § subscription lists", "write a language tag: vi, en-GB";
    DATE: "opml-date-format", Error, "OPML 2.0 § head; RFC 822 §5.1", "write the date like Thu, 04 Apr 2024 04:30:00 +0700";
    OWNER: "opml-owner", Warning, "OPML 2.0 § head", "write a mail address as ownerEmail, an absolute address as ownerId";
    MEDIA_TYPE: "opml-media-type", Warning, "OPML 2.0 § media type", "serve it as text/x-opml; charset=utf-8";
}

const OF_HEAD: [&str; 13] = [
    "title",
    "dateCreated",
    "dateModified",
    "ownerName",
    "ownerEmail",
    "ownerId",
    "docs",
    "expansionState",
    "vertScrollState",
    "windowTop",
    "windowLeft",
    "windowBottom",
    "windowRight",
];

pub(super) fn lint(document: &Document, about: &About, report: &mut Report) {
    let opml = &document.root;
    if let Some(told) = &about.content_type {
        let name = text::media_type_of(told);
        let right =
            ["text/x-opml", "text/x-opml+xml", "application/xml", "text/xml"].contains(&name.as_str());
        let place = Place::Header("Content-Type");
        report.add_if(!right, &MEDIA_TYPE, place, || format!("it is served as {}", quoted(told)));
    }
    let version = opml.attribute("version").unwrap_or_default();
    report.add_if(!["2.0", "1.0", "1.1"].contains(&version), &VERSION, opml.place(), || {
        format!("the version is {}", quoted(version))
    });
    let names: Vec<&str> = opml.children.iter().map(|child| child.name.as_str()).collect();
    report.add_if(names != ["head", "body"], &HEAD, opml.place(), || {
        format!("<opml> has {} where <head> and <body> belong", quoted(&names.join(", ")))
    });
    if let Some(head) = opml.first("", "head") {
        self::head(head, report);
    }
    if let Some(body) = opml.first("", "body") {
        report.add_if(body.first("", "outline").is_none(), &BODY, body.place(), || {
            "the list is empty".to_owned()
        });
        outlines(body, report);
    }
}

fn head(head: &Element, report: &mut Report) {
    let titled = head.first("", "title").is_some_and(|title| !title.trimmed().is_empty());
    report.add_if(!titled, &TITLE, head.place(), || "the list has no title".to_owned());
    for child in head.children.iter().filter(|child| child.namespace.is_empty()) {
        let words = child.trimmed();
        let what = || format!("{} is {}", child.tag(), quoted(words));
        match child.name.as_str() {
            "dateCreated" | "dateModified" => {
                let right = text::rfc822(words).is_some_and(|date| !date.wrong_weekday);
                report.add_if(!right, &DATE, child.place(), what);
            }
            "ownerEmail" => report.add_if(!text::is_mail(words), &OWNER, child.place(), what),
            "ownerId" | "docs" => {
                report.add_if(text::absolute(words, false).is_err(), &OWNER, child.place(), what)
            }
            name => report.add_if(!OF_HEAD.contains(&name), &ELEMENT, child.place(), || {
                format!("OPML has no {} in <head>", quoted(&child.tag()))
            }),
        }
    }
}

fn outlines(parent: &Element, report: &mut Report) {
    for outline in parent.children.iter().filter(|child| child.namespace.is_empty()) {
        if outline.name != "outline" {
            report.add(
                &ELEMENT,
                outline.place(),
                format!("OPML has no {} in a list", quoted(&outline.tag())),
            );
            continue;
        }
        let words = outline.attribute("text").unwrap_or_default();
        report
            .add_if(words.trim().is_empty(), &TEXT, outline.place(), || "the outline has no text".to_owned());
        let kind = outline.attribute("type").unwrap_or_default();
        let url = outline.attribute("xmlUrl");
        report.add_if(url.is_some() && !kind.eq_ignore_ascii_case("rss"), &TYPE, outline.place(), || {
            format!("the outline of a feed has the type {}", quoted(kind))
        });
        let feed = url.is_some() || kind.eq_ignore_ascii_case("rss");
        let found = url.unwrap_or_default();
        report.add_if(feed && text::absolute(found, false).is_err(), &XML_URL, outline.place(), || {
            format!("xmlUrl is {}", quoted(found))
        });
        if let Some(page) = outline.attribute("htmlUrl").filter(|page| !page.is_empty()) {
            report.add_if(text::absolute(page, false).is_err(), &HTML_URL, outline.place(), || {
                format!("htmlUrl is {}", quoted(page))
            });
        }
        if let Some(tag) = outline.attribute("language") {
            // Userland's programs write `unknown`.
            report.add_if(!text::is_language(tag) && tag != "unknown", &LANGUAGE, outline.place(), || {
                format!("the language is {}", quoted(tag))
            });
        }
        outlines(outline, report);
    }
}
