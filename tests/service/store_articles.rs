//! What the store promises of articles, categories, feeds and searching, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::store::Accepted;

on_both_engines!(the_same_thing_twice_changes_nothing);

async fn the_same_thing_twice_changes_nothing(newsroom: Newsroom) {
    let tin = draft("1", "Khai mạc", &["Chính trị", "Xã hội"]);
    let first = newsroom.accept(&[tin.clone()], true, at("07:00:00"), &newsroom.chance).await.unwrap();
    assert_eq!(first[0].what, Accepted::New);
    assert_eq!(first[0].feeds.len(), 3);
    let before = newsroom.feed_states().await.unwrap();
    let again = newsroom.accept(&[tin], true, at("08:00:00"), &newsroom.chance).await.unwrap();
    assert_eq!((again[0].id, again[0].what), (first[0].id, Accepted::Unchanged));
    assert!(again[0].feeds.is_empty());
    assert_eq!(newsroom.feed_states().await.unwrap(), before);
}
