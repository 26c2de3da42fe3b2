use super::{Common, print_json};
use crate::app::App;
use crate::digest::run_now;
use crate::dispatch::sample_letter;
use crate::domain::{
    Article, Digest, DigestFeeds, EmailAddress, FeedKey, Instant, Language, Outcome, Slug, SubscriberState,
};
use crate::relay::Parcel;
use crate::store::CutAnswer;
use crate::subscribe::offered;
use crate::wording::{full_date, time_of_day};
use anyhow::{bail, ensure};
use clap::Subcommand;
use serde_json::json;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Look at digests, run one now.
#[derive(Subcommand)]
pub enum DigestCommand {
    /// List the digests, their next slots, and the last editions
    List,
    /// Print the letter that would go out now: to one subscriber, or as a sample of the newest articles
    Preview {
        /// The digest
        slug: Slug,
        /// Exactly what this subscriber would get
        #[arg(long, value_name = "ADDRESS")]
        to: Option<EmailAddress>,
    },
    /// Cut an edition now and deliver it; what was mailed before is not mailed again
    Run {
        /// The digest
        slug: Slug,
    },
    /// Send a sample of the newest articles to one address, outside of any ledger
    SendTest {
        /// The digest
        slug: Slug,
        /// Where
        #[arg(long, value_name = "ADDRESS")]
        to: EmailAddress,
    },
}

impl DigestCommand {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let app = common.app().await?;
        match self {
            Self::List => list(&app, common.json).await?,
            Self::Preview { slug, to } => preview(&app, find(&app, &slug)?, to.as_ref()).await?,
            Self::Run { slug } => run(&app, find(&app, &slug)?, common.json).await?,
            Self::SendTest { slug, to } => send_test(&app, find(&app, &slug)?, to).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn find<'a>(app: &'a App, slug: &Slug) -> anyhow::Result<&'a Digest> {
    match app.desk.digest(slug) {
        Some(digest) => Ok(digest),
        None => bail!("there is no digest `{slug}`; `bantin digest list` names them"),
    }
}

async fn list(app: &App, as_json: bool) -> anyhow::Result<()> {
    let slots = app.store.next_slots().await?;
    for digest in &app.desk.digests {
        let next = slots.iter().find(|(slug, _)| *slug == digest.slug).map(|(_, slot)| slot.0);
        let feeds = match &digest.feeds {
            DigestFeeds::Every => "*".to_owned(),
            DigestFeeds::These(slugs) => slugs.iter().map(Slug::as_str).collect::<Vec<_>>().join(","),
        };
        if as_json {
            print_json(
                &json!({ "slug": digest.slug, "title": digest.title, "schedule": digest.schedule.to_string(), "feeds": feeds, "next": next }),
            );
        } else {
            let next = next.map_or_else(String::new, |next| local(app, next));
            println!(
                "{:20} {:30} {:35} next {next}",
                digest.slug.as_str(),
                digest.title,
                digest.schedule.to_string()
            );
        }
    }
    for edition in app.store.editions(10).await? {
        let counts: Vec<String> = edition.counts.iter().map(|(s, n)| format!("{} {n}", s.as_str())).collect();
        if as_json {
            print_json(
                &json!({ "edition": edition.id, "digest": edition.plan.to_string(), "slot": edition.slot.0, "slots": edition.slots, "articles": edition.articles,
                "completed": edition.completed_at,
                "deliveries": edition.counts.iter().map(|(s, n)| (s.as_str(), *n)).collect::<std::collections::BTreeMap<_, _>>() }),
            );
        } else {
            let done = if edition.completed_at.is_some() { "complete" } else { "running" };
            println!(
                "  edition {} of {} at {}: {} articles; {} ({done})",
                edition.id,
                edition.plan,
                local(app, edition.slot.0),
                edition.articles,
                counts.join(", ")
            );
        }
    }
    Ok(())
}

fn local(app: &App, instant: Instant) -> String {
    let zone = app.publication.time_zone;
    format!("{} {}", full_date(instant, zone, Language::En), time_of_day(instant, zone))
}

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

async fn preview(app: &Arc<App>, digest: &Digest, to: Option<&EmailAddress>) -> anyhow::Result<()> {
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
            {
                let (plan, now) = (digest.slug.clone().into(), app.clock.now());
                let due = app.store.due_articles(&plan, reader.id, app.publication.time_zone, now).await?;
                (due, reader.address, reader.language)
            }
        }
    };
    ensure!(!articles.is_empty(), "nothing is due: no letter would go out");
    let (_, html) = sample_letter(&app.desk, digest, &articles, &address, language, now)?;
    println!("{html}");
    Ok(())
}

async fn run(app: &Arc<App>, digest: &Digest, as_json: bool) -> anyhow::Result<()> {
    let answer = run_now(&app.store, &app.desk.calendar(), digest, app.clock.now()).await?;
    let dispatcher = app.dispatcher(CancellationToken::new());
    let settled = dispatcher.run(&tokio::sync::Notify::new()).await;
    dispatcher.give_back().await?;
    let settled = settled?;
    let (articles, deliveries) = match &answer {
        CutAnswer::Made(cut) => (cut.articles, cut.deliveries),
        CutAnswer::Empty | CutAnswer::TakenByAnother => (0, 0),
    };
    if as_json {
        print_json(
            &json!({ "digest": digest.slug, "articles": articles, "deliveries": deliveries, "settled": settled }),
        );
    } else if deliveries == 0 {
        println!("{}: nothing new for anybody, no edition", digest.slug);
    } else {
        println!(
            "{}: {articles} articles to {deliveries} subscribers; {settled} deliveries settled, see `bantin digest list`",
            digest.slug
        );
    }
    Ok(())
}

async fn send_test(app: &Arc<App>, digest: &Digest, to: EmailAddress) -> anyhow::Result<()> {
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
