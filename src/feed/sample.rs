//! A small feed of our own writing that golden files and promises share.

use super::{Part, Snapshot, Tombstone};
use crate::domain::*;
use uuid::Uuid;

pub(super) fn url(text: &str) -> WebUrl {
    WebUrl::parse(text).unwrap()
}

pub(super) fn instant(text: &str) -> Instant {
    text.parse().unwrap()
}

pub(super) fn publication() -> Publication {
    Publication {
        id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001),
        title: "Báo Mẫu".into(),
        base_url: url("https://bao.example"),
        language: LanguageTag::default(),
        time_zone: chrono_tz::Asia::Ho_Chi_Minh,
        contact: Some(EmailAddress::parse("toasoan@bao.example").unwrap()),
        logo: Some(url("https://bao.example/logo.png")),
        license: None,
        rights: None,
    }
}

pub(super) fn category() -> Category {
    Category {
        id: CategoryId::new(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0002)),
        slug: Slug::parse("xay-dung-dang").unwrap(),
        title: "Xây dựng Đảng".into(),
        parent: None,
    }
}

pub(super) fn place(slug: &str) -> FeedPlace {
    FeedPlace::Named(Slug::parse(slug).unwrap().into())
}

pub(super) fn feed() -> FeedDefinition {
    FeedDefinition {
        selection: Selection::One(FeedKey::Category(category().id)),
        place: place("xay-dung-dang"),
        title: "Xây dựng Đảng".into(),
        description: "Tin và bài về công tác xây dựng Đảng.".into(),
        window: 50,
        content: FeedContent::Full,
        formats: Format::ALL.to_vec(),
        language: None,
        image: None,
        push: crate::domain::PushContent::Full,
    }
}

pub(super) fn article(number: u128, title: &str) -> Article {
    let published = instant("2024-04-04T04:30:00.123456+07:00");
    Article {
        id: ArticleId::new(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0001_0000 + number)),
        state: ArticleState::Visible,
        revision: 1,
        title: title.into(),
        summary: None,
        body: SafeHtml::default(),
        url: None,
        categories: vec![category()],
        tags: Vec::new(),
        authors: Vec::new(),
        published,
        updated: published,
        image: None,
        enclosures: Vec::new(),
        source: None,
        language: None,
    }
}

/// Everything that an article can have.
fn rich() -> Article {
    Article {
        summary: Some("Đại hội chi bộ & đảng bộ cơ sở diễn ra từ tháng 1 đến tháng 6.".into()),
        body: SafeHtml::clean(
            "<p>Sáng 4-4, hội nghị bàn về nhân sự.</p>\n<h2>Chuẩn bị kỹ</h2>\n<p>Xem <a href='/tin/1.html?a=1&amp;b=2'>tin trước</a>.</p>",
            Some(&url("https://bao.example/")),
        ),
        url: Some(url("https://bao.example/xây-dựng-đảng/đại-hội.html")),
        tags: vec!["đại hội".into(), "nhân sự".into()],
        authors: vec!["CHÍ BẢO".into(), "Thu Hà".into()],
        updated: instant("2024-04-04T09:00:00+07:00"),
        image: Some(Image {
            url: url("https://bao.example/anh/đại-hội.jpg?w=1200&h=800"),
            width: Some(1200),
            height: Some(800),
            caption: Some("Đại biểu bỏ phiếu \"kín\"".into()),
            credit: Some("Ảnh: THU HÀ".into()),
        }),
        enclosures: vec![
            Enclosure {
                url: url("https://bao.example/am-thanh/ban-tin.mp3"),
                media_type: "audio/mpeg".into(),
                length: 1_234_567,
            },
            Enclosure {
                url: url("https://bao.example/tai-lieu/nghi-quyet.pdf"),
                media_type: "application/pdf".into(),
                length: 0,
            },
        ],
        source: Some(Source { title: "Báo Nguồn".into(), url: Some(url("https://nguon.example/rss")) }),
        ..article(3, "Đại hội & nhiệm kỳ mới")
    }
}

/// A row that somebody edited by hand, around every door.
fn hostile() -> Article {
    Article {
        summary: Some("Lead ]]> with \u{0}\u{b}\u{1f}\u{fffe} and 5 < 6 & 7".into()),
        body: SafeHtml::stored("<p>Body ]]> \u{1}\u{8}\u{ffff}text\r\nsecond & line</p>".into()),
        url: Some(url("https://bao.example/a|b?q=[1]#x#y")),
        categories: vec![Category { title: "Kinh tế\u{7}".into(), ..category() }],
        tags: vec!["\u{3}".into(), "thẻ\u{10}".into()],
        authors: vec!["Nguye\u{302}\u{303}n \u{1d}An <an@bao.example>".into()],
        source: Some(Source { title: "Nguồn\u{b} không địa chỉ".into(), url: None }),
        language: LanguageTag::parse("en-GB"),
        published: instant("2024-04-02T00:00:00+07:00"),
        updated: instant("2024-04-02T00:00:00+07:00"),
        ..article(1, "Title ]]> \u{0}\u{b}with \u{feff}controls\r\nĐa\u{309}ng & 5 < 6")
    }
}

/// One article taken back, said twice, and one that stands in [`snapshot`] again.
pub(super) fn tombstones() -> Vec<Tombstone> {
    let tombstone = |number, when| Tombstone { article: article(number, "").id, withdrawn_at: instant(when) };
    vec![
        tombstone(9, "2024-04-04T09:00:01.5+07:00"),
        tombstone(9, "2024-04-04T09:00:01.5+07:00"),
        tombstone(3, "2024-04-04T08:00:00+07:00"),
        tombstone(8, "2024-04-01T00:00:00+07:00"),
    ]
}

pub(super) fn snapshot() -> Snapshot {
    let minimal = Article {
        body: SafeHtml::from_text("Một đoạn."),
        published: instant("2024-04-03T10:00:00+07:00"),
        updated: instant("2024-04-03T10:00:00+07:00"),
        ..article(2, "Tin vắn")
    };
    Snapshot {
        publication: publication(),
        feed: feed(),
        category: Some(category()),
        changed_at: instant("2024-04-04T09:00:01.5+07:00"),
        articles: vec![rich(), minimal, hostile()],
        tombstones: Vec::new(),
        part: Part::Subscription { archives: 0 },
        hubs: Vec::new(),
    }
}
