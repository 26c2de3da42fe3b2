use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Whether a character may stand in an XML 1.0 document (§2.2, production `Char`), less the
/// C1 controls and the noncharacters, which are legal there but which readers choke on.
pub fn is_allowed_char(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => false,
        '\u{fdd0}'..='\u{fdef}' => false,
        c => (c as u32) & 0xfffe != 0xfffe,
    }
}

/// Characters that are seen by nobody and break searching, sorting and copying: soft hyphen,
/// grapheme joiner, zero-width blanks, directional marks, byte-order mark, and the long strokes
/// that copy protection puts behind each letter.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{33c}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

/// Joins emoji (U+200D) are kept between two symbols, where they make one picture of two.
fn keep(c: char, previous: Option<char>) -> bool {
    is_allowed_char(c)
        && (!is_invisible(c) || (c == '\u{200d}' && previous.is_some_and(|p| p as u32 > 0x2000)))
}

fn clean_chars(text: &str) -> String {
    let mut clean = kept_chars(text);
    // What stood between a letter and its mark is gone, and they make one now: `e`, nothing seen, `◌̂`.
    while !is_nfc(&clean) {
        clean = kept_chars(&clean);
    }
    clean
}

fn kept_chars(text: &str) -> String {
    let mut previous = None;
    let kept = text.nfc().filter(|&c| {
        let kept = keep(c, previous);
        previous = if kept { Some(c) } else { previous };
        kept
    });
    kept.collect()
}

/// Whether a character is clean beside any other: allowed, seen, and left alone by NFC, which none of
/// these blocks' characters takes part in once composed (UAX #15: NFC_QC=Yes, ccc=0). Enough for
/// Vietnamese prose.
fn is_plainly_clean(c: char) -> bool {
    matches!(
        c,
        ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}'
            | '\u{2010}'..='\u{2027}' | '\u{20ab}'
    )
}

/// One line of clean text: NFC, no control or invisible characters, blanks folded into one.
pub fn clean_line(text: &str) -> String {
    // A twentieth of the time: every body is looked through whenever a feed is rendered.
    if text.chars().all(is_plainly_clean) && !text.contains("  ") {
        return text.trim_matches(' ').to_owned();
    }
    if text.chars().all(|c| is_plainly_clean(c) || matches!(c, '\n' | '\r' | '\t')) {
        return folded_line(text.chars(), text.len());
    }
    folded_line(clean_chars(text).chars(), text.len())
}

fn folded_line(clean: impl Iterator<Item = char>, bytes: usize) -> String {
    let mut line = String::with_capacity(bytes);
    for c in clean {
        if c.is_whitespace() || matches!(c, '\u{2028}' | '\u{2029}') {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else {
            line.push(c);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Clean text of several paragraphs: as [`clean_line`], but each line break is kept and blank
/// lines separate paragraphs.
pub fn clean_paragraphs(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut blank = 0;
    for line in text.lines().map(clean_line) {
        if line.is_empty() {
            blank += 1;
            continue;
        }
        if !clean.is_empty() {
            clean.push_str(if blank > 0 { "\n\n" } else { "\n" });
        }
        blank = 0;
        clean.push_str(&line);
    }
    clean
}

/// The beginning of a text, at most `max_chars` long, cut between words, with an ellipsis.
pub fn excerpt(text: &str, max_chars: usize) -> String {
    let line = clean_line(text);
    if line.chars().count() <= max_chars {
        return line;
    }
    // One character more than fits, so that a word which just fits is not lost.
    let cut: String = line.chars().take(max_chars).collect();
    let end = cut
        .rfind(' ')
        .filter(|end| *end * 2 > cut.len())
        .unwrap_or_else(|| cut.char_indices().last().map_or(0, |(last, _)| last));
    format!("{}…", cut[..end].trim_end_matches([' ', ',', ';', '.', '-', '–']))
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Plain text as HTML content, or as a double-quoted attribute.
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn controls_and_invisible_characters_go() {
        assert_eq!(clean_line("a\u{b}b\u{1}c\u{fffe}d"), "abcd");
        assert_eq!(clean_line("\u{feff}Xây\u{200b} dựng\u{a0}\n Đảng "), "Xây dựng Đảng");
        assert_eq!(clean_line("👩\u{200d}👩"), "👩\u{200d}👩");
    }

    #[test]
    fn decomposed_text_is_composed() {
        assert_eq!(clean_line("Đa\u{309}ng"), "Đảng");
        assert_eq!(clean_line("Đa\u{200b}\u{309}ng"), "Đảng", "also where something unseen stood between");
        assert_eq!(clean_line("e\u{ad}\u{302}\u{1}\u{301}"), "ế");
    }

    #[test]
    fn a_joiner_stands_between_what_is_left() {
        for text in ["a\u{200b}\u{200d}b", "a\u{feff}\u{200d}b"] {
            assert_eq!(clean_line(text), "ab", "{text:?}");
        }
        assert_eq!(clean_line("👩\u{200b}\u{200d}👩"), "👩\u{200d}👩");
    }

    #[test]
    fn paragraphs_stay_apart() {
        assert_eq!(clean_paragraphs("a\r\n\r\n\r\nb\nc  d\n"), "a\n\nb\nc d");
    }

    #[test]
    fn an_excerpt_ends_between_words() {
        assert_eq!(excerpt("một hai ba bốn", 11), "một hai ba…");
        assert_eq!(excerpt("một", 10), "một");
    }

    #[test]
    fn what_is_plainly_clean_is_left_alone() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| is_plainly_clean(*c)) {
            let twice = format!("a{c}{c}a");
            assert_eq!(clean_chars(&twice), twice, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn prose_is_cleaned_as_anything_is(text in "[a-zÀ-ÿĂăĐđƠơƯưẠ-ỹ \\n\\t\\r–“”…₫]*") {
            prop_assert_eq!(clean_line(&text), folded_line(clean_chars(&text).chars(), 0));
        }

        #[test]
        fn cleaning_is_stable_and_legal(
            text in prop_oneof![any::<String>(), "[aeq\u{1}\u{ad}\u{200b}\u{200d}\u{301}\u{302}\u{323}\u{593}\u{5b3}\u{20e8}👩 ]*"],
        ) {
            let once = clean_line(&text);
            prop_assert!(once.chars().all(is_allowed_char) && is_nfc(&once));
            prop_assert_eq!(clean_line(&once), once);
        }
    }
}
