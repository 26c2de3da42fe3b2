use crate::app::App;
use crate::dispatch::sample_letter;
use crate::domain::{Article, Digest, EmailAddress, FeedKey, Outcome};
use crate::relay::Parcel;
use crate::subscribe::offered;
use anyhow::{bail, ensure};
use std::sync::Arc;

/// The newest articles of the feeds that a digest offers.
pub(super) async fn newest(app: &App, digest: &Digest) -> anyhow::Result<Vec<Article>> {
    let directory = app.representations.directory();
    let keys = offered(digest, &directory);
    let mut articles: Vec<Article> = Vec::new();
    let keys: Vec<FeedKey> = if keys.contains(&FeedKey::All) { vec![FeedKey::All] } else { keys };
    for key in keys {
        if let Some((_, found)) = app.store.feed_snapshot(key, digest.max_articles).await? {
            articles.extend(found);
        }
    }
    articles.sort_by_key(|article| std::cmp::Reverse((article.published, article.id)));
    articles.dedup_by_key(|article| article.id);
    articles.truncate(digest.max_articles);
    Ok(articles)
}

/// A letter outside of any ledger.
pub(super) async fn send_test(app: &Arc<App>, digest: &Digest, to: EmailAddress) -> anyhow::Result<()> {
    let articles = newest(app, digest).await?;
    ensure!(!articles.is_empty(), "there is no article to show; import some first");
    let language = app.publication.language.spoken();
    let (message, _) = sample_letter(&app.desk, digest, &articles, &to, language, app.clock.now())?;
    let parcel = Parcel {
        envelope_from: app.desk.sender.address.clone(),
        to,
        delivery: None,
        message_id: message.message_id,
        bytes: message.bytes,
    };
    match app.relay.hand_over(&parcel).await {
        Outcome::Accepted(reply) => println!("accepted by the mail server: {reply}"),
        Outcome::Deferred(reply)
        | Outcome::Refused(reply)
        | Outcome::Uncertain(reply)
        | Outcome::Untried(reply) => bail!("not accepted: {reply}"),
        Outcome::Suppressed(why) => bail!("not accepted: {why}"),
    }
    app.relay.part(std::time::Duration::ZERO).await;
    Ok(())
}
