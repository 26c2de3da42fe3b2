use super::{WebUrl, bounded_fragment, is_allowed_char};
use ammonia::{Builder, UrlRelative};
use std::borrow::Cow;
use std::collections::HashSet;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Fewer tags than this cannot nest dangerously, and most articles have fewer.
const FEW_TAGS: usize = 200;

/// HTML that a stranger may read in his browser, feed reader or mail program: a safe subset,
/// NFC, well-formed characters only, every URL absolute and percent-encoded.
///
/// The only door is [`SafeHtml::clean`] (and [`SafeHtml::stored`] for what passed it before).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SafeHtml(String);

impl SafeHtml {
    /// Cleans HTML from outside. Relative URLs are resolved against `base`; without a base they
    /// are dropped, since nobody can follow them.
    pub fn clean(html: &str, base: Option<&WebUrl>) -> Self {
        let mut clean = Self::cleaned(html, base);
        // What character references stood for is raw text now: `&#7;`, or a mark that joins its letter.
        // Cleaned once more instead of mended here, where a mark could join a tag's `>` (U+226F).
        if !clean.0.chars().all(is_allowed_char) || !is_nfc(&clean.0) {
            clean = Self::cleaned(&clean.0, base);
        }
        clean
    }

    fn cleaned(html: &str, base: Option<&WebUrl>) -> Self {
        let legal: String = html.nfc().filter(|c| is_allowed_char(*c)).collect();
        if legal.matches('<').nth(FEW_TAGS).is_some() && bounded_fragment(&legal).is_err() {
            return Self::from_text(&strip_tags(&legal));
        }
        let legal = links_for_embeds(legal);
        let base = base.cloned();
        let mut builder = Builder::default();
        builder
            .add_generic_attributes(["lang", "dir"])
            .add_tags(["figure", "figcaption", "picture", "section", "u"])
            .rm_tags(["map", "area"])
            .add_clean_content_tags([
                "noscript", "template", "form", "select", "textarea", "button", "svg", "math", "object",
                "iframe", "video", "audio", "canvas", "head", "title",
            ])
            .url_schemes(HashSet::from(["http", "https", "mailto", "tel"]))
            .link_rel(Some("noopener noreferrer"))
            .strip_comments(true)
            // Relative URLs are resolved by the filter, which sees them before ammonia would.
            .url_relative(UrlRelative::PassThrough)
            .attribute_filter(move |_, attribute, value| match attribute {
                "href" | "src" | "cite" => absolute(value, base.as_ref()),
                _ => Some(Cow::Borrowed(value)),
            });
        Self(builder.clean(&legal).to_string())
    }

    /// Paragraphs of plain text as HTML: a blank line ends a paragraph, a single one breaks the line.
    pub fn from_text(text: &str) -> Self {
        let mut html = String::with_capacity(text.len() + 64);
        for paragraph in super::clean_paragraphs(text).split("\n\n").filter(|p| !p.is_empty()) {
            html.push_str("<p>");
            html.push_str(&super::escape_html(paragraph).replace('\n', "<br>"));
            html.push_str("</p>\n");
        }
        Self(html)
    }

    /// HTML that was cleaned before it went into the store.
    pub fn stored(html: String) -> Self {
        Self(html)
    }

    /// The markup.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// The words alone, a line a block, for searching and for excerpts.
    pub fn text(&self) -> String {
        super::clean_paragraphs(&strip_tags(&self.0))
    }

    /// Whether it says a lead itself; one that was cut off by an ellipsis counts too. Such a lead
    /// is not shown before the text once more.
    pub fn says(&self, lead: &str) -> bool {
        let lead = super::clean_line(lead);
        // The text is clean already, but for its line breaks.
        let text = self.text().replace("\n\n", " ").replace('\n', " ");
        text.contains(lead.trim_end_matches(['…', '.', ' ']))
    }
}

fn absolute<'v>(value: &'v str, base: Option<&WebUrl>) -> Option<Cow<'v, str>> {
    let url = url::Url::options().base_url(base.map(WebUrl::as_url)).parse(value.trim()).ok()?;
    matches!(url.scheme(), "http" | "https" | "mailto" | "tel").then(|| String::from(url).into())
}

