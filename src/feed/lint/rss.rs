//! RSS 2.0 with the profile of the RSS Advisory Board.

use super::text::{self, UriFault};
use super::walk::Page;
use super::xml::{ATOM, CONTENT, Document, Element};
use super::{About, Place, Report, Rule, history, html, quoted, rules};
use std::collections::HashSet;

rules! {
    VERSION: "rss-version", Error, "RSS 2.0 § rss", "write <rss version=\"2.0\">";
    CHANNEL: "rss-channel", Error, "RSS 2.0 § channel", "put exactly one <channel> into <rss>";
    REQUIRED: "rss-required", Error, "RSS 2.0 § channel", "write the channel's <title>, <link> and <description>";
    REPEATED: "rss-repeated", Error, "RSS 2.0 profile § channel, § item", "write the element once";
    ELEMENT: "rss-element", Error, "RSS 2.0 § extending RSS", "take the element out, or give it the prefix of its namespace";
    MARKUP: "rss-markup", Error, "RSS 2.0 § description", "escape the markup, or put it into a CDATA section";
    BLANK: "rss-blank", Warning, "RSS 2.0 profile § channel, § item", "write something into the element, or leave it out";
    ITEM_EMPTY: "rss-item-empty", Error, "RSS 2.0 § item", "give each item a <title> or a <description>";
    URL: "rss-url", Error, "RSS 2.0 § Comments (links)", "write an absolute address with a registered scheme: https://…";
    IRI: "rss-url-iri", Error, "RSS 2.0 profile § data types", "percent-encode the letters outside ASCII: đ is %C4%91";
    DATE: "rss-date-format", Error, "RFC 822 §5.1", "write the date like Thu, 04 Apr 2024 04:30:00 +0700, in English";
    WEEKDAY: "rss-date-weekday", Error, "RFC 822 §5.2", "let the weekday be that of the date, or leave it out";
    YEAR: "rss-date-year", Warning, "RSS 2.0 profile § data types", "write the year with four digits";
    ZONE: "rss-date-zone", Warning, "RFC 5322 §4.3", "write the zone as an offset: +0700";
    IMPLAUSIBLE: "rss-date-implausible", Warning, "RSS 2.0 profile § pubDate", "write when it was published; some readers sort by it, others hide the future";
    GUID_MISSING: "rss-guid-missing", Warning, "RSS 2.0 profile § guid", "give each item a <guid> that never changes; without it an edited title is a new item";
    GUID_BLANK: "rss-guid-blank", Error, "RSS 2.0 § guid", "write the item's id into <guid>";
    GUID_REPEATED: "rss-guid-repeated", Error, "RSS 2.0 § guid", "give each item an id of its own; readers show only one of two with the same";
    GUID_PERMALINK: "rss-guid-permalink", Error, "RSS 2.0 § guid", "write isPermaLink=\"false\", or a web address as guid";
    GUID_VALUE: "rss-guid-attribute", Error, "RSS 2.0 § guid", "write isPermaLink as \"true\" or \"false\"";
    GUID_NUMBER: "rss-guid-number", Warning, "RSS 2.0 profile § guid", "use an id that no other site has: tag:, urn:uuid: or the address";
    ENCLOSURE: "rss-enclosure", Error, "RSS 2.0 § enclosure", "write url, length (bytes) and type (media type) of the enclosure";
    ENCLOSURES: "rss-enclosure-repeated", Warning, "RSS 2.0 profile § enclosure", "keep one enclosure an item; readers take the first or the last";
    PERSON: "rss-person", Error, "RSS 2.0 § author", "write `mail (Name)`; a name alone goes into <dc:creator>";
    TTL: "rss-ttl", Error, "RSS 2.0 § ttl", "write minutes as a positive number";
    SKIP_HOURS: "rss-skip-hours", Error, "RSS 2.0 § skipHours", "write each <hour> once, from 0 to 23";
    SKIP_DAYS: "rss-skip-days", Error, "RSS 2.0 § skipDays", "write each <day> once, in English: Monday";
    CLOUD: "rss-cloud", Error, "RSS 2.0 § cloud", "write domain, port, path, registerProcedure and protocol, or leave <cloud> out";
    SOURCE: "rss-source", Error, "RSS 2.0 § source", "write the url of the feed that the item came from";
    IMAGE: "rss-image", Error, "RSS 2.0 § image", "write url, title and link of the image";
    IMAGE_SIZE: "rss-image-size", Error, "RSS 2.0 § image", "write width up to 144 and height up to 400, or leave them out";
    IMAGE_OTHER: "rss-image-differs", Warning, "RSS 2.0 profile § image", "let title and link of the image be those of the channel";
    INPUT: "rss-text-input", Warning, "RSS 2.0 profile § textInput", "leave <textInput> out; nearly no reader shows it";
    LANGUAGE: "rss-language", Error, "RSS 2.0 § language", "write a language tag: vi, en-GB";
    LANGUAGE_MISSING: "rss-language-missing", Note, "RSS 2.0 profile § language", "write <language>vi</language>; readers choose fonts and voices by it";
    SELF_MISSING: "rss-self-missing", Warning, "RSS 2.0 profile § atom:link", "write <atom:link rel=\"self\" href=\"…\" type=\"application/rss+xml\"/>";
    SELF_REPEATED: "rss-self-repeated", Error, "RFC 4287 §4.1.1", "keep one atom:link with rel=\"self\"";
    SELF_DIFFERS: "rss-self-differs", Warning, "RSS 2.0 profile § atom:link", "let rel=\"self\" be the address at which the feed is served";
    ORDER: "rss-order", Warning, "RSS 2.0 profile § channel", "write the items after all other elements of the channel";
    CONTENT_FIRST: "rss-content-order", Warning, "RSS 2.0 profile § content:encoded", "write <description> before <content:encoded>; some readers keep the last they see";
    TITLE_MARKUP: "rss-title-markup", Warning, "RSS 2.0 profile § data types", "write titles as plain text";
    TITLE_TWICE: "rss-title-escaped", Warning, "RSS 2.0 profile § data types", "escape titles once; readers show the letters `&amp;`";
    MEDIA_TYPE: "rss-media-type", Warning, "RSS 2.0 profile § media type", "serve it as application/rss+xml; charset=utf-8";
    CHARSET: "rss-charset", Warning, "RFC 7303 §3.2; RFC 3023 §3.1", "name the charset: text/xml without one is US-ASCII to many readers";
}

