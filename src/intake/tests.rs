use super::*;
use crate::domain::Instant;
use proptest::prelude::*;

pub(super) fn intake(name: &str) -> Intake<'_> {
    static RULES: std::sync::LazyLock<ReadingRules> = std::sync::LazyLock::new(ReadingRules::default);
    Intake {
        name,
        format: None,
        base: None,
        zone: chrono_tz::Asia::Ho_Chi_Minh,
        category: None,
        rules: &RULES,
    }
}

pub(super) fn one(name: &str, bytes: &[u8]) -> Arrival {
    let mut items = read(&intake(name), bytes);
    assert_eq!(items.len(), 1);
    items.remove(0).unwrap_or_else(|fault| panic!("{fault}"))
}

pub(super) fn instant(text: &str) -> Option<Instant> {
    Some(chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc())
}

const SAMPLE: &[u8] = include_bytes!("../../tests/corpus/baosoctrang-article.txt");

#[test]
fn the_sample_page_comes_in_as_its_newsroom_means_it() {
    let Arrival { draft, warnings, .. } = one("baosoctrang-article.txt", SAMPLE);
    assert_eq!(warnings, []);
    assert_eq!(draft.title, "Sóc Trăng triển khai nhiều cách làm hay, sáng tạo trong công tác xây dựng Đảng");
    assert_eq!(draft.categories, [CategoryName("Xây dựng Đảng".into())]);
    assert_eq!(draft.published, instant("2024-04-04T04:30:00+07:00"));
    assert_eq!(draft.source.as_ref().unwrap().title, "Báo Sóc Trăng");
    assert_eq!(draft.authors, ["CHÍ BẢO"]);
    let summary = draft.summary.as_deref().unwrap();
    assert!(
        summary.starts_with("Nhiệm kỳ 2020 - 2025, thực hiện")
            && summary.ends_with("công tác xây dựng Đảng.")
    );
    let body = draft.body.as_str();
    assert!(body.starts_with("<p>Nhiệm kỳ 2020 - 2025"), "{body}");
    assert!(body.contains("<h2>Lan tỏa nhiều cách làm hay trong công tác xây dựng Đảng</h2>"));
    assert!(body.contains("<h2>Khẳng định công tác xây dựng Đảng là nhiệm vụ then chốt</h2>"));
    assert_eq!(body.matches("<figure><figcaption>").count(), 2);
    assert_eq!(body.matches("Ảnh: CHÍ BẢO</figcaption></figure>").count(), 2);
    assert_eq!(body.matches("<p>").count(), 11, "{body}");
    assert!(body.trim_end().ends_with("niềm tin của nhân dân đối với Đảng.</p>"));
    for foreign in ["Bình Luận", "Ý kiến", "chuyên mục", "Xem thêm", "Cơ quan", "Tòa soạn", "Email", "STO"]
    {
        assert!(!body.contains(foreign), "{foreign}");
    }
    assert_eq!(draft.keys.len(), 2);
    assert_eq!(draft.keys[0], IdentityKey::title(&draft.title, draft.published));
}

#[test]
fn the_sample_is_the_same_in_every_dress() {
    use unicode_normalization::UnicodeNormalization as _;
    let text = std::str::from_utf8(SAMPLE).unwrap();
    let plain = one("a.txt", SAMPLE).draft;
    for dressed in [
        text.replace('\n', "\r\n"),
        text.nfd().collect(),
        format!("\u{feff}{text}"),
        text.replace(" trong ", "\u{a0}trong "),
        text.replace('Đ', "Ð"),
    ] {
        assert_eq!(one("a.txt", dressed.as_bytes()).draft, plain);
    }
}

#[test]
fn formats_are_told_by_what_stands_in_them() {
    use InputFormat::{CapturedText, Feed, Html, Json, JsonLines};
    for (name, text, format) in [
        ("a", "{\"title\": 1}", Json),
        ("a.jsonl", "{\"title\": 1}", JsonLines),
        ("a.json", "{\"title\": 1}\n{\"title\": 2}", JsonLines),
        ("a", " [\n{", Json),
        ("a.json", "{\"version\": \"https://jsonfeed.org/version/1.1\"", Feed),
        ("a", "<?xml version=\"1.0\"?>\n<rss version=\"2.0\">", Feed),
        ("a", "\u{feff}<feed xmlns=\"x\">", Feed),
        ("a", "<?xml version=\"1.0\"?><!DOCTYPE html><html>", Html),
        ("a.txt", "<!doctype HTML>", Html),
        ("a.html", "chỉ là chữ", Html),
        ("a.xml", "chỉ là chữ", Feed),
        ("bai.txt", "Tiêu đề\n\nĐoạn", CapturedText),
        ("-", "Nói về thẻ <div> trong bài", CapturedText),
        ("-", "", CapturedText),
    ] {
        assert_eq!(detect(name, text.as_bytes()), format, "{name} {text}");
    }
    for format in InputFormat::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert!("yaml".parse::<InputFormat>().unwrap_err().to_string().contains("jsonl"));
}

#[test]
fn a_megabyte_of_anything_is_read_quickly() {
    let lines = [
        "Tin liên quan\n",
        "Ảnh: A\n",
        "x\n",
        "> ",
        "<b ",
        "{\"a\":",
        "[",
        "\"",
        "&amp;",
        "<item>",
        "<item><title>a",
        "<p><a href=x>y</a>",
        "Một câu văn đủ dài để được coi là một đoạn văn của bài báo này.\n\n",
        "4/4/2024\n",
        "A ",
        "1.1.1",
        "{\"title\":\"a\",\"summary\":\"b\"},\n",
        "<table><tr><td>x",
        "<div class=share>chia sẻ",
        "\u{300}",
        "\0",
        "(((",
    ];
    for line in lines {
        // What takes quadratic time shows at a quarter of it already.
        let size = if ["x\n", "<b ", "A ", "{\"a\":"].contains(&line) { 1_000_000 } else { 250_000 };
        let mut input = line.repeat(size / line.len());
        if line.starts_with('{') {
            input.insert(0, '[');
        }
        for format in InputFormat::ALL {
            let mut intake = intake("-");
            intake.format = Some(format);
            let from = std::time::Instant::now();
            read(&intake, input.as_bytes());
            let took = from.elapsed();
            // Unoptimised and beside other tests.
            assert!(took.as_secs() < 10, "{format} {line:?}: {took:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), text in any::<String>(), which in 0..9_usize) {
        let mut intake = intake("-");
        intake.format = Some(InputFormat::ALL[which]);
        for input in [&bytes[..], text.as_bytes()] {
            prop_assert!(!read(&intake, input).is_empty());
            let _ = detect("x", input);
            let _ = read_json_line(&intake, 1, input);
        }
    }

    #[test]
    fn no_page_is_a_panic(page in "(<rss>|<item>|</item>|<title>|</title>|<entry>|<link href=\"x\"/>|<author>|“a@b.vn|<p>|</p>|<div class=share>|<h1>|<table><tr><td>|<br>|<img src=/a>|Ảnh: A|\n\n|04/04/2024 04:30|STO - |Tin liên quan\n|CHÍ BẢO|\\./\\.|Một câu văn đủ dài để được coi là một đoạn văn của bài báo này\\.|&amp;|\"|\\{|\\}|\\[|:|,|[a-zĐạ ]){0,60}", which in 0..9_usize) {
        let mut intake = intake("-");
        intake.format = Some(InputFormat::ALL[which]);
        for item in read(&intake, page.as_bytes()).into_iter().flatten() {
            prop_assert!(!item.draft.title.is_empty() && !item.draft.keys.is_empty());
        }
    }
}
