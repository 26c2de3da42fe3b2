use super::{Desk, MESSAGE_BYTES};
use crate::bounce::Arrival;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A command line with everything that extensions may add (RFC 5321 §4.5.3.1.4).
const LINE_BYTES: usize = 2_048;
/// RFC 5321 §4.5.3.1.8 asks for at least a hundred.
const RECIPIENTS: usize = 100;

/// How much one peer may take of us.
#[derive(Clone, Copy, Debug)]
pub struct LmtpLimits {
    /// Conversations at once; one more is told to come again.
    pub connections: usize,
    /// RFC 5321 §4.5.3.2.7: how long a line may be waited for.
    pub patience: Duration,
    /// The largest message. Only its beginning is kept.
    pub message: usize,
}

impl Default for LmtpLimits {
    fn default() -> Self {
        Self { connections: 32, patience: Duration::from_secs(300), message: 64 << 20 }
    }
}

/// Speaks LMTP (RFC 2033) with whoever connects, until it is asked to stop.
pub async fn serve(desk: Desk, listener: TcpListener, limits: LmtpLimits, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut talks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            _ = talks.join_next(), if !talks.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of files, most likely: the next try need not come at once.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let place = Arc::clone(&places).try_acquire_owned();
        let (desk, stop) = (desk.clone(), stop.clone());
        talks.spawn(async move {
            let (from, to) = tokio::io::split(stream);
            let mut talk = Talk { desk, from: BufReader::new(from), to, limits };
            let ended = match place {
                Ok(_place) => {
                    tokio::select! {
                        ended = talk.hold() => ended,
                        () = stop.cancelled() => talk.say("421 4.3.2 stopping").await,
                    }
                }
                Err(_) => talk.say("421 4.3.2 too many conversations; come again").await,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "LMTP conversation cut");
            }
        });
    }
    talks.join_all().await;
}

/// One conversation.
struct Talk<R, W> {
    desk: Desk,
    from: BufReader<R>,
    to: W,
    limits: LmtpLimits,
}

/// What stands between MAIL and the end of the text.
#[derive(Default)]
struct Envelope {
    is_begun: bool,
    recipients: Vec<String>,
}

/// A line of the peer.
enum Line {
    Text(String),
    TooLong,
    End,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Talk<R, W> {
    async fn hold(&mut self) -> io::Result<()> {
        self.say("220 bantin LMTP ready").await?;
        let mut greeted = false;
        let mut envelope = Envelope::default();
        loop {
            let line = match self.line().await? {
                Line::Text(line) => line,
                Line::TooLong => {
                    self.say("500 5.5.2 line too long").await?;
                    continue;
                }
                Line::End => return Ok(()),
            };
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "LHLO" => {
                    greeted = true;
                    envelope = Envelope::default();
                    let size = format!("250 SIZE {}", self.limits.message);
                    let offers = [
                        "250-bantin",
                        "250-PIPELINING",
                        "250-ENHANCEDSTATUSCODES",
                        "250-8BITMIME",
                        "250-SMTPUTF8",
                        &size,
                    ];
                    self.say(&offers.join("\r\n")).await?;
                }
                // RFC 2033 §4.1: they must be refused.
                "HELO" | "EHLO" => self.say("500 5.5.1 this is LMTP; say LHLO").await?,
                "MAIL" if !greeted || envelope.is_begun => self.say("503 5.5.1 out of order").await?,
                "MAIL" if path(rest, "FROM:").is_none() => self.say("501 5.5.4 MAIL FROM:<address>").await?,
                "MAIL" => {
                    envelope.is_begun = true;
                    self.say("250 2.1.0 ok").await?;
                }
                "RCPT" => {
                    let answer = self.recipient(&mut envelope, rest);
                    self.say(answer).await?;
                }
                "DATA" if envelope.recipients.is_empty() => self.say("503 5.5.1 no valid recipients").await?,
                "DATA" => {
                    self.say("354 end with a dot").await?;
                    let Some(text) = self.text().await? else { return Ok(()) };
                    let envelope = std::mem::take(&mut envelope);
                    self.settle(&envelope.recipients, text.as_deref()).await?;
                }
                "RSET" => {
                    envelope = Envelope::default();
                    self.say("250 2.0.0 ok").await?;
                }
                "NOOP" => self.say("250 2.0.0 ok").await?,
                "VRFY" => self.say("252 2.5.1 cannot say").await?,
                "QUIT" => return self.say("221 2.0.0 bye").await,
                _ => self.say("500 5.5.1 unknown command").await?,
            }
        }
    }

