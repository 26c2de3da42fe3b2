use super::tests::{instant, intake, one};
use super::*;
use crate::domain::Enclosure;

fn arrivals(text: &str) -> Vec<Arrival> {
    read(&intake("feed.xml"), text.as_bytes())
        .into_iter()
        .map(|r| r.unwrap_or_else(|fault| panic!("{fault}")))
        .collect()
}

#[test]
fn what_newspapers_feeds_break_is_mended_or_told() {
    let feed = include_bytes!("../../tests/corpus/feed-as-newspapers-write-it.rss");
    assert_eq!(detect("tai-ve.txt", feed), InputFormat::Feed);
    let items = read(&intake("tin.rss"), feed);
    assert_eq!(items.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, false, true]);

    let first = &items[0].as_ref().unwrap().draft;
    assert_eq!(first.title, "Sóc Trăng & Bạc Liêu ký kết hợp tác");
    assert_eq!(first.summary.as_deref(), Some("Hai tỉnh ký kết chương trình hợp tác giai đoạn mới."));
    assert_eq!(first.image.as_ref().unwrap().url.as_str(), "https://i.baomau.example/a.jpg?w=1&h=2");
    assert_eq!(first.published, instant("2024-04-04T04:30:00+07:00"));
    let url = first.url.as_ref().unwrap();
    assert_eq!(url.as_str(), "https://baomau.example/hop-tac-1.html");
    assert_eq!(first.keys, [IdentityKey::external("baomau.example", url.as_str()), IdentityKey::url(url)]);

    let empty = items[1].as_ref().unwrap_err();
    assert_eq!(empty.to_string(), "line 21: this item has neither title nor link; it was left out");

    let rice = &items[2].as_ref().unwrap().draft;
    assert_eq!(rice.title, "Giá lúa tăng trở lại & nông dân phấn khởi");
    assert_eq!(rice.url.as_ref().unwrap().as_str(), "https://baomau.example/gia-lua-2.html?a=1&b=2");
    assert_eq!(
        rice.image.as_ref().unwrap().url.as_str(),
        "https://i.baomau.example/lua.jpg?w=1200&h=0&q=100"
    );
    assert!(rice.enclosures.is_empty(), "a picture's length is its width");
    assert_eq!(rice.keys.len(), 1);

    let broken = items[3].as_ref().unwrap_err().to_string();
    assert!(
        broken.starts_with("line 32: this item is not well-formed: `<title>` (line 33) is not closed"),
        "{broken}"
    );

    let last = &items[4].as_ref().unwrap().draft;
    assert_eq!(
        (last.authors.as_slice(), last.categories[0].0.as_str()),
        (&["Chí Bảo".to_owned()][..], "Xây dựng Đảng")
    );
    assert_eq!(last.keys.len(), 2, "title and opening, since nothing stronger is there");
    assert!(last.keys[0].as_str().starts_with("title:"));
}

#[test]
fn atom_is_read_whole() {
    let feed = r#"<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="vi" xml:base="https://bao.example/">
 <title>Báo</title><id>urn:feed</id><link rel="self" href="/atom.xml"/><link href="https://bao.example/"/>
 <author><name>Tòa soạn</name></author>
 <entry>
  <id>tag:bao.example,2024:1</id>
  <title type="html">Tin &lt;b&gt;nóng&lt;/b&gt; &amp;amp; mới</title>
  <link rel="enclosure" type="audio/mpeg" length="10" href="/a.mp3"/><link rel="alternate" href="/1.html"/>
  <published>2024-04-04T04:30:00+07:00</published><updated>2024-04-05T04:30:00+07:00</updated>
  <summary>Một &lt; hai</summary>
  <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Một <em>hai</em><br/></p><script>x</script></div></content>
  <category term="kinh-te" label="Kinh tế"/>
  <source><title>Nguồn</title><link href="https://nguon.example/"/></source>
 </entry>
 <entry><id>2</id><title>Hai</title><updated>2024-04-05T04:30:00Z</updated><content type="html">&lt;p&gt;x&lt;/p&gt;</content>
  <author><name>CHÍ BẢO</name><email>a@b.vn</email></author></entry>
</feed>"#;
    let [first, second] = &arrivals(feed)[..] else { panic!() };
    let draft = &first.draft;
    assert_eq!(draft.title, "Tin nóng & mới");
    assert_eq!(draft.url.as_ref().unwrap().as_str(), "https://bao.example/1.html");
    assert_eq!(draft.summary.as_deref(), Some("Một < hai"));
    assert_eq!(draft.body.as_str(), "<div><p>Một <em>hai</em><br></p></div>");
    assert_eq!(
        (draft.published, draft.updated),
        (instant("2024-04-04T04:30:00+07:00"), instant("2024-04-05T04:30:00+07:00"))
    );
    assert_eq!(
        draft.enclosures[0],
        Enclosure {
            url: WebUrl::parse("https://bao.example/a.mp3").unwrap(),
            media_type: "audio/mpeg".into(),
            length: 10
        }
    );
    assert_eq!(draft.categories[0].0, "Kinh tế");
    assert_eq!(draft.source.as_ref().unwrap().title, "Nguồn");
    assert_eq!(draft.authors, ["Tòa soạn"], "RFC 4287 §4.2.1");
    assert_eq!(draft.language.as_ref().unwrap().as_str(), "vi");
    assert_eq!(draft.keys[0], IdentityKey::external("bao.example", "tag:bao.example,2024:1"));
    assert_eq!(second.draft.authors, ["CHÍ BẢO"]);
    assert_eq!((second.draft.published, second.draft.updated), (instant("2024-04-05T04:30:00Z"), None));
}

