//! Each rule is broken here at least once, in a document that is sound otherwise.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const RSS: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:fh="http://purl.org/syndication/history/1.0">
<channel>
<title>Xây dựng Đảng</title>
<link>https://bao.example/</link>
<description>Tin và bài.</description>
<language>vi</language>
<ttl>15</ttl>
<skipHours><hour>0</hour><hour>23</hour></skipHours>
<skipDays><day>Sunday</day></skipDays>
<cloud domain="bao.example" port="80" path="/rpc" registerProcedure="" protocol="http-post"/>
<image><url>https://bao.example/a.png</url><title>Xây dựng Đảng</title><link>https://bao.example/</link><width>88</width></image>
<managingEditor>a@bao.example (Báo)</managingEditor>
<atom:link rel="self" href="https://bao.example/feed.rss"/>
<item>
<title>Một &amp; hai</title>
<link>https://bao.example/1.html</link>
<description>&lt;p&gt;Lời dẫn&lt;/p&gt;</description>
<author>b@bao.example</author>
<enclosure url="https://bao.example/a.mp3" length="5" type="audio/mpeg"/>
<guid isPermaLink="false">tag:bao.example,2024:1</guid>
<pubDate>Thu, 04 Apr 2024 04:30:00 +0700</pubDate>
<source url="https://nguon.example/rss">Nguồn</source>
<content:encoded><![CDATA[<p>Toàn văn</p>]]></content:encoded>
</item>
<item><description>Hai</description><guid>https://bao.example/2.html</guid></item>
</channel></rss>"#;

/// What to write instead of what, and the rules that this breaks.
type Case = (&'static str, &'static str, &'static [&'static str]);

