//! What the store promises of letters about a subscription and of what is counted, on both engines.

use crate::newsroom::{Newsroom, at, on_both_engines};
use crate::store_readers::{
    QUIET, address, asked, claim, count, cut, publish, reader, request, secret, settle, two_sections,
};
use bantin::domain::{DeliveryKind, EndedReason, NoticeKind, OptInId, SubscriberId, SubscriberState};
use bantin::store::{MoveAnswer, OptInAnswer, Settlement, Yes};
use chrono::Duration;

on_both_engines!(
    who_does_not_answer_is_asked_more_and_more_seldom,
    who_left_is_told_so_once_a_leaving,
    mail_moves_with_its_reader_and_back,
    an_address_of_another_reader_is_not_taken,
    who_never_confirmed_gives_way_to_who_moves,
    a_letter_is_counted_as_opened_once,
);

async fn who_does_not_answer_is_asked_more_and_more_seldom(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let quiet = Duration::minutes(10);
    let ask = async |minutes: i64| {
        let now = at("07:00:00") + Duration::minutes(minutes);
        newsroom.request_opt_in(&request("an", "sang", &[a]), quiet, &secret(), now).await.unwrap()
    };
    // After ten minutes, an hour, a day and a week: what comes a minute earlier is not asked.
    let mut last = OptInId(0);
    let mut due = 0;
    for wait in [10, 60, 1_440, 10_080] {
        let OptInAnswer::Asked(opt_in) = ask(due).await else { panic!("not asked after {due} minutes") };
        assert!(opt_in.0 > last.0);
        last = opt_in;
        assert_eq!(ask(due + wait - 1).await, OptInAnswer::AskedBefore, "{wait}");
        due += wait;
    }
    // Who has answered is no stranger any more.
    let now = at("07:00:00") + Duration::minutes(due);
    newsroom.confirm(last, &|_| now, &Yes::default(), now).await.unwrap().unwrap();
    let OptInAnswer::Asked(first) = ask(due + 1).await else { panic!("a new question") };
    assert_eq!(ask(due + 10).await, OptInAnswer::AskedBefore);
    let OptInAnswer::Asked(second) = ask(due + 11).await else { panic!("the second after ten minutes") };
    assert!(second.0 > first.0);
}

/// The letters of a kind that are queued.
async fn queued(newsroom: &Newsroom, kind: &str) -> i64 {
    let text = "SELECT count(*) FROM deliveries d JOIN opt_ins o ON o.n = d.opt_in WHERE o.kind = $1";
    sqlx::query_scalar(text).bind(kind.to_owned()).fetch_one(&mut newsroom.raw().await).await.unwrap()
}

async fn who_left_is_told_so_once_a_leaving(newsroom: Newsroom) {
    let (a, b) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a, b], "02:00:00").await;
    let leave = async |only, time| {
        newsroom.end_subscriptions(id, only, EndedReason::Reader, at(time)).await.unwrap();
        newsroom.say_goodbye(id, at(time)).await.unwrap()
    };
    let one = [a];
    assert!(!leave(Some(&one[..]), "03:00:00").await, "something still comes");
    assert!(leave(None, "04:00:00").await);
    assert!(!leave(None, "04:00:01").await, "pressed again");
    let letters = claim(&newsroom, "w", "05:00:00", "04:10:00").await;
    assert_eq!(letters.len(), 1);
    let notice = newsroom.opt_in(letters[0].opt_in.unwrap()).await.unwrap().unwrap();
    assert_eq!((notice.kind, notice.subscriber), (NoticeKind::Goodbye, id));
    assert_eq!(notice.wishes.iter().map(|wish| wish.feed).collect::<Vec<_>>(), [b], "what ended last");
    assert_eq!(newsroom.undo_end(id, at("05:00:00")).await.unwrap(), 1);
    assert!(!newsroom.say_goodbye(id, at("05:00:01")).await.unwrap(), "he is back");
    // By a clock that was put back it is another leaving all the same.
    assert!(leave(None, "01:00:00").await);
    assert_eq!(queued(&newsroom, "goodbye").await, 2);
    assert!(!newsroom.say_goodbye(SubscriberId(99), at("06:00:00")).await.unwrap());
}

