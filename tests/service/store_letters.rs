//! What the store promises of the last look at letters, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::domain::{ArticleId, EndedReason, Habits, Language, Secret, SuppressionReason};
use bantin::store::{AddressHash, ClaimedDelivery, PlainLetter};

on_both_engines!(
    letters_are_plain_until_something_happens_to_their_reader,
    letters_are_plain_until_something_happens_to_what_they_tell,
    what_is_due_alike_is_one_letter,
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
