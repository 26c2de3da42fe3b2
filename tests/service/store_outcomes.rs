//! What the store promises of letters that do not simply arrive, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::domain::{BounceClass, DeliveryId, DeliveryState, EditionId, Secret, SubscriberId};
use bantin::store::{Bounce, ClaimedDelivery, Settlement, Store, StoreUrl};

on_both_engines!(
    an_edition_counts_what_became_of_its_letters,
    who_did_not_get_it_is_told_in_pages,
    only_what_bounced_of_who_still_wants_mail_is_sent_again,
    what_was_handed_is_known_after_a_death,
    only_the_holder_of_a_claim_hands_over,
    what_a_worker_holds_is_never_due_to_him,
    a_kept_letter_goes_when_it_has_arrived,
    an_erased_readers_letter_is_not_kept,
    an_edition_is_stopped_once,
    a_store_knows_its_home,
    what_was_mailed_elsewhere_is_settled,
);

fn secret() -> Secret {
    Secret::new([7; 32])
}

/// A newsroom with one article and so many readers, whose edition is cut: each one's letter, claimed.
async fn claimed(newsroom: &Newsroom, readers: usize) -> Vec<ClaimedDelivery> {
    newsroom.readers(readers).await;
    let news = draft("1", "Tin", &["A"]);
    newsroom.accept(&[news], true, at("01:00:00"), &newsroom.chance).await.unwrap();
    newsroom.cut_by_hand("06:00:00").await;
    newsroom.claim_deliveries("w", readers, at("07:00:00"), at("06:00:00")).await.unwrap()
}

async fn settle(store: &Store, worker: &str, id: DeliveryId, settlement: Settlement) {
    assert!(store.settle_delivery(id, worker, &settlement, at("06:10:00")).await.unwrap());
}

fn bounced() -> Settlement {
    Settlement::Bounced("550 5.7.1 no".into())
}

fn edition(letters: &[ClaimedDelivery]) -> EditionId {
    letters[0].edition.unwrap()
}

async fn an_edition_counts_what_became_of_its_letters(newsroom: Newsroom) {
    let letters = claimed(&newsroom, 5).await;
    let next = at("06:20:00");
    let outcomes = [
        Settlement::Accepted("250".into()),
        bounced(),
        Settlement::Deferred { reply: "451".into(), next },
        Settlement::Uncertain { reply: "lost".into(), next: None },
    ];
    for (letter, outcome) in letters.iter().zip(outcomes) {
        settle(&newsroom, "w", letter.id, outcome).await;
    }
    let figures = newsroom.edition_figures(edition(&letters)).await.unwrap();
    assert_eq!((figures.accepted, figures.bounced, figures.was_stopped), (1, 1, false));
    let counts = newsroom.edition_counts().await.unwrap();
    assert_eq!((counts.running, counts.held, counts.stopped), (1, 0, 0));
    assert_eq!(newsroom.running_editions().await.unwrap(), [edition(&letters)]);
    let accepted = async |since| newsroom.accepted_since(edition(&letters), at(since)).await.unwrap();
    assert_eq!((accepted("06:10:00").await, accepted("06:10:01").await), (1, 0));
}

async fn who_did_not_get_it_is_told_in_pages(newsroom: Newsroom) {
    let letters = claimed(&newsroom, 4).await;
    settle(&newsroom, "w", letters[0].id, Settlement::Accepted("250".into())).await;
    for letter in &letters[1..3] {
        settle(&newsroom, "w", letter.id, bounced()).await;
    }
    let page = async |behind| newsroom.failures(edition(&letters), behind, 1).await.unwrap();
    let first = page(DeliveryId(0)).await;
    let second = page(first[0].delivery).await;
    assert_eq!([first[0].delivery, second[0].delivery], [letters[1].id, letters[2].id]);
    assert_eq!(first[0].subscriber, letters[1].subscriber.id);
    assert_eq!((first[0].state, first[0].attempts), (DeliveryState::Bounced, 1));
    assert_eq!(first[0].reply, "550 5.7.1 no");
    assert_eq!(first[0].address.as_ref(), Some(&letters[1].subscriber.address));
    assert!(page(second[0].delivery).await.is_empty(), "what is under way has not failed");
}