const OF_RSS: &[Case] = &[
    ("<rss version=\"2.0\"", "<rss version=\"0.91\"", &["rss-version"]),
    ("</channel></rss>", "</channel><channel/></rss>", &["rss-channel"]),
    ("<link>https://bao.example/</link>\n<desc", "<desc", &["rss-required"]),
    ("<ttl>15</ttl>", "<ttl>15</ttl><ttl>15</ttl>", &["rss-repeated"]),
    ("<ttl>15</ttl>", "<ttl>0</ttl>", &["rss-ttl"]),
    ("<ttl>15</ttl>", "<modified>2024</modified>", &["rss-element"]),
    ("<ttl>15</ttl>", "<generator> </generator>", &["rss-blank"]),
    ("<ttl>15</ttl>", "<textInput/>", &["rss-text-input"]),
    ("<ttl>15</ttl>", "<fh:complete/><fh:archive/>", &["fh-complete-archive", "fh-current"]),
    ("<description>Hai", "<description>Hai<b>đậm</b>", &["rss-markup"]),
    ("<description>Hai</description>", "", &["rss-item-empty"]),
    ("<link>https://bao.example/1.html", "<link>/1.html", &["rss-url"]),
    ("<link>https://bao.example/1.html", "<link>https://bao.example/đ", &["rss-url-iri"]),
    ("Thu, 04 Apr 2024 04:30:00 +0700", "2024-04-04T04:30:00Z", &["rss-date-format"]),
    ("Thu, 04 Apr", "Fri, 04 Apr", &["rss-date-weekday"]),
    ("Apr 2024", "Apr 24", &["rss-date-year"]),
    ("+0700", "G", &["rss-date-zone"]),
    ("Thu, 04 Apr 2024", "Thu, 01 Jan 1970", &["rss-date-implausible"]),
    ("Thu, 04 Apr 2024", "04 Apr 2031", &["rss-date-implausible"]),
    ("<guid>https://bao.example/2.html</guid>", "", &["rss-guid-missing"]),
    ("<guid>https://bao.example/2.html</guid>", "<guid> </guid>", &["rss-guid-blank"]),
    (
        "<guid>https://bao.example/2.html</guid>",
        "<guid isPermaLink='false'>tag:bao.example,2024:1</guid>",
        &["rss-guid-repeated"],
    ),
    ("<guid isPermaLink=\"false\">", "<guid>", &["rss-guid-permalink"]),
    ("<guid isPermaLink=\"false\">", "<guid isPermaLink=\"no\">", &["rss-guid-attribute"]),
    ("tag:bao.example,2024:1", "1234", &["rss-guid-number"]),
    ("length=\"5\"", "length=\"5 MB\"", &["rss-enclosure"]),
    ("type=\"audio/mpeg\"", "type=\"mp3\"", &["rss-enclosure"]),
    ("https://bao.example/a.mp3", "a.mp3", &["rss-enclosure"]),
    (
        "<author>",
        "<enclosure url=\"https://bao.example/b.mp3\" length=\"5\" type=\"audio/mpeg\"/><author>",
        &["rss-enclosure-repeated"],
    ),
    ("<author>b@bao.example", "<author>Thu Hà", &["rss-person"]),
    ("<hour>23", "<hour>24", &["rss-skip-hours"]),
    ("<hour>23", "<hour>0", &["rss-skip-hours"]),
    ("<day>Sunday", "<day>Chủ nhật", &["rss-skip-days"]),
    ("port=\"80\"", "port=\"0\"", &["rss-cloud"]),
    ("domain=\"bao.example\" ", "", &["rss-cloud"]),
    ("<source url=\"https://nguon.example/rss\">", "<source>", &["rss-source"]),
    ("<url>https://bao.example/a.png</url>", "", &["rss-image"]),
    ("<width>88", "<width>512", &["rss-image-size"]),
    (
        "<image><url>https://bao.example/a.png</url><title>Xây",
        "<image><url>https://bao.example/a.png</url><title>xây",
        &["rss-image-differs"],
    ),
    ("<language>vi", "<language>vi_VN", &["rss-language"]),
    ("<language>vi</language>", "", &["rss-language-missing"]),
    ("<atom:link rel=\"self\" href=\"https://bao.example/feed.rss\"/>", "", &["rss-self-missing"]),
    ("<ttl>", "<atom:link rel=\"self\" href=\"https://bao.example/feed.rss\"/><ttl>", &["rss-self-repeated"]),
    ("href=\"https://bao.example/feed.rss\"", "href=\"https://bao.example/\"", &["rss-self-differs"]),
    ("</channel>", "<copyright>Báo</copyright></channel>", &["rss-order"]),
    ("<description>Hai", "<content:encoded>x</content:encoded><description>Hai", &["rss-content-order"]),
    ("Một &amp; hai", "&lt;b>Một&lt;/b>", &["rss-title-markup"]),
    ("Một &amp; hai", "Một &amp;amp; hai", &["rss-title-escaped"]),
    ("<p>Toàn văn</p>", "<a href='/x'>x</a>", &["html-relative"]),
    ("<p>Toàn văn</p>", "<script>x</script>", &["html-script"]),
    ("<p>Toàn văn</p>", "<iframe></iframe>", &["html-frame"]),
    ("&lt;p&gt;Lời dẫn&lt;/p&gt;", "&lt;style>p{}&lt;/style>", &["html-style"]),
    ("<ttl>15</ttl>", "<atom:link rel='next' href='https://bao.example/feed.rss'/>", &["fh-link-itself"]),
    (
        "<ttl>15</ttl>",
        "<atom:link rel='next' href='https://a.vn/2'/><atom:link rel='next' href='https://a.vn/3'/>",
        &["fh-link-repeated"],
    ),
    ("<ttl>15</ttl>", "<fh:complete/><atom:link rel='next' href='https://a.vn/2'/>", &["fh-complete-linked"]),
    (
        "<ttl>15</ttl>",
        "<atom:link rel='next' href='https://a.vn/2'/><atom:link rel='prev-archive' href='https://a.vn/3'/>",
        &["fh-mixed"],
    ),
    ("<ttl>15</ttl>", "<fh:complete>yes</fh:complete>", &["fh-element"]),
    // XML
    ("Tin và bài", "Tin\u{b} bài", &["xml-character"]),
    ("Tin và bài", "Tin\u{96} bài", &["xml-character-discouraged"]),
    ("Tin và bài", "Tin & bài", &["xml-syntax"]),
    ("Tin và bài", "Tin ]]> bài", &["xml-syntax"]),
    ("</channel></rss>", "</channel>", &["xml-syntax"]),
    ("</channel></rss>", "</channel></rss><rss/>", &["xml-syntax"]),
    ("</channel></rss>", "</channel></rss>bài", &["xml-syntax"]),
    ("<?xml version", "<?xml  ver", &["xml-syntax"]),
    ("encoding=\"utf-8\"", "encoding=utf-8", &["xml-syntax"]),
    ("<?xml", "<?xml-x?><?xml", &["xml-syntax"]),
    ("Tin và bài", "<!DOCTYPE a>", &["xml-syntax"]),
    ("Tin và bài", "<?XML a?>", &["xml-syntax"]),
    ("length=\"5\" type", "length=\"5\"type", &["xml-syntax"]),
    ("<ttl>15</ttl>", "<a:b:c/>", &["xml-syntax"]),
    ("<ttl>15</ttl>", "<a\u{d7}/>", &["xml-syntax"]),
    ("<?xml", "\n<?xml", &["xml-syntax"]),
    ("length=\"5\"", "length=\"5\" length=\"6\"", &["xml-syntax"]),
    ("length=\"5\"", "length=\"<5\"", &["xml-syntax"]),
    ("<ttl>15</ttl>", "<1>15</1>", &["xml-syntax"]),
    ("Tin và bài", "Tin&nbsp;bài", &["xml-reference"]),
    ("Tin và bài", "Tin&#11;bài", &["xml-reference"]),
    ("<ttl>15</ttl>", "<dc:date>2024</dc:date>", &["xml-prefix"]),
    ("<rss", "<!DOCTYPE rss><rss", &["xml-doctype"]),
    ("<ttl>15</ttl>", "<x xmlns='http://purl.org/dc/elements/1.1'/>", &["xml-namespace-misspelt"]),
    ("<ttl>15</ttl>", "<x xmlns='https://example.com/x'/>", &["xml-namespace-unknown"]),
    ("encoding=\"utf-8\"", "encoding=\"latin1\"", &["xml-charset"]),
    (
        "<rss version=\"2.0\"",
        "<rss xmlns='https://example.com/rss' version=\"2.0\"",
        &["xml-namespace-unknown", "feed-unknown"],
    ),
];

