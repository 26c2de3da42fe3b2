//! XML as feeds really are: what is not well-formed is mended where its meaning is plain, and
//! remembered where it is not. No input is an error here; deep nesting is cut off.

use super::blocks::escape;
use crate::domain::is_allowed_char;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Elements nested deeper than this give their text to the one above. RSS and Atom nest 5 deep;
/// the rest is room for XHTML content.
const MAX_DEPTH: usize = 100;

/// What stands in an element.
#[derive(Debug)]
pub enum Node {
    /// Text, with character references undone; HTML's named ones stay as they are.
    Text(String),
    /// An element.
    Element(Element),
}

/// An element.
#[derive(Debug, Default)]
pub struct Element {
    /// Its prefix, in lower case.
    pub prefix: String,
    /// Its name without prefix.
    pub name: String,
    /// Attributes with their full names.
    pub attributes: Vec<(String, String)>,
    /// What stands in it.
    pub children: Vec<Node>,
    /// The line of its start tag.
    pub line: usize,
    /// What is wrong in it.
    pub broken: Option<String>,
}

impl Element {
    /// The elements directly in it.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All text in it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text);
        text
    }

    fn write_text(&self, text: &mut String) {
        for node in &self.children {
            match node {
                Node::Text(t) => text.push_str(t),
                Node::Element(element) => element.write_text(text),
            }
        }
    }

    /// What stands in it as HTML: text alone is taken to be markup already, as RSS escapes it.
    pub fn html(&self) -> String {
        if self.elements().next().is_none() {
            return self.text();
        }
        let mut html = String::new();
        self.write_html(&mut html);
        html
    }

    fn write_html(&self, html: &mut String) {
        for node in &self.children {
            match node {
                Node::Text(text) => html.push_str(&escape(text)),
                Node::Element(element) => {
                    html.push('<');
                    html.push_str(&element.name);
                    for (name, value) in &element.attributes {
                        html.push_str(&format!(" {name}=\"{}\"", escape(value)));
                    }
                    html.push('>');
                    if !matches!(element.name.as_str(), "br" | "img" | "hr" | "input" | "wbr") {
                        element.write_html(html);
                        html.push_str(&format!("</{}>", element.name));
                    }
                }
            }
        }
    }
}