/// Asks whether the mail shall go to another address; the question's number.
async fn asks_to_move(newsroom: &Newsroom, id: SubscriberId, to: &str, time: &str) -> Option<OptInId> {
    let before = queued(newsroom, "address").await;
    let quiet = (QUIET, &secret());
    newsroom.request_move(id, &address(to), "192.0.2.9", quiet, at(time)).await.unwrap();
    if queued(newsroom, "address").await == before {
        return None;
    }
    Some(OptInId(count(newsroom, "SELECT max(n) FROM opt_ins WHERE kind = 'address'").await))
}

async fn mail_moves_with_its_reader_and_back(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    let question = asks_to_move(&newsroom, id, "an.moi", "03:00:00").await.unwrap();
    assert_eq!(asks_to_move(&newsroom, id, "an.khac", "03:10:00").await, None, "asked shortly before");
    let where_to = async || newsroom.subscriber(id).await.unwrap().unwrap().address;
    assert_eq!(where_to().await, address("an"), "nobody has said yes");
    for time in ["04:00:00", "04:00:01"] {
        let moved = newsroom.move_reader(question, "192.0.2.9", at(time)).await.unwrap();
        assert_eq!(moved, Some(MoveAnswer::Moved(id)));
        assert_eq!((where_to().await, queued(&newsroom, "moved").await), (address("an.moi"), 1));
    }
    assert!(newsroom.subscriber_by_address(&address("an")).await.unwrap().is_none());
    // The letter to the former address is the way back, of which nobody has to be told.
    let told = OptInId(count(&newsroom, "SELECT max(n) FROM opt_ins WHERE kind = 'moved'").await);
    assert_eq!(newsroom.opt_in(told).await.unwrap().unwrap().address, address("an"));
    let back = newsroom.move_reader(told, "192.0.2.9", at("05:00:00")).await.unwrap();
    assert_eq!((back, where_to().await), (Some(MoveAnswer::Moved(id)), address("an")));
    assert_eq!(queued(&newsroom, "moved").await, 1);
    assert_eq!(newsroom.subscriptions(id).await.unwrap().len(), 1, "the wishes stay");
    assert_eq!(newsroom.move_reader(OptInId(1), "", at("05:00:00")).await.unwrap(), None, "no such request");
}

async fn an_address_of_another_reader_is_not_taken(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    let other = reader(&newsroom, "binh", "sang", &[a], "02:10:00").await;
    let question = asks_to_move(&newsroom, id, "binh", "03:00:00").await.unwrap();
    let answer = newsroom.move_reader(question, "", at("04:00:00")).await.unwrap();
    assert_eq!(answer, Some(MoveAnswer::Taken));
    let addresses =
        "SELECT count(*) FROM subscribers WHERE address IN ('an@bao.example', 'binh@bao.example')";
    assert_eq!((count(&newsroom, addresses).await, queued(&newsroom, "moved").await), (2, 0));
    assert_eq!(newsroom.subscriber(other).await.unwrap().unwrap().address, address("binh"));
}

async fn who_never_confirmed_gives_way_to_who_moves(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    asked(&newsroom, "an.moi", "sang", &[a], at("02:10:00")).await;
    let question = asks_to_move(&newsroom, id, "an.moi", "03:00:00").await.unwrap();
    let moved = newsroom.move_reader(question, "", at("04:00:00")).await.unwrap();
    assert_eq!(moved, Some(MoveAnswer::Moved(id)));
    let owner = newsroom.subscriber_by_address(&address("an.moi")).await.unwrap().unwrap();
    assert_eq!((owner.id, owner.state), (id, SubscriberState::Active));
}

async fn a_letter_is_counted_as_opened_once(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let an = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    let binh = reader(&newsroom, "binh", "sang", &[a], "02:10:00").await;
    publish(&newsroom, "một", &["A"], "03:00:00").await;
    let edition = cut(&newsroom, "sang", "04:00:00").await.edition;
    let letters = claim(&newsroom, "w", "06:00:00", "05:00:00").await;
    for letter in letters.iter().filter(|letter| letter.kind == DeliveryKind::Edition) {
        settle(&newsroom, letter.id, "w", Settlement::Accepted("250 ok".into())).await;
    }
    let open = async |readers: &[SubscriberId]| {
        newsroom.note_opened(readers.iter().map(|reader| (edition, *reader)).collect()).await.unwrap()
    };
    assert_eq!(newsroom.opened(edition).await.unwrap(), 0);
    assert_eq!(open(&[an]).await, 1);
    assert_eq!(open(&[an, binh, SubscriberId(99)]).await, 1, "one was known, one is nobody");
    assert_eq!((open(&[an, binh]).await, newsroom.opened(edition).await.unwrap()), (0, 2));
}
