//! `/api`: the document as people read it.

use super::document::document;
use crate::http::AppState;
use crate::http::answer::personal;
use crate::http::visitor::Visitor;
use crate::page::{self, ApiField, ApiObject, ApiOperation, ApiSection};
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

/// `GET /api`
pub async fn show(State(app): State<AppState>, visitor: Visitor) -> Response {
    let document = document("");
    personal(&app, &visitor, page::api(&visitor.desk(&app), &sections(&document), &objects(&document)))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The operations by what they are about, in the order of the document's tags.
fn sections(document: &Value) -> Vec<ApiSection> {
    let section = |tag: &Value| {
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                if list(&operation["tags"]).first() == Some(&tag["name"]) {
                    operations.push(operation_of(path, method, operation));
                }
            }
        }
        ApiSection { title: text(&tag["name"]), about: text(&tag["description"]), operations }
    };
    list(&document["tags"]).iter().map(section).collect()
}

fn operation_of(path: &str, method: &str, operation: &Value) -> ApiOperation {
    let parameter = |parameter: &Value| ApiField {
        name: text(&parameter["name"]),
        kind: format!("{}, {}", kind(&parameter["schema"]), text(&parameter["in"])),
        required: parameter["required"] == true,
        about: text(&parameter["description"]),
    };
    let content = |value: &Value| {
        let (_, content) = value["content"].as_object()?.iter().next()?;
        named(&content["schema"])
    };
    // What every request may be answered with is said once, by the object Problem.
    let answers = operation["responses"].as_object().into_iter().flatten().filter(|(status, _)| {
        status.starts_with(['2', '3']) || matches!(status.as_str(), "404" | "409" | "412")
    });
    ApiOperation {
        id: text(&operation["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        about: text(&operation["description"]),
        scope: text(&operation["security"][0]["token"][0]),
        parameters: list(&operation["parameters"]).iter().map(parameter).collect(),
        body: content(&operation["requestBody"]),
        answers: answers
            .map(|(status, answer)| (status.clone(), text(&answer["description"]), content(answer)))
            .collect(),
    }
}

/// What bodies are made of.
fn objects(document: &Value) -> Vec<ApiObject> {
    let object = |(name, schema): (&String, &Value)| {
        let required = list(&schema["required"]);
        let field = |(name, schema): (&String, &Value)| ApiField {
            name: name.clone(),
            kind: kind(schema),
            required: required.iter().any(|field| field == name),
            about: text(&schema["description"]),
        };
        let fields = schema["properties"].as_object().into_iter().flatten().map(field).collect();
        ApiObject { name: name.clone(), about: text(&schema["description"]), fields }
    };
    document["components"]["schemas"].as_object().into_iter().flatten().map(object).collect()
}

/// The object that a schema refers to.
fn named(schema: &Value) -> Option<String> {
    schema["$ref"].as_str()?.rsplit('/').next().map(str::to_owned)
}

/// A type in words: `string (date-time) or null`, `list of Article`.
fn kind(schema: &Value) -> String {
    if let Some(name) = named(schema) {
        return name;
    }
    let among = list(&schema["oneOf"]);
    if !among.is_empty() {
        return among.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let one = |kind: &Value| match kind.as_str().unwrap_or("any") {
        "array" => format!("list of {}", self::kind(&schema["items"])),
        "string" => match schema["format"].as_str() {
            Some(format) => format!("string ({format})"),
            None => "string".to_owned(),
        },
        kind => kind.to_owned(),
    };
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(one).collect::<Vec<_>>().join(" or "),
        kind => one(kind),
    }
}
