//! Floor 1: the words that readers see, and the templates they stand in.
//!
//! Text lives in `templates/messages/{vi,en}.toml`, layout in `templates/page/` and
//! `templates/mail/`. Each file is built in, and each can be overridden alone: the caller reads
//! the newsroom's own files and hands them in, nothing here touches a disk.

mod built_in;
mod catalogue;
mod dates;
mod templates;
mod when;

pub use built_in::BUILT_IN;
pub use catalogue::{Catalogue, CatalogueFault};
pub use dates::{full_date, short_date, time_of_day};
pub use templates::{TemplateFault, Templates};
pub use when::when;
