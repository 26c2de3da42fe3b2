//! How a server answers for a feed (RFC 9110, RFC 9111): validators, conditional requests, HEAD,
//! codings, caching. What to ask is decided here too, so that who asks needs to know nothing.

use super::text;
use super::{Finding, Kind, Place, Report, quoted, rules};
use crate::domain::Instant;
use crate::feed::validators::parse_http_date;

rules! {
    STATUS: "http-status", Error, "RFC 9110 §15", "answer a GET of the feed with 200";
    MEDIA_TYPE_MISSING: "http-content-type", Error, "RFC 9110 §8.3", "send Content-Type; readers refuse to guess";
    MEDIA_TYPE: "http-media-type", Warning, "RFC 9110 §8.3", "serve application/rss+xml, application/atom+xml, application/feed+json or text/x-opml; browsers and readers choose by it";
    CHARSET: "http-charset", Note, "RFC 7303 §3.2", "add ; charset=utf-8 to Content-Type";
    ETAG_MISSING: "http-etag-missing", Warning, "RFC 9110 §8.8.3", "send an ETag, so that readers need not fetch what they have";
    ETAG_FORM: "http-etag-form", Error, "RFC 9110 §8.8.3", "write the ETag in double quotes: \"abc\"";
    ETAG_WEAK: "http-etag-weak", Note, "RFC 9110 §8.8.1", "nothing; a strong one would serve ranges too";
    MODIFIED_MISSING: "http-last-modified-missing", Warning, "RFC 9110 §8.8.2", "send Last-Modified, when the feed last changed; some readers know nothing else";
    MODIFIED_FORM: "http-last-modified-form", Error, "RFC 9110 §5.6.7", "write Last-Modified like Thu, 04 Apr 2024 04:30:00 GMT";
    MODIFIED_FUTURE: "http-last-modified-future", Error, "RFC 9110 §8.8.2.1", "send when the feed last changed; readers would get 304 until that date";
    IF_NONE_MATCH: "http-if-none-match", Error, "RFC 9110 §13.1.2", "answer 304 where If-None-Match names the present ETag";
    IF_MODIFIED_SINCE: "http-if-modified-since", Warning, "RFC 9110 §13.1.3", "answer 304 where If-Modified-Since is your Last-Modified";
    /// A server that changed the feed twice in that second must not say 304 (§8.8.2.2).
    DATE_ALONE: "http-if-modified-since-alone", Note, "RFC 9110 §13.1.3, §8.8.2.2", "nothing, if the feed changed twice in the second of Last-Modified; else answer 304, for readers that know dates only";
    MODIFIED_WINS: "http-precondition-order", Error, "RFC 9110 §13.2.2", "where there is an If-None-Match, do not look at If-Modified-Since";
    STALE_TAG: "http-if-none-match-other", Error, "RFC 9110 §13.1.2", "answer 200 where If-None-Match names another ETag; readers would never see a change";
    BODY_304: "http-304-body", Error, "RFC 9110 §15.4.5", "send no body with 304";
    HEADERS_304: "http-304-headers", Warning, "RFC 9110 §15.4.5", "repeat ETag, Cache-Control, Vary, Expires and Content-Location in a 304";
    HEAD: "http-head", Error, "RFC 9110 §9.1, §9.3.2", "answer HEAD as GET, without the body";
    HEAD_HEADERS: "http-head-headers", Warning, "RFC 9110 §9.3.2", "send the headers of GET with HEAD";
    VOLATILE: "http-volatile", Warning, "RFC 9110 §8.8", "take times and counters of the moment out of the body; nobody can know what changed";
    ETAG_VOLATILE: "http-etag-volatile", Error, "RFC 9110 §8.8.3", "keep the ETag while the body is the same, and change it with the body";
    PLAIN: "http-gzip", Note, "RFC 9110 §8.4", "compress with gzip where Accept-Encoding allows; a feed shrinks to a fifth";
    UNASKED: "http-coding-unasked", Error, "RFC 9110 §12.5.3", "send the body uncoded where the request accepts only identity";
    VARY: "http-vary", Error, "RFC 9110 §12.5.5", "send Vary: Accept-Encoding; caches would give coded bytes to who cannot read them";
    ETAG_SHARED: "http-etag-shared", Error, "RFC 9110 §8.8.3.3", "give each content-coding a strong ETag of its own, or a weak one";
    CODED_DIFFERS: "http-coding-differs", Error, "RFC 9110 §8.4", "let the coded body hold the same document";
    CACHE_MISSING: "http-cache-control-missing", Warning, "RFC 9111 §5.2.2", "send Cache-Control: max-age=300; readers and caches guess otherwise";
    MAX_AGE: "http-max-age", Warning, "RFC 9111 §5.2.2.1", "keep max-age of a feed at 300 s or less; readers that obey it show news late (NetNewsWire#4478)";
    NO_STORE: "http-no-store", Warning, "RFC 9111 §5.2.2.5", "leave no-store out; it forbids readers to keep what conditional requests need";
    EXPIRES: "http-expires", Warning, "RFC 9111 §5.3", "leave Expires out, or give it a date; Miniflux ignores validators where it is 0";
    ACCEPT: "http-accept", Error, "RFC 9110 §12.5.1", "answer 200 whatever Accept says: the address names the format (w3c/feedvalidator#53)";
    COOKIE: "http-cookie", Warning, "RFC 6265 §3", "set no cookies with a feed; caches then keep nothing";
    REDIRECT: "http-redirect", Note, "RFC 9110 §15.4", "publish the address that it leads to";
    REDIRECT_TEMPORARY: "http-redirect-temporary", Warning, "RFC 9110 §15.4.3", "redirect with 301 or 308 if the move is for good; readers come back here each time";
    REDIRECT_LONG: "http-redirect-long", Error, "RFC 9110 §15.4", "redirect once, to the feed itself";
    DOWNGRADE: "http-redirect-downgrade", Warning, "RFC 9110 §17.2", "do not lead from https to http";
    UNANSWERED: "http-unanswered", Error, "RFC 9110 §15", "answer every kind of GET";
}