    fn recipient(&self, envelope: &mut Envelope, rest: &str) -> &'static str {
        let Some(address) = path(rest, "TO:") else { return "501 5.5.4 RCPT TO:<address>" };
        if !envelope.is_begun {
            return "503 5.5.1 MAIL first";
        }
        if envelope.recipients.len() >= RECIPIENTS {
            return "452 4.5.3 too many recipients";
        }
        match self.desk.returns.takes(address) {
            Ok(true) => {
                envelope.recipients.push(address.to_owned());
                "250 2.1.5 ok"
            }
            Ok(false) => "550 5.1.1 no such mailbox here",
            Err(_) => "550 5.1.1 not an address of ours",
        }
    }

    /// RFC 2033 §4.2: one answer to each recipient, in their order.
    async fn settle(&mut self, recipients: &[String], text: Option<&[u8]>) -> io::Result<()> {
        for recipient in recipients {
            let Some(text) = text else {
                self.say("552 5.3.4 message too large").await?;
                continue;
            };
            let arrival = Arrival { way: "lmtp", recipient: Some(recipient) };
            match self.desk.take(text, arrival).await {
                Ok(()) => self.say("250 2.0.0 taken").await?,
                Err(error) => {
                    tracing::error!(%error, "bounce not taken; the mail server tries again");
                    self.say("451 4.3.0 cannot be written down now").await?;
                }
            }
        }
        Ok(())
    }

    /// The text up to the line with a dot, its stuffing taken out (RFC 5321 §4.5.2). `None` inside: it
    /// was too large. `None` outside: the peer hung up.
    async fn text(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let (mut text, mut length) = (Vec::new(), 0_usize);
        let mut is_first = true;
        loop {
            // A piece of a line, however long the line is.
            let mut piece = Vec::new();
            let is_whole = self.piece(&mut piece).await?;
            if piece.is_empty() {
                return Ok(None);
            }
            if is_first && (piece == b".\r\n" || piece == b".\n") {
                return Ok(Some((length <= self.limits.message).then_some(text)));
            }
            let piece = if is_first && piece.starts_with(b".") { &piece[1..] } else { &piece[..] };
            length = length.saturating_add(piece.len());
            if text.len() < MESSAGE_BYTES {
                text.extend_from_slice(piece);
            }
            is_first = is_whole;
        }
    }

    /// Reads up to the end of a line or up to 8 kB, whichever comes first. Whether it was the former.
    async fn piece(&mut self, piece: &mut Vec<u8>) -> io::Result<bool> {
        let read = async {
            loop {
                let buffer = self.from.fill_buf().await?;
                if buffer.is_empty() {
                    return Ok(false);
                }
                let end = buffer.iter().position(|b| *b == b'\n').map(|at| at + 1);
                let used = end.unwrap_or(buffer.len());
                piece.extend_from_slice(&buffer[..used]);
                self.from.consume(used);
                if end.is_some() || piece.len() >= LINE_BYTES * 4 {
                    return Ok(end.is_some());
                }
            }
        };
        tokio::time::timeout(self.limits.patience, read)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "nothing came in time"))?
    }

    async fn line(&mut self) -> io::Result<Line> {
        let mut line = Vec::new();
        let mut is_whole = self.piece(&mut line).await?;
        if line.is_empty() {
            return Ok(Line::End);
        }
        let is_long = line.len() > LINE_BYTES;
        while !is_whole {
            line.clear();
            is_whole = self.piece(&mut line).await?;
            if line.is_empty() {
                return Ok(Line::End);
            }
        }
        if is_long {
            return Ok(Line::TooLong);
        }
        Ok(Line::Text(String::from_utf8_lossy(&line).trim_end().to_owned()))
    }

    async fn say(&mut self, answer: &str) -> io::Result<()> {
        let written = async {
            self.to.write_all(format!("{answer}\r\n").as_bytes()).await?;
            self.to.flush().await
        };
        tokio::time::timeout(self.limits.patience, written)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "nobody reads"))?
    }
}

/// The address of `FROM:<…>` or `TO:<…>`; parameters behind it are passed over.
fn path<'l>(rest: &'l str, keyword: &str) -> Option<&'l str> {
    let rest = rest.trim_start();
    let given = rest.get(..keyword.len()).filter(|given| given.eq_ignore_ascii_case(keyword))?;
    let rest = rest[given.len()..].trim_start().strip_prefix('<')?;
    rest.split_once('>').map(|(address, _)| address)
}