async fn only_what_bounced_of_who_still_wants_mail_is_sent_again(newsroom: Newsroom) {
    let letters = claimed(&newsroom, 4).await;
    let doubt = Settlement::Uncertain { reply: "lost".into(), next: None };
    for (letter, outcome) in
        letters.iter().zip([bounced(), bounced(), doubt, Settlement::Accepted("250".into())])
    {
        settle(&newsroom, "w", letter.id, outcome).await;
    }
    let (delivery, class) = (letters[1].id, BounceClass::Hard);
    let report = Bounce { delivery, class, way: "test".into(), evidence: "550 5.1.1".into() };
    newsroom.note_bounce(&report, &secret(), at("06:11:00")).await.unwrap();
    let edition = edition(&letters);
    assert!(newsroom.edition(edition).await.unwrap().unwrap().completed_at.is_some());
    assert_eq!(newsroom.resend(edition, false, at("09:00:00")).await.unwrap(), 1);
    let shown = newsroom.edition(edition).await.unwrap().unwrap();
    assert!(shown.completed_at.is_none());
    let again = newsroom.claim_deliveries("x", 9, at("10:00:00"), at("09:00:00")).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].id, again[0].attempt.0, again[0].created_at), (letters[0].id, 1, at("09:00:00")));
    settle(&newsroom, "x", again[0].id, Settlement::Accepted("250".into())).await;
    assert_eq!(newsroom.resend(edition, true, at("09:30:00")).await.unwrap(), 1, "the doubtful one");
    assert_eq!(newsroom.resend(EditionId(99), true, at("09:30:00")).await.unwrap(), 0);
}

async fn what_was_handed_is_known_after_a_death(newsroom: Newsroom) {
    let letters = claimed(&newsroom, 3).await;
    let ids: Vec<DeliveryId> = letters.iter().map(|letter| letter.id).collect();
    assert!(letters.iter().all(|letter| !letter.was_handed));
    assert_eq!(newsroom.note_handed("w", &ids[..2], at("06:05:00")).await.unwrap(), [true, true]);
    let next = at("06:30:00");
    settle(&newsroom, "w", ids[0], Settlement::Deferred { reply: "451".into(), next }).await;
    let later = newsroom.claim_deliveries("x", 9, at("09:00:00"), at("08:00:00")).await.unwrap();
    let mut handed: Vec<_> = later.iter().map(|letter| (letter.id, letter.was_handed)).collect();
    handed.sort_unstable();
    assert_eq!(handed, [(ids[0], false), (ids[1], true), (ids[2], false)], "an answer ends the doubt");
}

async fn only_the_holder_of_a_claim_hands_over(newsroom: Newsroom) {
    let letters = claimed(&newsroom, 2).await;
    let ids: Vec<DeliveryId> = letters.iter().map(|letter| letter.id).collect();
    settle(&newsroom, "w", ids[0], Settlement::Suppressed("left".into())).await;
    assert_eq!(newsroom.note_handed("w", &ids, at("06:15:00")).await.unwrap(), [false, true]);
    newsroom.claim_deliveries("x", 9, at("09:00:00"), at("08:00:00")).await.unwrap();
    let ours = newsroom.note_handed("w", &ids, at("08:15:00")).await.unwrap();
    assert_eq!(ours, [false, false], "it is x's");
}

async fn what_a_worker_holds_is_never_due_to_him(newsroom: Newsroom) {
    let letters = claimed(&newsroom, 2).await;
    let claim = async |worker| newsroom.claim_deliveries(worker, 9, at("10:00:00"), at("09:00:00")).await;
    assert!(claim("w").await.unwrap().is_empty(), "he slept, and has them in his hands");
    assert_eq!(claim("x").await.unwrap().len(), letters.len());
}

async fn kept(newsroom: &Newsroom) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM kept_letters")
        .fetch_one(&mut newsroom.raw().await)
        .await
        .unwrap()
}

