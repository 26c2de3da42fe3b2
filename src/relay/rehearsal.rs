use super::{Gate, Handing, Parcel, Relay, Shut, Turn};
use crate::domain::Outcome;
use std::sync::{Mutex, PoisonError};

type Script = Box<dyn Fn(&Parcel) -> Outcome + Send + Sync>;

/// A relay that sends nothing: it keeps what it is handed and answers as it was told. For tests.
pub struct Rehearsal {
    script: Script,
    taken: Mutex<Vec<Parcel>>,
}

impl Rehearsal {
    /// A relay that answers each parcel by `script`.
    pub fn new(script: impl Fn(&Parcel) -> Outcome + Send + Sync + 'static) -> Self {
        Self { script: Box::new(script), taken: Mutex::default() }
    }

    /// A relay that accepts everything.
    pub fn accepting() -> Self {
        Self::new(|_| Outcome::Accepted("250 2.0.0 rehearsed".into()))
    }

    /// Every parcel that was handed over, in order, whatever the answer was.
    pub fn parcels(&self) -> Vec<Parcel> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Relay for Rehearsal {
    fn hand_over_in_turn<'a>(
        &'a self,
        parcel: &'a Parcel,
        _turn: Turn,
        gate: &'a dyn Gate,
    ) -> Handing<'a, Result<Outcome, Shut>> {
        Box::pin(async move {
            if !gate.opens().await {
                return Err(Shut);
            }
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(parcel.clone());
            Ok((self.script)(parcel))
        })
    }

    fn check(&self) -> Handing<'_, Result<String, String>> {
        Box::pin(async { Ok("mail is rehearsed: nothing leaves this process".to_owned()) })
    }
}
