use super::Workbench;
use super::press::{Key, Kind, Order, Press, Print};
use crate::domain::{
    Article, ArticleId, Calendar, Digest, DigestFeeds, EditionId, EmailAddress, FeedKey, Frequency, Instant,
    Language, NoticeKind, OptInId, Plan, Publication, Secret, Slot, Slug, SubscriberId, SubscriberState,
    Token, TokenPurpose,
};
use crate::mail::{
    ComposeError, EditionLetter, Letterhead, Links, Message, NoticeLetter, Recipient, Section, Sender,
    Typeset, compose_edition, compose_notice, edition_html, edition_in_full,
};
use crate::representations::Representations;
use crate::store::{ClaimedDelivery, Edition, OpenLetter, OptIn, PlainLetter, Store, StoreError, Subscriber};
use crate::subscribe::{self, Scope, Wording};
use crate::wording::Templates;
use chrono_tz::Tz;
use std::sync::Arc;
use std::time::Duration;

/// How many articles a mail at a reader's own hour shows, as a digest whose file does not say.
const PERSONAL_ARTICLES: usize = 30;

/// What letters are written with.
pub struct Desk {
    /// The newspaper.
    pub publication: Publication,
    /// Who letters are from.
    pub sender: Sender,
    /// What links and Message-IDs derive from.
    pub secret: Secret,
    /// How letters look.
    pub templates: Templates,
    /// The digests there are.
    pub digests: Vec<Digest>,
    /// Over how long the letters of an edition are spread.
    pub spread: Duration,
    /// The feeds there are.
    pub representations: Arc<Representations>,
    /// Whether letters of editions are counted when they are opened.
    pub counts_opens: bool,
    /// Editions that are set already.
    pub press: Press,
    /// Where they are composed.
    pub workbench: Workbench,
}

/// Why a letter was not written.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// It need not be written any more, and why.
    #[error("{0}")]
    Needless(&'static str),
    /// Its edition waits for a person.
    #[error("the edition is held")]
    Held,
    /// The store did not answer. Later may help.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be composed until somebody mends a template.
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

/// A letter, and of an edition what it tells.
pub struct Written {
    /// What goes out.
    pub message: Message,
    /// Where to.
    pub to: EmailAddress,
    /// The numbers of its articles.
    pub articles: Option<String>,
    /// Whether the last look said that its reader may have it.
    pub is_looked_at: bool,
}

impl Desk {
    fn letterhead(&self) -> Letterhead<'_> {
        Letterhead {
            publication: &self.publication,
            from: &self.sender,
            secret: &self.secret,
            templates: &self.templates,
        }
    }

    /// A digest by its slug.
    pub fn digest(&self, slug: &Slug) -> Option<&Digest> {
        self.digests.iter().find(|digest| digest.slug == *slug)
    }

    /// On whose clock a reader is told of times.
    pub fn clock_of(&self, reader: &Subscriber) -> Tz {
        reader.habits.time_zone.unwrap_or(self.publication.time_zone)
    }

    /// When everything comes.
    pub fn calendar(&self) -> Calendar<'_> {
        Calendar { digests: &self.digests, zone: self.publication.time_zone, spread: self.spread }
    }

    /// How the editions of a plan look. What readers chose themselves looks as a digest does, under
    /// a title of its own. `None`: of a digest that is no longer declared.
    pub fn digest_of(&self, plan: &Plan, language: Language) -> Option<Digest> {
        let name = match plan.frequency() {
            Frequency::Digest(slug) => return self.digest(slug).cloned(),
            Frequency::AtOnce => "at-once",
            Frequency::Daily(_) => "daily",
            Frequency::Weekly(..) => "weekly",
        };
        Some(Digest {
            slug: Slug::parse(name).ok()?,
            title: self.templates.text(language, &format!("digest.{name}"), &[]),
            schedule: plan.schedule(self.publication.time_zone)?,
            feeds: DigestFeeds::Every,
            template: Slug::parse("digest").ok()?,
            max_articles: PERSONAL_ARTICLES,
            archive: false,
            review: false,
        })
    }

    /// With what choices are said.
    pub fn wording(&self, language: Language, zone: Option<Tz>) -> Wording<'_> {
        Wording {
            publication: &self.publication,
            templates: &self.templates,
            calendar: self.calendar(),
            language,
            zone,
        }
    }

    /// The reader of an edition, with the links of its letter.
    fn recipient<'r>(&self, edition: &Edition, reader: &'r Subscriber) -> Recipient<'r> {
        let scope = Scope::Frequency(edition.plan.frequency().clone());
        let mut links = self.links(reader, Some(edition.id), &scope);
        links.opened = self.counts_opens.then(|| {
            let token = self.edition_token(edition.id, reader, TokenPurpose::Opened);
            self.publication.url(&format!("/editions/{}/{token}/opened.gif", edition.id))
        });
        Recipient { address: &reader.address, language: reader.language, zone: self.clock_of(reader), links }
    }

    fn links(&self, reader: &Subscriber, edition: Option<EditionId>, scope: &Scope) -> Links {
        let whose = (reader.id, reader.created_at);
        let (unsubscribe, preferences) =
            subscribe::links(&self.secret, |path| self.publication.url(path), whose, scope);
        let browser = edition.map(|edition| self.edition_url(edition, reader));
        Links { unsubscribe, preferences, browser, opened: None }
    }

    fn edition_url(&self, edition: EditionId, reader: &Subscriber) -> String {
        let token = self.edition_token(edition, reader, TokenPurpose::Edition);
        self.publication.url(&format!("/editions/{edition}/{token}"))
    }

    fn edition_token(&self, edition: EditionId, reader: &Subscriber, purpose: TokenPurpose) -> String {
        let token = Token { subject: reader.id.0, issued: crate::domain::from_micros(edition.0) };
        token.seal(&self.secret, purpose)
    }

    /// Whose edition a link opens, if it was made for that edition and purpose.
    pub fn reader_of_edition(
        &self,
        edition: EditionId,
        token: &str,
        purpose: TokenPurpose,
    ) -> Option<SubscriberId> {
        let token = Token::open(token, &self.secret, purpose).ok()?;
        (crate::domain::micros(token.issued) == edition.0).then_some(SubscriberId(token.subject))
    }
}

