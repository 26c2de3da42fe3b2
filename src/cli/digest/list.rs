use super::{deliveries, local};
use crate::app::App;
use crate::cli::print_json;
use crate::domain::{DigestFeeds, Slug};
use serde_json::json;

/// The digests, their next slots, and the last editions.
pub(super) async fn list(app: &App, as_json: bool) -> anyhow::Result<()> {
    let slots = app.store.next_slots().await?;
    for digest in &app.desk.digests {
        let next = slots.iter().find(|(slug, _)| *slug == digest.slug).map(|(_, slot)| slot.0);
        let feeds = match &digest.feeds {
            DigestFeeds::Every => "*".to_owned(),
            DigestFeeds::These(slugs) => slugs.iter().map(Slug::as_str).collect::<Vec<_>>().join(","),
        };
        if as_json {
            print_json(
                &json!({ "slug": digest.slug, "title": digest.title, "schedule": digest.schedule.to_string(), "feeds": feeds, "next": next }),
            );
        } else {
            let next = next.map_or_else(String::new, |next| local(app, next));
            println!(
                "{:20} {:30} {:35} next {next}",
                digest.slug.as_str(),
                digest.title,
                digest.schedule.to_string()
            );
        }
    }
    let now = app.clock.now();
    for edition in app.store.editions(10).await? {
        if as_json {
            print_json(&deliveries::as_json(app, &edition, now).await?);
        } else {
            println!("  {}", deliveries::in_words(app, &edition, now).await?);
        }
    }
    Ok(())
}
