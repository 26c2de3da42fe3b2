use super::{Common, print_json};
use crate::app::App;
use crate::domain::{Instant, TopicPath};
use crate::store::{CallbackState, EndpointState, TopicState};
use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use serde_json::json;
use std::process::ExitCode;

/// What a callback is told that somebody in the newsroom ended.
const DROPPED: &str = "ended by the newsroom";

/// Look at the hub: who is pushed what, since when, and what failed.
#[derive(Subcommand)]
pub enum HubCommand {
    /// List topics with their callbacks, other hubs and webhooks
    List,
    /// Show the callbacks of a topic: lease, last push, last failure
    Show {
        /// The topic: its address or its path, like /feeds/kinh-te.atom
        topic: String,
    },
    /// End subscriptions by hand: those of a topic, of a callback, or one callback's to one topic
    #[command(group(clap::ArgGroup::new("which").required(true).multiple(true).args(["topic", "callback"])))]
    Drop {
        /// The topic: its address or its path
        #[arg(long)]
        topic: Option<String>,
        /// The callback's address
        #[arg(long, value_name = "URL")]
        callback: Option<String>,
    },
}

impl HubCommand {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let app = common.app().await?;
        match self {
            Self::List => list(&app, common.json).await?,
            Self::Show { topic } => show(&app, &path_of(&app, &topic)?, common.json).await?,
            Self::Drop { topic, callback } => {
                let path = topic.map(|topic| path_of(&app, &topic)).transpose()?;
                let ended = app
                    .store
                    .drop_callbacks(path.as_ref(), callback.as_deref(), DROPPED, app.clock.now())
                    .await?;
                ensure!(
                    !ended.is_empty(),
                    "no callback is subscribed like that; `bantin hub list` names topics, `bantin hub show` callbacks"
                );
                if common.json {
                    print_json(&json!({ "ended": ended.len() }));
                } else {
                    println!(
                        "{} subscriptions ended; their callbacks are told by the running program",
                        ended.len()
                    );
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A topic by its address, as readers have it, or by its path.
fn path_of(app: &App, topic: &str) -> anyhow::Result<TopicPath> {
    let base = &app.publication.base_url;
    TopicPath::parse(topic, base).or_else(|| TopicPath::of_path(topic)).with_context(|| {
        format!(
            "`{topic}` is no topic; write its path, like /feeds/kinh-te.atom, or its address below {base}"
        )
    })
}

fn when(instant: Option<Instant>) -> String {
    instant.map_or_else(|| "never".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

async fn list(app: &App, as_json: bool) -> anyhow::Result<()> {
    let now = app.clock.now();
    let topics = app.store.hub_topics(now).await?;
    let endpoints = app.store.endpoint_states().await?;
    if as_json {
        for topic in &topics {
            print_json(
                &json!({ "topic": topic.path.shown(), "callbacks": topic.callbacks, "failing": topic.failing,
                "last_push": topic.last_push, "due_since": topic.oldest_due }),
            );
        }
        for endpoint in &endpoints {
            print_json(
                &json!({ "kind": endpoint.kind.as_str(), "url": endpoint.url, "told_at": endpoint.told_at,
                "failing_since": endpoint.failing_since, "last_error": endpoint.last_error }),
            );
        }
        return Ok(());
    }
    if topics.is_empty() {
        println!("nobody is subscribed at the hub");
    }
    for TopicState { path, callbacks, failing, last_push, oldest_due, .. } in &topics {
        let failing = if *failing > 0 { format!(", {failing} failing") } else { String::new() };
        let lag = oldest_due.map(|due| format!(", due for {} s", (now - due).num_seconds().max(0)));
        println!(
            "{:40} {callbacks:6} callbacks{failing}, last push {}{}",
            path.shown(),
            when(*last_push),
            lag.unwrap_or_default()
        );
    }
    for EndpointState { kind, url, told_at, failing_since, last_error, .. } in &endpoints {
        let failing = failing_since.map(|since| {
            format!(", failing since {}: {}", when(Some(since)), last_error.as_deref().unwrap_or_default())
        });
        println!("{:8} {url}  last told {}{}", kind.as_str(), when(*told_at), failing.unwrap_or_default());
    }
    Ok(())
}

async fn show(app: &App, path: &TopicPath, as_json: bool) -> anyhow::Result<()> {
    let callbacks = app.store.topic_callbacks(path, app.clock.now()).await?;
    if callbacks.is_empty() {
        bail!(
            "no callback is subscribed to {}; `bantin hub list` names the topics that have one",
            path.shown()
        );
    }
    for state in callbacks {
        let CallbackState {
            callback,
            verified_at,
            expires_at,
            pushed_at,
            due_at,
            attempts,
            failing_since,
            last_error,
            is_signed,
            ..
        } = state;
        if as_json {
            print_json(&json!({ "callback": callback.as_str(), "signed": is_signed, "verified": verified_at,
                "lease_ends": expires_at, "last_push": pushed_at, "due": due_at, "attempts": attempts,
                "failing_since": failing_since, "last_error": last_error }));
            continue;
        }
        let signed = if is_signed { "signed" } else { "not signed" };
        println!(
            "{callback}\n  {signed}, verified {}, lease ends {}, last push {}",
            when(Some(verified_at)),
            when(Some(expires_at)),
            when(pushed_at)
        );
        if let Some(since) = failing_since {
            println!(
                "  failing since {} ({attempts} tries): {}; next try {}",
                when(Some(since)),
                last_error.unwrap_or_default(),
                when(due_at)
            );
        }
    }
    Ok(())
}
