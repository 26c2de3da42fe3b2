//! A name server on loopback that knows what a test tells it (RFC 1035 §4).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What it says of a name.
#[derive(Clone)]
pub enum Says {
    /// Its mail servers, with their preferences; the root is `.`.
    Mx(Vec<(u16, &'static str)>),
    /// Its address.
    A(Ipv4Addr),
    /// That it is there, and nothing else.
    Nothing,
    /// That it cannot tell (SERVFAIL).
    Trouble,
}

/// The server; it ends when this is dropped.
pub struct NameServer {
    /// Where it answers.
    pub address: SocketAddr,
    closed: Arc<AtomicBool>,
}

const MX: u16 = 15;
const A: u16 = 1;

impl NameServer {
    /// Answers by these; a name that is not among them is not there.
    pub fn open(names: &[(&str, Says)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let closed = Arc::new(AtomicBool::new(false));
        let names: BTreeMap<String, Says> =
            names.iter().map(|(name, says)| ((*name).to_owned(), says.clone())).collect();
        let ended = Arc::clone(&closed);
        std::thread::spawn(move || {
            let mut room = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut room) {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                if let Some(answer) = answer(&room[..length], &names) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { address, closed }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            let _ = socket.send_to(b"over", self.address);
        }
    }
}

fn answer(query: &[u8], names: &BTreeMap<String, Says>) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let asked = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    let question = query.get(12..at + 4)?;
    let (code, records) = match names.get(&labels.join(".")) {
        None => (3, Vec::new()),
        Some(Says::Trouble) => (2, Vec::new()),
        Some(Says::Mx(servers)) if asked == MX => {
            let record = |(preference, host): &(u16, &str)| {
                let mut data = preference.to_be_bytes().to_vec();
                for label in host.split('.').filter(|label| !label.is_empty()) {
                    data.push(u8::try_from(label.len()).unwrap());
                    data.extend(label.as_bytes());
                }
                data.push(0);
                data
            };
            (0, servers.iter().map(record).collect())
        }
        Some(Says::A(address)) if asked == A => (0, vec![address.octets().to_vec()]),
        Some(_) => (0, Vec::new()),
    };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1]);
    answer.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
    answer.extend([0, 0, 0, 0]);
    answer.extend(question);
    for data in records {
        // The name of the question, class IN, a minute.
        answer.extend([0xc0, 12]);
        answer.extend(asked.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 60]);
        answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}
