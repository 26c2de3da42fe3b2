use super::local;
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
    for edition in app.store.editions(10).await? {
        let counts: Vec<String> = edition.counts.iter().map(|(s, n)| format!("{} {n}", s.as_str())).collect();
        if as_json {
            print_json(
                &json!({ "edition": edition.id, "digest": edition.plan.to_string(), "slot": edition.slot.0, "slots": edition.slots, "articles": edition.articles,
                "completed": edition.completed_at, "held": edition.held.as_ref().map(|hold| &hold.reason),
                "deliveries": edition.counts.iter().map(|(s, n)| (s.as_str(), *n)).collect::<std::collections::BTreeMap<_, _>>() }),
            );
        } else {
            let done = match (&edition.held, edition.completed_at) {
                (_, Some(_)) => "complete".to_owned(),
                (Some(hold), None) => format!("held: {}", hold.reason),
                (None, None) => "running".to_owned(),
            };
            println!(
                "  edition {} of {} at {}: {} articles; {} ({done})",
                edition.id,
                edition.plan,
                local(app, edition.slot.0),
                edition.articles,
                counts.join(", ")
            );
        }
    }
    Ok(())
}
