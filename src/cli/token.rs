use super::{Common, print_json};
use crate::app::{SystemChance, SystemClock};
use crate::domain::{ApiToken, Clock as _, Instant, Scopes, Slug};
use crate::store::Store;
use anyhow::{bail, ensure};
use chrono::{Days, NaiveDate, NaiveTime};
use clap::Subcommand;
use serde_json::json;
use std::process::ExitCode;

/// Let programs of the newsroom use the API.
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it, this once
    Add {
        /// What it is called, as in `cms`
        name: Slug,
        /// What its bearer may do: read, write, or some of articles:read, articles:write, digests:read,
        /// digests:write, subscribers:read, subscribers:write
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scopes>,
        /// The last day on which it is good, or an instant, as in 2027-01-31 or 2027-01-31T18:00:00+07:00
        #[arg(long, value_name = "DAY")]
        expires: Option<String>,
    },
    /// Name the tokens: what each may do, since when, until when
    List,
    /// Take a token back, from the next request on
    Revoke {
        /// What it is called
        name: Slug,
    },
}

impl TokenCommand {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let config = common.config()?;
        let zone = config.publication.time_zone;
        let store = Store::open(&config.store).await?;
        let now = SystemClock.now();
        store.migrate(now).await?;
        match self {
            Self::Add { name, scopes, expires } => {
                let Some(scopes) = scopes.into_iter().reduce(Scopes::and) else { bail!("name a scope") };
                let expires = expires.map(|text| end(&text, zone)).transpose()?;
                ensure!(expires.is_none_or(|end| end > now), "--expires is over already");
                let token = ApiToken::new(&SystemChance);
                let added = store.add_token(&name, &token, &scopes, expires, now).await?;
                ensure!(added, "there is a token `{name}`; revoke it first, or take another name");
                if common.json {
                    print_json(&json!({ "name": name, "token": token.reveal(), "scopes": scopes.to_string(),
                        "expires": expires }));
                } else {
                    println!("{}", token.reveal());
                    eprintln!("`{name}` may: {scopes}. Keep it now: it is not shown again.");
                }
            }
            Self::List => {
                for entry in store.tokens().await? {
                    let over = entry.expires_at.is_some_and(|end| end <= now);
                    if common.json {
                        print_json(&json!({ "name": entry.name, "scopes": entry.scopes.to_string(),
                            "created": entry.created_at, "expires": entry.expires_at, "good": !over }));
                        continue;
                    }
                    let until = entry.expires_at.map_or_else(String::new, |end| {
                        let day = end.with_timezone(&zone).format("%Y-%m-%d %H:%M");
                        if over { format!("  over since {day}") } else { format!("  until {day}") }
                    });
                    let since = entry.created_at.with_timezone(&zone).format("%Y-%m-%d");
                    println!("{:20} since {since}{until}  {}", entry.name.as_str(), entry.scopes);
                }
            }
            Self::Revoke { name } => {
                let gone = store.revoke_token(&name).await?;
                ensure!(gone, "there is no token `{name}`; `bantin token list` names them");
                println!("`{name}` opens nothing any more");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The end of a day by the publication's clock, or an instant.
fn end(text: &str, zone: chrono_tz::Tz) -> anyhow::Result<Instant> {
    if let Ok(instant) = text.parse::<Instant>() {
        return Ok(instant);
    }
    let next = text.parse::<NaiveDate>().ok().and_then(|day| day.checked_add_days(Days::new(1)));
    let end = next.and_then(|day| day.and_time(NaiveTime::MIN).and_local_timezone(zone).earliest());
    match end {
        Some(end) => Ok(end.to_utc()),
        None => bail!("`{text}` is no day; write it as in 2027-01-31"),
    }
}
