use super::FeedLink;
use crate::domain::{Language, Publication};
use crate::wording::{BUILT_IN, TemplateFault, Templates};
use chrono_tz::Tz;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

/// Where a page is made: for which newspaper, with which templates, in which language.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// The newspaper.
    pub publication: &'a Publication,
    /// Layout and words.
    pub templates: &'a Templates,
    /// The feed of everything, which every page leads to.
    pub everything: Option<&'a FeedLink>,
    /// Whether there is a public archive of editions.
    pub archive: bool,
    /// The language in which the reader is spoken to.
    pub language: Language,
    /// On whose clock times are told: the reader's where he is known, else the newspaper's.
    pub zone: Tz,
    /// Whether the reader picked the language himself (`?lang=` stood in the address). Links to
    /// other pages then carry it on, so that no cookie is needed.
    pub language_picked: bool,
}

impl Desk<'_> {
    /// What stands before every path of ours in an address.
    pub(super) fn root(&self) -> String {
        self.publication.base_url.as_url().path().trim_end_matches('/').to_owned()
    }

    /// Fills in a template with its content and the frame around it.
    pub(super) fn render(&self, template: &str, content: impl Serialize) -> Result<String, TemplateFault> {
        let carry = if self.language_picked { format!("?lang={}", self.language) } else { String::new() };
        let publication = context! {
            title => self.publication.title.as_str(),
            contact => self.publication.contact.as_ref().map(ToString::to_string),
            logo => self.publication.logo.as_ref().map(|url| url.as_str()),
        };
        let sheet = context! {
            everything => Serde(self.everything.map(|feed| feed.listed(self))),
            archive => self.archive,
            lang => self.language.code(),
            zone => self.zone.name(),
            root => self.root(),
            carry,
            publication,
            languages => Language::ALL.map(Language::code).to_vec(),
            ..Value::from(Serde(content))
        };
        self.templates.render(template, &sheet)
    }
}

/// The style sheet, served at `/style.css`: the newsroom's own where it has one.
pub fn style_sheet(templates: &Templates) -> String {
    const NAME: &str = "page/style.css";
    let built_in = || BUILT_IN.iter().find(|(name, _)| *name == NAME).map_or("", |(_, css)| css).to_owned();
    templates.render(NAME, &()).unwrap_or_else(|_| built_in())
}
