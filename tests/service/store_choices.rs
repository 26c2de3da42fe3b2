//! What the store promises of readers' choices, on both engines; the histories of `model` hold the rest.

use crate::newsroom::{Newsroom, at, draft, on_both_engines, titles};
use bantin::digest::{open_due, register};
use bantin::domain::{
    Calendar, EmailAddress, FeedKey, Frequency, Habits, Instant, Language, SavedSearch, Secret, SubscriberId,
    Volume, Wish,
};
use bantin::store::{OptInRequest, Settlement};
use chrono::Duration;
use chrono_tz::Tz;

on_both_engines!(
    a_search_begins_with_what_it_finds_and_takes_in_what_comes,
    a_correction_of_what_was_out_before_is_no_news,
    what_waits_is_one_mail_where_it_is_much,
    missed_slots_are_one_edition_that_counts_them,
    who_pauses_before_his_letter_has_it_with_the_next,
    a_volume_counts_articles_and_days,
);

const CALENDAR: Calendar<'_> =
    Calendar { digests: &[], zone: Tz::Asia__Ho_Chi_Minh, spread: std::time::Duration::ZERO };

async fn reader(newsroom: &Newsroom, wishes: &[(FeedKey, &str)], since: &str) -> SubscriberId {
    let wish = |(feed, often): &(FeedKey, &str)| Wish { feed: *feed, frequency: often.parse().unwrap() };
    let request = OptInRequest {
        address: EmailAddress::parse("an@bao.example").unwrap(),
        wishes: wishes.iter().map(wish).collect(),
        language: Language::Vi,
        time_zone: Some(Tz::Europe__London),
        remote_address: "192.0.2.1".into(),
        wording: "w1".into(),
    };
    let (since, secret) = (at(since), Secret::new([7; 32]));
    let beginning = move |_: &Frequency| since;
    newsroom.accept_consent(&request, &beginning, &secret, at("03:00:00")).await.unwrap().unwrap()
}

/// The editions since then: for how many slots, and what each brings.
async fn editions(newsroom: &Newsroom, id: SubscriberId) -> Vec<(String, u32, Vec<String>)> {
    let mut made = Vec::new();
    for edition in newsroom.editions(100).await.unwrap().into_iter().rev() {
        let articles = newsroom.edition_articles(edition.id, id, false).await.unwrap();
        made.push((edition.plan.to_string(), edition.slots, titles(&articles)));
    }
    made
}

async fn look(newsroom: &Newsroom, now: Instant) {
    open_due(newsroom, &CALENDAR, now).await.unwrap();
}

async fn storm(newsroom: &Newsroom) -> FeedKey {
    newsroom.save_search(&SavedSearch::of("Bão  LŨ").unwrap()).await.unwrap()
}

async fn a_search_begins_with_what_it_finds_and_takes_in_what_comes(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Lũ về sau bão", &["A"]), at("01:00:00")).await;
    newsroom.take(&draft("2", "Trời yên", &["A"]), at("01:10:00")).await;
    let search = storm(&newsroom).await;
    assert_eq!(newsroom.save_search(&SavedSearch::of("lũ bão").unwrap()).await.unwrap(), search);
    assert_eq!(newsroom.searches(&[search, FeedKey::All]).await.unwrap()[0].title, "Bão LŨ");
    reader(&newsroom, &[(search, "daily:06:30")], "00:00:00").await;
    assert_eq!(newsroom.feed(search).await, ["Lũ về sau bão"]);
    let third = newsroom.take(&draft("3", "Bão số 3, lũ lớn", &["B"]), at("04:00:00")).await;
    assert!(third.feeds.contains(&search));
    newsroom.take(&draft("4", "Bão cát", &["B"]), at("04:10:00")).await;
    assert_eq!(newsroom.feed(search).await, ["Bão số 3, lũ lớn", "Lũ về sau bão"]);
    newsroom.withdraw(third.id, at("04:20:00")).await.unwrap();
    assert_eq!(newsroom.feed(search).await, ["Lũ về sau bão"]);
    newsroom.restore(third.id, at("04:30:00")).await.unwrap();
    assert_eq!(newsroom.feed(search).await.len(), 2);
    // London's half past six has come.
    look(&newsroom, at("06:29:59")).await;
    look(&newsroom, at("06:30:00")).await;
    let id = newsroom.subscriber_by_address(&EmailAddress::parse("an@bao.example").unwrap()).await.unwrap();
    let made = editions(&newsroom, id.unwrap().id).await;
    assert_eq!(made.len(), 1);
    assert_eq!((made[0].0.as_str(), made[0].2.len()), ("daily:06:30@Europe/London", 2));
}

