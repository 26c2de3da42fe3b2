//! Whole mails against files; `BLESS=1 cargo test mail::golden` writes them anew.

use super::{ComposeError, Message, Sample, samples, try_templates};
use crate::domain::{NoticeKind, Slug};
use crate::wording::Templates;
use mail_parser::{MessageParser, MimeHeaders};
use std::collections::BTreeMap;
use std::path::Path;

fn templates() -> Templates {
    Templates::built_in().unwrap()
}

fn digest() -> Slug {
    Slug::parse("digest").unwrap()
}

fn sample(name: &str) -> Sample {
    samples().into_iter().find(|s| s.name == name).unwrap()
}

fn edition(sample: &Sample) -> Message {
    sample.edition(&templates(), &digest()).unwrap()
}

fn notice(sample: &Sample, kind: NoticeKind) -> Message {
    sample.notice(&templates(), kind).unwrap()
}

fn every_letter(sample: &Sample) -> Vec<Message> {
    std::iter::once(edition(sample)).chain(NoticeKind::ALL.map(|kind| notice(sample, kind))).collect()
}

/// The header lines, unfolded.
fn headers(message: &Message) -> Vec<String> {
    let text = String::from_utf8(message.bytes.clone()).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    head.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
}

fn header(message: &Message, name: &str) -> Option<String> {
    let found: Vec<String> = headers(message)
        .iter()
        .filter_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
        .collect();
    assert!(found.len() <= 1, "{name} twice");
    found.into_iter().next()
}

fn bodies(message: &Message) -> (String, String) {
    let parsed = MessageParser::default().parse(&message.bytes).unwrap();
    (parsed.body_text(0).unwrap().into_owned(), parsed.body_html(0).unwrap().into_owned())
}

fn compare(file: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mail").join(file);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, bytes).unwrap();
        return;
    }
    let golden = std::fs::read(&path).unwrap_or_default();
    assert!(golden == bytes, "{} differs; look at it, then run with BLESS=1", path.display());
}

#[test]
fn a_letter_of_a_set_edition_is_the_one_that_is_composed() {
    for sample in samples() {
        let sample = Sample { browser: true, ..sample };
        let printed = sample.printed(&templates(), &digest()).unwrap();
        assert!(printed.is_some_and(|printed| printed == edition(&sample)), "{}", sample.name);
    }
}

#[test]
fn a_template_that_looks_at_what_is_a_readers_own_is_not_set() {
    let sample = samples().into_iter().find(|sample| sample.browser).unwrap();
    let path = "mail/digest/body.txt".to_owned();
    for (body, is_set) in [
        ("{{ address }}", true),
        ("{{ address|upper }}", false),
        ("{{ address|length }}", false),
        ("{% if address|length > 30 %}long{% endif %}", false),
        ("{{ links.browser|replace(\"/\", \"-\") }}", false),
    ] {
        let templates = Templates::new(&BTreeMap::from([(path.clone(), body.to_owned())]));
        let printed = sample.printed(&templates.unwrap(), &digest()).unwrap();
        assert_eq!(printed.is_some(), is_set, "{body}");
    }
    let subject = BTreeMap::from([("mail/digest/subject.txt".to_owned(), "To {{ address }}".to_owned())]);
    assert!(sample.printed(&Templates::new(&subject).unwrap(), &digest()).unwrap().is_none());
}

#[test]
fn mails_are_what_they_were() {
    // 130 kB a file would teach nobody anything.
    for sample in samples().into_iter().filter(|s| s.name != "crowded") {
        let message = edition(&sample);
        let (_, html) = bodies(&message);
        compare(&format!("digest-{}.eml", sample.name), &message.bytes);
        compare(&format!("digest-{}.html", sample.name), html.as_bytes());
        if matches!(sample.name, "vi" | "en" | "hostile") {
            for kind in NoticeKind::ALL {
                let message = notice(&sample, kind);
                let (_, html) = bodies(&message);
                compare(&format!("{}-{}.eml", kind.as_str(), sample.name), &message.bytes);
                compare(&format!("{}-{}.html", kind.as_str(), sample.name), html.as_bytes());
            }
        }
    }
}