const ATOM: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0" xml:lang="vi">
<title>Xây dựng Đảng</title>
<id>urn:uuid:01920000-0000-7000-8000-000000000002</id>
<updated>2024-04-04T09:00:01.5+07:00</updated>
<generator>Bản Tin</generator>
<author><name>Báo</name><email>a@bao.example</email><uri>https://bao.example/</uri></author>
<category term="Đảng" scheme="https://bao.example/"/>
<link rel="self" href="https://bao.example/feed.atom"/>
<link rel="alternate" type="text/html" href="https://bao.example/"/>
<entry>
<title>Một &amp; hai</title>
<id>tag:bao.example,2024:1</id>
<updated>2024-04-04T09:00:00+07:00</updated>
<link href="https://bao.example/1.html"/>
<link rel="enclosure" href="https://bao.example/a.mp3" length="5" type="audio/mpeg"/>
<content type="html">&lt;p>Toàn văn&lt;/p></content>
</entry>
<entry>
<title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Hai</div></title>
<id>tag:bao.example,2024:2</id>
<updated>2024-04-03T09:00:00Z</updated>
<content type="application/pdf" src="https://bao.example/a.pdf"/>
<summary>Lời dẫn</summary>
<source><id>tag:b.example,2024:0</id><title>Nguồn</title><updated>2024-04-03T09:00:00Z</updated></source>
</entry>
</feed>"#;

