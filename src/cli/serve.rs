use super::Common;
use crate::app::{Roles, listen, run};
use crate::http::router;
use clap::{Args, ValueEnum};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Serve feeds and pages, cut editions, deliver mail.
#[derive(Args)]
pub struct Serve {
    /// Do only these jobs; several processes may share one PostgreSQL store
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Role::Web, Role::Scheduler, Role::Worker])]
    role: Vec<Role>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    Web,
    Scheduler,
    Worker,
}

impl Serve {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let config = common.config()?;
        let app = common.app().await?;
        let roles = Roles {
            web: self.role.contains(&Role::Web),
            scheduler: self.role.contains(&Role::Scheduler),
            worker: self.role.contains(&Role::Worker),
        };
        // A worker beside the web process of the same configuration must not fight for its port.
        let listener = if roles.web { Some(listen(config.server.listen).await?) } else { None };
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        tracing::info!(address = address.map(tracing::field::display), store = %config.store, mail = %config.mail.url, base_url = %app.publication.base_url, "serving");
        let stop = stop_at_signal()?;
        let routes = router(Arc::clone(&app));
        run(app, roles, routes, listener, stop).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A token that SIGTERM and SIGINT cancel.
pub fn stop_at_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = stop.clone();
    #[expect(clippy::disallowed_methods, reason = "ends with the process, and starts its orderly stop")]
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
        token.cancel();
    });
    Ok(stop)
}
