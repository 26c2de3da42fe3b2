use super::{
    answer::{Answer, Reading, loggable},
    fault::Fault,
};
use std::{
    io::{self, IoSlice},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

enum Stream {
    Clear(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// The bytes to a mail server and back: commands go out as they are, answers come in one by one.
pub(super) struct Wire {
    stream: Stream,
    /// What the server has said and nobody has read.
    said: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream: Stream::Clear(stream), said: Vec::new() }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Encrypted(_))
    }

    /// Whether everything that came in was read. What stands behind the answer to STARTTLS was
    /// pushed in by a stranger (CVE-2011-0411).
    pub(super) fn is_quiet(&self) -> bool {
        self.said.is_empty()
    }

    /// The same line, encrypted from here on.
    pub(super) async fn encrypt(self, tls: &TlsConnector, name: ServerName<'static>) -> io::Result<Self> {
        match self.stream {
            Stream::Clear(stream) => {
                let stream = tls.connect(name, stream).await?;
                Ok(Self { stream: Stream::Encrypted(Box::new(stream)), said: Vec::new() })
            }
            Stream::Encrypted(_) => Err(io::Error::other("the line is encrypted already")),
        }
    }

    /// The next answer of the server.
    pub(super) async fn answer(&mut self, limit: Duration) -> Result<Answer, Fault> {
        // Of what was sent in one group, the later answers mostly came with the first.
        if let Some(answer) = self.heard()? {
            return Ok(answer);
        }
        timeout(limit, self.wait_for_answer()).await.map_err(|_| Fault::Silent(limit))?
    }

    async fn wait_for_answer(&mut self) -> Result<Answer, Fault> {
        loop {
            let read = match &mut self.stream {
                Stream::Clear(stream) => stream.read_buf(&mut self.said).await,
                Stream::Encrypted(stream) => stream.read_buf(&mut self.said).await,
            };
            if read.map_err(|e| lost(&e))? == 0 {
                return Err(Fault::Lost("the server hung up".into()));
            }
            if let Some(answer) = self.heard()? {
                return Ok(answer);
            }
        }
    }

    fn heard(&mut self) -> Result<Option<Answer>, Fault> {
        match Answer::read(&self.said) {
            Reading::Whole(answer, length) => {
                self.said.drain(..length);
                Ok(Some(answer))
            }
            Reading::Unfinished => Ok(None),
            Reading::Nonsense(why) => Err(Fault::Garbled(why.into())),
        }
    }

    /// Says a command, or a group of them.
    pub(super) async fn say(&mut self, commands: &[u8], limit: Duration) -> Result<(), Fault> {
        self.send(&mut [IoSlice::new(commands)], limit).await.map_err(|(_, fault)| fault)
    }

    /// Writes everything. So much as the line takes at once has the limit for itself, as a block of a text
    /// has (RFC 5321 §4.5.3.2.5); where that fails, how much went out for sure and may have arrived.
    pub(super) async fn send(
        &mut self,
        mut parts: &mut [IoSlice<'_>],
        limit: Duration,
    ) -> Result<(), (usize, Fault)> {
        let mut written = 0;
        // Without those that are empty, of which nothing can be written.
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let wrote = match &mut self.stream {
                Stream::Clear(stream) => timeout(limit, stream.write_vectored(parts)).await,
                Stream::Encrypted(stream) => timeout(limit, stream.write_vectored(parts)).await,
            };
            match wrote {
                Ok(Ok(0)) => return Err((written, Fault::Lost("the line is closed".into()))),
                Ok(Ok(n)) => {
                    written += n;
                    IoSlice::advance_slices(&mut parts, n);
                }
                Ok(Err(e)) => return Err((written, lost(&e))),
                Err(_) => return Err((written, Fault::Silent(limit))),
            }
        }
        // TLS keeps what it has encrypted until then; a TCP stream keeps nothing.
        if let Stream::Encrypted(stream) = &mut self.stream {
            match timeout(limit, stream.flush()).await {
                Ok(flushed) => flushed.map_err(|e| (written, lost(&e)))?,
                Err(_) => return Err((written, Fault::Silent(limit))),
            }
        }
        Ok(())
    }
}

pub(super) fn lost(error: &io::Error) -> Fault {
    Fault::Lost(loggable(&error.to_string()))
}
