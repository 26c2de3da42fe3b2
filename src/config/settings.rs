use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Where a setting was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    Line(String, usize),
    /// A file as a whole.
    File(String),
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{file}:{line}"),
            Self::File(file) => f.write_str(file),
            Self::Variable(name) => write!(f, "environment {name}"),
        }
    }
}

/// One thing wrong with the configuration: where, what, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

/// Settings by dotted key, each with its origin. Typed parts are taken out one by one; what is
/// left at the end is unknown. Faults are collected, so that all are reported together.
#[derive(Debug, Default)]
pub struct Settings {
    entries: BTreeMap<String, (Vec<String>, Origin)>,
    asked: Vec<String>,
    /// Variables with one underscore between section and key, if that is what they are meant for.
    single: Vec<String>,
    faults: Vec<ConfigFault>,
}

impl Settings {
    /// Reads a TOML file's text: tables of keys.
    pub fn of_file(file: &str, text: &str) -> Self {
        let mut settings = Self::default();
        let place = |at: usize| Origin::Line(file.to_owned(), line_of(text, at));
        let document = match DeTable::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                settings.fault(place(at), error.message().to_owned());
                return settings;
            }
        };
        for (section, table) in document.get_ref() {
            let Some(keys) = table.get_ref().as_table() else {
                let message = format!(
                    "`{}` stands outside of a section; write it below one, as in [server]",
                    section.get_ref()
                );
                settings.fault(place(section.span().start), message);
                continue;
            };
            settings.read_table(section.get_ref(), keys, text, &place);
        }
        settings
    }

    /// The keys of a table, and of those in it: `[section.key]` and `[[section.key]]`, whose first one's
    /// settings are section.key.1.…
    fn read_table(&mut self, name: &str, keys: &DeTable<'_>, text: &str, place: &impl Fn(usize) -> Origin) {
        for (key, value) in keys {
            let name = format!("{name}.{}", key.get_ref());
            let elements =
                value.get_ref().as_array().map(|array| array.iter().map(|e| e.get_ref().as_table()));
            let tables = elements.and_then(|tables| tables.collect::<Option<Vec<_>>>());
            match (value.get_ref().as_table(), tables.filter(|tables| !tables.is_empty())) {
                (Some(table), _) => self.read_table(&name, table, text, place),
                (None, Some(tables)) => {
                    for (at, table) in tables.into_iter().enumerate() {
                        self.read_table(&format!("{name}.{}", at + 1), table, text, place);
                    }
                }
                (None, None) => {
                    let entry = (texts(value.get_ref(), &text[value.span()]), place(key.span().start));
                    self.entries.insert(name, entry);
                }
            }
        }
    }

    /// Puts the variables `BANTIN_SECTION__KEY` over what is there.
    pub fn overlay(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (name, value) in variables {
            let Some(path) = name.strip_prefix("BANTIN_") else { continue };
            let Some((section, key)) = path.split_once("__") else {
                self.single.push(name);
                continue;
            };
            let key = format!("{section}.{key}").to_ascii_lowercase().replace("__", ".");
            // A secret by file wins over a plain one in bantin.toml, and the other way round.
            match key.strip_suffix("_file") {
                Some(plain) => self.entries.remove(plain),
                None => self.entries.remove(&format!("{key}_file")),
            };
            self.entries.insert(key, (vec![value], Origin::Variable(name)));
        }
    }

    /// Notes something wrong.
    pub fn fault(&mut self, origin: Origin, message: impl Into<String>) {
        self.faults.push(ConfigFault { origin, message: message.into() });
    }

    /// Whether any key of a section is there.
    pub fn has_section(&self, section: &str) -> bool {
        self.entries.keys().any(|key| key.split('.').next() == Some(section))
    }

    /// Whether a key is set, also by a file.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key) || self.entries.contains_key(&format!("{key}_file"))
    }

    /// Which there are of several: 1 and 3 where `KEY.1.…` and `KEY.3.…` are set.
    pub fn numbers(&self, key: &str) -> BTreeSet<u32> {
        let number =
            |name: &String| name.strip_prefix(key)?.strip_prefix('.')?.split('.').next()?.parse().ok();
        self.entries.keys().filter_map(number).collect()
    }

    /// Which names there are below a key: `a` and `b` where `KEY.a.…` and `KEY.b.…` are set.
    pub fn names(&self, key: &str) -> BTreeSet<String> {
        let name = |name: &String| {
            let (first, _) = name.strip_prefix(key)?.strip_prefix('.')?.split_once('.')?;
            Some(first.to_owned())
        };
        self.entries.keys().filter_map(name).collect()
    }

    /// Takes a value out and reads it. `KEY_file` names a file whose content is the value.
    pub fn take<T, E: fmt::Display>(
        &mut self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (text, origin) = self.take_text(key)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(origin, format!("`{key}`: {error}"));
                None
            }
        }
    }

    fn take_text(&mut self, key: &str) -> Option<(String, Origin)> {
        self.asked.push(key.to_owned());
        let direct = self.entries.remove(key);
        let from_file = self.entries.remove(&format!("{key}_file"));
        if let Some((value, origin)) = direct {
            return Some((value.join(","), origin));
        }
        let (path, origin) = from_file?;
        let path = path.join(",");
        match std::fs::read_to_string(&path) {
            Ok(text) => Some((text.trim().to_owned(), origin)),
            Err(error) => {
                self.fault(origin, format!("`{key}_file`: {path} cannot be read: {error}"));
                None
            }
        }
    }

    /// Takes a list of texts; a single text counts as a list of one, commas separate several.
    pub fn take_list(&mut self, key: &str) -> Option<(Vec<String>, Origin)> {
        self.asked.push(key.to_owned());
        let (value, origin) = self.entries.remove(key)?;
        let parts = value.iter().flat_map(|text| text.split(','));
        let list = parts.map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect();
        Some((list, origin))
    }

    /// Ends the reading: what was not asked for is unknown. All faults in the order of their places.
    pub fn finish(mut self) -> Vec<ConfigFault> {
        for (key, (_, origin)) in std::mem::take(&mut self.entries) {
            let near = nearest(&key, &self.asked);
            let mend = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            self.fault(origin, format!("`{key}` is no setting{mend}"));
        }
        // A variable that is passed over in silence is looked for the longest.
        for name in std::mem::take(&mut self.single) {
            let mut meant = self.asked.iter().map(|key| format!("BANTIN_{}", key.to_ascii_uppercase()));
            if let Some(meant) = meant.find(|key| key.replace('.', "_") == name) {
                let mend = meant.replace('.', "__");
                self.fault(Origin::Variable(name), format!("is no setting; did you mean {mend}?"));
            }
        }
        self.faults
    }
}

