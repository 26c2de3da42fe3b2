use super::{Common, print_json};
use crate::app::App;
use crate::domain::{Category, CategoryTree, Directory, FeedKey, Format, Slug};
use crate::publish;
use crate::store::Renaming;
use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::json;
use std::process::ExitCode;

/// Look at categories, rename and move them.
#[derive(Subcommand)]
pub enum CategoryCommand {
    /// List every category with the slugs that lead to it
    List,
    /// Give a category another title, slug or both; its former address redirects for ever
    #[command(group(clap::ArgGroup::new("names").required(true).multiple(true).args(["title", "slug"])))]
    Rename {
        /// The category's slug
        #[arg(value_name = "SLUG")]
        category: Slug,
        /// Its new name for people
        #[arg(long)]
        title: Option<String>,
        /// Its new name in URLs
        #[arg(long, value_name = "NEW-SLUG")]
        slug: Option<Slug>,
    },
    /// Make a category part of another, whose feed then has its articles too, or of none
    #[command(group(clap::ArgGroup::new("place").required(true).args(["under", "top"])))]
    Move {
        /// The category's slug
        #[arg(value_name = "SLUG")]
        category: Slug,
        /// The slug of the category that it becomes part of
        #[arg(long, value_name = "SLUG")]
        under: Option<Slug>,
        /// It is part of none
        #[arg(long)]
        top: bool,
    },
}