/// Which question a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// A GET without anything.
    Plain,
    /// The same once more.
    Again,
    /// HEAD.
    Head,
    /// With the `ETag` of the first answer.
    SameTag,
    /// With an `ETag` that never was.
    OtherTag,
    /// With the `Last-Modified` of the first answer.
    SameDate,
    /// With an `ETag` that never was and the `Last-Modified` of the first answer.
    OtherTagSameDate,
    /// Accepting gzip.
    Gzip,
    /// Accepting nothing that a feed is.
    OddAccept,
}

/// A request to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it is to find out.
    pub question: Question,
    /// Whether it is a HEAD and not a GET.
    pub is_head: bool,
    /// Its headers beside `Host` and `User-Agent`.
    pub headers: Vec<(&'static str, String)>,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body's length as it came.
    pub length: usize,
    /// A hash of the body, uncoded; `None` where it could not be uncoded.
    pub hash: Option<String>,
}

impl Answer {
    /// All lines of a header as one (RFC 9110 §5.3).
    pub fn header(&self, name: &str) -> Option<String> {
        let lines: Vec<&str> =
            self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    fn coding(&self) -> Option<String> {
        self.header("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity"))
    }
}

/// A redirect on the way to the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Where it was.
    pub from: String,
    /// Its status code.
    pub status: u16,
    /// Where it leads.
    pub to: String,
}

/// A question and its answer; the answer is missing where nobody gave one.
pub type Exchange = (Question, Option<Answer>);

/// What the document is to its readers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// The format, if it is known.
    pub kind: Option<Kind>,
    /// Whether it is an archive, which may be kept for long.
    pub is_archive: bool,
    /// The time of the first answer.
    pub now: Instant,
}

/// A tag that no server has.
const NO_TAG: &str = "\"bantin-lint-never-was\"";
/// The longest `max-age` of a feed in seconds (reference thread NetNewsWire#4478).
const LONGEST: u64 = 300;

/// The first request.
pub fn plain() -> Request {
    let headers = vec![("Accept", "*/*".to_owned()), ("Accept-Encoding", "identity".to_owned())];
    Request { question: Question::Plain, is_head: false, headers }
}

