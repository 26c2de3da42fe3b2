//! The newsroom looks at an edition, holds it, writes above it, and lets it go.

use crate::gets::rows;
use crate::mailroom::{Letter, article};
use crate::world::World;
use bantin::app::SystemClock;
use bantin::digest::run_now;
use bantin::domain::{Calendar, Clock as _, Instant};
use serde_json::{Value, json};

const READERS: [(&str, &str, &[&str]); 4] = [
    ("ca@doc.example", "vi", &[]),
    ("kinh.te@doc.example", "vi", &["kinh-te"]),
    ("van.hoa@doc.example", "en", &["van-hoa"]),
    ("hai.muc@doc.example", "vi", &["kinh-te", "van-hoa"]),
];

/// Two sections, one article still under embargo, and readers who chose differently.
fn newsroom() -> World {
    let world = World::new();
    let soon = (SystemClock.now() + chrono::Duration::minutes(30)).to_rfc3339();
    let mut embargoed = article("3", "Tin sắp ra", "Kinh tế");
    embargoed["published"] = json!(soon);
    world.import(&[article("1", "Tin một", "Kinh tế"), article("2", "Tin hai", "Văn hóa"), embargoed]);
    for (address, language, feeds) in READERS {
        let mut arguments =
            vec!["subscriber", "add", address, "--language", language, "--consent", "on paper, 2026-11-01"];
        arguments.extend(feeds.iter().flat_map(|feed| ["--feed", feed]));
        world.done(&arguments);
    }
    world
}

