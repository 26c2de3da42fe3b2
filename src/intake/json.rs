//! Articles as JSON: the object of CONTRACT.md, alone, in an array, in `{"articles": […]}`, or
//! one a line.

use super::position::{offset_in, position};
use super::{
    Arrival, Fault, Intake, Warning, dates, decode, foreign_feed, identity, mend_eth, plain_line, push_new,
};
use crate::domain::{
    CategoryName, Draft, Enclosure, IdentityKey, Image, Instant, LanguageTag, SafeHtml, Source, WebUrl,
    clean_line, clean_paragraphs, excerpt,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

type Fields<'j> = BTreeMap<String, &'j RawValue>;

/// The JSON Schema of an article's object, for whoever writes one.
pub const ARTICLE_SCHEMA: &str = include_str!("article.schema.json");

/// Reads a JSON file. What is broken in one article leaves the others alone.
pub fn read(intake: &Intake<'_>, bytes: &[u8]) -> Vec<Result<Arrival, Fault>> {
    let mut warnings = Vec::new();
    let text = match decode::decode(bytes, &mut warnings) {
        Ok(text) => text,
        Err(fault) => return vec![Err(fault)],
    };
    let start = text.len() - text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').len();
    let list = match text.as_bytes().get(start) {
        Some(b'[') => start,
        Some(b'{') => match serde_json::from_str::<Fields<'_>>(&text[start..]) {
            Ok(fields) if fields.contains_key("items") && fields.contains_key("version") => {
                return foreign_feed::read(intake, bytes);
            }
            Ok(fields) => match fields.get("articles").filter(|a| a.get().starts_with('[')) {
                Some(articles) => offset_in(&text, articles.get()),
                None => return vec![read_item(intake, &text[start..], position(&text, start), warnings)],
            },
            // The object as a whole is broken; its articles may be whole.
            Err(_) => match articles_of_broken(&text[start..]) {
                Some(at) => start + at,
                None => return vec![read_item(intake, &text[start..], position(&text, start), warnings)],
            },
        },
        _ => return vec![Err(Fault::new(1, "this is not JSON: it must begin with `{` or `[`"))],
    };
    // Counted on from item to item: a file may be one line of many megabytes.
    let (mut line, mut column) = position(&text, list);
    let mut read_to = list;
    let mut items = Vec::new();
    for item in items_of(&text, list) {
        let passed = &text[read_to..item.start];
        line += passed.matches('\n').count();
        column = match passed.rfind('\n') {
            Some(end) => passed[end..].chars().count(),
            None => column + passed.chars().count(),
        };
        read_to = item.start;
        items.push(read_item(intake, &text[item], (line, column), std::mem::take(&mut warnings)));
    }
    if items.is_empty() {
        items.push(Err(Fault::new(line, "the list has no article in it")));
    }
    items
}

/// Reads JSONL. Blank lines are no items.
pub fn read_lines(intake: &Intake<'_>, bytes: &[u8]) -> Vec<Result<Arrival, Fault>> {
    let items: Vec<_> = bytes
        .split(|b| *b == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace))
        .map(|(at, line)| read_json_line(intake, at + 1, line))
        .collect();
    if items.is_empty() { vec![Err(Fault::new(1, "the input has no article in it"))] } else { items }
}

/// Reads one line of JSONL.
pub fn read_json_line(intake: &Intake<'_>, line_number: usize, line: &[u8]) -> Result<Arrival, Fault> {
    let at_line = |mut fault: Fault| {
        fault.line = Some(line_number);
        fault
    };
    let mut warnings = Vec::new();
    let text = decode::decode(line, &mut warnings).map_err(at_line)?;
    warnings.iter_mut().for_each(|w| w.line = Some(line_number));
    let indent = text.chars().take_while(|c| c.is_whitespace()).count();
    read_item(intake, text.trim(), (line_number, indent + 1), warnings)
}

