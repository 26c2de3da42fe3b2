use super::{
    Handing, Parcel, Relay, RelayError, SmtpUrl, TlsPolicy, Turn,
    envelope::Envelope,
    fault::{Fault, Step},
    gate::{Gate, Shut},
    offers::Offers,
    partner::Partner,
    pool::{Pool, Seat},
    session::{Session, Settled},
    text::Text,
    tls,
};
use crate::domain::Outcome;
use std::{net::IpAddr, sync::Arc, time::Duration};

/// How a relay speaks with its mail server.
#[derive(Clone, Debug)]
pub struct SmtpOptions {
    /// The name that EHLO gives (RFC 5321 §4.1.1.1). Without one, this machine's.
    pub hello_name: Option<String>,
    /// Never more connections than this.
    pub connections: usize,
    /// A connection that rested longer is not used again.
    pub rest: Duration,
    /// How long each answer may take.
    pub timeouts: Timeouts,
}

impl Default for SmtpOptions {
    fn default() -> Self {
        Self {
            hello_name: None,
            connections: 4,
            // Postfix hangs up after 300 s (smtpd_timeout), sendmail's children and many
            // firewalls sooner.
            rest: Duration::from_secs(60),
            timeouts: Timeouts::default(),
        }
    }
}

/// How long each answer may take, by default as RFC 5321 §4.5.3.2 has it. A short `dot` makes
/// duplicates (RFC 1047).
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Finding the host, connecting to it, and the TLS handshake, each.
    pub connect: Duration,
    /// The greeting.
    pub greeting: Duration,
    /// EHLO, STARTTLS and AUTH, each.
    pub hello: Duration,
    /// MAIL.
    pub mail: Duration,
    /// RCPT, and RSET.
    pub rcpt: Duration,
    /// DATA.
    pub data: Duration,
    /// Each 64 KiB of the text.
    pub block: Duration,
    /// The answer to the final dot.
    pub dot: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            connect: Duration::from_secs(30),
            greeting: minutes(5),
            hello: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            dot: minutes(10),
        }
    }
}

/// The next mail server, spoken with by SMTP (RFC 5321).
pub struct SmtpRelay {
    partner: Partner,
    pool: Arc<Pool>,
    rest: Duration,
}

impl SmtpRelay {
    /// Sets the relay up; nothing is connected yet.
    pub fn new(url: SmtpUrl, options: SmtpOptions) -> Result<Self, RelayError> {
        let hello = match options.hello_name {
            None => own_name(),
            Some(name) => hello_name(name)?,
        };
        let tls = tls::connector(&url)?;
        Ok(Self {
            partner: Partner { url, hello, tls, timeouts: options.timeouts },
            pool: Pool::new(options.connections),
            rest: options.rest,
        })
    }

    async fn deliver(&self, parcel: &Parcel, urgent: bool, gate: &dyn Gate) -> Result<Outcome, Shut> {
        let text = Text::of(&parcel.bytes);
        let envelope = Envelope::of(parcel, &text);
        let mut seat = self.pool.seat(&envelope, urgent).await;
        if let Some(session) = self.rested_session(&mut seat).await {
            let (settled, again) = self.transact(seat, session, &envelope, &text, gate).await;
            seat = match again {
                Some(seat) if settled.was_dead => seat,
                _ => return settled.outcome,
            };
            tracing::debug!(relay.host = %self.partner.url.host, "the mail server closed a resting connection");
        }
        let session = match self.partner.open().await {
            Ok(session) => session,
            // The parcel was not spoken of.
            Err((step, fault)) => return Ok(Outcome::Untried(fault.told(step))),
        };
        tracing::debug!(relay.host = %self.partner.url.host, relay.encrypted = session.is_encrypted(), "connected to the mail server");
        self.transact(seat, session, &envelope, &text, gate).await.0.outcome
    }

