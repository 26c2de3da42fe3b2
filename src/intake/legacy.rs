//! Vietnamese in the encodings before Unicode: TCVN3 (ABC) and VNI, as bytes or shown as Latin letters.
//!
//! Neither has a name that a page could declare, so they are told by their effect: what becomes
//! Vietnamese syllables when it is read so, and is none as it stands, was written so.

use encoding_rs::WINDOWS_1252;
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization as _;

/// TCVN3's letters by their byte, as Latin-1 shows it. Capitals with tones are small letters in
/// another font, so they come out small.
const TCVN3: [(char, char); 74] = [
    ('µ', 'à'),
    ('¸', 'á'),
    ('¶', 'ả'),
    ('·', 'ã'),
    ('¹', 'ạ'),
    ('¨', 'ă'),
    ('»', 'ằ'),
    ('¾', 'ắ'),
    ('¼', 'ẳ'),
    ('½', 'ẵ'),
    ('Æ', 'ặ'),
    ('©', 'â'),
    ('Ç', 'ầ'),
    ('Ê', 'ấ'),
    ('È', 'ẩ'),
    ('É', 'ẫ'),
    ('Ë', 'ậ'),
    ('®', 'đ'),
    ('Ì', 'è'),
    ('Ð', 'é'),
    ('Î', 'ẻ'),
    ('Ï', 'ẽ'),
    ('Ñ', 'ẹ'),
    ('ª', 'ê'),
    ('Ò', 'ề'),
    ('Õ', 'ế'),
    ('Ó', 'ể'),
    ('Ô', 'ễ'),
    ('Ö', 'ệ'),
    ('×', 'ì'),
    ('Ý', 'í'),
    ('Ø', 'ỉ'),
    ('Ü', 'ĩ'),
    ('Þ', 'ị'),
    ('ß', 'ò'),
    ('ã', 'ó'),
    ('á', 'ỏ'),
    ('â', 'õ'),
    ('ä', 'ọ'),
    ('«', 'ô'),
    ('å', 'ồ'),
    ('è', 'ố'),
    ('æ', 'ổ'),
    ('ç', 'ỗ'),
    ('é', 'ộ'),
    ('¬', 'ơ'),
    ('ê', 'ờ'),
    ('í', 'ớ'),
    ('ë', 'ở'),
    ('ì', 'ỡ'),
    ('î', 'ợ'),
    ('ï', 'ù'),
    ('ó', 'ú'),
    ('ñ', 'ủ'),
    ('ò', 'ũ'),
    ('ô', 'ụ'),
    ('\u{ad}', 'ư'),
    ('õ', 'ừ'),
    ('ø', 'ứ'),
    ('ö', 'ử'),
    ('÷', 'ữ'),
    ('ù', 'ự'),
    ('ú', 'ỳ'),
    ('ý', 'ý'),
    ('û', 'ỷ'),
    ('ü', 'ỹ'),
    ('þ', 'ỵ'),
    ('¡', 'Ă'),
    ('¢', 'Â'),
    ('£', 'Ê'),
    ('¤', 'Ô'),
    ('¥', 'Ơ'),
    ('¦', 'Ư'),
    ('§', 'Đ'),
];

/// VNI's letters that stand alone.
const VNI_ALONE: [(char, char); 16] = [
    ('ñ', 'đ'),
    ('Ñ', 'Đ'),
    ('ô', 'ơ'),
    ('Ô', 'Ơ'),
    ('ö', 'ư'),
    ('Ö', 'Ư'),
    ('æ', 'ỉ'),
    ('Æ', 'Ỉ'),
    ('ó', 'ĩ'),
    ('Ó', 'Ĩ'),
    ('ò', 'ị'),
    ('Ò', 'Ị'),
    ('î', 'ỵ'),
    ('Î', 'Ỵ'),
    ('ì', 'ì'),
    ('í', 'í'),
];

/// VNI's marks, which follow their letter; as combining marks of Unicode.
const VNI_MARKS: [(char, &str); 15] = [
    ('ø', "\u{300}"),
    ('ù', "\u{301}"),
    ('û', "\u{309}"),
    ('õ', "\u{303}"),
    ('ï', "\u{323}"),
    ('ê', "\u{306}"),
    ('é', "\u{306}\u{301}"),
    ('è', "\u{306}\u{300}"),
    ('ú', "\u{306}\u{309}"),
    ('ü', "\u{306}\u{303}"),
    ('ë', "\u{306}\u{323}"),
    ('â', "\u{302}"),
    ('á', "\u{302}\u{301}"),
    ('à', "\u{302}\u{300}"),
    ('ä', "\u{302}\u{323}"),
];
const VNI_MORE_MARKS: [(char, &str); 2] = [('å', "\u{302}\u{309}"), ('ã', "\u{302}\u{303}")];

fn from_tcvn3(text: &str) -> String {
    text.chars().map(|c| TCVN3.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to)).collect()
}

fn from_vni(text: &str) -> String {
    let mut made = String::with_capacity(text.len() + 16);
    let mut before = ' ';
    for c in text.chars() {
        let small = c.to_lowercase().next().unwrap_or(c);
        let carries = matches!(before.to_ascii_lowercase(), 'a' | 'e' | 'o' | 'u' | 'y')
            || matches!(before, 'ô' | 'Ô' | 'ö' | 'Ö');
        let mark =
            VNI_MARKS.iter().chain(&VNI_MORE_MARKS).find(|(from, _)| *from == small).filter(|_| carries);
        match mark {
            Some((_, mark)) => made.push_str(mark),
            None => made.push(VNI_ALONE.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to)),
        }
        before = c;
    }
    made.nfc().collect()
}

