//! XML 1.0 and its namespaces, strictly: feed readers stop at the first ill-formed byte, and
//! lenient parsers (feed-rs takes U+000B) hide that from who tests with them.

use super::{About, Place, Report, quoted, rules, text};
use crate::domain::is_allowed_char;
use encoding_rs::Encoding;
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use std::borrow::Cow;
use std::collections::HashSet;

pub(super) const ATOM: &str = "http://www.w3.org/2005/Atom";
pub(super) const CONTENT: &str = "http://purl.org/rss/1.0/modules/content/";
pub(super) const HISTORY: &str = "http://purl.org/syndication/history/1.0";
pub(super) const TOMBSTONES: &str = "http://purl.org/atompub/tombstones/1.0";
pub(super) const XHTML: &str = "http://www.w3.org/1999/xhtml";
pub(super) const XML: &str = "http://www.w3.org/XML/1998/namespace";
pub(super) const DC: &str = "http://purl.org/dc/elements/1.1/";

/// Namespaces that feed readers know.
const KNOWN: [&str; 30] = [
    ATOM,
    CONTENT,
    HISTORY,
    TOMBSTONES,
    XHTML,
    XML,
    DC,
    "http://purl.org/dc/terms/",
    "http://search.yahoo.com/mrss/",
    "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "https://podcastindex.org/namespace/1.0",
    "http://www.google.com/schemas/play-podcasts/1.0",
    "http://purl.org/rss/1.0/modules/syndication/",
    "http://purl.org/rss/1.0/modules/slash/",
    "http://purl.org/rss/1.0/modules/taxonomy/",
    "http://wellformedweb.org/CommentAPI/",
    "http://purl.org/syndication/thread/1.0",
    "http://www.georss.org/georss",
    "http://www.opengis.net/gml",
    "http://www.w3.org/2003/01/geo/wgs84_pos#",
    "http://backend.userland.com/creativeCommonsRssModule",
    "http://cyber.law.harvard.edu/rss/creativeCommonsRssModule.html",
    "http://a9.com/-/spec/opensearch/1.1/",
    "http://www.w3.org/2007/app",
    "http://www.w3.org/2000/svg",
    "http://www.w3.org/1998/Math/MathML",
    "http://webns.net/mvcb/",
    "http://webfeeds.org/rss/1.0",
    "http://www.smartnews.be/snf",
    "http://source.scripting.com/",
];

/// RSS and Atom nest five deep; the rest is room for XHTML content.
const MAX_DEPTH: usize = 200;
/// An element with more attributes is an attack, not a feed.
const MAX_ATTRIBUTES: usize = 256;

rules! {
    EMPTY: "xml-empty", Error, "XML 1.0 §2.1", "serve the document; an empty answer with status 200 reads as a broken feed";
    BYTES: "xml-bytes", Error, "XML 1.0 §4.3.3", "write the bytes in the encoding that the declaration names, best UTF-8";
    ENCODING: "xml-encoding", Warning, "RFC 7303 §3", "write the document in UTF-8 and say so";
    CHARSET: "xml-charset", Error, "RFC 7303 §3.2", "let the charset of Content-Type and the XML declaration name the same encoding";
    CHARACTER: "xml-character", Error, "XML 1.0 §2.2", "take control characters and U+FFFE/U+FFFF out before writing; one of them makes the whole feed unreadable";
    DISCOURAGED: "xml-character-discouraged", Warning, "XML 1.0 §2.2 note", "take C1 controls and noncharacters out; they are mostly mojibake of Windows quotes";
    SYNTAX: "xml-syntax", Error, "XML 1.0 §2.1", "write the document with an XML writer, so that tags are closed and `<`, `&`, `]]>` are escaped";
    REFERENCE: "xml-reference", Error, "XML 1.0 §4.1", "use only &amp; &lt; &gt; &quot; &apos; and numbers of legal characters";
    PREFIX: "xml-prefix", Error, "Namespaces in XML §5", "declare the prefix with xmlns on the root element";
    DOCTYPE: "xml-doctype", Warning, "XML 1.0 §2.8", "leave the document type declaration out; many readers refuse a feed that has one";
    DEPTH: "xml-depth", Error, "reader practice", "nest less deeply; parsers give up or fall over";
    NAMESPACE_ODD: "xml-namespace-misspelt", Warning, "Namespaces in XML §2.1", "write the namespace's name exactly; readers compare it character by character";
    NAMESPACE_UNKNOWN: "xml-namespace-unknown", Note, "Namespaces in XML §2.1", "nothing, if you know who reads it";
    /// The W3C validator warns of it as unknown (reference/feeds.md §0.9).
    NAMESPACE_TOMBSTONES: "tombstone-namespace", Note, "RFC 6721 §3", "nothing: the W3C validator does not know RFC 6721 and warns, and readers ignore what they do not know";
    UNKNOWN: "feed-unknown", Error, "RSS 2.0, RFC 4287 §4.1.1, JSON Feed 1.1, OPML 2.0", "serve RSS 2.0 (<rss>), Atom (<feed xmlns=\"http://www.w3.org/2005/Atom\">), JSON Feed or OPML (<opml>)";
}

