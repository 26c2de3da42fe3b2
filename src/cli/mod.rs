//! Floor 5: the commands. Arguments in, one workflow, words out.
//!
//! Exit codes: 0 done, 1 failed, 2 unusable arguments, 141 nobody reads on. What is wrong goes to standard
//! error with its place and mend; `--json` where a command prints data.

/// In all commands instead of the standard one, which panics where nobody reads on: see [`out`].
macro_rules! println {
    ($($words:tt)*) => { $crate::cli::out::line(format_args!($($words)*)) };
}
/// Likewise.
macro_rules! eprintln {
    ($($words:tt)*) => { $crate::cli::out::aside(format_args!($($words)*)) };
}

mod addresses;
mod adopt;
mod article;
mod bounce;
mod category;
mod check;
mod demo;
mod digest;
mod dkim;
mod draft;
mod export;
mod feed;
mod hub;
mod import;
mod out;
mod pictures;
mod rehearsal;
mod serve;
mod source;
mod subscriber;
mod suppression;
mod token;

use crate::app::{App, AppError, SystemChance, SystemClock};
use crate::config::{Config, ConfigFault, LogSettings};
use crate::domain::Clock as _;
use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use std::future::Future;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Feeds and e-mail digests for a newsroom.
#[derive(Parser)]
#[command(name = "bantin", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone)]
pub struct Common {
    /// The configuration file [default: bantin.toml if there is one]; every key also as BANTIN_SECTION__KEY
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run a whole sample newsroom in a temporary folder: imports, serves, mails one digest
    Demo(demo::Demo),
    /// Serve feeds and pages, cut editions, deliver mail
    Serve(serve::Serve),
    /// Take articles in: pages, captured text, JSON, JSONL, RSS, Atom, JSON Feed
    Import(import::Import),
    /// Look at articles and drafts, take them back, publish them
    #[command(subcommand)]
    Article(article::ArticleCommand),
    /// Look at the sources that articles flow in from, look at one now
    #[command(subcommand)]
    Source(source::SourceCommand),
    /// Look at categories, rename and move them
    #[command(subcommand)]
    Category(category::CategoryCommand),
    /// Look at feeds
    #[command(subcommand)]
    Feed(feed::FeedCommand),
    /// Look at the hub: who is pushed what, since when, and what failed
    #[command(subcommand)]
    Hub(hub::HubCommand),
    /// Look at digests, run one now
    #[command(subcommand)]
    Digest(digest::DigestCommand),
    /// Make the keys that mail is signed with, and show what DNS must say of them
    #[command(subcommand)]
    Dkim(dkim::DkimCommand),
    /// Let this copy of the store mail: after a move to another machine, or from a backup
    Adopt(adopt::Adopt),
    /// Look at subscribers, add and erase them
    #[command(subcommand)]
    Subscriber(subscriber::SubscriberCommand),
    /// Take one bounce or complaint from standard input, as a mail server pipes it
    Bounce(bounce::Bounce),
    /// Look at the addresses that must not be mailed, add some, let some be mailed again
    #[command(subcommand)]
    Suppression(suppression::SuppressionCommand),
    /// Let programs of the newsroom use the API: make tokens, list them, take them back
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Find what is wrong with configuration, feeds, templates, store and mail, and say how to mend it
    Check(check::Check),
    /// Bring the database schema up to date
    Migrate,
}

impl Common {
    /// Reads the configuration.
    fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::load(self.config.as_deref(), std::env::vars()).map_err(AppError::Config)?)
    }

    /// Builds the program as it is configured.
    async fn app(&self) -> anyhow::Result<Arc<App>> {
        let config = self.config()?;
        Ok(Arc::new(App::open(&config, Arc::new(SystemClock), Arc::new(SystemChance)).await?))
    }
}

fn join(faults: &[ConfigFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads the arguments, runs the command, gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = cli
        .common
        .config()
        .map(|config| config.log)
        .unwrap_or(LogSettings { json: false, level: "info".to_owned() });
    // Only what runs for long tells of itself line by line.
    let chatty = matches!(cli.command, Command::Serve(_));
    start_log(&log, chatty);
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bantin: {error:#}");
            // A configuration that cannot be used is an unusable argument: starting again does
            // not help, and systemd's RestartPreventExitStatus=2 relies on it.
            let unusable = matches!(error.downcast_ref(), Some(AppError::Config(_) | AppError::Templates(_)));
            if unusable { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn start_log(settings: &LogSettings, chatty: bool) {
    use tracing_subscriber::EnvFilter;
    let quiet = "sqlx=warn,hyper=warn,tokio_cron_scheduler=warn";
    let level = if chatty { settings.level.as_str() } else { "warn" };
    let filter = EnvFilter::try_new(format!("{level},{quiet}")).unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let started =
        if settings.json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    // A test that runs a command in its own process has a log already.
    drop(started);
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let common = cli.common;
    match cli.command {
        Command::Demo(demo) => wait(demo.run(common)),
        Command::Serve(serve) => wait(serve.run(common)),
        Command::Import(import) => wait(import.run(common)),
        Command::Adopt(adopt) => wait(adopt.run(common)),
        Command::Article(command) => wait(command.run(common)),
        Command::Source(command) => wait(command.run(common)),
        Command::Hub(command) => wait(command.run(common)),
        Command::Dkim(command) => command.run(common),
        Command::Category(command) => wait(command.run(common)),
        Command::Feed(command) => wait(command.run(common)),
        Command::Digest(command) => wait(command.run(common)),
        Command::Subscriber(command) => wait(command.run(common)),
        Command::Bounce(bounce) => wait(bounce.run(common)),
        Command::Suppression(command) => wait(command.run(common)),
        Command::Token(command) => wait(command.run(common)),
        Command::Check(check) => wait(check.run(common)),
        Command::Migrate => wait(async move {
            let config = common.config()?;
            let store = crate::store::Store::open(&config.store).await?;
            store.migrate(SystemClock.now()).await?;
            println!("{}: the schema is up to date", config.store);
            Ok(ExitCode::SUCCESS)
        }),
    }
}

fn wait(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    let ended = runtime.block_on(work);
    // What blocks (a name look-up, a file on a dead disk) does not hold the exit up.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}

/// So many of something: `1 draft`, `2 drafts`.
fn counted(count: impl std::fmt::Display, one: &str, many: &str) -> String {
    let count = count.to_string();
    let what = if count == "1" { one } else { many };
    format!("{count} {what}")
}

/// Prints a value as one line of JSON, or in words.
fn print_json(value: &serde_json::Value) {
    println!("{value}");
}
