//! Feeds of others: RSS 0.9x, 1.0 and 2.0, Atom 1.0 and 0.3, JSON Feed.
//!
//! Read with a tolerant tree of our own and not with feed-rs 3.0: that one gives up the whole feed
//! for one bad entity, invents ids where there are none, and panics on an `<author>` such as
//! `“a@b.vn` (tried; it cuts the name inside of a letter).

use super::{
    Arrival, Fault, Intake, Warning, dates, decode, identity, json_feed, mend_eth, plain_line, xml_feed,
};
use crate::domain::{
    CategoryName, Draft, Enclosure, IdentityKey, Image, LanguageTag, SafeHtml, Source, WebUrl, clean_line,
    excerpt, fold,
};

/// What a feed says of itself, and what every item may inherit.
#[derive(Default)]
pub struct Home {
    /// The page that the feed is of.
    pub url: Option<WebUrl>,
    /// Its title.
    pub title: String,
    /// Its language.
    pub language: Option<LanguageTag>,
    /// Its authors.
    pub authors: Vec<String>,
}

/// An item, in whatever format it came.
#[derive(Default)]
pub struct Item {
    /// Where it stands in the file.
    pub line: Option<usize>,
    /// What the feed calls it.
    pub id: Option<String>,
    /// Its headline, plain.
    pub title: String,
    /// Its page.
    pub link: Option<WebUrl>,
    /// Its description, as HTML.
    pub summary: Option<String>,
    /// Its full text, as HTML.
    pub content: Option<String>,
    /// When it was published, as written.
    pub published: Option<String>,
    /// When it was changed, as written.
    pub updated: Option<String>,
    /// Its writers.
    pub authors: Vec<String>,
    /// Its sections.
    pub categories: Vec<String>,
    /// Its picture.
    pub image: Option<Image>,
    /// Its files.
    pub enclosures: Vec<Enclosure>,
    /// Where the feed took it from.
    pub source: Option<Source>,
    /// Its language.
    pub language: Option<LanguageTag>,
    /// What is wrong with its markup.
    pub broken: Option<String>,
}

