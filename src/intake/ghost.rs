//! Ghost's JSON export: tables of posts, tags and people, and who belongs to what.

use super::{Arrival, Fault, Intake, dates, foreign_feed, mend_eth, plain_line, push_new};
use crate::domain::{CategoryName, Draft, IdentityKey, SafeHtml, WebUrl, clean_paragraphs};
use serde_json::Value;
use std::collections::HashMap;

/// What Ghost writes for the address of its own site.
const HERE: &str = "__GHOST_URL__";

/// Whether a JSON file is such an export.
pub fn is_export(head: &str) -> bool {
    let head: String = head.chars().filter(|c| !c.is_whitespace()).take(400).collect();
    head.starts_with("{\"db\":[{\"meta\"") || head.starts_with("{\"db\":[{\"data\"")
}

pub fn read(intake: &Intake<'_>, bytes: &[u8]) -> Vec<Result<Arrival, Fault>> {
    let export: Value = match serde_json::from_slice(bytes) {
        Ok(export) => export,
        Err(error) => {
            return vec![Err(Fault::new(error.line(), format!("this is no Ghost export: {error}")))];
        }
    };
    let Some(data) = export.pointer("/db/0/data").or_else(|| export.get("data")) else {
        return vec![Err(Fault::new(1, "this is no Ghost export: it has no `db[0].data`"))];
    };
    let tables = Tables { data };
    let (tags, people) = (tables.names("tags"), tables.names("users"));
    let (tagged, written) =
        (tables.joined("posts_tags", "tag_id"), tables.joined("posts_authors", "author_id"));
    let is_post = |post: &&Value| {
        post["status"] == "published"
            && post["type"].as_str().unwrap_or("post") == "post"
            && post["page"] != 1
    };
    let read: Vec<_> = tables
        .rows("posts")
        .iter()
        .filter(is_post)
        .map(|post| {
            let named = |ids: Option<&Vec<String>>, names: &HashMap<String, String>| -> Vec<String> {
                ids.into_iter().flatten().filter_map(|id| names.get(id).cloned()).collect()
            };
            let id = text_of(&post["id"]);
            article(intake, post, named(tagged.get(&id), &tags), named(written.get(&id), &people))
        })
        .collect();
    if read.is_empty() {
        return vec![Err(Fault::new(1, "the export has no published post in it"))];
    }
    read
}

struct Tables<'j> {
    data: &'j Value,
}

impl<'j> Tables<'j> {
    fn rows(&self, name: &str) -> &'j [Value] {
        self.data[name].as_array().map_or(&[], Vec::as_slice)
    }

    fn names(&self, table: &str) -> HashMap<String, String> {
        let rows = self.rows(table).iter();
        rows.filter_map(|row| Some((text_of(&row["id"]), plain_line(row["name"].as_str()?)))).collect()
    }

    /// What belongs to each post, in its order.
    fn joined(&self, table: &str, other: &str) -> HashMap<String, Vec<String>> {
        let mut rows: Vec<&Value> = self.rows(table).iter().collect();
        rows.sort_by_key(|row| row["sort_order"].as_u64());
        let mut joined: HashMap<String, Vec<String>> = HashMap::new();
        for row in rows {
            joined.entry(text_of(&row["post_id"])).or_default().push(text_of(&row[other]));
        }
        joined
    }
}

