use super::{Common, print_json};
use crate::app::SystemClock;
use crate::domain::{Article, ArticleId, ArticleState, Clock as _, FeedKey, Slug};
use crate::publish;
use crate::store::{ArticleSelection, Store};
use anyhow::bail;
use clap::Subcommand;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Look at articles, take them back, publish them again.
#[derive(Subcommand)]
pub enum ArticleCommand {
    /// List articles, the newest first
    List {
        /// Only of this category
        #[arg(long, value_name = "SLUG")]
        category: Option<Slug>,
        /// Only with these words, with or without diacritics
        #[arg(long, value_name = "WORDS", conflicts_with_all = ["category", "state"])]
        search: Option<String>,
        /// Only in this state
        #[arg(long, value_name = "embargoed|visible|withdrawn", value_parser = state)]
        state: Option<ArticleState>,
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show one article
    Show {
        /// Its id
        id: ArticleId,
    },
    /// Publish a withdrawn article again
    Publish {
        /// Its id
        id: ArticleId,
    },
    /// Take an article back: gone from every feed at once, never mailed again
    Withdraw {
        /// Its id
        id: ArticleId,
    },
}

fn state(word: &str) -> Result<ArticleState, String> {
    ArticleState::parse(word).ok_or_else(|| "write embargoed, visible or withdrawn".to_owned())
}

impl ArticleCommand {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let store = Store::open(&common.config()?.store).await?;
        store.migrate(SystemClock.now()).await?;
        match self {
            Self::List { category, search, state, limit } => {
                let articles = match search {
                    Some(words) => store.search(&words, limit).await?,
                    None => {
                        let feed = match category {
                            Some(slug) => match store.category_tree().await?.find(&slug) {
                                Some(category) => Some(FeedKey::Category(category.id)),
                                None => bail!("there is no category `{slug}`; `bantin feed list` names them"),
                            },
                            None => None,
                        };
                        store.articles(&ArticleSelection { feed, state }, limit).await?
                    }
                };
                for article in &articles {
                    print(article, common.json, false);
                }
            }
            Self::Show { id } => match store.article(id).await? {
                Some(article) => print(&article, common.json, true),
                None => bail!("there is no article {id}"),
            },
            Self::Publish { id } => {
                let feeds = publish::restore(&store, id, SystemClock.now()).await?;
                tell(id, "published", feeds, common.json)?;
            }
            Self::Withdraw { id } => {
                let feeds = publish::withdraw(&store, id, SystemClock.now()).await?;
                tell(id, "withdrawn", feeds, common.json)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(id: ArticleId, what: &str, feeds: Option<Vec<FeedKey>>, as_json: bool) -> anyhow::Result<()> {
    let Some(feeds) = feeds else { bail!("there is no article {id}") };
    if as_json {
        let feeds: Vec<String> = feeds.iter().map(ToString::to_string).collect();
        print_json(&json!({ "id": id, "state": what, "feeds": feeds }));
    } else {
        println!("{id}: {what}; {} feeds changed", feeds.len());
    }
    Ok(())
}

fn print(article: &Article, as_json: bool, whole: bool) {
    if as_json {
        return print_json(&as_value(article, whole));
    }
    let categories: Vec<&str> = article.categories.iter().map(|c| c.title.as_str()).collect();
    println!(
        "{}  {}  {:9}  {}  [{}]",
        article.id,
        article.published.format("%Y-%m-%dT%H:%MZ"),
        article.state.as_str(),
        article.title,
        categories.join(", ")
    );
    if whole {
        println!("revision: {}", article.revision);
        println!("url:      {}", article.url.as_ref().map_or("", |url| url.as_str()));
        println!("authors:  {}", article.authors.join(", "));
        println!("source:   {}", article.source.as_ref().map_or("", |source| source.title.as_str()));
        println!("summary:  {}", article.summary.as_deref().unwrap_or_default());
        println!("\n{}", article.body.text());
    }
}

fn as_value(article: &Article, whole: bool) -> Value {
    let mut value = json!({
        "id": article.id,
        "state": article.state,
        "revision": article.revision,
        "title": article.title,
        "summary": article.summary,
        "url": article.url,
        "categories": article.categories.iter().map(|c| json!({ "slug": c.slug, "title": c.title })).collect::<Vec<_>>(),
        "tags": article.tags,
        "authors": article.authors,
        "published": article.published,
        "updated": article.updated,
        "image": article.image,
        "enclosures": article.enclosures,
        "source": article.source,
        "language": article.language,
    });
    if whole && let Some(fields) = value.as_object_mut() {
        fields.insert("content_html".to_owned(), json!(article.body.as_str()));
    }
    value
}
