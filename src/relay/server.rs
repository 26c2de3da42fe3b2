//! A mail server that does as a test tells it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

/// What the server does at a step instead of what is right.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Say(&'static str),
    Close,
    Silence,
    /// Answers rightly and closes then.
    Last,
    /// Reads nothing more.
    Deaf,
}

impl Act {
    /// Nothing, half a line, and nothing more.
    pub(super) const HALF: Self = Self::Say("25");
}

/// Step and number of the connection, from 1. `None`: as is right.
type Script = dyn Fn(&str, usize) -> Option<Act> + Send + Sync;

#[derive(Default)]
pub(super) struct Log {
    pub(super) connections: usize,
    pub(super) open: usize,
    pub(super) peak: usize,
    pub(super) commands: Vec<String>,
    /// The messages as they were before dot-stuffing.
    pub(super) messages: Vec<Vec<u8>>,
    /// A CR or LF came without its other half.
    pub(super) lone_line_end: bool,
    /// How often the server had to wait for more from its guests.
    pub(super) waits: usize,
}

#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) log: Arc<Mutex<Log>>,
}

#[derive(Clone)]
struct Guest {
    script: Arc<Script>,
    number: usize,
    log: Arc<Mutex<Log>>,
    tls: Option<TlsAcceptor>,
    encrypted: bool,
}

/// How the server encrypts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    None,
    StartTls,
    Implicit,
}

pub(super) fn authority() -> std::path::PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/relay/testdata/ca.pem").into()
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("testdata/leaf.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("testdata/leaf.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "it ends with the runtime of its test")]
    pub(super) async fn start(
        encryption: Encryption,
        script: impl Fn(&str, usize) -> Option<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), log: Arc::default() };
        let log = server.log.clone();
        let script: Arc<Script> = Arc::new(script);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = {
                    let mut log = log.lock().unwrap();
                    log.connections += 1;
                    log.open += 1;
                    log.peak = log.peak.max(log.open);
                    log.connections
                };
                let tls = (encryption == Encryption::StartTls).then(acceptor);
                let mut guest =
                    Guest { script: script.clone(), number, log: log.clone(), tls, encrypted: false };
                tokio::spawn(async move {
                    if encryption == Encryption::Implicit {
                        if let Ok(stream) = acceptor().accept(stream).await {
                            guest.encrypted = true;
                            let _ = guest.serve(stream, true).await;
                        }
                    } else if let Some(stream) = guest.serve(stream, true).await {
                        let acceptor = guest.tls.take().unwrap();
                        if let Ok(stream) = acceptor.accept(stream).await {
                            guest.encrypted = true;
                            guest.serve(stream, false).await;
                        }
                    }
                    guest.log.lock().unwrap().open -= 1;
                });
            }
        });
        server
    }

    pub(super) fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }

    pub(super) fn commands(&self) -> Vec<String> {
        self.log.lock().unwrap().commands.clone()
    }

    pub(super) fn waits(&self) -> usize {
        self.log.lock().unwrap().waits
    }

    pub(super) fn messages(&self) -> Vec<Vec<u8>> {
        self.log.lock().unwrap().messages.clone()
    }
}

