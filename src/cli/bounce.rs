use super::Common;
use crate::bounce::{Arrival, BounceError};
use anyhow::Context as _;
use clap::Args;
use std::io::Read as _;
use std::process::ExitCode;

/// As much as a report needs to say.
const MESSAGE_BYTES: u64 = 1 << 20;
/// sysexits.h: there is no such recipient; the mail server gives the message back for good.
const EX_NOUSER: u8 = 67;
/// sysexits.h: come again; the mail server keeps the message and tries later.
const EX_TEMPFAIL: u8 = 75;

/// Take one bounce or complaint from standard input, as a mail server pipes it.
#[derive(Args)]
pub struct Bounce {
    /// To whom it came, as the mail server says it: ${recipient} in master.cf of Postfix
    #[arg(long, value_name = "ADDRESS", env = "ORIGINAL_RECIPIENT")]
    recipient: Option<String>,
    /// End as mail servers expect it of a pipe: 0 taken, 67 a forged return address, 75 try again later
    #[arg(long)]
    sysexits: bool,
}

impl Bounce {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let taken = self.take(common).await;
        match taken {
            Err(error) if self.sysexits => {
                eprintln!("bantin: {error:#}");
                let is_forged = matches!(error.downcast_ref(), Some(BounceError::Forged(_)));
                Ok(ExitCode::from(if is_forged { EX_NOUSER } else { EX_TEMPFAIL }))
            }
            taken => taken,
        }
    }

    async fn take(&self, common: Common) -> anyhow::Result<ExitCode> {
        let mut message = Vec::new();
        let mut input = std::io::stdin().lock();
        input
            .by_ref()
            .take(MESSAGE_BYTES)
            .read_to_end(&mut message)
            .context("standard input cannot be read")?;
        // A pipe that is closed early is a fault in the eyes of a mail server.
        std::io::copy(&mut input, &mut std::io::sink()).context("standard input cannot be read")?;
        drop(input);
        let app = common.app().await?;
        let arrival = Arrival { way: "pipe", recipient: self.recipient.as_deref() };
        let taken = app.returns.take(&message, arrival, app.clock.now()).await?;
        for finding in taken {
            let noted = finding.noted.map_or("changes nothing".to_owned(), told);
            if common.json {
                super::print_json(&serde_json::json!({ "class": finding.class.as_str(), "outcome": noted }));
            } else {
                println!("{}: {noted}", finding.class.as_str());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn told(noted: crate::store::Noted) -> String {
    use crate::store::Noted;
    match noted {
        Noted::Nobody => "its reader was erased".to_owned(),
        Noted::Before => "reported before".to_owned(),
        Noted::Kept => "noted; the address is mailed on".to_owned(),
        Noted::Suppressed(reason) => format!("the address is not mailed any more ({})", reason.as_str()),
    }
}
