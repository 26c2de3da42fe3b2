use super::tests::{instant, intake, one};
use super::*;

const WHOLE: &str = r#"{"external_id": 17, "url": "https://bao.example/đảng.html",
    "title": "Tin &amp;quot;nóng&amp;quot; Ðảng", "summary": "Tóm tắt.", "content_html": "<p>Một <a href='/x'>hai</a></p>",
    "categories": ["Xây dựng Đảng", "kinh-te", "xây dựng đảng"], "tags": ["chi bộ"], "authors": ["CHÍ BẢO"],
    "published": "2024-04-04T04:30:00+07:00", "updated": "2024-04-05 10:00",
    "image": {"url": "/a.jpg", "width": 10, "height": 0, "caption": "Ảnh", "credit": "CHÍ BẢO"},
    "enclosures": [{"url": "https://bao.example/a.mp3", "type": "audio/mpeg", "length": 5}],
    "source": {"title": "Báo", "url": "https://b.example"}, "language": "vi", "significant": false, "mood": 1}"#;

#[test]
fn the_schema_names_every_field_and_no_other() {
    let schema: serde_json::Value = serde_json::from_str(crate::intake::ARTICLE_SCHEMA).unwrap();
    let names: std::collections::BTreeSet<&str> =
        schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, super::json::ARTICLE_FIELDS.into_iter().collect());
    for example in schema["examples"].as_array().unwrap() {
        let arrival = one("a.json", example.to_string().as_bytes());
        assert_eq!(arrival.warnings, []);
    }
}

#[test]
fn the_contracts_object_is_read_whole() {
    let Arrival { draft, warnings, .. } = one("a.json", WHOLE.as_bytes());
    assert_eq!(draft.title, "Tin \"nóng\" Đảng");
    assert_eq!(draft.summary.as_deref(), Some("Tóm tắt."));
    assert!(draft.body.as_str().contains("href=\"https://bao.example/x\""));
    assert_eq!(
        draft.categories.iter().map(|c| c.0.as_str()).collect::<Vec<_>>(),
        ["Xây dựng Đảng", "kinh-te"]
    );
    assert_eq!((draft.tags.len(), draft.authors.len(), draft.enclosures.len()), (1, 1, 1));
    assert_eq!(draft.published, instant("2024-04-04T04:30:00+07:00"));
    assert_eq!(draft.updated, instant("2024-04-05T10:00:00+07:00"));
    let image = draft.image.unwrap();
    assert_eq!(
        (image.url.as_str(), image.width, image.height),
        ("https://bao.example/a.jpg", Some(10), None)
    );
    assert!(!draft.significant);
    assert_eq!(draft.keys[0], IdentityKey::external("api", "17"));
    assert_eq!(draft.keys.len(), 2, "id and address, and no weak key beside them");
    let said: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("line 7: the field `mood`"), "{said:?}");
    assert!(said[1].starts_with("line 4: `updated` has no zone"), "{said:?}");
}

#[test]
fn faults_name_line_column_field_and_mend() {
    for (json, fault) in [
        ("{\n \"title\": \"A\"\n}", "line 1: field `content_html`: is missing"),
        ("{\"summary\": \"A\"}", "line 1: field `title`: is missing"),
        ("{\"title\": \" \", \"summary\": \"A\"}", "line 1, column 11: field `title`"),
        ("{\"title\": 5, \"summary\": \"A\"}", "line 1, column 11: field `title`: must be a text"),
        (
            "{\"title\": \"A\", \"summary\": \"A\",\n\"published\": \"hôm qua\"}",
            "line 2, column 14: field `published`: `hôm qua` is no date; write it like 2024",
        ),
        (
            "{\"title\": \"A\", \"summary\": \"A\", \"url\": \"ftp://x\"}",
            "line 1, column 39: field `url`: `ftp://x`",
        ),
        (
            "{\"title\": \"A\", \"summary\": \"A\", \"image\": {\"url\": \"x\"}}",
            "line 1, column 41: field `image.url`: `x`",
        ),
        (
            "{\"title\": \"A\", \"summary\": \"A\", \"categories\": 5}",
            "line 1, column 46: field `categories`: must be a list",
        ),
        ("{\"title\": \"A\",\n \"summary\" \"A\"}", "line 2, column 12: this is not JSON: expected `:`"),
        (
            "{\"title\": \"A\", \"summary\": \"A\", \"language\": \"tiếng Việt\"}",
            "line 1, column 44: field `language`",
        ),
        // Columns are those of the file, in letters, wherever the article begins.
        ("[{\"summary\": \"à\", \"title\": 5}]", "line 1, column 28: field `title`"),
        ("\n  {\"title\": \"đổ\" \"x\"}", "line 2, column 18: this is not JSON"),
        ("{\"articles\": [ {\"title\": 5}]}", "line 1, column 26: field `title`"),
        ("5", "line 1: this is not JSON"),
        ("[]", "line 1: the list has no article"),
        ("[5]", "line 1: an article must be a JSON object"),
    ] {
        let mut intake = intake("-");
        intake.format = Some(super::InputFormat::Json);
        let items = super::read(&intake, json.as_bytes());
        let said = items[0].as_ref().unwrap_err().to_string();
        assert!(said.starts_with(fault), "{json}\n{said}");
    }
}

#[test]
fn one_bad_item_never_stops_the_others() {
    let good = r#"{"title": "Tốt", "content_text": "Một.\n\nHai."}"#;
    let bad = r#"{"title": "Xấu", "content_text": "x", "published": "?" "}"#;
    for file in [
        format!("[{good},\n{bad},\n{good}]"),
        format!("{{\"articles\": [{good},\n{bad},\n{good}]}}"),
        format!("{good}\n{bad}\n\n{good}\n"),
    ] {
        let items = super::read(&intake("-"), file.as_bytes());
        assert_eq!(items.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true], "{file}");
        assert_eq!(items[1].as_ref().unwrap_err().line, Some(2), "{file}");
    }
}

#[test]
fn weak_keys_are_used_where_there_is_no_strong_one() {
    let text = "Một đoạn văn đủ dài để nhận ra một bài viết qua phần mở đầu của nó.";
    let keys = |title: &str| {
        let json = format!("{{\"title\": \"{title}\", \"content_text\": \"{text}\"}}");
        one("a.json", json.as_bytes()).draft.keys
    };
    let (first, edited) = (keys("Một"), keys("Hai"));
    assert_eq!(first.len(), 2);
    assert!(first.iter().any(|key| edited.contains(key)), "an edited title is still the same article");
}