impl Guest {
    /// Gives the stream back when STARTTLS was agreed on.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, greet: bool) -> Option<S> {
        if greet && !self.answer(&mut stream, "GREETING", "220 test ESMTP\r\n").await {
            return None;
        }
        let mut read = Vec::new();
        let (mut has_sender, mut has_reader) = (false, false);
        loop {
            let line = self.take_until(&mut stream, &mut read, b"\r\n").await?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            self.log.lock().unwrap().commands.push(line.clone());
            let reply = match verb.as_str() {
                "EHLO" if self.tls.is_some() => "250-test\r\n250-   \r\n250 STARTTLS\r\n",
                "EHLO" => "250-test\r\n250-   \r\n250-PIPELINING\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
                "AUTH" if line == "AUTH PLAIN AGFuAHMzY3JldA==" => "235 2.7.0 welcome\r\n",
                // "Username:", "Password:"
                "AUTH" if line == "AUTH LOGIN" => "334 VXNlcm5hbWU6\r\n",
                "YW4=" => "334 UGFzc3dvcmQ6\r\n",
                "CZNJCMV0" => "235 2.7.0 welcome\r\n",
                "AUTH" => "535 5.7.8 no\r\n",
                "MAIL" if has_sender => "503 5.5.1 nested MAIL\r\n",
                "RCPT" if !has_sender => "503 5.5.1 MAIL first\r\n",
                "DATA" if !has_reader => "554 5.5.1 no valid recipients\r\n",
                "DATA" => "354 go on\r\n",
                "RCPT" => "250 2.1.5 <an@doc.vn> ok\r\n",
                "QUIT" => "221 bye\r\n",
                _ => "250 ok\r\n",
            };
            let said = match (self.script)(&verb, self.number) {
                Some(Act::Say(words)) => {
                    stream.write_all(words.as_bytes()).await.ok()?;
                    stream.flush().await.ok()?;
                    words
                }
                act if !self.act(&mut stream, act, reply).await => return None,
                _ => reply,
            };
            match verb.as_str() {
                "STARTTLS" if said.starts_with('2') => return Some(stream),
                "QUIT" => return None,
                "MAIL" => has_sender |= said.starts_with('2'),
                "RCPT" => has_reader |= said.starts_with('2'),
                "RSET" => (has_sender, has_reader) = (false, false),
                "DATA" if said.starts_with("354") => {
                    // The dot may come at once, behind the line of DATA.
                    read.splice(0..0, *b"\r\n");
                    // What is said in the middle of a text is said instead of the dot's answer.
                    let early = (self.script)("TEXT", self.number);
                    if early.is_some() && !self.act(&mut stream, early, "").await {
                        return None;
                    }
                    let text = self.take_until(&mut stream, &mut read, b"\r\n.\r\n").await?;
                    self.note(&text[2..text.len() - 3]);
                    (has_sender, has_reader) = (false, false);
                    if early.is_none()
                        && !self.answer(&mut stream, "DOT", "250 2.0.0 queued as 1 for <an@doc.vn>\r\n").await
                    {
                        return None;
                    }
                }
                _ => {}
            }
        }
    }

    fn note(&self, text: &[u8]) {
        let mut log = self.log.lock().unwrap();
        let text = String::from_utf8_lossy(text);
        log.lone_line_end |= text.replace("\r\n", "").contains(['\r', '\n']);
        let plain = text.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line));
        log.messages.push(plain.collect::<String>().into_bytes());
    }

    async fn answer<S: AsyncWrite + Unpin>(&self, stream: &mut S, step: &str, right: &str) -> bool {
        self.act(stream, (self.script)(step, self.number), right).await
    }

    async fn act<S: AsyncWrite + Unpin>(&self, stream: &mut S, act: Option<Act>, right: &str) -> bool {
        match act {
            None => stream.write_all(right.as_bytes()).await.is_ok() && stream.flush().await.is_ok(),
            Some(Act::Say(words)) => {
                stream.write_all(words.as_bytes()).await.is_ok() && stream.flush().await.is_ok()
            }
            Some(Act::Last) => {
                let _ = stream.write_all(right.as_bytes()).await;
                let _ = stream.flush().await;
                false
            }
            Some(Act::Close) => false,
            Some(Act::Silence) => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                false
            }
            Some(Act::Deaf) => {
                let _ = stream.write_all(right.as_bytes()).await;
                tokio::time::sleep(Duration::from_secs(3600)).await;
                false
            }
        }
    }

    async fn take_until<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        read: &mut Vec<u8>,
        end: &[u8],
    ) -> Option<Vec<u8>> {
        let mut looked = 0;
        loop {
            let from = looked.max(end.len()) - end.len();
            if let Some(at) = read[from..].windows(end.len()).position(|w| w == end) {
                return Some(read.drain(..from + at + end.len()).collect());
            }
            looked = read.len();
            let mut room = vec![0; 16 * 1024];
            match stream.read(&mut room).await {
                Ok(0) | Err(_) => return None,
                Ok(n) => {
                    self.log.lock().unwrap().waits += 1;
                    read.extend(&room[..n]);
                }
            }
        }
    }
}