#[test]
fn the_same_letter_gives_the_same_bytes() {
    for sample in samples() {
        assert_eq!(edition(&sample), edition(&sample));
        for kind in NoticeKind::ALL {
            assert_eq!(notice(&sample, kind), notice(&sample, kind));
        }
    }
}

#[test]
fn every_template_takes_every_sample() {
    assert_eq!(try_templates(&templates()), []);
}

#[test]
fn faults_of_a_newsrooms_own_template_are_found() {
    let own = |files: &[(&str, &str)]| {
        let files: BTreeMap<String, String> =
            files.iter().map(|(n, s)| ((*n).to_owned(), (*s).to_owned())).collect();
        try_templates(&Templates::new(&files).unwrap())
    };
    let faults = own(&[("mail/digest/body.txt", "x\n{{ nobody.name }}")]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].to_string().starts_with("templates/mail/digest/body.txt:2: "), "{}", faults[0]);
    let faults = own(&[("mail/tuan/body.txt", "x")]);
    assert_eq!(faults.len(), 2, "{faults:?}");
    let faults = own(&[("mail/digest/body.html", &"x".repeat(100_001))]);
    assert!(faults[0].reason.contains("100 kB"), "{faults:?}");
    // What shows with one article only is tried too.
    let faults = own(&[("mail/digest/body.html", "{% if total == 1 %}{{ oops }}{% endif %}")]);
    assert_eq!(faults.len(), 1, "{faults:?}");
}

#[test]
fn a_foreign_parser_reads_all_of_it() {
    for sample in samples() {
        let message = edition(&sample);
        let parsed = MessageParser::default().parse(&message.bytes).unwrap();
        assert_eq!(parsed.parts.len(), 3, "{}", sample.name);
        assert_eq!(parsed.message_id(), Some(message.message_id.trim_matches(['<', '>'])));
        assert_eq!(parsed.to().unwrap().first().unwrap().address(), Some("ban.doc@example.vn"));
        assert_eq!(parsed.from().unwrap().first().unwrap().address(), Some("bantin@mienhau.example"));
        assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-11-23T06:30:02+07:00");
        for part in &parsed.parts[1..] {
            assert!(!part.is_encoding_problem);
            assert_eq!(part.content_type().unwrap().attribute("charset"), Some("utf-8"));
        }
    }
    let message = edition(&sample("vi"));
    let parsed = MessageParser::default().parse(&message.bytes).unwrap();
    assert_eq!(
        parsed.subject(),
        Some(
            "Bản tin sáng: Thông xe cầu Mỹ Phước 2: rút ngắn một nửa thời gian đi từ cù lao vào… và 5 tin khác"
        )
    );
    assert_eq!(parsed.from().unwrap().first().unwrap().name(), Some("Báo Miền Hậu"));
}

#[test]
fn every_line_is_short_ascii_and_ends_in_crlf() {
    for sample in samples() {
        for message in every_letter(&sample) {
            let text = String::from_utf8(message.bytes).unwrap();
            assert!(text.is_ascii() && text.ends_with("\r\n"));
            for line in text.split_terminator("\r\n") {
                assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
                let whole = line.starts_with("List-Unsubscribe: ") || line.starts_with("Message-ID: ");
                assert!(line.len() <= if whole { 998 } else { 78 }, "{line}");
            }
        }
    }
}

#[test]
fn no_text_becomes_a_header() {
    const KNOWN: [&str; 18] = [
        "From",
        "To",
        "Date",
        "Message-ID",
        "Subject",
        "Reply-To",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "List-Id",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "List-Archive",
        "List-Help",
        "List-Owner",
        "Precedence",
        "Feedback-ID",
        "MIME-Version",
        "Content-Type",
    ];
    for message in every_letter(&sample("hostile")) {
        for line in headers(&message) {
            let (name, _) = line.split_once(": ").unwrap();
            assert!(KNOWN.contains(&name), "{line}");
        }
        let parsed = MessageParser::default().parse(&message.bytes).unwrap();
        assert!(parsed.bcc().is_none());
        assert!(parsed.subject().unwrap().chars().count() <= 100);
        let (text, html) = bodies(&message);
        assert!(!html.contains("<script") && !html.contains("<h1>x") && !html.contains(" onload='"));
        assert!(!text.contains('\0') && !html.contains('\0'));
    }
}

