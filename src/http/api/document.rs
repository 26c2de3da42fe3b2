//! `/api/openapi.json`: the API as its handlers describe themselves, with what all have in common.

use super::problem::{PROBLEM, ProblemBody};
use super::{articles, batch, categories, digests, drafts, editions, feeds, subscribers};
use crate::http::AppState;
use crate::http::answer::{Cacheable, page_validators};
use crate::http::visitor::Visitor;
use crate::intake::ARTICLE_SCHEMA;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use utoipa::OpenApi;

/// What every request may be answered with.
const COMMON: [(&str, &str); 8] = [
    ("400", "The request cannot be read, or a parameter is wrong"),
    ("401", "There is no token, or it is not good; WWW-Authenticate says which"),
    ("403", "The token was not made for this"),
    ("404", "There is no such thing"),
    ("405", "This cannot be done here; Allow says what can"),
    ("429", "Too many requests; Retry-After says when to come again"),
    ("500", "This went wrong on our side"),
    ("503", "The store does not answer, or not in time; try again"),
];

/// What a request with a body may be answered with besides.
const OF_BODIES: [(&str, &str); 3] = [
    ("413", "The body is too large"),
    ("415", "The body is no JSON by its media type"),
    ("422", "A field is wrong, or the Idempotency-Key was used for another request"),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Bản Tin",
        description = "Articles in, feeds and digests out. Each request carries a bearer token, which `bantin token add` \
            makes. What is written is in its feeds within a second. Errors are problems of RFC 9457 that name the field.",
        version = "1.0.0",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "Articles", description = "What the newsroom publishes"),
        (name = "Drafts", description = "What came in doubtful and waits for a person"),
        (name = "Categories", description = "Sections, and which is part of which"),
        (name = "Feeds", description = "What is published, and where"),
        (name = "Digests", description = "What is mailed, and when"),
        (name = "Editions", description = "What was cut, and how far it is"),
        (name = "Subscribers", description = "Readers"),
    ),
    paths(
        articles::list, articles::create, articles::get, articles::replace, articles::patch, articles::withdraw,
        articles::restore, batch::create,
        drafts::list, drafts::get, drafts::publish, drafts::put_away,
        categories::list, categories::get, categories::create, categories::patch,
        feeds::list, feeds::get,
        digests::list, digests::preview, digests::hold, digests::release,
        editions::list, editions::get, editions::hold, editions::release,
        subscribers::list, subscribers::get, subscribers::ask, subscribers::erase
    ),
    components(schemas(ProblemBody, batch::Batch)),
)]
struct Described;

/// The document.
pub fn document(server: &str) -> Value {
    let mut document = serde_json::to_value(Described::openapi()).unwrap_or_default();
    document["servers"] = json!([{ "url": server }]);
    document["components"]["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer",
        "description": "Made by `bantin token add NAME --scope articles:write`" } });
    let mut given: Value = serde_json::from_str(ARTICLE_SCHEMA).unwrap_or_default();
    if let Some(given) = given.as_object_mut() {
        given.remove("$schema");
        document["components"]["schemas"]["ArticleInput"] = json!(given);
        document["components"]["schemas"]["ArticlePatch"] = patch_of(given);
    }
    document["components"]["schemas"]["Batch"]["properties"]["articles"]["items"] = json!({ "anyOf": [{ "$ref": "#/components/schemas/ArticleInput" },
            { "description": "What is none gets its own result, which says why" }] });
    for (_, path) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in path.as_object_mut().into_iter().flatten() {
            complete(method, operation);
        }
    }
    document
}

/// Of a patch nothing is required.
fn patch_of(given: &serde_json::Map<String, Value>) -> Value {
    let mut patch = given.clone();
    for name in ["required", "anyOf", "examples"] {
        patch.remove(name);
    }
    patch["title"] = "ArticlePatch".into();
    patch["description"] = "The fields to change, as in RFC 7396: null takes one away.".into();
    patch.insert(
        "examples".to_owned(),
        json!([{ "title": "Bến phà mới", "tags": null, "significant": false }]),
    );
    patch.into()
}

/// Adds what the handlers need not say of themselves.
fn complete(method: &str, operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    if has_body {
        operation["requestBody"]["required"] = true.into();
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        // An optional parameter is left out; none is ever null.
        if let Some(kind) = parameter["schema"]["type"][0].as_str().map(str::to_owned) {
            parameter["schema"]["type"] = kind.into();
        }
        if parameter["name"] == "If-None-Match" && method != "get" {
            parameter["schema"]["enum"] = json!(["*"]);
        }
    }
    let problem = |description: &str| {
        json!({ "description": description,
            "content": { PROBLEM: { "schema": { "$ref": "#/components/schemas/Problem" } } } })
    };
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, response) in responses.iter_mut() {
        if status.starts_with('4') {
            let description = response["description"].as_str().unwrap_or_default().to_owned();
            *response = problem(&description);
        }
    }
    let bodies = OF_BODIES.iter().filter(|_| has_body);
    for (status, description) in COMMON.iter().chain(bodies) {
        responses.entry(*status).or_insert_with(|| problem(description));
    }
    if method != "post" {
        return;
    }
    responses.entry("409").or_insert_with(|| problem("A request with this Idempotency-Key is under way"));
    responses.entry("413").or_insert_with(|| problem("The body is too large"));
    responses.entry("422").or_insert_with(|| problem("The Idempotency-Key was used for another request"));
    let key = json!({ "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "A text of your own, as a UUID. Within a day the same request under the same key is carried out once, and answered with the same",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" } });
    match operation.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(parameters) => parameters.push(key),
        None => operation["parameters"] = json!([key]),
    }
}

/// `GET /api/openapi.json`
pub async fn serve(State(app): State<AppState>, visitor: Visitor) -> Response {
    let server = app.publication.url("");
    told(&app, &visitor, document(server.trim_end_matches('/')).to_string(), "application/json")
}

/// `GET /api/article.schema.json`
pub async fn article_schema(State(app): State<AppState>, visitor: Visitor) -> Response {
    told(&app, &visitor, ARTICLE_SCHEMA.to_owned(), "application/schema+json")
}

fn told(app: &AppState, visitor: &Visitor, text: String, content_type: &'static str) -> Response {
    let bytes = Bytes::from(text);
    Cacheable {
        validators: page_validators(&bytes, app.started_at),
        bytes,
        content_type,
        coding: None,
        cache_control: "public, max-age=300",
        vary: "Accept-Encoding",
        link: None,
    }
    .answer(&visitor.headers, app.clock.now())
}
