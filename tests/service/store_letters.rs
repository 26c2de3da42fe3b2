//! What the store promises of the last look at letters, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::domain::{ArticleId, EndedReason, Habits, Language, Secret, SuppressionReason};
use bantin::store::{AddressHash, ClaimedDelivery, PlainLetter, Settlement};

on_both_engines!(
    letters_are_plain_until_something_happens_to_their_reader,
    letters_are_plain_until_something_happens_to_what_they_tell,
    what_is_due_alike_is_one_letter,
    what_a_letter_in_doubt_left_out_comes_with_it_once_it_can,
    what_is_owed_to_who_left_waits_until_he_takes_it_back,
    what_is_owed_is_queued_once_whoever_asks,
);

fn secret() -> Secret {
    Secret::new([7; 32])
}

/// A newsroom with two articles and so many readers, whose edition is cut: each one's letter, claimed.
async fn claimed(newsroom: &Newsroom, readers: usize) -> (Vec<ClaimedDelivery>, Vec<ArticleId>) {
    newsroom.readers(readers).await;
    let mut articles = Vec::new();
    for key in ["1", "2"] {
        articles.push(newsroom.take(&draft(key, key, &["A"]), at("01:00:00")).await.id);
    }
    newsroom.cut_by_hand("06:00:00").await;
    let letters = newsroom.claim_deliveries("w", readers, at("07:00:00"), at("06:00:00")).await.unwrap();
    assert_eq!(letters.len(), readers);
    (letters, articles)
}

async fn look(newsroom: &Newsroom, letters: &[ClaimedDelivery]) -> Vec<Option<PlainLetter>> {
    let hash = |letter: &ClaimedDelivery| AddressHash::of(&letter.subscriber.address, &secret());
    let asked: Vec<_> = letters.iter().map(|letter| (letter.id, hash(letter))).collect();
    newsroom.plain_letters(&asked, at("06:10:00")).await.unwrap()
}

async fn plain(newsroom: &Newsroom, letters: &[ClaimedDelivery]) -> Vec<bool> {
    look(newsroom, letters).await.iter().map(Option::is_some).collect()
}

async fn letters_are_plain_until_something_happens_to_their_reader(newsroom: Newsroom) {
    let (letters, _) = claimed(&newsroom, 6).await;
    let id = |at: usize| letters[at].subscriber.id;
    assert_eq!(plain(&newsroom, &letters).await, [true; 6]);
    newsroom.end_subscriptions(id(0), None, EndedReason::Reader, at("06:05:00")).await.unwrap();
    let address = &letters[1].subscriber.address;
    newsroom.suppress(address, SuppressionReason::Newsroom, "", &secret(), at("06:05:00")).await.unwrap();
    for (reader, until) in [(2, "06:10:01"), (3, "06:10:00")] {
        let habits = Habits { paused_until: Some(at(until)), ..Habits::default() };
        newsroom.change_habits(id(reader), Language::Vi, &habits, at("06:05:00")).await.unwrap();
    }
    newsroom.erase_subscriber(id(4), &secret(), at("06:05:00")).await.unwrap();
    assert_eq!(plain(&newsroom, &letters).await, [false, false, false, true, false, true], "a pause is over");
}

async fn letters_are_plain_until_something_happens_to_what_they_tell(newsroom: Newsroom) {
    let (letters, articles) = claimed(&newsroom, 2).await;
    let edition = letters[0].edition.unwrap();
    newsroom.withdraw(articles[0], at("06:05:00")).await.unwrap();
    assert_eq!(plain(&newsroom, &letters).await, [false; 2]);
    newsroom.restore(articles[0], at("06:06:00")).await.unwrap();
    assert_eq!(plain(&newsroom, &letters).await, [true; 2]);
    let before = look(&newsroom, &letters[..1]).await;
    assert!(newsroom.hold_edition(edition, "wait", at("06:07:00")).await.unwrap());
    assert_eq!(plain(&newsroom, &letters).await, [false; 2]);
    assert!(newsroom.release_edition(edition, at("06:08:00")).await.unwrap());
    assert_eq!(look(&newsroom, &letters[..1]).await, before, "letters were out: nobody changed it");
    newsroom.give_back_claims("w", at("06:09:00")).await.unwrap();
    assert!(newsroom.hold_edition(edition, "wait", at("06:09:01")).await.unwrap());
    assert!(newsroom.release_edition(edition, at("06:09:02")).await.unwrap());
    assert_eq!(
        newsroom.claim_deliveries("w", 2, at("07:00:00"), at("06:10:00")).await.unwrap().len(),
        letters.len()
    );
    let after = look(&newsroom, &letters[..1]).await;
    assert!(after[0].is_some() && after != before, "the editor may have changed it meanwhile");
}

async fn what_is_due_alike_is_one_letter(newsroom: Newsroom) {
    let (letters, _) = claimed(&newsroom, 70).await;
    let looks = look(&newsroom, &letters).await;
    assert!(looks.iter().all(|letter| letter.is_some() && *letter == looks[0]));
    assert!(look(&newsroom, &[]).await.is_empty());
    let mut raw = newsroom.raw().await;
    sqlx::query("DELETE FROM ledger WHERE subscriber = $1 AND article = (SELECT max(n) FROM articles)")
        .bind(letters[69].subscriber.id.0)
        .execute(&mut raw)
        .await
        .unwrap();
    let looks = look(&newsroom, &letters).await;
    assert!(looks[69].is_some() && looks[69] != looks[0], "less is due to him");
}

