use super::{Common, print_json};
use crate::app::SystemClock;
use crate::domain::Clock as _;
use crate::mail::dkim::{KeyKind, Seal};
use anyhow::{Context as _, ensure};
use clap::Subcommand;
use serde_json::json;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The longest text within one pair of quotation marks in a zone file (RFC 1035 §3.3).
const TXT: usize = 255;

/// Make the keys that mail is signed with, and show what DNS must say of them.
#[derive(Subcommand)]
pub enum DkimCommand {
    /// Make an RSA and an Ed25519 key, and show their DNS records
    New {
        /// Where the key files go
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
        /// The beginning of both selectors [default: the present month, as s202611]
        #[arg(long)]
        selector: Option<String>,
        /// The domain of the sender [default: that of mail.from]
        #[arg(long)]
        domain: Option<String>,
    },
    /// Show the DNS records of the keys that are configured
    Show,
}

impl DkimCommand {
    pub fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let config = common.config()?;
        match self {
            Self::New { folder, selector, domain } => {
                let month = SystemClock.now().format("s%Y%m").to_string();
                let selector = selector.unwrap_or(month);
                let domain = domain.unwrap_or_else(|| config.mail.from.domain().to_owned());
                std::fs::create_dir_all(&folder)
                    .with_context(|| format!("{} cannot be made", folder.display()))?;
                let mut entries = Vec::new();
                for kind in KeyKind::ALL {
                    let selector = format!("{selector}-{}", kind.as_str());
                    let file = folder.join(format!("{selector}.pem"));
                    let pem = kind.generate()?;
                    let seal = Seal::new(&domain, &selector, &pem)
                        .with_context(|| format!("`{selector}` of {domain}"))?;
                    keep(&file, &pem)?;
                    show(&seal, common.json)?;
                    let place = std::path::absolute(&file)?;
                    entries.push(format!("{selector}:{}", place.display()));
                }
                if !common.json {
                    let keys =
                        entries.iter().map(|entry| format!("\"{entry}\"")).collect::<Vec<_>>().join(", ");
                    let is_default = domain == config.mail.from.domain();
                    let signer = if is_default { String::new() } else { format!("domain = \"{domain}\"\n") };
                    println!(
                        "1. Publish both records. 2. When `dig TXT NAME` shows them, sign with the keys:\n\n[dkim]\nkeys = [{keys}]\n{signer}\n\
                         3. To change keys later, make new ones, publish them, put them in place of the old ones,\n   \
                         and take the old records out a week after the last mail that was signed with them."
                    );
                }
            }
            Self::Show => {
                let seals = &config.mail.seals;
                ensure!(!seals.is_empty(), "no key is configured; `bantin dkim new FOLDER` makes some");
                for seal in seals {
                    show(seal, common.json)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes a key that nobody else may read. An old one is never written over: mail signed with it is
/// still on its way.
fn keep(file: &Path, pem: &str) -> anyhow::Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut opened| opened.write_all(pem.as_bytes()))
        .with_context(|| {
            format!(
                "{} cannot be written; keys that are there are kept, choose another --selector",
                file.display()
            )
        })
}

fn show(seal: &Seal, as_json: bool) -> anyhow::Result<()> {
    let (name, record) = (seal.record_name(), seal.record()?);
    if as_json {
        print_json(&json!({ "name": name, "type": "TXT", "value": record, "kind": seal.kind().as_str() }));
        return Ok(());
    }
    let parts: Vec<String> =
        record.as_bytes().chunks(TXT).map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
    println!(
        "{} key: name {name}, type TXT, value\n{record}\nin a zone file:\n{name}. IN TXT ( {} )\n",
        seal.kind().as_str(),
        parts.join(" ")
    );
    Ok(())
}
