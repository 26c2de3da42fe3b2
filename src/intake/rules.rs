use crate::domain::fold;
use regex::Regex;
use serde::{Deserialize, Deserializer};
use std::collections::HashSet;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// What is known of Vietnamese newspaper pages: `rules.toml`, compiled.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub(super) dates: Dates,
    pub(super) header: Header,
    pub(super) categories: Categories,
    pub(super) lead: Lead,
    pub(super) captions: Captions,
    pub(super) bylines: Bylines,
    pub(super) after: After,
    pub(super) html: Html,
}

const BUILT_IN: &str = include_str!("rules.toml");

/// Why rules of an operator's own cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RulesError(String);

impl Rules {
    /// The rules that the program brings. A test holds that they can be read.
    pub fn built_in() -> Self {
        toml::from_str(BUILT_IN).unwrap_or_default()
    }

    /// These and an operator's own, written like them: his lists go before the built-in ones, and
    /// what is no list takes their place.
    pub fn with_own(own: &str) -> Result<Self, RulesError> {
        let wrong = |error: toml::de::Error| RulesError(error.to_string());
        let mut all: toml::Table = toml::from_str(BUILT_IN).map_err(wrong)?;
        merge(&mut all, toml::from_str(own).map_err(wrong)?);
        all.try_into().map_err(wrong)
    }
}

/// The rules that a publication's pages are read by: an operator's own, or those that the program brings,
/// which are compiled when the first page comes. That takes 50 ms, and most commands read none.
#[derive(Clone, Debug, Default)]
pub struct ReadingRules(Arc<OnceLock<Rules>>);

impl From<Rules> for ReadingRules {
    fn from(own: Rules) -> Self {
        Self(Arc::new(OnceLock::from(own)))
    }
}

impl Deref for ReadingRules {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        self.0.get_or_init(Rules::built_in)
    }
}

