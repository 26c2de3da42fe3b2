use super::{Common, print_json};
use crate::digest::open_due;
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

/// Let this copy of the store mail: after a move to another machine, or from a backup.
#[derive(Args)]
pub struct Adopt {
    /// What is due by now was mailed by the store that this one was copied from: settle it unsent
    #[arg(long)]
    mailed_elsewhere: bool,
}

impl Adopt {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let app = common.app().await?;
        let mut settled = 0;
        if self.mailed_elsewhere {
            let now = app.clock.now();
            // Before it mails: what is cut here is in the ledger, and no later edition brings it.
            open_due(&app.store, &app.desk.calendar(), now).await?;
            settled = app.store.settle_as_mailed_elsewhere(now).await?;
        }
        app.store.adopt().await?;
        if common.json {
            print_json(&json!({ "settled": settled }));
        } else {
            println!("this store mails from now on; {settled} deliveries were settled unsent");
        }
        Ok(ExitCode::SUCCESS)
    }
}
