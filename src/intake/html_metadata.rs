//! What a page says of itself for machines: JSON-LD, OpenGraph, `article:*`, microdata.

use super::html_tree::{all, first, text_size, words};
use super::{Intake, Rules, dates, foreign_feed, plain_line, push_new};
use crate::domain::{Image, Instant, WebUrl, fold};
use scraper::Html;
use serde_json::Value;

/// What a page says of itself.
#[derive(Default)]
pub struct Metadata {
    /// Whether it says that it is an article.
    pub is_article: bool,
    /// Its headline.
    pub title: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Its one address.
    pub url: Option<WebUrl>,
    /// When it was published, and whether the zone had to be assumed.
    pub published: Option<(Instant, bool)>,
    /// When it was changed.
    pub updated: Option<Instant>,
    /// Its writers; not the paper itself.
    pub authors: Vec<String>,
    /// Its sections.
    pub sections: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its picture.
    pub image: Option<Image>,
}

/// Reads it, JSON-LD first, since it alone tells a writer from a paper.
pub fn read(html: &Html, base: Option<&WebUrl>, intake: &Intake<'_>) -> Metadata {
    let (rules, zone) = (intake.rules, intake.zone);
    let page = Page { html, base, rules };
    let linked = linked_data(html);
    let article = linked.iter().find(|v| {
        is_type(
            v,
            &[
                "NewsArticle",
                "ReportageNewsArticle",
                "AnalysisNewsArticle",
                "OpinionNewsArticle",
                "Article",
                "BlogPosting",
            ],
        )
    });
    let said = |name: &str| article.and_then(|a| a.get(name));
    let text = |name: &str| said(name).and_then(Value::as_str).map(plain_line).filter(|t| !t.is_empty());
    let date = |name: &str, others: &[&str]| {
        let own = said(name).and_then(Value::as_str).map(str::to_owned);
        own.into_iter()
            .chain(others.iter().filter_map(|css| page.content(css)))
            .find_map(|t| dates::machine_date(rules, &t, zone))
    };
    let paper: Vec<String> = said("publisher")
        .map(names)
        .unwrap_or_default()
        .into_iter()
        .chain(page.content(r#"meta[property="og:site_name"]"#))
        .map(|name| fold(&name))
        .collect();

    let mut found = Metadata {
        is_article: article.is_some(),
        title: text("headline").filter(|t| !is_cut(t)),
        description: text("description"),
        url: page.address(),
        published: date(
            "datePublished",
            &[
                r#"meta[property="article:published_time"]"#,
                r#"meta[itemprop="datePublished"]"#,
                r#"[itemprop="datePublished"]"#,
                r#"meta[name="pubdate"]"#,
            ],
        ),
        updated: date(
            "dateModified",
            &[r#"meta[property="article:modified_time"]"#, r#"[itemprop="dateModified"]"#],
        )
        .map(|(instant, _)| instant),
        image: said("image").and_then(|i| page.image(i)).or_else(|| page.graph_image()),
        ..Metadata::default()
    };
    let description = || {
        page.content(r#"meta[property="og:description"]"#)
            .or_else(|| page.content(r#"meta[name="description"]"#))
    };
    found.description =
        found.description.or_else(|| description().map(|d| plain_line(&d))).filter(|d| !d.is_empty());
    let mut authors: Vec<String> = said("author").map(names).unwrap_or_default();
    authors.extend(page.contents(r#"meta[property="article:author"]"#));
    authors.extend(page.contents(r#"meta[name="author"]"#));
    authors.extend(
        page.content(r#"[itemprop="author"] [itemprop="name"]"#)
            .or_else(|| page.content(r#"[itemprop="author"]"#)),
    );
    for author in authors {
        let author = foreign_feed::person(&author);
        // A paper, an address or a profile's URL is no writer.
        let company = ["bao", "tap chi", "toa soan", "ban bien tap", "admin", "website", "dai"];
        let folded = fold(&author);
        let is_paper = paper.contains(&folded)
            || company.iter().any(|c| folded == *c || folded.starts_with(&format!("{c} ")));
        if !is_paper
            && !rules.bylines.nobody.contains(&author)
            && !author.contains("://")
            && author.chars().count() <= 80
        {
            push_new(&mut found.authors, author);
        }
    }
    let sections = said("articleSection").map(names).unwrap_or_default();
    let sections = sections.into_iter().chain(page.contents(r#"meta[property="article:section"]"#));
    sections.for_each(|s| push_new(&mut found.sections, plain_line(&s)));
    if found.sections.is_empty() {
        found.sections.extend(page.breadcrumb(&linked));
    }
    let words = said("keywords").map(names).unwrap_or_default();
    let words = words.into_iter().chain(page.contents(r#"meta[property="article:tag"]"#));
    words
        .flat_map(|w| w.split(',').map(plain_line).collect::<Vec<_>>())
        .take(30)
        .for_each(|t| push_new(&mut found.tags, t));
    found
}

/// The longest text of an element that is taken for a name, a date or a section, in bytes.
const LONGEST_VALUE: usize = 2000;

/// Headlines are cut at 110 letters for search engines.
pub fn is_cut(text: &str) -> bool {
    text.ends_with("...") || text.ends_with('…')
}

struct Page<'h> {
    html: &'h Html,
    base: Option<&'h WebUrl>,
    rules: &'h Rules,
}

impl Page<'_> {
    fn contents(&self, css: &str) -> Vec<String> {
        let value = |e: scraper::ElementRef<'_>| {
            let own = e.attr("content").or_else(|| e.attr("datetime")).map(str::to_owned);
            own.or_else(|| (text_size(e) <= LONGEST_VALUE).then(|| words(e))).unwrap_or_default()
        };
        all(self.html, css).into_iter().take(50).map(value).filter(|v| !v.trim().is_empty()).collect()
    }

    fn content(&self, css: &str) -> Option<String> {
        self.contents(css).into_iter().next()
    }

    /// The canonical address. A paper that names its front page there does not mean it.
    fn address(&self) -> Option<WebUrl> {
        let canonical =
            first(self.html, r#"link[rel~="canonical"]"#).and_then(|l| l.attr("href").map(str::to_owned));
        let graph = self.content(r#"meta[property="og:url"]"#);
        let mut named =
            canonical.into_iter().chain(graph).filter_map(|href| foreign_feed::resolve(&href, self.base));
        named
            .find(|url| url.as_url().path() != "/" || url.as_url().query().is_some())
            .or_else(|| self.base.cloned())
    }

    fn image(&self, value: &Value) -> Option<Image> {
        let value = value.as_array().map_or(Some(value), |list| list.first())?;
        let side = |name: &str| {
            let side = value.get(name)?;
            side.as_u64()
                .or_else(|| side.as_str()?.trim_end_matches("px").parse().ok())
                .and_then(|n| u32::try_from(n).ok())
        };
        let address = value.as_str().or_else(|| value.get("url")?.as_str())?;
        let caption = value.get("caption").and_then(Value::as_str).map(str::to_owned);
        let image = foreign_feed::image(foreign_feed::resolve(address, self.base)?, caption)?;
        Some(Image {
            width: side("width").filter(|w| *w > 0),
            height: side("height").filter(|h| *h > 0),
            ..image
        })
    }

    fn graph_image(&self) -> Option<Image> {
        let url = self
            .content(r#"meta[property="og:image"]"#)
            .or_else(|| self.content(r#"meta[name="twitter:image"]"#))?;
        let side = |css: &str| self.content(css).and_then(|n| n.trim().parse().ok()).filter(|n| *n > 0);
        let image = foreign_feed::image(
            foreign_feed::resolve(&url, self.base)?,
            self.content(r#"meta[property="og:image:alt"]"#),
        )?;
        let (width, height) =
            (side(r#"meta[property="og:image:width"]"#), side(r#"meta[property="og:image:height"]"#));
        Some(Image { width, height, ..image })
    }

    /// The last section of the breadcrumb: in JSON-LD its last step may be the article itself.
    fn breadcrumb(&self, linked: &[Value]) -> Option<String> {
        let list = linked
            .iter()
            .find(|v| is_type(v, &["BreadcrumbList"]))
            .and_then(|v| v.get("itemListElement")?.as_array());
        let steps: Vec<String> = match list {
            Some(list) => list
                .iter()
                .flat_map(|step| names(step.get("name").or_else(|| step.get("item")).unwrap_or(step)))
                .collect(),
            None => all(self.html, "[class*=breadcrumb] a").into_iter().take(8).map(words).collect(),
        };
        let home = &self.rules.header.home;
        let mut sections =
            steps.into_iter().map(|s| plain_line(&s)).filter(|s| !s.is_empty() && !home.contains(s));
        sections.rfind(|s| s.split(' ').count() <= 6)
    }
}

/// The names in a JSON-LD value: a text, an object with a name, or a list of these.
fn names(value: &Value) -> Vec<String> {
    match value {
        Value::String(name) => vec![name.clone()],
        Value::Array(list) => list.iter().take(50).flat_map(names).collect(),
        Value::Object(object) => object.get("name").map(names).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn is_type(value: &Value, types: &[&str]) -> bool {
    match value.get("@type") {
        Some(Value::String(one)) => types.contains(&one.as_str()),
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).any(|one| types.contains(&one)),
        _ => false,
    }
}

/// Every object of the page's JSON-LD, from `@graph` and lists too.
fn linked_data(html: &Html) -> Vec<Value> {
    let mut found = Vec::new();
    for script in all(html, r#"script[type="application/ld+json"]"#).into_iter().take(20) {
        let text: String = script.text().collect();
        // Editors paste line breaks into texts, which JSON forbids.
        let spaced = || text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        let value = serde_json::from_str(&text).or_else(|_| serde_json::from_str(&spaced()));
        match value {
            Ok(Value::Array(list)) => found.extend(list),
            Ok(Value::Object(mut object)) => match object.remove("@graph") {
                Some(Value::Array(graph)) => found.extend(graph),
                _ => found.push(Value::Object(object)),
            },
            _ => {}
        }
    }
    found
}
