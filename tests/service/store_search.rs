//! What the store promises of searching, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::domain::SafeHtml;
use unicode_normalization::UnicodeNormalization;

on_both_engines!(
    diacritics_do_not_matter,
    all_words_must_occur_and_the_last_may_be_a_beginning,
    hostile_queries_are_words,
    what_is_searched_follows_the_article,
    the_newest_come_first,
);

async fn found(newsroom: &Newsroom, words: &str) -> Vec<String> {
    let articles = newsroom.search(words, 10).await.unwrap();
    articles.into_iter().map(|article| article.title).collect()
}

async fn newsroom_with(newsroom: &Newsroom, titles: &[&str]) {
    for (n, title) in titles.iter().enumerate() {
        let drafts = [draft(title, title, &[])];
        let now = at("07:00:00") + std::time::Duration::from_secs(n as u64);
        newsroom.accept(&drafts, true, now, &newsroom.chance).await.unwrap();
    }
}

async fn diacritics_do_not_matter(newsroom: Newsroom) {
    newsroom_with(&newsroom, &["Xây dựng Đảng ở Đắk Lắk", "Đồng bào qua giường bệnh"]).await;
    let nfd: String = "Xây dựng Đảng".nfd().collect();
    for words in ["xay dung dang", "Xây dựng Đảng", "XÂY DỰNG", &nfd, "đảng", "dak lak", "Đắk", "ÐẢNG"]
    {
        assert_eq!(found(&newsroom, words).await, ["Xây dựng Đảng ở Đắk Lắk"], "{words}");
    }
    assert_eq!(found(&newsroom, "giuong đồng").await, ["Đồng bào qua giường bệnh"]);
}

async fn all_words_must_occur_and_the_last_may_be_a_beginning(newsroom: Newsroom) {
    newsroom_with(&newsroom, &["Hội nghị trung ương", "Hội thảo trung tâm", "Năm 2026 中文新闻"]).await;
    assert_eq!(found(&newsroom, "hội tru").await, ["Hội thảo trung tâm", "Hội nghị trung ương"]);
    assert_eq!(found(&newsroom, "trung hội nghị").await, ["Hội nghị trung ương"]);
    assert!(found(&newsroom, "tru hội").await.is_empty(), "only the last word is a beginning");
    assert!(found(&newsroom, "hội xyz").await.is_empty());
    assert_eq!(found(&newsroom, "2026").await, ["Năm 2026 中文新闻"]);
    assert_eq!(found(&newsroom, "中文").await, ["Năm 2026 中文新闻"]);
    for nothing in ["", "   ", "…", "\"", "***"] {
        assert!(found(&newsroom, nothing).await.is_empty(), "{nothing}");
    }
}

async fn hostile_queries_are_words(newsroom: Newsroom) {
    newsroom_with(&newsroom, &["Tin một", "Near and not or"]).await;
    for words in
        ["tin\"", "\"tin", "tin*", "tin:một", "(tin", "tin)", "-tin", "+tin ^một", "tin \0", "'tin'", "{tin}"]
    {
        assert_eq!(found(&newsroom, words).await, ["Tin một"], "{words}");
    }
    for words in [
        "' OR 1=1",
        "' OR '1'='1",
        "tin OR near",
        "NEAR(tin một)",
        "tin NOT xyz",
        "words: tin",
        "tin & !một | x",
        "\\'; DROP TABLE articles; --",
    ] {
        assert!(found(&newsroom, words).await.is_empty(), "{words}");
    }
    assert_eq!(found(&newsroom, "NEAR AND NOT OR").await, ["Near and not or"]);
    let long = "dài ".repeat(100_000) + &"x".repeat(100_000);
    assert!(found(&newsroom, &long).await.is_empty());
    assert!(found(&newsroom, &"𞤀\u{1e4d0}a𑄀b".repeat(9)).await.is_empty(), "letters of young scripts");
}

async fn what_is_searched_follows_the_article(newsroom: Newsroom) {
    let mut tin = draft("1", "Tiêu đề", &[]);
    tin.summary = Some("Tóm lược".into());
    tin.authors = vec!["Chí Bảo".into()];
    tin.body = SafeHtml::clean("<p>Nội <b>dung</b> <a href='https://x.example/bimat'>ở đây</a></p>", None);
    newsroom.accept(&[tin.clone()], true, at("07:00:00"), &newsroom.chance).await.unwrap();
    for words in ["tieu de", "tom luoc", "chi bao", "noi dung", "tieu bao day"] {
        assert_eq!(found(&newsroom, words).await, ["Tiêu đề"], "{words}");
    }
    assert!(found(&newsroom, "bimat").await.is_empty(), "markup is not text");
    tin.body = SafeHtml::from_text("thay thế");
    tin.title = "Tên mới".into();
    newsroom.accept(&[tin], true, at("08:00:00"), &newsroom.chance).await.unwrap();
    assert_eq!(found(&newsroom, "thay the").await, ["Tên mới"]);
    assert!(found(&newsroom, "noi dung").await.is_empty());
    assert!(found(&newsroom, "tieu de").await.is_empty());
}

async fn the_newest_come_first(newsroom: Newsroom) {
    let titles: Vec<String> = (0..20).map(|n| format!("Tin {n}")).collect();
    newsroom_with(&newsroom, &titles.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let articles = newsroom.search("tin", 3).await.unwrap();
    let found: Vec<&str> = articles.iter().map(|article| article.title.as_str()).collect();
    assert_eq!(found, ["Tin 19", "Tin 18", "Tin 17"]);
    assert!(articles[0].body.is_empty());
}
