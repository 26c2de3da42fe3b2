/// What a letter about a subscription is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// "Is it you who asked?"
    Confirmation,
    /// What comes, and when for the first time.
    Welcome,
    /// Nothing comes any more; a way back.
    Goodbye,
    /// To a new address: "shall your mail come here?"
    Address,
    /// To the former address: your mail goes elsewhere now; a way back.
    Moved,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Confirmation, Self::Welcome, Self::Goodbye, Self::Address, Self::Moved];

    /// Its word in the store and in messages, and the folder of its template.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation",
            Self::Welcome => "welcome",
            Self::Goodbye => "goodbye",
            Self::Address => "address",
            Self::Moved => "moved",
        }
    }

    /// Reads a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}