const OF_ATOM: &[Case] = &[
    ("<id>tag:bao.example,2024:2</id>", "", &["atom-required"]),
    ("<title>Xây", "<title>Hai</title><title>Xây", &["atom-repeated"]),
    ("<generator>Bản Tin</generator>", "<pubDate>2024</pubDate>", &["atom-element"]),
    ("<generator>Bản Tin</generator>", "<generator/>", &["atom-blank"]),
    ("<title>Một &amp; hai</title>", "<title/>", &["atom-blank"]),
    (
        "<author><name>Báo</name><email>a@bao.example</email><uri>https://bao.example/</uri></author>",
        "",
        &["atom-author"],
    ),
    ("<name>Báo</name>", "", &["atom-person"]),
    ("<email>a@bao.example", "<email>Báo", &["atom-person"]),
    ("2024-04-03T09:00:00Z</updated>\n<content", "2024-04-03</updated>\n<content", &["atom-date-format"]),
    ("2024-04-04T09:00:00+07:00", "1970-01-01T00:00:00Z", &["atom-date-implausible"]),
    ("<title>Một", "<title type='text/plain'>Một", &["atom-text-type"]),
    ("<div xmlns=\"http://www.w3.org/1999/xhtml\">Hai</div>", "Hai", &["atom-xhtml-div"]),
    ("<title>Một", "<title><b>Không</b> Một", &["atom-unescaped"]),
    ("<title>Một", "<title>&lt;b>Không&lt;/b> Một", &["atom-title-markup"]),
    ("Một &amp; hai", "Một &amp;amp; hai", &["atom-title-escaped"]),
    ("<id>tag:bao.example,2024:1", "<id>1", &["atom-iri"]),
    ("<id>tag:bao.example,2024:1", "<id>tag:bao.example,2024:2", &["atom-id-versions"]),
    (
        "<id>tag:bao.example,2024:1</id>\n<updated>2024-04-04T09:00:00+07:00",
        "<id>tag:bao.example,2024:2</id>\n<updated>2024-04-03T09:00:00Z",
        &["atom-id-repeated"],
    ),
    (" href=\"https://bao.example/1.html\"", "", &["atom-link"]),
    ("type=\"audio/mpeg\"", "type=\"mp3\"", &["atom-link"]),
    (
        "<link rel=\"alternate\" type=\"text/html\" href=\"https://bao.example/\"/>",
        "<link type='a/b' href='https://b.example/'/><link type='text/html' href='https://b.example/'/><link type='text/html' href='https://c.example/'/>",
        &["atom-link", "atom-alternate-repeated"],
    ),
    ("<content type=\"application/pdf\" src=\"https://bao.example/a.pdf\"/>", "", &["atom-content-missing"]),
    ("<summary>Lời dẫn</summary>", "", &["atom-summary-missing"]),
    (
        "src=\"https://bao.example/a.pdf\"/>",
        "src=\"https://bao.example/a.pdf\">x</content>",
        &["atom-content-src"],
    ),
    (
        "<content type=\"html\">",
        "<content type=\"multipart/mixed\">",
        &["atom-content-type", "atom-summary-missing"],
    ),
    ("term=\"Đảng\"", "term=\"\"", &["atom-category"]),
    ("<title>Nguồn</title>", "", &["atom-source"]),
    ("<link rel=\"self\" href=\"https://bao.example/feed.atom\"/>", "", &["atom-self-missing"]),
    (
        "<link rel=\"self\" href=\"https://bao.example/feed.atom\"/>",
        "<link rel=\"self\" href=\"https://bao.example/feed.atom\"/><link rel=\"self\" href=\"https://bao.example/\"/>",
        &["atom-self-repeated"],
    ),
    ("https://bao.example/feed.atom", "https://bao.example/", &["atom-self-differs"]),
    (" length=\"5\"", "", &["atom-enclosure-length"]),
    ("xml:lang=\"vi\"", "xml:lang=\"tiếng Việt\"", &["atom-language"]),
    (" xml:lang=\"vi\"", "", &["atom-language-missing"]),
    ("&lt;p>Toàn văn", "&lt;img src='a.jpg'>", &["html-relative"]),
    (
        "<content type=\"html\">",
        "<content xml:base='https://bao.example/' type=\"html\">&lt;img src='a.jpg'>",
        &[],
    ),
    (
        "<div xmlns=\"http://www.w3.org/1999/xhtml\">Hai",
        "<div xmlns=\"http://www.w3.org/1999/xhtml\"><b onclick='x'/>",
        &["html-script"],
    ),
    (
        "<entry>\n<title>",
        "<at:deleted-entry ref='tag:bao.example,2024:0' when='2024-04-04T09:00:00Z'/><entry>\n<title>",
        &["tombstone-namespace"],
    ),
    (
        "<entry>\n<title>",
        "<at:deleted-entry ref='0' when='2024-04-04T09:00:00Z'/><entry>\n<title>",
        &["tombstone-namespace", "tombstone-form"],
    ),
    (
        "<entry>\n<title>",
        "<at:deleted-entry ref='t:0' when='2024'/><entry>\n<title>",
        &["tombstone-namespace", "tombstone-form"],
    ),
    (
        "</feed>",
        "<at:deleted-entry ref='tag:bao.example,2024:0' when='2024-04-04T09:00:00Z'/></feed>",
        &["tombstone-namespace", "tombstone-order"],
    ),
    (
        "<entry>\n<title>",
        "<at:deleted-entry ref='tag:a,2024:0' when='2024-04-04T09:00:00Z'/><at:deleted-entry ref='tag:a,2024:0' when='2024-04-04T09:00:00Z'/><entry>\n<title>",
        &["tombstone-namespace", "tombstone-repeated"],
    ),
    (
        "<entry>\n<title>",
        "<at:deleted-entry ref='tag:bao.example,2024:1' when='2024-04-05T09:00:00Z'/><entry>\n<title>",
        &["tombstone-namespace", "tombstone-alive"],
    ),
];