/// Elements of a channel; `true` where more than one may stand.
const OF_CHANNEL: [(&str, bool); 20] = [
    ("title", false),
    ("link", false),
    ("description", false),
    ("language", false),
    ("copyright", false),
    ("managingEditor", false),
    ("webMaster", false),
    ("pubDate", false),
    ("lastBuildDate", false),
    ("category", true),
    ("generator", false),
    ("docs", false),
    ("cloud", false),
    ("ttl", false),
    ("image", false),
    ("rating", false),
    ("textInput", false),
    ("skipHours", false),
    ("skipDays", false),
    ("item", true),
];
const OF_ITEM: [(&str, bool); 10] = [
    ("title", false),
    ("link", false),
    ("description", false),
    ("author", false),
    ("category", true),
    ("comments", false),
    ("enclosure", true),
    ("guid", false),
    ("pubDate", false),
    ("source", false),
];
const WEEK: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub(super) fn lint(document: &Document, about: &About, report: &mut Report, page: &mut Page) {
    let rss = &document.root;
    media_type(about, report);
    report.add_if(rss.attribute("version") != Some("2.0"), &VERSION, rss.place(), || {
        match rss.attribute("version") {
            Some(version) => format!("the version is {}", quoted(version)),
            None => "there is no version".to_owned(),
        }
    });
    let mut channels = rss.all("", "channel");
    let Some(channel) = channels.next() else {
        return report.add(&CHANNEL, rss.place(), "there is no <channel>");
    };
    for other in channels {
        report.add(&CHANNEL, other.place(), "there is a second <channel>");
    }
    self::channel(channel, about, report);
    history::check(channel, about, report, page);
    let mut guids = HashSet::new();
    for item in channel.all("", "item") {
        self::item(item, about, report, &mut guids);
    }
    page.entries = channel
        .all("", "item")
        .filter_map(|item| {
            let id = item.first("", "guid").or_else(|| item.first("", "link"))?.trimmed();
            let updated = item.first(ATOM, "updated").or_else(|| item.first("", "pubDate"));
            Some((id.to_owned(), updated.map_or_else(String::new, |date| date.trimmed().to_owned())))
        })
        .collect();
    page.readable = true;
}

