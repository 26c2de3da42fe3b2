use super::{
    Handing, Parcel, Relay, RelayError, SmtpUrl, TlsPolicy,
    pool::Pool,
    reply::{Fault, Step},
    session::{Partner, Session},
    tls,
    wire::lines_ended,
};
use crate::domain::Outcome;
use lettre::transport::smtp::{
    authentication::Mechanism,
    extension::{ClientId, Extension},
};
use std::time::Duration;

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
    pool: Pool,
    rest: Duration,
}

impl SmtpRelay {
    /// Sets the relay up; nothing is connected yet.
    pub fn new(url: SmtpUrl, options: SmtpOptions) -> Result<Self, RelayError> {
        let hello = match options.hello_name {
            None => ClientId::default(),
            Some(name) => hello_name(name)?,
        };
        let tls = tls::connector(&url)?;
        Ok(Self {
            partner: Partner { url, hello, tls, timeouts: options.timeouts },
            pool: Pool::new(options.connections),
            rest: options.rest,
        })
    }

    async fn deliver(&self, parcel: &Parcel) -> Outcome {
        let text = lines_ended(&parcel.bytes);
        let Some(permit) = self.pool.permit().await else {
            return Outcome::Deferred("the relay is closed".into());
        };
        let timeouts = &self.partner.timeouts;
        if let Some(mut session) = self.rested_session(&permit).await {
            let settled = session.transact(parcel, &text, timeouts).await;
            if settled.usable {
                self.pool.rest(session, &permit);
            }
            if !settled.was_dead {
                return settled.outcome;
            }
            tracing::debug!(relay.host = %self.partner.url.host, "the mail server closed a resting connection");
        }
        let mut session = match self.partner.open().await {
            Ok(session) => session,
            // The parcel was not spoken of.
            Err((step, fault)) => return Outcome::Untried(fault.reply(step)),
        };
        tracing::debug!(relay.host = %self.partner.url.host, relay.encrypted = session.offers().1, "connected to the mail server");
        let settled = session.transact(parcel, &text, timeouts).await;
        if settled.usable {
            self.pool.rest(session, &permit);
        }
        settled.outcome
    }

    async fn rested_session(&self, permit: &tokio::sync::SemaphorePermit<'_>) -> Option<Session> {
        while let Some((session, rested)) = self.pool.wake(permit) {
            if rested < self.rest {
                return Some(session);
            }
            session.quit().await;
        }
        None
    }

    /// Opens a conversation and ends it; tells what the server offers, or what is wrong.
    pub async fn check(&self) -> Result<String, String> {
        let session = self.partner.open().await.map_err(|(step, fault)| self.mend(step, &fault))?;
        let (server, encrypted) = session.offers();
        let mut offers = Vec::new();
        for (extension, name) in [
            (Extension::StartTls, "STARTTLS"),
            (Extension::EightBitMime, "8BITMIME"),
            (Extension::SmtpUtfEight, "SMTPUTF8"),
            (Extension::Authentication(Mechanism::Plain), "AUTH PLAIN"),
            (Extension::Authentication(Mechanism::Login), "AUTH LOGIN"),
        ] {
            if server.supports_feature(extension) {
                offers.push(name);
            }
        }
        let line = match (encrypted, self.partner.url.tls) {
            (true, TlsPolicy::Required | TlsPolicy::Implicit) => "encrypted, certificate valid",
            (true, _) => "encrypted, certificate not looked at",
            (false, _) => "not encrypted",
        };
        let signed_in = if self.partner.url.credentials.is_some() { ", signed in" } else { "" };
        let offers = if offers.is_empty() { "no extensions".to_owned() } else { offers.join(", ") };
        let name: String = server.name().chars().take(255).collect();
        let found =
            format!("`{}` answers as `{name}`: {line}{signed_in}; offers {offers}", self.partner.name());
        session.quit().await;
        Ok(found)
    }

    fn mend(&self, step: Step, fault: &Fault) -> String {
        let server = self.partner.name();
        let told = fault.told(step);
        let mend = match (step, fault) {
            (_, Fault::Unmet(_)) => return told,
            (Step::Auth, Fault::Said { .. }) => "are user name and password in `mail.url` right?",
            (Step::Greeting | Step::Hello, Fault::Said { .. }) => {
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

fn hello_name(name: String) -> Result<ClientId, RelayError> {
    if let Ok(ip) = name.trim_matches(['[', ']']).parse() {
        return Ok(match ip {
            std::net::IpAddr::V4(ip) => ClientId::Ipv4(ip),
            std::net::IpAddr::V6(ip) => ClientId::Ipv6(ip),
        });
    }
    match ::url::Host::parse(&name) {
        Ok(::url::Host::Domain(domain)) if domain.len() <= 255 => Ok(ClientId::Domain(domain)),
        _ => Err(RelayError::HelloName(name)),
    }
}

impl Relay for SmtpRelay {
    fn hand_over<'a>(&'a self, parcel: &'a Parcel) -> Handing<'a, Outcome> {
        Box::pin(self.deliver(parcel))
    }

    fn check(&self) -> Handing<'_, Result<String, String>> {
        Box::pin(self.check())
    }

    fn part(&self, rested: Duration) -> Handing<'_, ()> {
        Box::pin(async move {
            while let Some((session, _permit)) = self.pool.retire(rested) {
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