/// An attribute.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) value: String,
}

/// An element with its place.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) attributes: Vec<Attribute>,
    pub(super) children: Vec<Element>,
    /// The text directly in it.
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Element {
    pub(super) fn place(&self) -> Place {
        Place::Line { line: self.line, column: self.column }
    }

    pub(super) fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    /// An attribute without a namespace.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attribute_of("", name)
    }

    pub(super) fn attribute_of(&self, namespace: &str, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|a| a.namespace == namespace && a.name == name);
        found.map(|attribute| attribute.value.as_str())
    }

    pub(super) fn all<'e>(&'e self, namespace: &'e str, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.is(namespace, name))
    }

    pub(super) fn first(&self, namespace: &str, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(namespace, name))
    }

    pub(super) fn trimmed(&self) -> &str {
        self.text.trim()
    }

    /// The element's name as a finding writes it.
    pub(super) fn tag(&self) -> String {
        format!("<{}>", crate::domain::excerpt(&self.name, 40))
    }

    /// The text of it and of everything in it.
    pub(super) fn whole_text(&self) -> String {
        let mut text = self.text.clone();
        for child in &self.children {
            text.push_str(&child.whole_text());
        }
        text
    }
}

/// A well-formed document.
pub(super) struct Document {
    pub(super) root: Element,
}

/// Lines and columns of offsets that only grow.
struct Ruler<'t> {
    text: &'t str,
    offset: usize,
    line: usize,
    column: usize,
}

impl<'t> Ruler<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, offset: 0, line: 1, column: 1 }
    }

    fn at(&mut self, offset: usize) -> Place {
        let (line, column) = self.measure(offset);
        Place::Line { line, column }
    }

    fn measure(&mut self, offset: usize) -> (usize, usize) {
        if let Some(passed) = self.text.get(self.offset..offset) {
            match passed.rfind('\n') {
                Some(last) => {
                    self.line += passed.matches('\n').count();
                    self.column = 1 + passed[last + 1..].chars().count();
                }
                None => self.column += passed.chars().count(),
            }
            self.offset = offset;
        }
        (self.line, self.column)
    }
}

/// Reads a document. `None` where it is not well-formed, or nothing can be said of it.
pub(super) fn read(bytes: &[u8], about: &About, report: &mut Report) -> Option<Document> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        report.add(&EMPTY, Place::Document, "there is nothing in it");
        return None;
    }
    let text = decode(bytes, about, report)?;
    let sound = characters(&text, report);
    let document = parse(&text, report)?;
    namespaces(&document.root, report);
    sound.then_some(document)
}