const BLOCKS: [&str; 20] = [
    "p",
    "div",
    "br",
    "li",
    "ul",
    "ol",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "tr",
    "table",
    "figure",
    "figcaption",
    "blockquote",
    "section",
    "article",
    "hr",
];

/// Puts a link before each film, recording or page that is set into this one, since those themselves
/// do not pass: readers' programs would not show them, and they let others watch the reader.
fn links_for_embeds(html: String) -> String {
    const EMBEDS: [&str; 4] = ["iframe", "video", "audio", "embed"];
    if !html.contains('<') || !EMBEDS.iter().any(|name| html.contains(name)) {
        return html;
    }
    let mut linked = String::with_capacity(html.len() + 256);
    let (mut from, mut open) = (0, None);
    for (name, opens, range) in tags(&html) {
        let tag = &html[range.clone()];
        if opens && EMBEDS.contains(&name.as_str()) {
            open = Some((range.start, attribute(tag, "title")));
        }
        let is_part = name == "source" || EMBEDS.contains(&name.as_str());
        if opens
            && is_part
            && let Some((start, title)) = &open
            && let Some(source) = attribute(tag, "src").filter(|s| is_of_the_web(s))
        {
            let place =
                source.trim_start_matches("https:").trim_start_matches("http:").trim_start_matches('/');
            let words = title.filter(|t| !t.trim().is_empty()).unwrap_or(place);
            linked.push_str(&html[from..*start]);
            linked.push_str(&format!("<a href=\"{source}\">{words}</a>"));
            (from, open) = (*start, None);
        }
    }
    linked.push_str(&html[from..]);
    linked
}

/// Whether an address is relative, or of the web.
fn is_of_the_web(address: &str) -> bool {
    let head = address.split('/').next().unwrap_or_default().to_ascii_lowercase();
    address.contains('/') && (!head.contains(':') || matches!(head.as_str(), "http:" | "https:"))
}

/// The value of an attribute as it stands in a tag, its references not undone. None where quotes or
/// angle brackets in it could end the tag that it is put into.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let lower = tag.to_ascii_lowercase();
    let at = lower.match_indices(name).find_map(|(at, _)| {
        let rest = lower[at + name.len()..].trim_start().strip_prefix('=')?;
        lower[..at].ends_with(|c: char| c.is_ascii_whitespace()).then(|| lower.len() - rest.len())
    })?;
    let value = tag[at..].trim_start();
    let value = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next()?,
        _ => value.split(|c: char| c.is_ascii_whitespace() || c == '>').next()?,
    };
    (!value.contains(['"', '<', '>'])).then_some(value)
}

/// The tags of a text in order: name in lower case, and whether it opens, with its byte range.
fn tags(html: &str) -> impl Iterator<Item = (String, bool, std::ops::Range<usize>)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + html[at..].find('<')?;
            let rest = &html[start + 1..];
            let opens = !rest.starts_with('/');
            let name: String = rest
                .trim_start_matches('/')
                .chars()
                .take_while(char::is_ascii_alphanumeric)
                .map(|c| c.to_ascii_lowercase())
                .collect();
            if name.is_empty() && !rest.starts_with('!') && !rest.starts_with('?') {
                at = start + 1;
                continue;
            }
            let end = rest.find('>').map_or(html.len(), |end| start + 1 + end + 1);
            at = end;
            return Some((name, opens, start..end));
        }
    })
}

fn strip_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut from = 0;
    for (name, opens, range) in tags(html) {
        text.push_str(&unescape(&html[from..range.start]));
        if BLOCKS.contains(&name.as_str()) {
            text.push_str(if name == "br" || opens { "\n" } else { "\n\n" });
        }
        from = range.end;
    }
    text.push_str(&unescape(&html[from..]));
    text
}

