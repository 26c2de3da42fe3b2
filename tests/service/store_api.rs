//! What the store promises the API, on both engines: tokens, keys of requests, and writes that happen
//! only to what their writer has seen.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::domain::{ApiToken, Draft, FeedKey, IdentityKey, Scope, Scopes, Slug, WebUrl};
use bantin::store::{
    Accepted, ArticlePage, Change, Condition, KeptAnswer, KeyedArticle, Position, Put, Repeat, Which,
};

on_both_engines!(
    a_token_is_good_until_it_ends_or_is_revoked,
    a_name_is_one_tokens,
    a_key_is_taken_once_and_its_answer_kept_for_a_day,
    of_two_at_once_one_takes_the_key,
    a_write_happens_only_to_what_was_seen,
    of_two_racing_writers_one_is_refused,
    an_article_is_replaced_by_its_id_or_its_own_key,
    a_draft_with_two_articles_keys_is_refused,
    a_withdrawal_depends_on_the_version_too,
    pages_stay_whole_while_articles_come_in,
    an_archive_that_comes_by_the_api_is_never_mailed,
);

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

fn scopes(text: &str) -> Scopes {
    text.parse().unwrap()
}

/// A draft as the API reads one.
fn given(id: &str, title: &str) -> Draft {
    let mut draft = draft("unused", title, &["Kinh tế"]);
    draft.keys = vec![IdentityKey::external("api", id)];
    draft
}

async fn put(newsroom: &Newsroom, which: Option<&Which>, draft: &Draft, condition: &Condition) -> Put {
    newsroom.put_article(which, (draft, true), condition, at("08:00:00"), &newsroom.chance).await.unwrap()
}

async fn made(newsroom: &Newsroom, draft: &Draft) -> KeyedArticle {
    match put(newsroom, None, draft, &Condition::Always).await {
        Put::Done(_, article) => *article,
        other => panic!("{other:?}"),
    }
}

fn seen(article: &KeyedArticle) -> Condition {
    Condition::Matches(article.entity_tag().to_string())
}

async fn a_token_is_good_until_it_ends_or_is_revoked(newsroom: Newsroom) {
    let token = ApiToken::new(&newsroom.chance);
    let write = scopes("articles:write");
    assert!(
        newsroom.add_token(&slug("cms"), &token, &write, Some(at("09:00:00")), at("07:00:00")).await.unwrap()
    );
    let entry = newsroom.token(&token, at("08:59:59")).await.unwrap().unwrap();
    assert_eq!((entry.name, entry.scopes.permit(Scope::ArticlesRead)), (slug("cms"), true));
    assert!(newsroom.token(&token, at("09:00:00")).await.unwrap().is_none(), "it has ended");
    let other = ApiToken::new(&newsroom.chance);
    assert!(newsroom.token(&other, at("08:00:00")).await.unwrap().is_none());
    let kept: Vec<(Vec<u8>, String)> = sqlx::query_as("SELECT digest, handle FROM api_tokens")
        .fetch_all(&mut newsroom.raw().await)
        .await
        .unwrap();
    assert!(kept[0].0 == token.digest() && !token.reveal().contains(&kept[0].1));
    assert!(newsroom.revoke_token(&slug("cms")).await.unwrap());
    assert!(newsroom.token(&token, at("08:00:00")).await.unwrap().is_none(), "it is revoked");
    assert!(!newsroom.revoke_token(&slug("cms")).await.unwrap());
}

async fn a_name_is_one_tokens(newsroom: Newsroom) {
    let (first, second) = (ApiToken::new(&newsroom.chance), ApiToken::new(&newsroom.chance));
    assert!(newsroom.add_token(&slug("cms"), &first, &scopes("read"), None, at("07:00:00")).await.unwrap());
    assert!(
        !newsroom.add_token(&slug("cms"), &second, &scopes("write"), None, at("07:00:00")).await.unwrap()
    );
    assert!(newsroom.token(&first, at("08:00:00")).await.unwrap().is_some());
    assert!(newsroom.token(&second, at("08:00:00")).await.unwrap().is_none());
    assert_eq!(newsroom.tokens().await.unwrap().len(), 1);
}

