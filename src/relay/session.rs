use super::{
    Timeouts,
    answer::Answer,
    envelope::{Commands, DATA, Envelope, RSET},
    fault::{Failed, Fault, Step},
    gate::{Gate, Shut},
    offers::Offers,
    partner::due,
    text::{DOT, Text},
    wire::Wire,
};
use crate::domain::Outcome;
use std::{io::IoSlice, time::Duration};
use tokio::time::timeout;

/// One open conversation with the mail server, one parcel to a transaction.
///
/// Where the server takes commands in groups (PIPELINING, RFC 2920), MAIL, RCPT and DATA go out in one
/// write, and those of the parcel behind in the same write as the text: then a parcel takes one round
/// trip. Its text goes only when all that was said before it is answered and its gate has opened, so that
/// never more than one is in doubt.
pub(super) struct Session {
    wire: Wire,
    offers: Offers,
    state: State,
    /// It has served a parcel before.
    is_used: bool,
}

/// What the server waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// MAIL.
    Ready,
    /// RSET, before another MAIL.
    Open,
    /// Nothing: it has MAIL, RCPT and DATA of the next parcel, and we have no answer yet. Whether
    /// RSET went before them.
    Begun { reset: bool },
    /// Nobody knows what; or it has hung up.
    Dead,
}

/// What became of a parcel.
pub(super) struct Settled {
    pub(super) outcome: Result<Outcome, Shut>,
    /// The server closed the line while it rested, so nothing is said about the parcel yet.
    pub(super) was_dead: bool,
}

impl Session {
    pub(super) fn new(wire: Wire, offers: Offers) -> Self {
        Self { wire, offers, state: State::Ready, is_used: false }
    }

    /// What the server said that it can.
    pub(super) fn offers(&self) -> &Offers {
        &self.offers
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.wire.is_encrypted()
    }

    /// Ready for any parcel.
    pub(super) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Ready for the parcel that was announced with the one before.
    pub(super) fn is_begun(&self) -> bool {
        matches!(self.state, State::Begun { .. })
    }

    /// Hands over one parcel, its text through `gate`. `next` is asked, when the text goes, for the parcel behind it; what it
    /// gives is announced, and must be the next to be handed over.
    pub(super) async fn transact(
        &mut self,
        envelope: &Envelope,
        text: &Text<'_>,
        gate: &dyn Gate,
        next: impl FnOnce(&Offers) -> Option<Commands>,
        timeouts: &Timeouts,
    ) -> Settled {
        let is_reused = std::mem::replace(&mut self.is_used, true);
        match self.converse(envelope, text, gate, next, timeouts).await {
            Ok(heard) => {
                let outcome = heard.map(|answer| Outcome::Accepted(answer.reply("")));
                Settled { outcome, was_dead: false }
            }
            Err((step, fault)) => {
                // The farewell of a server that was tired of waiting lies before our MAIL's answer.
                let is_farewell = matches!(&fault, Fault::Said(answer) if answer.code == 421);
                let is_cut = match step {
                    Step::Reset => true,
                    Step::Mail => is_farewell || matches!(fault, Fault::Lost(_)),
                    _ => step < Step::Text && matches!(fault, Fault::Lost(_)),
                };
                Settled { outcome: Ok(fault.outcome(step)), was_dead: is_reused && is_cut }
            }
        }
    }

    async fn converse(
        &mut self,
        envelope: &Envelope,
        text: &Text<'_>,
        gate: &dyn Gate,
        next: impl FnOnce(&Offers) -> Option<Commands>,
        timeouts: &Timeouts,
    ) -> Result<Result<Answer, Shut>, Failed> {
        self.announce(envelope, timeouts).await?;
        // Who hangs up now, or is given up, has sent nothing: DATA has no other way back.
        let state = std::mem::replace(&mut self.state, State::Dead);
        if !gate.opens().await {
            return Ok(Err(Shut));
        }
        self.state = state;
        let next = if self.offers.pipelining { next(&self.offers) } else { None };
        let has_next = next.is_some();
        let behind = next.map(|commands| commands.group(false)).unwrap_or_default();
        let sent = self.send_text(text, &behind, timeouts).await;
        self.state = match &sent {
            Err((_, fault)) if !fault.leaves_line() => State::Dead,
            // The transaction ended by itself (RFC 5321 §4.1.1.4).
            _ if has_next => State::Begun { reset: false },
            _ => State::Ready,
        };
        sent.map(Ok)
    }

    /// Everything before the text. Where that fails, the state tells what is left of the line.
    async fn announce(&mut self, envelope: &Envelope, timeouts: &Timeouts) -> Result<(), Failed> {
        let state = std::mem::replace(&mut self.state, State::Dead);
        let commands = if let State::Begun { .. } = state {
            None
        } else {
            // Nothing was said where it fails.
            Some(envelope.commands(&self.offers).inspect_err(|_| self.state = state)?)
        };
        let resets = matches!(state, State::Open | State::Begun { reset: true });
        if !self.offers.pipelining {
            let Some(commands) = commands else { return Err((Step::Mail, Fault::Unmet("no group".into()))) };
            if resets {
                self.ask(Step::Reset, RSET, 2, timeouts.rcpt).await?;
            }
            self.ask(Step::Mail, &commands.mail, 2, timeouts.mail).await?;
            self.ask(Step::Rcpt, &commands.rcpt, 2, timeouts.rcpt).await?;
            self.ask(Step::Data, DATA, 3, timeouts.data).await?;
            return Ok(());
        }
        if let Some(commands) = commands {
            let said = self.wire.say(&commands.group(resets), timeouts.mail).await;
            said.map_err(|fault| (if resets { Step::Reset } else { Step::Mail }, fault))?;
        }
        if resets {
            self.heard(Step::Reset, 2, timeouts.rcpt).await?;
        }
        self.answers(timeouts).await
    }