fn media_type(about: &About, report: &mut Report) {
    let Some(told) = &about.content_type else { return };
    let name = text::media_type_of(told);
    let right = ["application/rss+xml", "application/xml", "text/xml"].contains(&name.as_str());
    let place = || Place::Header("Content-Type");
    report.add_if(!right, &MEDIA_TYPE, place(), || format!("it is served as {}", quoted(told)));
    let bare = name == "text/xml" && text::parameter(told, "charset").is_none();
    report.add_if(bare, &CHARSET, place(), || "it is served as `text/xml` without a charset".to_owned());
}

fn channel(channel: &Element, about: &About, report: &mut Report) {
    for required in ["title", "link", "description"] {
        report.add_if(channel.first("", required).is_none(), &REQUIRED, channel.place(), || {
            format!("the channel has no <{required}>")
        });
    }
    vocabulary(channel, &OF_CHANNEL, report);
    let mut items = channel.children.iter().skip_while(|child| !child.is("", "item"));
    if let Some(late) = items.find(|child| child.namespace.is_empty() && child.name != "item") {
        report.add(&ORDER, late.place(), format!("{} stands after the first item", quoted(&late.tag())));
    }
    for child in channel.children.iter().filter(|child| child.namespace.is_empty()) {
        let words = child.trimmed();
        match child.name.as_str() {
            "title" => title(child, report),
            "link" | "docs" => address(child, words, &URL, report),
            "description" => html::check(words, &child.place(), false, report),
            "language" => report.add_if(!text::is_language(words), &LANGUAGE, child.place(), || {
                format!("{} is no language tag", quoted(words))
            }),
            "managingEditor" | "webMaster" => person(child, report),
            "pubDate" | "lastBuildDate" => date(child, about, report),
            "ttl" => report.add_if(
                !words.parse().is_ok_and(|minutes: u32| minutes > 0),
                &TTL,
                child.place(),
                || format!("{} is no number of minutes", quoted(words)),
            ),
            "image" => image(child, channel, report),
            "skipHours" => skipped(child, "hour", &SKIP_HOURS, report, |hour| {
                hour.parse().ok().filter(|hour: &u8| *hour < 24)
            }),
            "skipDays" => {
                skipped(child, "day", &SKIP_DAYS, report, |day| WEEK.iter().position(|name| *name == day))
            }
            "cloud" => cloud(child, report),
            "textInput" => report.add(&INPUT, child.place(), "there is a <textInput>"),
            _ => {}
        }
    }
    report.add_if(channel.first("", "language").is_none(), &LANGUAGE_MISSING, channel.place(), || {
        "the channel names no language".to_owned()
    });
    self_link(channel, about, report);
}

fn self_link(channel: &Element, about: &About, report: &mut Report) {
    let mut own = channel.all(ATOM, "link").filter(|link| link.attribute("rel") == Some("self"));
    let Some(link) = own.next() else {
        return report.add(&SELF_MISSING, channel.place(), "the feed does not name its own address");
    };
    for other in own {
        report.add(&SELF_REPEATED, other.place(), "there is a second rel=`self`");
    }
    let href = link.attribute("href").unwrap_or_default();
    address(link, href, &URL, report);
    if let Some(url) = &about.url {
        report.add_if(href != url, &SELF_DIFFERS, link.place(), || {
            format!("it says {} and was found at {}", quoted(href), quoted(url))
        });
    }
}

/// Unknown elements, elements that may stand only once, elements with nothing or too much in them.
fn vocabulary(parent: &Element, known: &[(&str, bool)], report: &mut Report) {
    let mut seen = HashSet::new();
    for child in parent.children.iter().filter(|child| child.namespace.is_empty()) {
        let name = child.name.as_str();
        let Some((_, many)) = known.iter().find(|(known, _)| *known == name) else {
            report.add(
                &ELEMENT,
                child.place(),
                format!("RSS has no {} in {}", quoted(&child.tag()), parent.tag()),
            );
            continue;
        };
        report.add_if(!seen.insert(name) && !many, &REPEATED, child.place(), || {
            format!("{} has a second <{name}>", parent.tag())
        });
        let composed = ["item", "image", "textInput", "skipHours", "skipDays"].contains(&name);
        let by_attributes = ["cloud", "enclosure"].contains(&name);
        if let Some(inner) = child.children.first().filter(|_| !composed) {
            report.add(&MARKUP, inner.place(), format!("{} stands in <{name}>", quoted(&inner.tag())));
        }
        // A blank description is how summaries are switched off; a blank guid has its own rule.
        let may_be_blank = composed || by_attributes || ["description", "guid", "link"].contains(&name);
        report.add_if(!may_be_blank && child.whole_text().trim().is_empty(), &BLANK, child.place(), || {
            format!("<{name}> is empty")
        });
    }
}

