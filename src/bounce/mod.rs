//! Floor 3: what comes back of mail: report → delivery and reader → suppression.
//!
//! Anybody can write us that an address is dead. So a report counts in full only with a proof that
//! its writer held our mail: the signed return address, a Message-ID or a link that only we can make,
//! or the way on which it came. Without one, a hard bounce weighs as a soft one.

mod sns;
mod stop;

pub use sns::{Asked, Sns, SnsError};

use crate::domain::{
    BounceClass, Breaker, DeliveryId, DeliveryKind, EmailAddress, Forged, Instant, ReturnPath, Secret,
    SubscriberId, TokenPurpose,
};
use crate::mail::message_id;
use crate::mail::report::{self, Finding, Marks, Report, Rules};
use crate::store::{Bounce, HandedOver, Noted, Store, StoreError};
use crate::subscribe;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How long after a mail something may come back of it. Servers give up after five days; complaints
/// come while the mail lies in the mailbox.
const LATELY: chrono::Duration = chrono::Duration::days(30);

/// Who takes back what could not be delivered.
pub struct Returns {
    /// The ledger.
    pub store: Store,
    /// What return addresses, Message-IDs and links are derived from.
    pub secret: Secret,
    /// Where mail goes back to, if not to its sender.
    pub return_path: Option<ReturnPath>,
    /// The sender of all mail.
    pub sender: EmailAddress,
    /// The habits of servers.
    pub rules: Rules,
    /// When an edition is stopped.
    pub breaker: Breaker,
    /// What came.
    pub tally: Tally,
}

/// How a message came to us.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The way, as it is told: `pipe`, `lmtp`, `maildir`, `imap`.
    pub way: &'static str,
    /// To whom, in the envelope.
    pub recipient: Option<&'a str>,
}

/// What became of one finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What it means.
    pub class: BounceClass,
    /// What came of it; `None` where it speaks of no mail of ours.
    pub noted: Option<Noted>,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BounceError {
    /// Its return address is not one of ours.
    #[error(transparent)]
    Forged(#[from] Forged),
    /// Later may help.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How many reports of each kind came since the start, for the metrics.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    fn count(&self, kind: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
    }

    /// The counts by kind: the classes, `unknown` for what speaks of no mail of ours, `forged`.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(kind, count)| (*kind, *count)).collect()
    }
}

/// Which mail a report speaks of, and whether its writer held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    delivery: DeliveryId,
    is_proved: bool,
}

impl Returns {
    /// Where the mail of a delivery goes back to.
    pub fn envelope_from(&self, delivery: DeliveryId) -> EmailAddress {
        let own = self.return_path.as_ref().and_then(|path| path.of(delivery, &self.secret));
        own.unwrap_or_else(|| self.sender.clone())
    }

    /// Whether mail to this address is for us.
    pub fn takes(&self, address: &str) -> Result<bool, Forged> {
        let Some(path) = &self.return_path else { return Ok(true) };
        match path.delivery_of(address, &self.secret) {
            Some(opened) => opened.map(|_| true),
            None => Ok(path.takes(address)
                || EmailAddress::parse(address).is_ok_and(|a| a.key() == self.sender.key())),
        }
    }

    /// Takes a message that came back. Repeatable: what was reported before changes nothing.
    pub async fn take(
        &self,
        bytes: &[u8],
        arrival: Arrival<'_>,
        now: Instant,
    ) -> Result<Vec<Taken>, BounceError> {
        let mut report = report::read(bytes, &self.rules);
        if let Some(recipient) = arrival.recipient {
            if let Some(Err(forged)) = self.opened(recipient) {
                self.tally.count("forged");
                return Err(forged.into());
            }
            report.marks.return_paths.insert(0, recipient.to_owned());
        }
        Ok(self.follow(&report, arrival.way, false, now).await?)
    }

    /// Takes what a provider reported on a way that only it knows.
    pub async fn take_notice(
        &self,
        report: &Report,
        way: &str,
        now: Instant,
    ) -> Result<Vec<Taken>, StoreError> {
        self.follow(report, way, true, now).await
    }

    /// What the refusal of a letter that was just handed over reports.
    pub fn refusal(&self, delivery: DeliveryId, reply: &str) -> Bounce {
        let class = report::of_reply(reply, &self.rules);
        Bounce { delivery, class, way: "smtp".to_owned(), evidence: report::evidence(reply) }
    }

    /// Counts a refusal.
    pub fn count(&self, refusal: &Bounce) {
        self.tally.count(refusal.class.as_str());
    }