/// A token's handle in the store.
async fn handle(newsroom: &Newsroom) -> String {
    let token = ApiToken::new(&newsroom.chance);
    newsroom.add_token(&slug("cms"), &token, &scopes("write"), None, at("06:00:00")).await.unwrap();
    token.handle()
}

async fn a_key_is_taken_once_and_its_answer_kept_for_a_day(newsroom: Newsroom) {
    let handle = handle(&newsroom).await;
    let take = async |key, print, time| newsroom.take_key(&handle, key, print, at(time)).await.unwrap();
    assert_eq!(take("a", "one", "07:00:00").await, Repeat::First);
    assert_eq!(take("a", "one", "07:00:30").await, Repeat::UnderWay);
    assert_eq!(take("a", "two", "07:00:30").await, Repeat::Another);
    assert_eq!(take("a", "one", "07:01:00").await, Repeat::Unanswered, "who had it has died");
    assert_eq!(take("a", "one", "07:01:30").await, Repeat::UnderWay);
    let answer = KeptAnswer {
        status: 201,
        head: vec![("etag".to_owned(), "\"x\"".to_owned())],
        body: "{\"title\": \"Bến phà\"}".to_owned(),
    };
    newsroom.keep_answer(&handle, "a", &answer).await.unwrap();
    // A second program on the same store, as after a restart.
    let another = newsroom.another().await;
    let repeat = another.take_key(&handle, "a", "one", at("23:00:00")).await.unwrap();
    assert_eq!(repeat, Repeat::Answered(answer));
    assert_eq!(take("a", "two", "23:00:00").await, Repeat::Another);
    let tomorrow = at("07:00:01") + chrono::Duration::hours(24);
    assert_eq!(newsroom.take_key(&handle, "a", "two", tomorrow).await.unwrap(), Repeat::First);
    newsroom.give_key_back(&handle, "a").await.unwrap();
    assert_eq!(newsroom.take_key(&handle, "a", "three", tomorrow).await.unwrap(), Repeat::First);
    newsroom.revoke_token(&slug("cms")).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM api_answers")
        .fetch_one(&mut newsroom.raw().await)
        .await
        .unwrap();
    assert_eq!(left, 0, "what a revoked token was told goes with it");
}

async fn of_two_at_once_one_takes_the_key(newsroom: Newsroom) {
    let handle = handle(&newsroom).await;
    let another = newsroom.another().await;
    for round in 0..20 {
        let key = round.to_string();
        let (a, b) = tokio::join!(
            newsroom.take_key(&handle, &key, "one", at("07:00:00")),
            another.take_key(&handle, &key, "one", at("07:00:00"))
        );
        let answers = [a.unwrap(), b.unwrap()];
        assert!(answers.contains(&Repeat::First) && answers.contains(&Repeat::UnderWay), "{answers:?}");
    }
}

async fn a_write_happens_only_to_what_was_seen(newsroom: Newsroom) {
    let first = made(&newsroom, &given("1", "Khai mạc")).await;
    assert_eq!(first.external_id.as_deref(), Some("1"));
    let which = Which::Id(first.article.id);
    let Put::Done(_, second) = put(&newsroom, Some(&which), &given("1", "Bế mạc"), &seen(&first)).await
    else {
        panic!("the condition holds")
    };
    assert_ne!(second.entity_tag(), first.entity_tag());
    assert_eq!(put(&newsroom, Some(&which), &given("1", "Hoãn"), &seen(&first)).await, Put::Refused);
    let weak = Condition::Matches(format!("W/{}", second.entity_tag()));
    assert_eq!(put(&newsroom, Some(&which), &given("1", "Hoãn"), &weak).await, Put::Refused, "strong alone");
    let several = Condition::Matches(format!("\"x\", {}", second.entity_tag()));
    assert!(matches!(put(&newsroom, Some(&which), &given("1", "Hoãn"), &several).await, Put::Done(..)));
    assert_eq!(put(&newsroom, None, &given("1", "Ba"), &Condition::Absent).await, Put::Refused);
    assert!(matches!(put(&newsroom, None, &given("2", "Hai"), &Condition::Absent).await, Put::Done(..)));
    let any = Condition::Matches("*".to_owned());
    assert_eq!(put(&newsroom, None, &given("3", "Ba"), &any).await, Put::Refused, "it is not there");
    assert_eq!(newsroom.feed(FeedKey::All).await, ["Hai", "Hoãn"]);
}