fn item<'d>(item: &'d Element, about: &About, report: &mut Report, guids: &mut HashSet<&'d str>) {
    vocabulary(item, &OF_ITEM, report);
    let has = |name| item.first("", name).is_some();
    report.add_if(!has("title") && !has("description"), &ITEM_EMPTY, item.place(), || {
        "the item has neither title nor description".to_owned()
    });
    report.add_if(!has("guid"), &GUID_MISSING, item.place(), || "the item has no guid".to_owned());
    let enclosures = item.all("", "enclosure").count();
    report.add_if(enclosures > 1, &ENCLOSURES, item.place(), || {
        format!("the item has {enclosures} enclosures")
    });
    let place_of = |namespace, name| item.children.iter().position(|child| child.is(namespace, name));
    if let (Some(content), Some(description)) = (place_of(CONTENT, "encoded"), place_of("", "description")) {
        report.add_if(content < description, &CONTENT_FIRST, item.place(), || {
            "<content:encoded> stands before <description>".to_owned()
        });
    }
    for child in &item.children {
        let words = child.trimmed();
        match (child.namespace.as_str(), child.name.as_str()) {
            ("", "title") => title(child, report),
            ("", "link" | "comments") => address(child, words, &URL, report),
            ("", "description") | (CONTENT, "encoded") => html::check(words, &child.place(), false, report),
            ("", "author") => person(child, report),
            ("", "pubDate") => date(child, about, report),
            ("", "guid") => guid(child, report, guids),
            ("", "enclosure") => enclosure(child, report),
            ("", "source") => match child.attribute("url") {
                Some(url) => address(child, url, &SOURCE, report),
                None => report.add(&SOURCE, child.place(), "<source> has no url"),
            },
            _ => {}
        }
    }
}

fn title(element: &Element, report: &mut Report) {
    let words = element.trimmed();
    if let Some(twice) = text::escaped_twice(words) {
        report.add(&TITLE_TWICE, element.place(), format!("the title says {}", quoted(twice)));
    } else if text::has_markup(words) {
        report.add(&TITLE_MARKUP, element.place(), format!("there is markup in {}", quoted(words)));
    }
}

fn address(element: &Element, url: &str, rule: &Rule, report: &mut Report) {
    match text::absolute(url, false) {
        Ok(()) => {}
        Err(UriFault::Iri) => {
            report.add(&IRI, element.place(), format!("{} {}", quoted(url), UriFault::Iri.words()));
        }
        Err(fault) => {
            let what = format!("the address {} in {} {}", quoted(url), element.tag(), fault.words());
            report.add(rule, element.place(), what);
        }
    }
}

fn person(element: &Element, report: &mut Report) {
    report.add_if(!text::is_person(element.trimmed()), &PERSON, element.place(), || {
        format!("{} is no mail address with a name", quoted(element.trimmed()))
    });
}

fn date(element: &Element, about: &About, report: &mut Report) {
    let words = element.trimmed();
    let Some(date) = text::rfc822(words) else {
        return report.add(&DATE, element.place(), format!("{} is no RFC 822 date", quoted(words)));
    };
    for (wrong, rule, what) in [
        (date.wrong_weekday, &WEEKDAY, "has the weekday of another day"),
        (date.short_year, &YEAR, "has a year of two digits"),
        (date.odd_zone, &ZONE, "has a zone of one letter"),
    ] {
        report.add_if(wrong, rule, element.place(), || format!("{} {what}", quoted(words)));
    }
    if let Some(why) = text::implausible(date.instant, about.now) {
        report.add(&IMPLAUSIBLE, element.place(), format!("{} {why}", quoted(words)));
    }
}