/// Reads a feed.
pub fn read(intake: &Intake<'_>, bytes: &[u8]) -> Vec<Result<Arrival, Fault>> {
    let mut warnings = Vec::new();
    let text = match decode::decode(bytes, &mut warnings) {
        Ok(text) => text,
        Err(fault) => return vec![Err(fault)],
    };
    let found = match text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').starts_with('{')
    {
        true => json_feed::items(intake, &text),
        false => xml_feed::items(intake, &text),
    };
    let (home, items) = match found {
        Ok(found) => found,
        Err(fault) => return vec![Err(fault)],
    };
    if items.is_empty() {
        return vec![Err(Fault::new(1, "the feed has no item in it"))];
    }
    let keys: Vec<_> = items.iter().map(|item| (keys_of(intake, &home, item), fold(&item.title))).collect();
    let mut taken: std::collections::HashMap<&IdentityKey, Option<&str>> = std::collections::HashMap::new();
    for (keys, title) in &keys {
        for key in keys {
            let said = taken.entry(key).or_insert(Some(title));
            // One key with two headlines names no article; feeds put their home page everywhere.
            if said.is_some_and(|said| said != title) {
                *said = None;
            }
        }
    }
    let read_one = |(item, (keys, _)): (Item, &(Vec<IdentityKey>, String))| {
        let sound = keys.iter().filter(|key| taken.get(key).is_some_and(Option::is_some)).cloned().collect();
        article(intake, &home, item, sound)
    };
    let mut read: Vec<_> = items.into_iter().zip(&keys).map(read_one).collect();
    if let Some(Ok(first)) = read.iter_mut().find(|r| r.is_ok()) {
        first.warnings.splice(0..0, warnings);
    }
    read
}

/// The id under the feed's home, then the address.
fn keys_of(intake: &Intake<'_>, home: &Home, item: &Item) -> Vec<IdentityKey> {
    let host = home.url.as_ref().or(intake.base.as_ref()).or(item.link.as_ref()).map(WebUrl::host);
    let system = host.map_or(home.title.as_str(), |host| host.strip_prefix("www.").unwrap_or(host));
    let system = if system.is_empty() { "feed" } else { system };
    let id = item.id.as_deref().map(clean_line).filter(|id| !id.is_empty());
    let page = item.link.as_ref().map(IdentityKey::url);
    let page = page.filter(|page| home.url.as_ref().map(IdentityKey::url).as_ref() != Some(page));
    id.map(|id| IdentityKey::external(system, &id)).into_iter().chain(page).collect()
}

fn article(intake: &Intake<'_>, home: &Home, item: Item, keys: Vec<IdentityKey>) -> Result<Arrival, Fault> {
    if let Some(broken) = &item.broken {
        return Err(Fault::new(
            item.line,
            format!("this item is not well-formed: {}; it was left out", clean_line(broken)),
        ));
    }
    let Some(mut draft) = Draft::titled(&item.title) else {
        let message = match &item.link {
            Some(link) => format!("the item `{link}` has no title; it was left out"),
            None => "this item has neither title nor link; it was left out".to_owned(),
        };
        return Err(Fault::new(item.line, message));
    };
    let mut warnings = Vec::new();
    let base = item.link.as_ref().or(home.url.as_ref()).or(intake.base.as_ref());
    let clean = |html: &Option<String>| {
        html.as_deref().map(|html| SafeHtml::clean(&mend_eth(html), base)).unwrap_or_default()
    };
    let (summary, content) = (clean(&item.summary), clean(&item.content));
    draft.image = item.image.or_else(|| first_image(&summary)).or_else(|| first_image(&content));
    let lead = crate::domain::clean_paragraphs(&summary.text());
    if content.is_empty() && is_full_text(&summary, &lead) {
        draft.body = summary;
    } else {
        draft.summary = (!lead.is_empty()).then(|| {
            super::blocks::without_prefix(
                intake.rules,
                &lead.replace("\n\n", "\n"),
                item.link.as_ref().map_or("", WebUrl::as_str),
            )
        });
        draft.body = content;
    }
    let mut instant = |text: &Option<String>, what: &str| {
        let text = text.as_deref().map(clean_line).filter(|text| !text.is_empty())?;
        let found = dates::machine_date(intake.rules, &text, intake.zone);
        match found {
            None => warnings.push(Warning::new(
                item.line,
                format!("the {what} date `{}` cannot be read and was left out", excerpt(&text, 60)),
            )),
            Some((_, true)) => warnings.push(Warning::new(
                item.line,
                format!("the {what} date `{text}` has no zone; it was read in {}", intake.zone),
            )),
            Some(_) => {}
        }
        found.map(|(instant, _)| instant)
    };
    let updated = instant(&item.updated, "updated");
    draft.published = instant(&item.published, "published").or(updated);
    draft.updated = updated.filter(|updated| draft.published.is_some_and(|published| published < *updated));
    draft.url = item.link;
    draft.authors = if item.authors.is_empty() { home.authors.clone() } else { item.authors };
    draft.categories = item.categories.into_iter().map(CategoryName).collect();
    if draft.categories.is_empty() {
        draft.categories.extend(intake.category.clone());
    }
    draft.enclosures = item.enclosures;
    draft.source = item.source;
    draft.language = item.language.or_else(|| home.language.clone());
    draft.keys = if keys.is_empty() {
        // Only what is left out of the keys: a shared address is no identity.
        identity(&Draft { url: None, ..draft.clone() }, None)
    } else {
        keys
    };
    if draft.body.is_empty() && draft.summary.is_none() {
        warnings.push(Warning::new(
            item.line,
            "the item has neither text nor description; it comes in as a headline",
        ));
    }
    Ok(Arrival { draft, warnings, guesses: Vec::new() })
}

/// Whether a description is the text itself: several paragraphs, or longer than any lead seen.
fn is_full_text(html: &SafeHtml, text: &str) -> bool {
    const LONGEST_LEAD: usize = 1_200;
    html.as_str().matches("<p").count() >= 3 || text.chars().count() > LONGEST_LEAD
}

/// The first picture of cleaned HTML.
pub fn first_image(html: &SafeHtml) -> Option<Image> {
    let tag = html.as_str().split("<img ").nth(1)?.split('>').next()?;
    let value = |name: &str| {
        let value = tag.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
        Some(value.replace("&amp;", "&"))
    };
    image(WebUrl::parse(&value("src")?).ok()?, value("alt"))
}

/// A picture with nothing known but its caption.
pub fn image(url: WebUrl, caption: Option<String>) -> Option<Image> {
    let caption = caption.map(|c| plain_line(&c)).filter(|c| !c.is_empty());
    Some(Image { url, width: None, height: None, caption, credit: None })
}

/// An address in a feed: padded, relative or raw, as they come.
pub fn resolve(text: &str, base: Option<&WebUrl>) -> Option<WebUrl> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    if text.is_empty() {
        return None;
    }
    WebUrl::parse(&text).ok().or_else(|| base?.join(&text).ok())
}

/// "toasoan@bao.example (Chí Bảo)" and "Chí Bảo <a@b.vn>" are Chí Bảo; an address alone is nobody
/// a reader should be shown.
pub fn person(text: &str) -> String {
    let text = plain_line(text);
    let inner = text
        .split_once('(')
        .filter(|(before, _)| before.contains('@'))
        .map(|(_, inner)| inner.trim_end_matches(')'));
    let words = inner.unwrap_or(&text).split(' ').filter(|word| !word.contains('@'));
    words.collect::<Vec<_>>().join(" ").trim_matches(['"', ',', ' ']).to_owned()
}
