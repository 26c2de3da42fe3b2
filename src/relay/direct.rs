use super::{
    DirectUrl, Gate, Handing, Parcel, Relay, RelayError, Shut, SmtpOptions, SmtpRelay, SmtpUrl, TlsPolicy,
    Turn,
    exchanges::{Exchanges, in_order, provider_of},
};
use crate::domain::{Outcome, Reply};
use crate::fetch::is_public;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many addresses of a domain's servers are tried for one letter.
const TRIES: usize = 5;
/// How long a server that could not be reached is passed over.
const REST: Duration = Duration::from_secs(60);
/// How long a server is remembered that nothing goes to.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The mail servers of the readers' own domains, without a relay between.
///
/// Encryption is taken as it is offered, whoever's certificate it is (RFC 7435): what MTA-STS and
/// DANE add is not there. For that, a mail server of one's own is the relay.
pub struct DirectRelay {
    exchanges: Exchanges,
    port: u16,
    inside: bool,
    options: SmtpOptions,
    servers: Mutex<HashMap<IpAddr, Server>>,
}

/// One address of a server, with its own connections.
struct Server {
    relay: Arc<SmtpRelay>,
    used: Instant,
    rests_until: Option<Instant>,
}

impl DirectRelay {
    /// Sets it up; nothing is looked up yet. The options' connections are those to one server.
    pub fn new(url: &DirectUrl, options: SmtpOptions) -> Result<Self, RelayError> {
        let exchanges =
            Exchanges::new(url.name_server).map_err(|error| RelayError::NoNameServer(error.to_string()))?;
        Ok(Self { exchanges, port: url.port, inside: url.inside, options, servers: Mutex::default() })
    }

    async fn deliver(&self, parcel: &Parcel, turn: Turn, gate: &dyn Gate) -> Result<Outcome, Shut> {
        let domain = parcel.to.domain();
        let exchanges = match self.exchanges.of(domain).await {
            Ok(exchanges) => in_order(exchanges, &parcel.message_id),
            Err(outcome) => return Ok(outcome),
        };
        let mut last = Reply::from(format!("4.4.4 no mail server of `{domain}` has a public address"));
        let mut tries = 0;
        for exchange in exchanges {
            let addresses = match self.exchanges.addresses(&exchange.host).await {
                Ok(addresses) => addresses,
                Err(error) => {
                    last = format!("4.4.3 `{}` cannot be looked up: {error}", exchange.host).into();
                    continue;
                }
            };
            // A stranger's MX never leads inside the network.
            for address in addresses.into_iter().filter(|address| self.inside || is_public(*address)) {
                if tries == TRIES {
                    break;
                }
                tries += 1;
                let relay = match self.server(address) {
                    Ok(Some(relay)) => relay,
                    Ok(None) => {
                        last = format!("4.4.1 `{}` could not be reached a moment ago", exchange.host).into();
                        continue;
                    }
                    Err(error) => return Ok(Outcome::Deferred(error.to_string().into())),
                };
                match relay.hand_over_in_turn(parcel, turn.beneath(), gate).await {
                    Ok(Outcome::Untried(reply)) => {
                        self.rest(address);
                        last = at_host(&exchange.host, reply);
                    }
                    outcome => return outcome,
                }
            }
        }
        // That nobody is there is the reader's domain's doing, and is tried for days like any 4xx.
        Ok(Outcome::Deferred(last))
    }

    /// The connections to an address; none while it rests.
    fn server(&self, address: IpAddr) -> Result<Option<Arc<SmtpRelay>>, RelayError> {
        let now = Instant::now();
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get_mut(&address) {
            server.used = now;
            return Ok(server
                .rests_until
                .is_none_or(|until| until <= now)
                .then(|| Arc::clone(&server.relay)));
        }
        let url = SmtpUrl {
            host: address.to_string(),
            port: self.port,
            tls: TlsPolicy::Offered,
            authorities: None,
            credentials: None,
        };
        let relay = Arc::new(SmtpRelay::new(url, self.options.clone())?);
        servers.insert(address, Server { relay: Arc::clone(&relay), used: now, rests_until: None });
        Ok(Some(relay))
    }

    fn rest(&self, address: IpAddr) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get_mut(&address) {
            server.rests_until = Some(Instant::now() + REST);
        }
    }
}

/// What an operator would mend in `mail.url` is not his here.
fn at_host(host: &str, reply: Reply) -> Reply {
    let told = reply.words.split("; ").next().unwrap_or_default();
    Reply { words: format!("{told} (`{host}`)"), ..reply }
}

impl Relay for DirectRelay {
    fn hand_over_in_turn<'a>(
        &'a self,
        parcel: &'a Parcel,
        turn: Turn,
        gate: &'a dyn Gate,
    ) -> Handing<'a, Result<Outcome, Shut>> {
        Box::pin(self.deliver(parcel, turn, gate))
    }

    fn provider<'a>(&'a self, domain: &'a str) -> Handing<'a, Option<String>> {
        Box::pin(async move {
            // What cannot be looked up, or takes no mail, stands for itself.
            let exchanges = self.exchanges.of(domain).await.unwrap_or_default();
            Some(provider_of(domain, &exchanges))
        })
    }

    fn most_per_domain(&self) -> Option<usize> {
        // While one half waits for the disk, the other speaks.
        Some(self.options.connections * 2)
    }

    fn check(&self) -> Handing<'_, Result<String, String>> {
        Box::pin(async move {
            // Google has had a mail server all along; what is asked is whether we find it.
            match self.exchanges.of("gmail.com").await {
                Ok(_) => Ok("mail goes to the servers of each reader's domain; port 25 must be open outwards, and this machine's address have a name (PTR) that leads back".to_owned()),
                Err(Outcome::Deferred(reply)) => Err(format!("{reply}; is there a network, and does the name server answer?")),
                Err(_) => Err("the name server knows no mail server of gmail.com; name another as in mx:?dns=192.0.2.53".to_owned()),
            }
        })
    }

    fn part(&self, rested: Duration) -> Handing<'_, ()> {
        Box::pin(async move {
            let relays: Vec<Arc<SmtpRelay>> = {
                let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
                let relays = servers.values().map(|server| Arc::clone(&server.relay)).collect();
                servers.retain(|_, server| server.used.elapsed() < REMEMBERED);
                relays
            };
            for relay in relays {
                relay.part(rested).await;
            }
        })
    }
}
