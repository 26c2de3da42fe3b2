use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// The search form of a text: lower case, no diacritics, one blank between words.
///
/// Both the stored text and the query pass through here, so "xay dung dang" finds
/// "Xây dựng Đảng" on every engine. `đ` has no decomposition (UnicodeData.txt lists none for
/// U+0111) and neither SQLite's `unicode61` nor stripping marks folds it, so it is mapped by
/// hand; `Ð` (U+00D0, Icelandic eth) is what several Vietnamese sites type for `Đ`.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut gap = false;
    let mut take = |c: char| {
        let c = match c {
            'đ' | 'Đ' | 'ð' | 'Ð' => 'd',
            other => other,
        };
        if c.is_alphanumeric() {
            if gap && !folded.is_empty() {
                folded.push(' ');
            }
            gap = false;
            folded.extend(c.to_lowercase());
        } else {
            gap = true;
        }
    };
    for c in text.chars() {
        if c.is_ascii() {
            take(c);
        } else {
            // NFKD would also put marks in order, for nothing: they are dropped.
            decompose_compatible(c, |part| {
                if !is_combining_mark(part) {
                    take(part);
                }
            });
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    #[test]
    fn vietnamese_loses_every_mark() {
        assert_eq!(fold("Xây dựng Đảng"), "xay dung dang");
        assert_eq!(fold("Đắk Lắk, đồng bào – giường"), "dak lak dong bao giuong");
        assert_eq!(fold("ÐẢNG"), "dang");
    }

    #[test]
    fn composed_and_decomposed_are_one() {
        let composed = "Thủ tướng";
        let decomposed: String = composed.nfd().collect();
        assert_ne!(composed, decomposed);
        assert_eq!(fold(composed), fold(&decomposed));
    }

    #[test]
    fn tone_mark_placement_does_not_matter() {
        assert_eq!(fold("Văn hóa"), fold("Văn hoá"));
        assert_eq!(fold("Tỉnh ủy"), fold("Tỉnh uỷ"));
    }

    #[test]
    fn nothing_but_punctuation_is_empty() {
        assert_eq!(fold("… – !"), "");
    }

    proptest! {
        #[test]
        fn every_form_of_a_text_folds_alike(text in any::<String>()) {
            prop_assert_eq!(fold(&text), fold(&text.nfkd().collect::<String>()));
            prop_assert_eq!(fold(&text), fold(&text.nfc().collect::<String>()));
        }
    }
}
