use super::{BUILT_IN, Catalogue, dates};
use crate::domain::{Instant, Language, from_micros};
use chrono_tz::Tz;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior};
use serde::Serialize;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// What a template may cost: an endless loop in a newsroom's own template ends with an error.
/// A page of 60 articles takes some 20,000 steps.
const FUEL: u64 = 5_000_000;

/// Pages and mails, in both languages, ready to be filled in.
///
/// Inside a template:
/// - `t("page.home.title", count=3)` is a message in the language of the variable `lang`;
/// - `instant|date`, `|full_date`, `|time`, `|iso` write an instant (microseconds) in the zone of
///   the variable `zone`;
/// - HTML files escape everything that is not marked `|safe`.
#[derive(Clone, Debug)]
pub struct Templates {
    environment: Arc<Environment<'static>>,
    catalogue: Arc<Catalogue>,
}

/// A template or message file that cannot be used, or not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("templates/{file}{}: {reason}", line.map(|l| format!(":{l}")).unwrap_or_default())]
pub struct TemplateFault {
    /// Which file, below the templates folder.
    pub file: String,
    /// Which line, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

impl Templates {
    /// The templates that the program carries with it, each replaced by the newsroom's own of the
    /// same path if there is one. All faults are reported together, never only the first.
    pub fn new(overrides: &BTreeMap<String, String>) -> Result<Self, Vec<TemplateFault>> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        });
        environment.set_syntax(
            SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default(),
        );
        let mut catalogue = Catalogue::default();
        let mut faults = Vec::new();
        let own = overrides.iter().map(|(name, source)| (name.as_str(), source.as_str()));
        for (name, source) in BUILT_IN.iter().copied().chain(own) {
            if let Some(fault) = install(&mut environment, &mut catalogue, name, source) {
                faults.push(fault);
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let catalogue = Arc::new(catalogue);
        let words = Arc::clone(&catalogue);
        environment.add_function("t", move |state: &State<'_, '_>, key: &str, arguments: Kwargs| {
            translate(&words, state, key, &arguments)
        });
        environment.add_filter("date", |s: &State<'_, '_>, v: i64| {
            Ok::<_, Error>(dates::short_date(from_micros(v), zone_of(s), language_of(s)))
        });
        environment.add_filter("full_date", |s: &State<'_, '_>, v: i64| {
            Ok::<_, Error>(dates::full_date(from_micros(v), zone_of(s), language_of(s)))
        });
        environment.add_filter("time", |s: &State<'_, '_>, v: i64| {
            Ok::<_, Error>(dates::time_of_day(from_micros(v), zone_of(s)))
        });
        environment.add_filter("iso", |s: &State<'_, '_>, v: i64| {
            let instant: Instant = from_micros(v);
            Ok::<_, Error>(instant.with_timezone(&zone_of(s)).to_rfc3339())
        });
        Ok(Self { environment: Arc::new(environment), catalogue })
    }

    /// The built-in templates alone.
    pub fn built_in() -> Result<Self, Vec<TemplateFault>> {
        Self::new(&BTreeMap::new())
    }

    /// The words.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// A message without a template around it: a subject line, a button's name.
    pub fn text(&self, language: Language, key: &str, arguments: &[(&str, &str)]) -> String {
        self.catalogue.text(language, key, arguments)
    }

    /// Fills in a template. The context needs `lang` and `zone` where the template uses `t` or a
    /// date.
    pub fn render(&self, name: &str, context: &impl Serialize) -> Result<String, TemplateFault> {
        let context = Value::from(Serde(context));
        self.environment
            .get_template(name)
            .and_then(|template| template.render(context))
            .map_err(|error| fault(name, &error))
    }

    /// The paths of all templates, for `bantin check` and the tests that fill in every one.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.environment.templates().map(|(name, _)| name.to_owned()).collect();
        names.sort();
        names
    }
}