async fn a_correction_of_what_was_out_before_is_no_news(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Trời yên", &["A"]), at("01:00:00")).await;
    let search = storm(&newsroom).await;
    reader(&newsroom, &[(search, "daily:06:30")], "02:00:00").await;
    newsroom.take(&draft("2", "Trời trong", &["A"]), at("04:00:00")).await;
    newsroom.take(&draft("1", "Bão và lũ của năm ngoái", &["A"]), at("04:10:00")).await;
    assert!(newsroom.feed(search).await.is_empty());
    // What came out since is.
    newsroom.take(&draft("2", "Trời trong, rồi bão, rồi lũ", &["A"]), at("04:20:00")).await;
    assert_eq!(newsroom.feed(search).await, ["Trời trong, rồi bão, rồi lũ"]);
    newsroom.take(&draft("2", "Trời trong", &["A"]), at("04:30:00")).await;
    assert!(newsroom.feed(search).await.is_empty());
}

async fn what_waits_is_one_mail_where_it_is_much(newsroom: Newsroom) {
    newsroom.take(&draft("0", "cũ", &["A"]), at("01:00:00")).await;
    let id = reader(&newsroom, &[(FeedKey::All, "at-once")], "03:00:00").await;
    for n in ["1", "2"] {
        newsroom.take(&draft(n, n, &["A"]), at("04:00:00")).await;
    }
    look(&newsroom, at("04:00:01")).await;
    look(&newsroom, at("04:00:02")).await;
    for n in ["3", "4", "5", "6", "7"] {
        newsroom.take(&draft(n, n, &["A"]), at("04:30:00")).await;
    }
    look(&newsroom, at("04:30:01")).await;
    let made: Vec<(u32, usize)> =
        editions(&newsroom, id).await.into_iter().map(|(_, slots, titles)| (slots, titles.len())).collect();
    assert_eq!(made, [(1, 1), (1, 1), (5, 5)]);
}

async fn missed_slots_are_one_edition_that_counts_them(newsroom: Newsroom) {
    newsroom.take(&draft("0", "cũ", &["A"]), at("01:00:00")).await;
    let id = reader(&newsroom, &[(FeedKey::All, "daily:06:30")], "03:00:00").await;
    look(&newsroom, at("03:00:01")).await;
    newsroom.take(&draft("1", "một", &["A"]), at("04:00:00")).await;
    look(&newsroom, at("12:00:00") + Duration::days(3)).await;
    look(&newsroom, at("12:00:01") + Duration::days(3)).await;
    // A restart changes nothing.
    register(&newsroom, &CALENDAR, at("12:00:02") + Duration::days(3)).await.unwrap();
    look(&newsroom, at("12:00:03") + Duration::days(3)).await;
    assert_eq!(
        editions(&newsroom, id).await,
        [("daily:06:30@Europe/London".to_owned(), 4, vec!["một".to_owned()])]
    );
}

async fn who_pauses_before_his_letter_has_it_with_the_next(newsroom: Newsroom) {
    newsroom.take(&draft("0", "cũ", &["A"]), at("01:00:00")).await;
    let id = reader(&newsroom, &[(FeedKey::All, "at-once")], "03:00:00").await;
    newsroom.take(&draft("1", "một", &["A"]), at("04:00:00")).await;
    look(&newsroom, at("04:00:01")).await;
    let habits = Habits { paused_until: Some(at("10:00:00")), ..Habits::default() };
    newsroom.change_habits(id, Language::En, &habits, at("04:00:02")).await.unwrap();
    let held = newsroom.claim_deliveries("w", 9, at("05:00:00"), at("04:00:03")).await.unwrap();
    assert_eq!(
        (held.len(), held[0].subscriber.habits, held[0].subscriber.language),
        (1, habits, Language::En)
    );
    let edition = held[0].edition.unwrap();
    let letter = newsroom.open_letter(edition, id, false, at("04:00:04")).await.unwrap();
    assert!(letter.contents.is_empty());
    let done = Settlement::Suppressed("pause".into());
    assert!(newsroom.settle_delivery(held[0].id, "w", &done, at("04:00:05")).await.unwrap());
    look(&newsroom, at("09:59:59")).await;
    assert!(newsroom.claim_deliveries("w", 9, at("12:00:00"), at("09:59:59")).await.unwrap().is_empty());
    // The hour after the pause looks after him.
    look(&newsroom, at("10:00:00")).await;
    let late = newsroom.claim_deliveries("w", 9, at("12:00:00"), at("10:00:01")).await.unwrap();
    let letter = newsroom.open_letter(late[0].edition.unwrap(), id, false, at("10:00:02")).await.unwrap();
    assert_eq!(titles(&newsroom.letter_articles(&letter.contents).await.unwrap()), ["một"]);
}

async fn a_volume_counts_articles_and_days(newsroom: Newsroom) {
    for (n, days) in [("1", 0), ("2", 0), ("3", 1), ("4", 27), ("5", 29)] {
        newsroom.take(&draft(n, n, &["A"]), at("06:00:00") - Duration::days(days)).await;
    }
    newsroom.accept(&[draft("6", "kho", &["A"])], false, at("06:30:00"), &newsroom.chance).await.unwrap();
    let section = newsroom.section("a").await;
    let volumes = newsroom.volumes(at("07:00:00")).await.unwrap();
    assert_eq!(volumes[&section], Volume { articles: 4, days: 1 << 27 | 0b11 });
    assert_eq!(volumes[&section], volumes[&FeedKey::All]);
}