async fn of_two_racing_writers_one_is_refused(newsroom: Newsroom) {
    let another = newsroom.another().await;
    let mut article = made(&newsroom, &given("1", "Khai mạc")).await;
    let which = Which::Id(article.article.id);
    for round in 0..20 {
        let condition = seen(&article);
        let (a, b) = (given("1", &format!("Một {round}")), given("1", &format!("Hai {round}")));
        let (a, b) = tokio::join!(
            newsroom.put_article(Some(&which), (&a, true), &condition, at("08:00:00"), &newsroom.chance),
            another.put_article(Some(&which), (&b, true), &condition, at("08:00:00"), &newsroom.chance)
        );
        article = match (a.unwrap(), b.unwrap()) {
            (Put::Done(_, article), Put::Refused) | (Put::Refused, Put::Done(_, article)) => *article,
            other => panic!("both wrote, or none: {other:?}"),
        };
    }
    assert_eq!(article.article.revision, 21);
}

async fn an_article_is_replaced_by_its_id_or_its_own_key(newsroom: Newsroom) {
    let first = made(&newsroom, &given("1", "Khai mạc")).await;
    let key = |id: &str| Which::Key(IdentityKey::external("api", id));
    let by_key = put(&newsroom, Some(&key("1")), &given("1", "Bế mạc"), &Condition::Always).await;
    let Put::Done(acceptance, _) = by_key else { panic!("{by_key:?}") };
    assert_eq!(acceptance.id, first.article.id);
    // Without a key of its own in the draft, and with another headline.
    let mut draft = given("1", "Họp báo");
    draft.keys = vec![IdentityKey::title("Họp báo", None)];
    let by_id = put(&newsroom, Some(&Which::Id(first.article.id)), &draft, &Condition::Always).await;
    let Put::Done(acceptance, article) = by_id else { panic!("{by_id:?}") };
    assert_eq!((acceptance.id, article.article.title.as_str()), (first.article.id, "Họp báo"));
    assert_eq!(article.external_id.as_deref(), Some("1"));

    // Nor does another article with that headline become this one.
    draft.keys = vec![IdentityKey::title("Họp báo", None)];
    assert_ne!(made(&newsroom, &draft).await.article.id, first.article.id);

    let new = put(&newsroom, Some(&key("2/ă")), &given("2/ă", "Mới"), &Condition::Always).await;
    let Put::Done(acceptance, article) = new else { panic!("{new:?}") };
    assert_eq!((acceptance.what, article.external_id.as_deref()), (Accepted::New, Some("2/ă")));
    assert_eq!(newsroom.keyed_article(&key("2/ă")).await.unwrap().unwrap(), *article);
    let nobody = Which::Id("018f0000-0000-7000-8000-000000000000".parse().unwrap());
    assert_eq!(put(&newsroom, Some(&nobody), &given("9", "Chín"), &Condition::Always).await, Put::Missing);
    assert!(newsroom.keyed_article(&nobody).await.unwrap().is_none());
}

async fn a_draft_with_two_articles_keys_is_refused(newsroom: Newsroom) {
    let address =
        |path: &str| IdentityKey::url(&WebUrl::parse(&format!("https://bao.example/{path}")).unwrap());
    let mut first = given("1", "Một");
    first.keys.push(address("mot"));
    let mut fetched = draft("unused", "Hai", &[]);
    fetched.keys = vec![address("hai")];
    let (first_id, fetched_id) =
        (made(&newsroom, &first).await.article.id, newsroom.take(&fetched, at("07:00:00")).await.id);

    first.keys = vec![IdentityKey::external("api", "1"), address("hai")];
    assert_eq!(put(&newsroom, None, &first, &Condition::Always).await, Put::Taken(fetched_id));
    let which = Which::Id(fetched_id);
    assert_eq!(
        put(&newsroom, Some(&which), &given("1", "Hai"), &Condition::Always).await,
        Put::Taken(first_id)
    );

    // What came from a page gets its own system's key; what has one keeps it.
    let mut adopted = given("2", "Hai");
    adopted.keys.push(address("hai"));
    let key = |id: &str| Which::Key(IdentityKey::external("api", id));
    let done = put(&newsroom, Some(&key("2")), &adopted, &Condition::Always).await;
    assert!(matches!(done, Put::Done(acceptance, _) if acceptance.id == fetched_id));
    adopted.keys[0] = IdentityKey::external("api", "3");
    assert_eq!(put(&newsroom, None, &adopted, &Condition::Always).await, Put::Taken(fetched_id));
    assert_eq!(put(&newsroom, Some(&key("3")), &adopted, &Condition::Always).await, Put::Taken(fetched_id));
}