/// What else to ask after the first answer.
pub fn questions(first: &Answer) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut ask = |question, is_head, more: &[(&'static str, &str)]| {
        let mut headers = plain().headers;
        for (name, value) in more {
            headers.retain(|(other, _)| other != name);
            headers.push((name, (*value).to_owned()));
        }
        requests.push(Request { question, is_head, headers });
    };
    let tag = first.header("etag");
    let date = first.header("last-modified");
    ask(Question::Head, true, &[]);
    if let Some(tag) = &tag {
        ask(Question::SameTag, false, &[("If-None-Match", tag)]);
        ask(Question::OtherTag, false, &[("If-None-Match", NO_TAG)]);
    }
    if let Some(date) = &date {
        ask(Question::SameDate, false, &[("If-Modified-Since", date)]);
    }
    if let (Some(_), Some(date)) = (&tag, &date) {
        ask(Question::OtherTagSameDate, false, &[("If-None-Match", NO_TAG), ("If-Modified-Since", date)]);
    }
    ask(Question::Gzip, false, &[("Accept-Encoding", "gzip")]);
    ask(Question::OddAccept, false, &[("Accept", "image/png")]);
    // Last, so that a time written into the body has moved on.
    ask(Question::Again, false, &[]);
    requests
}

/// Looks at the way to the document.
pub fn lint_hops(hops: &[Hop]) -> Vec<Finding> {
    let mut report = Report::default();
    for hop in hops {
        let what = || format!("{} leads with {} to {}", quoted(&hop.from), hop.status, quoted(&hop.to));
        let rule = if matches!(hop.status, 301 | 308) { &REDIRECT } else { &REDIRECT_TEMPORARY };
        report.add(rule, Place::Header("Location"), what());
        let down = hop.from.starts_with("https:") && hop.to.starts_with("http:");
        report.add_if(down, &DOWNGRADE, Place::Header("Location"), what);
    }
    report.add_if(hops.len() > 1, &REDIRECT_LONG, Place::Header("Location"), || {
        format!("there are {} redirects before the feed", hops.len())
    });
    report.into_findings()
}

/// Looks at all exchanges about one document. The first is [`Question::Plain`].
pub fn lint(exchanges: &[Exchange], asked: Asked) -> Vec<Finding> {
    let mut report = Report::default();
    let answer = |question| exchanges.iter().find(|(q, _)| *q == question).and_then(|(_, a)| a.as_ref());
    let Some(first) = answer(Question::Plain) else { return Vec::new() };
    if first.status != 200 {
        report.add(&STATUS, Place::Document, format!("the status is {}", first.status));
        return report.into_findings();
    }
    for (question, _) in exchanges.iter().filter(|(_, answer)| answer.is_none()) {
        report.add(&UNANSWERED, Place::Document, format!("nobody answered {}", words(*question)));
    }
    if let Some(coding) = first.coding() {
        let what = format!("the body is coded with {} unasked", quoted(&coding));
        report.add(&UNASKED, Place::Header("Content-Encoding"), what);
    }
    media_type(first, asked, &mut report);
    validators(first, asked, &mut report);
    caching(first, asked, &mut report);
    let tags_work = answer(Question::SameTag).is_some_and(|answer| answer.status == 304);
    for question in [Question::SameTag, Question::SameDate, Question::OtherTag, Question::OtherTagSameDate] {
        if let Some(answer) = answer(question) {
            conditional(question, first, answer, tags_work, &mut report);
        }
    }
    if let Some(head) = answer(Question::Head) {
        self::head(first, head, &mut report);
    }
    if let Some(again) = answer(Question::Again) {
        repeated(first, again, &mut report);
    }
    if let Some(gzip) = answer(Question::Gzip) {
        coded(first, gzip, &mut report);
    }
    if let Some(odd) = answer(Question::OddAccept) {
        report.add_if(odd.status != 200, &ACCEPT, Place::Header("Accept"), || {
            format!("`Accept: image/png` is answered with {}", odd.status)
        });
    }
    report.into_findings()
}

fn words(question: Question) -> &'static str {
    match question {
        Question::Plain | Question::Again => "GET",
        Question::Head => "HEAD",
        Question::SameTag | Question::OtherTag => "GET with If-None-Match",
        Question::SameDate => "GET with If-Modified-Since",
        Question::OtherTagSameDate => "GET with If-None-Match and If-Modified-Since",
        Question::Gzip => "GET with Accept-Encoding",
        Question::OddAccept => "GET with another Accept",
    }
}