fn install(
    environment: &mut Environment<'static>,
    catalogue: &mut Catalogue,
    name: &str,
    source: &str,
) -> Option<TemplateFault> {
    if let Some(messages) = name.strip_prefix("messages/") {
        let language = messages.strip_suffix(".toml").and_then(|l| Language::from_str(l).ok());
        let Some(language) = language else {
            return Some(TemplateFault {
                file: name.to_owned(),
                line: None,
                reason: "no such language; message files are vi.toml and en.toml".to_owned(),
            });
        };
        let error = catalogue.add(language, name, source).err()?;
        return Some(TemplateFault { file: error.file, line: None, reason: error.reason });
    }
    let error = environment.add_template_owned(name.to_owned(), source.to_owned()).err()?;
    Some(fault(name, &error))
}

fn fault(name: &str, error: &Error) -> TemplateFault {
    // A fault inside an included file is wrapped once for each file around it; the innermost one
    // names the file and line to mend.
    let causes = std::iter::successors(Some(error), |e| std::error::Error::source(*e)?.downcast_ref());
    let error = causes.last().unwrap_or(error);
    let mut reason = error.kind().to_string();
    if let Some(detail) = error.detail() {
        reason = format!("{reason}: {detail}");
    }
    TemplateFault { file: error.name().unwrap_or(name).to_owned(), line: error.line(), reason }
}

fn language_of(state: &State<'_, '_>) -> Language {
    state
        .lookup("lang")
        .and_then(|value| value.as_str().and_then(|code| code.parse().ok()))
        .unwrap_or_default()
}

fn zone_of(state: &State<'_, '_>) -> Tz {
    state
        .lookup("zone")
        .and_then(|value| value.as_str().and_then(|name| name.parse().ok()))
        .unwrap_or(Tz::Asia__Ho_Chi_Minh)
}

fn translate(
    catalogue: &Catalogue,
    state: &State<'_, '_>,
    key: &str,
    arguments: &Kwargs,
) -> Result<String, Error> {
    let mut values = Vec::new();
    for name in arguments.args() {
        values.push((name.to_owned(), arguments.get::<Value>(name)?.to_string()));
    }
    let pairs: Vec<(&str, &str)> = values.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let language = language_of(state);
    let text = catalogue.text(language, key, &pairs);
    if text == key {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("`{key}` stands in neither messages/{language}.toml nor messages/vi.toml"),
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn with(files: &[(&str, &str)]) -> Result<Templates, Vec<TemplateFault>> {
        Templates::new(&files.iter().map(|(n, s)| ((*n).to_owned(), (*s).to_owned())).collect())
    }

    #[test]
    fn words_and_dates_follow_the_language() {
        let templates = with(&[
            ("messages/vi.toml", "x = \"{n} tin\""),
            ("messages/en.toml", "x = \"{n} articles\""),
            ("page/x.html", "{{ t('x', n='<3>') }} {{ at|full_date }} {{ at|time }}"),
        ])
        .unwrap();
        let render = |lang| {
            let context = context! { lang, zone => "Asia/Ho_Chi_Minh", at => 1_773_012_600_000_000_i64 };
            templates.render("page/x.html", &context).unwrap()
        };
        assert_eq!(render("vi"), "&lt;3&gt; tin Thứ Hai, 9&#x2f;3&#x2f;2026 06:30");
        assert_eq!(render("en"), "&lt;3&gt; articles Monday 9 March 2026 06:30");
    }

    #[test]
    fn all_faults_come_together_with_their_lines() {
        let faults = with(&[("page/a.html", "x\n{% if %}"), ("mail/b.txt", "{{"), ("messages/fr.toml", "")])
            .unwrap_err();
        assert_eq!(faults.len(), 3);
        assert!(faults.iter().any(|f| f.to_string().starts_with("templates/page/a.html:2: ")), "{faults:?}");
    }

    #[test]
    fn an_endless_template_ends() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        let templates = with(&[("page/x.html", endless)]).unwrap();
        assert!(templates.render("page/x.html", &context! {}).is_err());
    }

    #[test]
    fn a_missing_word_or_variable_is_a_fault() {
        let templates =
            with(&[("page/x.html", "{{ t('no.such') }}"), ("page/y.html", "{{ nobody }}")]).unwrap();
        assert!(templates.render("page/x.html", &context! {}).unwrap_err().reason.contains("no.such"));
        assert!(templates.render("page/y.html", &context! {}).is_err());
    }
}
