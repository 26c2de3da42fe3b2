//! The little of IMAP (RFC 3501) that takes unseen messages out of one mailbox.

use super::{Desk, MESSAGE_BYTES};
use crate::bounce::Arrival;
use percent_encoding::percent_decode_str;
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, crypto::aws_lc_rs, pki_types::ServerName};
use tokio_util::sync::CancellationToken;

/// How often the mailbox is looked into.
const PERIOD: Duration = Duration::from_secs(60);
/// How long a server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest line that is an answer.
const LINE_BYTES: u64 = 64 << 10;
/// How many messages one visit takes: then the next look begins anew.
const MESSAGES: usize = 500;

/// A mailbox: `imaps://user:password@host/INBOX`.
#[derive(Clone, PartialEq, Eq)]
pub struct ImapUrl {
    host: String,
    port: u16,
    is_encrypted: bool,
    user: String,
    password: String,
    mailbox: String,
}

/// Why a text names no mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be like imaps://user:password@mail.bao.example/INBOX, with an @ in the user name written as %40; imap:// without TLS goes to this machine only"
)]
pub struct ImapUrlError;

impl FromStr for ImapUrl {
    type Err = ImapUrlError;

    fn from_str(text: &str) -> Result<Self, ImapUrlError> {
        let url = url::Url::parse(text).map_err(|_| ImapUrlError)?;
        let is_encrypted = match url.scheme() {
            "imaps" => true,
            "imap" => false,
            _ => return Err(ImapUrlError),
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        let host = url.host_str().ok_or(ImapUrlError)?.trim_matches(['[', ']']).to_owned();
        let here = matches!(host.as_str(), "localhost" | "::1") || host.starts_with("127.");
        let mailbox = decoded(url.path().trim_matches('/')).map_err(|_| ImapUrlError)?;
        let made = Self {
            port: url.port().unwrap_or(if is_encrypted { 993 } else { 143 }),
            is_encrypted,
            user: decoded(url.username()).map_err(|_| ImapUrlError)?,
            password: decoded(url.password().unwrap_or_default()).map_err(|_| ImapUrlError)?,
            mailbox: if mailbox.is_empty() { "INBOX".to_owned() } else { mailbox },
            host,
        };
        let is_line = |text: &str| !text.contains(|c: char| c.is_control());
        let is_sound = is_line(&made.user) && is_line(&made.password) && is_line(&made.mailbox);
        if made.user.is_empty() || !is_sound || !(is_encrypted || here) {
            Err(ImapUrlError)
        } else {
            Ok(made)
        }
    }
}

/// Without name and password.
impl fmt::Display for ImapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "imaps" } else { "imap" };
        write!(f, "{scheme}://…@{}:{}/{}", self.host, self.port, self.mailbox)
    }
}