/// The text in the encoding that the mark, the `Content-Type` or the declaration names, in this
/// order (RFC 7303 §3.2).
fn decode<'b>(bytes: &'b [u8], about: &About, report: &mut Report) -> Option<Cow<'b, str>> {
    let mark = Encoding::for_bom(bytes);
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    let declared = head
        .strip_prefix("<?xml")
        .and_then(|head| head.split("?>").next())
        .and_then(|head| head.split_once("encoding"))
        .and_then(|(_, rest)| {
            rest.trim_start_matches([' ', '=']).split(['"', '\'']).nth(1).map(str::to_owned)
        });
    let told = about.content_type.as_deref().and_then(|value| text::parameter(value, "charset"));
    if let (Some(told), Some(declared)) = (&told, &declared)
        && !told.eq_ignore_ascii_case(declared)
    {
        let what = format!("Content-Type says {}, the XML declaration {}", quoted(told), quoted(declared));
        report.add(&CHARSET, Place::Header("Content-Type"), what);
    }
    let label = told.or(declared).unwrap_or_else(|| "utf-8".to_owned());
    let encoding = match mark {
        Some((encoding, _)) => encoding,
        None => match Encoding::for_label(label.as_bytes()) {
            Some(encoding) => encoding,
            None => {
                report.add(&BYTES, Place::Document, format!("nobody knows the encoding {}", quoted(&label)));
                return None;
            }
        },
    };
    if encoding != encoding_rs::UTF_8 {
        report.add(&ENCODING, Place::Document, format!("it is written in {}", encoding.name()));
    }
    let body = &bytes[mark.map_or(0, |(_, length)| length)..];
    if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(body) {
        return Some(text);
    }
    let valid = std::str::from_utf8(body).map_or_else(|e| e.valid_up_to(), str::len);
    let place = match std::str::from_utf8(&body[..valid]) {
        Ok(before) if encoding == encoding_rs::UTF_8 => Ruler::new(before).at(valid),
        _ => Place::Document,
    };
    report.add(&BYTES, place, format!("there are bytes that are no {}", encoding.name()));
    None
}

/// Whether every character may stand in an XML document.
fn characters(text: &str, report: &mut Report) -> bool {
    let mut ruler = Ruler::new(text);
    let mut sound = true;
    for (offset, c) in text.char_indices().filter(|(_, c)| !is_allowed_char(*c)) {
        let place = ruler.at(offset);
        let name = format!("U+{:04X} stands in the text", u32::from(c));
        if is_char(c) {
            report.add(&DISCOURAGED, place, name);
        } else {
            sound = false;
            report.add(&CHARACTER, place, name);
        }
    }
    sound
}

/// Production `Char` of XML 1.0 §2.2.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Production `NameStartChar` of XML 1.0 §2.3.
fn starts_name(c: char) -> bool {
    matches!(c,
        ':' | '_' | 'A'..='Z' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}'
        | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}'
        | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

/// Production `QName` of Namespaces in XML §4.
fn is_name(name: &str) -> bool {
    let goes_on = |c| {
        starts_name(c)
            || matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
    };
    let part = |part: &str| part.starts_with(starts_name) && part.chars().all(goes_on);
    name.split(':').all(part) && name.matches(':').count() < 2
}

/// Production `S` of XML 1.0 §2.3.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Production `XMLDecl` of XML 1.0 §2.8. quick-xml takes anything that begins like it.
fn is_declaration(text: &str) -> bool {
    let form = concat!(
        r#"^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*("1\.[0-9]+"|'1\.[0-9]+')"#,
        r#"([ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*("[A-Za-z][A-Za-z0-9._-]*"|'[A-Za-z][A-Za-z0-9._-]*'))?"#,
        r#"([ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*("(yes|no)"|'(yes|no)'))?[ \t\r\n]*\?>$"#,
    );
    regex::Regex::new(form).is_ok_and(|form| form.is_match(text))
}

/// Whether a blank stands before each attribute (XML 1.0 §3.1), which quick-xml does not ask for.
fn are_parted(attributes: &str) -> bool {
    let mut rest = attributes;
    while let Some(at) = rest.find(['"', '\'']) {
        let quote = if rest[at..].starts_with('"') { '"' } else { '\'' };
        let Some(end) = rest[at + 1..].find(quote) else { return false };
        rest = &rest[at + end + 2..];
        if !rest.is_empty() && !rest.starts_with(is_blank) {
            return false;
        }
    }
    true
}

