//! How a conversation with the mail server is opened: the socket, TLS, EHLO, AUTH.

use super::{
    SmtpUrl, Timeouts, TlsPolicy,
    answer::{Answer, loggable},
    fault::{Failed, Fault, Step},
    offers::Offers,
    session::Session,
    url::is_loopback,
    wire::{Wire, lost},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{fmt::Display, io, time::Duration};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

/// The mail server, and how we speak with it.
pub(super) struct Partner {
    pub(super) url: SmtpUrl,
    /// What EHLO says.
    pub(super) hello: String,
    pub(super) tls: TlsConnector,
    pub(super) timeouts: Timeouts,
}

impl Partner {
    /// Opens a conversation, up to and including AUTH.
    pub(super) async fn open(&self) -> Result<Session, Failed> {
        match self.open_by(self.url.tls).await {
            // Who takes encryption as it comes takes it also that it does not work.
            Err((Step::StartTls | Step::Tls, _)) if self.url.tls == TlsPolicy::Offered => {
                self.open_by(TlsPolicy::Never).await
            }
            opened => opened,
        }
    }

    async fn open_by(&self, policy: TlsPolicy) -> Result<Session, Failed> {
        let mut wire = Wire::new(self.dial().await?);
        if policy == TlsPolicy::Implicit {
            wire = self.encrypt(wire).await?;
        }
        self.expect(&mut wire, Step::Greeting, self.timeouts.greeting).await?;
        let mut offers = self.hello(&mut wire).await?;
        if matches!(policy, TlsPolicy::Offered | TlsPolicy::Required) && offers.starttls {
            self.ask(&mut wire, Step::StartTls, "STARTTLS\r\n").await?;
            if !wire.is_quiet() {
                let words = "something stands behind the answer: the line is tampered with";
                return Err((Step::StartTls, Fault::Garbled(words.into())));
            }
            wire = self.encrypt(wire).await?;
            // Nothing that was said before counts (RFC 3207 §4.2).
            offers = self.hello(&mut wire).await?;
        } else if policy == TlsPolicy::Required {
            let words = format!(
                "`{}` does not offer STARTTLS, and `mail.url` requires it; mend the mail server's TLS, or write smtps:// if it listens for that, or ?tls=none without a password",
                self.name()
            );
            return Err((Step::StartTls, Fault::Unmet(words)));
        }
        if let Some((user, password)) = &self.url.credentials {
            self.sign_in(&mut wire, &offers, user, password).await?;
        }
        Ok(Session::new(wire, offers))
    }

    /// Tries the addresses of the host in turn, each for its share of the time.
    async fn dial(&self) -> Result<TcpStream, Failed> {
        let at = |fault| (Step::Connect, fault);
        let unreachable = |e: &dyn Display, mend: &str| {
            at(Fault::Unmet(format!("no connection to `{}`: {e}; {mend}", self.name())))
        };
        let host = (self.url.host.as_str(), self.url.port);
        let limit = self.timeouts.connect;
        let addresses: Vec<_> = match timeout(limit, lookup_host(host)).await {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(e)) => return Err(unreachable(&e, "is the host name in `mail.url` right?")),
            Err(_) => return Err(unreachable(&"the name server is silent", "is there a network?")),
        };
        let share = limit / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut last = io::Error::other("the name has no address");
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // A command must not wait 40 ms for the acknowledgement of the one before.
                    stream.set_nodelay(true).map_err(|e| at(lost(&e)))?;
                    return Ok(stream);
                }
                Ok(Err(e)) => last = e,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(unreachable(&last, "is the mail server running, and are host and port in `mail.url` right?"))
    }

    async fn encrypt(&self, wire: Wire) -> Result<Wire, Failed> {
        let unmet = |e: &dyn Display| {
            (
                Step::Tls,
                Fault::Unmet(format!(
                    "no TLS with `{}`: {}; its certificate must be valid for the host in `mail.url`, and its authority known to this system or given as ?ca=FILE",
                    self.name(),
                    loggable(&e.to_string())
                )),
            )
        };
        let name = ServerName::try_from(self.url.host.clone()).map_err(|e| unmet(&e))?;
        match timeout(self.timeouts.connect, wire.encrypt(&self.tls, name)).await {
            Ok(handshake) => handshake.map_err(|e| unmet(&e)),
            Err(_) => Err((Step::Tls, Fault::Silent(self.timeouts.connect))),
        }
    }

    async fn hello(&self, wire: &mut Wire) -> Result<Offers, Failed> {
        match self.ask(wire, Step::Hello, &format!("EHLO {}\r\n", self.hello)).await {
            Ok(answer) => Ok(Offers::of(&answer)),
            // A server from before 1995 (RFC 5321 §3.2) offers nothing.
            Err((_, Fault::Said(Answer { code: 500 | 502, .. }))) => {
                let answer = self.ask(wire, Step::Hello, &format!("HELO {}\r\n", self.hello)).await?;
                Ok(Offers { name: Offers::of(&answer).name, ..Offers::default() })
            }
            Err(failed) => Err(failed),
        }
    }

    /// AUTH PLAIN (RFC 4616), or else LOGIN, which has no RFC and many servers.
    async fn sign_in(
        &self,
        wire: &mut Wire,
        offers: &Offers,
        user: &str,
        password: &str,
    ) -> Result<(), Failed> {
        let unmet = |words: String| Err((Step::Auth, Fault::Unmet(words)));
        if !wire.is_encrypted() && !is_loopback(&self.url.host) {
            return unmet("the password would go in clear text; write ?tls=required".into());
        }
        if offers.plain {
            let secret = STANDARD.encode(format!("\0{user}\0{password}"));
            self.ask(wire, Step::Auth, &format!("AUTH PLAIN {secret}\r\n")).await?;
        } else if offers.login {
            for line in ["AUTH LOGIN".to_owned(), STANDARD.encode(user)] {
                self.say(wire, Step::Auth, &format!("{line}\r\n")).await?;
                let answer = self.heard(wire, Step::Auth, self.timeouts.hello).await?;
                due(answer, 3).map_err(|fault| (Step::Auth, fault))?;
            }
            self.ask(wire, Step::Auth, &format!("{}\r\n", STANDARD.encode(password))).await?;
        } else {
            return unmet(format!(
                "`{}` offers no AUTH PLAIN or LOGIN here; leave the password out of `mail.url`, or write the port for submission (587, or smtps:// for 465)",
                self.name()
            ));
        }
        Ok(())
    }

    async fn ask(&self, wire: &mut Wire, step: Step, command: &str) -> Result<Answer, Failed> {
        self.say(wire, step, command).await?;
        self.expect(wire, step, self.timeouts.hello).await
    }

    async fn say(&self, wire: &mut Wire, step: Step, command: &str) -> Result<(), Failed> {
        wire.say(command.as_bytes(), self.timeouts.hello).await.map_err(|fault| (step, fault))
    }

    async fn heard(&self, wire: &mut Wire, step: Step, limit: Duration) -> Result<Answer, Failed> {
        wire.answer(limit).await.map_err(|fault| (step, fault))
    }

    async fn expect(&self, wire: &mut Wire, step: Step, limit: Duration) -> Result<Answer, Failed> {
        due(self.heard(wire, step, limit).await?, 2).map_err(|fault| (step, fault))
    }

    /// The server as an operator knows it.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.url.host, self.url.port)
    }
}

/// The answer, if its first digit is the one that is due.
pub(super) fn due(answer: Answer, class: u16) -> Result<Answer, Fault> {
    match answer.code / 100 {
        said if said == class => Ok(answer),
        4 | 5 => Err(Fault::Said(answer)),
        _ => Err(Fault::Garbled(format!("{} where {class}xx is due", answer.reply("").words))),
    }
}