/// Reads a document. `is_item` names the elements whose faults must stay inside of them.
pub fn parse(text: &str, is_item: impl Fn(&str) -> bool) -> Element {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    let mut stack = vec![Element::default()];
    // How many elements too deep for the tree are open.
    let mut beyond = 0_usize;
    let (mut line, mut counted) = (1, 0);
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
        line += text.get(counted..at).map_or(0, |passed| passed.matches('\n').count());
        counted = at;
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                // Everything open is cut short here; what was closed before is whole.
                let message = format!("the XML breaks off at line {line}: {error}");
                for element in &mut stack {
                    element.broken.get_or_insert_with(|| message.clone());
                }
                break;
            }
        };
        match event {
            Event::Start(tag) if beyond > 0 || stack.len() > MAX_DEPTH => {
                beyond += usize::from(!tag.name().as_ref().is_empty());
            }
            Event::Start(tag) => {
                let element = element(&tag, line);
                if is_item(&element.name)
                    && let Some(open) = stack.iter().rposition(|e| is_item(&e.name))
                {
                    let message = format!("`<{}>` is not closed", stack[open].name);
                    stack[open].broken.get_or_insert(message);
                    close_to(&mut stack, open, &is_item);
                }
                stack.push(element);
            }
            Event::Empty(tag) if beyond == 0 => {
                let element = element(&tag, line);
                add(&mut stack, Node::Element(element));
            }
            Event::End(_) if beyond > 0 => beyond -= 1,
            Event::End(tag) => {
                let (prefix, name) = split_name(tag.name().as_ref());
                if let Some(open) = stack.iter().skip(1).rposition(|e| e.name == name && e.prefix == prefix) {
                    close_to(&mut stack, open + 1, &is_item);
                }
            }
            Event::Text(words) => add_text(&mut stack, &words),
            Event::CData(words) => add_text(&mut stack, &words),
            Event::GeneralRef(words) => {
                let named = match &*words {
                    "amp" => Some('&'),
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    // XML wants a small x.
                    reference => match reference.strip_prefix("#X") {
                        Some(digits) => u32::from_str_radix(digits, 16)
                            .ok()
                            .and_then(char::from_u32)
                            .filter(|c| is_allowed_char(*c)),
                        None => words.resolve_char_ref().ok().flatten(),
                    },
                };
                match named {
                    Some(c) => add_text(&mut stack, c.encode_utf8(&mut [0; 4])),
                    None if words.is_char_ref() => {}
                    None => add_text(&mut stack, &format!("&{};", &*words)),
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    close_to(&mut stack, 1, &is_item);
    stack.pop().unwrap_or_default()
}

fn split_name(name: &str) -> (String, String) {
    let name = name.trim();
    match name.split_once(':') {
        Some((prefix, local)) => (prefix.to_ascii_lowercase(), local.to_owned()),
        None => (String::new(), name.to_owned()),
    }
}

fn element(tag: &BytesStart<'_>, line: usize) -> Element {
    let (prefix, name) = split_name(tag.name().as_ref());
    let mut attributes = Vec::new();
    // A page of attributes is an attack, not a feed.
    for attribute in tag.html_attributes().with_checks(false).flatten().take(64) {
        let raw: &str = &attribute.value;
        let value = quick_xml::escape::unescape(raw)
            .map_or_else(|_| raw.replace("&amp;", "&").replace("&quot;", "\""), std::borrow::Cow::into_owned);
        attributes.push((attribute.key.as_ref().to_owned(), value));
    }
    Element { prefix, name, attributes, line, ..Element::default() }
}

fn add(stack: &mut [Element], node: Node) {
    if let Some(open) = stack.last_mut() {
        open.children.push(node);
    }
}

fn add_text(stack: &mut [Element], words: &str) {
    let Some(open) = stack.last_mut() else { return };
    if let Some(Node::Text(text)) = open.children.last_mut() {
        text.push_str(words);
    } else {
        open.children.push(Node::Text(words.to_owned()));
    }
}

/// Closes the element at a place of the stack, and with it what stands open above. The item it
/// stands in remembers that something was never closed.
fn close_to(stack: &mut Vec<Element>, open: usize, is_item: &impl Fn(&str) -> bool) {
    while stack.len() > open.max(1) {
        let Some(element) = stack.pop() else { return };
        let unclosed = stack.len() > open && !is_item(&element.name);
        if unclosed
            && !matches!(element.name.as_str(), "br" | "img" | "hr" | "p" | "li")
            && let Some(item) = stack.iter_mut().rev().find(|e| is_item(&e.name))
        {
            let message = format!("`<{}>` (line {}) is not closed", element.name, element.line);
            item.broken.get_or_insert(message);
        }
        add(stack, Node::Element(element));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(xml: &str) -> Vec<(String, bool)> {
        let tree = parse(xml, |name| name == "item");
        let root = tree.elements().next().unwrap();
        root.elements().map(|e| (e.text(), e.broken.is_some())).collect()
    }

    #[test]
    fn what_is_plainly_meant_is_mended() {
        let whole = |text: &str| vec![(text.to_owned(), false)];
        assert_eq!(
            items("<r><item>a & b &amp; c&nbsp;d &#7877;&#X41;</item></r>"),
            whole("a & b & c&nbsp;d ễA")
        );
        assert_eq!(items("<r><item><l>x?a=1&b=2</l></item></r>"), whole("x?a=1&b=2"));
        assert_eq!(items("<r><item>a</br>b<![CDATA[<c>]]></item></r>"), whole("ab<c>"));
        assert_eq!(items("<r><item>a</item>"), whole("a"));
    }

    #[test]
    fn what_is_broken_stays_inside_its_item() {
        let found = items("<r><item>a</item><item><t>b</x></item><item>c<item>d</item><item>e");
        let broken: Vec<bool> = found.iter().map(|(_, broken)| *broken).collect();
        assert_eq!(broken[..4], [false, true, true, false], "{found:?}");
        let (xml, last) = ("<r><item>a</item><item>b <!-- ", 1);
        assert!(items(xml)[last].1);
    }

    #[test]
    fn depth_and_lines_are_kept() {
        let deep = format!("<r>{}x{}</r>", "<a>".repeat(100_000), "</a>".repeat(100_000));
        assert_eq!(parse(&deep, |_| false).text(), "x");
        assert_eq!(parse("\n\n<r>\n<item/></r>", |_| true).elements().next().unwrap().line, 3);
    }

    #[test]
    fn markup_comes_back_as_html() {
        let tree = parse("<c><div a='\"'>x &lt; y<br/></div></c>", |_| false);
        assert_eq!(tree.elements().next().unwrap().html(), "<div a=\"&quot;\">x &lt; y<br></div>");
        let escaped = parse("<c>&lt;p&gt;x&lt;/p&gt;</c>", |_| false);
        assert_eq!(escaped.elements().next().unwrap().html(), "<p>x</p>");
    }
}