const JSON: &str = r#"{
"version": "https://jsonfeed.org/version/1.1",
"title": "Xây dựng Đảng",
"home_page_url": "https://bao.example/",
"feed_url": "https://bao.example/feed.json",
"next_url": "https://bao.example/2.json",
"icon": "https://bao.example/a.png",
"authors": [{"name": "Báo"}],
"language": "vi",
"hubs": [{"type": "WebSub", "url": "https://bao.example/websub"}],
"_bantin": {"about": "x"},
"items": [{
"id": "tag:bao.example,2024:1",
"url": "https://bao.example/1.html",
"title": "Một & hai",
"content_html": "<p>Toàn văn</p>",
"date_published": "2024-04-04T04:30:00+07:00",
"tags": ["Đảng"],
"attachments": [{"url": "https://bao.example/a.mp3", "mime_type": "audio/mpeg", "size_in_bytes": 5}]
}]}"#;

const OF_JSON: &[Case] = &[
    ("{\n\"version\"", "{,\"version\"", &["json-syntax"]),
    ("{\n\"version\"", "\u{feff}{\n\"version\"", &["json-encoding"]),
    ("version/1.1", "version/2", &["json-version"]),
    ("version/1.1", "version/1", &["json-version-old"]),
    ("\"title\": \"Xây dựng Đảng\"", "\"title\": \" \"", &["json-title"]),
    ("\"items\": [{", "\"items\": [1, {", &["json-items"]),
    ("\"language\": \"vi\"", "\"language\": \"vi\", \"expired\": \"no\"", &["json-type"]),
    ("\"id\": \"tag:bao.example,2024:1\"", "\"id\": 1", &["json-id"]),
    ("\"id\": \"tag:bao.example,2024:1\",", "", &["json-id"]),
    (
        "\"items\": [{",
        "\"items\": [{\"id\": \"tag:bao.example,2024:1\", \"url\": \"https://a.vn/\", \"content_text\": \"x\"}, {",
        &["json-id-repeated"],
    ),
    ("\"content_html\"", "\"_content\"", &["json-content"]),
    ("https://bao.example/1.html", "/1.html", &["json-url"]),
    ("\"url\": \"https://bao.example/1.html\",", "", &["json-item-url"]),
    ("2024-04-04T04:30:00+07:00", "Thu, 04 Apr 2024", &["json-date-format"]),
    ("2024-04-04T04", "2031-04-04T04", &["json-date-implausible"]),
    ("\"home_page_url\": \"https://bao.example/\",", "", &["json-home-page"]),
    ("\"feed_url\": \"https://bao.example/feed.json\",", "", &["json-feed-url", "json-hub-topic"]),
    ("https://bao.example/feed.json", "https://bao.example/f.json", &["json-feed-url-differs"]),
    ("https://bao.example/2.json", "https://bao.example/feed.json", &["json-next-url"]),
    ("\"authors\": [{\"name\": \"Báo\"}]", "\"author\": {\"name\": \"Báo\"}", &["json-author"]),
    ("{\"name\": \"Báo\"}", "{}", &["json-authors"]),
    ("\"language\": \"vi\"", "\"language\": \"tiếng Việt\"", &["json-language"]),
    ("\"language\": \"vi\",", "", &["json-language-missing"]),
    ("\"icon\": \"https://bao.example/a.png\",", "", &["json-icon"]),
    ("Một & hai", "<b>Một</b> hai", &["json-markup"]),
    ("Một & hai", "Một &amp; hai", &["json-escaped"]),
    ("Một & hai", "Một \\u000b hai", &["json-character"]),
    ("\"_bantin\"", "\"bantin\"", &["json-extension"]),
    ("\"_bantin\"", "\"_ban.tin\"", &["json-extension"]),
    ("audio/mpeg", "mp3", &["json-attachment"]),
    ("\"type\": \"WebSub\", ", "", &["json-hub"]),
    ("<p>Toàn văn</p>", "<img src='a.jpg'>", &["html-relative"]),
];