fn merge(all: &mut toml::Table, own: toml::Table) {
    for (name, value) in own {
        match (all.get_mut(&name), value) {
            (Some(toml::Value::Table(there)), toml::Value::Table(own)) => merge(there, own),
            (Some(toml::Value::Array(there)), toml::Value::Array(mut own)) => {
                own.append(there);
                *there = own;
            }
            (_, value) => {
                all.insert(name, value);
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dates {
    pub days: Patterns,
    pub times: Patterns,
    pub zones: Patterns,
    pub labels: Patterns,
    pub months: Vec<Vec<String>>,
}

impl Dates {
    /// The number of a month by its word.
    pub fn month(&self, word: &str) -> Option<u32> {
        let word = word.to_lowercase();
        let at = self.months.iter().position(|names| names.contains(&word))?;
        u32::try_from(at + 1).ok()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub noise: Patterns,
    pub source: Patterns,
    pub bullets: Pattern,
    pub chain: Pattern,
    pub home: Words,
    pub media: Words,
    pub again: Pattern,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categories {
    pub words: Words,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lead {
    pub prefixes: Patterns,
    pub glued: Vec<Glued>,
    pub note: Pattern,
    pub stroke: Pattern,
    pub month: Pattern,
    pub place: Pattern,
}

/// A lead prefix without a dash, and the site that must be named on the page.
#[derive(Debug, Deserialize)]
pub struct Glued {
    pub site: String,
    pub prefix: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captions {
    pub patterns: Patterns,
    pub residue: Patterns,
    pub longest: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bylines {
    pub writer: Pattern,
    pub photo: Pattern,
    pub name: Pattern,
    pub single: Pattern,
    pub separators: Pattern,
    pub source: Patterns,
    pub papers: Pattern,
    pub agencies: Words,
    pub nobody: Words,
    pub dropped: Patterns,
    pub roles: Patterns,
    pub workplaces: Patterns,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    pub words: Words,
    pub patterns: Patterns,
    pub related_words: Words,
    pub related_patterns: Patterns,
    pub pagers: Words,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Html {
    pub untitled: Words,
    pub papers: Vec<String>,
    pub captions: Pattern,
    pub teasers: Pattern,
    pub not_article: Pattern,
    pub containers: Vec<String>,
    pub leads: Vec<String>,
}

/// A regular expression; the default one matches nothing.
#[derive(Debug, Default)]
pub struct Pattern(Option<Regex>);

impl Pattern {
    pub fn is_match(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|r| r.is_match(text))
    }

    pub fn captures<'t>(&self, text: &'t str) -> Option<regex::Captures<'t>> {
        self.0.as_ref()?.captures(text)
    }

    /// The text without the first match.
    pub fn cut(&self, text: &str) -> String {
        self.0.as_ref().map_or_else(|| text.to_owned(), |r| r.replace(text, "").into_owned())
    }

    pub fn split<'t>(&self, text: &'t str) -> Vec<&'t str> {
        self.0.as_ref().map_or_else(|| vec![text], |r| r.split(text).collect())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Regex::new(&text).map(|r| Self(Some(r))).map_err(serde::de::Error::custom)
    }
}

/// Several of them.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    pub fn is_match(&self, text: &str) -> bool {
        self.0.iter().any(|p| p.is_match(text))
    }

    pub fn captures<'t>(&self, text: &'t str) -> Option<regex::Captures<'t>> {
        self.0.iter().find_map(|p| p.captures(text))
    }

    /// The text without the first match of the first pattern that matches.
    pub fn cut_one(&self, text: &str) -> Option<String> {
        self.0.iter().find(|p| p.is_match(text)).map(|p| p.cut(text))
    }

    /// The text with a blank for every match of every pattern.
    pub fn blank_all(&self, text: &str) -> String {
        self.0.iter().filter_map(|p| p.0.as_ref()).fold(text.to_owned(), |text, r| {
            if r.is_match(&text) { r.replace_all(&text, " ").into_owned() } else { text }
        })
    }
}

/// Phrases, compared without diacritics, case and punctuation.
#[derive(Debug, Default)]
pub struct Words(HashSet<String>);

impl Words {
    pub fn contains(&self, text: &str) -> bool {
        // Folding costs more than looking at the length, and most lines are long.
        text.len() <= 120 && self.0.contains(&fold(text))
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Vec::<String>::deserialize(deserializer)?.iter().map(|w| fold(w)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_can_be_read() {
        assert!(Rules::with_own("").unwrap().categories.words.contains("XÂY DỰNG ĐẢNG"));
    }

    #[test]
    fn an_operators_rules_are_added_and_their_faults_told() {
        let own = "[after]\nwords = ['Quay về đầu trang']\n[lead]\nstroke = '#$'";
        let rules = Rules::with_own(own).unwrap();
        assert!(rules.after.words.contains("quay về đầu trang") && rules.after.words.contains("Bình luận"));
        assert_eq!(rules.lead.stroke.cut("hết#"), "hết");
        for (wrong, part) in [("[lead]\nstroke = '('", "regex"), ("[lede]", "lede"), ("x", "TOML")] {
            let told = Rules::with_own(wrong).unwrap_err().to_string();
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn every_lead_prefix_is_cut_and_no_more() {
        let rules = Rules::built_in();
        for (line, rest) in [
            ("STO - Nhiệm kỳ", "Nhiệm kỳ"),
            ("(HGO) - Sáng", "Sáng"),
            ("(TCTG)- Sáng", "Sáng"),
            ("(Chinhphu.vn) - Thủ tướng", "Thủ tướng"),
            ("(PL)-Sáng", "Sáng"),
            ("QĐND Online - Sáng", "Sáng"),
            ("(CMO) Sáng", "Sáng"),
            ("(LĐ online) - Sáng", "Sáng"),
            ("(QBĐT) – Sáng", "Sáng"),
            ("(TN&MT) - Sáng", "Sáng"),
            ("GD&TĐ - Sáng", "Sáng"),
            ("VOV.VN-Sáng", "Sáng"),
            ("VTV.vn - Sáng", "Sáng"),
            ("SÓC TRĂNG - Sáng", "Sáng"),
            ("BẮC GIANG – Sáng", "Sáng"),
            ("(BP Portal) - Sáng", "Sáng"),
            ("ANTT.VN – Sáng", "Sáng"),
            ("- Sáng", "Sáng"),
        ] {
            assert_eq!(rules.lead.prefixes.cut_one(line).as_deref(), Some(rest), "{line}");
        }
        for line in [
            "TT- Huế: mưa lớn",
            "COVID-19 lan rộng",
            "Huyện ủy - Ủy ban",
            "Lâm Văn Mẫn - Bí thư",
            "(trái) đang phát biểu",
        ] {
            assert_eq!(rules.lead.prefixes.cut_one(line), None, "{line}");
        }
    }
}
