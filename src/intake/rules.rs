use crate::domain::fold;
use regex::Regex;
use serde::{Deserialize, Deserializer};
use std::collections::HashSet;
use std::sync::LazyLock;

/// What is known of Vietnamese newspaper pages: `rules.toml`, compiled.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub dates: Dates,
    pub header: Header,
    pub categories: Categories,
    pub lead: Lead,
    pub captions: Captions,
    pub bylines: Bylines,
    pub after: After,
    pub html: Html,
}

/// The rules: a constant of the program, parsed at its first use. Without it pages would be read
/// as bare paragraphs; a test holds that it can be read.
pub fn rules() -> &'static Rules {
    static RULES: LazyLock<Rules> = LazyLock::new(|| parse().unwrap_or_default());
    &RULES
}

fn parse() -> Result<Rules, toml::de::Error> {
    toml::from_str(include_str!("rules.toml"))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dates {
    pub days: Patterns,
    pub times: Patterns,
    pub zones: Patterns,
    pub labels: Patterns,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub noise: Patterns,
    pub source: Patterns,
    pub bullets: Pattern,
    pub chain: Pattern,
    pub home: Words,
    pub again: Pattern,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categories {
    pub words: Words,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lead {
    pub prefixes: Patterns,
    pub glued: Vec<Glued>,
    pub note: Pattern,
    pub stroke: Pattern,
    pub month: Pattern,
}

/// A lead prefix without a dash, and the site that must be named on the page.
#[derive(Deserialize)]
pub struct Glued {
    pub site: String,
    pub prefix: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captions {
    pub patterns: Patterns,
    pub residue: Patterns,
    pub longest: usize,
}

#[derive(Default, Deserialize)]
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
    pub dropped: Patterns,
    pub roles: Patterns,
    pub workplaces: Patterns,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    pub words: Words,
    pub patterns: Patterns,
    pub related_words: Words,
    pub related_patterns: Patterns,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Html {
    pub not_article: Pattern,
    pub containers: Vec<String>,
}

/// A regular expression; the default one matches nothing.
#[derive(Default)]
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
#[derive(Default, Deserialize)]
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
#[derive(Default)]
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
        parse().map(|_| ()).unwrap();
        assert!(rules().categories.words.contains("XÂY DỰNG ĐẢNG"));
    }

    #[test]
    fn every_lead_prefix_is_cut_and_no_more() {
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
            assert_eq!(rules().lead.prefixes.cut_one(line).as_deref(), Some(rest), "{line}");
        }
        for line in [
            "TT- Huế: mưa lớn",
            "COVID-19 lan rộng",
            "Huyện ủy - Ủy ban",
            "Lâm Văn Mẫn - Bí thư",
            "(trái) đang phát biểu",
        ] {
            assert_eq!(rules().lead.prefixes.cut_one(line), None, "{line}");
        }
    }
}
