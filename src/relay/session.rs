use super::{
    Parcel, SmtpUrl, Timeouts, TlsPolicy,
    reply::{Fault, Step, loggable, reply, words},
    url::is_loopback,
    wire::Wire,
};
use crate::domain::{EmailAddress, Outcome};
use lettre::{
    Address,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Quit, Rcpt, Rset},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter, ServerInfo},
        response::{Response, Severity},
    },
};
use std::{
    fmt::Display,
    future::Future,
    io,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

/// The mail server, and how we speak with it.
pub(super) struct Partner {
    pub(super) url: SmtpUrl,
    pub(super) hello: ClientId,
    pub(super) tls: TlsConnector,
    pub(super) timeouts: Timeouts,
}

/// One open conversation with the mail server, ready for MAIL.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
    encrypted: bool,
}

/// What became of a parcel, and of the line.
pub(super) struct Settled {
    pub(super) outcome: Outcome,
    /// The line is ready for the next parcel.
    pub(super) usable: bool,
    /// The server closed the line while it rested, so nothing is said about the parcel yet.
    pub(super) was_dead: bool,
}

/// A fault and where it happened.
pub(super) type Failed = (Step, Fault);

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
        let stream = self.dial().await?;
        let peer = stream.peer_addr().map_err(|e| (Step::Connect, lost(&e)))?;
        if policy == TlsPolicy::Implicit {
            let mut wire = Wire::new(self.encrypt(stream).await?, peer);
            self.greeting(&mut wire).await?;
            return self.finish(wire, true).await;
        }
        let mut wire = Wire::new(stream, peer);
        self.greeting(&mut wire).await?;
        if policy == TlsPolicy::Never || !self.offers_tls(&mut wire).await? {
            return match policy {
                TlsPolicy::Required => Err((
                    Step::StartTls,
                    Fault::Unmet(format!(
                        "`{}` does not offer STARTTLS, and `mail.url` requires it; mend the mail server's TLS, or write smtps:// if it listens for that, or ?tls=none without a password",
                        self.name()
                    )),
                )),
                _ => self.finish(wire, false).await,
            };
        }
        self.ask(&mut wire, Step::StartTls, "STARTTLS\r\n", self.timeouts.hello).await?;
        let (stream, peer) = wire.into_quiet_inner().ok_or((
            Step::StartTls,
            Fault::Garbled("something stands behind the answer: the line is tampered with".into()),
        ))?;
        self.finish(Wire::new(self.encrypt(stream).await?, peer), true).await
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
                    // The text and its dot are two writes; without this the second waits 40 ms
                    // for the acknowledgement of the first, 24 messages a second instead of 1900.
                    stream.set_nodelay(true).map_err(|e| at(lost(&e)))?;
                    return Ok(stream);
                }
                Ok(Err(e)) => last = e,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(unreachable(&last, "is the mail server running, and are host and port in `mail.url` right?"))
    }

    async fn encrypt(&self, stream: TcpStream) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Failed> {
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
        match timeout(self.timeouts.connect, self.tls.connect(name, stream)).await {
            Ok(handshake) => handshake.map_err(|e| unmet(&e)),
            Err(_) => Err((Step::Tls, Fault::Silent(self.timeouts.connect))),
        }
    }

    async fn greeting<S>(&self, wire: &mut Wire<S>) -> Result<(), Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let greeting = within(self.timeouts.greeting, read_reply(wire)).await;
        greeting.map(|_| ()).map_err(|fault| (Step::Greeting, fault))
    }

    async fn offers_tls(&self, wire: &mut Wire<TcpStream>) -> Result<bool, Failed> {
        let hello = format!("EHLO {}\r\n", self.hello);
        let offers = self.ask(wire, Step::Hello, &hello, self.timeouts.hello).await?;
        Ok(offers.iter().skip(1).any(|line| line.trim().eq_ignore_ascii_case("STARTTLS")))
    }

    async fn ask(
        &self,
        wire: &mut Wire<TcpStream>,
        step: Step,
        command: &str,
        limit: Duration,
    ) -> Result<Vec<String>, Failed> {
        within(limit, async {
            wire.inner_mut().write_all(command.as_bytes()).await.map_err(|e| lost(&e))?;
            read_reply(wire).await
        })
        .await
        .map_err(|fault| (step, fault))
    }

    /// Gives the line over to lettre, which waits for a greeting that came long ago.
    async fn finish<S>(&self, mut wire: Wire<S>, encrypted: bool) -> Result<Session, Failed>
    where
        S: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
    {
        wire.say_first("220 ready");
        let hello = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &self.hello);
        let connection = within(self.timeouts.hello, hello).await.map_err(|fault| (Step::Hello, fault))?;
        let mut session = Session { connection, encrypted };
        if let Some((user, password)) = &self.url.credentials {
            let credentials = Credentials::new(user.clone(), password.clone());
            self.sign_in(&mut session, &credentials).await.map_err(|fault| (Step::Auth, fault))?;
        }
        Ok(session)
    }

    async fn sign_in(&self, session: &mut Session, credentials: &Credentials) -> Result<(), Fault> {
        const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];
        if !session.encrypted && !is_loopback(&self.url.host) {
            return Err(Fault::Unmet("the password would go in clear text; write ?tls=required".into()));
        }
        if session.connection.server_info().get_auth_mechanism(&MECHANISMS).is_none() {
            return Err(Fault::Unmet(format!(
                "`{}` offers no AUTH PLAIN or LOGIN here; leave the password out of `mail.url`, or write the port for submission (587, or smtps:// for 465)",
                self.name()
            )));
        }
        within(self.timeouts.hello, session.connection.auth(&MECHANISMS, credentials)).await.map(|_| ())
    }

    /// The server as an operator knows it.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.url.host, self.url.port)
    }
}