/// A letter about a subscription, and where it goes.
pub async fn notice_letter(
    store: &Store,
    desk: &Desk,
    delivery: &ClaimedDelivery,
) -> Result<Written, LetterError> {
    let id: OptInId = delivery.opt_in.ok_or(LetterError::Needless("a confirmation of nothing"))?;
    let notice = store.opt_in(id).await?.ok_or(LetterError::Needless("the request is gone"))?;
    let reader = &delivery.subscriber;
    if let Some(why) = needless(&notice, reader.state) {
        return Err(LetterError::Needless(why));
    }
    let asks = Token { subject: id.0, issued: notice.requested_at }.seal(&desk.secret, TokenPurpose::Confirm);
    let door = desk.publication.url(&format!("/confirm/{asks}"));
    let own = desk.links(reader, None, &Scope::Everything);
    let (action_url, links) = match notice.kind {
        NoticeKind::Confirmation | NoticeKind::Address | NoticeKind::Moved => (Some(door), None),
        NoticeKind::Welcome => (None, Some(own)),
        NoticeKind::Goodbye => (Some(own.unsubscribe), None),
    };
    let zone = notice.time_zone;
    let wording = desk.wording(notice.language, zone);
    let frequencies = notice.wishes.iter().map(|wish| &wish.frequency);
    let next = subscribe::next_mail(&wording.calendar, frequencies, zone, notice.requested_at);
    let letter = NoticeLetter {
        kind: notice.kind,
        action_url,
        choices: wording.wishes(store, &desk.representations.directory(), &notice.wishes).await?,
        at: notice.requested_at,
        next: next.filter(|_| notice.kind == NoticeKind::Welcome),
        other: reader.address.hint(),
        links,
    };
    let manner = (notice.language, zone.unwrap_or(desk.publication.time_zone));
    let message = compose_notice(&desk.letterhead(), &notice.address, manner, &letter, id)?;
    Ok(Written { message, to: notice.address, articles: None, is_looked_at: false })
}

/// Why a letter need not be written any more.
fn needless(notice: &OptIn, state: SubscriberState) -> Option<&'static str> {
    match notice.kind {
        NoticeKind::Confirmation | NoticeKind::Address => {
            notice.confirmed_at.is_some().then_some("confirmed before")
        }
        NoticeKind::Welcome => (state != SubscriberState::Active).then_some("the reader has left"),
        NoticeKind::Goodbye => (state == SubscriberState::Active).then_some("the reader has come back"),
        NoticeKind::Moved => None,
    }
}

