//! HTML inside of entries: what a feed reader cannot follow, or must throw away.

use super::xml::{Element, XHTML};
use super::{Place, Report, quoted, rules, text};

rules! {
    RELATIVE: "html-relative", Warning, "RSS 2.0 profile § description", "write absolute addresses; a reader shows the text far from your site";
    SCRIPT: "html-script", Warning, "RFC 4287 §8.1", "take scripts and event attributes out; readers remove them, and some drop the entry";
    FRAME: "html-frame", Warning, "RFC 4287 §8.1", "take frames and embedded objects out, and link to what they show";
    STYLE: "html-style", Warning, "RFC 4287 §8.1", "take style sheets out; they would change the reader's own page";
}

/// Attributes that hold an address.
const ADDRESSES: [&str; 8] = ["href", "src", "poster", "cite", "action", "background", "longdesc", "data"];

/// Looks at escaped HTML. `based` says that relative addresses have a base.
pub(super) fn check(html: &str, place: &Place, based: bool, report: &mut Report) {
    tags(html, &mut |name, attributes| {
        let attributes = attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        judge(name, attributes, place, based, report);
    });
}

/// Looks at XHTML that stands in the document as elements.
pub(super) fn check_elements(element: &Element, based: bool, report: &mut Report) {
    for child in &element.children {
        let based = based || child.attribute_of(super::xml::XML, "base").is_some();
        if child.namespace == XHTML {
            let attributes = child.attributes.iter().filter(|a| a.namespace.is_empty());
            let attributes = attributes.map(|a| (a.name.as_str(), a.value.as_str()));
            judge(&child.name, attributes, &child.place(), based, report);
        }
        check_elements(child, based, report);
    }
}

fn judge<'a>(
    name: &str,
    attributes: impl Iterator<Item = (&'a str, &'a str)>,
    place: &Place,
    based: bool,
    report: &mut Report,
) {
    match name {
        "script" => report.add(&SCRIPT, place.clone(), "there is a <script>"),
        "style" => report.add(&STYLE, place.clone(), "there is a <style>"),
        "iframe" | "frame" | "object" | "embed" | "applet" | "form" => {
            report.add(&FRAME, place.clone(), format!("there is a <{name}>"));
        }
        _ => {}
    }
    for (attribute, value) in attributes {
        let value = value.trim();
        if attribute.starts_with("on") && attribute.len() > 4 {
            report.add(&SCRIPT, place.clone(), format!("<{}> has {}", short(name), quoted(attribute)));
        } else if text::scheme(value).is_some_and(|s| s.eq_ignore_ascii_case("javascript")) {
            report.add(&SCRIPT, place.clone(), format!("<{}> has {}", short(name), quoted(value)));
        } else if ADDRESSES.contains(&attribute) {
            if !based && is_relative(value) {
                report.add(&RELATIVE, place.clone(), format!("`{attribute}` is {}", quoted(value)));
            }
        } else if attribute == "srcset" && !based {
            let first = value.split(", ").filter_map(|part| part.split_whitespace().next());
            for address in first.filter(|address| is_relative(address)) {
                report.add(&RELATIVE, place.clone(), format!("`srcset` has {}", quoted(address)));
            }
        }
    }
}

fn short(name: &str) -> String {
    crate::domain::excerpt(name, 20)
}

fn is_relative(address: &str) -> bool {
    !address.is_empty() && !address.starts_with('#') && text::scheme(address).is_none()
}

/// Start tags with their attributes, names in lower case. One pass whatever the text is: a real
/// tokenizer compares each attribute with all before it.
fn tags(html: &str, visit: &mut impl FnMut(&str, &[(String, String)])) {
    let mut rest = html;
    let mut attributes = Vec::new();
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>');
        let end = rest.find(ends).unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        attributes.clear();
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            if rest.is_empty() || rest.starts_with('>') {
                break;
            }
            // A `=` that stands first belongs to the name, as HTML has it.
            let stops = |(at, c): &(usize, char)| *at > 0 && (ends(*c) || *c == '=');
            let end = rest.char_indices().find(stops).map_or(rest.len(), |(at, _)| at);
            let key = rest[..end].to_ascii_lowercase();
            rest = rest[end..].trim_start();
            let mut value = "";
            if let Some(after) = rest.strip_prefix('=') {
                let after = after.trim_start();
                (value, rest) = match after.chars().next() {
                    Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                    _ => {
                        let end = after.find(|c: char| c.is_ascii_whitespace() || c == '>');
                        after.split_at(end.unwrap_or(after.len()))
                    }
                };
            }
            attributes.push((key, value.replace("&amp;", "&")));
        }
        visit(&name, &attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules_of(html: &str, based: bool) -> Vec<&'static str> {
        let mut report = Report::default();
        check(html, &Place::Document, based, &mut report);
        report.findings.into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn what_readers_cannot_use_is_found() {
        for (html, rules) in [
            (
                "<p>Tin <a href=\"https://a.vn/\">a</a> <a href='#b'>b</a> <a href=mailto:a@b.vn>c</a></p>",
                &[][..],
            ),
            ("<a href=\"/tin.html\">a</a>", &["html-relative"]),
            ("<IMG ALT='a > b' SRC=//cdn.vn/a.jpg>", &["html-relative"]),
            ("<img src='https://a.vn/a' srcset='https://a.vn/a,b 1x, c.jpg 2x'/>", &["html-relative"]),
            ("<script>x</script>", &["html-script"]),
            ("<p onclick=x()>", &["html-script"]),
            ("<a href=\"JavaScript:x()\">", &["html-script"]),
            ("<style>p{}</style><iframe src=https://a.vn>", &["html-style", "html-frame"]),
            ("<!-- <script> --> 1 < 2", &[]),
            ("<", &[]),
            ("<a href", &[]),
        ] {
            assert_eq!(rules_of(html, false), rules, "{html}");
        }
        assert!(rules_of("<a href=\"/tin.html\">a</a>", true).is_empty(), "it has a base");
    }

    proptest! {
        #[test]
        fn any_text_ends(text in any::<String>(), soup in "[<>a='\"/ ế!-]{0,60}") {
            rules_of(&text, false);
            rules_of(&soup, false);
        }
    }
}
