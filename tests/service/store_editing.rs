//! What the store promises of an editor's words and order, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines, titles};
use crate::store_holds::slug;
use bantin::domain::{ArticleId, EditionId, Lead};
use bantin::store::{Cutting, Edited, Issue, Order, Settlement, Turn, Whom};
use chrono::Duration;

on_both_engines!(
    an_order_comes_before_age_and_what_is_left_out_stays_away,
    what_is_out_or_not_held_is_not_edited,
    a_coming_edition_takes_over_what_was_kept_for_it,
    a_rehearsal_is_what_the_cut_does_and_leaves_nothing,
    a_rehearsal_counts_who_gets_nothing,
);

async fn publish(newsroom: &Newsroom, title: &str, time: &str) -> ArticleId {
    newsroom.take(&draft(title, title, &["A"]), at(time)).await.id
}

async fn three(newsroom: &Newsroom) -> [ArticleId; 3] {
    [
        publish(newsroom, "một", "04:00:00").await,
        publish(newsroom, "hai", "04:01:00").await,
        publish(newsroom, "ba", "04:02:00").await,
    ]
}

async fn held(newsroom: &Newsroom) -> EditionId {
    let edition = newsroom.cut_by_hand("05:00:00").await;
    assert!(newsroom.hold_edition(edition, "x", at("05:00:01")).await.unwrap());
    edition
}

fn order(first: &[ArticleId], left_out: &[ArticleId]) -> Order {
    Order { first: first.to_vec(), left_out: left_out.to_vec() }
}

async fn an_order_comes_before_age_and_what_is_left_out_stays_away(newsroom: Newsroom) {
    let readers = newsroom.readers(1).await;
    let [one, two, three] = three(&newsroom).await;
    let edition = held(&newsroom).await;
    let issue = Issue::Edition(edition);
    let got = async || titles(&newsroom.edition_articles(edition, readers[0], true).await.unwrap());
    assert_eq!(got().await, ["ba", "hai", "một"]);
    assert_eq!(newsroom.set_order(&issue, &order(&[one], &[three])).await.unwrap(), Edited::Done);
    assert_eq!(got().await, ["một", "hai"]);
    assert_eq!(newsroom.edition(edition).await.unwrap().unwrap().placed, [one]);
    let letter = newsroom.open_letter(edition, readers[0], false, at("05:10:00")).await.unwrap();
    assert_eq!(titles(&newsroom.letter_articles(&letter.contents).await.unwrap()), ["một", "hai"]);
    assert_eq!(newsroom.set_order(&issue, &order(&[two, three], &[])).await.unwrap(), Edited::Done);
    assert_eq!(got().await, ["hai", "ba", "một"], "what was left out by mistake is there again");
    let shown = newsroom.order_of(edition).await.unwrap();
    assert_eq!(shown.iter().map(|entry| entry.place).collect::<Vec<_>>(), [Some(1), Some(2), None]);
    let stranger = publish(&newsroom, "bốn", "05:20:00").await;
    let refused = newsroom.set_order(&issue, &order(&[stranger], &[one])).await.unwrap();
    assert_eq!(refused, Edited::NotInIt(vec![stranger]));
    assert_eq!(got().await, ["hai", "ba", "một"]);
}

async fn what_is_out_or_not_held_is_not_edited(newsroom: Newsroom) {
    newsroom.readers(2).await;
    three(&newsroom).await;
    let lead = Lead::parse("Chào.").unwrap();
    let unknown = Issue::Edition(EditionId(99));
    assert_eq!(newsroom.set_lead(&unknown, Some(&lead)).await.unwrap(), Edited::Unknown);
    let edition = held(&newsroom).await;
    let issue = Issue::Edition(edition);
    assert_eq!(newsroom.set_lead(&issue, Some(&lead)).await.unwrap(), Edited::Done);
    assert_eq!(newsroom.edition(edition).await.unwrap().unwrap().lead, Some(lead.clone()));
    assert_eq!(newsroom.set_lead(&issue, None).await.unwrap(), Edited::Done);
    newsroom.release_edition(edition, at("05:10:00")).await.unwrap();
    assert_eq!(newsroom.set_lead(&issue, Some(&lead)).await.unwrap(), Edited::NotHeld);
    let claimed = newsroom.claim_deliveries("w", 1, at("05:30:00"), at("05:20:00")).await.unwrap();
    newsroom.hold_edition(edition, "x", at("05:21:00")).await.unwrap();
    assert_eq!(newsroom.set_lead(&issue, Some(&lead)).await.unwrap(), Edited::Out, "a worker may write it");
    let accepted = Settlement::Accepted("250".into());
    assert!(newsroom.settle_delivery(claimed[0].id, "w", &accepted, at("05:22:00")).await.unwrap());
    assert_eq!(newsroom.set_order(&issue, &Order::default()).await.unwrap(), Edited::Out);
    assert_eq!(newsroom.edition(edition).await.unwrap().unwrap().lead, None);
}