fn preview(world: &World, what: &str, whom: &str, more: &[&str]) -> Vec<u8> {
    let mut arguments = vec!["digest", "preview", what, "--subscriber", whom, "--part", "eml"];
    arguments.extend(more);
    let output = world.run(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Cuts as the program would at an instant, and delivers what came of it.
fn cut_at(world: &World, at: Instant) {
    let digest = world.digest();
    world.at_the_store(async |store, _| {
        let digests = [digest];
        let calendar = Calendar {
            digests: &digests,
            zone: chrono_tz::Tz::Asia__Ho_Chi_Minh,
            spread: std::time::Duration::ZERO,
        };
        run_now(&store, &calendar, &digests[0], at).await.unwrap();
    });
}

fn deliver(world: &World) {
    world.later();
    world.done(&["digest", "run", "hang-ngay"]);
}

fn only_letter(world: &World, to: &str) -> Letter {
    let mut letters = world.mail_to(to);
    assert_eq!(letters.len(), 1, "{to}");
    letters.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_what_the_cut_mails_byte_for_byte_and_changes_nothing() {
    let world = newsroom();
    let at = SystemClock.now() + chrono::Duration::hours(1);
    let instant = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let before = rows(&world).await;
    let previews: Vec<Vec<u8>> =
        READERS.iter().map(|reader| preview(&world, "hang-ngay", reader.0, &["--at", &instant])).collect();
    assert_eq!(rows(&world).await, before, "a preview changes nothing");
    tokio::task::block_in_place(|| {
        cut_at(&world, bantin::domain::from_micros(bantin::domain::micros(at)));
        deliver(&world);
    });
    for ((address, ..), previewed) in READERS.iter().zip(&previews) {
        assert!(only_letter(&world, address).0 == *previewed, "{address}");
    }
    let headlines = |n: usize| Letter(previews[n].clone()).headlines();
    assert_eq!(headlines(1), ["Tin sắp ra", "Tin một"], "the embargo has ended by then");
    assert_eq!(headlines(2), ["Tin hai"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_and_changes_nothing() {
    let world = newsroom();
    let before = rows(&world).await;
    let counted: Value =
        serde_json::from_str(&world.done(&["digest", "run", "hang-ngay", "--dry-run", "--json"])).unwrap();
    assert_eq!(rows(&world).await, before);
    assert_eq!(
        (&counted["readers"], &counted["articles"], &counted["without"]),
        (&json!(4), &json!(2), &json!(0))
    );
    // Both articles in one letter, one in each of two.
    assert_eq!((&counted["letters_written"], &counted["most_articles"]), (&json!(3), &json!(2)));
    world.done(&["digest", "run", "hang-ngay"]);
    let largest = world.letters().iter().map(Vec::len).max().unwrap();
    let told = usize::try_from(counted["largest_bytes"].as_u64().unwrap()).unwrap();
    // Addresses and instants are not of equal length everywhere.
    assert!(largest.abs_diff(told) < 200, "{largest} and {told}");
    let again = world.done(&["digest", "run", "hang-ngay", "--dry-run"]);
    assert!(again.contains("nothing new for anybody"), "{again}");
}

#[test]
fn an_edition_to_be_reviewed_waits_and_is_edited() {
    let world = newsroom();
    world.write("feeds/hang-ngay.toml", "[digest]\nschedule = \"30 6 * * *\"\nreview = true\n");
    let told = world.done(&["digest", "run", "hang-ngay"]);
    assert!(told.contains("digest release hang-ngay"), "{told}");
    assert!(world.letters().is_empty());
    assert!(world.done(&["digest", "list"]).contains("held: waits to be looked at"));
    let listed = world.done(&["digest", "order", "1", "--json"]);
    let articles: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let id = |title: &str| {
        articles.iter().find(|a| a["title"] == title).unwrap()["id"].as_str().unwrap().to_owned()
    };
    world.done(&["digest", "order", "1", &id("Tin hai"), &id("Tin một")]);
    let file = world.write("loi.txt", "Chào buổi sáng,\nbạn đọc.\n\n<b>Hôm nay</b> mưa.\n");
    world.done(&["digest", "lead", "1", "--file", file.to_str().unwrap()]);
    let previewed = preview(&world, "1", "ca@doc.example", &[]);
    world.done(&["digest", "release", "hang-ngay"]);
    deliver(&world);
    let letter = only_letter(&world, "ca@doc.example");
    assert_eq!(letter.headlines(), ["Tin hai", "Tin một"]);
    assert!(letter.subject().contains("Tin hai"));
    let text = letter.text().replace("\r\n", "\n");
    assert!(text.contains("Chào buổi sáng, bạn đọc.\n\n<b>Hôm nay</b> mưa."), "{text}");
    assert!(letter.html().contains("&lt;b&gt;Hôm nay&lt;/b&gt; mưa.</p>"));
    // The release is its date; everything else is as it was shown.
    let undated = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.lines().filter(|line| !line.starts_with("Date: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(undated(&letter.0), undated(&previewed));
    let late = world.run(&["digest", "lead", "1", "--text", "x"]);
    assert!(!late.status.success() && String::from_utf8_lossy(&late.stderr).contains("is not held"));
}

#[test]
fn a_coming_edition_is_edited_before_it_is_cut() {
    let mut world = newsroom();
    let listed = world.done(&["article", "list", "--json"]);
    let left_out = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let left_out = left_out.into_iter().find(|a| a["title"] == "Tin hai").unwrap();
    let left_out = left_out["id"].as_str().unwrap();
    let unknown = "00000000-0000-4000-8000-000000000000";
    let refused = world.run(&["digest", "order", "hang-ngay", unknown]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains(unknown));
    world.done(&["digest", "order", "hang-ngay", "--leave-out", left_out]);
    world.done(&["digest", "lead", "hang-ngay", "--text", "Lời tòa soạn."]);
    world.done(&["digest", "run", "hang-ngay"]);
    let letter = only_letter(&world, "hai.muc@doc.example");
    assert_eq!(letter.headlines(), ["Tin một"]);
    assert!(letter.text().contains("Lời tòa soạn."));
    assert!(world.mail_to("van.hoa@doc.example").is_empty(), "nothing is left of it");
    world.serve();
    let page = world.get(&letter.link("editions"));
    assert!(
        page.status == 200 && page.text().contains("Lời tòa soạn.</p>") && !page.text().contains("Tin hai")
    );
    // It was for that edition: the next has neither words nor what was left out.
    world.import(&[article("4", "Tin bốn", "Văn hóa")]);
    let next = world.digest_for("van.hoa@doc.example");
    assert_eq!(next.headlines(), ["Tin bốn"]);
    assert!(!next.text().contains("Lời tòa soạn."));
    world.assert_discreet();
}
