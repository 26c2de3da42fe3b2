use super::{Fault, Warning, legacy};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, WINDOWS_1258};
use std::borrow::Cow;

/// How far into a page its encoding may be declared (HTML Living Standard §13.2.3.2 says 1024;
/// pages with long comments in front need more).
const DECLARATION_WITHIN: usize = 4096;

/// The beginning of an input, for looking at it only.
pub fn peek(bytes: &[u8], length: usize) -> Cow<'_, str> {
    let head = &bytes[..bytes.len().min(length)];
    match Encoding::for_bom(bytes) {
        Some((encoding, _)) if encoding != UTF_8 => encoding.decode(head).0,
        _ => String::from_utf8_lossy(head),
    }
}

/// Makes text of bytes: byte-order mark, then UTF-8 where it is that, then what the document
/// declares, then Vietnamese windows-1258. Whatever had to be guessed comes with a warning.
pub fn decode(bytes: &[u8], warnings: &mut Vec<Warning>) -> Result<String, Fault> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let (text, damaged) = encoding.decode_without_bom_handling(&bytes[mark..]);
        return finish(text, damaged, encoding, warnings);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return finish(text.into(), false, UTF_8, warnings);
    }
    if looks_binary(bytes) {
        return Err(not_text());
    }
    let declared = declared(&bytes[..bytes.len().min(DECLARATION_WITHIN)]);
    match declared.and_then(|label| Encoding::for_label(label.as_bytes())) {
        Some(encoding) if ![UTF_8, UTF_16LE, UTF_16BE].contains(&encoding) => {
            // Vietnamese pages that say "iso-8859-1" mean the code page of Vietnamese Windows.
            // Or TCVN3 and VNI, which have no name to be declared by.
            let latin = WINDOWS_1252.decode_without_bom_handling(bytes).0;
            if encoding == WINDOWS_1252 && legacy::mended(&latin).is_some() {
                return finish(latin, false, encoding, warnings);
            }
            let encoding = if encoding == WINDOWS_1252 { WINDOWS_1258 } else { encoding };
            let (text, damaged) = encoding.decode_without_bom_handling(bytes);
            finish(text, damaged, encoding, warnings)
        }
        Some(_) => finish(String::from_utf8_lossy(bytes), true, UTF_8, warnings),
        None => {
            let lossy = String::from_utf8_lossy(bytes);
            let broken = lossy.matches('\u{fffd}').count();
            // A few broken bytes are damage; many mean that this was never UTF-8.
            if broken * 50 <= lossy.chars().count() {
                return finish(lossy, true, UTF_8, warnings);
            }
            // TCVN3 and VNI are told from the Latin letters that their bytes stand for.
            let latin = WINDOWS_1252.decode_without_bom_handling(bytes).0;
            if legacy::mended(&latin).is_some() {
                return finish(latin, false, WINDOWS_1252, warnings);
            }
            warnings.push(Warning::new(
                None,
                "the bytes are not UTF-8 and declare no encoding; they were read as windows-1258. Save the file as UTF-8 if letters look wrong",
            ));
            let (text, damaged) = WINDOWS_1258.decode_without_bom_handling(bytes);
            finish(text, damaged, WINDOWS_1258, warnings)
        }
    }
}

fn finish(
    text: Cow<'_, str>,
    damaged: bool,
    encoding: &'static Encoding,
    warnings: &mut Vec<Warning>,
) -> Result<String, Fault> {
    let (mut controls, mut seen) = (0, 0);
    for c in text.chars().take(8192) {
        seen += 1;
        controls += usize::from(c == '\0' || (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}')));
    }
    if seen > 0 && controls * 20 > seen {
        return Err(not_text());
    }
    if damaged {
        let line = text.find('\u{fffd}').map(|at| text[..at].matches('\n').count() + 1);
        warnings.push(Warning::new(
            line,
            format!(
                "some bytes are not {}; they were replaced by U+FFFD. Save the file as UTF-8",
                encoding.name()
            ),
        ));
    }
    match legacy::mended(&text) {
        Some((mended, name)) => {
            warnings.push(Warning::new(
                None,
                format!("the text is {name}, shown as other letters; it was mended"),
            ));
            Ok(mended)
        }
        None => Ok(text.into_owned()),
    }
}

fn not_text() -> Fault {
    Fault::new(None, "this is not text but a binary file; give the page as text, HTML, JSON or a feed")
}

fn looks_binary(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(8192)];
    let controls = head.iter().filter(|b| **b < 9 || (14..27).contains(*b) || **b == 127).count();
    head.contains(&0) || controls * 20 > head.len()
}

/// The encoding's name in `<?xml encoding="…"?>`, `<meta charset>` or `<meta http-equiv>`.
fn declared(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    ["encoding", "charset"].into_iter().find_map(|word| {
        let after = &head[head.find(word)? + word.len()..];
        let value = after.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
        let label: String = value
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.'))
            .collect();
        (!label.is_empty()).then_some(label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> (String, usize) {
        let mut warnings = Vec::new();
        let text = decode(bytes, &mut warnings).unwrap();
        (text, warnings.len())
    }

    #[test]
    fn marks_and_declarations_are_obeyed() {
        assert_eq!(decoded("\u{feff}Đảng".as_bytes()), ("Đảng".into(), 0));
        let utf16: Vec<u8> = "\u{feff}Đảng".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decoded(&utf16), ("Đảng".into(), 0));
        // windows-1258: 0xD0 is Đ, 0xD2 the hook above, which combines.
        let (text, warnings) = decoded(b"<meta charset=\"windows-1258\"><p>\xd0a\xd2ng");
        assert!(text.ends_with("Đa\u{309}ng") && warnings == 0, "{text}");
        let (text, _) = decoded(b"<?xml version='1.0' encoding='iso-8859-1'?><rss>\xd0</rss>");
        assert!(text.contains('Đ'));
    }

    #[test]
    fn damage_is_told_and_binary_refused() {
        let (text, warnings) = decoded(&[&"Sóc Trăng ".repeat(20).into_bytes()[..], b"\xff"].concat());
        assert!(text.ends_with('\u{fffd}') && warnings == 1);
        assert!(decode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff", &mut Vec::new()).is_err());
        assert!(decode(&[0; 100], &mut Vec::new()).is_err());
    }
}
