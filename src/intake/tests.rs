use super::*;
use crate::domain::Instant;
use proptest::prelude::*;

pub(super) fn intake(name: &str) -> Intake<'_> {
    Intake { name, format: None, base: None, zone: chrono_tz::Asia::Ho_Chi_Minh, category: None }
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
    let Arrival { draft, warnings } = one("baosoctrang-article.txt", SAMPLE);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), text in any::<String>(), which in 0..5_usize) {
        let mut intake = intake("-");
        intake.format = Some(InputFormat::ALL[which]);
        for input in [&bytes[..], text.as_bytes()] {
            prop_assert!(!read(&intake, input).is_empty());
            let _ = detect("x", input);
            let _ = read_json_line(&intake, 1, input);
        }
    }
}
