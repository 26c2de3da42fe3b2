//! One edition of a digest, as one reader gets it.

use super::fitting::{Fit, fit, shares};
use super::views::{ArticleView, Frame, SectionView, bare_slashes, foreign, is_web, written};
use super::{ComposeError, Letterhead, Links, Message, Recipient, check_link, envelope, headers};
use crate::domain::{
    Article, Digest, EditionId, Instant, Language, Lead, Slot, Slug, SubscriberId, clean_line, excerpt,
};
use serde::Serialize;

/// Mail programs show some 40 characters of a subject on a phone and 90 on a desk.
const SUBJECT_CHARS: usize = 100;
/// What is shown behind the subject in the list of mails.
const PREHEADER_CHARS: usize = 140;

/// What an edition tells one reader.
#[derive(Clone, Debug)]
pub struct EditionLetter<'a> {
    /// Of which digest.
    pub digest: &'a Digest,
    /// For which instant it was planned; the date that stands on it.
    pub slot: Slot,
    /// The edition's cut: the `Date` header, so that a retry is byte-identical.
    pub composed_at: Instant,
    /// What the editor says above the articles.
    pub lead: Option<&'a Lead>,
    /// The articles, each in one section only.
    pub sections: Vec<Section<'a>>,
    /// How many articles are due to this reader, also those that are not in `sections`.
    pub total: usize,
    /// How many slots it stands for: more than one where the program was down at the others.
    pub slots: u32,
}

/// A heading and what stands below it.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    /// Its name for people.
    pub title: String,
    /// The section's page, absolute.
    pub page_url: String,
    /// Its name in URLs.
    pub slug: Slug,
    /// The newest first, or in the editor's order.
    pub articles: Vec<&'a Article>,
}

#[derive(Serialize)]
struct DigestView {
    title: String,
    slug: String,
}

#[derive(Serialize)]
struct LinksView<'a> {
    unsubscribe: &'a str,
    preferences: &'a str,
    browser: Option<&'a str>,
    opened: Option<&'a str>,
}

/// What the three files of a digest's template are filled in with.
#[derive(Serialize)]
struct EditionView<'a> {
    #[serde(flatten)]
    frame: &'a Frame,
    digest: DigestView,
    /// The slot.
    date: i64,
    /// The first headline, cut so that the subject stays short.
    headline: String,
    preheader: String,
    /// The editor's words, by paragraphs.
    lead: Vec<&'a str>,
    /// Their language, where that is not the mail's.
    lead_language: Option<String>,
    sections: Vec<SectionView>,
    total: usize,
    slots: u32,
    shown: usize,
    /// How many are due and not shown.
    more: usize,
    more_url: String,
    links: LinksView<'a>,
}

/// A letter made ready once, to be filled in with more or less of its articles.
struct Draft<'a> {
    head: &'a Letterhead<'a>,
    letter: &'a EditionLetter<'a>,
    links: &'a Links,
    language: Language,
    frame: Frame,
    sections: Vec<(SectionView, Vec<ArticleView>)>,
    count: usize,
}

impl<'a> Draft<'a> {
    fn new(
        head: &'a Letterhead<'a>,
        to: &'a Recipient<'a>,
        letter: &'a EditionLetter<'a>,
    ) -> Result<Self, ComposeError> {
        check_link("unsubscribe", &to.links.unsubscribe)?;
        check_link("preferences", &to.links.preferences)?;
        if let Some(browser) = &to.links.browser {
            check_link("browser", browser)?;
        }
        if let Some(opened) = &to.links.opened {
            check_link("opened", opened)?;
        }
        if !letter.sections.iter().all(|section| is_web(&section.page_url)) {
            return Err(ComposeError::Link { which: "section" });
        }
        let sections: Vec<(SectionView, Vec<ArticleView>)> = letter
            .sections
            .iter()
            .map(|section| {
                let articles = section.articles.iter();
                let views = articles.map(|a| ArticleView::of(a, head.publication, to.language)).collect();
                (SectionView::of(section, head.publication, to.language), views)
            })
            .collect();
        let count = sections.iter().map(|(_, articles)| articles.len()).sum();
        if count == 0 {
            return Err(ComposeError::Empty);
        }
        let frame = Frame::new(head, to.language, to.zone, &to.address.to_string());
        let mut draft =
            Self { head, letter, links: &to.links, language: to.language, frame, sections, count };
        draft.frame.subject = draft.subject()?;
        Ok(draft)
    }

    fn file(&self, name: &str) -> String {
        format!("mail/{}/{name}", self.letter.digest.template)
    }