/// One edition for one reader, from the frozen list, less what was withdrawn or left meanwhile. What
/// may have arrived is repeated as it was, also where a template or a section's name has changed since.
pub async fn edition_letter(
    store: &Store,
    desk: &Arc<Desk>,
    delivery: &ClaimedDelivery,
    plain: Option<PlainLetter>,
    now: Instant,
) -> Result<Written, LetterError> {
    let edition = delivery.edition.ok_or(LetterError::Needless("an edition of nothing"))?;
    let reader = &delivery.subscriber;
    let kind =
        plain.map(|letter| Kind { edition, language: reader.language, zone: desk.clock_of(reader), letter });
    let directory = desk.representations.directory();
    let ready = kind.as_ref().and_then(|kind| desk.press.ready(kind, &directory));
    let is_looked_at = ready.is_some();
    let (mut message, numbers) = match ready {
        Some(print) => printed(desk, &print, reader)?,
        None => opened_letter(store, desk, (delivery, edition), kind, now).await?,
    };
    if delivery.attempt.0 > 1
        && let Some(bytes) = store.kept_letter(delivery.id, &numbers).await?
    {
        message.bytes = bytes;
    }
    Ok(Written { message, to: delivery.subscriber.address.clone(), articles: Some(numbers), is_looked_at })
}

/// A reader's copy of an edition that is set, and the numbers of its articles.
fn printed(desk: &Desk, print: &Print, reader: &Subscriber) -> Result<(Message, String), LetterError> {
    let recipient = desk.recipient(&print.edition, reader);
    Ok((print.typeset.letter(&desk.letterhead(), &recipient, reader.id)?, print.articles.clone()))
}

/// The same after a look at what stands in this letter. What is plain is known from then on.
async fn opened_letter(
    store: &Store,
    desk: &Arc<Desk>,
    (delivery, id): (&ClaimedDelivery, EditionId),
    kind: Option<Kind>,
    now: Instant,
) -> Result<(Message, String), LetterError> {
    let reader = &delivery.subscriber;
    let OpenLetter { contents, held, released_at, is_whole } =
        store.open_letter(id, reader.id, delivery.doubted, now).await?;
    let known = desk.press.edition(id, released_at).filter(|_| !contents.is_empty());
    let edition = match known {
        Some(known) => known,
        None => {
            let edition = store.edition_to_mail(id).await?;
            desk.press.note(edition.ok_or(LetterError::Needless("the edition is gone"))?)
        }
    };
    if held || edition.held.is_some() {
        return Err(LetterError::Held);
    }
    if desk.digest_of(&edition.plan, reader.language).is_none() {
        return Err(UNDECLARED);
    }
    let directory = desk.representations.directory();
    let key = Key { edition: id, language: reader.language, zone: desk.clock_of(reader), contents };
    let turn = loop {
        let print = match desk.press.order(&key, &edition, &directory) {
            Order::Print(print) => print,
            Order::Compose => break None,
            Order::ComposeAndSet(turn) => break Some(turn),
            Order::Wait(turn) => {
                drop(turn.lock_owned().await);
                continue;
            }
        };
        if let Some(kind) = kind.filter(|kind| is_whole && kind.letter.released_at == released_at) {
            desk.press.know(kind, &print, &directory);
        }
        return printed(desk, &print, reader);
    };
    let articles = store.letter_articles(&key.contents).await?;
    let numbers: Vec<String> = articles.iter().map(|article| article.id.to_string()).collect();
    let numbers = numbers.join(",");
    let is_to_be_set = turn.is_some();
    let (own, reader, wanted) = (Arc::clone(desk), reader.clone(), Arc::clone(&edition));
    let (language, zone) = (key.language, key.zone);
    let compose = move || -> Result<_, LetterError> {
        let message = written_letter(&own, &wanted, &reader, &articles)?;
        let set = is_to_be_set.then(|| set_letter(&own, &wanted, (language, zone), &articles));
        Ok((message, set.transpose()?.flatten()))
    };
    let (message, typeset) = desk.workbench.craft(compose).await?;
    if is_to_be_set {
        let print = typeset.map(|typeset| Print {
            edition: Arc::clone(&edition),
            typeset,
            articles: numbers.clone(),
        });
        desk.press.keep(key, edition, &directory, print);
    }
    Ok((message, numbers))
}

const UNDECLARED: LetterError = LetterError::Needless("its digest is no longer declared");

/// The letter of an edition with these articles to a reader: also that of an edition which is only
/// looked at.
pub fn written_letter(
    desk: &Desk,
    edition: &Edition,
    reader: &Subscriber,
    articles: &[Article],
) -> Result<Message, LetterError> {
    let digest = desk.digest_of(&edition.plan, reader.language).ok_or(UNDECLARED)?;
    if articles.is_empty() {
        return Err(LetterError::Needless("nothing is left of it: withdrawn, unsubscribed or paused"));
    }
    let letter = lay_out(desk, &digest, edition, articles);
    let recipient = desk.recipient(edition, reader);
    Ok(compose_edition(&desk.letterhead(), &recipient, &letter, edition.id, reader.id)?)
}

