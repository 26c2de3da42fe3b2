mod lint;

use super::export::Export;
use super::{Common, out, print_json};
use crate::domain::{FeedName, Format, Slug};
use crate::representations::{Found, Wanted, Which};
use anyhow::bail;
use clap::Subcommand;
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

/// Look at feeds.
#[derive(Subcommand)]
pub enum FeedCommand {
    /// List every feed with its address
    List,
    /// Print a feed's document as it would be served
    Render {
        /// The feed's name in URLs: kinh-te, tag:dai-hoi, kinh-te,xa-hoi or kinh-te+tag:dai-hoi
        #[arg(value_name = "SLUG")]
        name: FeedName,
        /// rss, atom or json
        #[arg(long, default_value = "rss", value_parser = format)]
        format: Format,
    },
    Lint(lint::Lint),
    /// Write a static tree that any web server or CDN can serve
    Export(Export),
}

fn format(text: &str) -> Result<Format, String> {
    Format::of_extension(text).ok_or_else(|| "write rss, atom or json".to_owned())
}

impl FeedCommand {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        // A foreign feed is looked at without any newsroom.
        if let Self::Lint(lint) = self {
            return lint.run(&common).await;
        }
        if let Self::Export(export) = self {
            return export.run(common).await;
        }
        let app = common.app().await?;
        let directory = app.representations.directory();
        match self {
            Self::Lint(_) | Self::Export(_) => {}
            Self::List => {
                for feed in directory.feeds() {
                    let urls: Vec<String> = feed
                        .formats
                        .iter()
                        .map(|f| app.publication.url(&feed.place.document_path(*f)))
                        .collect();
                    if common.json {
                        print_json(
                            &json!({ "slug": feed.slug(), "title": feed.title, "window": feed.window, "urls": urls }),
                        );
                    } else {
                        println!(
                            "{:30} {:40} {}",
                            feed.slug().map_or("", Slug::as_str),
                            feed.title,
                            urls.join(" ")
                        );
                    }
                }
            }
            Self::Render { name, format } => {
                let (Found::Feed(feed) | Found::Moved(feed)) = app.representations.find(&name).await? else {
                    bail!("there is no feed `{name}`; `bantin feed list` names them");
                };
                let wanted = Wanted { feed: *feed, which: Which::Subscription, format };
                let made = app.representations.render(wanted).await?;
                out::stdout().write_all(made.bytes())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
