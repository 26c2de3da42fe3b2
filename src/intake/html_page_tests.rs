use super::tests::{instant, intake, one};
use super::*;

const PARAGRAPH: &str = "Hai tổ công tác đã dự hơn một trăm buổi sinh hoạt, ghi lại từng ý kiến và trả lời ngay tại chỗ những việc thuộc thẩm quyền của huyện, không để dân chờ.";

#[test]
fn an_article_page_comes_in_without_what_stands_around_it() {
    let mut intake = intake("bai.html");
    intake.base = Some(WebUrl::parse("https://baomau.example/bai?utm_source=x").unwrap());
    let page = include_bytes!("../../tests/corpus/article.html");
    let Arrival { draft, warnings, .. } = read(&intake, page).remove(0).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(draft.title, "Trần Đề đưa chi bộ về gần dân");
    let url = draft.url.as_ref().unwrap();
    assert_eq!(url.as_str(), "https://baomau.example/xay-dung-dang/tran-de-dua-chi-bo-ve-gan-dan-71234.html");
    assert_eq!(draft.keys, [IdentityKey::url(url)]);
    assert_eq!(draft.published, instant("2024-04-04T04:30:00+07:00"));
    assert_eq!(draft.updated, instant("2024-04-04T06:00:00+07:00"));
    assert_eq!(draft.categories, [CategoryName("Xây dựng Đảng".into())]);
    assert_eq!(draft.tags, ["chi bộ"]);
    assert_eq!(draft.authors, ["CHÍ BẢO"], "the paper itself is no writer");
    let image = draft.image.as_ref().unwrap();
    assert_eq!((image.url.as_str(), image.width), ("https://i.baomau.example/2024/chi-bo.jpg", Some(1200)));
    assert_eq!(draft.language.as_ref().unwrap().as_str(), "vi");
    let summary = draft.summary.as_deref().unwrap();
    assert!(
        summary.starts_with("Huyện ủy Trần Đề cử cán bộ") && summary.ends_with("làm nhanh hơn."),
        "{summary}"
    );
    let body = draft.body.as_str();
    assert!(
        body.starts_with("<p><strong></strong>Huyện ủy Trần Đề cử")
            || body.starts_with("<p>Huyện ủy Trần Đề cử"),
        "{body}"
    );
    for part in [
        "<h2>Việc khó được bàn kỹ</h2>",
        "<a href=\"https://baomau.example/nghi-quyet.html\" rel=\"noopener noreferrer\">Nghị quyết</a>",
        "<figure><img alt=\"\" src=\"https://baomau.example/anh/h%E1%BB%8Dp.jpg\"><figcaption>Một buổi sinh hoạt chi bộ. Ảnh: CHÍ BẢO</figcaption></figure>",
        "<figure><img src=\"https://baomau.example/anh/duong.jpg\"><figcaption>Đoạn đường mới vào ấp. Ảnh: CHÍ BẢO</figcaption></figure>",
        "báo lại kết quả.</p>",
    ] {
        assert!(body.contains(part), "{part}\n{body}");
    }
    for foreign in [
        "STO",
        "liên quan",
        "bài khác",
        "chuyên mục",
        "Bài A",
        "Bình luận",
        "chủ quản",
        "Chia sẻ",
        "alert",
        "24/11",
        "<b>CHÍ",
        "./.",
    ] {
        assert!(!body.contains(foreign), "{foreign}\n{body}");
    }
}

#[test]
fn a_page_that_says_nothing_of_itself_is_read_by_its_looks() {
    let page = format!(
        "<html><body><div>Thứ ba, 24/11/2026 09:12</div><div><h1>Một việc nhỏ ở một ấp ven biển</h1><div>Cập nhật ngày: 24/04/2015 05:21:36</div>
<div>(HGO) - {PARAGRAPH}<br><br>{PARAGRAPH} Đó là việc nhỏ.<br><br>Hoàng Lan</div></div>
<div class='comments'><p>Bình luận hay quá, rất đáng đọc và suy ngẫm cho tất cả mọi người ở đây.</p></div></body></html>"
    );
    let draft = one("a.htm", page.as_bytes()).draft;
    assert_eq!(draft.title, "Một việc nhỏ ở một ấp ven biển");
    assert_eq!(draft.published, instant("2015-04-24T05:21:36+07:00"));
    assert_eq!(draft.summary.as_deref(), Some(PARAGRAPH));
    assert_eq!(draft.authors, ["Hoàng Lan"]);
    assert_eq!(draft.body.as_str(), format!("<p>{PARAGRAPH}</p>\n<p>{PARAGRAPH} Đó là việc nhỏ.</p>"));
    assert!(draft.keys.len() == 2 && draft.keys[0].as_str().starts_with("title:"));
}

#[test]
fn microdata_and_meta_do_where_there_is_no_json_ld() {
    let page = format!(
        "<html><head><meta property='og:title' content='Tiêu đề của bài báo này | Báo Mẫu'><meta property='article:published_time' content='2024-04-04T04:30:00'>
<meta property='article:section' content='Kinh tế'><meta name='author' content='Hoàng Lan'><meta property='og:url' content='https://b.example/1.html'></head>
<body><h2 class='sapo'>(PLO) - Phần sa-pô đứng riêng phía trên bài viết và nói đủ ý chính của bài.</h2><article itemprop='articleBody'><p>{PARAGRAPH}</p><p>{PARAGRAPH} Hết.</p></article></body></html>"
    );
    let Arrival { draft, warnings, .. } = one("-", page.as_bytes());
    assert_eq!(draft.title, "Tiêu đề của bài báo này");
    assert_eq!(draft.published, instant("2024-04-04T04:30:00+07:00"));
    assert!(warnings[0].message.contains("no zone"));
    assert_eq!((draft.categories[0].0.as_str(), draft.authors[0].as_str()), ("Kinh tế", "Hoàng Lan"));
    let lead = "Phần sa-pô đứng riêng phía trên bài viết và nói đủ ý chính của bài.";
    assert_eq!(draft.summary.as_deref(), Some(lead));
    assert!(draft.body.as_str().starts_with(&format!("<p>{lead}</p>")));
}

#[test]
fn an_old_code_page_is_read() {
    let (bytes, ..) = encoding_rs::WINDOWS_1258
        .encode("<html><head><meta charset=windows-1258><title>Đảng ủy</title></head>");
    assert_eq!(detect("a", &bytes), InputFormat::Html);
    let page = [&b"<html><head><meta http-equiv=Content-Type content='text/html; charset=windows-1258'><title>\xd0a\xd2ng u\xd2y ho\xf2p b\xe0n</title></head><body>"[..],
        "<p>Mot doan van du dai de thanh mot bai bao, viet khong dau cho de doc, va ket thuc bang mot dau cham cau.</p>".repeat(3).as_bytes()].concat();
    assert_eq!(one("a.html", &page).draft.title, "Đảng ủy họp bàn");
}

#[test]
fn pages_without_an_article_are_one_fault() {
    for page in [
        "<html><body></body></html>",
        "<html><title>Chỉ có tiêu đề</title></html>",
        "<html><body><h1>Trang chủ của báo</h1><ul><li><a href=/a>A</a></li></ul></body></html>",
    ] {
        let items = read(&intake("a.html"), page.as_bytes());
        assert!(matches!(&items[..], [Err(fault)] if fault.message.contains("no article")), "{items:?}");
    }
}