    /// Hands over by this connection, and the connection on to whose parcel was announced with this
    /// one. The seat comes back where there was none.
    async fn transact(
        &self,
        mut seat: Seat,
        mut session: Session,
        envelope: &Envelope,
        text: &Text<'_>,
        gate: &dyn Gate,
    ) -> (Settled, Option<Seat>) {
        let timeouts = &self.partner.timeouts;
        let mut waiting = None;
        let mut next = |offers: &Offers| {
            let (who, commands) = self.pool.next(offers)?;
            waiting = Some(who);
            Some(commands)
        };
        let settled = session.transact(envelope, text, gate, &mut next, timeouts).await;
        session.tidy(next, timeouts).await;
        match waiting {
            Some(waiting) => {
                seat.give(waiting, session);
                (settled, None)
            }
            None => {
                seat.rest(session);
                (settled, Some(seat))
            }
        }
    }

    async fn rested_session(&self, seat: &mut Seat) -> Option<Session> {
        while let Some((session, rested)) = seat.wake() {
            if rested < self.rest || session.is_begun() {
                return Some(session);
            }
            session.quit().await;
        }
        None
    }

    /// Opens a conversation and ends it; tells what the server offers, or what is wrong.
    pub async fn check(&self) -> Result<String, String> {
        let session = self.partner.open().await.map_err(|(step, fault)| self.mend(step, &fault))?;
        let offers = session.offers();
        let line = match (session.is_encrypted(), self.partner.url.tls) {
            (true, TlsPolicy::Required | TlsPolicy::Implicit) => "encrypted, certificate valid",
            (true, _) => "encrypted, certificate not looked at",
            (false, _) => "not encrypted",
        };
        let signed_in = if self.partner.url.credentials.is_some() { ", signed in" } else { "" };
        let (server, name, told) = (self.partner.name(), &offers.name, offers.told());
        let found = format!("`{server}` answers as `{name}`: {line}{signed_in}; offers {told}");
        session.quit().await;
        Ok(found)
    }

    fn mend(&self, step: Step, fault: &Fault) -> String {
        let server = self.partner.name();
        let told = fault.told(step).words;
        let mend = match (step, fault) {
            (_, Fault::Unmet(_)) => return told,
            (Step::Auth, Fault::Said(_)) => "are user name and password in `mail.url` right?",
            (Step::Greeting | Step::Hello, Fault::Said(_)) => {
                "let the mail server accept this machine, and the name in EHLO"
            }
            (_, Fault::Silent(_) | Fault::Garbled(_) | Fault::Lost(_)) => {
                "is it a mail server, and does it expect smtps:// (port 465) instead of smtp://, or the other way round?"
            }
            _ => "see the mail server's log",
        };
        format!("`{server}`: {told}; {mend}")
    }
}

/// The name of this machine, or the address that RFC 5321 §4.1.3 has for a machine without one.
fn own_name() -> String {
    let name = hostname::get().ok().and_then(|name| name.into_string().ok());
    name.and_then(|name| hello_name(name).ok()).unwrap_or_else(|| "[127.0.0.1]".to_owned())
}

fn hello_name(name: String) -> Result<String, RelayError> {
    if let Ok(ip) = name.trim_matches(['[', ']']).parse() {
        return Ok(match ip {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        });
    }
    match ::url::Host::parse(&name) {
        Ok(::url::Host::Domain(domain)) if domain.len() <= 255 => Ok(domain),
        _ => Err(RelayError::HelloName(name)),
    }
}

impl Relay for SmtpRelay {
    fn hand_over_in_turn<'a>(
        &'a self,
        parcel: &'a Parcel,
        turn: Turn,
        gate: &'a dyn Gate,
    ) -> Handing<'a, Result<Outcome, Shut>> {
        Box::pin(self.deliver(parcel, turn.urgent, gate))
    }

    fn check(&self) -> Handing<'_, Result<String, String>> {
        Box::pin(self.check())
    }

    fn part(&self, rested: Duration) -> Handing<'_, ()> {
        Box::pin(async move {
            while let Some((session, _seat)) = self.pool.retire(rested) {
                session.quit().await;
            }
        })
    }
}

impl std::fmt::Debug for SmtpRelay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SmtpRelay({})", self.partner.url)
    }
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "fault_tests.rs"]
mod fault_tests;

#[cfg(test)]
#[path = "pipelining_tests.rs"]
mod pipelining_tests;

#[cfg(test)]
#[path = "gate_tests.rs"]
mod gate_tests;
