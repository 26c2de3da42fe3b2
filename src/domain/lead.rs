use super::clean_line;

/// What the editor writes above the articles of an edition: plain text in paragraphs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead(String);

/// A text that cannot be a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeadError {
    /// Nothing that can be seen.
    #[error("a lead cannot be blank; `--none` takes it away")]
    Blank,
    /// Readers came for the articles.
    #[error("a lead has at most {most} characters, this one {0}; write an article instead", most = Lead::MOST_CHARS)]
    Long(usize),
}

impl Lead {
    /// Enough for a letter to the readers, little beside the 100 kB of a mail.
    pub const MOST_CHARS: usize = 4_000;

    /// Reads a text: a blank line ends a paragraph, other line ends are those of a narrow window.
    pub fn parse(text: &str) -> Result<Self, LeadError> {
        let mut paragraphs = vec![String::new()];
        for line in text.lines().map(clean_line) {
            match paragraphs.last_mut() {
                Some(last) if line.is_empty() && !last.is_empty() => paragraphs.push(String::new()),
                Some(last) if last.is_empty() => last.push_str(&line),
                Some(last) if !line.is_empty() => {
                    last.push(' ');
                    last.push_str(&line);
                }
                _ => {}
            }
        }
        paragraphs.retain(|paragraph| !paragraph.is_empty());
        let lead = paragraphs.join("\n\n");
        match lead.chars().count() {
            0 => Err(LeadError::Blank),
            many if many > Self::MOST_CHARS => Err(LeadError::Long(many)),
            _ => Ok(Self(lead)),
        }
    }

    /// The text, with a blank line between paragraphs.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its paragraphs, one line each.
    pub fn paragraphs(&self) -> impl Iterator<Item = &str> {
        self.0.split("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blank_lines_part_paragraphs_and_others_do_not() {
        let lead = Lead::parse("\r\nChào buổi sáng,\nbạn đọc  thân mến.\r\n\r\n \n\nHôm nay\u{200b} mưa.\n")
            .unwrap();
        let paragraphs: Vec<&str> = lead.paragraphs().collect();
        assert_eq!(paragraphs, ["Chào buổi sáng, bạn đọc thân mến.", "Hôm nay mưa."]);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert_eq!(Lead::parse(" \n\u{200b}\r\n"), Err(LeadError::Blank));
        assert!(Lead::parse(&"ấ".repeat(Lead::MOST_CHARS)).is_ok());
        assert_eq!(Lead::parse(&"ấ".repeat(4_001)), Err(LeadError::Long(4_001)));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read_again_as_it_was(text in any::<String>()) {
            if let Ok(lead) = Lead::parse(&text) {
                prop_assert_eq!(Lead::parse(lead.as_str()), Ok(lead.clone()));
                prop_assert!(lead.paragraphs().all(|p| !p.is_empty() && !p.contains(['\r', '\n'])));
            }
        }
    }
}