async fn a_coming_edition_takes_over_what_was_kept_for_it(newsroom: Newsroom) {
    let readers = newsroom.readers(1).await;
    let [one, two, three] = three(&newsroom).await;
    let later = publish(&newsroom, "của bản khác", "04:03:00").await;
    newsroom.withdraw(later, at("04:04:00")).await.unwrap();
    let coming = Issue::Coming(slug("sang"));
    assert_eq!(
        newsroom.set_order(&coming, &order(&[later], &[])).await.unwrap(),
        Edited::NotInIt(vec![later]),
        "what was withdrawn cannot be put first"
    );
    let lead = Lead::parse("Chào.").unwrap();
    assert_eq!(newsroom.set_lead(&coming, Some(&lead)).await.unwrap(), Edited::Done);
    assert_eq!(newsroom.set_order(&coming, &order(&[two], &[three])).await.unwrap(), Edited::Done);
    assert_eq!(
        newsroom.coming(&slug("sang")).await.unwrap(),
        Some((Some(lead.clone()), order(&[two], &[three])))
    );
    let edition = newsroom.cut_by_hand("05:00:00").await;
    let got = newsroom.edition_articles(edition, readers[0], true).await.unwrap();
    assert_eq!(titles(&got), ["hai", "một"]);
    let cut = newsroom.edition(edition).await.unwrap().unwrap();
    assert_eq!((cut.lead, cut.placed), (Some(lead), vec![two]));
    assert_eq!(newsroom.coming(&slug("sang")).await.unwrap(), Some((None, Order::default())));
    assert!(newsroom.set_lead(&Issue::Coming(slug("khac")), None).await.unwrap() == Edited::Unknown);
    let _ = one;
}

fn by_hand<'c>(plan: &'c bantin::domain::Plan, time: &str) -> Cutting<'c> {
    let slot = bantin::domain::Slot(at(time));
    Cutting {
        plan,
        slot,
        slots: 1,
        turn: Turn::ByHand,
        zone: chrono_tz::Tz::UTC,
        spread: std::time::Duration::ZERO,
    }
}

async fn a_rehearsal_is_what_the_cut_does_and_leaves_nothing(newsroom: Newsroom) {
    let readers = newsroom.readers(3).await;
    let ids = three(&newsroom).await;
    let mut soon = draft("sắp", "sắp", &["A"]);
    soon.published = Some(at("04:30:00"));
    newsroom.take(&soon, at("04:05:00")).await;
    newsroom.set_order(&Issue::Coming(slug("sang")), &order(&[ids[0]], &[])).await.unwrap();
    let plan = slug("sang").into();
    let (wish, now) = (by_hand(&plan, "05:00:00"), at("05:00:00"));
    let mut rehearsed = Vec::new();
    for reader in &readers {
        let made = newsroom.rehearse(&wish, Whom::One(*reader), now).await.unwrap().unwrap();
        assert_eq!((made.readers, made.selections.len()), (1, 1));
        rehearsed.push(made.selections[0].articles.clone());
    }
    let all = newsroom.rehearse(&wish, Whom::Everybody, now).await.unwrap().unwrap();
    assert_eq!((all.readers, all.without, all.selections.len()), (3, 0, 1));
    assert!(
        newsroom.editions(9).await.unwrap().is_empty()
            && newsroom.delivery_counts().await.unwrap().is_empty()
    );
    assert_eq!(newsroom.next_release().await.unwrap(), Some(at("04:30:00")), "the embargo stands");
    newsroom.release_due(now).await.unwrap();
    let edition = newsroom.cut_by_hand("05:00:00").await;
    for (reader, rehearsed) in readers.iter().zip(rehearsed) {
        assert_eq!(newsroom.edition_articles(edition, *reader, true).await.unwrap(), rehearsed);
        assert_eq!(titles(&rehearsed), ["một", "sắp", "ba", "hai"]);
    }
    let cut = newsroom.edition(edition).await.unwrap().unwrap();
    assert_eq!(
        (cut.slot, cut.cut_at, cut.articles),
        (all.edition.slot, all.edition.cut_at, all.edition.articles)
    );
    assert!(newsroom.rehearse(&wish, Whom::Everybody, now + Duration::hours(1)).await.unwrap().is_none());
}

async fn a_rehearsal_counts_who_gets_nothing(newsroom: Newsroom) {
    let readers = newsroom.readers(3).await;
    three(&newsroom).await;
    newsroom.cut_by_hand("05:00:00").await;
    publish(&newsroom, "bốn", "05:10:00").await;
    let mut paused = newsroom.subscriber(readers[0]).await.unwrap().unwrap();
    paused.habits.paused_until = Some(at("09:00:00"));
    newsroom.change_habits(readers[0], paused.language, &paused.habits, at("05:11:00")).await.unwrap();
    let plan = slug("sang").into();
    let wish = by_hand(&plan, "06:00:00");
    let made = newsroom.rehearse(&wish, Whom::Everybody, at("06:00:00")).await.unwrap().unwrap();
    assert_eq!((made.readers, made.without), (2, 1));
    assert!(newsroom.rehearse(&wish, Whom::One(readers[0]), at("06:00:00")).await.unwrap().is_none());
    let later = newsroom.rehearse(&wish, Whom::One(readers[0]), at("09:00:00")).await.unwrap();
    assert_eq!(later.unwrap().readers, 1, "the pause is over by then");
}