/// Secrets never reach a log.
impl fmt::Debug for ImapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Looks into a mailbox each minute: what is unseen is taken and marked seen, until it is asked to stop.
pub async fn poll(desk: Desk, url: ImapUrl, stop: CancellationToken) {
    let mut is_told = false;
    loop {
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = look(&desk, &url) => looked,
        };
        match looked {
            Ok(_) => is_told = false,
            Err(error) if !is_told => {
                is_told = true;
                tracing::error!(mailbox = %url, %error, "bounces in the mailbox are not taken; tried again");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// Goes as far as one can without taking anything: how many messages wait, or what is wrong.
pub async fn check(url: &ImapUrl) -> Result<usize, String> {
    let asked = async {
        let mut session = Session::begin(url).await?;
        let waiting = session.unseen().await?.len();
        session.end().await;
        Ok(waiting)
    };
    asked.await.map_err(|error: io::Error| error.to_string())
}

async fn look(desk: &Desk, url: &ImapUrl) -> io::Result<usize> {
    let mut session = Session::begin(url).await?;
    let unseen = session.unseen().await?;
    for number in unseen.iter().take(MESSAGES) {
        let bytes = session.message(*number).await?;
        let arrival = Arrival { way: "imap", recipient: None };
        desk.take(&bytes, arrival).await.map_err(io::Error::other)?;
        session.mark(*number).await?;
    }
    session.end().await;
    Ok(unseen.len())
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One visit.
struct Session {
    stream: BufReader<Box<dyn Stream>>,
    commands: u32,
}

impl Session {
    /// Connects, gives name and password, and opens the mailbox.
    async fn begin(url: &ImapUrl) -> io::Result<Self> {
        let connected = in_time(TcpStream::connect((url.host.as_str(), url.port))).await?;
        let stream: Box<dyn Stream> = match url.is_encrypted {
            false => Box::new(connected),
            true => {
                let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                    .with_safe_default_protocol_versions()
                    .and_then(|builder| builder.with_platform_verifier())
                    .map_err(io::Error::other)?
                    .with_no_client_auth();
                let name = ServerName::try_from(url.host.clone()).map_err(io::Error::other)?;
                Box::new(in_time(TlsConnector::from(Arc::new(config)).connect(name, connected)).await?)
            }
        };
        let mut session = Self { stream: BufReader::new(stream), commands: 0 };
        let greeting = session.line().await?;
        if !greeting.starts_with("* OK") && !greeting.starts_with("* PREAUTH") {
            return Err(io::Error::other("no IMAP server answers there"));
        }
        if !greeting.starts_with("* PREAUTH") {
            let login = format!("LOGIN {} {}", quoted(&url.user), quoted(&url.password));
            session.command(&login).await.map_err(|_| io::Error::other("name or password is refused"))?;
        }
        session.command(&format!("SELECT {}", quoted(&url.mailbox))).await?;
        Ok(session)
    }

    /// The numbers of what nobody has seen.
    async fn unseen(&mut self) -> io::Result<Vec<u32>> {
        let answers = self.command("UID SEARCH UNSEEN").await?;
        let found = answers.iter().filter_map(|line| line.text.strip_prefix("* SEARCH"));
        Ok(found.flat_map(|line| line.split_whitespace()).filter_map(|number| number.parse().ok()).collect())
    }

    /// A message, or its beginning; not marked as seen by that.
    async fn message(&mut self, number: u32) -> io::Result<Vec<u8>> {
        let answers = self.command(&format!("UID FETCH {number} BODY.PEEK[]<0.{MESSAGE_BYTES}>")).await?;
        // Gone meanwhile: nothing to read.
        Ok(answers.into_iter().find_map(|answer| answer.literal).unwrap_or_default())
    }

    async fn mark(&mut self, number: u32) -> io::Result<()> {
        self.command(&format!("UID STORE {number} +FLAGS.SILENT (\\Seen)")).await.map(drop)
    }

    async fn end(&mut self) {
        // Whether the server says goodbye changes nothing.
        drop(self.command("LOGOUT").await);
    }

    /// Sends a command and gives what is answered before it is done.
    async fn command(&mut self, command: &str) -> io::Result<Vec<Answer>> {
        self.commands += 1;
        let tag = format!("b{}", self.commands);
        in_time(self.stream.write_all(format!("{tag} {command}\r\n").as_bytes())).await?;
        in_time(self.stream.flush()).await?;
        let mut answers = Vec::new();
        loop {
            let text = self.line().await?;
            if let Some(done) = text.strip_prefix(&tag) {
                let verb = command.split(' ').next().unwrap_or_default();
                return match done.trim_start().get(..2) {
                    Some("OK") => Ok(answers),
                    _ => Err(io::Error::other(format!("{verb} is refused:{done}"))),
                };
            }
            if answers.len() > MESSAGES * 20 {
                return Err(io::Error::other("the server does not come to an end"));
            }
            let literal = match literal_length(&text) {
                Some(length) if length > MESSAGE_BYTES => {
                    return Err(io::Error::other("the server sends more than it was asked for"));
                }
                Some(length) => {
                    let mut bytes = vec![0; length];
                    in_time(self.stream.read_exact(&mut bytes)).await?;
                    Some(bytes)
                }
                None => None,
            };
            answers.push(Answer { text, literal });
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(LINE_BYTES);
        in_time(limited.read_until(b'\n', &mut line)).await?;
        if line.last() != Some(&b'\n') {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up or sends no lines"));
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// A line, and the bytes that it announced.
struct Answer {
    text: String,
    literal: Option<Vec<u8>>,
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the server does not answer in time");
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| late())?
}

/// RFC 3501 §4.3: `{310}` at the end of a line.
fn literal_length(line: &str) -> Option<usize> {
    line.strip_suffix('}')?.rsplit_once('{')?.1.parse().ok()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
