//! Articles as the API tells them and takes them in: the object of CONTRACT.md both ways.

use super::problem::ApiProblem;
use crate::domain::{Enclosure, Image, Instant, Source, WebUrl};
use crate::http::AppState;
use crate::intake::{Arrival, InputFormat, Intake, read_json_line};
use crate::store::KeyedArticle;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The longest id of another system, in bytes: beyond it the store keeps a digest and could not tell it.
const LONGEST_ID: usize = 400;

/// What only we say; it is passed over where it comes back.
const OWN: [&str; 4] = ["id", "state", "revision", "warnings"];

/// An article: what may be written, and `id`, `state` and `revision`, which are ours.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Article)]
pub struct ArticleJson {
    /// Its name for ever.
    #[schema(format = "uuid")]
    pub id: String,
    /// `embargoed`: its instant is still to come; `visible`; `withdrawn`: gone from every feed.
    pub state: &'static str,
    /// Its present revision, from 1.
    #[schema(minimum = 1)]
    pub revision: i64,
    /// The id in the newsroom's own system.
    pub external_id: Option<String>,
    /// Where readers find it on the newspaper's site.
    pub url: Option<String>,
    /// The headline.
    pub title: String,
    /// The lead, as plain text.
    pub summary: Option<String>,
    /// The full text; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_html: Option<String>,
    /// The titles of its sections.
    pub categories: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its bylines.
    pub authors: Vec<String>,
    /// When it was published, or will be.
    #[schema(value_type = String, format = "date-time")]
    pub published: Instant,
    /// When it last changed in a way that matters.
    #[schema(value_type = String, format = "date-time")]
    pub updated: Instant,
    /// Its language, where it is not the publication's.
    pub language: Option<String>,
    /// The picture that stands for it.
    #[schema(value_type = Option<ImageJson>)]
    pub image: Option<Image>,
    /// Recordings, films, documents.
    #[schema(value_type = Vec<EnclosureJson>)]
    pub enclosures: Vec<Enclosure>,
    /// Where it comes from, if not from this newsroom's own pen.
    #[schema(value_type = Option<SourceJson>)]
    pub source: Option<Source>,
    /// Only where it was just written: what was odd about what came in, and what was done about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub warnings: Vec<String>,
}

/// A picture.
#[derive(ToSchema)]
#[schema(as = Image)]
#[expect(dead_code, reason = "it only describes `domain::Image`, which knows nothing of OpenAPI")]
pub struct ImageJson {
    url: String,
    width: Option<u32>,
    height: Option<u32>,
    caption: Option<String>,
    credit: Option<String>,
}

/// A file that belongs to an article.
#[derive(ToSchema)]
#[schema(as = Enclosure)]
#[expect(dead_code, reason = "it only describes `domain::Enclosure`")]
pub struct EnclosureJson {
    url: String,
    r#type: String,
    /// In bytes; 0 where it is not known.
    length: u64,
}

/// Where an article comes from.
#[derive(ToSchema)]
#[schema(as = Source)]
#[expect(dead_code, reason = "it only describes `domain::Source`")]
pub struct SourceJson {
    title: String,
    url: Option<String>,
}

impl ArticleJson {
    /// The whole article.
    pub fn whole(keyed: KeyedArticle) -> Self {
        let html = keyed.article.body.as_str().to_owned();
        Self { content_html: Some(html), ..Self::listed(keyed) }
    }

    /// The article as a list tells it.
    pub fn listed(KeyedArticle { article, external_id }: KeyedArticle) -> Self {
        Self {
            id: article.id.to_string(),
            state: article.state.as_str(),
            revision: article.revision,
            external_id,
            url: article.url.as_ref().map(WebUrl::to_string),
            title: article.title,
            summary: article.summary,
            content_html: None,
            categories: article.categories.into_iter().map(|category| category.title).collect(),
            tags: article.tags,
            authors: article.authors,
            published: article.published,
            updated: article.updated,
            language: article.language.map(|language| language.to_string()),
            image: article.image,
            enclosures: article.enclosures,
            source: article.source,
            warnings: Vec::new(),
        }
    }
}