fn media_type(first: &Answer, asked: Asked, report: &mut Report) {
    let place = || Place::Header("Content-Type");
    let Some(told) = first.header("content-type") else {
        return report.add(&MEDIA_TYPE_MISSING, place(), "there is none");
    };
    let best: &[&str] = match asked.kind {
        Some(Kind::Rss) => &["application/rss+xml"],
        Some(Kind::Atom) => &["application/atom+xml"],
        Some(Kind::Json) => &["application/feed+json"],
        Some(Kind::Opml) => &["text/x-opml"],
        None => return,
    };
    let name = text::media_type_of(&told);
    report.add_if(!best.contains(&name.as_str()), &MEDIA_TYPE, place(), || {
        format!("it is served as {} and not as `{}`", quoted(&told), best.join("`, `"))
    });
    let bare = text::parameter(&told, "charset").is_none() && asked.kind != Some(Kind::Json);
    report.add_if(bare, &CHARSET, place(), || format!("{} names no charset", quoted(&told)));
}

fn is_tag(tag: &str) -> bool {
    let opaque = tag.strip_prefix("W/").unwrap_or(tag);
    let inner = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| inner.chars().all(|c| c == '!' || ('#'..='~').contains(&c) || c >= '\u{80}'))
}

fn validators(first: &Answer, asked: Asked, report: &mut Report) {
    let place = || Place::Header("ETag");
    match first.header("etag") {
        None => report.add(&ETAG_MISSING, place(), "there is none"),
        Some(tag) if !is_tag(&tag) => {
            report.add(&ETAG_FORM, place(), format!("{} is no entity tag", quoted(&tag)))
        }
        Some(tag) if tag.starts_with("W/") => {
            report.add(&ETAG_WEAK, place(), format!("{} is weak", quoted(&tag)))
        }
        Some(_) => {}
    }
    let place = || Place::Header("Last-Modified");
    let Some(said) = first.header("last-modified") else {
        return report.add(&MODIFIED_MISSING, place(), "there is none");
    };
    match parse_http_date(&said, asked.now) {
        // Senders write only one of the three forms that recipients read.
        Some(date) if said.ends_with(" GMT") && said.len() == 29 => {
            // A minute, for clocks that do not agree.
            let ahead = date > asked.now + chrono::Duration::seconds(60);
            report.add_if(ahead, &MODIFIED_FUTURE, place(), || format!("{} has not come yet", quoted(&said)));
        }
        _ => report.add(&MODIFIED_FORM, place(), format!("{} is no HTTP date", quoted(&said))),
    }
}

fn caching(first: &Answer, asked: Asked, report: &mut Report) {
    let place = || Place::Header("Cache-Control");
    report.add_if(first.header("set-cookie").is_some(), &COOKIE, Place::Header("Set-Cookie"), || {
        "there is a cookie".to_owned()
    });
    if let Some(expires) = first.header("expires") {
        let dated = parse_http_date(&expires, asked.now).is_some();
        report.add_if(!dated, &EXPIRES, Place::Header("Expires"), || format!("it is {}", quoted(&expires)));
    }
    let Some(control) = first.header("cache-control").map(|control| control.to_ascii_lowercase()) else {
        return report.add(&CACHE_MISSING, place(), "there is none");
    };
    let directives = || control.split(',').map(str::trim);
    report.add_if(directives().any(|d| d == "no-store"), &NO_STORE, place(), || {
        "it says `no-store`".to_owned()
    });
    let age = directives().find_map(|d| d.strip_prefix("max-age=")?.trim_matches('"').parse::<u64>().ok());
    let long = age.filter(|age| *age > LONGEST && !asked.is_archive);
    report.add_if(long.is_some(), &MAX_AGE, place(), || format!("max-age is {} s", long.unwrap_or_default()));
}

