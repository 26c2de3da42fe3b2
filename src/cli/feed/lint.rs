use crate::app::SystemClock;
use crate::cli::{Common, print_json};
use crate::domain::{Clock as _, FeedName, Instant, hex};
use crate::feed::lint::exchange::{self, Asked, Exchange, Request};
use crate::feed::lint::walk::{self, Page};
use crate::feed::lint::{About, Examined, Finding, Kind, Place, Severity, examine, lint_document};
use crate::fetch::{self, Fetcher, Limits, Method, Reach};
use crate::representations::{self, Wanted, Which};
use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use url::Url;

/// Find what is wrong with a feed, anybody's: RSS, Atom, JSON Feed, OPML
#[derive(Args)]
pub struct Lint {
    /// An address (the server is tried too), a file, or the name of a feed of ours
    what: String,
    /// How many archive documents behind the feed to look at
    #[arg(long, value_name = "N", default_value_t = 20)]
    archives: usize,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
}

/// The findings about one document, and what it is called.
type Found = (String, Vec<Finding>);

impl Lint {
    pub async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let now = SystemClock.now();
        let web = Url::parse(&self.what).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let found = if let Some(url) = web {
            Visit { fetcher: Fetcher::new(Reach::Anywhere, Limits::default()), now }
                .look(&url, self.archives)
                .await?
        } else if Path::new(&self.what).is_file() {
            let bytes =
                std::fs::read(&self.what).with_context(|| format!("`{}` cannot be read", self.what))?;
            vec![(self.what.clone(), lint_document(&bytes, &About { now: Some(now), ..About::default() }))]
        } else {
            match self.ours(common, now).await? {
                Some(found) => found,
                None => {
                    eprintln!(
                        "bantin: `{}` is no address (https://…), no file, and no feed of ours; `bantin feed list` names them",
                        self.what
                    );
                    return Ok(ExitCode::from(2));
                }
            }
        };
        Ok(self.tell(common, &found))
    }

    /// Every format of a feed of ours, as it would be served.
    async fn ours(&self, common: &Common, now: Instant) -> anyhow::Result<Option<Vec<Found>>> {
        let Ok(name) = self.what.parse::<FeedName>() else { return Ok(None) };
        let app = common.app().await?;
        let feed = match app.representations.find(&name).await? {
            representations::Found::Feed(feed) | representations::Found::Moved(feed) => *feed,
            _ => return Ok(None),
        };
        let mut found = Vec::new();
        for format in &feed.formats {
            let wanted = Wanted { feed: feed.clone(), which: Which::Subscription, format: *format };
            let made = app.representations.render(wanted).await?;
            let url = app.publication.url(&feed.place.document_path(*format));
            let about = About {
                url: Some(url.clone()),
                part_of: None,
                content_type: Some(format.content_type().to_owned()),
                now: Some(now),
            };
            found.push((url, lint_document(made.bytes(), &about)));
        }
        Ok(Some(found))
    }

    fn tell(&self, common: &Common, found: &[Found]) -> ExitCode {
        let count = |severity| {
            found.iter().flat_map(|(_, findings)| findings).filter(|f| f.severity == severity).count()
        };
        for (source, finding) in found.iter().flat_map(|(s, findings)| findings.iter().map(move |f| (s, f))) {
            if common.json {
                print_json(&told(source, finding));
            } else {
                let place = match &finding.place {
                    Place::Document => String::new(),
                    place => format!(":{place}"),
                };
                let Finding { severity, rule, clause, what, mend, .. } = finding;
                println!("{severity} {rule} ({clause}) {source}{place}: {what}; {mend}");
            }
        }
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        if !common.json {
            let many =
                |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
            println!(
                "{}: {}, {}, {}",
                many(found.len(), "document"),
                many(errors, "error"),
                many(warnings, "warning"),
                many(count(Severity::Note), "note")
            );
        }
        if errors > 0 || (self.strict && warnings > 0) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

fn told(source: &str, finding: &Finding) -> serde_json::Value {
    let (line, column) = match finding.place {
        Place::Line { line, column } => (Some(line), Some(column)),
        _ => (None, None),
    };
    let place = match &finding.place {
        Place::Path(path) => Some(path.clone()),
        Place::Header(name) => Some((*name).to_owned()),
        _ => None,
    };
    json!({
        "severity": finding.severity.to_string(),
        "rule": finding.rule,
        "clause": finding.clause,
        "source": source,
        "line": line,
        "column": column,
        "place": place,
        "what": finding.what,
        "mend": finding.mend,
    })
}

/// A visit to a server.
struct Visit {
    fetcher: Fetcher,
    now: Instant,
}

impl Visit {
    /// The server's ways, the document, and the archives behind it.
    async fn look(&self, url: &Url, archives: usize) -> anyhow::Result<Vec<Found>> {
        let first = self.ask(url, &exchange::plain()).await?;
        let here = first.url.clone();
        let hops: Vec<_> = first
            .hops
            .iter()
            .map(|hop| exchange::Hop {
                from: hop.from.to_string(),
                status: hop.status,
                to: hop.to.to_string(),
            })
            .collect();
        let examined = self.examine(&first, None);
        let mut exchanges: Vec<Exchange> = vec![(exchange::plain().question, Some(weighed(&first)))];
        if first.status == 200 {
            for request in exchange::questions(&weighed(&first)) {
                let answer = self.ask(&here, &request).await.ok();
                exchanges.push((request.question, answer.as_ref().map(weighed)));
            }
        }
        let asked = Asked { kind: examined.kind, is_archive: examined.page.is_archive, now: self.now };
        let mut findings = exchange::lint_hops(&hops);
        findings.extend(exchange::lint(&exchanges, asked));
        findings.extend(examined.findings);
        let mut found = vec![(here.to_string(), findings)];
        self.walk(examined.kind, examined.page, archives, &mut found).await;
        Ok(found)
    }

    /// Follows the links to older documents until they end, come back, or are enough.
    async fn walk(&self, kind: Option<Kind>, subscription: Page, most: usize, found: &mut Vec<Found>) {
        let mut seen = HashSet::from([subscription.url.clone()]);
        let mut chain = vec![subscription];
        while chain.len() <= most {
            let Some(next) = chain.last().and_then(|page| Url::parse(page.older.as_deref()?).ok()) else {
                break;
            };
            if !seen.insert(next.to_string()) {
                chain.push(Page { url: next.to_string(), ..Page::default() });
                break;
            }
            let mut page = Page { url: next.to_string(), ..Page::default() };
            let mut findings = Vec::new();
            if let Ok(answer) = self.ask(&next, &exchange::plain()).await {
                page.status = answer.status;
                if answer.status == 200 {
                    let examined = self.examine(&answer, Some(&chain[0].url));
                    let asked = Asked { kind: examined.kind, is_archive: true, now: self.now };
                    findings = exchange::lint(&[(exchange::plain().question, Some(weighed(&answer)))], asked);
                    findings.extend(examined.findings);
                    page = Page { url: page.url, status: 200, ..examined.page };
                    page.readable &= examined.kind == kind;
                }
            }
            chain.push(page);
            found.push((next.to_string(), findings));
        }
        for (number, finding) in walk::lint(&chain) {
            if let Some((_, findings)) = found.get_mut(number) {
                findings.push(finding);
            }
        }
    }

    async fn ask(&self, url: &Url, request: &Request) -> Result<fetch::Answer, fetch::FetchError> {
        let method = if request.is_head { Method::Head } else { Method::Get };
        self.fetcher.ask(method, url, &request.headers).await
    }

    fn examine(&self, answer: &fetch::Answer, part_of: Option<&str>) -> Examined {
        let page = Page { url: answer.url.to_string(), ..Page::default() };
        // A coding that nobody asked for is a finding about the exchange.
        let Some(document) = uncoded(answer).filter(|_| answer.status == 200) else {
            return Examined { page, ..Examined::default() };
        };
        let about = About {
            url: Some(answer.url.to_string()),
            part_of: part_of.map(str::to_owned),
            content_type: answer.header("content-type").map(str::to_owned),
            now: Some(self.now),
        };
        let mut examined = examine(&document, &about);
        // Links may be relative to the document.
        let page = &mut examined.page;
        for link in [&mut page.current, &mut page.older, &mut page.newer].into_iter().flatten() {
            if let Ok(absolute) = answer.url.join(link) {
                *link = absolute.into();
            }
        }
        examined
    }
}

/// An answer as the rules see it.
fn weighed(answer: &fetch::Answer) -> exchange::Answer {
    exchange::Answer {
        status: answer.status,
        headers: answer.headers.clone(),
        length: answer.body.len(),
        hash: uncoded(answer).map(|body| hex(&Sha256::digest(body))),
    }
}

/// The body without its content-coding; `None` where it is broken, too big, or of a coding that
/// we never ask for.
fn uncoded(answer: &fetch::Answer) -> Option<Vec<u8>> {
    match answer.header("content-encoding").map(str::to_ascii_lowercase).as_deref() {
        None | Some("identity" | "") => Some(answer.body.clone()),
        Some("gzip" | "x-gzip") => {
            let limit = Limits::default().bytes;
            let mut body = Vec::new();
            let mut decoder = flate2::read::MultiGzDecoder::new(&*answer.body).take(limit as u64 + 1);
            decoder.read_to_end(&mut body).ok().filter(|_| body.len() <= limit)?;
            Some(body)
        }
        Some(_) => None,
    }
}
