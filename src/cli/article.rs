use super::{Common, draft, print_json};
use crate::app::{SystemChance, SystemClock};
use crate::domain::{Article, ArticleId, ArticleState, Clock as _, FeedKey, Slug, clean_line};
use crate::publish;
use crate::store::{Acceptance, ArticleSelection, Store};
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
        /// What waits for a person instead: doubtful, and published nowhere
        #[arg(long, conflicts_with_all = ["category", "search", "state"])]
        drafts: bool,
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show one article or draft
    Show {
        /// Its id
        id: ArticleId,
    },
    /// Publish a draft, or a withdrawn article again
    Publish {
        /// Its id
        id: ArticleId,
        /// The title of a draft, where the one that was guessed is wrong
        #[arg(long)]
        title: Option<String>,
        /// When a draft was published, like 2024-04-04T04:30:00+07:00
        #[arg(long, value_name = "INSTANT", value_parser = chrono::DateTime::parse_from_rfc3339)]
        published: Option<chrono::DateTime<chrono::FixedOffset>>,
    },
    /// Take an article back: gone from every feed at once, never mailed again. Put a draft away
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
            Self::List { drafts: true, limit, .. } => {
                for draft in &store.drafts(limit).await? {
                    draft::print(draft, common.json, false);
                }
            }
            Self::List { category, search, state, limit, .. } => {
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
            Self::Show { id } => match (store.draft(id).await?, store.article(id).await?) {
                (Some(draft), _) => draft::print(&draft, common.json, true),
                (None, Some(article)) => print(&article, common.json, true),
                (None, None) => bail!("there is no article {id}"),
            },
            Self::Publish { id, title, published } if store.draft(id).await?.is_some() => {
                let title = title.as_deref().map(clean_line).filter(|title| !title.is_empty());
                let (published, now) = (published.map(|at| at.to_utc()), SystemClock.now());
                let title = title.as_deref();
                let done = publish::publish_draft(&store, id, title, published, now, &SystemChance).await?;
                let Some(Acceptance { id, feeds, .. }) = done else { bail!("draft {id} is gone") };
                tell(id, "published", Some(feeds), common.json)?;
            }
            Self::Publish { id, title, published } => {
                if title.is_some() || published.is_some() {
                    bail!("{id} is no draft; what an article says is changed by importing it again");
                }
                let feeds = publish::restore(&store, id, SystemClock.now()).await?;
                tell(id, "published", feeds, common.json)?;
            }
            Self::Withdraw { id } if publish::drop_draft(&store, id, SystemClock.now()).await? => {
                tell(id, "put away", Some(Vec::new()), common.json)?;
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