#[test]
fn one_click_is_there_and_on_one_line() {
    let message = edition(&sample("vi"));
    let raw = String::from_utf8(message.bytes.clone()).unwrap();
    let link = "https://tin.mienhau.example/unsubscribe/AAAAAAAAACoABf0tYq-WAGv0t6Y3Yh8E0lYpWqJ4S5M";
    assert!(raw.contains(&format!("\r\nList-Unsubscribe: <{link}>\r\n")));
    assert!(raw.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    let (text, html) = bodies(&message);
    assert!(text.contains(link) && html.contains(&format!("href=\"{link}\"")));
    for (name, value) in [
        ("Auto-Submitted", "auto-generated"),
        ("Precedence", "bulk"),
        ("Feedback-ID", "e12:sang:all:bantin5f0c9a1e"),
        ("List-Archive", "<https://tin.mienhau.example/editions>"),
        ("List-Owner", "<mailto:toasoan@mienhau.example>"),
        ("Date", "Mon, 23 Nov 2026 06:30:02 +0700"),
        ("MIME-Version", "1.0"),
    ] {
        assert_eq!(header(&message, name).as_deref(), Some(value), "{name}");
    }
    assert!(header(&message, "List-Id").unwrap().ends_with("<sang.tin.mienhau.example>"));
}

#[test]
fn only_who_is_on_a_list_is_told_how_to_leave_it() {
    for kind in NoticeKind::ALL {
        let message = notice(&sample("vi"), kind);
        let names = headers(&message);
        let lists = names.iter().filter(|line| line.starts_with("List-") || line.starts_with("Precedence"));
        assert_eq!(lists.count(), if kind == NoticeKind::Welcome { 2 } else { 0 }, "{kind:?}");
        assert_eq!(header(&message, "Auto-Submitted").as_deref(), Some("auto-generated"));
        let (text, html) = bodies(&message);
        let link = match kind {
            NoticeKind::Welcome | NoticeKind::Goodbye => "https://tin.mienhau.example/unsubscribe/",
            _ => "https://tin.mienhau.example/confirm/",
        };
        assert!(text.contains(link) && html.contains(link), "{kind:?}");
        assert_eq!(html.contains("unsubscribe"), link.contains("unsubscribe"), "{kind:?}");
    }
}

#[test]
fn both_parts_of_a_notice_say_the_same() {
    for kind in NoticeKind::ALL {
        let (text, html) = bodies(&notice(&sample("vi"), kind));
        let html = html.replace("</p>", "\n").replace("</li>", "\n").replace("</h1>", "\n");
        let words = scraper::Html::parse_document(&html).root_element().text().collect::<String>();
        for line in text.lines().map(|line| line.trim().trim_start_matches("* ")).filter(|l| l.len() > 12) {
            let line = line.split_once(": https").map_or(line, |(label, _)| label);
            let asks = line.contains("mở liên kết dưới đây");
            assert!(asks || line.starts_with('-') || words.contains(line), "{kind:?}: {line}\n{words}");
        }
    }
}

#[test]
fn a_digest_of_several_slots_says_so() {
    let mut late = sample("vi");
    late.slots = 3;
    let (text, html) = bodies(&edition(&late));
    assert!(text.contains("Bản tin gộp 3 kỳ") && html.contains("Bản tin gộp 3 kỳ"));
    let (text, html) = bodies(&edition(&sample("vi")));
    assert!(!text.contains("Bản tin gộp") && !html.contains("Bản tin gộp"));
}

#[test]
fn five_hundred_articles_stay_below_100_kb() {
    let mut crowded = sample("crowded");
    let one = crowded.sections[0].2[0].clone();
    for (_, _, articles) in &mut crowded.sections {
        articles.resize(100, one.clone());
    }
    crowded.total = 512;
    let message = edition(&crowded);
    let (text, html) = bodies(&message);
    assert!((80_000..100_000).contains(&html.len()), "{}", html.len());
    let headlines = html.matches("<h3").count();
    assert_eq!(text.matches("\n* ").count(), headlines);
    assert!(html.contains(&format!("Còn {} tin khác", 512 - headlines)));
    assert!(html.contains("Đọc tất cả 512 tin"));
    let full = crowded.in_full(&templates(), &digest()).unwrap();
    assert_eq!(full.matches("<h3").count(), 500);
}

#[test]
fn both_parts_say_the_same() {
    for sample in samples().iter().filter(|s| s.name != "hostile") {
        let (text, html) = bodies(&edition(sample));
        for paragraph in sample.lead.iter().flat_map(|lead| lead.paragraphs()) {
            assert!(text.contains(paragraph) && html.contains(&format!(">{paragraph}</p>")), "{paragraph}");
        }
        for (_, _, articles) in &sample.sections {
            for article in articles {
                let link = article.link(&sample.publication);
                assert_eq!(text.contains(&article.title), html.contains(&article.title), "{}", article.title);
                assert_eq!(
                    text.contains(&format!("{link}\r\n")),
                    html.contains(&format!("\"{link}\"")),
                    "{link}"
                );
                let lead = article.lead();
                let start: String = lead.chars().take(60).collect();
                assert_eq!(text.contains(&start), html.contains(&start), "{start}");
            }
        }
    }
}

#[test]
fn an_article_without_address_or_byline_still_reads_well() {
    let (text, html) = bodies(&edition(&sample("vi")));
    let own = "https://tin.mienhau.example/articles/00000000-0000-0000-0000-000000000003";
    assert!(text.contains(own) && html.contains(own));
    assert!(text.contains("\r\n  06:27, 23/11/2026\r\n"), "{text}");
    assert!(!text.contains("·  ") && !html.contains("> · "));
}

#[test]
fn the_editors_words_come_before_the_first_section_and_behind_the_subject() {
    let sample = sample("lead");
    let (text, html) = bodies(&edition(&sample));
    for (part, section) in [(&text, "== Xây dựng Đảng"), (&html, "<h2")] {
        assert!(part.find("Chào buổi sáng,").unwrap() < part.find(section).unwrap());
    }
    assert!(html.contains("mso-hide:all\">Chào buổi sáng, Cây cầu"), "it is what lists of mails show");
    assert!(sample.in_full(&templates(), &digest()).unwrap().contains(">Chào buổi sáng,</p>"));
}

#[test]
fn an_english_reader_is_spoken_to_in_english() {
    let message = edition(&sample("en"));
    let (text, html) = bodies(&message);
    assert!(text.contains("Stop receiving this mail") && text.contains("Monday 23 November 2026"));
    assert!(html.contains("<html lang=\"en\">") && html.contains(" lang=\"vi\""));
    assert!(!text.contains("Bạn nhận"));
}

#[test]
fn nothing_to_say_is_not_said_and_bad_links_are_refused() {
    let mut empty = sample("vi");
    empty.sections.clear();
    assert_eq!(empty.edition(&templates(), &digest()), Err(ComposeError::Empty));
    let mut far = sample("vi");
    let base = format!("https://tin.example/{}/", "a".repeat(200));
    far.publication.base_url = crate::domain::WebUrl::parse(&base).unwrap();
    assert_eq!(far.edition(&templates(), &digest()), Err(ComposeError::Link { which: "unsubscribe" }));
}

#[test]
fn no_picture_counts_readers() {
    let mut counted = sample("vi");
    let image = counted.sections[0].2[0].image.clone().unwrap();
    for (article, (width, height)) in counted.sections[0].2.iter_mut().zip([(1, 1), (9_000, 100), (120, 4)]) {
        article.image =
            Some(crate::domain::Image { width: Some(width), height: Some(height), ..image.clone() });
    }
    assert_eq!(bodies(&edition(&counted)).1.matches("<img").count(), 2);

    let (_, html) = bodies(&edition(&sample("vi")));
    assert_eq!(html.matches("<img").count(), 4);
    assert!(html.contains("width=\"552\" height=\"311\"") && html.contains("width=\"96\" height=\"128\""));
    for image in html.split("<img ").skip(1) {
        assert!(image.contains("src=\"https://anh.mienhau.example/"), "{image}");
        assert!(image.contains(" alt=\"") && !image.contains(" alt=\"\""));
    }
}
