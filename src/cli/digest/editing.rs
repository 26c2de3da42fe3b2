use super::{Named, find};
use crate::app::App;
use crate::cli::print_json;
use crate::domain::{ArticleId, EditionId, Lead, Slug};
use crate::store::{Edited, Issue, Order};
use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use std::path::Path;

const HELD_FIRST: &str = "is not held; `bantin digest hold` it first, so that all readers get the same";

/// Keeps an edition, or all of a digest, from going out.
pub(super) async fn hold(app: &App, named: &Named, reason: &str) -> anyhow::Result<()> {
    let now = app.clock.now();
    match named {
        Named::Edition(id) => {
            if app.store.hold_edition(*id, reason, now).await? {
                println!("edition {id} is held; `bantin digest release {id}` lets it go");
                return Ok(());
            }
            match app.store.edition(*id).await? {
                None => bail!("there is no edition {id}; `bantin digest list` names them"),
                Some(edition) => match edition.held {
                    Some(hold) => println!("edition {id} is held already: {}", hold.reason),
                    None => bail!("edition {id} is complete: nothing of it is left to hold"),
                },
            }
        }
        Named::Digest(slug) => {
            find(app, slug)?;
            let Some(held) = app.store.hold_digest(slug, reason, now).await? else { return unknown(slug) };
            println!("{slug} is held, with what comes; `bantin digest release {slug}` lets it go");
            tell("held", &held);
        }
    }
    Ok(())
}

/// Lets go what was held.
pub(super) async fn release(app: &App, named: &Named) -> anyhow::Result<()> {
    let now = app.clock.now();
    match named {
        Named::Edition(id) => {
            ensure!(app.store.release_edition(*id, now).await?, "edition {id} is not held");
            println!("edition {id} goes out");
        }
        Named::Digest(slug) => {
            let Some(released) = app.store.release_digest(slug, now).await? else { return unknown(slug) };
            println!("{slug} is held no more");
            tell("released", &released);
            if app.desk.digest(slug).is_some_and(|digest| digest.review) {
                println!("each edition to come waits for its own release: its file says `review = true`");
            }
        }
    }
    Ok(())
}

fn unknown(slug: &Slug) -> anyhow::Result<()> {
    bail!("the digest `{slug}` is not known to the store yet; `bantin serve` makes it known")
}

fn tell(what: &str, editions: &[EditionId]) {
    for edition in editions {
        println!("  edition {edition}: {what}");
    }
}

/// Puts words above an edition, or takes them away.
pub(super) async fn lead(
    app: &App,
    named: &Named,
    text: Option<String>,
    file: Option<&Path>,
) -> anyhow::Result<()> {
    let text = match file {
        Some(file) => Some(
            std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?,
        ),
        None => text,
    };
    let lead = text.as_deref().map(Lead::parse).transpose()?;
    done(app.store.set_lead(&issue(app, named)?, lead.as_ref()).await?, named)?;
    let what = if lead.is_some() { "has its lead" } else { "has no lead" };
    println!("{named} {what}; `bantin digest preview` shows it");
    Ok(())
}

/// Puts articles in order; shows the order where there is nothing to do.
pub(super) async fn order(
    app: &App,
    named: &Named,
    order: Order,
    by_age: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    let issue = issue(app, named)?;
    if by_age || order != Order::default() {
        let all: Vec<&ArticleId> = order.first.iter().chain(&order.left_out).collect();
        let mut distinct = all.clone();
        distinct.sort();
        distinct.dedup();
        ensure!(distinct.len() == all.len(), "an article is named twice");
        done(app.store.set_order(&issue, &order).await?, named)?;
    }
    match issue {
        Issue::Edition(id) => {
            ensure!(app.store.edition(id).await?.is_some(), "there is no edition {id}");
            for entry in app.store.order_of(id).await? {
                let (article, place) = (&entry.article, entry.place);
                if as_json {
                    print_json(&json!({ "id": article.id, "title": article.title, "place": place,
                        "left_out": entry.left_out }));
                    continue;
                }
                let place = match place {
                    _ if entry.left_out => "out".to_owned(),
                    place => place.map_or_else(String::new, |place| place.to_string()),
                };
                println!("{place:>3}  {}  {}", article.id, article.title);
            }
        }
        Issue::Coming(slug) => {
            let Some((lead, order)) = app.store.coming(&slug).await? else { return unknown(&slug) };
            if as_json {
                print_json(&json!({ "digest": slug, "lead": lead.as_ref().map(Lead::as_str),
                    "first": order.first, "left_out": order.left_out }));
                return Ok(());
            }
            for (place, id) in (1..).zip(&order.first) {
                println!("{place:>3}  {id}");
            }
            for id in &order.left_out {
                println!("out  {id}");
            }
        }
    }
    Ok(())
}

fn issue(app: &App, named: &Named) -> anyhow::Result<Issue> {
    Ok(match named {
        Named::Edition(id) => Issue::Edition(*id),
        Named::Digest(slug) => Issue::Coming(find(app, slug)?.slug.clone()),
    })
}

fn done(edited: Edited, named: &Named) -> anyhow::Result<()> {
    match edited {
        Edited::Done => Ok(()),
        Edited::Unknown => bail!("{named} is not known; `bantin digest list` names what there is"),
        Edited::NotHeld => bail!("{named} {HELD_FIRST}"),
        Edited::Out => bail!("letters of {named} are out; whoever gets it later gets the same"),
        Edited::NotInIt(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            bail!("not in {named}: {}; `bantin digest order` names its articles", ids.join(", "))
        }
    }
}