/// The tree, or what is wrong with the text.
fn parse(text: &str, report: &mut Report) -> Option<Document> {
    let mut reader = NsReader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut ruler = Ruler::new(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    let mut first = true;
    let mut sound = true;
    loop {
        let start = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                let at = usize::try_from(reader.error_position()).unwrap_or(start);
                let unbound = matches!(error, quick_xml::Error::Namespace(_));
                let rule = if unbound { &PREFIX } else { &SYNTAX };
                report.add(rule, ruler.at(at), quoted(&error.to_string()).trim_matches('`').to_owned());
                return None;
            }
        };
        let mut wrong = |rule, what: String| {
            sound = false;
            report.add(rule, ruler.at(start), what);
        };
        let leaf = matches!(event, Event::Empty(_));
        match event {
            Event::Start(tag) | Event::Empty(tag) => {
                if open.is_empty() && root.is_some() {
                    wrong(&SYNTAX, "there is a second root element".to_owned());
                    return None;
                }
                if open.len() >= MAX_DEPTH {
                    wrong(&DEPTH, format!("elements nest more than {MAX_DEPTH} deep"));
                    return None;
                }
                let mut element = element(&reader, &tag, &mut wrong)?;
                (element.line, element.column) = ruler.measure(start);
                if leaf {
                    close(element, &mut open, &mut root);
                } else {
                    open.push(element);
                }
            }
            Event::End(_) => {
                if let Some(element) = open.pop() {
                    close(element, &mut open, &mut root);
                }
            }
            Event::Text(words) => {
                let words: &str = &words;
                if words.contains("]]>") {
                    wrong(&SYNTAX, "`]]>` stands in the text".to_owned());
                }
                match open.last_mut() {
                    Some(element) => element.text.push_str(words),
                    None if words.trim().is_empty() => {}
                    None => wrong(&SYNTAX, format!("{} stands outside of the root element", quoted(words))),
                }
            }
            Event::CData(words) => match open.last_mut() {
                Some(element) => element.text.push_str(&words),
                None => wrong(&SYNTAX, "a CDATA section stands outside of the root element".to_owned()),
            },
            Event::GeneralRef(reference) => match resolve(&reference) {
                Some(c) if !open.is_empty() => {
                    if let Some(element) = open.last_mut() {
                        element.text.push(c);
                    }
                }
                _ => {
                    wrong(&REFERENCE, format!("nobody knows `&{};`", crate::domain::excerpt(&reference, 40)))
                }
            },
            Event::Decl(_) if !first => {
                wrong(&SYNTAX, "the XML declaration is not the first thing of the document".to_owned());
            }
            Event::Decl(_) => {
                let end = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
                if !is_declaration(text.get(start..end).unwrap_or_default()) {
                    wrong(&SYNTAX, "the XML declaration is malformed".to_owned());
                }
            }
            Event::PI(instruction) => {
                let target = instruction.target();
                let parted = instruction.content().is_empty() || instruction.content().starts_with(is_blank);
                if !is_name(target) || !parted || target.eq_ignore_ascii_case("xml") {
                    wrong(&SYNTAX, format!("{} is no processing instruction", quoted(&instruction)));
                }
            }
            Event::DocType(_) if root.is_some() || !open.is_empty() => {
                wrong(
                    &SYNTAX,
                    "a document type declaration stands after the root element's start".to_owned(),
                );
            }
            Event::DocType(_) => {
                report.add(&DOCTYPE, ruler.at(start), "there is a document type declaration")
            }
            Event::Eof => break,
            Event::Comment(_) => {}
        }
        first = false;
    }
    if let Some(element) = open.last() {
        let what = format!("{} is never closed", quoted(&element.tag()));
        report.add(&SYNTAX, element.place(), what);
        return None;
    }
    if root.is_none() && sound {
        report.add(&SYNTAX, Place::Document, "there is no element in it");
    }
    root.filter(|_| sound).map(|root| Document { root })
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None => *root = Some(element),
    }
}

fn resolve(reference: &str) -> Option<char> {
    match reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = reference.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    u32::from_str_radix(hex, 16).ok()?
                }
                None if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().ok()?,
                _ => return None,
            };
            char::from_u32(code).filter(|c| is_char(*c))
        }
    }
}

