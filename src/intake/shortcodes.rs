//! The short codes of content systems: what of them is text, a picture or a link stays, the rest goes.

use super::blocks::escape;

/// Codes that may stand without attributes. Others without any are an author's brackets: `[sic]`.
const BARE: [&str; 16] = [
    "caption", "gallery", "embed", "audio", "video", "playlist", "more", "toc", "row", "column", "tab",
    "tabs", "toggle", "quote", "box", "button",
];

/// WordPress's codes: captions become figures, films and recordings links.
pub fn without_shortcodes(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        clean.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(code) = Code::read(rest) else {
            clean.push('[');
            rest = &rest[1..];
            continue;
        };
        rest = &rest[code.length..];
        let inner = (!code.closes).then(|| rest.split_once(&format!("[/{}]", code.name))).flatten();
        match (code.name, inner) {
            ("caption", Some((inner, after))) => {
                let picture_end = inner.rfind('>').map_or(0, |end| end + 1);
                let words = code.value("caption").unwrap_or_else(|| inner[picture_end..].trim());
                clean.push_str(&format!(
                    "<figure>{}<figcaption>{words}</figcaption></figure>",
                    &inner[..picture_end]
                ));
                rest = after;
            }
            ("embed", Some((inner, after))) => {
                clean.push_str(&link(inner.trim()));
                rest = after;
            }
            ("gallery" | "playlist", _) => {}
            ("audio" | "video", inner) => {
                let source =
                    ["mp4", "mp3", "src", "m4a", "webm", "ogg"].iter().find_map(|name| code.value(name));
                clean.push_str(&source.map(link).unwrap_or_default());
                rest = inner.map_or(rest, |(_, after)| after);
            }
            _ => {}
        }
    }
    clean.push_str(rest);
    let lines = clean
        .split('\n')
        .map(|line| if is_address(line.trim()) { link(line.trim()) } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\n")
}

/// An address alone on its line is a film to WordPress.
fn is_address(line: &str) -> bool {
    (line.starts_with("https://") || line.starts_with("http://")) && !line.contains([' ', '<', '"'])
}

fn link(address: &str) -> String {
    let address = escape(&address.replace("&amp;", "&"));
    format!("<a href=\"{address}\">{address}</a>")
}

struct Code<'t> {
    name: &'t str,
    attributes: &'t str,
    closes: bool,
    length: usize,
}

impl<'t> Code<'t> {
    /// Reads one at the beginning of a text.
    fn read(text: &'t str) -> Option<Self> {
        const LONGEST: usize = 2_000;
        let end = text.bytes().take(LONGEST).position(|b| b == b']')?;
        let inner = &text[1..end];
        let closes = inner.starts_with('/');
        let inner = inner.trim_start_matches('/').trim_end_matches('/').trim_end();
        let name_end =
            inner.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-')));
        let (name, attributes) = inner.split_at(name_end.unwrap_or(inner.len()));
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase());
        let is_code = attributes.starts_with(' ') && attributes.contains('=')
            || attributes.is_empty()
                && (BARE.contains(&name) || name.contains('_') || (closes && name.len() > 2));
        (is_name && is_code).then_some(Self { name, attributes, closes, length: end + 1 })
    }

    fn value(&self, name: &str) -> Option<&'t str> {
        let after = self.attributes.split(&format!(" {name}=") as &str).nth(1)?;
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        after[1..].split(quote).next().filter(|value| !value.is_empty())
    }
}
