//! Floor 4, the door of time: tokio-cron-scheduler wakes the loops; none of them remembers what
//! is due. What is due stands in the store, so a tick that is late, doubled or lost changes
//! nothing but the moment (tokio-cron-scheduler#73, #107, #113).

use crate::app::{App, AppError, Roles, Wake, listen};
use crate::hub::Hub;
use crate::sources::Sources;
use crate::store::{Pulse, Store};
use crate::{digest, dispatch, inbox, publish};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_cron_scheduler::{Job, JobScheduler};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Every second. A slot is cut at most this late, plus the scheduler's poll of 500 ms.
const EVERY_SECOND: &str = "* * * * * *";
/// How often the store is asked whether a feed changed. One look at the end of an index, some 50 µs;
/// so what another process publishes is noticed within 10 ms (benches/README.md, visible).
const REFRESH: Duration = Duration::from_millis(10);
/// How long after such a question the next may follow, because somebody has written to the store.
const REST: Duration = Duration::from_millis(4);
/// How often it is glanced at meanwhile.
const GLANCE: Duration = Duration::from_millis(2);
/// How often the store is asked for the next embargo to end.
const LOOK: Duration = Duration::from_millis(500);
/// How often the hub forgets callbacks that ended long ago.
const FORGET: Duration = Duration::from_secs(3_600);
/// How often the log is told how far running editions have come.
const PROGRESS: Duration = Duration::from_secs(60);
/// How often opened letters are written down.
const COUNT: Duration = Duration::from_secs(1);
/// How often idle connections to the mail server are looked after.
const HOUSEKEEPING: Duration = Duration::from_secs(30);

/// The loops that run beside the server.
pub struct Loops {
    tracker: TaskTracker,
    scheduler: JobScheduler,
}

impl Loops {
    /// Waits until every loop has ended its work.
    pub async fn end(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::warn!(%error, "scheduler not stopped");
        }
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Starts the loops of a process's roles.
pub async fn start(app: &Arc<App>, roles: Roles, stop: &CancellationToken) -> Result<Loops, AppError> {
    let tracker = TaskTracker::new();
    if roles.scheduler {
        tracker.spawn(editions(Arc::clone(app), stop.clone()));
        tracker.spawn(embargoes(Arc::clone(app), stop.clone()));
        let desk = app.sources.clone().until(stop.clone());
        tracker.spawn(sources(Arc::clone(app), desk));
    }
    if roles.worker {
        tracker.spawn(letters(Arc::clone(app), stop.clone()));
        tracker.spawn(progress(Arc::clone(app), stop.clone()));
        tracker.spawn(mail_housekeeping(Arc::clone(app), stop.clone()));
    }
    if roles.worker {
        inboxes(app, &tracker, stop).await?;
        tracker.spawn(hub(Arc::clone(app), app.hub_worker(stop.clone())));
    }
    if roles.web && app.desk.counts_opens {
        tracker.spawn(opens(Arc::clone(app), stop.clone()));
    }
    // Letters link to feeds by their present names, so a worker looks at the directory too.
    tracker.spawn(representations(Arc::clone(app), stop.clone()));
    let scheduler = JobScheduler::new().await?;
    scheduler.add(waker(&app.wake)?).await?;
    scheduler.start().await?;
    Ok(Loops { tracker, scheduler })
}

/// The ways on which mail comes back, as far as they are configured.
async fn inboxes(app: &Arc<App>, tracker: &TaskTracker, stop: &CancellationToken) -> Result<(), AppError> {
    let desk = || inbox::Desk { returns: Arc::clone(&app.returns), clock: Arc::clone(&app.clock) };
    if let Some(address) = app.bounces.lmtp {
        let listener = listen(address).await?;
        tracing::info!(%address, "bounces are taken by LMTP");
        tracker.spawn(inbox::serve(desk(), listener, inbox::LmtpLimits::default(), stop.clone()));
    }
    if let Some(folder) = &app.bounces.maildir {
        tracker.spawn(inbox::watch(desk(), folder.clone(), stop.clone()));
    }
    if let Some(url) = &app.bounces.imap {
        tracker.spawn(inbox::poll(desk(), url.clone(), stop.clone()));
    }
    Ok(())
}

fn waker(wake: &Wake) -> Result<Job, AppError> {
    let wake = wake.clone();
    Ok(Job::new_async(EVERY_SECOND, move |_, _| {
        let wake = wake.clone();
        Box::pin(async move {
            wake.digest.notify_one();
            wake.dispatch.notify_one();
            wake.notice.notify_one();
            wake.verify.notify_one();
            wake.push.notify_one();
            wake.endpoints.notify_one();
            wake.sources.notify_one();
        })
    })?)
}

/// Waits for a wake-up; false when it is time to stop.
async fn woken(notify: &Notify, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = notify.notified() => true,
    }
}

