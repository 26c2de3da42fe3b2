//! Which servers take a domain's mail (RFC 5321 §5.1, RFC 7505).

use crate::domain::{Outcome, Reply, StatusCode};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::RData,
};
use sha2::{Digest as _, Sha256};
use std::net::{IpAddr, SocketAddr};

/// A server that takes a domain's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) preference: u16,
    pub(super) host: String,
}

/// Looks them up.
pub(super) struct Exchanges {
    resolver: TokioResolver,
}

impl Exchanges {
    /// By the system's name servers, or by one.
    pub(super) fn new(server: Option<SocketAddr>) -> Result<Self, NetError> {
        let builder = match server {
            None => TokioResolver::builder_tokio()?,
            Some(address) => {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                let at_port = |mut connection: ConnectionConfig| {
                    connection.port = address.port();
                    connection
                };
                let connections = connections.into_iter().map(at_port).collect();
                let server = NameServerConfig::new(address.ip(), true, connections);
                let config = ResolverConfig::from_name_servers(vec![server]);
                let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
                builder.options_mut().use_hosts_file = ResolveHosts::Never;
                builder
            }
        };
        Ok(Self { resolver: builder.build()? })
    }

    /// The servers of a domain, in no order, or what it means that there are none.
    pub(super) async fn of(&self, domain: &str) -> Result<Vec<Exchange>, Outcome> {
        let found = match self.resolver.mx_lookup(absolute(domain)).await {
            Ok(found) => found,
            Err(error) if error.is_nx_domain() => {
                return Err(refused(2, format!("550 5.1.2 there is no domain `{domain}`")));
            }
            Err(error) if error.is_no_records_found() => return self.implicit(domain).await,
            Err(error) => return Err(not_found_out(domain, &error)),
        };
        let exchanges: Vec<Exchange> = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::MX(mx) => Some(Exchange {
                    preference: mx.preference,
                    host: mx.exchange.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
                }),
                _ => None,
            })
            .collect();
        match &exchanges[..] {
            [] => self.implicit(domain).await,
            [only] if only.host.is_empty() => {
                Err(refused(10, format!("556 5.1.10 `{domain}` takes no mail (RFC 7505)")))
            }
            _ => Ok(exchanges.into_iter().filter(|exchange| !exchange.host.is_empty()).collect()),
        }
    }

    /// A domain without MX is its own server, if it has an address.
    async fn implicit(&self, domain: &str) -> Result<Vec<Exchange>, Outcome> {
        match self.addresses(domain).await {
            // Its owner may be moving it: it is there, so its readers are not given up at once.
            Ok(addresses) if addresses.is_empty() => Err(Outcome::Deferred(Reply {
                code: Some(451),
                status: StatusCode::new(4, 4, 4),
                words: format!("451 4.4.4 `{domain}` has neither a mail server nor an address"),
            })),
            Ok(_) => Ok(vec![Exchange { preference: 0, host: domain.to_owned() }]),
            Err(error) => Err(not_found_out(domain, &error)),
        }
    }

    /// The addresses of a server, IPv4 first: more networks have it.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        match self.resolver.lookup_ip(absolute(host)).await {
            Ok(found) => {
                let mut addresses: Vec<IpAddr> = found.iter().collect();
                addresses.sort_by_key(IpAddr::is_ipv6);
                Ok(addresses)
            }
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Nothing of the search list of this machine is put behind it.
fn absolute(name: &str) -> String {
    format!("{name}.")
}

fn refused(detail: u16, words: String) -> Outcome {
    let code = words.get(..3).and_then(|code| code.parse().ok());
    Outcome::Refused(Reply { code, status: StatusCode::new(5, 1, detail), words })
}

fn not_found_out(domain: &str, error: &NetError) -> Outcome {
    let words = format!("4.4.3 the mail servers of `{domain}` cannot be looked up: {error}");
    Outcome::Deferred(Reply { code: None, status: StatusCode::new(4, 4, 3), words })
}

/// The most preferred first; among equals another for each letter, so that they share the load.
pub(super) fn in_order(mut exchanges: Vec<Exchange>, letter: &str) -> Vec<Exchange> {
    let lot = |exchange: &Exchange| Sha256::digest(format!("{letter} {}", exchange.host));
    exchanges.sort_by_cached_key(|exchange| (exchange.preference, lot(exchange).to_vec()));
    exchanges
}

/// What stands below a country's domain for everybody: com.vn, co.uk.
const SHARED: [&str; 12] = ["ac", "biz", "co", "com", "edu", "go", "gov", "info", "ne", "net", "or", "org"];

/// Who runs a domain's mail servers: the domain of the one preferred most. Thousands of domains lie
/// with the same provider, and it counts all their letters together.
///
/// The domain is the host's name without its first part, unless little more than a top-level domain
/// would be left.
pub(super) fn provider_of(domain: &str, exchanges: &[Exchange]) -> String {
    let first = exchanges.iter().min_by_key(|exchange| (exchange.preference, &exchange.host));
    let host = first.map_or(domain, |exchange| exchange.host.as_str());
    let Some((_, above)) = host.split_once('.').filter(|_| host != domain) else { return host.to_owned() };
    match above.split('.').collect::<Vec<_>>()[..] {
        [_] => host.to_owned(),
        [second, top] if top.len() == 2 && SHARED.contains(&second) => host.to_owned(),
        _ => above.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(preference: u16, host: &str) -> Exchange {
        Exchange { preference, host: host.to_owned() }
    }

    #[test]
    fn preference_is_kept_and_equals_take_turns() {
        let all = || vec![exchange(20, "c.vn"), exchange(10, "a.vn"), exchange(10, "b.vn")];
        let order = |letter: usize| -> Vec<String> {
            in_order(all(), &letter.to_string()).into_iter().map(|exchange| exchange.host).collect()
        };
        assert!((0..100).all(|letter| order(letter)[2] == "c.vn"));
        let first_is_a = (0..100).filter(|letter| order(*letter)[0] == "a.vn").count();
        assert!((30..=70).contains(&first_is_a), "{first_is_a}");
        assert_eq!(order(1), order(1), "a letter's next try begins where its first did");
    }

    #[test]
    fn the_domains_of_one_provider_are_paced_together() {
        for (domain, host, provider) in [
            ("gmail.com", "gmail-smtp-in.l.google.com", "l.google.com"),
            ("bao.vn", "aspmx.l.google.com", "l.google.com"),
            ("bao.vn", "bao-vn.mail.protection.outlook.com", "mail.protection.outlook.com"),
            ("bao.vn", "mx.fpt.com.vn", "fpt.com.vn"),
            ("bao.vn", "mail.bao.vn", "bao.vn"),
            ("bao.vn", "bao.vn", "bao.vn"),
            ("bao.vn", "fpt.com.vn", "fpt.com.vn"),
            ("bao.vn", "mx.vn", "mx.vn"),
        ] {
            let exchanges = [exchange(20, "other.example"), exchange(10, host)];
            assert_eq!(provider_of(domain, &exchanges), provider, "{host}");
        }
        assert_eq!(provider_of("bao.vn", &[]), "bao.vn");
    }
}
