//! Pages that list articles and are none.

use super::dates::page_date;
use super::{Fault, Intake, blocks};

/// Refuses a page that lists articles: several teasers or dates, or a pager, and hardly a paragraph.
/// Each line comes with whether it is a link to another page and nothing else.
pub fn refuse<'t>(lines: impl Iterator<Item = (&'t str, bool)>, intake: &Intake<'_>) -> Result<(), Fault> {
    const ENOUGH: usize = 1_000;
    let (mut paragraphs, mut teasers, mut dates, mut links, mut pagers) = (0, 0, 0, 0, 0);
    for (text, link) in lines.take(ENOUGH) {
        if blocks::continues(intake.rules, text) && !link {
            paragraphs += 1;
        } else if blocks::is_teaser(text) && text.chars().count() >= 60 {
            teasers += 1;
        } else if page_date(intake.rules, text, intake.zone).is_some() {
            dates += 1;
        }
        links += usize::from(link && text.split(' ').count() >= 5);
        pagers += usize::from(intake.rules.after.pagers.contains(text));
    }
    let lists = teasers >= 4 || dates >= 6 || links >= 12 || (pagers > 0 && teasers + dates + links >= 6);
    if lists && paragraphs == 0 {
        let message = "this page lists articles and is none itself; import the articles' own pages, or the page's address with --follow";
        return Err(Fault { is_listing: true, ..Fault::new(None, message) });
    }
    Ok(())
}
