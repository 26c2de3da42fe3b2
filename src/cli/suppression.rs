use super::subscriber::{guarded, unguarded};
use super::{Common, out, print_json};
use crate::app::App;
use crate::domain::{EmailAddress, Instant, SuppressionReason, excerpt};
use crate::mail::report::evidence;
use crate::store::{AddressHash, Suppression};
use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use serde_json::json;
use std::collections::HashMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// The first line of an exported list.
const HEADER: &str = "address,hash,reason,since,evidence";

/// Look at the addresses that must not be mailed, add some, let some be mailed again.
#[derive(Subcommand)]
pub enum SuppressionCommand {
    /// Name them: why, since when, and in whose words
    List,
    /// Never mail an address again
    Add {
        /// The address
        address: EmailAddress,
        /// Why, for whoever looks at the list
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Take a list over: one address a line, or CSV with a first line that names its columns
    Import {
        /// The file; - is standard input
        file: PathBuf,
    },
    /// Print the list as CSV: the address where it is still known, its hash always
    Export,
    /// Let an address be mailed again; its owner has to ask and to confirm as if new
    Lift {
        /// The address
        address: EmailAddress,
    },
}

impl SuppressionCommand {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let app = common.app().await?;
        let (secret, now) = (&app.desk.secret, app.clock.now());
        match self {
            Self::List => {
                for (address, suppression) in known(&app).await? {
                    let Suppression { hash, reason, since, evidence } = suppression;
                    if common.json {
                        print_json(
                            &json!({ "address": address.map(|a| a.to_string()), "hash": hash.as_str(),
                            "reason": reason.as_str(), "since": since, "evidence": evidence }),
                        );
                    } else {
                        let who =
                            address.map_or_else(|| format!("{}…", &hash.as_str()[..12]), |a| a.to_string());
                        println!(
                            "{who:40} {:10} {} {}",
                            reason.as_str(),
                            since.format("%Y-%m-%d"),
                            excerpt(&evidence, 80)
                        );
                    }
                }
            }
            Self::Add { address, note } => {
                let reason = SuppressionReason::Newsroom;
                let added = app.store.suppress(&address, reason, &evidence(&note), secret, now).await?;
                println!("{}", if added { "will not be mailed any more" } else { "was suppressed before" });
            }
            Self::Import { file } => import(&app, &file).await?,
            Self::Export => {
                let mut list = csv::Writer::from_writer(out::stdout());
                list.write_record(HEADER.split(','))?;
                for (address, suppression) in known(&app).await? {
                    let Suppression { hash, reason, since, evidence } = suppression;
                    let address = address.map(|a| a.to_string()).unwrap_or_default();
                    let since = since.to_rfc3339();
                    let cells = [&address, hash.as_str(), reason.as_str(), &since, &evidence];
                    list.write_record(cells.map(guarded))?;
                }
                list.flush()?;
            }
            Self::Lift { address } => {
                let lifted = app.store.lift_suppression(&address, secret, now).await?;
                ensure!(lifted, "this address is not suppressed");
                println!("may be mailed again once it asks and confirms");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The list, with the addresses that we still know.
async fn known(app: &App) -> anyhow::Result<Vec<(Option<EmailAddress>, Suppression)>> {
    let addresses = app.store.addresses_not_mailed().await?;
    let mut by_hash: HashMap<AddressHash, EmailAddress> =
        addresses.into_iter().map(|address| (AddressHash::of(&address, &app.desk.secret), address)).collect();
    let list = app.store.suppressions().await?;
    Ok(list.into_iter().map(|suppression| (by_hash.remove(&suppression.hash), suppression)).collect())
}

async fn import(app: &App, file: &PathBuf) -> anyhow::Result<()> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    }
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    // As spreadsheets write it where the comma is the decimal sign.
    let delimiter = if first.contains(';') && !first.contains(',') { b';' } else { b',' };
    let mut reading = csv::ReaderBuilder::new();
    reading.has_headers(false).flexible(true).delimiter(delimiter);
    let mut columns = vec!["address".to_owned()];
    let (mut list, mut wrong) = (Vec::new(), 0);
    for (at, record) in reading.from_reader(text.as_bytes()).records().enumerate() {
        let record = record.with_context(|| format!("{} is no CSV", file.display()))?;
        if at == 0 && !record.iter().any(|cell| cell.contains('@')) {
            columns = record.iter().map(|name| name.trim().to_lowercase()).collect();
            ensure!(
                columns.iter().any(|name| matches!(name.as_str(), "address" | "email" | "hash")),
                "{}: the first line names no column `address`; write `{HEADER}`, or one address a line",
                file.display()
            );
            continue;
        }
        match row(app, &columns, &record) {
            Ok(suppression) => list.push(suppression),
            Err(error) => {
                wrong += 1;
                let line = record.position().map_or(0, csv::Position::line);
                eprintln!("{}:{line}: {error}", file.display());
            }
        }
    }
    let (added, read) = (app.store.import_suppressions(&list).await?, list.len());
    println!(
        "{added} addresses added, {} were suppressed before, {wrong} lines not understood",
        read as u64 - added
    );
    ensure!(wrong == 0, "{wrong} lines were not understood; the others are taken");
    Ok(())
}

fn row(app: &App, columns: &[String], cells: &csv::StringRecord) -> anyhow::Result<Suppression> {
    let of = |names: &[&str]| {
        let at = columns.iter().position(|column| names.contains(&column.as_str()))?;
        cells.get(at).map(|cell| unguarded(cell.trim())).filter(|cell| !cell.is_empty())
    };
    let hash = match (of(&["address", "email"]), of(&["hash"])) {
        (Some(address), _) => AddressHash::of(&address.parse::<EmailAddress>()?, &app.desk.secret),
        (None, Some(hash)) => AddressHash::parse(hash).context("this is no hash of this program")?,
        (None, None) => bail!("there is no address"),
    };
    let since = match of(&["since"]) {
        Some(since) => since.parse::<Instant>().context("`since` must be like 2026-11-29T10:00:00Z")?,
        None => app.clock.now(),
    };
    let reason = of(&["reason"]).and_then(SuppressionReason::parse).unwrap_or(SuppressionReason::Newsroom);
    Ok(Suppression { hash, reason, since, evidence: evidence(of(&["evidence"]).unwrap_or_default()) })
}
