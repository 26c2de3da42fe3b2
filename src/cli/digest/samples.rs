use crate::app::App;
use crate::dispatch::sample_letter;
use crate::domain::{Article, Digest, EmailAddress, FeedKey, Outcome, SubscriberState};
use crate::relay::Parcel;
use crate::subscribe::offered;
use anyhow::{bail, ensure};
use std::sync::Arc;

/// The newest articles of the feeds that a digest offers.
async fn newest(app: &App, digest: &Digest) -> anyhow::Result<Vec<Article>> {
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

/// The letter that would go out now.
pub(super) async fn preview(
    app: &Arc<App>,
    digest: &Digest,
    to: Option<&EmailAddress>,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let (articles, address, language) = match to {
        None => {
            (newest(app, digest).await?, app.desk.sender.address.clone(), app.publication.language.spoken())
        }
        Some(address) => {
            let Some(reader) = app.store.subscriber_by_address(address).await? else {
                bail!("this address is no subscriber's");
            };
            ensure!(
                reader.state == SubscriberState::Active,
                "this subscriber is {}, and gets no digest",
                reader.state.as_str()
            );
            let plan = digest.slug.clone().into();
            let due = app.store.due_articles(&plan, reader.id, app.publication.time_zone, now).await?;
            (due, reader.address, reader.language)
        }
    };
    ensure!(!articles.is_empty(), "nothing is due: no letter would go out");
    let (_, html) = sample_letter(&app.desk, digest, &articles, &address, language, now)?;
    println!("{html}");
    Ok(())
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
        message_id: message.message_id,
        bytes: message.bytes,
    };
    match app.relay.hand_over(&parcel).await {
        Outcome::Accepted(reply) => println!("accepted by the mail server: {reply}"),
        Outcome::Deferred(reply)
        | Outcome::Refused(reply)
        | Outcome::Uncertain(reply)
        | Outcome::Suppressed(reply) => {
            bail!("not accepted: {reply}");
        }
    }
    app.relay.part(std::time::Duration::ZERO).await;
    Ok(())
}
