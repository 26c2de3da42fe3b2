//! How much of an edition a mail can show.

use super::ComposeError;

/// Gmail hides what goes beyond 102 kB behind a link, the unsubscribe link with it
/// (hteumeuleu/email-bugs#41).
pub(super) const HTML_BYTES: usize = 100_000;

/// How many articles are shown, and how many of them, in reading order, with their leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) articles: usize,
    pub(super) leads: usize,
}

/// The largest fit whose HTML stays below the limit: first the later leads go, then the later
/// articles. Takes a handful of tries, since each halves what is in question.
pub(super) fn fit(
    most: usize,
    template: &str,
    render: impl Fn(Fit) -> Result<String, ComposeError>,
) -> Result<(String, Fit), ComposeError> {
    let whole = Fit { articles: most, leads: most };
    let html = render(whole)?;
    if size(&html) < HTML_BYTES {
        return Ok((html, whole));
    }
    let leads = |leads| Fit { articles: most, leads };
    let articles = |articles| Fit { articles, leads: 0 };
    let html = render(leads(0))?;
    if size(&html) < HTML_BYTES {
        return largest((0, html), most, leads, render);
    }
    let html = render(articles(1))?;
    if size(&html) < HTML_BYTES {
        return largest((1, html), most, articles, render);
    }
    Err(ComposeError::TooLarge { template: template.to_owned(), bytes: size(&html) })
}

/// As it is mailed: each line end takes two bytes there.
fn size(html: &str) -> usize {
    html.len() + html.bytes().filter(|b| *b == b'\n').count()
}

/// Halves the way between a number that fits and one that does not.
fn largest(
    (mut fits, mut best): (usize, String),
    mut too_many: usize,
    as_fit: impl Fn(usize) -> Fit,
    render: impl Fn(Fit) -> Result<String, ComposeError>,
) -> Result<(String, Fit), ComposeError> {
    while fits + 1 < too_many {
        let middle = fits.midpoint(too_many);
        let html = render(as_fit(middle))?;
        if size(&html) < HTML_BYTES {
            (fits, best) = (middle, html);
        } else {
            too_many = middle;
        }
    }
    Ok((best, as_fit(fits)))
}

/// Shares `most` places among sections so that none starves: each in turn gets one until its
/// articles or the places run out.
pub(super) fn shares(sections: &[usize], most: usize) -> Vec<usize> {
    let mut shares = vec![0; sections.len()];
    let mut left = most.min(sections.iter().sum());
    while left > 0 {
        for (share, size) in shares.iter_mut().zip(sections) {
            if left > 0 && *share < *size {
                *share += 1;
                left -= 1;
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(fit: Fit, frame: usize, article: usize, lead: usize) -> String {
        "x".repeat(frame + fit.articles * article + fit.leads * lead)
    }

    #[test]
    fn leads_go_before_articles() {
        let fit_of = |frame, article, lead| {
            fit(50, "digest", |f| Ok(page(f, frame, article, lead))).map(|(_, fit)| fit)
        };
        assert_eq!(fit_of(1_000, 100, 100), Ok(Fit { articles: 50, leads: 50 }));
        assert_eq!(fit_of(1_000, 1_000, 2_000), Ok(Fit { articles: 50, leads: 24 }));
        assert_eq!(fit_of(1_000, 10_000, 10), Ok(Fit { articles: 9, leads: 0 }));
        assert!(matches!(fit_of(200_000, 1, 1), Err(ComposeError::TooLarge { .. })));
    }

    #[test]
    fn no_section_starves() {
        assert_eq!(shares(&[20, 20, 1], 9), [4, 4, 1]);
        assert_eq!(shares(&[2, 1], 9), [2, 1]);
        assert_eq!(shares(&[], 9), Vec::<usize>::new());
        assert_eq!(shares(&[3, 3, 3], 2), [1, 1, 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_fits_is_the_most_that_fits(
            most in 1_usize..60, frame in 0_usize..90_000, article in 1_usize..5_000, lead in 0_usize..2_000,
        ) {
            let (html, found) = fit(most, "digest", |f| Ok(page(f, frame, article, lead))).unwrap();
            prop_assert!(size(&html) < HTML_BYTES && found.articles <= most);
            let next = if found.articles < most {
                Fit { articles: found.articles + 1, leads: 0 }
            } else if found.leads < most {
                Fit { leads: found.leads + 1, ..found }
            } else {
                return Ok(());
            };
            prop_assert!(page(next, frame, article, lead).len() >= HTML_BYTES);
        }
    }
}
