//! What the store promises of drafts, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::domain::{ArticleId, Doubt, Draft, FeedKey, Instant};
use bantin::store::{Accepted, ArticleSelection, Doubtful, Kept};

on_both_engines!(
    a_draft_is_nowhere_until_a_person_publishes_it,
    a_page_that_comes_again_is_one_draft,
    what_a_person_decided_is_not_asked_again,
    the_facts_that_were_missing_end_a_draft,
    a_doubtful_change_waits_beside_its_article,
);

async fn keep(newsroom: &Newsroom, draft: &Draft, now: Instant) -> Kept {
    let doubts = [Doubt { field: "published".to_owned(), rule: "the only date stands far above".to_owned() }];
    let doubtful = Doubtful { draft, doubts: &doubts, input: "trang.txt", mailable: true };
    newsroom.keep_draft(doubtful, now, &newsroom.chance).await.unwrap()
}

fn waits(kept: Kept) -> ArticleId {
    match kept {
        Kept::Waits(id) => id,
        Kept::Settled => panic!("it does not wait"),
    }
}

async fn a_draft_is_nowhere_until_a_person_publishes_it(newsroom: Newsroom) {
    newsroom.take(&draft("0", "Giá lúa đứng yên", &["Kinh tế"]), at("06:00:00")).await;
    let before = newsroom.state(FeedKey::All).await;
    let guessed = draft("1", "Giá lúa tang", &["Kinh tế"]);
    let id = waits(keep(&newsroom, &guessed, at("07:00:00")).await);
    assert_eq!(newsroom.draft_count().await.unwrap(), 1);
    let kept = newsroom.draft(id).await.unwrap().unwrap();
    assert_eq!((&kept.draft, kept.input.as_str()), (&guessed, "trang.txt"));
    assert_eq!(newsroom.state(FeedKey::All).await, before, "no feed knows of it");
    assert!(newsroom.search("tang", 5).await.unwrap().is_empty());
    assert!(newsroom.article(id).await.unwrap().is_none());
    assert_eq!(newsroom.articles(&ArticleSelection::default(), 9).await.unwrap().len(), 1);

    let published = at("05:00:00");
    let title = Some("Giá lúa tăng");
    let done = newsroom.publish_draft(id, title, Some(published), at("08:00:00"), &newsroom.chance).await;
    let done = done.unwrap().unwrap();
    assert_eq!((done.id, done.what), (id, Accepted::New), "it keeps the id under which it waited");
    let article = newsroom.whole(id).await;
    assert_eq!((article.title.as_str(), article.published), ("Giá lúa tăng", published));
    assert_eq!(newsroom.feed(FeedKey::All).await, ["Giá lúa đứng yên", "Giá lúa tăng"]);
    assert_eq!(newsroom.draft_count().await.unwrap(), 0);
    let again = newsroom.publish_draft(id, None, None, at("09:00:00"), &newsroom.chance).await.unwrap();
    assert!(again.is_none());
}

async fn a_page_that_comes_again_is_one_draft(newsroom: Newsroom) {
    let guessed = draft("1", "Một", &[]);
    let id = waits(keep(&newsroom, &guessed, at("07:00:00")).await);
    assert_eq!(waits(keep(&newsroom, &guessed, at("07:10:00")).await), id);
    let taken = |drafts: Vec<bantin::store::KeptDraft>| {
        drafts.into_iter().map(|d| (d.draft.title, d.taken_at)).collect::<Vec<_>>()
    };
    assert_eq!(taken(newsroom.drafts(9).await.unwrap()), [("Một".to_owned(), at("07:00:00"))]);
    let mut edited = guessed.clone();
    edited.title = "Một rưỡi".to_owned();
    assert_eq!(waits(keep(&newsroom, &edited, at("07:20:00")).await), id);
    assert_eq!(taken(newsroom.drafts(9).await.unwrap()), [("Một rưỡi".to_owned(), at("07:20:00"))]);
    waits(keep(&newsroom, &draft("2", "Hai", &[]), at("07:30:00")).await);
    assert_eq!(newsroom.drafts(9).await.unwrap().len(), 2);
}

async fn what_a_person_decided_is_not_asked_again(newsroom: Newsroom) {
    let (one, two) = (draft("1", "Một", &[]), draft("2", "Hai", &[]));
    let first = waits(keep(&newsroom, &one, at("07:00:00")).await);
    let second = waits(keep(&newsroom, &two, at("07:00:00")).await);
    let done = newsroom.publish_draft(first, Some("Bài một"), None, at("08:00:00"), &newsroom.chance).await;
    assert!(done.unwrap().is_some());
    assert!(newsroom.drop_draft(second, at("08:00:00")).await.unwrap());
    assert!(!newsroom.drop_draft(second, at("08:00:00")).await.unwrap());
    // A source brings the same pages at its next look.
    assert_eq!(keep(&newsroom, &one, at("09:00:00")).await, Kept::Settled);
    assert_eq!(keep(&newsroom, &two, at("09:00:00")).await, Kept::Settled);
    assert_eq!(newsroom.draft_count().await.unwrap(), 0);
    let mut edited = two.clone();
    edited.title = "Hai, sửa".to_owned();
    assert_eq!(waits(keep(&newsroom, &edited, at("10:00:00")).await), second);
    // That of an article is a change to it, under an id of its own.
    let mut edited = one.clone();
    edited.title = "Một, sửa".to_owned();
    let change = waits(keep(&newsroom, &edited, at("10:00:00")).await);
    assert_ne!(change, first);
    let done = newsroom.publish_draft(change, None, None, at("11:00:00"), &newsroom.chance).await;
    let done = done.unwrap().unwrap();
    assert_eq!((done.id, done.what), (first, Accepted::Revised { number: 2, significant: true }));
}

async fn the_facts_that_were_missing_end_a_draft(newsroom: Newsroom) {
    let mut page = draft("1", "Một", &[]);
    waits(keep(&newsroom, &page, at("07:00:00")).await);
    page.published = Some(at("05:00:00"));
    newsroom.take(&page, at("08:00:00")).await;
    assert_eq!(newsroom.draft_count().await.unwrap(), 0);
}

async fn a_doubtful_change_waits_beside_its_article(newsroom: Newsroom) {
    let mut page = draft("1", "Một", &[]);
    newsroom.take(&page, at("06:00:00")).await;
    assert_eq!(keep(&newsroom, &page, at("07:00:00")).await, Kept::Settled, "it says what the article says");
    page.title = "Hai".to_owned();
    waits(keep(&newsroom, &page, at("07:00:00")).await);
    assert_eq!(newsroom.feed(FeedKey::All).await, ["Một"]);
}