#[test]
fn rss_1_and_full_text_and_media_are_read() {
    let feed = r#"<rdf:RDF xmlns:rdf="r" xmlns="http://purl.org/rss/1.0/" xmlns:dc="d" xmlns:content="c" xmlns:media="m">
<channel rdf:about="https://bao.example/rss"><title>Báo</title><link>https://bao.example/</link></channel>
<item rdf:about="https://bao.example/1"><title>Một</title><link>https://bao.example/1</link><dc:creator>Lan</dc:creator>
<dc:date>2024-04-04T04:30:00+07:00</dc:date><dc:subject>Kinh tế</dc:subject><description>Tóm tắt</description>
<content:encoded><![CDATA[<p>Toàn văn <img src="/b.jpg"></p>]]></content:encoded>
<media:group><media:content url="https://i.example/v.mp4" type="video/mp4" fileSize="7"/><media:thumbnail url="https://i.example/t.jpg" width="9"/></media:group>
<media:title>Không phải tiêu đề</media:title></item></rdf:RDF>"#;
    let draft = arrivals(feed).remove(0).draft;
    assert_eq!((draft.title.as_str(), draft.summary.as_deref()), ("Một", Some("Tóm tắt")));
    assert_eq!(draft.body.as_str(), "<p>Toàn văn <img src=\"https://bao.example/b.jpg\"></p>");
    assert_eq!((draft.authors[0].as_str(), draft.categories[0].0.as_str()), ("Lan", "Kinh tế"));
    assert_eq!((draft.enclosures.len(), draft.enclosures[0].length), (1, 7));
    assert_eq!(
        (draft.image.as_ref().unwrap().url.as_str(), draft.image.as_ref().unwrap().width),
        ("https://i.example/t.jpg", Some(9))
    );
}

#[test]
fn json_feed_is_read_item_by_item() {
    let feed = r#"{"version": "https://jsonfeed.org/version/1.1", "title": "Báo", "home_page_url": "https://bao.example/",
"items": [
 {"id": 7, "url": "/7.html", "title": "Bảy", "content_text": "Một.\n\nHai.", "date_published": "2024-04-04T04:30:00+07:00",
  "authors": [{"name": "CHÍ BẢO"}], "tags": ["Kinh tế"], "image": "/a.jpg",
  "attachments": [{"url": "/a.mp3", "mime_type": "audio/mpeg", "size_in_bytes": 5}]},
 {"id": "8"},
 {"id": "9", "title": "Chín", "summary": "Tóm tắt"}]}"#;
    let items = read(&intake("feed.json"), feed.as_bytes());
    assert_eq!(items.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(items[1].as_ref().unwrap_err().line, Some(6));
    let draft = &items[0].as_ref().unwrap().draft;
    assert_eq!(draft.body.as_str(), "<p>Một.</p>\n<p>Hai.</p>\n");
    assert_eq!(draft.url.as_ref().unwrap().as_str(), "https://bao.example/7.html");
    assert_eq!(
        (draft.authors[0].as_str(), draft.categories[0].0.as_str(), draft.enclosures[0].length),
        ("CHÍ BẢO", "Kinh tế", 5)
    );
    assert_eq!(draft.keys[0], IdentityKey::external("bao.example", "7"));
    let broken =
        read(&intake("feed.json"), b"{\"version\": \"https://jsonfeed.org/version/1\",\n \"items\": [}");
    assert_eq!(broken[0].as_ref().unwrap_err().line, Some(2));
}

#[test]
fn an_address_that_every_item_has_is_no_identity() {
    let item = |title: &str| {
        format!(
            "<item><title>{title}</title><link>https://bao.example/tin</link><guid>0</guid><description>Một.</description></item>"
        )
    };
    let feed = format!(
        "<rss version='2.0'><channel><title>x</title><link>https://bao.example/</link>{}{}</channel></rss>",
        item("Một"),
        item("Hai")
    );
    let drafts = arrivals(&feed);
    assert!(drafts.iter().all(|a| a.draft.keys.len() == 1 && a.draft.keys[0].as_str().starts_with("title:")));
}

#[test]
fn ids_are_the_same_at_every_reading() {
    let feed = "<rss version='0.91'><channel><title>x</title><item><title>Một</title></item></channel></rss>";
    assert_eq!(arrivals(feed)[0].draft.keys, arrivals(feed)[0].draft.keys);
    assert_eq!(arrivals(feed)[0].warnings.len(), 1, "a headline without text is told");
}

#[test]
fn what_is_no_feed_is_one_fault() {
    for text in [
        "<opml><body/></opml>",
        "<rss version='2.0'><channel><title>x</title></channel></rss>",
        "chỉ là chữ",
        "",
    ] {
        let mut intake = intake("-");
        intake.format = Some(InputFormat::Feed);
        assert!(matches!(&read(&intake, text.as_bytes())[..], [Err(_)]), "{text}");
    }
}

#[test]
fn hostile_authors_and_depth_do_no_harm() {
    let deep = format!(
        "<rss><channel><item><title>a</title><description>{}x</description></item></channel></rss>",
        "<b>".repeat(200_000)
    );
    assert_eq!(read(&intake("a.rss"), deep.as_bytes()).len(), 1);
    let odd = "<rss><channel><item><title>a</title><author>“a@b.vn</author><description>Một.</description></item></channel></rss>";
    assert_eq!(one("a.rss", odd.as_bytes()).draft.authors, Vec::<String>::new());
}