const OPML: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<opml version="2.0">
<head><title>Báo</title><dateModified>Thu, 04 Apr 2024 09:00:01 +0700</dateModified><ownerEmail>a@bao.example</ownerEmail></head>
<body><outline text="Tin"><outline type="rss" text="Đảng" xmlUrl="https://bao.example/feed.rss" htmlUrl="https://bao.example/" language="vi"/></outline></body>
</opml>"#;

const OF_OPML: &[Case] = &[
    ("version=\"2.0\"", "version=\"3\"", &["opml-version"]),
    ("<body>", "<foot/><body>", &["opml-head"]),
    ("<title>Báo</title>", "", &["opml-title"]),
    ("<title>Báo</title>", "<title>Báo</title><name>Báo</name>", &["opml-element"]),
    ("text=\"Đảng\" ", "", &["opml-text"]),
    ("type=\"rss\"", "type=\"atom\"", &["opml-type"]),
    ("xmlUrl=\"https://bao.example/feed.rss\"", "xmlUrl=\"feed.rss\"", &["opml-xml-url"]),
    ("htmlUrl=\"https://bao.example/\"", "htmlUrl=\"/\"", &["opml-html-url"]),
    ("language=\"vi\"", "language=\"tiếng Việt\"", &["opml-language"]),
    ("Thu, 04 Apr", "Fri, 04 Apr", &["opml-date-format"]),
    ("a@bao.example", "Báo", &["opml-owner"]),
    (
        "<outline text=\"Tin\"><outline type=\"rss\" text=\"Đảng\" xmlUrl=\"https://bao.example/feed.rss\" htmlUrl=\"https://bao.example/\" language=\"vi\"/></outline>",
        "",
        &["opml-outline-missing"],
    ),
];

