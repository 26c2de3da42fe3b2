use crate::domain::{Draft, Image, Instant, Publication, WebUrl};
use crate::http::pictures;
use crate::intake::{InputFormat, Intake, ReadingRules, read_json_line};
use anyhow::Context as _;

/// 328 articles of our own writing. Their instants are minutes before the demo starts, so that
/// there is always something new.
const ARTICLES: &str = include_str!("newsroom.jsonl");

/// The sample newsroom's articles as they would be imported now.
pub fn drafts(publication: &Publication, now: Instant) -> anyhow::Result<Vec<Draft>> {
    let rules = ReadingRules::default();
    let intake = Intake {
        name: "newsroom.jsonl",
        format: Some(InputFormat::JsonLines),
        base: None,
        zone: chrono_tz::Tz::Asia__Ho_Chi_Minh,
        category: None,
        rules: &rules,
    };
    ARTICLES
        .lines()
        .enumerate()
        .map(|(at, line)| {
            let mut value: serde_json::Value = serde_json::from_str(line)?;
            let fields = value.as_object_mut().context("a line is an article")?;
            let minutes = fields.remove("minutes_ago").and_then(|m| m.as_i64()).unwrap_or_default();
            // Seconds differ from article to article, as they do in life; bulk imports to the
            // minute make the W3C validator warn of equal `updated`.
            let published =
                now - chrono::Duration::seconds(minutes * 60 + i64::try_from(at % 60).unwrap_or_default());
            fields.insert("published".to_owned(), serde_json::Value::String(published.to_rfc3339()));
            let line = serde_json::to_vec(&value)?;
            let arrival =
                read_json_line(&intake, at + 1, &line).map_err(|fault| anyhow::anyhow!("{fault}"))?;
            let mut draft = arrival.draft;
            draft.image = draft.image.map(|image| drawn(publication, image)).transpose()?;
            Ok(draft)
        })
        .collect()
}

/// The picture where the demo serves it, in the size in which it is drawn.
fn drawn(publication: &Publication, image: Image) -> anyhow::Result<Image> {
    let name =
        image.url.as_str().strip_prefix(pictures::FOREIGN).context("the sample's pictures stand together")?;
    let path = format!("{}{}.svg", pictures::OURS, name.trim_end_matches(".jpg"));
    Ok(Image { url: WebUrl::parse(&publication.url(&path))?, width: Some(640), height: Some(400), ..image })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_article_can_be_imported() {
        let now = "2026-11-23T03:00:00Z".parse().unwrap();
        let publication = Publication {
            id: uuid::Uuid::nil(),
            title: "Báo Sông Hậu".into(),
            base_url: WebUrl::parse("http://127.0.0.1:8080").unwrap(),
            language: Default::default(),
            time_zone: chrono_tz::Tz::Asia__Ho_Chi_Minh,
            contact: None,
            logo: None,
            license: None,
            rights: None,
        };
        let drafts = drafts(&publication, now).unwrap();
        assert!(drafts.len() >= 300, "{}", drafts.len());
        assert!(drafts.iter().any(|d| d.published > Some(now)), "an embargo is part of the demo");
        assert!(
            drafts.iter().all(|d| !d.categories.is_empty() && (d.summary.is_some() || !d.body.is_empty()))
        );
    }
}