/// Undoes the character references that HTML serialisers write (HTML Living Standard §13.3).
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&nbsp;", "\u{a0}")
        .replace("&amp;", "&")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base() -> WebUrl {
        WebUrl::parse("https://bao.example/tin/bai.html").unwrap()
    }

    #[test]
    fn scripts_and_handlers_go_words_stay() {
        let html = r#"<p onclick="x()">Một <script>alert(1)</script><b>hai</b></p><style>p{}</style><object>x</object>"#;
        assert_eq!(SafeHtml::clean(html, None).as_str(), "<p>Một <b>hai</b></p>");
        assert!(!SafeHtml::clean("<a href='javascript:x()'>a</a>", None).as_str().contains("javascript"));
    }

    #[test]
    fn character_references_bring_nothing_in_that_letters_may_not() {
        assert_eq!(SafeHtml::clean("<p>a&#7;b&#xfffe;</p>", None).as_str(), "<p>ab</p>");
        assert_eq!(SafeHtml::clean("<p>e&#x302;&#x301;</p>", None).as_str(), "<p>ế</p>");
        // U+0338 joins the `>` before it to U+226F.
        let joined = SafeHtml::clean("<p>&#x338;a</p><b title=\"&#x338;\">c</b>", None);
        assert!(is_nfc(joined.as_str()));
        assert_eq!(SafeHtml::clean(joined.as_str(), None), joined);
    }

    #[test]
    fn what_is_set_into_a_page_becomes_a_link() {
        let link =
            |href: &str, words: &str| format!("<a href=\"{href}\" rel=\"noopener noreferrer\">{words}</a>");
        for (html, clean) in [
            (
                "a<iframe src='https://www.youtube.com/embed/x' title='Vở diễn'>b</iframe>c",
                format!("a{}c", link("https://www.youtube.com/embed/x", "Vở diễn")),
            ),
            (
                "<video poster=p><source src=/v.mp4 type=video/mp4></video>",
                link("https://bao.example/v.mp4", "v.mp4"),
            ),
            (
                "<audio src=\"//cdn.example/a.mp3?x=1&amp;y=2\"></audio>",
                link("https://cdn.example/a.mp3?x=1&amp;y=2", "cdn.example/a.mp3?x=1&amp;y=2"),
            ),
            ("<iframe src='javascript:alert(1)//'></iframe>", String::new()),
            ("<iframe src='about:blank'></iframe>x", "x".to_owned()),
        ] {
            assert_eq!(SafeHtml::clean(html, Some(&base())).as_str(), clean, "{html}");
        }
    }

    #[test]
    fn urls_become_absolute_and_encoded() {
        let clean = SafeHtml::clean(r#"<img src="/ảnh/đảng.jpg" alt="x">"#, Some(&base()));
        assert_eq!(
            clean.as_str(),
            r#"<img src="https://bao.example/%E1%BA%A3nh/%C4%91%E1%BA%A3ng.jpg" alt="x">"#
        );
        let protocol_relative = SafeHtml::clean(r#"<img src="//cdn.example/a.jpg">"#, Some(&base()));
        assert_eq!(protocol_relative.as_str(), r#"<img src="https://cdn.example/a.jpg">"#);
        assert_eq!(SafeHtml::clean(r#"<img src="a.jpg" alt="b">"#, None).as_str(), r#"<img alt="b">"#);
    }

    #[test]
    fn deep_nesting_becomes_text_at_once() {
        let bomb = format!("{}đáy{}", "<div>".repeat(50_000), "</div>".repeat(50_000));
        assert_eq!(SafeHtml::clean(&bomb, None).as_str(), "<p>đáy</p>\n");
        let disguised = format!("{}đáy", "<div></x>".repeat(50_000));
        assert_eq!(SafeHtml::clean(&disguised, None).as_str(), "<p>đáy</p>\n");
    }

    #[test]
    fn text_becomes_paragraphs_and_back() {
        let html = SafeHtml::from_text("Một <hai> & ba\n\nbốn\nnăm");
        assert_eq!(html.as_str(), "<p>Một &lt;hai&gt; &amp; ba</p>\n<p>bốn<br>năm</p>\n");
        assert_eq!(html.text(), "Một <hai> & ba\n\nbốn\nnăm");
    }

    proptest! {
        #[test]
        fn no_input_yields_a_script(html in "(<|>|/|script|img|onerror=|src=|\"|'|javascript:|&#x0;|[a-z\u{0}-\u{20}]){0,40}") {
            let clean = SafeHtml::clean(&html, Some(&base()));
            prop_assert!(!clean.as_str().contains("<script"));
            prop_assert!(clean.as_str().chars().all(is_allowed_char));
        }
    }
}
