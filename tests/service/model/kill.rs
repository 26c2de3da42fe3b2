//! Death at a statement: a transaction that is let go of while it waits for its n-th answer leaves
//! the database as a killed process would, with everything done or nothing, and nobody told which.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Lets go of a future when it has waited so many times. Each statement waits for the database at
/// least once, the commit too. Says how many times were left, if it lived.
pub struct Killed<F> {
    inner: Option<Pin<Box<F>>>,
    waits: u32,
}

impl<F: Future> Killed<F> {
    pub fn at(waits: u32, work: F) -> Self {
        Self { inner: Some(Box::pin(work)), waits }
    }
}

impl<F: Future> Future for Killed<F> {
    type Output = Option<(F::Output, u32)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        match inner.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some((done, self.waits))),
            Poll::Pending if self.waits == 0 => {
                self.inner = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                self.waits -= 1;
                Poll::Pending
            }
        }
    }
}

/// Who dies when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deaths {
    /// Somebody at some statement, now and then.
    NowAndThen,
    /// Everybody, once, when so many waits are over.
    After(u32),
    /// Nobody any more.
    Over,
}
