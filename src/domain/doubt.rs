use serde::{Deserialize, Serialize};

/// What of an article a person should decide, since it was only guessed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The field, as JSON names it.
    pub field: String,
    /// By what it was told.
    pub rule: String,
}

impl Doubt {
    /// In one sentence, with the option that settles it.
    pub fn told(&self) -> String {
        let mend = match self.field.as_str() {
            "title" => "give it with --title",
            "published" => "give it with --published",
            _ => "look at it with `bantin article show`",
        };
        format!("its {} is doubtful ({}); {mend}", self.field, self.rule)
    }
}