/// Whether the first line is a whole object and another one follows.
pub fn is_json_lines(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|b| *b == b'\n').filter(|l| !l.iter().all(u8::is_ascii_whitespace));
    let object = |line: &[u8]| line.trim_ascii().starts_with(b"{") && line.trim_ascii().ends_with(b"}");
    matches!((lines.next(), lines.next()), (Some(a), Some(b)) if object(a) && b.trim_ascii().starts_with(b"{"))
}

/// Where the list begins in `{"articles": [` of an object that cannot be parsed.
fn articles_of_broken(text: &str) -> Option<usize> {
    let after = text.strip_prefix('{')?.trim_start().strip_prefix("\"articles\"")?.trim_start();
    let list = after.strip_prefix(':')?.trim_start();
    list.starts_with('[').then(|| offset_in(text, list))
}

/// The byte ranges of a list's items. Only brackets and strings are looked at, so that an item
/// with a fault in it is still one item.
fn items_of(text: &str, list: usize) -> Vec<std::ops::Range<usize>> {
    let bytes = text.as_bytes();
    let (mut items, mut start) = (Vec::new(), None);
    let (mut depth, mut in_string, mut at) = (0_usize, false, list + 1);
    while at < bytes.len() {
        let byte = bytes[at];
        if in_string {
            match byte {
                b'\\' => at += 1,
                b'"' => in_string = false,
                // No string of JSON runs over a line's end: a quote too many must not eat the file.
                b'\n' => {
                    in_string = false;
                    let before = text[..at].trim_end();
                    if depth > 0 && before.trim_end_matches(',').ends_with('}') {
                        depth -= 1;
                        if depth == 0 && before.ends_with(',') {
                            items.extend(start.take().map(|s| s..before.len() - 1));
                        }
                    }
                }
                _ => {}
            }
        } else {
            match byte {
                b',' if depth == 0 => {
                    items.extend(start.take().map(|s| s..at));
                    at += 1;
                    continue;
                }
                b']' if depth == 0 => break,
                _ => {}
            }
            if !byte.is_ascii_whitespace() && start.is_none() {
                start = Some(at);
            }
            match byte {
                b'"' => in_string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        at += 1;
    }
    let end = at.min(bytes.len());
    items.extend(start.map(|s| s..end));
    items
}

/// An article's object, with the place it stands at.
struct Item<'j, 'i> {
    intake: &'i Intake<'i>,
    text: &'j str,
    fields: Fields<'j>,
    first: (usize, usize),
    warnings: Vec<Warning>,
}

/// A place in an item as a place in the file, by where the item begins.
fn in_file(first: (usize, usize), (line, column): (usize, usize)) -> (usize, usize) {
    (first.0 + line - 1, if line == 1 { first.1 + column - 1 } else { column })
}

/// The place of a fault. serde_json counts bytes, people count letters.
fn place_of(error: &serde_json::Error, text: &str) -> (usize, usize) {
    let number = error.line().max(1);
    let line = text.split('\n').nth(number - 1).unwrap_or_default();
    (number, position(line, error.column().saturating_sub(1)).1)
}

fn read_item(
    intake: &Intake<'_>,
    text: &str,
    first: (usize, usize),
    warnings: Vec<Warning>,
) -> Result<Arrival, Fault> {
    if !text.starts_with('{') {
        return Err(Fault::new(first.0, "an article must be a JSON object: `{\"title\": …}`"));
    }
    let fields = serde_json::from_str(text).map_err(|error| {
        let (line, column) = in_file(first, place_of(&error, text));
        let message = format!("this is not JSON: {}", without_place(&error));
        Fault { line: Some(line), column: Some(column), message, ..Fault::default() }
    })?;
    Item { intake, text, fields, first, warnings }.article()
}

/// serde_json's message without its own " at line 1 column 2", which counts from the item.
fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.rfind(" at line ").map_or(message.clone(), |at| message[..at].to_owned())
}

/// What an article's object may say, as [`ARTICLE_SCHEMA`] tells.
pub const ARTICLE_FIELDS: [&str; 16] = [
    "external_id",
    "url",
    "title",
    "summary",
    "content_html",
    "content_text",
    "categories",
    "tags",
    "authors",
    "published",
    "updated",
    "image",
    "enclosures",
    "source",
    "language",
    "significant",
];

/// What is wrong with an item: all of it is told at once.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    /// Of a list with a thousand mistakes these are enough.
    const MOST: usize = 20;

    fn note(&mut self, fault: Fault) {
        if self.0.len() < Self::MOST {
            self.0.push(fault);
        }
    }

    fn sound<T>(&mut self, read: Result<T, Fault>) -> Option<T> {
        read.map_err(|fault| self.note(fault)).ok()
    }

    fn end(self) -> Result<(), Fault> {
        let mut faults = self.0.into_iter();
        let Some(first) = faults.next() else { return Ok(()) };
        Err(Fault { more: faults.collect(), ..first })
    }
}