/// Ids are numbers in old exports.
fn text_of(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

fn article(
    intake: &Intake<'_>,
    post: &Value,
    tags: Vec<String>,
    authors: Vec<String>,
) -> Result<Arrival, Fault> {
    let text = |name: &str| post[name].as_str().filter(|text| !text.trim().is_empty());
    let title = plain_line(text("title").unwrap_or_default());
    let mut draft = Draft::titled(&title).ok_or_else(|| Fault {
        field: Some("title".into()),
        message: format!("the post `{}` has no title; it was left out", text("slug").unwrap_or_default()),
        ..Fault::default()
    })?;
    let here = intake.base.as_ref().map_or("", |base| base.as_str().trim_end_matches('/'));
    let html = |html: &str| SafeHtml::clean(&mend_eth(&html.replace(HERE, here)), intake.base.as_ref());
    draft.body = match (text("html"), text("plaintext")) {
        (Some(markup), _) => html(markup),
        (None, Some(plain)) => SafeHtml::from_text(&mend_eth(plain)),
        (None, None) => SafeHtml::default(),
    };
    draft.summary = text("custom_excerpt").map(|e| mend_eth(&clean_paragraphs(e)));
    if draft.body.is_empty() && draft.summary.is_none() {
        return Err(Fault::new(None, format!("the post `{title}` has no text; it was left out")));
    }
    let instant = |name: &str| {
        let given = post[name].as_i64().and_then(chrono::DateTime::from_timestamp_millis);
        given.or_else(|| Some(dates::machine_date(intake.rules, text(name)?, intake.zone)?.0))
    };
    draft.published = instant("published_at");
    draft.updated =
        instant("updated_at").filter(|at| draft.published.is_some_and(|published| published < *at));
    // "#name" is a tag for the newsroom alone; the first other one is the section.
    let mut tags = tags.into_iter().filter(|tag| !tag.starts_with('#'));
    draft.categories =
        tags.next().map(CategoryName).or_else(|| intake.category.clone()).into_iter().collect();
    tags.for_each(|tag| push_new(&mut draft.tags, tag));
    authors.into_iter().for_each(|author| push_new(&mut draft.authors, author));
    let address = |given: &str| foreign_feed::resolve(&given.replace(HERE, here), intake.base.as_ref());
    draft.image = text("feature_image").and_then(address).and_then(|url| {
        foreign_feed::image(url, text("feature_image_caption").map(|c| SafeHtml::clean(c, None).text()))
    });
    let page = text("slug").and_then(|slug| intake.base.as_ref()?.join(&format!("/{slug}/")).ok());
    draft.url = text("canonical_url").and_then(address).or(page);
    let id = text("uuid").map_or_else(|| text_of(&post["id"]), str::to_owned);
    let system = intake.base.as_ref().map_or("ghost", WebUrl::host);
    draft.keys = super::identity(&draft, Some(IdentityKey::external(system, &id)));
    Ok(Arrival { draft, warnings: Vec::new(), guesses: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{instant, intake};
    use super::super::{InputFormat, detect};
    use super::*;
    use serde_json::json;

    #[test]
    fn published_posts_come_with_their_people_and_tags() {
        let export = json!({ "db": [{ "meta": { "version": "5.80" }, "data": {
            "posts": [
                { "id": "a", "uuid": "u-1", "title": "Chợ nổi &amp; ghe", "slug": "cho-noi", "html": "<p>Chữ <img src=\"__GHOST_URL__/content/a.jpg\"></p>",
                  "status": "published", "type": "post", "published_at": "2024-04-03T21:30:00.000Z", "feature_image": "__GHOST_URL__/content/b.jpg", "custom_excerpt": "Lời dẫn." },
                { "id": "b", "title": "Nháp", "html": "<p>x</p>", "status": "draft", "type": "post" },
                { "id": "c", "title": "Trang", "html": "<p>x</p>", "status": "published", "type": "page" } ],
            "tags": [{ "id": 1, "name": "#noi-bo" }, { "id": 2, "name": "Du lịch" }, { "id": 3, "name": "ghe" }],
            "posts_tags": [{ "post_id": "a", "tag_id": 3, "sort_order": 2 }, { "post_id": "a", "tag_id": 1, "sort_order": 0 }, { "post_id": "a", "tag_id": 2, "sort_order": 1 }],
            "users": [{ "id": "1", "name": "Mỹ Xuyên" }], "posts_authors": [{ "post_id": "a", "author_id": "1", "sort_order": 0 }]
        } }] }).to_string();
        // The exporter writes `db` and `meta` first; a map sorts them so too.
        let export = export.replacen("{\"db\":[{\"data\":", "{\"db\":[{\"meta\":{},\"data\":", 1);
        assert_eq!(detect("g.json", export.as_bytes()), InputFormat::Ghost);
        let mut intake = intake("g.json");
        intake.base = Some(WebUrl::parse("https://blog.example/").unwrap());
        let [found] = read(&intake, export.as_bytes()).try_into().unwrap();
        let draft = found.unwrap().draft;
        assert_eq!((draft.title.as_str(), draft.summary.as_deref()), ("Chợ nổi & ghe", Some("Lời dẫn.")));
        assert_eq!(draft.published, instant("2024-04-04T04:30:00+07:00"));
        assert_eq!((draft.categories[0].0.as_str(), draft.tags), ("Du lịch", vec!["ghe".to_owned()]));
        assert_eq!(draft.authors, ["Mỹ Xuyên"]);
        assert_eq!(draft.url.unwrap().as_str(), "https://blog.example/cho-noi/");
        assert_eq!(draft.image.unwrap().url.as_str(), "https://blog.example/content/b.jpg");
        assert!(draft.body.as_str().contains("src=\"https://blog.example/content/a.jpg\""));
    }
}