async fn editions(app: Arc<App>, stop: CancellationToken) {
    while woken(&app.wake.digest, &stop).await {
        let now = app.clock.now();
        match dispatch::rests(&app.store, &app.tally).await {
            Ok(false) => {}
            Ok(true) => continue,
            Err(error) => {
                tracing::error!(%error, "digests not looked at; tried again at the next tick");
                continue;
            }
        }
        match digest::open_due(&app.store, &app.desk.calendar(), now).await {
            Ok(0) => {}
            Ok(_) => app.wake.dispatch.notify_one(),
            Err(error) => tracing::error!(%error, "digests not looked at; tried again at the next tick"),
        }
    }
}

/// Looks at sources, each on its own: one that hangs holds up no other, and not the next tick.
async fn sources(app: Arc<App>, desk: Sources) {
    let mut errands = JoinSet::new();
    if let Err(error) = desk.leave_unwanted_hubs().await {
        tracing::error!(%error, "hubs of sources that want none were not left; done at the next start");
    }
    while woken(&app.wake.sources, &desk.stop).await {
        while let Some(ended) = errands.try_join_next() {
            if let Err(panic) = ended {
                tracing::error!(%panic, "a look at a source fell over; its claim ends by itself");
            }
        }
        if let Err(error) = desk.look_at_due(&mut errands).await {
            tracing::error!(%error, "sources not looked at; tried again at the next tick");
        }
        if let Err(error) = desk.ask_due_hubs(&mut errands).await {
            tracing::error!(%error, "hubs of sources not asked; tried again at the next tick");
        }
        if let Err(error) = desk.tell_left_hubs(&mut errands).await {
            tracing::error!(%error, "hubs not told that they were left; tried again at the next tick");
        }
    }
    // What is under way ends at its next step; what waits for a slow server is left and met again.
    let ended =
        tokio::time::timeout(Duration::from_secs(3), async { while errands.join_next().await.is_some() {} });
    if ended.await.is_err() {
        errands.shutdown().await;
    }
    if let Err(error) = desk.give_back().await {
        tracing::warn!(%error, "claims of sources not given back; they end by themselves");
    }
}

/// Lets articles out at the instant at which their embargo ends. What comes in with an embargo is
/// noticed at the next look.
async fn embargoes(app: Arc<App>, stop: CancellationToken) {
    loop {
        let now = app.clock.now();
        let next = async {
            if publish::release_due(&app.store, now).await? > 0 {
                app.wake.refresh.notify_one();
            }
            app.store.next_release().await
        };
        let next = next.await.unwrap_or_else(|error| {
            tracing::error!(%error, "embargoes not looked at; tried again in a second");
            None
        });
        let wait = next.and_then(|next| (next - now).to_std().ok()).unwrap_or(LOOK).min(LOOK);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn letters(app: Arc<App>, stop: CancellationToken) {
    let dispatcher = app.dispatcher(stop.clone());
    while woken(&app.wake.dispatch, &stop).await {
        tokio::select! {
            biased;
            // The dispatcher begins no letter after a stop. One whose server takes longer than the
            // grace is cut off, and is repeated under its own Message-ID.
            () = stop_after_grace(&stop) => break,
            ended = dispatcher.run(&app.wake.dispatch) => if let Err(error) = ended {
                tracing::error!(%error, "deliveries not settled; their claims end by themselves");
            },
        }
    }
    match dispatcher.give_back().await {
        Ok(0) => {}
        Ok(claims) => tracing::info!(claims, "claims given back"),
        Err(error) => tracing::warn!(%error, "claims not given back; they end by themselves"),
    }
}

async fn progress(app: Arc<App>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PROGRESS) => {}
        }
        if let Err(error) = dispatch::tell_progress(&app.store, app.clock.now()).await {
            tracing::warn!(%error, "running editions not looked at");
        }
    }
}

