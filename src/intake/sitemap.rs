//! Addresses of articles: in sitemaps, and on pages that list articles.

use super::foreign_feed::resolve;
use super::html_tree::{self, all, words};
use super::xml_tree::{self, Element};
use super::{Fault, decode};
use crate::domain::WebUrl;

/// What a sitemap names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sitemap {
    /// Pages, each with when it changed, as it says so.
    pub pages: Vec<(WebUrl, Option<String>)>,
    /// Further sitemaps.
    pub sitemaps: Vec<WebUrl>,
}

impl Sitemap {
    /// Reads one. sitemaps.org allows 50,000 addresses in a file; more are left out.
    pub fn read(bytes: &[u8]) -> Self {
        const MOST: usize = 50_000;
        let text = decode::decode(bytes, &mut Vec::new()).unwrap_or_default();
        let tree = xml_tree::parse(&text, |name| name == "url" || name == "sitemap");
        let mut found = Self::default();
        for entry in tree.elements().flat_map(Element::elements).take(MOST) {
            let place = entry.elements().find(|e| e.name == "loc" && e.prefix.is_empty());
            let Some(url) = place.and_then(|loc| resolve(&loc.text(), None)) else { continue };
            match entry.name.as_str() {
                "url" => {
                    let changed = entry.elements().find(|e| e.name == "lastmod" && e.prefix.is_empty());
                    let changed = changed.map(|at| at.text().trim().chars().take(40).collect());
                    found.pages.push((url, changed));
                }
                "sitemap" => found.sitemaps.push(url),
                _ => {}
            }
        }
        found
    }
}

/// Why a sitemap is not read as articles.
pub fn refusal(bytes: &[u8]) -> Fault {
    let Sitemap { pages, sitemaps } = Sitemap::read(bytes);
    Fault::new(
        None,
        format!(
            "this is a sitemap with {} pages and {} further sitemaps, no article; import it with --follow",
            pages.len(),
            sitemaps.len()
        ),
    )
}

/// The addresses of articles that a page lists: links of its own host whose words are a headline.
pub fn article_links(bytes: &[u8], base: &WebUrl) -> Vec<WebUrl> {
    let text = decode::decode(bytes, &mut Vec::new()).unwrap_or_default();
    let Ok(html) = html_tree::parse(&text) else { return Vec::new() };
    let mut found: Vec<WebUrl> = Vec::new();
    for link in all(&html, "a[href]").into_iter().take(5_000) {
        let headline = words(link).split(' ').count() >= 4
            || link.attr("title").is_some_and(|t| t.split(' ').count() >= 4);
        let Some(url) = link.attr("href").filter(|_| headline).and_then(|href| resolve(href, Some(base)))
        else {
            continue;
        };
        let own = url.host() == base.host()
            && url.as_url().path() != "/"
            && url.as_url().path() != base.as_url().path();
        if own && !found.contains(&url) && found.len() < 500 {
            found.push(url);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_sitemaps_and_lists() {
        let sitemap = br#"<?xml version="1.0"?><urlset xmlns="x"><url><loc> https://bao.example/a?x=1&amp;y=2 </loc><lastmod>2026-11-01</lastmod><image:image><image:loc>https://bao.example/i.jpg</image:loc></image:image></url><url><loc>javascript:x</loc></url></urlset>"#;
        let page = WebUrl::parse("https://bao.example/a?x=1&y=2").unwrap();
        assert_eq!(Sitemap::read(sitemap).pages, [(page, Some("2026-11-01".to_owned()))]);
        let index = b"<sitemapindex><sitemap><loc>https://bao.example/s.xml</loc></sitemap></sitemapindex>";
        assert_eq!(Sitemap::read(index).sitemaps.len(), 1);
        let base = WebUrl::parse("https://bao.example/kinh-te").unwrap();
        let page = "<body><a href=/>Trang chủ của báo điện tử</a><a href=/kinh-te>Kinh tế của cả nước</a><a href=/bai-1>Giá lúa tăng mạnh trở lại</a><a href=/bai-1>Giá lúa tăng mạnh trở lại</a><a href=https://khac.example/b>Bài của báo khác đăng lại</a><a href=/x>Thêm</a></body>";
        assert_eq!(
            article_links(page.as_bytes(), &base),
            [WebUrl::parse("https://bao.example/bai-1").unwrap()]
        );
    }
}
