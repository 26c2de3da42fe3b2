//! A whole newsroom in a temporary folder: every part of the program does its real work.

mod newsroom;

use super::{Common, serve::stop_at_signal};
use crate::app::{App, Roles, SystemChance, SystemClock, listen, run};
use crate::config::Config;
use crate::digest::run_now;
use crate::domain::{Clock as _, EmailAddress, FeedKey, Format, Frequency, Language, Slug, Wish};
use crate::http::{pictures, router};
use crate::publish::{Occasion, accept};
use crate::relay::Outbox;
use crate::store::{CutAnswer, OptInAnswer, OptInRequest, Yes};
use crate::subscribe;
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Run a whole sample newsroom in a temporary folder: imports, serves, mails one digest.
#[derive(Args)]
pub struct Demo {
    /// The port to serve on [default: 8080, or a free one where that is taken]
    #[arg(long)]
    port: Option<u16>,
    /// Do everything, print the addresses, and stop
    #[arg(long)]
    exit: bool,
}

const READER: &str = "ban.doc@example.vn";

impl Demo {
    pub async fn run(self, _: Common) -> anyhow::Result<ExitCode> {
        let folder = TemporaryFolder::new()?;
        let listener = self.listener().await?;
        let address = listener.local_addr()?;
        let app = open(folder.path(), address).await?;
        println!("Bản Tin demo in {} (removed at the end)\n", folder.path().display());

        let drafts = newsroom::drafts(&app.publication, app.clock.now())?;
        // The demo's reader gets the news of the last day, not a month in one mail.
        let yesterday = app.clock.now() - chrono::Duration::hours(24);
        let (news, archive): (Vec<_>, Vec<_>) =
            drafts.into_iter().partition(|draft| draft.published.is_none_or(|at| at > yesterday));
        for (drafts, occasion) in [(&archive, Occasion::Archive), (&news, Occasion::News)] {
            accept(&app.store, drafts, occasion, app.clock.now(), &SystemChance).await?;
        }
        println!("  imported     {} articles", archive.len() + news.len());
        app.representations.refresh(app.clock.now()).await?;

        let letters = subscribe_and_mail(&app).await?;
        let directory = app.representations.directory();
        let slug = Slug::parse("xay-dung-dang")?;
        let feed = directory.by_slug(&slug).context("the sample newsroom has this section")?;
        println!("  subscribed   {READER}, confirmed by the link in its mail");
        println!("  mailed       {} articles in one digest\n", letters.articles);
        let url = |path: &str| app.publication.url(path);
        for (what, path) in [
            ("home page", "/".to_owned()),
            ("feed page", feed.place.page_path()),
            ("RSS", feed.place.document_path(Format::Rss)),
            ("Atom", feed.place.document_path(Format::Atom)),
            ("JSON Feed", feed.place.document_path(Format::Json)),
            ("mailbox", "/mailbox".to_owned()),
            ("the digest", format!("/mailbox/{}", letters.newest)),
            ("all feeds", "/opml".to_owned()),
            ("metrics", "/metrics".to_owned()),
        ] {
            println!("  {what:11}  {}", url(&path));
        }
        if self.exit {
            return Ok(ExitCode::SUCCESS);
        }
        println!("\nCtrl-C ends it.");
        let stop = stop_at_signal()?;
        let routes = router(Arc::clone(&app)).merge(pictures::router());
        run(app, Roles { web: true, scheduler: true, worker: true }, routes, Some(listener), stop).await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn listener(&self) -> anyhow::Result<TcpListener> {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match self.port {
            Some(port) => Ok(listen(local(port)).await?),
            None => match listen(local(8080)).await {
                Ok(listener) => Ok(listener),
                Err(_) => Ok(listen(local(0)).await?),
            },
        }
    }
}

/// The configuration is written as a newsroom would write it, and read as any other.
async fn open(folder: &Path, address: SocketAddr) -> anyhow::Result<Arc<App>> {
    let file = folder.join("bantin.toml");
    let quoted = |path: &str| folder.join(path).display().to_string();
    let text = format!(
        "[publication]\ntitle = \"Báo Sông Hậu\"\nbase_url = \"http://{address}\"\ncontact = \"toasoan@songhau.example\"\n\
         [server]\nlisten = \"{address}\"\n[store]\nurl = \"sqlite:{}\"\n[mail]\nurl = \"outbox:{}\"\nfrom = \"bantin@songhau.example\"\n\
         [feeds]\ndir = \"{}\"\n[templates]\ndir = \"{}\"\n",
        quoted("var/bantin.db"),
        quoted("var/outbox"),
        quoted("feeds"),
        quoted("templates"),
    );
    std::fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    let config = Config::load(Some(&file), std::iter::empty())
        .map_err(|faults| anyhow::anyhow!(super::join(&faults)))?;
    let app = App::open(&config, Arc::new(SystemClock), Arc::new(SystemChance)).await?;
    app.announce().await?;
    Ok(Arc::new(app))
}

struct Letters {
    articles: u64,
    newest: String,
}

/// A reader asks, opens the mail, confirms, and gets a digest, all through the workflows.
async fn subscribe_and_mail(app: &Arc<App>) -> anyhow::Result<Letters> {
    let digest = app.desk.digests.first().context("there is always a digest")?;
    let wish = OptInRequest {
        address: EmailAddress::parse(READER)?,
        wishes: vec![Wish { feed: FeedKey::All, frequency: Frequency::Digest(digest.slug.clone()) }],
        time_zone: None,
        language: Language::Vi,
        remote_address: "127.0.0.1".to_owned(),
        wording: "demo".to_owned(),
    };
    let quiet = app.limits.confirmation_quiet;
    let now = app.clock.now();
    let OptInAnswer::Asked(_) = subscribe::ask(&app.store, &app.desk.secret, wish, quiet, now).await? else {
        bail!("the reader of the demo was not asked");
    };
    let dispatcher = app.dispatcher(CancellationToken::new());
    dispatcher.run(&Arc::default()).await?;
    let outbox = app.outbox.as_ref().context("the demo mails into a folder")?;
    let token = confirmation_token(outbox).await?;
    let opt_in = subscribe::read_confirmation(&app.store, &app.desk.secret, &token, app.clock.now()).await?;
    let yes = Yes { from: "command line", greet: false };
    subscribe::confirm(&app.store, &opt_in, &app.desk.calendar(), &yes, app.clock.now()).await?;
    let CutAnswer::Made(cut) = run_now(&app.store, &app.desk.calendar(), digest, app.clock.now()).await?
    else {
        bail!("the demo's digest found nothing new");
    };
    dispatcher.run(&Arc::default()).await?;
    let letters = outbox.list().await?;
    ensure!(letters.len() == 2, "a confirmation and a digest were expected, not {} letters", letters.len());
    Ok(Letters { articles: cut.articles, newest: letters[0].name.clone() })
}

/// The token in the confirmation mail's link, found as its reader would: in the text.
async fn confirmation_token(outbox: &Outbox) -> anyhow::Result<String> {
    let letters = outbox.list().await?;
    let letter = letters.first().context("no confirmation was mailed")?;
    let bytes = outbox.read(&letter.name).await?.context("the letter is gone")?;
    let message = mail_parser::MessageParser::default().parse(&bytes).context("the letter cannot be read")?;
    let text = message.body_text(0).context("the letter has no text")?;
    let (_, after) = text.split_once("/confirm/").context("the letter has no link")?;
    Ok(after.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect())
}

/// A folder of our own that is gone when the demo is.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> anyhow::Result<Self> {
        let name = crate::domain::new_uuid(SystemClock.now(), &SystemChance);
        let path = std::env::temp_dir().join(format!("bantin-demo-{name}"));
        std::fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} could not be removed: {error}", self.0.display());
        }
    }
}
