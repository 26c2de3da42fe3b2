//! What a page of a static site says of itself above its text: YAML, TOML or JSON.

use super::Fault;
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

/// Longer ones are no front matter.
const MOST_BYTES: usize = 64 << 10;
/// Each alias copies what it stands for, and aliases of aliases grow without bound.
const MOST_ALIASES: usize = 8;

/// The fields, whatever they were written in.
#[derive(Debug, Default)]
pub struct FrontMatter(serde_json::Map<String, Value>);

impl FrontMatter {
    /// The first field of these that has a value: directly, in Zola's or Hugo's tables of further
    /// fields, or of taxonomies.
    fn value(&self, names: &[&str]) -> Option<&Value> {
        let tables = ["taxonomies", "extra", "params"].iter().filter_map(|t| self.0.get(*t)?.as_object());
        let tables: Vec<_> = std::iter::once(&self.0).chain(tables).collect();
        let fields = names.iter().flat_map(|name| tables.iter().filter_map(|table| table.get(*name)));
        fields.into_iter().find(|value| !value.is_null())
    }

    /// A field as text.
    pub fn text(&self, names: &[&str]) -> Option<String> {
        self.value(names).and_then(text_of).filter(|text| !text.trim().is_empty())
    }

    /// A field as a list; one text is a list of one.
    pub fn list(&self, names: &[&str]) -> Vec<String> {
        match self.value(names) {
            Some(Value::Array(list)) => list.iter().take(200).filter_map(text_of).collect(),
            Some(value) => text_of(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Whether a field is set.
    pub fn is_true(&self, name: &str) -> bool {
        matches!(self.value(&[name]), Some(Value::Bool(true)))
            || self.text(&[name]).as_deref() == Some("true")
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Object(fields) => {
            ["name", "src", "image", "url"].iter().find_map(|n| text_of(fields.get(*n)?))
        }
        _ => None,
    }
}

/// Parts front matter and text. A page without any is text alone.
pub fn split(page: &str) -> Result<(FrontMatter, &str), Fault> {
    let page = page.trim_start_matches('\u{feff}');
    let fenced = |fence: &str| {
        let rest = page.strip_prefix(fence)?.split_once('\n').filter(|(line, _)| line.trim().is_empty())?.1;
        let mut at = 0;
        for line in rest.split_inclusive('\n') {
            if line.trim_end() == fence {
                return Some((&rest[..at], &rest[at + line.len()..]));
            }
            at += line.len();
        }
        None
    };
    let wrong = |what: String| Fault::new(1, format!("the front matter cannot be read: {what}"));
    if let Some((front, text)) = fenced("---") {
        return Ok((yaml(front).map_err(wrong)?, text));
    }
    if let Some((front, text)) = fenced("+++") {
        let table: toml::Table = toml::from_str(front).map_err(|error| wrong(error.message().to_owned()))?;
        return Ok((
            FrontMatter(table.into_iter().map(|(name, value)| (name, of_toml(value))).collect()),
            text,
        ));
    }
    if page.starts_with('{') {
        let mut values =
            serde_json::Deserializer::from_str(page).into_iter::<serde_json::Map<String, Value>>();
        if let Some(first) = values.next() {
            let fields = first.map_err(|error| wrong(error.to_string()))?;
            return Ok((FrontMatter(fields), &page[values.byte_offset()..]));
        }
    }
    Ok((FrontMatter::default(), page))
}

fn yaml(text: &str) -> Result<FrontMatter, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("it has more than {MOST_BYTES} bytes"));
    }
    if text.matches(['[', ' ', ',']).count() > 0
        && text.split([' ', ',', '[']).filter(|w| w.starts_with('*')).count() > MOST_ALIASES
    {
        return Err(format!("it has more than {MOST_ALIASES} aliases"));
    }
    let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    match documents.into_iter().next().map(of_yaml) {
        Some(Value::Object(fields)) => Ok(FrontMatter(fields)),
        None => Ok(FrontMatter::default()),
        Some(_) => Err("it is no list of fields".to_owned()),
    }
}

fn of_yaml(yaml: Yaml) -> Value {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => text.into(),
        Yaml::Integer(number) => number.into(),
        Yaml::Boolean(flag) => flag.into(),
        Yaml::Array(list) => list.into_iter().map(of_yaml).collect(),
        Yaml::Hash(fields) => {
            let named = fields
                .into_iter()
                .filter_map(|(name, value)| Some((text_of(&of_yaml(name))?, of_yaml(value))));
            Value::Object(named.collect())
        }
        _ => Value::Null,
    }
}

fn of_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(at) => at.to_string().into(),
        toml::Value::Array(list) => list.into_iter().map(of_toml).collect(),
        toml::Value::Table(fields) => {
            Value::Object(fields.into_iter().map(|(n, v)| (n, of_toml(v))).collect())
        }
    }
}