/// An attribute's value with its references undone; the first that means nothing instead.
fn unescape(value: &str) -> Result<String, String> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        let reference = rest[at + 1..].split(';').next().unwrap_or_default();
        let closed = rest[at + 1 + reference.len()..].starts_with(';');
        text.push(resolve(reference).filter(|_| closed).ok_or_else(|| reference.to_owned())?);
        rest = &rest[at + reference.len() + 2..];
    }
    text.push_str(rest);
    Ok(text)
}

/// A start tag, or `None` after saying why it cannot be one.
fn element(
    reader: &NsReader<&[u8]>,
    tag: &BytesStart<'_>,
    wrong: &mut impl FnMut(&'static super::Rule, String),
) -> Option<Element> {
    let resolver = reader.resolver();
    let full = tag.name();
    if !is_name(full.as_ref()) {
        wrong(&SYNTAX, format!("{} is no name of an element", quoted(full.as_ref())));
        return None;
    }
    let (namespace, name) = resolver.resolve_element(full);
    let namespace = match namespace {
        ResolveResult::Bound(namespace) => namespace.as_ref().to_owned(),
        ResolveResult::Unbound => String::new(),
        ResolveResult::Unknown(prefix) => {
            wrong(&PREFIX, format!("the prefix {} is not declared", quoted(&prefix)));
            return None;
        }
    };
    let mut element = Element { namespace, name: name.as_ref().to_owned(), ..Element::default() };
    if !are_parted(tag.attributes_raw()) {
        wrong(&SYNTAX, format!("there is no blank between the attributes of {}", quoted(&element.tag())));
        return None;
    }
    for (number, attribute) in tag.attributes().enumerate() {
        if number >= MAX_ATTRIBUTES {
            wrong(&SYNTAX, format!("{} has too many attributes", quoted(&element.tag())));
            return None;
        }
        let attribute = match attribute {
            Ok(attribute) => attribute,
            Err(error) => {
                wrong(&SYNTAX, format!("{}: {error}", quoted(&element.tag())));
                return None;
            }
        };
        let key = attribute.key.as_ref();
        if !is_name(key) || attribute.value.contains('<') {
            wrong(&SYNTAX, format!("{} has a malformed attribute {}", quoted(&element.tag()), quoted(key)));
            return None;
        }
        let value = match unescape(&attribute.value) {
            Ok(value) => value,
            Err(reference) => {
                wrong(&REFERENCE, format!("nobody knows {} in `{key}`", quoted(&format!("&{reference};"))));
                continue;
            }
        };
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let (namespace, name) = resolver.resolve_attribute(attribute.key);
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.as_ref().to_owned(),
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(prefix) => {
                wrong(&PREFIX, format!("the prefix {} is not declared", quoted(&prefix)));
                return None;
            }
        };
        element.attributes.push(Attribute { namespace, name: name.as_ref().to_owned(), value });
    }
    Some(element)
}

/// Names of vocabularies that nobody will recognise, each said once.
fn namespaces(root: &Element, report: &mut Report) {
    let mut said = HashSet::from([""]);
    let mut waiting = vec![root];
    while let Some(element) = waiting.pop() {
        let attributes = element.attributes.iter().map(|a| a.namespace.as_str());
        for namespace in std::iter::once(element.namespace.as_str()).chain(attributes) {
            if !said.insert(namespace) {
                continue;
            }
            let plain = |name: &str| {
                let name = name.to_ascii_lowercase();
                let name = name.trim_start_matches("https").trim_start_matches("http");
                name.replace("://www.", "://").trim_end_matches(['/', '#']).to_owned()
            };
            let place = element.place();
            if namespace == TOMBSTONES {
                report.add(
                    &NAMESPACE_TOMBSTONES,
                    place,
                    format!("{} marks removed entries", quoted(namespace)),
                );
            } else if KNOWN.contains(&namespace) {
            } else if let Some(meant) = KNOWN.iter().find(|known| plain(known) == plain(namespace)) {
                report.add(&NAMESPACE_ODD, place, format!("{} is not `{meant}`", quoted(namespace)));
            } else {
                report.add(&NAMESPACE_UNKNOWN, place, format!("few readers know {}", quoted(namespace)));
            }
        }
        waiting.extend(element.children.iter().rev());
    }
}