/// The letter of a worker who died an hour ago, in the hands of the next.
async fn doubted(newsroom: &Newsroom, worker: &str, now: &str, until: &str) -> ClaimedDelivery {
    let mut again = newsroom.claim_deliveries(worker, 9, at(until), at(now)).await.unwrap();
    assert_eq!((again.len(), again[0].doubted), (1, true));
    again.remove(0)
}

/// How many articles stand in a letter that is opened now, and is accepted or has nothing to say.
async fn told(newsroom: &Newsroom, letter: &ClaimedDelivery, worker: &str, now: &str) -> usize {
    let edition = letter.edition.unwrap();
    let opened = newsroom.open_letter(edition, letter.subscriber.id, letter.doubted, at(now)).await.unwrap();
    let articles = newsroom.letter_articles(&opened.contents).await.unwrap().len();
    let settlement = match articles {
        0 => Settlement::Suppressed("nothing left".into()),
        _ => Settlement::Accepted("250 ok".into()),
    };
    assert!(newsroom.settle_delivery(letter.id, worker, &settlement, at(now)).await.unwrap());
    articles
}

async fn figures(newsroom: &Newsroom, letter: &ClaimedDelivery) -> (u64, bool) {
    let edition = letter.edition.unwrap();
    let accepted = newsroom.edition_figures(edition).await.unwrap().accepted;
    (accepted, newsroom.edition(edition).await.unwrap().unwrap().completed_at.is_some())
}

async fn what_a_letter_in_doubt_left_out_comes_with_it_once_it_can(newsroom: Newsroom) {
    let (letters, articles) = claimed(&newsroom, 1).await;
    newsroom.withdraw(articles[0], at("07:01:00")).await.unwrap();
    let letter = doubted(&newsroom, "x", "07:02:00", "08:00:00").await;
    assert_eq!(told(&newsroom, &letter, "x", "07:03:00").await, 1);
    assert_eq!(figures(&newsroom, &letter).await, (1, true));
    assert_eq!(newsroom.queue_owed(at("07:04:00")).await.unwrap(), 0, "it is still withdrawn");

    newsroom.restore(articles[0], at("07:05:00")).await.unwrap();
    let habits = |until: Option<&str>| Habits { paused_until: until.map(at), ..Habits::default() };
    let (reader, language) = (letters[0].subscriber.id, Language::Vi);
    newsroom.change_habits(reader, language, &habits(Some("09:00:00")), at("07:06:00")).await.unwrap();
    assert_eq!(newsroom.queue_owed(at("07:07:00")).await.unwrap(), 0, "its reader pauses");
    newsroom.change_habits(reader, language, &habits(None), at("07:08:00")).await.unwrap();
    assert_eq!(newsroom.queue_owed(at("07:10:00")).await.unwrap(), 1);
    assert_eq!(figures(&newsroom, &letter).await, (0, false));

    let again = doubted(&newsroom, "y", "07:11:00", "08:00:00").await;
    assert_eq!(again.id, letter.id, "no other edition brings it, and the Message-ID is what it was");
    assert_eq!(told(&newsroom, &again, "y", "07:12:00").await, 2);
    assert_eq!(newsroom.queue_owed(at("07:13:00")).await.unwrap(), 0);
    assert_eq!(figures(&newsroom, &letter).await, (1, true));
}

async fn what_is_owed_to_who_left_waits_until_he_takes_it_back(newsroom: Newsroom) {
    let (letters, _) = claimed(&newsroom, 1).await;
    let reader = letters[0].subscriber.id;
    newsroom.end_subscriptions(reader, None, EndedReason::Reader, at("07:01:00")).await.unwrap();
    let letter = doubted(&newsroom, "x", "07:02:00", "08:00:00").await;
    newsroom.owe_letter(letter.edition.unwrap(), reader).await.unwrap();
    let gone = Settlement::Suppressed("left".into());
    assert!(newsroom.settle_delivery(letter.id, "x", &gone, at("07:03:00")).await.unwrap());
    assert_eq!(newsroom.queue_owed(at("07:04:00")).await.unwrap(), 0);
    assert_eq!(newsroom.undo_end(reader, at("07:05:00")).await.unwrap(), 1);
    assert_eq!(newsroom.queue_owed(at("07:06:00")).await.unwrap(), 0, "the undo has queued it");
    let again = doubted(&newsroom, "y", "07:07:00", "08:00:00").await;
    assert_eq!(plain(&newsroom, std::slice::from_ref(&again)).await, [false], "it is looked at by itself");
    assert_eq!(told(&newsroom, &again, "y", "07:08:00").await, 2);
    assert_eq!(newsroom.queue_owed(at("07:09:00")).await.unwrap(), 0);
}

async fn what_is_owed_is_queued_once_whoever_asks(newsroom: Newsroom) {
    let (_, articles) = claimed(&newsroom, 1).await;
    newsroom.withdraw(articles[0], at("07:01:00")).await.unwrap();
    let letter = doubted(&newsroom, "x", "07:02:00", "08:00:00").await;
    assert_eq!(told(&newsroom, &letter, "x", "07:03:00").await, 1);
    newsroom.restore(articles[0], at("07:04:00")).await.unwrap();
    let now = at("07:05:00");
    let (one, two) = tokio::join!(newsroom.queue_owed(now), newsroom.queue_owed(now));
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    // Its address has come to the suppression list: it is not even opened, and nothing is owed for ever.
    let again = doubted(&newsroom, "y", "07:06:00", "08:00:00").await;
    let listed = Settlement::Suppressed("on the suppression list".into());
    assert!(newsroom.settle_delivery(again.id, "y", &listed, at("07:07:00")).await.unwrap());
    assert_eq!(newsroom.queue_owed(at("07:08:00")).await.unwrap(), 0);
}
