//! Lines of the form `Name: value`, as in headers and reports (RFC 5322 §2.2, RFC 3464 §2.1.1).

/// Names in lower case, values in one line.
pub(super) type Fields = Vec<(String, String)>;

/// How many fields one block may have: headers of real mail have some 60.
const FIELDS: usize = 500;

/// Reads one block. What is no field is passed over.
pub(super) fn fields(block: &str) -> Fields {
    let mut fields: Fields = Vec::new();
    for line in block.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':')
            && is_name(name.trim_end())
        {
            if fields.len() == FIELDS {
                break;
            }
            fields.push((name.trim_end().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    fields
}

/// The blocks of a text, parted by empty lines.
pub(super) fn blocks(text: &str) -> Vec<Fields> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        if !line.trim().is_empty() {
            if let Some(block) = blocks.last_mut() {
                block.push_str(line);
                block.push('\n');
            }
        } else if blocks.last().is_some_and(|block| !block.is_empty()) && blocks.len() < FIELDS {
            blocks.push(String::new());
        }
    }
    blocks.iter().map(|block| fields(block)).filter(|fields| !fields.is_empty()).collect()
}

/// The first value of a name.
pub(super) fn value<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// RFC 5322 §3.6.8.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() < 80 && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

/// The addresses in a text, in small letters, as far as one can tell.
pub(super) fn addresses(text: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>()[]\",;:'`".contains(c);
    text.split(ends)
        .filter_map(|word| {
            let word = word.trim_end_matches(['.', '!', '?', '…']).trim_start_matches(['.', '=']);
            let (local, domain) = word.rsplit_once('@')?;
            let is_one =
                !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && word.len() <= 254;
            is_one.then(|| word.to_ascii_lowercase())
        })
        .take(FIELDS)
        .collect()
}
