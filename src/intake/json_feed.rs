//! JSON Feed 1.0 and 1.1.

use super::foreign_feed::{Home, Item, image, person, resolve};
use super::json::media_type;
use super::position::offset_in;
use super::{Fault, Intake, plain_line, push_new};
use crate::domain::{Enclosure, LanguageTag, SafeHtml, Source, WebUrl};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

type Object = serde_json::Map<String, Value>;

/// Reads the feed's own fields and its items.
pub fn items(intake: &Intake<'_>, text: &str) -> Result<(Home, Vec<Item>), Fault> {
    let not_json = |error: serde_json::Error| Fault {
        line: Some(error.line()),
        column: Some(error.column()),
        message: format!("this is no JSON Feed: {error}"),
        ..Fault::default()
    };
    let fields: BTreeMap<String, &RawValue> =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(not_json)?;
    let Some(list) = fields.get("items") else {
        return Err(Fault {
            line: Some(1),
            field: Some("items".into()),
            message: "is missing; a JSON Feed lists its items".into(),
            ..Fault::default()
        });
    };
    let list: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(not_json)?;
    let own: Object = fields
        .iter()
        .filter(|(name, _)| *name != "items")
        .filter_map(|(name, raw)| Some((name.clone(), serde_json::from_str(raw.get()).ok()?)))
        .collect();
    let base = intake.base.as_ref();
    let home = Home {
        url: address(&own, "home_page_url", base)
            .or_else(|| address(&own, "feed_url", base))
            .or_else(|| base.cloned()),
        title: line(&own, "title"),
        language: own.get("language").and_then(Value::as_str).and_then(LanguageTag::parse),
        authors: authors(&own),
    };
    let (mut at, mut counted) = (1, 0);
    let items = list.into_iter().map(|raw| {
        let offset = offset_in(text, raw.get());
        at += text.get(counted..offset).map_or(0, |passed| passed.matches('\n').count());
        counted = offset;
        match serde_json::from_str(raw.get()) {
            Ok(object) => item(&object, at, home.url.as_ref()),
            Err(error) => Item { line: Some(at), broken: Some(error.to_string()), ..Item::default() },
        }
    });
    let items = items.collect();
    Ok((home, items))
}

fn text<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    object.get(name).and_then(Value::as_str)
}

fn line(object: &Object, name: &str) -> String {
    text(object, name).map(plain_line).unwrap_or_default()
}

fn address(object: &Object, name: &str, base: Option<&WebUrl>) -> Option<WebUrl> {
    resolve(text(object, name)?, base)
}

fn authors(object: &Object) -> Vec<String> {
    let mut names = Vec::new();
    let many = object.get("authors").and_then(Value::as_array).into_iter().flatten();
    for author in many.chain(object.get("author")) {
        let name = author.as_str().or_else(|| author.get("name")?.as_str());
        name.into_iter().for_each(|name| push_new(&mut names, person(name)));
    }
    names
}

fn item(object: &Object, at: usize, base: Option<&WebUrl>) -> Item {
    let as_html = |text: &str| SafeHtml::from_text(text).as_str().to_owned();
    // "If an id is presented as a number, a JSON Feed reader MUST convert it to a string" (1.1).
    let id = object.get("id").and_then(|id| match id {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    });
    let link = address(object, "url", base).or_else(|| address(object, "external_url", base));
    let mut found = Item {
        line: Some(at),
        link: link.or_else(|| WebUrl::parse(id.as_deref()?).ok()),
        id,
        title: line(object, "title"),
        summary: text(object, "summary").map(as_html),
        content: text(object, "content_html")
            .map(str::to_owned)
            .or_else(|| text(object, "content_text").map(as_html)),
        published: text(object, "date_published").map(str::to_owned),
        updated: text(object, "date_modified").map(str::to_owned),
        authors: authors(object),
        language: text(object, "language").and_then(LanguageTag::parse),
        ..Item::default()
    };
    found.image = address(object, "image", base)
        .or_else(|| address(object, "banner_image", base))
        .and_then(|url| image(url, None));
    own_words(object, base, &mut found);
    for tag in object.get("tags").and_then(Value::as_array).into_iter().flatten() {
        tag.as_str().into_iter().for_each(|tag| push_new(&mut found.categories, plain_line(tag)));
    }
    for file in
        object.get("attachments").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
    {
        if let Some(url) = address(file, "url", base) {
            found.enclosures.push(Enclosure {
                url,
                media_type: media_type(text(file, "mime_type")),
                length: file.get("size_in_bytes").and_then(Value::as_u64).unwrap_or(0),
            });
        }
    }
    found
}

/// What our own feeds say beside the words of JSON Feed, so that one newsroom can take over what
/// another has.
fn own_words(object: &Object, base: Option<&WebUrl>, item: &mut Item) {
    let own = |name: &str| object.get("_bantin")?.get(name)?.as_object();
    if let Some(source) = own("source") {
        let title = line(source, "title");
        let url = address(source, "url", base);
        item.source = (!title.is_empty()).then_some(Source { title, url });
    }
    if let (Some(own), Some(image)) = (own("image"), &mut item.image) {
        let side = |name: &str| own.get(name)?.as_u64()?.try_into().ok().filter(|side: &u32| *side > 0);
        let words = |name: &str| Some(line(own, name)).filter(|words| !words.is_empty());
        (image.width, image.height) = (side("width"), side("height"));
        (image.caption, image.credit) = (words("caption"), words("credit"));
    }
}
