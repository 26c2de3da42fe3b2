//! Fetching for `bantin import`: bounded in size and time, and never into the own network unasked.

use crate::domain::WebUrl;
use crate::fetch::{FetchError, Fetcher, Limits, Method, Reach};
use crate::intake::{Sitemap, in_charset, unpacked};

/// Fetches pages, feeds and sitemaps.
pub struct Addresses {
    fetcher: Fetcher,
}

impl Addresses {
    /// Addresses in the own network are for whoever says so: a page names its links, and a redirect leads
    /// anywhere.
    pub fn new(private: bool) -> Self {
        let reach = if private { Reach::Anywhere } else { Reach::Public };
        Self { fetcher: Fetcher::new(reach, Limits::default()) }
    }

    /// Fetches an address: its bytes, in UTF-8 where the server names a character set, and where they were.
    pub async fn fetch(&self, address: &str) -> Result<(Vec<u8>, WebUrl), String> {
        let url = WebUrl::parse(address).map_err(|error| error.to_string())?;
        let headers = [("accept-encoding", "identity".to_owned())];
        let answer =
            self.fetcher.ask(Method::Get, url.as_url(), &headers).await.map_err(|error| match error {
                FetchError::NotPublic { .. } => format!("{error}; --private fetches it all the same"),
                error => error.to_string(),
            })?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("the server answers {}", answer.status));
        }
        let coding = answer.header("content-encoding").unwrap_or("identity");
        if !["identity", "gzip", "x-gzip"].contains(&coding) {
            return Err("the server sends it compressed, unasked".to_owned());
        }
        let charset = answer
            .header("content-type")
            .and_then(|kind| kind.split_once("charset="))
            .map(|(_, name)| name.to_owned());
        let here = WebUrl::parse(answer.url.as_str()).map_err(|error| error.to_string())?;
        let body = unpacked(answer.body).map_err(|fault| fault.to_string())?;
        let bytes = match charset {
            Some(label) => in_charset(body, label.split(';').next().unwrap_or_default()),
            None => body,
        };
        Ok((bytes, here))
    }

    /// The pages that a sitemap names, and the sitemaps that it names.
    pub async fn of_sitemap(&self, bytes: &[u8]) -> Result<Vec<WebUrl>, String> {
        const MOST: usize = 100;
        let Sitemap { mut pages, sitemaps } = Sitemap::read(bytes);
        for sitemap in sitemaps.iter().take(MOST) {
            let (bytes, _) = self.fetch(sitemap.as_str()).await?;
            pages.extend(Sitemap::read(&bytes).pages);
        }
        Ok(pages.into_iter().map(|(page, _)| page).collect())
    }
}