    /// The three answers to a group. What one refuses is found again in the next; it is the first that
    /// says why.
    async fn answers(&mut self, timeouts: &Timeouts) -> Result<(), Failed> {
        let mail = self.heard(Step::Mail, 2, timeouts.mail).await;
        let mail = as_said(mail)?;
        let rcpt = self.heard(Step::Rcpt, 2, timeouts.rcpt).await;
        let rcpt = match as_said(rcpt) {
            Ok(rcpt) => rcpt,
            Err(broken) => return Err(mail.err().unwrap_or(broken)),
        };
        let is_addressed = rcpt.is_ok();
        let refused = mail.and(rcpt).err();
        match (self.heard(Step::Data, 3, timeouts.data).await, refused) {
            (Ok(_), None) => {
                self.state = State::Open;
                Ok(())
            }
            // It would take a text for nobody. It gets the empty one (RFC 2920 §3.1), unless there
            // is somebody after all: he would get it.
            (Ok(_), Some(refused)) => {
                if !is_addressed {
                    self.send_nothing(timeouts).await;
                }
                Err(refused)
            }
            (Err((step, fault)), refused) => {
                if fault.leaves_line() {
                    self.state = State::Open;
                }
                Err(refused.unwrap_or((step, fault)))
            }
        }
    }

    async fn send_nothing(&mut self, timeouts: &Timeouts) {
        let sent = match self.wire.say(DOT, timeouts.block).await {
            Ok(()) => self.wire.answer(timeouts.dot).await,
            Err(fault) => Err(fault),
        };
        if sent.is_ok_and(|answer| answer.code != 421) {
            self.state = State::Ready;
        }
    }

    /// Sends text and dot, and what stands behind them. Before the dot nothing can have been taken.
    async fn send_text(
        &mut self,
        text: &Text<'_>,
        behind: &[u8],
        timeouts: &Timeouts,
    ) -> Result<Answer, Failed> {
        let mut parts = [&*text.wire, DOT, behind].map(IoSlice::new);
        match self.wire.send(&mut parts, timeouts.block).await {
            Err((written, fault)) if written < text.end() => Err((Step::Text, fault)),
            // The answer may be there even so.
            _ => self.heard(Step::Dot, 2, timeouts.dot).await,
        }
    }

    async fn ask(
        &mut self,
        step: Step,
        command: &str,
        class: u16,
        limit: Duration,
    ) -> Result<Answer, Failed> {
        self.wire.say(command.as_bytes(), limit).await.map_err(|fault| (step, fault))?;
        let heard = self.heard(step, class, limit).await;
        // A refusal leaves a transaction that may be open; a break leaves nothing.
        self.state = match &heard {
            Err((_, fault)) if !fault.leaves_line() || step == Step::Reset => State::Dead,
            _ => State::Open,
        };
        heard
    }

    async fn heard(&mut self, step: Step, class: u16, limit: Duration) -> Result<Answer, Failed> {
        let answer = self.wire.answer(limit).await;
        answer.and_then(|answer| due(answer, class)).map_err(|fault| (step, fault))
    }

    /// After a refusal: makes the line ready again, and announces the parcel that is next, where there
    /// is one and the server takes groups.
    pub(super) async fn tidy(&mut self, next: impl FnOnce(&Offers) -> Option<Commands>, timeouts: &Timeouts) {
        if self.state != State::Open {
            return;
        }
        let next = if self.offers.pipelining { next(&self.offers) } else { None };
        match next {
            Some(commands) => {
                let said = self.wire.say(&commands.group(true), timeouts.mail).await;
                self.state = if said.is_ok() { State::Begun { reset: true } } else { State::Dead };
            }
            None => {
                if self.ask(Step::Reset, RSET, 2, timeouts.rcpt).await.is_ok() {
                    self.state = State::Ready;
                }
            }
        }
    }

    /// Says goodbye, and does not insist on an answer.
    pub(super) async fn quit(mut self) {
        let patience = Duration::from_secs(2);
        let _ = timeout(patience, async {
            self.wire.say(b"QUIT\r\n", patience).await?;
            self.wire.answer(patience).await
        })
        .await;
    }
}

/// Parts a refusal, after which more is to be heard, from a break, after which nothing is.
fn as_said(heard: Result<Answer, Failed>) -> Result<Result<Answer, Failed>, Failed> {
    match heard {
        Err((step, fault)) if !fault.leaves_line() => Err((step, fault)),
        heard => Ok(heard),
    }
}