impl Session {
    /// What the server said that it can, and whether the line is encrypted.
    pub(super) fn offers(&self) -> (&ServerInfo, bool) {
        (self.connection.server_info(), self.encrypted)
    }

    /// Hands over one parcel; `text` is its message with every line ended.
    pub(super) async fn transact(&mut self, parcel: &Parcel, text: &[u8], timeouts: &Timeouts) -> Settled {
        let (outcome, usable, was_dead) = match self.converse(parcel, text, timeouts).await {
            Ok(accepted) => (Outcome::Accepted(reply(&accepted)), true, false),
            Err((step, fault)) => {
                let cut = matches!(fault, Fault::Lost(_)) && step < Step::Text;
                // The farewell of a server that was tired of waiting lies before our MAIL's answer.
                let farewell = step == Step::Mail && matches!(fault, Fault::Said { code: 421, .. });
                let usable = self.recover(step, &fault, timeouts).await;
                (fault.outcome(step), usable, cut || farewell)
            }
        };
        Settled { outcome, usable, was_dead }
    }

    async fn converse(
        &mut self,
        parcel: &Parcel,
        text: &[u8],
        timeouts: &Timeouts,
    ) -> Result<Response, Failed> {
        use Severity::{PositiveCompletion, PositiveIntermediate};
        let parameters = self.parameters(parcel, text)?;
        let from = address(&parcel.envelope_from).map_err(|fault| (Step::Connect, fault))?;
        let to = address(&parcel.to).map_err(|fault| (Step::Rcpt, fault))?;
        let mail = Mail::new(Some(from), parameters);
        self.say(Step::Mail, mail, PositiveCompletion, timeouts.mail).await?;
        self.say(Step::Rcpt, Rcpt::new(to, Vec::new()), PositiveCompletion, timeouts.rcpt).await?;
        self.say(Step::Data, Data, PositiveIntermediate, timeouts.data).await?;
        self.send_text(text, timeouts).await
    }