fn about(ending: &str, content_type: &str) -> About {
    About {
        url: Some(format!("https://bao.example/feed.{ending}")),
        part_of: None,
        content_type: Some(content_type.to_owned()),
        now: "2026-11-01T00:00:00Z".parse().ok(),
    }
}

fn rules_of(bytes: &[u8], about: &About) -> Vec<&'static str> {
    lint_document(bytes, about).into_iter().map(|finding| finding.rule).collect()
}

/// Every document of the tables with what it breaks and what was found.
fn tried() -> Vec<(String, Vec<&'static str>, Vec<&'static str>)> {
    let mut tried = Vec::new();
    for (document, cases, ending, content_type) in [
        (RSS, OF_RSS, "rss", "application/rss+xml; charset=utf-8"),
        (ATOM, OF_ATOM, "atom", "application/atom+xml; charset=utf-8"),
        (JSON, OF_JSON, "json", "application/feed+json"),
        (OPML, OF_OPML, "opml", "text/x-opml; charset=utf-8"),
    ] {
        let about = about(ending, content_type);
        tried.push((ending.to_owned(), rules_of(document.as_bytes(), &about), Vec::new()));
        for (old, new, rules) in cases {
            assert!(document.contains(old), "{old}");
            let broken = document.replacen(old, new, 1);
            tried.push((format!("{ending}: {new}"), rules_of(broken.as_bytes(), &about), rules.to_vec()));
        }
        let odd = About { content_type: Some("text/html".to_owned()), ..about.clone() };
        let rule = ["rss-media-type", "atom-media-type", "json-media-type", "opml-media-type"]
            .into_iter()
            .filter(|rule| rule.starts_with(ending))
            .collect();
        tried.push((format!("{ending} as HTML"), rules_of(document.as_bytes(), &odd), rule));
    }
    let bare = About { content_type: Some("text/xml".to_owned()), ..about("rss", "") };
    tried.push(("rss, no charset".to_owned(), rules_of(RSS.as_bytes(), &bare), vec!["rss-charset"]));
    let of = |bytes: &[u8]| rules_of(bytes, &About::default());
    tried.push(("empty".to_owned(), of(b" \n"), vec!["xml-empty"]));
    tried.push(("bytes".to_owned(), of(b"<rss>\xff</rss>"), vec!["xml-bytes"]));
    tried.push(("deep".to_owned(), of("<a>".repeat(300).as_bytes()), vec!["xml-depth"]));
    tried.push(("rdf".to_owned(), of(b"<RDF/>"), vec!["feed-unknown"]));
    tried.push(("no channel".to_owned(), of(b"<rss version='2.0'/>"), vec!["rss-channel"]));
    let latin = OPML.replace("encoding=\"utf-8\"", "encoding=\"windows-1258\"");
    tried.push(("latin".to_owned(), of(latin.as_bytes()), vec!["xml-encoding", "xml-character-discouraged"]));
    let unknown = OPML.replace("encoding=\"utf-8\"", "encoding=\"VNI\"");
    tried.push(("vni".to_owned(), of(unknown.as_bytes()), vec!["xml-bytes"]));
    let long = JSON.replace("Toàn văn", &"Toàn văn ".repeat(40_000));
    tried.push(("long".to_owned(), of(long.as_bytes()), vec!["json-size"]));
    tried
}