/// Writes down once a second which letters were opened, and at the end what is left.
async fn opens(app: Arc<App>, stop: CancellationToken) {
    loop {
        let stops = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(COUNT) => false,
        };
        if let Err(error) = app.opens.write_down(&app.store).await {
            tracing::warn!(%error, "opened letters not counted");
        }
        if stops {
            return;
        }
    }
}

/// Looks after idle connections, also while an edition goes out for hours.
async fn mail_housekeeping(app: Arc<App>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(HOUSEKEEPING) => app.relay.part(HOUSEKEEPING).await,
        }
    }
}

/// How long letters under way may take once the program is asked to stop.
async fn stop_after_grace(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
}

/// Waits until somebody has written to the store, or may have.
async fn written(store: &Store, before: Option<Pulse>) {
    if before.is_none() {
        return tokio::time::sleep(REFRESH).await;
    }
    tokio::time::sleep(REST).await;
    let mut waited = REST;
    while waited < REFRESH && store.pulse() == before {
        tokio::time::sleep(GLANCE).await;
        waited += GLANCE;
    }
}

async fn representations(app: Arc<App>, stop: CancellationToken) {
    let mut pulse = None;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = app.wake.refresh.notified() => {}
            () = written(&app.store, pulse) => {}
        }
        // Taken before the question: what is written meanwhile is asked about next.
        pulse = app.store.pulse();
        match app.representations.refresh(app.clock.now()).await {
            Ok(0) => {}
            Ok(_) => {
                app.wake.notice.notify_one();
                app.wake.endpoints.notify_one();
            }
            Err(error) => {
                tracing::error!(%error, "feeds not refreshed; tried again at once");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// The hub's loops: each goes on while the others wait for slow servers. A hub that is switched off
/// still tells other hubs and webhooks.
async fn hub(app: Arc<App>, hub: Hub) {
    let mut loops = JoinSet::new();
    if app.hub.enabled {
        loops.spawn(notices(hub.clone(), app.wake.clone()));
        loops.spawn(verifications(hub.clone(), app.wake.clone()));
        loops.spawn(pushes(hub.clone(), app.wake.clone()));
    }
    loops.spawn(endpoints(hub.clone(), app.wake.clone()));
    loops.spawn(hub_housekeeping(hub.clone()));
    loops.join_all().await;
    // Only now: what was under way has been settled by whoever claimed it.
    if let Err(error) = hub.give_back().await {
        tracing::warn!(%error, "claims of the hub not given back; they end by themselves");
    }
}

async fn notices(hub: Hub, wake: Wake) {
    while woken(&wake.notice, &hub.stop).await {
        match hub.notice().await {
            Ok(0) => {}
            Ok(_) => wake.push.notify_one(),
            Err(error) => tracing::error!(%error, "topics not looked at; tried again within a second"),
        }
    }
}

async fn verifications(hub: Hub, wake: Wake) {
    while woken(&wake.verify, &hub.stop).await {
        match hub.verify(&wake.verify).await {
            Ok(0) => {}
            // What changed while a callback was asked is pushed at once.
            Ok(_) => {
                wake.notice.notify_one();
                wake.push.notify_one();
            }
            Err(error) => tracing::error!(%error, "requests not settled; their claims end by themselves"),
        }
    }
}

async fn pushes(hub: Hub, wake: Wake) {
    while woken(&wake.push, &hub.stop).await {
        if let Err(error) = hub.distribute(&wake.push).await {
            tracing::error!(%error, "pushes not settled; their claims end by themselves");
        }
    }
}

async fn endpoints(hub: Hub, wake: Wake) {
    while woken(&wake.endpoints, &hub.stop).await {
        if let Err(error) = hub.tell_endpoints().await {
            tracing::error!(%error, "endpoints not told; tried again within a second");
        }
    }
}

/// Keeps claims alive, and forgets what ended long ago.
async fn hub_housekeeping(hub: Hub) {
    let mut forgotten = std::time::Instant::now();
    loop {
        tokio::select! {
            () = hub.stop.cancelled() => return,
            () = tokio::time::sleep(hub.rules.claim / 3) => {}
        }
        if let Err(error) = hub.keep_claims().await {
            tracing::warn!(%error, "claims of the hub not renewed");
        }
        if forgotten.elapsed() >= FORGET {
            forgotten = std::time::Instant::now();
            if let Err(error) = hub.forget().await {
                tracing::warn!(%error, "ended callbacks not forgotten");
            }
        }
    }
}