fn conditional(question: Question, first: &Answer, answer: &Answer, tags_work: bool, report: &mut Report) {
    let (rule, name, wanted) = match question {
        Question::SameTag => (&IF_NONE_MATCH, "If-None-Match", 304),
        Question::SameDate if tags_work => (&DATE_ALONE, "If-Modified-Since", 304),
        Question::SameDate => (&IF_MODIFIED_SINCE, "If-Modified-Since", 304),
        Question::OtherTagSameDate => (&MODIFIED_WINS, "If-None-Match", 200),
        _ => (&STALE_TAG, "If-None-Match", 200),
    };
    report.add_if(answer.status != wanted, rule, Place::Header(name), || {
        format!("{} is answered with {} and not with {wanted}", words(question), answer.status)
    });
    if answer.status != 304 {
        return;
    }
    report.add_if(answer.length > 0, &BODY_304, Place::Document, || {
        format!("a 304 has {} bytes", answer.length)
    });
    for (name, place) in [
        ("etag", "ETag"),
        ("cache-control", "Cache-Control"),
        ("vary", "Vary"),
        ("expires", "Expires"),
        ("content-location", "Content-Location"),
    ] {
        let (full, short) = (first.header(name), answer.header(name));
        // Expires moves with the clock.
        let differs = if name == "expires" { full.is_some() && short.is_none() } else { full != short };
        report.add_if(full.is_some() && differs, &HEADERS_304, Place::Header(place), || {
            format!("a 304 says {} where 200 says {}", said(short.as_deref()), said(full.as_deref()))
        });
    }
}

fn said(value: Option<&str>) -> String {
    value.map_or_else(|| "nothing".to_owned(), quoted)
}

fn head(first: &Answer, head: &Answer, report: &mut Report) {
    if head.status != first.status {
        let what = format!("HEAD is answered with {} and GET with {}", head.status, first.status);
        return report.add(&HEAD, Place::Document, what);
    }
    for (name, place) in [
        ("etag", "ETag"),
        ("last-modified", "Last-Modified"),
        ("content-type", "Content-Type"),
        ("cache-control", "Cache-Control"),
        ("vary", "Vary"),
    ] {
        let (full, short) = (first.header(name), head.header(name));
        report.add_if(full != short, &HEAD_HEADERS, Place::Header(place), || {
            format!("HEAD says {} where GET says {}", said(short.as_deref()), said(full.as_deref()))
        });
    }
}

fn repeated(first: &Answer, again: &Answer, report: &mut Report) {
    let (one, two) = (first.header("etag"), again.header("etag"));
    let same = first.hash == again.hash;
    let modified = (first.header("last-modified"), again.header("last-modified"));
    if !same && (one == two && one.is_some()) {
        report.add(&ETAG_VOLATILE, Place::Header("ETag"), "the body changed and the ETag did not");
    } else if same && one != two {
        report.add(&ETAG_VOLATILE, Place::Header("ETag"), "the ETag changed and the body did not");
    } else if !same {
        report.add(&VOLATILE, Place::Document, "two GETs in a row gave different bodies");
    } else if modified.0 != modified.1 {
        report.add(&VOLATILE, Place::Header("Last-Modified"), "it moves though the body stays");
    }
}