/// UTF-8 that somebody took for windows-1252.
fn from_latin_utf8(text: &str) -> Option<String> {
    let (bytes, _, unmappable) = WINDOWS_1252.encode(text);
    if unmappable {
        return None;
    }
    String::from_utf8(bytes.into_owned()).ok()
}

/// A Vietnamese syllable in Unicode. Made once: that takes longer than reading an article with it.
static SYLLABLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        "(?i)^(?:b|ch?|d|đ|gh?|gi|h|kh?|l|m|ngh?|nh?|ph?|qu|r|s|th?|tr|v|x)?[aăâeêioôơuưyàáảãạằắẳẵặầấẩẫậèéẻẽẹềếểễệìíỉĩịòóỏõọồốổỗộờớởỡợùúủũụừứửữựỳýỷỹỵ]{1,3}(?:ch?|m|ngh?|nh|n|p|t)?$",
    )
    .ok()
});

/// Of the words with a letter outside ASCII, how many are Vietnamese syllables, of a hundred.
fn syllables(text: &str, pattern: &Regex) -> (usize, usize) {
    const ENOUGH: usize = 400;
    let words = text
        .split(|c: char| c.is_whitespace() || c.is_ascii_punctuation() || matches!(c, '“' | '”' | '…' | '–'));
    let words = words.filter(|word| !word.is_ascii()).take(ENOUGH);
    let (mut all, mut good) = (0, 0);
    for word in words {
        all += 1;
        good += usize::from(pattern.is_match(word));
    }
    (good * 100 / all.max(1), all)
}

/// Reads a text that was written in an old encoding, and says in which. Nothing where it is good as it stands.
pub fn mended(text: &str) -> Option<(String, &'static str)> {
    /// Fewer words tell nothing: French has some that look as if.
    const WORDS: usize = 6;
    // These stand in every longer text of TCVN3, VNI and twice-coded UTF-8, and seldom in one of Unicode.
    const SIGNS: &str = "µ¸¶·¹¨»¾¼½©®ª«¬\u{ad}ßøûïöñåæÆÄ»ºáàâäãÃÑÖÔ";
    let head: Cow<'_, str> = match text.char_indices().nth(20_000) {
        Some((end, _)) => text[..end].into(),
        None => text.into(),
    };
    if !head.chars().any(|c| SIGNS.contains(c)) {
        return None;
    }
    let pattern = SYLLABLE.as_ref()?;
    let (now, words) = syllables(&head, pattern);
    if words < WORDS || now >= 60 {
        return None;
    }
    let candidates = [
        (from_latin_utf8(&head), "UTF-8 taken for windows-1252"),
        (Some(from_tcvn3(&head)), "TCVN3"),
        (Some(from_vni(&head)), "VNI"),
    ];
    let scored = candidates.into_iter().filter_map(|(text, name)| Some((syllables(&text?, pattern).0, name)));
    let (best, name) = scored.max_by_key(|(score, _)| *score)?;
    if best < 85 || best < now + 25 {
        return None;
    }
    let whole = match name {
        "TCVN3" => from_tcvn3(text),
        "VNI" => from_vni(text),
        _ => from_latin_utf8(text)?,
    };
    Some((whole, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Đảng ủy xã họp bàn về nhiệm vụ những tháng cuối năm, người dân phấn khởi trước mùa lúa mới được giá cao";

    /// The table read backwards.
    fn to_tcvn3(text: &str) -> String {
        text.chars()
            .map(|c| TCVN3.iter().rev().find(|(_, to)| *to == c).map_or(c, |(from, _)| *from))
            .collect()
    }

    #[test]
    fn old_encodings_are_told_by_their_effect() {
        let (mended_text, name) = mended(&to_tcvn3(TEXT)).unwrap();
        assert_eq!((mended_text.as_str(), name), (TEXT, "TCVN3"));
        // As a person of that time typed it: "Coäng hoøa xaõ hoäi chuû nghóa Vieät Nam".
        let vni =
            "Coäng hoøa xaõ hoäi chuû nghóa Vieät Nam, ñoäc laäp töï do haïnh phuùc, Ñaûng uûy xaõ hoïp";
        let (text, name) = mended(vni).unwrap();
        assert_eq!(
            (text.as_str(), name),
            ("Cộng hòa xã hội chủ nghĩa Việt Nam, độc lập tự do hạnh phúc, Đảng ủy xã họp", "VNI")
        );
        // 0x81, 0x8d … are controls in windows-1252, which it keeps.
        let twice: String = WINDOWS_1252.decode_without_bom_handling(TEXT.as_bytes()).0.into_owned();
        assert_eq!(mended(&twice).unwrap().0, TEXT);
    }

    #[test]
    fn what_is_good_is_left_alone() {
        for text in [
            TEXT,
            "Café, crème brûlée, façade, élève, déjà vu, naïveté, garçon, château",
            "A © B ® C µm 5 ± 3 × 4 ÷ 2",
            "Ảnh: ©TTXVN «trích» dẫn",
        ] {
            assert_eq!(mended(text), None, "{text}");
        }
    }
}
