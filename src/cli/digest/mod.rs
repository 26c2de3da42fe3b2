mod list;
mod samples;

use super::{Common, print_json};
use crate::app::App;
use crate::digest::run_now;
use crate::domain::{Digest, EmailAddress, Instant, Language, Slug};
use crate::store::CutAnswer;
use crate::wording::{full_date, time_of_day};
use anyhow::bail;
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
            Self::List => list::list(&app, common.json).await?,
            Self::Preview { slug, to } => samples::preview(&app, find(&app, &slug)?, to.as_ref()).await?,
            Self::Run { slug } => run(&app, find(&app, &slug)?, common.json).await?,
            Self::SendTest { slug, to } => samples::send_test(&app, find(&app, &slug)?, to).await?,
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

fn local(app: &App, instant: Instant) -> String {
    let zone = app.publication.time_zone;
    format!("{} {}", full_date(instant, zone, Language::En), time_of_day(instant, zone))
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
