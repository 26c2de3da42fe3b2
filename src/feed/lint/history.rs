//! RFC 5005: paged and archived feeds, as one document says it. RSS uses the same elements and
//! `atom:link` (Appendix B).

use super::walk::Page;
use super::xml::{ATOM, Element, HISTORY};
use super::{About, Report, quoted, rules};
use std::collections::HashSet;

rules! {
    COMPLETE_LINKED: "fh-complete-linked", Error, "RFC 5005 §2", "leave <fh:complete/> or the paging links out: a complete feed has no other documents";
    COMPLETE_ARCHIVE: "fh-complete-archive", Error, "RFC 5005 §2, §4", "leave one of <fh:complete/> and <fh:archive/> out";
    ELEMENT: "fh-element", Warning, "RFC 5005 §2, §4", "write fh:complete and fh:archive empty, and in the head of the feed";
    CURRENT: "fh-current", Warning, "RFC 5005 §4", "link the archive document to its subscription document with rel=\"current\"";
    REPEATED: "fh-link-repeated", Error, "RFC 5005 §3, §4", "keep one link of each paging relation";
    TO_ITSELF: "fh-link-itself", Error, "RFC 5005 §3, §4", "link to another document: a reader that follows this never ends";
    MIXED: "fh-mixed", Warning, "RFC 5005 §1", "use archive links (prev-archive) or page links (next), not both";
}

const PAGED: [&str; 4] = ["first", "last", "previous", "next"];
const ARCHIVED: [&str; 3] = ["prev-archive", "next-archive", "current"];

/// Looks at the head of a feed, and notes where the document leads.
pub(super) fn check(head: &Element, about: &About, report: &mut Report, page: &mut Page) {
    let links: Vec<(&str, &str, &Element)> = head
        .all(ATOM, "link")
        .filter_map(|link| Some((link.attribute("rel")?, link.attribute("href")?, link)))
        .collect();
    let mut own: HashSet<&str> = about.url.as_deref().into_iter().collect();
    own.extend(links.iter().filter(|(rel, ..)| *rel == "self").map(|(_, href, _)| *href));
    for (number, (rel, href, link)) in links.iter().enumerate() {
        if !PAGED.contains(rel) && !ARCHIVED.contains(rel) {
            continue;
        }
        let before = links[..number].iter().any(|(other, ..)| other == rel);
        report.add_if(before, &REPEATED, link.place(), || format!("a second link says rel={}", quoted(rel)));
        let leads = matches!(*rel, "next" | "previous" | "prev-archive" | "next-archive");
        report.add_if(leads && own.contains(href), &TO_ITSELF, link.place(), || {
            format!("rel={} leads to the document itself", quoted(rel))
        });
    }
    let to = |rel: &str| links.iter().find(|(r, ..)| *r == rel).map(|(_, href, _)| (*href).to_owned());
    let complete = head.first(HISTORY, "complete");
    let archive = head.first(HISTORY, "archive");
    for element in head.children.iter().filter(|child| child.namespace == HISTORY) {
        let known = matches!(element.name.as_str(), "complete" | "archive");
        let filled = !element.trimmed().is_empty() || !element.children.is_empty();
        report.add_if(!known || filled, &ELEMENT, element.place(), || {
            format!("{} is {}", quoted(&element.tag()), if known { "not empty" } else { "not of RFC 5005" })
        });
    }
    for child in head.children.iter().filter(|child| matches!(child.name.as_str(), "item" | "entry")) {
        for element in child.children.iter().filter(|e| e.namespace == HISTORY) {
            report.add(&ELEMENT, element.place(), format!("{} stands in an entry", quoted(&element.tag())));
        }
    }
    if let Some(complete) = complete {
        let linked = links.iter().find(|(rel, ..)| PAGED.contains(rel) || rel.ends_with("-archive"));
        report.add_if(archive.is_some(), &COMPLETE_ARCHIVE, complete.place(), || {
            "the feed is complete, and an archive document".to_owned()
        });
        if let Some((rel, _, link)) = linked {
            report.add(
                &COMPLETE_LINKED,
                link.place(),
                format!("the feed is complete, and links rel={}", quoted(rel)),
            );
        }
    }
    let next = to("next");
    if let (Some(_), Some(_)) = (&next, to("prev-archive")) {
        report.add(&MIXED, head.place(), "there are page links and archive links");
    }
    if let Some(archive) = archive {
        report.add_if(to("current").is_none(), &CURRENT, archive.place(), || {
            "the archive document names no subscription document".to_owned()
        });
    }
    page.is_archive = archive.is_some();
    page.current = to("current");
    page.older = to("prev-archive");
    page.newer = to("next-archive");
}
