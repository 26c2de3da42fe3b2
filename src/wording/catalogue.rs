use crate::domain::Language;
use std::collections::BTreeMap;

/// All the words, by language and dotted key (`page.home.title`).
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    words: BTreeMap<Language, BTreeMap<String, String>>,
}

/// A message file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct CatalogueFault {
    /// Which file, below the templates folder.
    pub file: String,
    /// What is wrong, with line and column.
    pub reason: String,
}

impl Catalogue {
    /// Adds the words of one file over those already there.
    pub fn add(&mut self, language: Language, file: &str, toml: &str) -> Result<(), CatalogueFault> {
        let table: toml::Table = toml.parse().map_err(|error: toml::de::Error| CatalogueFault {
            file: file.to_owned(),
            reason: error.to_string(),
        })?;
        let words = self.words.entry(language).or_default();
        flatten("", &table, words).map_err(|reason| CatalogueFault { file: file.to_owned(), reason })
    }

    /// The words of a key, `{name}` replaced by the argument of that name. Falls back to
    /// Vietnamese, then to the key itself, so that a missing word never costs a page.
    pub fn text(&self, language: Language, key: &str, arguments: &[(&str, &str)]) -> String {
        let found = [language, Language::Vi].iter().find_map(|l| self.words.get(l)?.get(key));
        let Some(pattern) = found else { return key.to_owned() };
        let mut text = String::with_capacity(pattern.len());
        let mut rest = pattern.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((name, tail)) = after.split_once('}') else {
                rest = &rest[before.len()..];
                break;
            };
            match arguments.iter().find(|(n, _)| *n == name) {
                Some((_, value)) => text.push_str(value),
                None => text.extend(["{", name, "}"]),
            }
            rest = tail;
        }
        text.push_str(rest);
        text
    }

    /// The keys of a language.
    pub fn keys(&self, language: Language) -> impl Iterator<Item = &str> {
        self.words.get(&language).into_iter().flat_map(|words| words.keys().map(String::as_str))
    }
}

fn flatten(prefix: &str, table: &toml::Table, words: &mut BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::String(text) => {
                words.insert(key, text.clone());
            }
            toml::Value::Table(table) => flatten(&key, table, words)?,
            _ => return Err(format!("`{key}` must be a text in quotes")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wording::BUILT_IN;
    use std::collections::BTreeSet;

    fn built_in() -> Catalogue {
        let mut catalogue = Catalogue::default();
        for language in Language::ALL {
            let name = format!("messages/{language}.toml");
            let (_, toml) = BUILT_IN.iter().find(|(file, _)| *file == name).unwrap();
            catalogue.add(language, &name, toml).unwrap();
        }
        catalogue
    }

    #[test]
    fn both_languages_say_the_same_things() {
        let catalogue = built_in();
        let keys = |l| catalogue.keys(l).collect::<BTreeSet<_>>();
        assert_eq!(keys(Language::Vi), keys(Language::En));
        assert!(!keys(Language::Vi).is_empty());
    }

    #[test]
    fn both_languages_use_the_same_placeholders() {
        let catalogue = built_in();
        let placeholders = |l, key: &str| -> BTreeSet<String> {
            let text = catalogue.text(l, key, &[]);
            text.split('{').skip(1).filter_map(|t| Some(t.split_once('}')?.0.to_owned())).collect()
        };
        for key in catalogue.keys(Language::Vi) {
            assert_eq!(placeholders(Language::Vi, key), placeholders(Language::En, key), "{key}");
        }
    }

    #[test]
    fn arguments_are_put_in_once_and_never_read_as_patterns() {
        let mut catalogue = Catalogue::default();
        catalogue.add(Language::Vi, "vi.toml", "a = \"{x} và {y} {\"").unwrap();
        assert_eq!(catalogue.text(Language::En, "a", &[("x", "{y}"), ("y", "2")]), "{y} và 2 {");
        assert_eq!(catalogue.text(Language::En, "b.c", &[]), "b.c");
    }

    #[test]
    fn a_broken_file_is_named() {
        let fault = Catalogue::default().add(Language::Vi, "messages/vi.toml", "a = 1").unwrap_err();
        assert_eq!(fault.to_string(), "messages/vi.toml: `a` must be a text in quotes");
    }
}