    fn view(&self, fit: Fit, headline: String) -> EditionView<'_> {
        let sizes: Vec<usize> = self.sections.iter().map(|(_, articles)| articles.len()).collect();
        let mut leads = fit.leads;
        let mut sections = Vec::with_capacity(self.sections.len());
        for ((section, articles), share) in self.sections.iter().zip(shares(&sizes, fit.articles)) {
            if share == 0 {
                continue;
            }
            let mut shown = articles[..share].to_vec();
            for article in &mut shown {
                if leads == 0 {
                    article.lead = None;
                }
                leads = leads.saturating_sub(1);
            }
            sections.push(SectionView {
                title: section.title.clone(),
                page_url: section.page_url.clone(),
                language: section.language.clone(),
                articles: shown,
                more: articles.len() - share,
            });
        }
        let shown = fit.articles.min(self.count);
        let total = self.letter.total.max(self.count);
        let headlines = sections.iter().flat_map(|s| &s.articles).skip(1).map(|a| a.title.as_str());
        let preheader = match self.letter.lead {
            Some(lead) => lead.as_str().to_owned(),
            None => headlines.take(4).collect::<Vec<_>>().join(" · "),
        };
        let more_url = match (&self.links.browser, self.letter.sections.as_slice()) {
            (Some(browser), _) => browser.clone(),
            (None, [only]) => only.page_url.clone(),
            (None, _) => self.head.publication.url("/feeds/all"),
        };
        EditionView {
            frame: &self.frame,
            digest: DigestView {
                title: excerpt(&self.letter.digest.title, 60),
                slug: self.letter.digest.slug.to_string(),
            },
            date: written(self.letter.slot.0),
            headline,
            preheader: excerpt(&preheader, PREHEADER_CHARS),
            lead: self.letter.lead.map(|lead| lead.paragraphs().collect()).unwrap_or_default(),
            lead_language: foreign(&self.head.publication.language, self.language),
            sections,
            total,
            slots: self.letter.slots,
            shown,
            more: total - shown,
            more_url,
            links: LinksView {
                unsubscribe: &self.links.unsubscribe,
                preferences: &self.links.preferences,
                browser: self.links.browser.as_deref(),
                opened: self.links.opened.as_deref(),
            },
        }
    }

    fn render(&self, file: &str, fit: Fit, headline: &str) -> Result<String, ComposeError> {
        let view = self.view(fit, headline.to_owned());
        Ok(self.head.templates.render(&self.file(file), &view)?)
    }

    /// The subject line; where it comes out too long, the headline in it is what gives way, so
    /// that "and 12 more" stays.
    fn subject(&self) -> Result<String, ComposeError> {
        let first = self.sections.iter().find_map(|(_, articles)| articles.first());
        let headline = first.map_or("", |article| article.title.as_str());
        let one = Fit { articles: 1, leads: 0 };
        let fill = |headline: &str| -> Result<String, ComposeError> {
            Ok(clean_line(&self.render("subject.txt", one, headline)?))
        };
        let headline = excerpt(headline, SUBJECT_CHARS);
        let subject = fill(&headline)?;
        let too_long = subject.chars().count().saturating_sub(SUBJECT_CHARS);
        if too_long == 0 {
            return Ok(subject);
        }
        // One for the ellipsis.
        let room = headline.chars().count().saturating_sub(too_long + 1).max(20);
        Ok(excerpt(&fill(&excerpt(&headline, room))?, SUBJECT_CHARS))
    }

    fn html(&self, fit: Fit) -> Result<String, ComposeError> {
        Ok(bare_slashes(&self.render("body.html", fit, "")?))
    }

    /// The HTML that a mail program shows whole, and how much of the edition it holds.
    fn fitted(&self) -> Result<(String, Fit), ComposeError> {
        let digest = self.letter.digest;
        let most = digest.max_articles.clamp(1, self.count);
        fit(most, digest.template.as_str(), |fit| self.html(fit))
    }
}

/// A letter's three parts.
pub(super) fn parts(
    head: &Letterhead<'_>,
    to: &Recipient<'_>,
    letter: &EditionLetter<'_>,
    edition: EditionId,
    message_id: &str,
) -> Result<envelope::Letter, ComposeError> {
    let draft = Draft::new(head, to, letter)?;
    let (html, fit) = draft.fitted()?;
    let text = draft.render("body.txt", fit, "")?;
    let envelope = envelope::Envelope {
        to: to.address,
        subject: draft.frame.subject,
        date: letter.composed_at,
        message_id: message_id.to_owned(),
        lines: headers::of_edition(head, to, letter, edition),
    };
    Ok(envelope::Letter {
        head: envelope::head(head, &envelope)?,
        text: envelope::crlf(&text),
        html: envelope::crlf(&html),
    })
}

/// The whole message for one reader.
pub fn compose_edition(
    head: &Letterhead<'_>,
    to: &Recipient<'_>,
    letter: &EditionLetter<'_>,
    edition: EditionId,
    subscriber: SubscriberId,
) -> Result<Message, ComposeError> {
    let message_id =
        headers::message_id(head.secret, "edition", edition.0, subscriber.0, head.from.address.domain());
    let parts = parts(head, to, letter, edition, &message_id)?;
    envelope::seal(head, &parts, message_id, letter.composed_at)
}

/// The HTML part alone, exactly as it is mailed: for previews.
pub fn edition_html(
    head: &Letterhead<'_>,
    to: &Recipient<'_>,
    letter: &EditionLetter<'_>,
) -> Result<String, ComposeError> {
    Draft::new(head, to, letter)?.fitted().map(|(html, _)| html)
}

/// Every article with its lead, whatever the size: the web view that "12 more" in the mail leads to.
pub fn edition_in_full(
    head: &Letterhead<'_>,
    to: &Recipient<'_>,
    letter: &EditionLetter<'_>,
) -> Result<String, ComposeError> {
    let draft = Draft::new(head, to, letter)?;
    draft.html(Fit { articles: draft.count, leads: draft.count })
}