async fn a_kept_letter_goes_when_it_has_arrived(newsroom: Newsroom) {
    let letters = claimed(&newsroom, 2).await;
    for bytes in [b"first", b"again"] {
        newsroom.keep_letter(letters[0].id, "a,b", bytes).await.unwrap();
    }
    newsroom.keep_letter(letters[1].id, "a", b"other").await.unwrap();
    let found = async |articles| newsroom.kept_letter(letters[0].id, articles).await.unwrap();
    assert_eq!(found("a,b").await.as_deref(), Some(&b"again"[..]));
    assert_eq!(found("a").await, None, "with other articles it is another letter");
    settle(&newsroom, "w", letters[0].id, Settlement::Accepted("250".into())).await;
    settle(&newsroom, "w", letters[1].id, Settlement::Uncertain { reply: "lost".into(), next: None }).await;
    assert_eq!(kept(&newsroom).await, 1, "what is held in doubt is kept");
}

async fn an_erased_readers_letter_is_not_kept(newsroom: Newsroom) {
    let letters = claimed(&newsroom, 1).await;
    newsroom.keep_letter(letters[0].id, "a", b"to an@bao.example").await.unwrap();
    let erased: SubscriberId = letters[0].subscriber.id;
    assert!(newsroom.erase_subscriber(erased, &secret(), at("06:30:00")).await.unwrap());
    assert_eq!(kept(&newsroom).await, 0);
}

async fn an_edition_is_stopped_once(newsroom: Newsroom) {
    let letters = claimed(&newsroom, 2).await;
    let edition = edition(&letters);
    assert!(newsroom.hold_edition(edition, "refused", at("06:20:00")).await.unwrap());
    assert!(newsroom.note_stop(edition, at("06:20:00")).await.unwrap());
    let counts = newsroom.edition_counts().await.unwrap();
    assert_eq!((counts.running, counts.held, counts.stopped), (1, 1, 1));
    assert!(newsroom.release_edition(edition, at("06:40:00")).await.unwrap());
    assert!(!newsroom.note_stop(edition, at("06:50:00")).await.unwrap(), "a person has looked");
    assert!(newsroom.edition_figures(edition).await.unwrap().was_stopped);
}

async fn a_store_knows_its_home(newsroom: Newsroom) {
    assert!(!newsroom.is_copy().await.unwrap(), "before anybody serves");
    newsroom.move_in().await.unwrap();
    assert!(!newsroom.another().await.is_copy().await.unwrap(), "a restart is no move");
    let folder = tempfile::tempdir().unwrap();
    let copy = copied(&newsroom, folder.path()).await;
    assert!(copy.is_copy().await.unwrap());
    copy.move_in().await.unwrap();
    assert!(copy.is_copy().await.unwrap(), "only a person moves it");
    copy.adopt().await.unwrap();
    assert!(!copy.is_copy().await.unwrap());
    assert!(!newsroom.is_copy().await.unwrap());
}

/// What a restored backup is.
async fn copied(newsroom: &Newsroom, folder: &std::path::Path) -> Store {
    let mut raw = newsroom.raw().await;
    let url: StoreUrl = match &newsroom.url {
        StoreUrl::Sqlite(_) => {
            let path = folder.join("copy.db");
            let text = format!("VACUUM INTO '{}'", path.display());
            sqlx::query(sqlx::AssertSqlSafe(text)).execute(&mut raw).await.unwrap();
            format!("sqlite:{}", path.display()).parse().unwrap()
        }
        StoreUrl::Postgres(_) => {
            let url = crate::postgres::fresh_database().await;
            let home: String =
                sqlx::query_scalar("SELECT home FROM installation").fetch_one(&mut raw).await.unwrap();
            let StoreUrl::Postgres(address) = &url else { unreachable!() };
            let mut other =
                <sqlx::AnyConnection as sqlx::Connection>::connect(address.as_str()).await.unwrap();
            let text = "UPDATE installation SET home = $1";
            sqlx::query(text).bind(home).execute(&mut other).await.unwrap();
            url
        }
    };
    Store::open(&url).await.unwrap()
}

async fn what_was_mailed_elsewhere_is_settled(newsroom: Newsroom) {
    let letters = claimed(&newsroom, 3).await;
    settle(&newsroom, "w", letters[0].id, Settlement::Accepted("250".into())).await;
    assert_eq!(newsroom.settle_as_mailed_elsewhere(at("08:00:00")).await.unwrap(), 2);
    assert!(newsroom.edition(edition(&letters)).await.unwrap().unwrap().completed_at.is_some());
    assert!(newsroom.claim_deliveries("x", 9, at("10:00:00"), at("09:00:00")).await.unwrap().is_empty());
}
