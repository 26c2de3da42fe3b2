/// Line and column, both counted from 1, of a byte offset.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Where a slice of a text begins in it.
pub fn offset_in(text: &str, slice: &str) -> usize {
    (slice.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let text = "một\nhai ba";
        assert_eq!(position(text, offset_in(text, &text[text.len() - 2..])), (2, 5));
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 2), (1, 2), "inside of a letter counts as before it");
    }
}