#[test]
fn each_fault_is_found_and_nothing_else() {
    let sorted = |rules: &[&'static str]| rules.iter().copied().collect::<BTreeSet<_>>();
    let wrong: Vec<_> =
        tried().into_iter().filter(|(_, found, wanted)| sorted(found) != sorted(wanted)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_rule_is_broken_somewhere() {
    let mut found: BTreeSet<&str> = tried().into_iter().flat_map(|(_, found, _)| found).collect();
    found.extend(exchange::tests::found());
    found.extend(walk::tests::found());
    let never: Vec<&str> = all_rules().map(|rule| rule.code).filter(|code| !found.contains(code)).collect();
    assert!(never.is_empty(), "{never:?}");
}

#[test]
fn every_rule_has_its_own_name_a_clause_and_a_mend() {
    let mut names = BTreeSet::new();
    for rule in all_rules() {
        assert!(names.insert(rule.code), "{} is two rules", rule.code);
        assert!(
            rule.code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
            "{}",
            rule.code
        );
        assert!(
            !rule.clause.is_empty() && !rule.mend.is_empty() && !rule.mend.ends_with('.'),
            "{}",
            rule.code
        );
    }
}

#[test]
fn a_finding_says_where() {
    let found = lint_document(
        RSS.replacen("<link>https://bao.example/1", "<link>/1", 1).as_bytes(),
        &About::default(),
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].place, Place::Line { line: 17, column: 1 });
    let found = lint_document(RSS.replacen("Xây", "X\u{1}y", 1).as_bytes(), &About::default());
    assert_eq!(found[0].place.to_string(), "4:9", "columns are characters");
    let found =
        lint_document(JSON.replacen("https://bao.example/1.html", "/1", 1).as_bytes(), &About::default());
    assert_eq!(found[0].place.to_string(), "items[0].url");
    let found = lint_document("<rss version='2.0'>\n <channel>\n".as_bytes(), &About::default());
    assert_eq!(found[0].place.to_string(), "2:2", "where the open element begins: {found:?}");
}

#[test]
fn a_fault_in_every_entry_is_not_said_a_thousand_times() {
    let items = "<item><title>Tin</title></item>".repeat(1000);
    let feed = format!("<rss version='2.0'><channel>{items}</channel></rss>");
    let found = lint_document(feed.as_bytes(), &About::default());
    let missing: Vec<_> = found.iter().filter(|finding| finding.rule == "rss-guid-missing").collect();
    assert_eq!(missing.len(), OF_ONE_RULE);
    assert!(missing[OF_ONE_RULE - 1].what.ends_with("(and 980 more like this)"), "{}", missing[19].what);
}

#[test]
fn hostile_words_do_not_leave_in_findings() {
    let feed = "<rss version='\u{1b}[31m\nx'><channel><language>\u{9b}31m</language></channel></rss>";
    for finding in lint_document(feed.as_bytes(), &About::default()) {
        assert!(!finding.what.contains(char::is_control), "{}", finding.what);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_bytes_are_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        lint_document(&bytes, &About::default());
    }

    #[test]
    fn any_damage_is_looked_at(
        which in 0..4_usize,
        from in 0.0..1.0_f64,
        length in 0..40_usize,
        new in "[<>&;\"'= /\\]\\[{}:ế\u{1}a-z0-9]{0,12}",
    ) {
        let document = [RSS, ATOM, JSON, OPML][which];
        let mut from = (document.len() as f64 * from) as usize;
        while !document.is_char_boundary(from) { from -= 1; }
        let mut end = document.len().min(from + length);
        while !document.is_char_boundary(end) { end += 1; }
        let damaged = format!("{}{new}{}", &document[..from], &document[end..]);
        lint_document(damaged.as_bytes(), &about("rss", "application/rss+xml"));
    }
}

#[test]
fn our_own_golden_feeds_are_clean() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/feeds");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (name, bytes) = (path.display().to_string(), std::fs::read(&path).unwrap());
        let kind = match name.rsplit('.').next() {
            Some("rss") => "application/rss+xml; charset=utf-8",
            Some("atom") => "application/atom+xml; charset=utf-8",
            Some("json") => "application/feed+json; charset=utf-8",
            Some("opml") => "text/x-opml; charset=utf-8",
            // Sitemaps and robots.txt are for search engines.
            _ => continue,
        };
        let about = About { content_type: Some(kind.to_owned()), ..About::default() };
        let found = lint_document(&bytes, &about);
        assert!(found.iter().all(|finding| finding.severity == Severity::Note), "{name}: {found:#?}");
    }
}