impl CategoryCommand {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let app = common.app().await?;
        match self {
            Self::List => list(&app, common.json).await?,
            Self::Rename { category, title, slug } => {
                let was = named(&app.store.category_tree().await?, &category)?;
                let renaming =
                    publish::rename(&app.store, was.id, title.as_deref(), slug.as_ref(), app.clock.now());
                match renaming.await? {
                    Renaming::Renamed { category, feeds } => {
                        tell_renamed(&app, &was, &category, &feeds, common.json).await?;
                    }
                    refused => bail!("{}", why(&was, refused)),
                }
            }
            Self::Move { category, under, top: _ } => {
                place(&app, &category, under.as_ref(), common.json).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn named(tree: &CategoryTree, slug: &Slug) -> anyhow::Result<Category> {
    tree.find(slug)
        .cloned()
        .with_context(|| format!("there is no category `{slug}`; `bantin category list` names them"))
}

fn why(category: &Category, refused: Renaming) -> String {
    match refused {
        Renaming::Renamed { .. } | Renaming::Unknown => {
            format!("the category `{}` is gone; `bantin category list` names those there are", category.slug)
        }
        Renaming::SlugReserved(slug) => {
            format!("`{slug}` is a feed of the program's own; choose another slug")
        }
        Renaming::SlugTaken(other) => {
            format!(
                "`{}` is the slug of “{}”; choose another one, or rename that one first",
                other.slug, other.title
            )
        }
        Renaming::TitleTaken(other) => {
            format!(
                "`{}` is called “{}”; two spellings of a title are one category, choose another one",
                other.slug, other.title
            )
        }
        Renaming::TitleBlank => "nothing is left of this title; write one with a letter in it".to_owned(),
    }
}

async fn list(app: &App, as_json: bool) -> anyhow::Result<()> {
    let tree = app.store.category_tree().await?;
    let directory = app.representations.directory();
    for category in tree.all() {
        let parent = category.parent.and_then(|id| tree.get(id)).map(|parent| parent.slug.as_str());
        let mut former: Vec<&str> = tree
            .all_former()
            .filter(|(slug, id)| *id == category.id && tree.by_slug(slug).is_none())
            .map(|(slug, _)| slug.as_str())
            .collect();
        former.sort_unstable();
        let address = address_of(app, &directory, category);
        if as_json {
            print_json(&json!({
                "slug": category.slug, "title": category.title, "parent": parent, "former": former, "url": address,
            }));
        } else {
            let parent = parent.map(|parent| format!("  part of {parent}")).unwrap_or_default();
            let known =
                if former.is_empty() { String::new() } else { format!("  was {}", former.join(", ")) };
            println!(
                "{:30} {:40} {}{parent}{known}",
                category.slug.as_str(),
                category.title,
                address.unwrap_or_default()
            );
        }
    }
    Ok(())
}

/// The category's page; `None` where its feed has ended.
fn address_of(app: &App, directory: &Directory, category: &Category) -> Option<String> {
    let feed = directory.by_key(FeedKey::Category(category.id))?;
    Some(app.publication.url(&feed.place.page_path()))
}

/// Feeds as people know them; those that are in no list by their keys.
fn names(directory: &Directory, feeds: &[FeedKey]) -> Vec<String> {
    let name = |key: &FeedKey| {
        let slug = directory.by_key(*key).and_then(|feed| feed.slug());
        slug.map_or_else(|| key.to_string(), Slug::to_string)
    };
    feeds.iter().map(name).collect()
}

/// `; 2 feeds changed: all, kinh-te`
fn changed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    match names.len() {
        0 => "no feed changed".to_owned(),
        1 => format!("1 feed changed: {}", names[0]),
        n if n > SHOWN => format!("{n} feeds changed: {}, …", names[..SHOWN].join(", ")),
        n => format!("{n} feeds changed: {}", names.join(", ")),
    }
}

async fn tell_renamed(
    app: &App,
    was: &Category,
    is: &Category,
    feeds: &[FeedKey],
    as_json: bool,
) -> anyhow::Result<()> {
    let old = address_of(app, &app.representations.directory(), was);
    app.representations.refresh(app.clock.now()).await?;
    let directory = app.representations.directory();
    let new = address_of(app, &directory, is);
    let names = names(&directory, feeds);
    if as_json {
        print_json(&json!({
            "slug": is.slug, "title": is.title, "former_slug": was.slug, "former_title": was.title,
            "feeds": names, "url": new, "redirects": if old == new { None } else { old },
        }));
        return Ok(());
    }
    if was == is {
        println!("`{}` “{}” is called so already; no feed changed", is.slug, is.title);
        return Ok(());
    }
    println!("`{}` “{}” is now `{}` “{}”; {}", was.slug, was.title, is.slug, is.title, changed(&names));
    match (old, new) {
        (Some(old), Some(new)) if old != new => {
            let formats = Format::ALL.map(|format| format!(".{}", format.extension())).join(", ");
            println!("{old} ({formats}) redirects to {new}");
        }
        (_, Some(new)) if was.slug != is.slug => {
            println!("its address stays {new}: a file in feeds/ names it so");
        }
        (_, None) => println!("its feed is retired: a file in feeds/ says so"),
        _ => {}
    }
    Ok(())
}

async fn place(app: &App, category: &Slug, under: Option<&Slug>, as_json: bool) -> anyhow::Result<()> {
    let tree = app.store.category_tree().await?;
    let own = named(&tree, category)?;
    let parent = under.map(|slug| named(&tree, slug)).transpose()?;
    let placed = publish::place(&app.store, own.id, parent.as_ref().map(|p| p.id), app.clock.now()).await?;
    let Some(feeds) = placed else {
        let parent = parent.map(|parent| parent.slug.to_string()).unwrap_or_default();
        bail!("`{}` cannot be part of `{parent}`, which is itself part of `{}`", own.slug, own.slug);
    };
    let names = names(&app.representations.directory(), &feeds);
    let above = parent.as_ref().map(|parent| parent.slug.as_str());
    if as_json {
        print_json(&json!({ "slug": own.slug, "title": own.title, "parent": above, "feeds": names }));
    } else {
        let place = above.map_or_else(|| "part of none".to_owned(), |above| format!("part of `{above}`"));
        println!("`{}` “{}” is now {place}; {}", own.slug, own.title, changed(&names));
    }
    Ok(())
}