fn guid<'d>(element: &'d Element, report: &mut Report, guids: &mut HashSet<&'d str>) {
    let id = element.trimmed();
    let permalink = element.attribute("isPermaLink").unwrap_or("true");
    report.add_if(!["true", "false"].contains(&permalink), &GUID_VALUE, element.place(), || {
        format!("isPermaLink is {}", quoted(permalink))
    });
    if id.is_empty() {
        return report.add(&GUID_BLANK, element.place(), "the guid is empty");
    }
    report.add_if(!guids.insert(id), &GUID_REPEATED, element.place(), || {
        format!("{} is the guid of an item before", quoted(id))
    });
    let web =
        text::scheme(id).is_some_and(|s| s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https"));
    if permalink == "true" && !web {
        report.add(&GUID_PERMALINK, element.place(), format!("{} is no address of a page", quoted(id)));
    } else if permalink == "true" {
        address(element, id, &GUID_PERMALINK, report);
    }
    let small = id.len() < 10 && id.bytes().all(|b| b.is_ascii_digit());
    report.add_if(small, &GUID_NUMBER, element.place(), || format!("the guid is the number {}", quoted(id)));
}

fn enclosure(element: &Element, report: &mut Report) {
    let attribute = |name| element.attribute(name).unwrap_or_default();
    match attribute("url") {
        "" => report.add(&ENCLOSURE, element.place(), "the enclosure has no url"),
        url => address(element, url, &ENCLOSURE, report),
    }
    report.add_if(attribute("length").parse::<u64>().is_err(), &ENCLOSURE, element.place(), || {
        format!("the length {} is no number of bytes", quoted(attribute("length")))
    });
    report.add_if(!text::is_media_type(attribute("type")), &ENCLOSURE, element.place(), || {
        format!("the type {} is no media type", quoted(attribute("type")))
    });
}

fn image(image: &Element, channel: &Element, report: &mut Report) {
    for name in ["url", "title", "link"] {
        let Some(child) = image.first("", name) else {
            report.add(&IMAGE, image.place(), format!("the image has no <{name}>"));
            continue;
        };
        if name != "title" {
            address(child, child.trimmed(), &IMAGE, report);
        }
        let other = channel.first("", name).filter(|own| name != "url" && own.trimmed() != child.trimmed());
        report.add_if(other.is_some(), &IMAGE_OTHER, child.place(), || {
            format!("the image's <{name}> is {}", quoted(child.trimmed()))
        });
    }
    for (name, most) in [("width", 144), ("height", 400)] {
        let Some(child) = image.first("", name) else { continue };
        let right = child.trimmed().parse().is_ok_and(|size: u32| (1..=most).contains(&size));
        report.add_if(!right, &IMAGE_SIZE, child.place(), || {
            format!("the {name} is {}", quoted(child.trimmed()))
        });
    }
}

fn skipped<T: std::hash::Hash + Eq>(
    list: &Element,
    name: &str,
    rule: &Rule,
    report: &mut Report,
    read: impl Fn(&str) -> Option<T>,
) {
    let mut seen = HashSet::new();
    for entry in &list.children {
        let value = Some(entry.trimmed()).filter(|_| entry.is("", name)).and_then(&read);
        let new = value.is_some_and(|value| seen.insert(value));
        report.add_if(!new, rule, entry.place(), || {
            format!("{} {} is none, or one too many", entry.tag(), quoted(entry.trimmed()))
        });
    }
    report.add_if(list.children.is_empty(), rule, list.place(), || format!("{} is empty", list.tag()));
}

fn cloud(cloud: &Element, report: &mut Report) {
    for name in ["domain", "path", "registerProcedure", "protocol"] {
        report.add_if(
            cloud.attribute(name).is_none_or(|value| name != "registerProcedure" && value.is_empty()),
            &CLOUD,
            cloud.place(),
            || format!("<cloud> has no {name}"),
        );
    }
    let port = cloud.attribute("port").unwrap_or_default();
    report.add_if(!port.parse().is_ok_and(|port: u16| port > 0), &CLOUD, cloud.place(), || {
        format!("the port is {}", quoted(port))
    });
    let protocol = cloud.attribute("protocol").unwrap_or_default();
    let known = ["xml-rpc", "soap", "http-post", "https-post", ""].contains(&protocol);
    report.add_if(!known, &CLOUD, cloud.place(), || format!("the protocol is {}", quoted(protocol)));
}
