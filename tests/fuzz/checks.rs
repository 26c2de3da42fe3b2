//! What holds of whatever bytes come in. The fuzz targets look for bytes of which it does not;
//! `tests/service/fuzz_corpus.rs` replays what they have kept, on a stable compiler.

use bantin::domain::{
    EmailAddress, FeedName, LanguageTag, Lead, Rate, ReturnPath, SafeHtml, SavedSearch, Schedule, Slug,
    StatusCode, WebUrl, clean_line, fold, is_allowed_char,
};
use bantin::feed::lint::{About, all_rules, lint_document};
use bantin::intake::{Arrival, Fault, InputFormat, Intake, ReadingRules, Sitemap, article_links, read};
use bantin::mail::report::{self, hooks};
use std::sync::LazyLock;
use unicode_normalization::is_nfc;

/// A check by the name of its target and of its corpus.
pub type Check = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Check; 14] = [
    ("text", text),
    ("html", html),
    ("markdown", markdown),
    ("json", json),
    ("jsonl", jsonl),
    ("feed", feed),
    ("wxr", wxr),
    ("ghost", ghost),
    ("sitemap", sitemap),
    ("report", report),
    ("hooks", hooks),
    ("lint", lint),
    ("sanitiser", sanitiser),
    ("words", words),
];

static PAGES: LazyLock<ReadingRules> = LazyLock::new(ReadingRules::default);
static REPORTS: LazyLock<report::Rules> =
    LazyLock::new(|| report::Rules::built_in().expect("the rules that we ship can be read"));

pub fn text(bytes: &[u8]) {
    comes_in(InputFormat::CapturedText, bytes);
}

pub fn html(bytes: &[u8]) {
    comes_in(InputFormat::Html, bytes);
    let base = WebUrl::parse("https://bao.example/muc/").expect("an address");
    article_links(bytes, &base);
}

pub fn markdown(bytes: &[u8]) {
    comes_in(InputFormat::Markdown, bytes);
}

pub fn json(bytes: &[u8]) {
    comes_in(InputFormat::Json, bytes);
}

pub fn jsonl(bytes: &[u8]) {
    comes_in(InputFormat::JsonLines, bytes);
}

pub fn feed(bytes: &[u8]) {
    comes_in(InputFormat::Feed, bytes);
}

pub fn wxr(bytes: &[u8]) {
    comes_in(InputFormat::WordPress, bytes);
}

pub fn ghost(bytes: &[u8]) {
    comes_in(InputFormat::Ghost, bytes);
}

pub fn sitemap(bytes: &[u8]) {
    Sitemap::read(bytes);
    comes_in(InputFormat::Sitemap, bytes);
}

/// A message that came back, whatever it is.
pub fn report(bytes: &[u8]) {
    holds(&report::read(bytes, &REPORTS));
}

/// A provider's post.
pub fn hooks(bytes: &[u8]) {
    for provider in hooks::Provider::ALL {
        for told in hooks::read(provider, bytes, &REPORTS).unwrap_or_default() {
            holds(&told);
        }
    }
    hooks::confirmation_page(bytes);
}

/// Anybody's feed.
pub fn lint(bytes: &[u8]) {
    for finding in lint_document(bytes, &About::default()) {
        assert!(all_rules().any(|rule| rule.code == finding.rule), "{} is no rule", finding.rule);
        assert!(!finding.mend.is_empty(), "{} tells no mend", finding.rule);
    }
}

/// HTML that becomes part of our pages.
pub fn sanitiser(bytes: &[u8]) {
    is_clean(&SafeHtml::clean(&String::from_utf8_lossy(bytes), None));
}

/// What people type, and what stands in addresses.
pub fn words(bytes: &[u8]) {
    let typed = &String::from_utf8_lossy(bytes);
    if let Ok(slug) = Slug::of_title(typed) {
        assert_eq!(Slug::parse(slug.as_str()).as_ref(), Ok(&slug));
    }
    if let Ok(address) = EmailAddress::parse(typed) {
        assert_eq!(EmailAddress::parse(&address.to_string()).as_ref(), Ok(&address));
    }
    if let Ok(url) = WebUrl::parse(typed) {
        assert_eq!(WebUrl::parse(url.as_str()).as_ref(), Ok(&url));
    }
    if let Ok(name) = typed.parse::<FeedName>() {
        let canonical = name.to_string();
        assert_eq!(canonical.parse::<FeedName>().map(|again| again.to_string()), Ok(canonical));
    }
    if let Ok(schedule) = Schedule::parse(typed, chrono_tz::Asia::Ho_Chi_Minh) {
        schedule.next_after(bantin::domain::Instant::UNIX_EPOCH);
    }
    assert_eq!(clean_line(&clean_line(typed)), clean_line(typed));
    assert_eq!(fold(&fold(typed)), fold(typed));
    SavedSearch::of(typed);
    LanguageTag::parse(typed);
    drop((
        Lead::parse(typed),
        typed.parse::<Rate>(),
        typed.parse::<ReturnPath>(),
        typed.parse::<StatusCode>(),
    ));
}

fn comes_in(format: InputFormat, bytes: &[u8]) {
    let intake = Intake {
        name: "-",
        format: Some(format),
        base: None,
        zone: chrono_tz::Asia::Ho_Chi_Minh,
        category: None,
        rules: &PAGES,
    };
    let found = read(&intake, bytes);
    assert!(!found.is_empty(), "an input without a word");
    for item in found {
        match item {
            Ok(arrival) => may_be_stored(&arrival),
            Err(Fault { message, .. }) => assert!(!message.is_empty(), "a fault without a word"),
        }
    }
}

fn may_be_stored(Arrival { draft, guesses, .. }: &Arrival) {
    assert!(!draft.title.is_empty() && !draft.keys.is_empty());
    assert_eq!(clean_line(&draft.title), draft.title, "a headline is one clean line");
    assert!(guesses.iter().all(|guess| guess.confidence <= 100));
    is_clean(&draft.body);
}

/// Whoever reads it once more reads the same words, and nothing that runs.
fn is_clean(html: &SafeHtml) {
    let words = |html: &SafeHtml| html.text().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&SafeHtml::clean(html.as_str(), None)), words(html), "{html:?}");
    assert!(html.as_str().chars().all(is_allowed_char) && is_nfc(html.as_str()), "{html:?}");
    let lower = html.as_str().to_ascii_lowercase();
    assert!(!lower.contains("<script") && !lower.contains("<style"), "{html:?}");
}

fn holds(report: &report::Report) {
    assert!(!report.findings.is_empty());
    for finding in &report.findings {
        assert!(!finding.evidence.contains(['\n', '\r', '\0']), "{:?}", finding.evidence);
        assert!(finding.evidence.chars().count() <= 1_000);
    }
}
