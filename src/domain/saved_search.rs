use super::{SearchId, clean_line, excerpt, fold};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

/// The longest title, in characters.
const TITLE_CHARS: usize = 100;

/// How many words a search may have. Who asks for more asks for one article.
const WORDS: usize = 8;

/// The longest word, in characters; as long as the words that articles are found by.
const WORD_CHARS: usize = 60;

/// The namespace of search ids: they are made of the search's words (RFC 9562 §5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0x5c60_7d0e_19a3_4f0b_b1f4_8a2e_30d7_6e11);

/// What a reader is told of whenever an article holds all its words, in any order, with or without
/// their diacritics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSearch {
    /// Its name for ever; made of its words, so two spellings are one search.
    pub id: SearchId,
    /// Its words as articles are found by them: folded, in order, each once.
    pub words: Vec<String>,
    /// As it was typed first, composed (NFC) and cleaned.
    pub title: String,
}

impl SavedSearch {
    /// The search of what somebody typed. `None` where there is no word in it.
    pub fn of(typed: &str) -> Option<Self> {
        let title = excerpt(&clean_line(&typed.nfc().collect::<String>()), TITLE_CHARS);
        let folded = fold(&title);
        let mut words: Vec<String> =
            folded.split_whitespace().map(|word| word.chars().take(WORD_CHARS).collect()).collect();
        words.truncate(WORDS);
        words.sort_unstable();
        words.dedup();
        let id = SearchId::new(Uuid::new_v5(&NAMESPACE, words.join(" ").as_bytes()));
        (!words.is_empty()).then_some(Self { id, words, title })
    }

    /// The word by which candidates are found: the longest, as the one that the fewest articles hold.
    pub fn telling_word(&self) -> &str {
        let longest = self.words.iter().max_by_key(|word| (word.chars().count(), std::cmp::Reverse(*word)));
        longest.map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(typed: &str) -> SavedSearch {
        SavedSearch::of(typed).unwrap()
    }

    #[test]
    fn spellings_of_one_search_are_one() {
        let search = of("Nước  mặn, Đồng bằng");
        assert_eq!(search.words, ["bang", "dong", "man", "nuoc"]);
        assert_eq!(search.id, of("dong bang nuoc man nước").id);
        assert_eq!(search.id, of(&"nước mặn đồng bằng".nfd().collect::<String>()).id);
        assert_ne!(search.id, of("nước mặn").id);
        assert_eq!(search.telling_word(), "bang");
        assert_eq!(SavedSearch::of(" – “”!"), None);
    }

    #[test]
    fn a_title_is_composed_and_short() {
        let typed: String = "Thủ tướng\u{202e}".nfd().collect();
        assert_eq!(of(&typed).title, "Thủ tướng");
        assert!(of(&"xâm nhập mặn ".repeat(100)).title.chars().count() <= TITLE_CHARS + 1);
    }
}