fn coded(first: &Answer, gzip: &Answer, report: &mut Report) {
    if first.coding().is_some() {
        return;
    }
    if gzip.coding().is_none() {
        return report.add(&PLAIN, Place::Header("Content-Encoding"), "gzip is accepted and not used");
    }
    let varies = gzip.header("vary").is_some_and(|vary| {
        vary.split(',')
            .any(|name| matches!(name.trim(), "*") || name.trim().eq_ignore_ascii_case("accept-encoding"))
    });
    report
        .add_if(!varies, &VARY, Place::Header("Vary"), || "the coding depends on Accept-Encoding".to_owned());
    let (one, two) = (first.header("etag"), gzip.header("etag"));
    let shared = one.as_ref().is_some_and(|tag| !tag.starts_with("W/")) && one == two;
    report.add_if(shared, &ETAG_SHARED, Place::Header("ETag"), || {
        format!("{} is the ETag of the coded and the uncoded body", said(one.as_deref()))
    });
    report.add_if(gzip.hash != first.hash, &CODED_DIFFERS, Place::Document, || {
        "the body coded with gzip is another one".to_owned()
    });
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn now() -> Instant {
        "2026-11-24T02:00:00Z".parse().unwrap()
    }

    fn answer(status: u16, more: &[(&str, &str)]) -> Answer {
        let mut headers = vec![
            ("content-type", "application/rss+xml; charset=utf-8"),
            ("etag", "\"a\""),
            ("last-modified", "Thu, 04 Apr 2024 04:30:00 GMT"),
            ("cache-control", "public, max-age=300"),
            ("vary", "Accept-Encoding"),
        ];
        for (name, value) in more {
            headers.retain(|(other, _)| other != name);
            headers.push((name, value));
        }
        headers.retain(|(_, value)| !value.is_empty());
        let headers = headers.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        let length = if status == 200 { 9 } else { 0 };
        Answer { status, headers, length, hash: Some("h".to_owned()) }
    }

    /// What a sound server answers.
    fn sound() -> Vec<Exchange> {
        let first = answer(200, &[]);
        let mut exchanges = vec![(Question::Plain, Some(first.clone()))];
        for request in questions(&first) {
            let answer = match request.question {
                Question::SameTag | Question::SameDate => answer(304, &[]),
                Question::Gzip => answer(200, &[("etag", "\"a-gzip\""), ("content-encoding", "gzip")]),
                _ => answer(200, &[]),
            };
            exchanges.push((request.question, Some(answer)));
        }
        exchanges
    }

    fn rules_of(kind: Kind, changes: &[(Question, Option<Answer>)]) -> Vec<&'static str> {
        let mut exchanges = sound();
        for (question, answer) in changes {
            let place = exchanges.iter_mut().find(|(other, _)| other == question).unwrap();
            place.1.clone_from(answer);
        }
        let asked = Asked { kind: Some(kind), is_archive: false, now: now() };
        lint(&exchanges, asked).into_iter().map(|finding| finding.rule).collect()
    }

    /// The answer to a question, changed, and the rules that this breaks.
    fn cases() -> Vec<(Vec<Exchange>, Vec<&'static str>)> {
        use Question::*;
        let all = |more: &[(&str, &str)]| -> Vec<Exchange> {
            sound()
                .into_iter()
                .map(|(question, answer)| {
                    let was = answer.unwrap();
                    let mut now = super::tests::answer(was.status, more);
                    if question == Gzip {
                        now.headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
                        if let Some(tag) = now.headers.iter_mut().find(|(n, _)| n == "etag") {
                            tag.1 = tag.1.replace('a', "b");
                        }
                    }
                    (question, Some(now))
                })
                .collect()
        };
        let one = |question, answer: Answer| vec![(question, Some(answer))];
        let mut other_body = answer(200, &[]);
        other_body.hash = Some("other".to_owned());
        let mut other_coded = answer(200, &[("etag", "\"b\""), ("content-encoding", "gzip")]);
        other_coded.hash = None;
        let mut filled = answer(304, &[]);
        filled.length = 5;
        let other_all = Answer { hash: Some("other".to_owned()), ..answer(200, &[("etag", "\"b\"")]) };
        vec![
            (Vec::new(), vec![]),
            (one(Plain, answer(404, &[])), vec!["http-status"]),
            (all(&[("content-type", "")]), vec!["http-content-type"]),
            (all(&[("content-type", "text/xml; charset=utf-8")]), vec!["http-media-type"]),
            (all(&[("content-type", "application/rss+xml")]), vec!["http-charset"]),
            (all(&[("etag", "")]), vec!["http-etag-missing"]),
            (all(&[("etag", "a")]), vec!["http-etag-form"]),
            (all(&[("etag", "W/\"a\"")]), vec!["http-etag-weak"]),
            (all(&[("last-modified", "")]), vec!["http-last-modified-missing"]),
            (all(&[("last-modified", "2024-04-04")]), vec!["http-last-modified-form"]),
            (all(&[("last-modified", "Wed, 04 Apr 2035 04:30:00 GMT")]), vec!["http-last-modified-future"]),
            (one(SameTag, answer(200, &[])), vec!["http-if-none-match"]),
            (one(SameDate, answer(200, &[])), vec!["http-if-modified-since-alone"]),
            (
                vec![(SameDate, Some(answer(200, &[]))), (SameTag, Some(answer(200, &[])))],
                vec!["http-if-none-match", "http-if-modified-since"],
            ),
            (one(OtherTagSameDate, answer(304, &[])), vec!["http-precondition-order"]),
            (one(OtherTag, answer(304, &[])), vec!["http-if-none-match-other"]),
            (one(SameTag, filled), vec!["http-304-body"]),
            (one(SameTag, answer(304, &[("cache-control", "")])), vec!["http-304-headers"]),
            (one(Head, answer(405, &[])), vec!["http-head"]),
            (one(Head, answer(200, &[("etag", "")])), vec!["http-head-headers"]),
            (one(Again, other_all), vec!["http-volatile"]),
            (
                one(Again, answer(200, &[("last-modified", "Thu, 04 Apr 2024 04:30:01 GMT")])),
                vec!["http-volatile"],
            ),
            (one(Again, other_body), vec!["http-etag-volatile"]),
            (one(Again, answer(200, &[("etag", "\"b\"")])), vec!["http-etag-volatile"]),
            (one(Gzip, answer(200, &[])), vec!["http-gzip"]),
            (
                vec![
                    (Plain, Some(answer(200, &[("content-encoding", "gzip")]))),
                    (Again, Some(answer(200, &[("content-encoding", "gzip")]))),
                ],
                vec!["http-coding-unasked"],
            ),
            (
                one(
                    Gzip,
                    answer(200, &[("etag", "\"b\""), ("content-encoding", "gzip"), ("vary", "Accept")]),
                ),
                vec!["http-vary"],
            ),
            (one(Gzip, answer(200, &[("content-encoding", "gzip")])), vec!["http-etag-shared"]),
            (one(Gzip, other_coded), vec!["http-coding-differs"]),
            (all(&[("cache-control", "")]), vec!["http-cache-control-missing"]),
            (all(&[("cache-control", "max-age=86400")]), vec!["http-max-age"]),
            (all(&[("cache-control", "no-store")]), vec!["http-no-store"]),
            (all(&[("expires", "0")]), vec!["http-expires"]),
            (one(OddAccept, answer(406, &[])), vec!["http-accept"]),
            (all(&[("set-cookie", "a=b")]), vec!["http-cookie"]),
            (vec![(OddAccept, None)], vec!["http-unanswered"]),
        ]
    }

    fn hops() -> Vec<(Vec<Hop>, Vec<&'static str>)> {
        let hop = |from: &str, status, to: &str| Hop { from: from.to_owned(), status, to: to.to_owned() };
        vec![
            (vec![], vec![]),
            (vec![hop("http://a.vn/", 301, "https://a.vn/")], vec!["http-redirect"]),
            (vec![hop("http://a.vn/", 302, "https://a.vn/")], vec!["http-redirect-temporary"]),
            (
                vec![hop("https://a.vn/", 308, "http://a.vn/")],
                vec!["http-redirect", "http-redirect-downgrade"],
            ),
            (
                vec![hop("http://a.vn/", 301, "http://b.vn/"), hop("http://b.vn/", 301, "http://c.vn/")],
                vec!["http-redirect", "http-redirect", "http-redirect-long"],
            ),
        ]
    }

    pub(in crate::feed::lint) fn found() -> Vec<&'static str> {
        let answers = cases().into_iter().flat_map(|(changes, _)| rules_of(Kind::Rss, &changes));
        let ways = hops().into_iter().flat_map(|(hops, _)| lint_hops(&hops)).map(|finding| finding.rule);
        answers.chain(ways).collect()
    }

    #[test]
    fn each_fault_of_a_server_is_found_and_nothing_else() {
        for (changes, rules) in cases() {
            assert_eq!(rules_of(Kind::Rss, &changes), rules, "{changes:#?}");
        }
        for (hops, rules) in hops() {
            let found: Vec<_> = lint_hops(&hops).into_iter().map(|finding| finding.rule).collect();
            assert_eq!(found, rules, "{hops:?}");
        }
    }

    #[test]
    fn an_archive_may_be_kept_for_long() {
        let old = answer(200, &[("cache-control", "max-age=31536000, immutable")]);
        let asked = Asked { kind: Some(Kind::Rss), is_archive: true, now: now() };
        assert!(lint(&[(Question::Plain, Some(old))], asked).is_empty());
        assert!(lint(&[], asked).is_empty());
    }

    #[test]
    fn only_what_can_be_asked_is_asked() {
        let bare = Answer { status: 200, ..Answer::default() };
        let asked: Vec<_> = questions(&bare).into_iter().map(|request| request.question).collect();
        assert_eq!(asked, [Question::Head, Question::Gzip, Question::OddAccept, Question::Again]);
    }
}
