use super::{Common, counted, print_json};
use crate::app::{SystemChance, SystemClock, sources_of};
use crate::domain::{Chance, Clock, Instant};
use crate::sources::{Source, SourceKind, Sources};
use crate::store::{SourceHub, SourceState, Store, Taken};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::Arc;

/// Look at the sources that articles flow in from, look at one now.
#[derive(Subcommand)]
pub enum SourceCommand {
    /// List the declared sources: how they are, and what is wrong
    List,
    /// Show one source, with the items that were left out
    Show {
        /// Its name in bantin.toml
        name: String,
    },
    /// Look at one source now, whenever it was due; one that was stopped too
    Run {
        /// Its name in bantin.toml
        name: String,
    },
}

impl SourceCommand {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let config = common.config()?;
        let store = Store::open(&config.store).await?;
        store.migrate(SystemClock.now()).await?;
        let (clock, chance): (Arc<dyn Clock>, Arc<dyn Chance>) =
            (Arc::new(SystemClock), Arc::new(SystemChance));
        let sources = sources_of(&config, &store, &clock, &chance)?;
        let find = |name: &str| {
            let names: Vec<&str> = sources.declared.iter().map(|source| source.name.as_str()).collect();
            sources.find(name).with_context(|| {
                format!("there is no source `{name}`; bantin.toml declares {}", listed(&names))
            })
        };
        match self {
            Self::List => {
                if sources.declared.is_empty() && !common.json {
                    println!("no source is declared; write [sources.NAME] into bantin.toml");
                }
                for source in sources.declared.iter() {
                    print(&store, source, common.json, false).await?;
                }
            }
            Self::Show { name } => print(&store, find(&name)?, common.json, true).await?,
            Self::Run { name } => return look(&sources, find(&name)?, common.json).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Looks until nothing more is there at once. Of a folder, what is the same in two looks is taken.
async fn look(sources: &Sources, source: &Source, as_json: bool) -> anyhow::Result<ExitCode> {
    sources.store.installation(sources.clock.now(), &*sources.chance).await?;
    sources.declare().await?;
    let mut sum = Taken::default();
    let looks = if matches!(source.kind, SourceKind::Folder(_)) { 2 } else { 1 };
    for _ in 0..looks {
        loop {
            let Some(taken) = sources.look_now(source).await? else {
                bail!("`{}` is being looked at by another process; `bantin source show` tells", source.name);
            };
            sum.new += taken.new;
            sum.revised += taken.revised;
            sum.unchanged += taken.unchanged;
            sum.drafts += taken.drafts;
            let state = state_of(&sources.store, source).await?;
            let is_due = state.and_then(|state| state.due_at).is_some_and(|due| due <= sources.clock.now());
            if !is_due {
                break;
            }
        }
    }
    let Taken { new, revised, unchanged, drafts } = sum;
    if as_json {
        print_json(
            &json!({ "source": source.name, "new": new, "revised": revised, "unchanged": unchanged, "drafts": drafts }),
        );
    } else {
        let drafts = counted(drafts, "draft", "drafts");
        println!("{}: {new} new, {revised} revised, {unchanged} unchanged, {drafts}", source.name);
    }
    Ok(ExitCode::SUCCESS)
}

async fn state_of(store: &Store, source: &Source) -> anyhow::Result<Option<SourceState>> {
    Ok(store.source_states().await?.into_iter().find(|state| state.name == source.name))
}

/// How we stand with a hub, in a line.
fn told_of(hub: &SourceHub, now: Instant) -> String {
    let at = |instant: Instant| instant.format("%Y-%m-%dT%H:%M:%SZ");
    let how = match (hub.ends_at.filter(|end| *end > now), &hub.last_error) {
        (Some(end), None) => format!("pushes until {}", at(end)),
        (Some(end), Some(error)) => format!("pushes until {}; asked again, {error}", at(end)),
        (None, Some(error)) => format!("does not push: {error}"),
        (None, None) => "is asked to push".to_owned(),
    };
    let last = hub.pushed_at.map(|last| format!(", last {}", at(last))).unwrap_or_default();
    format!("{} {how}{last}", hub.hub)
}

async fn print(store: &Store, source: &Source, as_json: bool, whole: bool) -> anyhow::Result<()> {
    let state = state_of(store, source).await?;
    let (open, wrong) = match &state {
        Some(state) => store.item_counts(state.id).await?,
        None => (0, 0),
    };
    let items = match &state {
        Some(state) if whole => store.wrong_items(state.id, 100).await?,
        _ => Vec::new(),
    };
    let hub = match &state {
        Some(state) if source.websub => store.source_hub(state.id).await?,
        _ => None,
    };
    let how = match &state {
        None => "new",
        Some(state) if state.stopped_at.is_some() => "stopped",
        Some(state) if state.failing_since.is_some() => "failing",
        Some(state) if state.succeeded_at.is_some() => "well",
        Some(_) => "waiting",
    };
    let at = |instant: fn(&SourceState) -> Option<Instant>| state.as_ref().and_then(instant);
    if as_json {
        let memory = state.as_ref().and_then(|state| serde_json::from_str::<Value>(&state.memory).ok());
        let mut value = json!({
            "name": source.name, "kind": source.kind.as_str(), "place": source.place(), "state": how,
            "looked_at": at(|s| s.looked_at), "succeeded_at": at(|s| s.succeeded_at), "taken_at": at(|s| s.taken_at),
            "due_at": at(|s| s.due_at), "failing_since": at(|s| s.failing_since), "stopped_at": at(|s| s.stopped_at),
            "last_error": state.as_ref().and_then(|s| s.last_error.clone()), "open": open, "left_out": wrong,
            "hub": hub.as_ref().map(|hub| json!({
                "url": hub.hub, "topic": hub.topic, "pushes_until": hub.ends_at, "pushed_at": hub.pushed_at,
                "last_error": hub.last_error,
            })),
        });
        if whole && let Some(fields) = value.as_object_mut() {
            fields.insert("memory".to_owned(), json!(memory));
            let items: Vec<Value> =
                items.iter().map(|wrong| json!({ "item": wrong.item, "error": wrong.error })).collect();
            fields.insert("items".to_owned(), Value::Array(items));
        }
        print_json(&value);
        return Ok(());
    }
    println!("{:20} {:8} {:8} {}", source.name, source.kind.as_str(), how, source.place());
    let told = |name: &str, instant: Option<Instant>| {
        if let Some(instant) = instant {
            println!("  {name:14} {}", instant.format("%Y-%m-%dT%H:%M:%SZ"));
        }
    };
    if whole {
        told("looked at", at(|s| s.looked_at));
        told("succeeded", at(|s| s.succeeded_at));
        told("last article", at(|s| s.taken_at));
        told("looked at next", at(|s| s.due_at));
    }
    told("failing since", at(|s| s.failing_since));
    if let Some(error) = state.as_ref().and_then(|state| state.last_error.as_ref()) {
        println!("  {error}");
    }
    if let Some(hub) = &hub {
        println!("  {:14} {}", "hub", told_of(hub, SystemClock.now()));
    }
    if open > 0 {
        println!("  {} to be taken", counted(open, "item waits", "items wait"));
    }
    if wrong > 0 {
        println!(
            "  {} left out{}",
            counted(wrong, "item was", "items were"),
            if whole { ":" } else { "; `bantin source show` tells why" }
        );
    }
    for item in items {
        println!("    {}: {}", item.item, item.error);
    }
    Ok(())
}
