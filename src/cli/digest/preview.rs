use super::{Part, Previewed, find};
use crate::app::App;
use crate::cli::subscriber::Who;
use crate::cli::{counted, out, print_json};
use crate::digest::rehearse;
use crate::dispatch::{LetterError, newest_articles, sample_letter, written_letter};
use crate::domain::{Digest, Instant, Plan};
use crate::mail::Message;
use crate::store::Whom;
use anyhow::{Context as _, bail, ensure};
use mail_parser::MessageParser;
use serde_json::json;
use std::io::Write as _;

/// The letter that a cut would bring to somebody, or a sample for nobody.
pub(super) async fn preview(
    app: &App,
    what: &Previewed,
    whom: Option<&Who>,
    at: Option<Instant>,
    part: Part,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    ensure!(
        at.is_none_or(|at| at >= now),
        "--at looks ahead; of what is past, look at an edition by its number, see `bantin digest list`"
    );
    let message = match (what, whom) {
        (Previewed::Plan(plan), None) => sample(app, plan, now).await?,
        (Previewed::Edition(id), None) => bail!("name the subscriber: `preview {id} --subscriber ADDRESS`"),
        (what, Some(who)) => exact(app, what, who, at.unwrap_or(now)).await?,
    };
    print(&message, part)
}

async fn sample(app: &App, plan: &Plan, now: Instant) -> anyhow::Result<Message> {
    let Some(slug) = plan.digest() else { bail!("name the subscriber: `--subscriber ADDRESS`") };
    let digest = find(app, slug)?;
    let articles = newest_articles(&app.store, &app.desk, digest).await?;
    ensure!(!articles.is_empty(), "there is no article to show; import some first");
    let language = app.publication.language.spoken();
    Ok(sample_letter(&app.desk, digest, &articles, &app.desk.sender.address, language, now)?.0)
}

async fn exact(app: &App, what: &Previewed, who: &Who, at: Instant) -> anyhow::Result<Message> {
    let reader = who.find(&app.store).await?;
    let nothing = "nothing is due to this subscriber: no letter would go out";
    let (edition, articles) = match what {
        Previewed::Edition(id) => {
            let Some(edition) = app.store.edition(*id).await? else {
                bail!("there is no edition {id}; `bantin digest list` names them")
            };
            let articles = app.store.edition_articles(*id, reader.id, true).await?;
            (edition, articles)
        }
        Previewed::Plan(plan) => {
            ensure!(
                app.desk.calendar().schedule(plan).is_some(),
                "there is no digest `{plan}`; `bantin digest list` names them"
            );
            let made = rehearse(&app.store, &app.desk.calendar(), plan, Whom::One(reader.id), at).await?;
            let Some(made) = made else { bail!(nothing) };
            let articles = made.selections.into_iter().next().map(|only| only.articles).unwrap_or_default();
            (made.edition, articles)
        }
    };
    match written_letter(&app.desk, &edition, &reader, &articles) {
        Ok(message) => Ok(message),
        Err(LetterError::Needless(_)) => bail!(nothing),
        Err(error) => Err(error.into()),
    }
}

fn print(message: &Message, part: Part) -> anyhow::Result<()> {
    let mut out = out::stdout();
    if part == Part::Eml {
        return Ok(out.write_all(&message.bytes)?);
    }
    let parsed = MessageParser::default().parse(&message.bytes).context("the letter cannot be read again")?;
    let body = if part == Part::Html { parsed.body_html(0) } else { parsed.body_text(0) };
    Ok(writeln!(out, "{}", body.unwrap_or_default())?)
}

/// Counts what a run would do.
pub(super) async fn dry_run(app: &App, digest: &Digest, as_json: bool) -> anyhow::Result<()> {
    let plan = Plan::from(digest.slug.clone());
    let calendar = app.desk.calendar();
    let made = rehearse(&app.store, &calendar, &plan, Whom::Everybody, app.clock.now()).await?;
    let Some(made) = made else {
        if as_json {
            print_json(&json!({ "digest": digest.slug, "readers": 0, "articles": 0 }));
        } else {
            println!("{}: nothing new for anybody, there would be no edition", digest.slug);
        }
        return Ok(());
    };
    let (mut largest, mut most, mut empty) = (0, 0, 0);
    for selection in &made.selections {
        match written_letter(&app.desk, &made.edition, &selection.reader, &selection.articles) {
            Ok(message) => {
                largest = largest.max(message.bytes.len());
                most = most.max(selection.articles.len());
            }
            Err(LetterError::Needless(_)) => empty += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let (readers, without, articles) = (made.readers, made.without, made.edition.articles);
    if as_json {
        print_json(
            &json!({ "digest": digest.slug, "readers": readers, "without": without, "articles": articles,
            "most_articles": most, "largest_bytes": largest, "empty_letters": empty,
            "letters_written": made.selections.len() }),
        );
    } else {
        let (articles, readers) =
            (counted(articles, "article", "articles"), counted(readers, "reader", "readers"));
        println!(
            "{}: {articles} to {readers}; nothing for {}",
            digest.slug,
            counted(without, "other", "others")
        );
        println!(
            "{} different letters written; the longest has {most} articles, the largest {} kB; {empty} empty",
            made.selections.len(),
            largest.div_ceil(1_000)
        );
    }
    Ok(())
}
