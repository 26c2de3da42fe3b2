//! The newsroom whose feeds are pushed: some hundred articles in two sections, whose documents have
//! some 60 KB, and the callbacks of both.

use crate::draft::Writer;
use crate::served::{Line, Served};
use crate::sink::{Kind, Sink};
use bantin::app::{SystemChance, SystemClock};
use bantin::domain::{CategoryName, Clock, Draft, SafeHtml};
use bantin::publish::{self, Occasion};
use bantin::store::{Store, StoreUrl};
use std::time::{Duration, Instant};

const ARTICLES: usize = 300;
/// Where readers find it; the program listens elsewhere, as behind a proxy.
pub const BASE_URL: &str = "http://bao.example";
/// Who subscribes at once.
const SUBSCRIBERS: usize = 8;

pub struct Newsroom {
    store: Store,
    writer: Writer,
    made: usize,
}

impl Newsroom {
    pub async fn open(url: &StoreUrl) -> Self {
        let store = Store::open(url).await.unwrap();
        store.migrate(SystemClock.now()).await.unwrap();
        store.installation(SystemClock.now(), &SystemChance).await.unwrap();
        let mut newsroom = Self { store, writer: Writer::new(), made: 0 };
        let drafts: Vec<Draft> =
            (0..ARTICLES).map(|n| newsroom.draft([Kind::Signed, Kind::Simple][n % 2])).collect();
        newsroom.accept(&drafts).await;
        newsroom
    }

    /// A short article in the section whose callbacks are of this kind.
    fn draft(&mut self, kind: Kind) -> Draft {
        let mut draft = self.writer.draft(self.made, false);
        self.made += 1;
        let body = draft.body.as_str();
        let end = body.find("</p>").map_or(body.len(), |at| at + 4);
        draft.body = SafeHtml::stored(body[..end].to_owned());
        draft.categories = vec![CategoryName(section(kind).to_owned())];
        (draft.tags, draft.source) = (Vec::new(), None);
        draft
    }

    async fn accept(&self, drafts: &[Draft]) -> String {
        let done =
            publish::accept(&self.store, drafts, Occasion::News, SystemClock.now(), &SystemChance).await;
        done.unwrap()[0].id.to_string()
    }

    /// Publishes an article as `bantin import` does. Its id, and when it was committed.
    pub async fn publish(&mut self, kind: Kind) -> (String, Instant) {
        let mut draft = self.draft(kind);
        draft.published = Some(SystemClock.now());
        (self.accept(&[draft]).await, Instant::now())
    }
}

fn section(kind: Kind) -> &'static str {
    if kind == Kind::Signed { "Kinh tế" } else { "Văn hóa" }
}

/// The path of the document that callbacks of this kind are told of.
pub fn topic(kind: Kind) -> &'static str {
    if kind == Kind::Signed { "/feeds/kinh-te.rss" } else { "/feeds/van-hoa.rss" }
}

pub fn secret(number: usize) -> String {
    format!("mật khẩu của người nhận {number:06}")
}

/// Subscribes callbacks of both kinds by what any subscriber sends. Returns when all are verified.
pub async fn subscribe(served: &Served, sink: &Sink, from: usize, to: usize) {
    let before = sink.verified();
    let mut asking = tokio::task::JoinSet::new();
    for own in 0..SUBSCRIBERS {
        let (address, port) = (served.address.clone(), sink.port);
        asking.spawn(async move {
            let mut line = Line::open(&address).await.unwrap();
            for number in (from + own..to).step_by(SUBSCRIBERS) {
                for kind in [Kind::Signed, Kind::Simple] {
                    ask(&mut line, &wish(kind, number, port)).await;
                }
            }
        });
    }
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
    let (wanted, begun) = (before + 2 * (to - from), Instant::now());
    while sink.verified() < wanted {
        let verified = sink.verified() - before;
        assert!(begun.elapsed() < Duration::from_secs(300), "{verified} of {} verified", wanted - before);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What the last ones answered is still to be written down.
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// What a subscriber sends.
fn wish(kind: Kind, number: usize, port: u16) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("hub.mode", "subscribe");
    form.append_pair("hub.topic", &format!("{BASE_URL}{}", topic(kind)));
    form.append_pair("hub.callback", &format!("http://127.0.0.1:{port}{}", kind.path(number)));
    if kind == Kind::Signed {
        form.append_pair("hub.secret", &secret(number));
    }
    let form = form.finish();
    format!(
        "POST /websub HTTP/1.1\r\nHost: bao.example\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

async fn ask(line: &mut Line, request: &str) {
    let begun = Instant::now();
    loop {
        let answer = line.exchange(request.as_bytes()).await;
        if answer.status == 202 {
            return;
        }
        // Too many wait for their verification, or of one client: as a subscriber, again in a while.
        let text = String::from_utf8_lossy(&answer.text()).into_owned();
        let may_pass = matches!(answer.status, 429 | 503) && begun.elapsed() < Duration::from_secs(60);
        assert!(may_pass, "/websub: {} {text}", answer.status);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
