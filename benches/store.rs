//! How the store's work grows with its size: importing, and the question that every changed feed
//! asks: the newest 50 articles of a category.
//!
//! `cargo bench --bench store` fills both engines with 1,000, 100,000 and 1,000,000 articles;
//! `BANTIN_BENCH_SIZES=1000,20000` takes other sizes. The figure that counts is the ratio between
//! sizes in one run; a plain copy of the same rows into a file places it.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark prints, waits, and may fall over"
)]

#[path = "../tests/service/postgres.rs"]
mod postgres;

use bantin::app::{SystemChance, SystemClock};
use bantin::domain::{CategoryName, Clock, Draft, FeedKey, IdentityKey, SafeHtml};
use bantin::store::{Store, StoreUrl};
use std::time::{Duration, Instant};

const CATEGORIES: [&str; 20] = [
    "Xây dựng Đảng",
    "Thời sự",
    "Kinh tế",
    "Văn hóa",
    "Giáo dục",
    "Sức khỏe",
    "Thể thao",
    "Du lịch",
    "Pháp luật",
    "Đời sống",
    "Nông nghiệp",
    "Quốc phòng",
    "An ninh",
    "Khoa học",
    "Công nghệ",
    "Môi trường",
    "Bạn đọc",
    "Giải trí",
    "Thế giới",
    "Đồng bằng sông Cửu Long",
];
const SENTENCE: &str = "Các cấp ủy, tổ chức đảng đã có nhiều nỗ lực, nêu cao tinh thần trách nhiệm trong lãnh đạo, \
    chỉ đạo quán triệt, cụ thể hóa và tổ chức thực hiện nghiêm túc, có hiệu quả công tác của địa phương. ";
const BATCH: usize = 200;

fn draft(n: usize) -> Draft {
    let mut draft = Draft::titled(&format!("Bài số {n}: cách làm hay ở ấp {}", n % 977)).unwrap();
    let paragraph = format!("<p>{}</p>", SENTENCE.repeat(3));
    draft.keys = vec![IdentityKey::external("bench", &n.to_string())];
    draft.summary = Some(format!("{SENTENCE}({n})"));
    draft.body = SafeHtml::stored(paragraph.repeat(5));
    draft.categories = vec![CategoryName(CATEGORIES[n % CATEGORIES.len()].to_owned())];
    draft.authors = vec!["CHÍ BẢO".to_owned()];
    // One a minute, the last one an hour ago.
    let minutes = i64::try_from(5_000_000 - n).unwrap();
    draft.published = Some(SystemClock.now() - chrono::Duration::minutes(minutes.max(60)));
    draft
}

async fn fill(store: &Store, from: usize, to: usize) -> Duration {
    let mut taken = Duration::ZERO;
    for start in (from..to).step_by(BATCH) {
        let drafts: Vec<Draft> = (start..to.min(start + BATCH)).map(draft).collect();
        let now = SystemClock.now();
        let begun = Instant::now();
        store.accept(&drafts, true, now, &SystemChance).await.unwrap();
        taken += begun.elapsed();
    }
    taken
}

/// The middle of nine times, each over 50 questions.
async fn newest_50(store: &Store) -> (f64, f64) {
    let tree = store.category_tree().await.unwrap();
    let keys: Vec<FeedKey> = tree.all().iter().map(|c| FeedKey::Category(c.id)).collect();
    let mut rates = Vec::new();
    for round in 0..9 {
        let begun = Instant::now();
        for question in 0..50 {
            let key = keys[(round + question) % keys.len()];
            let (_, articles) = store.feed_snapshot(key, 50).await.unwrap().unwrap();
            assert_eq!(articles.len(), 50.min(articles.len()));
        }
        rates.push(50.0 / begun.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    (rates[4], rates[8] / rates[0])
}

/// The same bytes appended to a file and forced to the disk: what no store can beat.
fn plain_file(folder: &std::path::Path, rows: usize) -> f64 {
    use std::io::Write;
    let drafts: Vec<Draft> = (0..rows).map(draft).collect();
    let begun = Instant::now();
    let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join("plain")).unwrap());
    for draft in &drafts {
        writeln!(file, "{}\t{:?}\t{}", draft.title, draft.summary, draft.body.as_str()).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
    rows as f64 / begun.elapsed().as_secs_f64()
}

/// What each engine does for itself within minutes: PostgreSQL's autovacuum, SQLite's checkpoint.
async fn tidy(url: &StoreUrl) {
    let (url, statement) = match url {
        StoreUrl::Sqlite(path) => (format!("sqlite:{}", path.display()), "PRAGMA wal_checkpoint(PASSIVE)"),
        StoreUrl::Postgres(url) => (url.to_string(), "VACUUM ANALYZE"),
    };
    let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(&url).await.unwrap();
    sqlx::Executor::execute(&mut connection, statement).await.unwrap();
}

async fn measure(name: &str, url: &StoreUrl, sizes: &[usize]) {
    let store = Store::open(url).await.unwrap();
    store.migrate(Default::default()).await.unwrap();
    store.installation(SystemClock.now(), &SystemChance).await.unwrap();
    let mut held = 0;
    let mut first = None;
    for &size in sizes {
        let took = fill(&store, held, size).await;
        let rate = (size - held) as f64 / took.as_secs_f64();
        held = size;
        let (at_once, _) = newest_50(&store).await;
        tidy(url).await;
        let (questions, spread) = newest_50(&store).await;
        let ratio = questions / *first.get_or_insert(questions);
        println!(
            "| {name} | {size} | {rate:.0} | {at_once:.0} | {questions:.0} | {ratio:.2} | {spread:.2} |"
        );
    }
}

fn main() {
    let sizes: Vec<usize> = std::env::var("BANTIN_BENCH_SIZES")
        .unwrap_or_else(|_| "1000,100000,1000000".to_owned())
        .split(',')
        .map(|size| size.trim().parse().expect("BANTIN_BENCH_SIZES is a list of numbers"))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("plain file, 20,000 rows: {:.0} rows/s", plain_file(folder.path(), 20_000));
    println!(
        "| engine | articles | imported/s | newest 50 at once, questions/s | when tidied | against the first size | fastest/slowest of 9 |"
    );
    println!("|---|---|---|---|---|---|---|");
    runtime.block_on(async {
        let sqlite = format!("sqlite:{}", folder.path().join("bench.db").display()).parse().unwrap();
        measure("SQLite", &sqlite, &sizes).await;
        measure("PostgreSQL", &postgres::fresh_database().await, &sizes).await;
    });
}
