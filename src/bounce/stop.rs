use super::Returns;
use crate::domain::{EditionId, Instant};
use crate::store::StoreError;

impl Returns {
    /// Stops an edition of which too much is refused or comes back, or of which too many complain. Once:
    /// who lets it go on has decided.
    pub async fn look_at(&self, edition: EditionId, now: Instant) -> Result<(), StoreError> {
        let figures = self.store.edition_figures(edition).await?;
        let (accepted, refused, complained) = (figures.accepted, figures.bounced, figures.complained);
        let answered = accepted + refused;
        let why = if self.breaker.stops(accepted, refused) {
            format!("{refused} of {answered} letters were refused")
        } else if self.breaker.stops_for_complaints(accepted, complained) {
            format!("of {accepted} readers {complained} complained")
        } else {
            return Ok(());
        };
        if !figures.was_stopped
            && self.store.hold_edition(edition, &why, now).await?
            && self.store.note_stop(edition, now).await?
        {
            tracing::error!(edition.id = %edition, refused, complained, answered,
                "an edition is stopped, too many of its letters are refused or complained of; `bantin digest \
                 failures {edition}` tells why, `bantin digest release {edition}` lets it go on");
        }
        Ok(())
    }
}
