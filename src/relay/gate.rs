use super::Handing;

/// Says whether a parcel's text may go, in the moment in which the mail server waits for it: until then
/// nothing can have arrived, whatever becomes of us.
pub trait Gate: Send + Sync {
    /// Whether it may go now.
    fn opens(&self) -> Handing<'_, bool>;
}

/// The gate did not open: no text went, and the parcel is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shut;

/// Where nobody has anything against it.
pub(super) struct Unguarded;

impl Gate for Unguarded {
    fn opens(&self) -> Handing<'_, bool> {
        Box::pin(async { true })
    }
}
