//! Archive pages (RFC 5005 §4): what left the window of a feed stands in a closed page.
//!
//! One rule holds promise 3: an entry is in the window or in a closed page. So whenever an entry
//! that is in no page stands outside of the window, a page is closed over the oldest of those that
//! are in none. Pages are filled from the oldest entry and numbered from 1; nothing enters a closed
//! one any more, and only a withdrawal or a move takes something out. An article of long ago that
//! comes in today stands in the newest page, where whoever walks the archive finds it.

use super::StoreError;
use super::feeds::FeedRow;
use super::statement::fetch_about;
use crate::domain::{Instant, micros};
use sqlx::{AnyConnection, Row};

/// A page of a feed: the feed's row and the page's number.
pub(super) type PageRow = (i64, i64);

/// Whether the oldest entry without a page stands outside of the window: older than its last row
/// or, in other words, at or before the first one beyond it. Both ends are read off an index.
const OVERFLOWS: &str = "SELECT count(*) FROM (SELECT 1 FROM entries o WHERE o.feed = $1 AND o.page = 0 \
    AND (o.published_at, o.article) <= (SELECT e.published_at, e.article FROM entries e \
        WHERE e.feed = $1 ORDER BY e.published_at DESC, e.article DESC LIMIT 1 OFFSET $2) LIMIT 1) f";

const CLOSE: &str = "UPDATE entries SET page = $2 WHERE feed = $1 AND article IN ( \
    SELECT o.article FROM entries o WHERE o.feed = $1 AND o.page = 0 \
    ORDER BY o.published_at, o.article LIMIT $3)";

const NEXT_PAGE: &str = "UPDATE feeds SET pages = pages + 1 WHERE n = $1 RETURNING pages";

const RECORD: &str = "INSERT INTO archives (feed, page, closed_by, changed_at, change_number, same_second) \
    VALUES ($1, $2, $3, $4, $3, 0)";

/// The clock may run backwards, changed_at may not (see `feeds::TOUCH`).
const TOUCH: &str = "UPDATE archives SET \
    same_second = CASE WHEN changed_at > $1 OR changed_at / 1000000 + same_second >= $1 / 1000000 THEN 1 ELSE 0 END, \
    changed_at = CASE WHEN changed_at > $1 THEN changed_at ELSE $1 END, \
    change_number = $2 WHERE feed = $3 AND page = $4";

/// Closes pages until all that is in none is in the window. The feeds were touched by this
/// transaction, under this number.
pub(super) async fn close_pages(
    connection: &mut AnyConnection,
    feeds: &[FeedRow],
    number: i64,
    now: Instant,
) -> Result<(), StoreError> {
    let ns: Vec<i64> = feeds.iter().map(|feed| feed.n).collect();
    let text = "SELECT n, window_size FROM feeds WHERE n IN ({keys})";
    for row in fetch_about(connection, text, &[], &ns).await? {
        let (feed, window): (i64, i64) = (row.try_get("n")?, row.try_get("window_size")?);
        while overflows(connection, feed, window).await? {
            let page: i64 = sqlx::query_scalar(NEXT_PAGE).bind(feed).fetch_one(&mut *connection).await?;
            sqlx::query(CLOSE).bind(feed).bind(page).bind(window).execute(&mut *connection).await?;
            let record = sqlx::query(RECORD).bind(feed).bind(page).bind(number).bind(micros(now));
            record.execute(&mut *connection).await?;
            // The page before links to the new one from now on.
            touch_pages(connection, [(feed, page - 1)], number, now).await?;
        }
    }
    Ok(())
}

pub(super) async fn overflows(
    connection: &mut AnyConnection,
    feed: i64,
    window: i64,
) -> Result<bool, StoreError> {
    let found: i64 = sqlx::query_scalar(OVERFLOWS).bind(feed).bind(window).fetch_one(connection).await?;
    Ok(found > 0)
}

/// Marks pages as changed by this transaction. A page that is not there, as 0, stays so.
pub(super) async fn touch_pages(
    connection: &mut AnyConnection,
    pages: impl IntoIterator<Item = PageRow>,
    number: i64,
    now: Instant,
) -> Result<(), StoreError> {
    for (feed, page) in pages.into_iter().filter(|(_, page)| *page > 0) {
        sqlx::query(TOUCH)
            .bind(micros(now))
            .bind(number)
            .bind(feed)
            .bind(page)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
