use super::{LabelId, Slug, Source, fold};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What articles are gathered by besides sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelKind {
    /// A tag.
    Tag,
    /// A byline.
    Author,
    /// Where an article comes from, if not from this newsroom's own pen.
    Source,
}

impl LabelKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Tag, Self::Author, Self::Source];

    /// Its word in URLs and in the store: `/feeds/tag:dai-hoi.rss`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Author => "author",
            Self::Source => "source",
        }
    }

    /// The kind of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A tag, byline or source with a feed of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name for ever; two spellings of a label are one.
    pub id: LabelId,
    /// What it is.
    pub kind: LabelKind,
    /// Its name in URLs.
    pub slug: Slug,
    /// Its name for people, as it was written first.
    pub title: String,
}

/// How many labels an article has feeds for. Beyond them it is a list of words, not a choice.
const MAX_LABELS: usize = 40;

/// A byline without the `<mail>` that some systems put behind it: Atom keeps the two apart,
/// readers take the pieces for a name and an address of their own, and nobody asked to be
/// written to.
pub fn person(byline: &str) -> &str {
    match byline.split_once(" <") {
        Some((person, mail)) if mail.ends_with('>') && mail.contains('@') => person,
        _ => byline,
    }
}

/// The labels under which an article is gathered, each once.
pub fn labels_of(tags: &[String], authors: &[String], source: Option<&Source>) -> Vec<Label> {
    let tags = tags.iter().map(|tag| (LabelKind::Tag, tag.as_str()));
    let authors = authors.iter().map(|author| (LabelKind::Author, person(author)));
    let sources = source.into_iter().map(|source| (LabelKind::Source, source.title.as_str()));
    let mut labels: Vec<Label> = Vec::new();
    for (kind, title) in tags.chain(authors).chain(sources) {
        if let Some(label) = Label::of(kind, title)
            && labels.len() < MAX_LABELS
            && labels.iter().all(|known| known.id != label.id)
        {
            labels.push(label);
        }
    }
    labels
}

/// The namespace of label ids: they are made of the label's letters (RFC 9562 §5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0x9b1d_5a0c_6e0f_4c56_8d0a_2f3e_7a41_c9e2);

impl Label {
    /// The label of a text. `None` where it has no letter or digit to be known by.
    pub fn of(kind: LabelKind, title: &str) -> Option<Self> {
        let folded = fold(title);
        if folded.is_empty() {
            return None;
        }
        let id = LabelId::new(Uuid::new_v5(&NAMESPACE, format!("{}:{folded}", kind.as_str()).as_bytes()));
        Some(Self { id, kind, slug: Slug::telling(&folded), title: title.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(title: &str) -> Label {
        Label::of(LabelKind::Tag, title).unwrap()
    }

    #[test]
    fn two_spellings_are_one_label() {
        assert_eq!(tag("Đại hội Đảng").id, tag("dai  hoi-đảng").id);
        assert_eq!(tag("Đại hội Đảng").slug.as_str(), "dai-hoi-dang");
        assert_ne!(tag("An").id, Label::of(LabelKind::Author, "An").unwrap().id);
        assert_eq!(Label::of(LabelKind::Tag, "😀 –"), None);
    }

    #[test]
    fn what_a_slug_cannot_say_a_digest_does() {
        let (one, two) = ("phóng sự ".repeat(20), "phóng sự ".repeat(21));
        assert_ne!(tag(&one).slug, tag(&two).slug);
        assert_ne!(tag("Tin 東京").slug, tag("Tin 大阪").slug);
        assert!(tag("東京").slug.as_str().len() == 10);
    }

    proptest! {
        #[test]
        fn a_label_has_one_slug(title in any::<String>()) {
            if let Some(label) = Label::of(LabelKind::Source, &title) {
                prop_assert!(Slug::parse(label.slug.as_str()).is_ok());
                prop_assert_eq!(Label::of(LabelKind::Source, &fold(&title)).unwrap().slug, label.slug);
            }
        }
    }
}
