//! The chain of archives (RFC 5005 §4) or pages (JSON Feed `next_url`) behind a feed, as it was
//! walked: a reader that comes back from holidays must end up with every entry, and must end.

use super::{Finding, Place, Report, quoted, rules};
use std::collections::{HashMap, HashSet};

rules! {
    LOOP: "archive-loop", Error, "RFC 5005 §4; JSON Feed 1.1 § next_url", "let every document lead to an older one; readers that follow this never end";
    UNREACHABLE: "archive-unreachable", Error, "RFC 5005 §4", "serve the archive, or take the link to it out: what stands there is lost to readers";
    REFUSED: "archive-refused", Note, "RFC 5005 §4", "nothing, if old entries are not to be read (403 and 410 say so)";
    UNREADABLE: "archive-unreadable", Error, "RFC 5005 §4", "serve a feed document in the same format as the subscription document";
    MARK: "archive-mark", Warning, "RFC 5005 §4", "write <fh:archive/> into the head of every archive document";
    CURRENT: "archive-current", Error, "RFC 5005 §4", "let rel=\"current\" name the subscription document that leads here";
    BACK: "archive-next", Error, "RFC 5005 §4", "let rel=\"next-archive\" name the archive that leads here by rel=\"prev-archive\"";
    UNFINISHED: "archive-next-unfinished", Error, "RFC 5005 §4", "leave rel=\"next-archive\" out of the newest archive: what comes next is still being filled";
    TWICE: "archive-entry-repeated", Warning, "RFC 5005 §5", "keep an unchanged entry in one archive document only";
}

/// A document of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its address.
    pub url: String,
    /// The status it was answered with; 0 where nobody answered.
    pub status: u16,
    /// Whether it could be read as a feed.
    pub readable: bool,
    /// Whether `next_url` led here, which has no marks to check.
    pub is_json: bool,
    /// Whether it says that it is an archive document.
    pub is_archive: bool,
    /// The subscription document that it names.
    pub current: Option<String>,
    /// The older document that it leads to.
    pub older: Option<String>,
    /// The newer archive that it leads to.
    pub newer: Option<String>,
    /// The id of each entry, with its `updated` where the format has one.
    pub entries: Vec<(String, String)>,
}

/// Looks at a chain, the subscription document first, each next one the one that its predecessor
/// leads to. The last may be one that stands in the chain already.
pub fn lint(chain: &[Page]) -> Vec<(usize, Finding)> {
    let mut findings = Vec::new();
    let mut say = |number: usize, report: Report| {
        findings.extend(report.into_findings().into_iter().map(|finding| (number, finding)));
    };
    let Some(subscription) = chain.first() else { return findings };
    let mut seen = HashSet::from([subscription.url.as_str()]);
    let mut where_from: HashMap<(&str, &str), &str> = HashMap::new();
    for (number, pair) in chain.windows(2).enumerate() {
        let [newer, page] = pair else { continue };
        let mut report = Report::default();
        if !seen.insert(&page.url) {
            let what = format!("{} leads back to {}", quoted(&newer.url), quoted(&page.url));
            report.add(&LOOP, Place::Document, what);
            say(number, report);
            break;
        }
        judge(newer, page, subscription, number == 0, &mut report);
        for (id, updated) in page.entries.iter().filter(|_| !page.is_json) {
            if let Some(other) = where_from.insert((id, updated), &page.url) {
                report.add_if(other != page.url, &TWICE, Place::Document, || {
                    format!("{} stands in {} too", quoted(id), quoted(other))
                });
            }
        }
        say(number + 1, report);
    }
    findings
}

fn judge(newer: &Page, page: &Page, subscription: &Page, newest: bool, report: &mut Report) {
    match page.status {
        403 | 410 => {
            return report.add(&REFUSED, Place::Document, format!("it is refused with {}", page.status));
        }
        200 => {}
        0 => return report.add(&UNREACHABLE, Place::Document, "nobody answers"),
        status => return report.add(&UNREACHABLE, Place::Document, format!("it is answered with {status}")),
    }
    if !page.readable {
        return report.add(&UNREADABLE, Place::Document, "it cannot be read as a feed");
    }
    if page.is_json {
        return;
    }
    report.add_if(!page.is_archive, &MARK, Place::Document, || {
        "it does not say that it is an archive".to_owned()
    });
    if let Some(current) = &page.current {
        report.add_if(*current != subscription.url, &CURRENT, Place::Document, || {
            format!("`current` is {} and not {}", quoted(current), quoted(&subscription.url))
        });
    }
    match &page.newer {
        Some(next) if newest => {
            report.add(
                &UNFINISHED,
                Place::Document,
                format!("the newest archive leads on to {}", quoted(next)),
            );
        }
        Some(next) if *next != newer.url => {
            let what = format!("`next-archive` is {} and not {}", quoted(next), quoted(&newer.url));
            report.add(&BACK, Place::Document, what);
        }
        _ => {}
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn page(number: usize) -> Page {
        let url = |number: usize| format!("https://a.vn/archive/{number}.atom");
        Page {
            url: if number == 9 { "https://a.vn/feed.atom".to_owned() } else { url(number) },
            status: 200,
            readable: true,
            is_archive: number < 9,
            current: (number < 9).then(|| "https://a.vn/feed.atom".to_owned()),
            older: (number > 1).then(|| url(number.min(4) - 1)),
            newer: (number < 3).then(|| url(number + 1)),
            entries: vec![(format!("tag:{number}"), "2024".to_owned())],
            ..Page::default()
        }
    }

    /// A sound chain with one change, and the rule that it breaks.
    type Case = (fn(&mut Vec<Page>), &'static [&'static str]);

    const CASES: &[Case] = &[
        (|_| (), &[]),
        (|chain| chain.clear(), &[]),
        (|chain| chain.push(page(3)), &["archive-loop"]),
        (|chain| chain[2].status = 404, &["archive-unreachable"]),
        (|chain| chain[2].status = 0, &["archive-unreachable"]),
        (|chain| chain[2].status = 410, &["archive-refused"]),
        (|chain| chain[2].readable = false, &["archive-unreadable"]),
        (|chain| chain[2].is_archive = false, &["archive-mark"]),
        (|chain| chain[2].current = Some("https://b.vn/".to_owned()), &["archive-current"]),
        (|chain| chain[2].newer = Some("https://b.vn/".to_owned()), &["archive-next"]),
        (|chain| chain[1].newer = Some("https://a.vn/feed.atom".to_owned()), &["archive-next-unfinished"]),
        (|chain| chain[2].entries = chain[1].entries.clone(), &["archive-entry-repeated"]),
        (|chain| chain[1].entries = chain[0].entries.clone(), &[]),
    ];

    fn rules_of(change: fn(&mut Vec<Page>)) -> Vec<&'static str> {
        let mut chain = vec![page(9), page(3), page(2), page(1)];
        change(&mut chain);
        lint(&chain).into_iter().map(|(_, finding)| finding.rule).collect()
    }

    pub(in crate::feed::lint) fn found() -> Vec<&'static str> {
        CASES.iter().flat_map(|(change, _)| rules_of(*change)).collect()
    }

    #[test]
    fn a_sound_chain_has_no_findings_and_each_fault_has_one() {
        for (change, rules) in CASES {
            assert_eq!(rules_of(*change), *rules);
        }
    }
}
