use crate::domain::{Attempt, Backoff, DeliveryKind, Instant, Outcome};
use crate::store::Settlement;

/// After how many seconds a letter is due again that no mail server heard of. Meanwhile the relay's
/// own rest decides who tries.
const UNTRIED: f64 = 30.0;

/// What the newsroom decides about letters that do not simply arrive.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How what was deferred is tried again, and for how long.
    pub backoff: Backoff,
    /// Whether an edition's letter that may have been taken waits for a person, rather than being sent
    /// again under its Message-ID.
    pub holds_uncertain: bool,
}

impl Rules {
    /// Whether doubt about such a letter is a person's to settle. A confirmation is for somebody who
    /// waits for it, and a second one harms nobody.
    pub fn holds(&self, kind: DeliveryKind) -> bool {
        self.holds_uncertain && kind == DeliveryKind::Edition
    }

    /// What a try's outcome means for the delivery.
    pub(super) fn settlement(
        &self,
        kind: DeliveryKind,
        attempt: Attempt,
        since: Instant,
        now: Instant,
        jitter: impl Fn() -> f64,
        outcome: Outcome,
    ) -> Settlement {
        let next = || self.backoff.delay(attempt, since, now, jitter()).map(|delay| now + delay);
        match outcome {
            Outcome::Accepted(reply) => Settlement::Accepted(reply.words),
            Outcome::Refused(reply) => Settlement::Bounced(reply.words),
            Outcome::Suppressed(why) => Settlement::Suppressed(why),
            Outcome::Deferred(reply) => match next() {
                Some(next) => Settlement::Deferred { reply: reply.words, next },
                None => {
                    let days = (now - since).num_days();
                    Settlement::Bounced(format!("given up after {days} days: {reply}"))
                }
            },
            // A relay that is down is asked again soon, and is no reason to give a letter up.
            Outcome::Untried(reply) => {
                let wait = (UNTRIED * 1_000.0 * (1.0 + jitter())) as i64;
                let next = now + chrono::Duration::milliseconds(wait);
                Settlement::PutOff { reply: Some(reply.words), next }
            }
            // The same letter under the same Message-ID is harmless where it did arrive.
            Outcome::Uncertain(reply) => {
                let next = if self.holds(kind) { None } else { next() };
                Settlement::Uncertain { reply: reply.words, next }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MAIL_BACKOFF;

    fn rules(holds_uncertain: bool) -> Rules {
        Rules { backoff: MAIL_BACKOFF, holds_uncertain }
    }

    fn settled(rules: Rules, kind: DeliveryKind, days: i64, outcome: Outcome) -> Settlement {
        let since = Instant::default();
        rules.settlement(kind, Attempt(1), since, since + chrono::Duration::days(days), || 0.0, outcome)
    }

    #[test]
    fn a_letter_that_nobody_heard_is_never_given_up() {
        let untried =
            settled(rules(true), DeliveryKind::Edition, 90, Outcome::Untried("no connection".into()));
        let Settlement::PutOff { reply: Some(_), next } = untried else { panic!("{untried:?}") };
        let waits = next - (Instant::default() + chrono::Duration::days(90));
        assert!((30..=60).contains(&waits.num_seconds()), "{waits}");
    }

    #[test]
    fn a_deferred_letter_is_tried_as_long_as_patience_lasts() {
        let deferred = || Outcome::Deferred("451 4.3.0 later".into());
        let after = |rules, days| settled(rules, DeliveryKind::Edition, days, deferred());
        assert!(matches!(after(rules(false), 4), Settlement::Deferred { .. }));
        let Settlement::Bounced(why) = after(rules(false), 6) else { panic!() };
        assert!(why.starts_with("given up after 6 days: 451"), "{why}");
        let patience = chrono::Duration::days(1);
        let short = Rules { backoff: Backoff { patience, ..MAIL_BACKOFF }, ..rules(false) };
        assert!(matches!(after(short, 4), Settlement::Bounced(_)));
    }

    #[test]
    fn doubt_is_repeated_or_held_as_the_newsroom_decides() {
        let lost = || Outcome::Uncertain("lost".into());
        let next = |holds, kind| match settled(rules(holds), kind, 0, lost()) {
            Settlement::Uncertain { next, .. } => next,
            other => panic!("{other:?}"),
        };
        assert!(next(false, DeliveryKind::Edition).is_some());
        assert!(next(true, DeliveryKind::Edition).is_none());
        assert!(next(true, DeliveryKind::Confirmation).is_some(), "somebody waits for it");
    }
}