    async fn follow(
        &self,
        report: &Report,
        way: &str,
        is_trusted: bool,
        now: Instant,
    ) -> Result<Vec<Taken>, StoreError> {
        let mut taken = Vec::new();
        for finding in &report.findings {
            let noted = match finding.class.matters() {
                false => None,
                true => match self.named(&report.marks, finding, now).await? {
                    Some(named) => {
                        let named = Named { is_proved: named.is_proved || is_trusted, ..named };
                        Some(self.note(finding, named, way, now).await?)
                    }
                    None => None,
                },
            };
            let is_unknown = finding.class.matters() && noted.is_none();
            self.tally.count(if is_unknown { "unknown" } else { finding.class.as_str() });
            tracing::info!(class = finding.class.as_str(), way, noted = ?noted, "report taken");
            taken.push(Taken { class: finding.class, noted });
        }
        Ok(taken)
    }

    async fn note(
        &self,
        finding: &Finding,
        named: Named,
        way: &str,
        now: Instant,
    ) -> Result<Noted, StoreError> {
        let class = match finding.class {
            BounceClass::Hard if !named.is_proved => BounceClass::Soft,
            BounceClass::Complaint if !named.is_proved => BounceClass::Policy,
            class => class,
        };
        let bounce = Bounce {
            delivery: named.delivery,
            class,
            way: way.to_owned(),
            evidence: finding.evidence.clone(),
        };
        let noted = self.store.note_bounce(&bounce, &self.secret, now).await?;
        if matches!(noted, Noted::Kept | Noted::Suppressed(_))
            && let Some(edition) =
                self.store.handed_over(bounce.delivery).await?.and_then(|mail| mail.edition)
        {
            self.look_at(edition, now).await?;
        }
        Ok(noted)
    }

    fn opened(&self, address: &str) -> Option<Result<DeliveryId, Forged>> {
        self.return_path.as_ref()?.delivery_of(address, &self.secret)
    }

    /// The mail that a report speaks of: by the signed return address, by what only the mail itself
    /// had, by what we called it when we handed it over, by its reader's address.
    async fn named(
        &self,
        marks: &Marks,
        finding: &Finding,
        now: Instant,
    ) -> Result<Option<Named>, StoreError> {
        for address in &marks.return_paths {
            if let Some(Ok(delivery)) = self.opened(address)
                && self.store.handed_over(delivery).await?.is_some()
            {
                return Ok(Some(Named { delivery, is_proved: true }));
            }
        }
        let linked = marks.links.iter().find_map(|link| self.reader_of(link));
        let called = marks.envelope_id.as_deref().and_then(|id| id.parse().ok()).map(DeliveryId);
        let called = match called {
            Some(id) => self.store.handed_over(id).await?,
            None => None,
        };
        let addressed = match &finding.recipient {
            Some(address) => self.store.subscriber_by_address(address).await?.map(|reader| reader.id),
            None => None,
        };
        let readers = [linked, called.as_ref().map(|mail| mail.subscriber), addressed];
        for reader in readers.into_iter().flatten() {
            let mails = self.store.handed_over_to(reader, now - LATELY).await?;
            if let Some(mail) = mails.iter().find(|mail| marks.message_ids.contains(&self.message_id(mail))) {
                return Ok(Some(Named { delivery: mail.id, is_proved: true }));
            }
            let meant = called.as_ref().filter(|mail| mails.contains(mail)).or(mails.first());
            if let Some(mail) = meant {
                return Ok(Some(Named { delivery: mail.id, is_proved: Some(reader) == linked }));
            }
        }
        Ok(None)
    }

    /// Whose link it is, if we made it.
    fn reader_of(&self, link: &str) -> Option<SubscriberId> {
        let token = link.rsplit_once("/unsubscribe/")?.1;
        // Behind it stands which list the mail was of.
        let token = token.split(['?', '#']).next().unwrap_or_default();
        subscribe::reader_of(&self.secret, token, TokenPurpose::Unsubscribe).ok()
    }

    fn message_id(&self, mail: &HandedOver) -> String {
        let domain = self.sender.domain();
        match mail.kind {
            DeliveryKind::Confirmation => {
                message_id(&self.secret, "confirmation", mail.opt_in.map_or(0, |id| id.0), 0, domain)
            }
            DeliveryKind::Edition => {
                let edition = mail.edition.map_or(0, |id| id.0);
                message_id(&self.secret, "edition", edition, mail.subscriber.0, domain)
            }
        }
    }
}