    /// 8BITMIME (RFC 6152) and SMTPUTF8 (RFC 6531), where the message cannot do without.
    fn parameters(&self, parcel: &Parcel, text: &[u8]) -> Result<Vec<MailParameter>, Failed> {
        let mut parameters = Vec::new();
        let server = self.connection.server_info();
        if !parcel.to.local().is_ascii() || !parcel.envelope_from.local().is_ascii() {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                // RFC 6531 §3.5 gives 553 for it. Were our own address the reason, every reader
                // would bounce.
                let code = if parcel.envelope_from.local().is_ascii() { 553 } else { 451 };
                let words = "5.6.7 the mail server takes no address with letters beyond ASCII".into();
                return Err((Step::Rcpt, Fault::Said { code, words }));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !text.is_ascii() {
            if !server.supports_feature(Extension::EightBitMime) {
                let words = "the message holds letters beyond ASCII and the mail server takes none";
                return Err((Step::Connect, Fault::Unmet(words.into())));
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        Ok(parameters)
    }

    async fn say<C: Display>(
        &mut self,
        step: Step,
        command: C,
        due: Severity,
        limit: Duration,
    ) -> Result<Response, Failed> {
        let answer = within(limit, self.connection.command(command)).await.map_err(|fault| (step, fault))?;
        expect(answer, due).map_err(|fault| (step, fault))
    }

    /// Sends text and dot. lettre takes the text in parts and writes the dot after the last one,
    /// so the part it asks for tells how far it is: before the dot nothing can have been taken.
    async fn send_text(&mut self, text: &[u8], timeouts: &Timeouts) -> Result<Response, Failed> {
        const PART: usize = 64 * 1024;
        let asked = AtomicUsize::new(0);
        let last = text.chunks(PART).len() + 1;
        let parts = text
            .chunks(PART)
            .map(Some)
            .chain([None])
            .inspect(|_| {
                asked.fetch_add(1, Ordering::Relaxed);
            })
            .map_while(|part| part);
        let mut sending = pin!(self.connection.message_iter(parts));
        let mut seen = 0;
        let sent = loop {
            let limit = if seen == last { timeouts.dot } else { timeouts.block };
            match timeout(limit, &mut sending).await {
                Ok(sent) => break sent.map_err(Fault::from),
                Err(_) if asked.load(Ordering::Relaxed) == seen => break Err(Fault::Silent(limit)),
                Err(_) => seen = asked.load(Ordering::Relaxed),
            }
        };
        let step = if asked.load(Ordering::Relaxed) == last { Step::Dot } else { Step::Text };
        sent.and_then(|answer| expect(answer, Severity::PositiveCompletion)).map_err(|fault| (step, fault))
    }

    /// Makes the line ready again after a fault, where that is possible.
    async fn recover(&mut self, step: Step, fault: &Fault, timeouts: &Timeouts) -> bool {
        match step {
            // Nothing was said yet, or the transaction ended by itself (RFC 5321 §4.1.1.4).
            Step::Connect => true,
            Step::Dot => fault.leaves_line(),
            _ if !fault.leaves_line() => false,
            _ => self.say(Step::Reset, Rset, Severity::PositiveCompletion, timeouts.rcpt).await.is_ok(),
        }
    }

    /// Says goodbye, and does not insist on an answer.
    pub(super) async fn quit(mut self) {
        let _ = timeout(Duration::from_secs(2), self.connection.command(Quit)).await;
    }
}

fn address(address: &EmailAddress) -> Result<Address, Fault> {
    Address::new(address.local(), address.domain()).map_err(|e| Fault::Unmet(e.to_string()))
}

fn expect(answer: Response, due: Severity) -> Result<Response, Fault> {
    if answer.code().severity == due {
        Ok(answer)
    } else {
        Err(Fault::Garbled(format!("{} where {due}xx is due", words(&answer))))
    }
}

fn lost(error: &io::Error) -> Fault {
    Fault::Lost(loggable(&error.to_string()))
}

async fn within<T, E: Into<Fault>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    timeout(limit, work).await.map_err(|_| Fault::Silent(limit))?.map_err(Into::into)
}

/// Reads one 2xx reply before lettre takes over.
async fn read_reply<S>(wire: &mut Wire<S>) -> Result<Vec<String>, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    const MAX_LINES: usize = 100;
    let mut lines = Vec::new();
    while lines.len() < MAX_LINES {
        let line = wire.read_line().await.map_err(|e| lost(&e))?;
        let line = line.ok_or_else(|| Fault::Lost("the server hung up".into()))?;
        let code = line.get(..3).and_then(|c| c.parse::<u16>().ok());
        let Some(code) = code.filter(|c| (200..600).contains(c)) else {
            return Err(Fault::Garbled("the reply is none".into()));
        };
        lines.push(line.get(4..).unwrap_or_default().to_owned());
        match line.as_bytes().get(3) {
            Some(b'-') => {}
            _ if code < 300 => return Ok(lines),
            _ if code < 400 => break,
            _ => return Err(Fault::Said { code, words: loggable(&lines.join(" ")) }),
        }
    }
    Err(Fault::Garbled("the reply does not fit".into()))
}