async fn a_withdrawal_depends_on_the_version_too(newsroom: Newsroom) {
    let article = made(&newsroom, &given("1", "Khai mạc")).await;
    let which = Which::Id(article.article.id);
    let old = seen(&article);
    let Put::Done(_, article) = put(&newsroom, Some(&which), &given("1", "Bế mạc"), &old).await else {
        panic!()
    };
    assert_eq!(newsroom.withdraw_if(&which, &old, at("09:00:00")).await.unwrap(), Change::Refused);
    assert_eq!(newsroom.feed(FeedKey::All).await, ["Bế mạc"]);
    let Change::Done(gone) = newsroom.withdraw_if(&which, &seen(&article), at("09:00:00")).await.unwrap()
    else {
        panic!("the condition holds")
    };
    assert_ne!(gone.entity_tag(), article.entity_tag());
    assert!(newsroom.feed(FeedKey::All).await.is_empty());
    assert_eq!(newsroom.restore_if(&which, &old, at("10:00:00")).await.unwrap(), Change::Refused);
    let back = newsroom.restore_if(&which, &Condition::Always, at("10:00:00")).await.unwrap();
    assert!(matches!(back, Change::Done(_)));
    assert_eq!(newsroom.feed(FeedKey::All).await, ["Bế mạc"]);
}

async fn pages_stay_whole_while_articles_come_in(newsroom: Newsroom) {
    for n in 0..7 {
        let mut tin = given(&n.to_string(), &format!("Tin {n}"));
        tin.published = Some(at(&format!("0{n}:00:00")));
        // Two of the same instant, and one that is still to come.
        if n == 3 {
            tin.published = Some(at("02:00:00"));
        }
        if n == 6 {
            tin.published = Some(at("23:00:00"));
            tin.categories.clear();
        }
        newsroom.accept(&[tin], true, at("08:00:00"), &newsroom.chance).await.unwrap();
    }
    let start = ArticlePage { category: None, state: None, since: None, behind: Position::START, limit: 3 };
    let (mut titles, mut page) = (Vec::new(), start);
    loop {
        let (articles, next) = newsroom.article_page(&page).await.unwrap();
        titles.extend(articles.into_iter().map(|keyed| keyed.article.title));
        let mut late = given(&format!("late {}", titles.len()), "Chen ngang");
        late.published = Some(at("07:59:00"));
        newsroom.accept(&[late], true, at("08:00:00"), &newsroom.chance).await.unwrap();
        let Some(next) = next else { break };
        page.behind = next;
    }
    assert_eq!(titles, ["Tin 6", "Tin 5", "Tin 4", "Tin 3", "Tin 2", "Tin 1", "Tin 0"]);

    let FeedKey::Category(category) = newsroom.section("kinh-te").await else { panic!() };
    let page = ArticlePage { category: Some(category), since: Some(at("04:00:00")), limit: 9, ..start };
    let (articles, next) = newsroom.article_page(&page).await.unwrap();
    let titles: Vec<_> = articles.iter().map(|keyed| keyed.article.title.as_str()).collect();
    assert_eq!((titles, next), (vec!["Chen ngang", "Chen ngang", "Chen ngang", "Tin 5", "Tin 4"], None));
}

async fn an_archive_that_comes_by_the_api_is_never_mailed(newsroom: Newsroom) {
    let tin = given("1", "Chuyện cũ");
    let put = newsroom.put_article(None, (&tin, false), &Condition::Always, at("08:00:00"), &newsroom.chance);
    assert!(matches!(put.await.unwrap(), Put::Done(..)));
    assert_eq!(newsroom.feed(FeedKey::All).await, ["Chuyện cũ"]);
    assert_eq!(newsroom.sequences(FeedKey::All).await, [0], "0: never mailed");
}
