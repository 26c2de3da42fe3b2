use std::io;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A thread for letters, with a runtime of its own. It lasts as long as this: connections that it has opened
/// are used again.
#[derive(Debug)]
pub struct MailThread {
    handle: Handle,
    _goes_on: DropGuard,
}

impl MailThread {
    /// Starts it.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let goes_on = end.clone().drop_guard();
        let work = move || runtime.block_on(end.cancelled());
        std::thread::Builder::new().name("mail".to_owned()).spawn(work)?;
        Ok(Self { handle, _goes_on: goes_on })
    }

    /// Where work is given to it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::JoinSet;

    #[tokio::test]
    async fn what_is_given_to_it_is_worked_on_there_and_ends_with_it() {
        let thread = MailThread::start().unwrap();
        let mut works = JoinSet::new();
        let name = async { std::thread::current().name().map(str::to_owned) };
        works.spawn_on(name, &thread.handle());
        assert_eq!(works.join_next().await.unwrap().unwrap().as_deref(), Some("mail"));
        works.spawn_on(std::future::pending(), &thread.handle());
        drop(thread);
        assert!(works.join_next().await.unwrap().unwrap_err().is_cancelled());
    }
}
