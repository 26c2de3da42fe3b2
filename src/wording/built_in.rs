/// Every file of `templates/` that the program carries with it: path below the folder, content.
/// A test compares the list with the folder.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("messages/en.toml", include_str!("../../templates/messages/en.toml")),
    ("messages/vi.toml", include_str!("../../templates/messages/vi.toml")),
    // page
    ("page/api.html", include_str!("../../templates/page/api.html")),
    ("page/article.html", include_str!("../../templates/page/article.html")),
    ("page/base.html", include_str!("../../templates/page/base.html")),
    ("page/confirm-done.html", include_str!("../../templates/page/confirm-done.html")),
    ("page/confirm.html", include_str!("../../templates/page/confirm.html")),
    ("page/edition.html", include_str!("../../templates/page/edition.html")),
    ("page/editions.html", include_str!("../../templates/page/editions.html")),
    ("page/feed.html", include_str!("../../templates/page/feed.html")),
    ("page/home.html", include_str!("../../templates/page/home.html")),
    ("page/letter.html", include_str!("../../templates/page/letter.html")),
    ("page/link-dead.html", include_str!("../../templates/page/link-dead.html")),
    ("page/mailbox.html", include_str!("../../templates/page/mailbox.html")),
    ("page/move-done.html", include_str!("../../templates/page/move-done.html")),
    ("page/move.html", include_str!("../../templates/page/move.html")),
    ("page/part/articles.html", include_str!("../../templates/page/part/articles.html")),
    ("page/part/discovery.html", include_str!("../../templates/page/part/discovery.html")),
    ("page/part/feeds.html", include_str!("../../templates/page/part/feeds.html")),
    ("page/part/subscribe-form.html", include_str!("../../templates/page/part/subscribe-form.html")),
    ("page/part/when.html", include_str!("../../templates/page/part/when.html")),
    ("page/part/zone.html", include_str!("../../templates/page/part/zone.html")),
    ("page/preferences.html", include_str!("../../templates/page/preferences.html")),
    ("page/problem.html", include_str!("../../templates/page/problem.html")),
    ("page/resubscribed.html", include_str!("../../templates/page/resubscribed.html")),
    ("page/style.css", include_str!("../../templates/page/style.css")),
    ("page/subscribe-done.html", include_str!("../../templates/page/subscribe-done.html")),
    ("page/subscribe.html", include_str!("../../templates/page/subscribe.html")),
    ("page/unsubscribe-done.html", include_str!("../../templates/page/unsubscribe-done.html")),
    ("page/unsubscribe.html", include_str!("../../templates/page/unsubscribe.html")),
    // mail
    ("mail/base.html", include_str!("../../templates/mail/base.html")),
    ("mail/address/body.html", include_str!("../../templates/mail/address/body.html")),
    ("mail/address/body.txt", include_str!("../../templates/mail/address/body.txt")),
    ("mail/address/subject.txt", include_str!("../../templates/mail/address/subject.txt")),
    ("mail/confirmation/body.html", include_str!("../../templates/mail/confirmation/body.html")),
    ("mail/confirmation/body.txt", include_str!("../../templates/mail/confirmation/body.txt")),
    ("mail/confirmation/subject.txt", include_str!("../../templates/mail/confirmation/subject.txt")),
    ("mail/digest/body.html", include_str!("../../templates/mail/digest/body.html")),
    ("mail/digest/body.txt", include_str!("../../templates/mail/digest/body.txt")),
    ("mail/digest/subject.txt", include_str!("../../templates/mail/digest/subject.txt")),
    ("mail/goodbye/body.html", include_str!("../../templates/mail/goodbye/body.html")),
    ("mail/goodbye/body.txt", include_str!("../../templates/mail/goodbye/body.txt")),
    ("mail/goodbye/subject.txt", include_str!("../../templates/mail/goodbye/subject.txt")),
    ("mail/moved/body.html", include_str!("../../templates/mail/moved/body.html")),
    ("mail/moved/body.txt", include_str!("../../templates/mail/moved/body.txt")),
    ("mail/moved/subject.txt", include_str!("../../templates/mail/moved/subject.txt")),
    ("mail/notice.html", include_str!("../../templates/mail/notice.html")),
    ("mail/welcome/body.html", include_str!("../../templates/mail/welcome/body.html")),
    ("mail/welcome/body.txt", include_str!("../../templates/mail/welcome/body.txt")),
    ("mail/welcome/subject.txt", include_str!("../../templates/mail/welcome/subject.txt")),
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
