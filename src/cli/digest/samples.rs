use crate::app::App;
use crate::dispatch::{newest_articles, sample_letter};
use crate::domain::{Digest, EmailAddress, Outcome};
use crate::relay::Parcel;
use anyhow::{bail, ensure};
use std::sync::Arc;

/// A letter outside of any ledger.
pub(super) async fn send_test(app: &Arc<App>, digest: &Digest, to: EmailAddress) -> anyhow::Result<()> {
    let articles = newest_articles(&app.store, &app.desk, digest).await?;
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