/// An article that came in, with what was odd about it in words.
pub struct Given {
    /// What `intake` made of it.
    pub arrival: Arrival,
    /// Its id in its own system, as it was told.
    pub external_id: Option<String>,
}

impl Given {
    /// Reads an article's object as `bantin import` does.
    pub fn read(app: &AppState, bytes: &[u8]) -> Result<Self, ApiProblem> {
        let text = std::str::from_utf8(bytes).map_err(|_| ApiProblem::malformed("the body is not UTF-8"))?;
        let value: Value = serde_json::from_str(text)
            .map_err(|error| ApiProblem::malformed(format!("the body is not JSON: {error}")))?;
        let Value::Object(mut fields) = value else {
            return Err(ApiProblem::field("", "must be an object: {\"title\": …}"));
        };
        fields.retain(|name, _| !OWN.contains(&name.as_str()));
        Self::of(app, fields)
    }

    /// Of an object that was read.
    pub fn of(app: &AppState, fields: Map<String, Value>) -> Result<Self, ApiProblem> {
        let external_id = match fields.get("external_id") {
            Some(Value::String(id)) => Some(id.clone()),
            Some(Value::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        let is_long = external_id.as_ref().is_some_and(|id| id.len() > LONGEST_ID);
        let too_long =
            is_long.then(|| ApiProblem::field("/external_id", format!("is longer than {LONGEST_ID} bytes")));
        let intake = Intake {
            name: "api",
            format: Some(InputFormat::Json),
            base: None,
            zone: app.publication.time_zone,
            category: None,
            rules: &app.sources.rules,
        };
        let read = read_json_line(&intake, 1, Value::Object(fields).to_string().as_bytes());
        match (read.map_err(ApiProblem::from), too_long) {
            (Ok(arrival), None) => Ok(Self { arrival, external_id }),
            (Ok(_), Some(problem)) | (Err(problem), None) => Err(problem),
            (Err(problem), Some(more)) => Err(problem.and(more)),
        }
    }

    /// What was odd.
    pub fn warnings(&self) -> Vec<String> {
        self.arrival.warnings.iter().map(|warning| warning.message.clone()).collect()
    }
}

/// Applies a merge patch (RFC 7396 §2).
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// What an article would say after a patch; `None` where that is what it says already.
pub fn patched(article: &KeyedArticle, patch: &[u8]) -> Result<Option<Map<String, Value>>, ApiProblem> {
    let patch: Value = serde_json::from_slice(patch)
        .map_err(|error| ApiProblem::malformed(format!("the patch is not JSON: {error}")))?;
    let Value::Object(mut patch) = patch else {
        return Err(ApiProblem::field("", "must be an object of the fields to change"));
    };
    patch.retain(|name, _| !OWN.contains(&name.as_str()));
    let present = serde_json::to_value(ArticleJson::whole(article.clone()))
        .map_err(|error| ApiProblem::malformed(error.to_string()))?;
    let mut target = present.clone();
    if let Some(fields) = target.as_object_mut() {
        fields.retain(|name, value| !OWN.contains(&name.as_str()) && !value.is_null());
        // A new text takes the place of the old one, whichever form it comes in.
        if patch.get("content_text").is_some_and(|text| !text.is_null())
            && !patch.contains_key("content_html")
        {
            fields.remove("content_html");
        }
    }
    let before = target.clone();
    merge(&mut target, Value::Object(patch));
    let Value::Object(fields) = target else { return Ok(None) };
    Ok((Value::Object(fields.clone()) != before).then_some(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patches_are_merged_as_in_the_standards_own_examples() {
        // RFC 7396, appendix A.
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = target.clone();
            merge(&mut merged, patch.clone());
            assert_eq!(merged, result, "{target} {patch}");
        }
    }
}
