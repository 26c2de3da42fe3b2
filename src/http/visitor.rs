//! Who asks: language, address, and whether it is a person's browser.

use crate::app::App;
use crate::domain::Language;
use crate::page::Desk;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What is known of whoever sent the request.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// `?lang=`: the language that he picked himself.
    pub picked: Option<Language>,
    /// The best language of Accept-Language that we speak.
    pub accepted: Option<Language>,
    /// The address at the other end of the connection.
    pub peer: IpAddr,
    /// The headers.
    pub headers: HeaderMap,
    /// The query.
    pub query: String,
    /// HEAD, which wants no body.
    pub is_head: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let picked = url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "lang")
            .and_then(|(_, value)| value.parse().ok());
        let header = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Ok(Self {
            picked,
            accepted: header.and_then(Language::negotiate),
            peer,
            headers: parts.headers.clone(),
            query,
            is_head: parts.method == Method::HEAD,
        })
    }
}

impl Visitor {
    /// The language to speak: the one he picked, the one his browser asks for, the publication's.
    pub fn language(&self, app: &App) -> Language {
        self.picked.or(self.accepted).unwrap_or_else(|| app.publication.language.spoken())
    }

    /// He came by a link of a letter: he is spoken to as the letter spoke, unless he picked a language.
    pub fn is_spoken_to_in(&mut self, language: Language) {
        self.accepted = Some(language);
    }

    /// Where pages for him are made.
    pub fn desk<'a>(&self, app: &'a App) -> Desk<'a> {
        Desk {
            publication: &app.publication,
            templates: &app.templates,
            everything: app.everything.as_ref(),
            archive: app.desk.digests.iter().any(|digest| digest.archive),
            language: self.language(app),
            zone: app.publication.time_zone,
            language_picked: self.picked.is_some(),
        }
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether a person opens this address in a browser. Accept does not tell: Miniflux sends
    /// text/html at full weight (reference/feeds.md §0.7).
    pub fn navigates(&self) -> bool {
        let document = self.header("sec-fetch-dest").is_some_and(|dest| dest == "document");
        document && self.header("sec-fetch-mode").is_none_or(|mode| mode == "navigate")
    }

    /// Whether the query asks for something by name.
    pub fn asks_for(&self, name: &str) -> bool {
        url::form_urlencoded::parse(self.query.as_bytes()).any(|(key, _)| key == name)
    }

    /// What the query says of a name.
    pub fn asked(&self, name: &str) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// Whose request this is: the peer, or whom a trusted proxy names. The last address that no
    /// trusted proxy added is the one that cannot be forged.
    pub fn address(&self, trusted: &[IpAddr]) -> IpAddr {
        let lines = self.headers.get_all("x-forwarded-for").iter();
        address(self.peer, trusted, lines.filter_map(|line| line.to_str().ok()))
    }

    /// Whether the client says what it has already.
    pub fn is_conditional(&self) -> bool {
        let says = |name| self.headers.contains_key(name);
        says(header::IF_NONE_MATCH) || says(header::IF_MODIFIED_SINCE)
    }

    /// Whether somebody sits at this very machine: no proxy in between, and no page of another
    /// site that talked a browser into asking (the Host is the machine itself).
    pub fn is_local(&self) -> bool {
        let host = self.header("host").unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let forwarded = ["forwarded", "x-forwarded-for", "via", "x-real-ip"];
        self.peer.is_loopback()
            && matches!(name, "localhost" | "127.0.0.1" | "[::1]")
            && forwarded.iter().all(|header| !self.headers.contains_key(*header))
    }
}

/// Whose request came from `peer` with these lines of X-Forwarded-For.
pub fn address<'l>(
    peer: IpAddr,
    trusted: &[IpAddr],
    forwarded: impl DoubleEndedIterator<Item = &'l str>,
) -> IpAddr {
    if !trusted.contains(&peer) {
        return peer;
    }
    forwarded
        .flat_map(|line| line.split(','))
        .filter_map(|text| text.trim().parse::<IpAddr>().ok())
        .rfind(|address| !trusted.contains(address))
        .unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn visitor(peer: &str, headers: &[(&'static str, &str)]) -> Visitor {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Visitor {
            picked: None,
            accepted: None,
            peer: peer.parse().unwrap(),
            headers: map,
            query: String::new(),
            is_head: false,
        }
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let trusted = ["10.0.0.2".parse().unwrap()];
        let forged = visitor("203.0.113.9", &[("x-forwarded-for", "198.51.100.1")]);
        assert_eq!(forged.address(&trusted).to_string(), "203.0.113.9");
        let proxied = visitor("10.0.0.2", &[("x-forwarded-for", "1.1.1.1, 198.51.100.1, 10.0.0.2")]);
        assert_eq!(proxied.address(&trusted).to_string(), "198.51.100.1");
    }

    #[test]
    fn only_this_machine_is_local() {
        assert!(visitor("127.0.0.1", &[("host", "localhost:8080")]).is_local());
        assert!(!visitor("127.0.0.1", &[("host", "evil.example")]).is_local());
        assert!(!visitor("127.0.0.1", &[("host", "localhost"), ("x-forwarded-for", "1.1.1.1")]).is_local());
        assert!(!visitor("203.0.113.9", &[("host", "localhost")]).is_local());
    }

    #[test]
    fn a_reader_that_accepts_html_is_no_browser() {
        assert!(!visitor("127.0.0.1", &[("accept", "text/html,*/*")]).navigates());
        assert!(
            visitor("127.0.0.1", &[("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")])
                .navigates()
        );
        assert!(
            !visitor("127.0.0.1", &[("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")]).navigates()
        );
    }
}
