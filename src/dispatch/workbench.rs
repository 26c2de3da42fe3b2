use std::panic::resume_unwind;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Where letters are composed that are not set yet, which takes ten times as long as to hand them over: beside
/// the thread that speaks with mail servers, and as many at once as there are processors.
#[derive(Debug)]
pub struct Workbench(Semaphore);

impl Default for Workbench {
    fn default() -> Self {
        Self(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)))
    }
}

impl Workbench {
    /// Does a piece of work.
    pub(super) async fn craft<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        // It is never closed.
        let _place = self.0.acquire().await;
        match spawn_blocking(work).await.map_err(|broken| broken.try_into_panic()) {
            Ok(done) => done,
            Err(Ok(panic)) => resume_unwind(panic),
            // The program ends.
            Err(Err(_)) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::task::JoinSet;

    #[tokio::test]
    async fn so_much_is_worked_on_at_once_and_all_of_it_done() {
        let (bench, at_work) = (Arc::new(Workbench(Semaphore::new(2))), Arc::new(AtomicUsize::new(0)));
        let mut works = JoinSet::new();
        for number in 0..20 {
            let (bench, at_work) = (Arc::clone(&bench), Arc::clone(&at_work));
            let work = move || {
                let most = at_work.fetch_add(1, Ordering::SeqCst) + 1;
                #[expect(clippy::disallowed_methods, reason = "it is work, and no worker of the runtime")]
                std::thread::sleep(Duration::from_millis(5));
                at_work.fetch_sub(1, Ordering::SeqCst);
                (number, most)
            };
            works.spawn(async move { bench.craft(work).await });
        }
        let mut done = works.join_all().await;
        done.sort_unstable();
        assert!(done.iter().map(|(number, _)| *number).eq(0..20));
        assert!(done.iter().all(|(_, most)| *most <= 2), "{done:?}");
    }

    #[tokio::test]
    async fn what_falls_over_takes_its_letter_along_and_no_other() {
        let bench = Arc::new(Workbench(Semaphore::new(1)));
        let fallen = Arc::clone(&bench);
        let mut works = JoinSet::new();
        works.spawn(async move { fallen.craft(|| panic!("a template")).await });
        assert!(works.join_next().await.unwrap().unwrap_err().is_panic());
        assert_eq!(bench.craft(|| 7).await, 7);
    }
}
