use crate::store::StoreError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as Pen, oneshot};

/// Hands that want the same of the store. Whoever comes while another asks waits, and then one asks for
/// all who have come meanwhile: one question for many, as a group commit is one commit for many.
#[derive(Debug)]
pub struct Together<Q, A> {
    waiting: Mutex<Vec<(Q, oneshot::Sender<A>)>>,
    pen: Pen<()>,
}

impl<Q, A> Default for Together<Q, A> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), pen: Pen::default() }
    }
}

impl<Q, A> Together<Q, A> {
    /// The answer to a question; `ask_all` gets those of all who wait and answers each in its place.
    /// `None`: whoever asked got none.
    pub(super) async fn ask(
        &self,
        question: Q,
        ask_all: impl AsyncFnOnce(&[Q]) -> Result<Vec<A>, StoreError>,
    ) -> Result<Option<A>, StoreError> {
        let (tell, mut told) = oneshot::channel();
        self.waiting().push((question, tell));
        let pen = tokio::select! {
            biased;
            answer = &mut told => return Ok(answer.ok()),
            pen = self.pen.lock() => pen,
        };
        let (questions, askers): (Vec<Q>, Vec<oneshot::Sender<A>>) =
            std::mem::take(&mut *self.waiting()).into_iter().unzip();
        if !questions.is_empty() {
            for (asker, answer) in askers.into_iter().zip(ask_all(&questions).await?) {
                // Who has gone meanwhile needs no answer.
                drop(asker.send(answer));
            }
        }
        drop(pen);
        Ok(told.await.ok())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(Q, oneshot::Sender<A>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::task::JoinSet;

    #[tokio::test]
    async fn who_comes_while_another_asks_is_asked_for_with_all_others() {
        let together = Arc::new(Together::<usize, usize>::default());
        let asked = Arc::new(AtomicUsize::new(0));
        let mut hands = JoinSet::new();
        for number in 0..20 {
            let (together, asked) = (Arc::clone(&together), Arc::clone(&asked));
            hands.spawn(async move {
                let double = async |numbers: &[usize]| {
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok(numbers.iter().map(|number| number * 2).collect())
                };
                (number, together.ask(number, double).await.unwrap())
            });
        }
        for (number, answer) in hands.join_all().await {
            assert_eq!(answer, Some(number * 2));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2, "the first, and all others");
    }

    #[tokio::test]
    async fn a_question_that_fails_leaves_nobody_waiting() {
        let together = Arc::new(Together::<usize, usize>::default());
        let first = Arc::clone(&together);
        let mut hands = JoinSet::new();
        hands.spawn(async move {
            first
                .ask(1, async |_| {
                    tokio::task::yield_now().await;
                    Err(StoreError::Url("gone".to_owned()))
                })
                .await
                .is_err()
        });
        tokio::task::yield_now().await;
        let answer = together.ask(2, async |numbers| Ok(numbers.to_vec())).await.unwrap();
        assert_eq!(answer, Some(2));
        assert_eq!(hands.join_all().await, [true]);
    }
}