/// The edition as all get it who read this language on this clock and get these articles.
fn set_letter(
    desk: &Desk,
    edition: &Edition,
    (language, zone): (Language, Tz),
    articles: &[Article],
) -> Result<Option<Typeset>, LetterError> {
    let digest = desk.digest_of(&edition.plan, language).ok_or(UNDECLARED)?;
    let letter = lay_out(desk, &digest, edition, articles);
    Ok(Typeset::set(&desk.letterhead(), (language, zone), &letter, edition.id, desk.counts_opens)?)
}

/// The same edition for the browser.
pub async fn edition_page(
    store: &Store,
    desk: &Desk,
    edition: &Edition,
    reader: &Subscriber,
) -> Result<String, LetterError> {
    let digest = desk.digest_of(&edition.plan, reader.language);
    let digest = digest.ok_or(LetterError::Needless("its digest is no longer declared"))?;
    let articles = store.edition_articles(edition.id, reader.id, false).await?;
    let recipient = Recipient {
        address: &reader.address,
        language: reader.language,
        zone: desk.clock_of(reader),
        links: desk.links(reader, None, &Scope::Frequency(edition.plan.frequency().clone())),
    };
    Ok(edition_in_full(&desk.letterhead(), &recipient, &lay_out(desk, &digest, edition, &articles))?)
}

/// What a digest would look like with these articles: previews and test letters. Its links lead
/// to the home page: the reader's own hold keys that are nobody else's.
pub fn sample_letter(
    desk: &Desk,
    digest: &Digest,
    articles: &[Article],
    to: &EmailAddress,
    language: Language,
    now: Instant,
) -> Result<(Message, String), ComposeError> {
    let home = desk.publication.url("/");
    let links =
        Links { unsubscribe: home.clone(), preferences: home.clone(), browser: Some(home), opened: None };
    let recipient = Recipient { address: to, language, zone: desk.publication.time_zone, links };
    let letter = EditionLetter {
        digest,
        slot: Slot(now),
        composed_at: now,
        lead: None,
        sections: sections(desk, articles, &[]),
        total: articles.len(),
        slots: 1,
    };
    let head = desk.letterhead();
    let html = edition_html(&head, &recipient, &letter)?;
    let nobody = SubscriberId(0);
    Ok((compose_edition(&head, &recipient, &letter, EditionId(crate::domain::micros(now)), nobody)?, html))
}

fn lay_out<'a>(
    desk: &Desk,
    digest: &'a Digest,
    edition: &'a Edition,
    articles: &'a [Article],
) -> EditionLetter<'a> {
    EditionLetter {
        digest,
        slot: edition.slot,
        composed_at: edition.released_at.unwrap_or(edition.cut_at),
        lead: edition.lead.as_ref(),
        sections: sections(desk, articles, &edition.placed),
        total: articles.len(),
        slots: match edition.plan.frequency() {
            // Of what is mailed at once they are articles.
            Frequency::AtOnce => 1,
            _ => edition.slots,
        },
    }
}

/// Articles under their first category, in the order in which they come; sections in the directory's
/// order, but those of articles that the editor placed first come first.
pub(super) fn sections<'a>(desk: &Desk, articles: &'a [Article], placed: &[ArticleId]) -> Vec<Section<'a>> {
    let directory = desk.representations.directory();
    let mut sections: Vec<Section<'a>> = Vec::new();
    for (slug, feed) in directory.of_categories().filter_map(|feed| Some((feed.slug()?, feed))) {
        let of_feed: Vec<&Article> = articles
            .iter()
            .filter(|a| a.categories.first().is_some_and(|c| Some(FeedKey::Category(c.id)) == feed.key()))
            .collect();
        if !of_feed.is_empty() {
            sections.push(Section {
                title: feed.title.clone(),
                page_url: desk.publication.url(&feed.place.page_path()),
                slug: slug.clone(),
                articles: of_feed,
            });
        }
    }
    let elsewhere: Vec<&Article> = articles
        .iter()
        .filter(|a| a.categories.first().is_none_or(|c| directory.by_key(FeedKey::Category(c.id)).is_none()))
        .collect();
    if let Some(all) = directory.by_key(FeedKey::All).filter(|_| !elsewhere.is_empty())
        && let Some(slug) = all.slug()
    {
        sections.push(Section {
            title: all.title.clone(),
            page_url: desk.publication.url(&all.place.page_path()),
            slug: slug.clone(),
            articles: elsewhere,
        });
    }
    let place = |article: &Article| placed.iter().position(|id| *id == article.id).unwrap_or(usize::MAX);
    sections.sort_by_key(|section| section.articles.iter().map(|a| place(a)).min());
    sections
}