/// A value as text; an array as one text an element. What is neither a text nor an array stands
/// for itself as it is written.
fn texts(value: &DeValue<'_>, written: &str) -> Vec<String> {
    match (value.as_str(), value.as_array()) {
        (Some(text), _) => vec![text.to_owned()],
        (None, Some(array)) => array.iter().flat_map(|element| texts(element.get_ref(), "")).collect(),
        (None, None) => vec![written.trim().to_owned()],
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1
}

/// The known key that a mistyped one is closest to, if it is close at all.
fn nearest<'k>(key: &str, known: &'k [String]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (distance(key, candidate), candidate.as_str()))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(corner + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Reads a file, or says which one cannot be read.
pub fn read_file(path: &Path) -> Result<String, ConfigFault> {
    std::fs::read_to_string(path).map_err(|error| ConfigFault {
        origin: Origin::File(path.display().to_string()),
        message: format!("cannot be read: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_and_each_value_knows_its_place() {
        let mut settings = Settings::of_file("bantin.toml", "[server]\nlisten = \"a\"\nother = 3\n");
        settings.overlay([("BANTIN_SERVER__LISTEN".to_owned(), "b".to_owned())].into_iter());
        assert_eq!(settings.take("server.listen", |t| Ok::<_, String>(t.to_owned())).unwrap(), "b");
        assert_eq!(settings.take("server.other", str::parse::<u8>), Some(3));
        assert_eq!(settings.finish(), []);
    }

    #[test]
    fn all_faults_come_together_with_place_and_mend() {
        let mut settings = Settings::of_file("bantin.toml", "x = 1\n[server]\nlisten = \"a\"\nlisen = 3\n");
        settings.take("server.listen", str::parse::<u8>);
        let faults: Vec<String> = settings.finish().iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].starts_with("bantin.toml:1: `x` stands outside"), "{faults:?}");
        assert!(faults[1].starts_with("bantin.toml:3: `server.listen`: "), "{faults:?}");
        assert!(faults[2].ends_with("did you mean `server.listen`?"), "{faults:?}");
    }

    #[test]
    fn a_secret_file_of_the_environment_wins_over_the_plain_key() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), "smtps://mail\n").unwrap();
        let mut settings = Settings::of_file("bantin.toml", "[mail]\nurl = \"outbox:x\"\n");
        let name = "BANTIN_MAIL__URL_FILE".to_owned();
        settings.overlay([(name, secret.path().display().to_string())].into_iter());
        assert_eq!(settings.take("mail.url", |t| Ok::<_, String>(t.to_owned())).unwrap(), "smtps://mail");
    }

    #[test]
    fn one_of_several_is_known_by_its_number() {
        let text =
            "[mail]\nurl = \"a\"\n[[mail.relays]]\nurl = \"b\"\n[[mail.relays]]\nurl = \"c\"\nwight = 2\n";
        let mut settings = Settings::of_file("bantin.toml", text);
        let variables = [("BANTIN_MAIL__RELAYS__2__URL", "d"), ("BANTIN_MAIL__RELAYS__7__URL", "e")];
        settings.overlay(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(settings.numbers("mail.relays"), [1, 2, 7].into());
        let mut url = |key: &str| settings.take(key, |t| Ok::<_, String>(t.to_owned())).unwrap();
        assert_eq!(url("mail.url") + &url("mail.relays.1.url"), "ab");
        assert_eq!(url("mail.relays.2.url") + &url("mail.relays.7.url"), "de");
        settings.take("mail.relays.2.weight", str::parse::<u8>);
        let faults = settings.finish();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(
            faults[0].to_string().starts_with("bantin.toml:7: `mail.relays.2.wight` is no setting; did"),
            "{faults:?}"
        );
    }

    #[test]
    fn broken_toml_names_its_line() {
        let faults = Settings::of_file("bantin.toml", "[server]\nlisten = \n").finish();
        assert!(faults[0].to_string().starts_with("bantin.toml:2: "), "{faults:?}");
    }
}