impl<'j> Item<'j, '_> {
    fn article(mut self) -> Result<Arrival, Fault> {
        self.tell_unknown();
        let mut faults = Faults::default();
        let title = faults.sound(self.text_field("title"));
        let mut draft = match title.map(|title| Draft::titled(&plain_line(&title.unwrap_or_default()))) {
            Some(Some(draft)) => draft,
            wrong => {
                if wrong.is_some() {
                    faults.note(self.fault("title", "is missing or empty; every article needs a headline"));
                }
                // What else is wrong is told as well.
                Draft::titled("…").ok_or_else(|| Fault::new(self.first.0, "has no title"))?
            }
        };
        let base = self.intake.base.clone();
        draft.url = faults.sound(self.url("url", base.as_ref())).flatten();
        let summary = faults.sound(self.text_field("summary"));
        let body = faults.sound(self.body(draft.url.as_ref().or(base.as_ref())));
        let may_have_text = body.as_ref().is_none_or(|body| !body.is_empty()) || summary.is_none();
        draft.summary = summary.flatten().map(|s| mend_eth(&clean_paragraphs(&s))).filter(|s| !s.is_empty());
        if !may_have_text && draft.summary.is_none() {
            let message = "is missing; give `content_html`, `content_text` or `summary`";
            faults.note(self.fault("content_html", message));
        }
        draft.body = body.unwrap_or_default();
        let categories = faults.sound(self.names("categories")).unwrap_or_default();
        draft.categories = categories.into_iter().map(CategoryName).collect();
        if draft.categories.is_empty() {
            draft.categories.extend(self.intake.category.clone());
        }
        draft.tags = faults.sound(self.names("tags")).unwrap_or_default();
        draft.authors = faults.sound(self.names("authors")).unwrap_or_default();
        draft.published = faults.sound(self.instant("published")).flatten();
        draft.updated = faults.sound(self.instant("updated")).flatten();
        let beside = draft.url.clone().or(base);
        draft.image = faults.sound(self.image(beside.as_ref())).flatten();
        draft.enclosures = self.enclosures(beside.as_ref(), &mut faults);
        draft.source = faults.sound(self.source(beside.as_ref())).flatten();
        draft.language = faults.sound(self.language()).flatten();
        draft.significant =
            faults.sound(self.typed::<bool>("significant", "true or false")).flatten().unwrap_or(true);
        let external = faults.sound(self.external_id()).flatten();
        faults.end()?;
        draft.keys = identity(&draft, external.map(|id| IdentityKey::external("api", &id)));
        Ok(Arrival { draft, warnings: self.warnings, guesses: Vec::new() })
    }

    fn language(&self) -> Result<Option<LanguageTag>, Fault> {
        let Some(tag) = self.text_field("language")? else { return Ok(None) };
        let message = || format!("`{}` is no language tag; write `vi` or `en-GB`", clean_line(&tag));
        LanguageTag::parse(&tag).map(Some).ok_or_else(|| self.fault("language", &message()))
    }

    fn external_id(&self) -> Result<Option<String>, Fault> {
        let id = match self.fields.get("external_id").map(|raw| raw.get()) {
            None | Some("null") => None,
            // Many stores number their articles.
            Some(number) if number.parse::<i64>().is_ok() => Some(number.to_owned()),
            Some(_) => self.text_field("external_id")?,
        };
        Ok(id.map(|id| clean_line(&id)).filter(|id| !id.is_empty()))
    }

    /// One warning for all of them: an object may have any number.
    fn tell_unknown(&mut self) {
        let unknown: Vec<(&String, &&RawValue)> =
            self.fields.iter().filter(|(name, _)| !ARTICLE_FIELDS.contains(&name.as_str())).collect();
        let Some((_, first)) = unknown.iter().min_by_key(|(_, raw)| raw.get().as_ptr() as usize) else {
            return;
        };
        let line = self.place(first).0;
        let mut names: Vec<_> =
            unknown.iter().take(5).map(|(name, _)| format!("`{}`", excerpt(name, 40))).collect();
        if unknown.len() > names.len() {
            names.push(format!("{} more", unknown.len() - names.len()));
        }
        let message = match unknown.len() {
            1 => format!("the field {} is not known and was left out", names.join("")),
            _ => format!("the fields {} are not known and were left out", names.join(", ")),
        };
        self.warnings.push(Warning::new(line, message));
    }

    fn place(&self, raw: &RawValue) -> (usize, usize) {
        in_file(self.first, position(self.text, offset_in(self.text, raw.get())))
    }

    fn fault(&self, field: &str, message: &str) -> Fault {
        let top = field.split(['.', '[']).next().unwrap_or_default();
        let place = self.fields.get(top).map(|raw| self.place(raw));
        Fault {
            line: Some(place.map_or(self.first.0, |p| p.0)),
            column: place.map(|p| p.1),
            field: Some(field.to_owned()),
            message: message.to_owned(),
            ..Fault::default()
        }
    }

    /// A field's value; `null` is as good as no field.
    fn typed<T: DeserializeOwned>(&self, name: &str, wanted: &str) -> Result<Option<T>, Fault> {
        let Some(raw) = self.fields.get(name).filter(|raw| raw.get() != "null") else { return Ok(None) };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|error| self.fault(name, &format!("must be {wanted} ({})", without_place(&error))))
    }

    fn text_field(&self, name: &str) -> Result<Option<String>, Fault> {
        self.typed(name, "a text in quotes")
    }

    fn url(&self, name: &str, base: Option<&WebUrl>) -> Result<Option<WebUrl>, Fault> {
        let Some(text) = self.text_field(name)?.filter(|t| !t.trim().is_empty()) else { return Ok(None) };
        self.web_url(name, &text, base).map(Some)
    }

    fn web_url(&self, name: &str, text: &str, base: Option<&WebUrl>) -> Result<WebUrl, Fault> {
        let url = base.map_or_else(|| WebUrl::parse(text), |base| base.join(text));
        url.map_err(|error| self.fault(name, &clean_line(&error.to_string())))
    }

    fn body(&self, base: Option<&WebUrl>) -> Result<SafeHtml, Fault> {
        if let Some(html) = self.text_field("content_html")? {
            return Ok(SafeHtml::clean(&html, base));
        }
        Ok(self
            .text_field("content_text")?
            .map(|text| SafeHtml::from_text(&mend_eth(&text)))
            .unwrap_or_default())
    }

    /// A list of names. One name alone, and objects with a `name` as JSON Feed has them, will do.
    fn names(&self, field: &str) -> Result<Vec<String>, Fault> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Name {
            Plain(String),
            Object { name: String },
        }
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Names {
            One(String),
            Many(Vec<Name>),
        }
        let mut names = Vec::new();
        match self.typed(field, "a list of names, like [\"Xây dựng Đảng\"]")? {
            None => {}
            Some(Names::One(name)) => push_new(&mut names, plain_line(&name)),
            Some(Names::Many(many)) => {
                for name in many {
                    let (Name::Plain(name) | Name::Object { name }) = name;
                    push_new(&mut names, plain_line(&name));
                }
            }
        }
        Ok(names)
    }

    fn instant(&mut self, name: &str) -> Result<Option<Instant>, Fault> {
        let Some(text) = self.text_field(name)? else { return Ok(None) };
        let Some((instant, assumed)) = dates::machine_date(self.intake.rules, &text, self.intake.zone) else {
            let said = excerpt(&text, 60);
            return Err(
                self.fault(name, &format!("`{said}` is no date; write it like 2024-04-04T04:30:00+07:00"))
            );
        };
        if assumed {
            let line = self.fields.get(name).map(|raw| self.place(raw).0);
            let message = format!(
                "`{name}` has no zone; it was read in {}. Write it like 2024-04-04T04:30:00+07:00",
                self.intake.zone
            );
            self.warnings.push(Warning::new(line, message));
        }
        Ok(Some(instant))
    }

    fn image(&self, base: Option<&WebUrl>) -> Result<Option<Image>, Fault> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Given {
            Url(String),
            Object {
                url: String,
                width: Option<u32>,
                height: Option<u32>,
                caption: Option<String>,
                credit: Option<String>,
            },
        }
        let wanted = "an object with a `url`, and `width` and `height` in whole pixels";
        let line = |text: Option<String>| text.map(|t| plain_line(&t)).filter(|t| !t.is_empty());
        Ok(match self.typed("image", wanted)? {
            None => None,
            Some(Given::Url(url)) => Some(Image {
                url: self.web_url("image", &url, base)?,
                width: None,
                height: None,
                caption: None,
                credit: None,
            }),
            Some(Given::Object { url, width, height, caption, credit }) => Some(Image {
                url: self.web_url("image.url", &url, base)?,
                width: width.filter(|w| *w > 0),
                height: height.filter(|h| *h > 0),
                caption: line(caption),
                credit: line(credit),
            }),
        })
    }

    fn enclosures(&self, base: Option<&WebUrl>, faults: &mut Faults) -> Vec<Enclosure> {
        #[derive(serde::Deserialize)]
        struct Given {
            url: String,
            #[serde(rename = "type")]
            media_type: Option<String>,
            length: Option<u64>,
        }
        let wanted = "a list of objects with `url`, `type` and `length` in bytes";
        let given: Option<Vec<Given>> = faults.sound(self.typed("enclosures", wanted)).flatten();
        let read = given.into_iter().flatten().enumerate().filter_map(|(at, given)| {
            let url = self.web_url(&format!("enclosures[{at}].url"), &given.url, base);
            Some(Enclosure {
                url: faults.sound(url)?,
                media_type: media_type(given.media_type.as_deref()),
                length: given.length.unwrap_or(0),
            })
        });
        read.collect()
    }

    fn source(&self, base: Option<&WebUrl>) -> Result<Option<Source>, Fault> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Given {
            Title(String),
            Object { title: String, url: Option<String> },
        }
        let (title, url) = match self.typed("source", "an object with a `title`")? {
            None => return Ok(None),
            Some(Given::Title(title)) => (title, None),
            Some(Given::Object { title, url }) => (title, url),
        };
        let url = url.map(|url| self.web_url("source.url", &url, base)).transpose()?;
        let title = plain_line(&title);
        Ok((!title.is_empty()).then_some(Source { title, url }))
    }
}

/// A media type, or the one of unknown bytes (RFC 2046 §4.5.1).
pub fn media_type(text: Option<&str>) -> String {
    let text = text.map(|t| t.trim().to_ascii_lowercase()).unwrap_or_default();
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    match text.split(';').next().unwrap_or_default().trim().split_once('/') {
        Some((kind, name)) if token(kind) && token(name) => format!("{kind}/{name}"),
        _ => "application/octet-stream".to_owned(),
    }
}
