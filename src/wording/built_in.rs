/// Every file of `templates/` that the program carries with it: path below the folder, content.
/// A test compares the list with the folder.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("messages/en.toml", include_str!("../../templates/messages/en.toml")),
    ("messages/vi.toml", include_str!("../../templates/messages/vi.toml")),
    // mail
    ("mail/base.html", include_str!("../../templates/mail/base.html")),
    ("mail/confirmation/body.html", include_str!("../../templates/mail/confirmation/body.html")),
    ("mail/confirmation/body.txt", include_str!("../../templates/mail/confirmation/body.txt")),
    ("mail/confirmation/subject.txt", include_str!("../../templates/mail/confirmation/subject.txt")),
    ("mail/digest/body.html", include_str!("../../templates/mail/digest/body.html")),
    ("mail/digest/body.txt", include_str!("../../templates/mail/digest/body.txt")),
    ("mail/digest/subject.txt", include_str!("../../templates/mail/digest/subject.txt")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|e| e != "md") {
                found.insert(path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }

    #[test]
    fn the_folder_and_the_list_agree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut found = BTreeSet::new();
        walk(&root, &root, &mut found);
        let listed: BTreeSet<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(found, listed);
    }
}
