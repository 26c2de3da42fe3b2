//! Markdown with front matter, as Hugo, Zola, Jekyll and Eleventy keep it.

use super::front_matter::split;
use super::{Arrival, Fault, Intake, Warning, dates, decode, foreign_feed, mend_eth, plain_line, push_new};
use crate::domain::{CategoryName, Draft, IdentityKey, LanguageTag, SafeHtml, clean_line, clean_paragraphs};
use pulldown_cmark::{Options, Parser, html};
use regex::Regex;
use std::sync::LazyLock;

/// Reads a page of a static site.
pub fn read(intake: &Intake<'_>, bytes: &[u8]) -> Result<Arrival, Fault> {
    let mut warnings = Vec::new();
    let text = mend_eth(&decode::decode(bytes, &mut warnings)?);
    let (front, body) = split(&text)?;
    if front.is_true("draft") || front.text(&["published"]).as_deref() == Some("false") {
        return Err(Fault::new(1, "this page is marked as a draft; it was left out"));
    }
    let (heading, body) = match front.text(&["title"]) {
        Some(title) => (Some(title), body),
        None => first_heading(body),
    };
    let title = heading.map(|t| plain_line(&t)).unwrap_or_default();
    let mut draft = Draft::titled(&title).ok_or_else(|| {
        Fault::new(1, "no title: give one in the front matter (`title: …`) or as a first heading (`# …`)")
    })?;
    let base = intake.base.as_ref();
    let address = front.text(&["url", "permalink", "canonicalURL", "canonical_url"]);
    draft.url = address.and_then(|address| foreign_feed::resolve(&address, base));
    let beside = draft.url.as_ref().or(base);
    let (above, whole) = match body.split_once("<!--more-->").or_else(|| body.split_once("<!-- more -->")) {
        Some((above, below)) => (Some(above), format!("{above}\n{below}")),
        None => (None, body.to_owned()),
    };
    draft.body = SafeHtml::clean(&to_html(&whole), beside);
    let plain = |markdown: &str| clean_paragraphs(&SafeHtml::clean(&to_html(markdown), None).text());
    draft.summary = front
        .text(&["summary", "description", "excerpt", "lead", "subtitle"])
        .or_else(|| above.map(str::to_owned))
        .map(|lead| plain(&lead).replace("\n\n", "\n"))
        .filter(|lead| !lead.is_empty());
    if draft.body.is_empty() && draft.summary.is_none() {
        return Err(Fault::new(1, "there is no text below the front matter; the page was left out"));
    }
    let mut instant = |names: &[&str]| {
        let text = front.text(names)?;
        match dates::machine_date(intake.rules, &text, intake.zone) {
            Some((at, assumed)) => {
                if assumed {
                    let message =
                        format!("`{}` has no zone; it was read in {}", clean_line(&text), intake.zone);
                    warnings.push(Warning::new(1, message));
                }
                Some(at)
            }
            None => {
                warnings
                    .push(Warning::new(1, format!("`{}` is no date and was left out", clean_line(&text))));
                None
            }
        }
    };
    let of_name = dated_name(intake.name);
    draft.published = instant(&["publishDate", "publishdate", "date", "pubDate", "published_at", "created"])
        .or_else(|| dates::machine_date(intake.rules, &of_name?, intake.zone).map(|(at, _)| at));
    let changed = instant(&["lastmod", "updated", "modified", "last_modified_at"]);
    draft.updated = changed.filter(|at| draft.published.is_some_and(|published| published < *at));
    let mut sections = Vec::new();
    for name in front.list(&["categories", "category", "sections", "section"]) {
        push_new(&mut sections, plain_line(&name));
    }
    draft.categories = sections.into_iter().map(CategoryName).collect();
    if draft.categories.is_empty() {
        draft.categories.extend(intake.category.clone());
    }
    front.list(&["tags", "tag", "keywords"]).iter().for_each(|t| push_new(&mut draft.tags, plain_line(t)));
    front
        .list(&["authors", "author"])
        .iter()
        .for_each(|a| push_new(&mut draft.authors, foreign_feed::person(a)));
    let picture = front.list(&[
        "image",
        "images",
        "featured_image",
        "featuredImage",
        "cover",
        "thumbnail",
        "feature_image",
    ]);
    draft.image = picture
        .first()
        .and_then(|p| foreign_feed::resolve(p, beside))
        .and_then(|url| foreign_feed::image(url, None));
    draft.image = draft.image.or_else(|| foreign_feed::first_image(&draft.body));
    draft.language = front.text(&["language", "lang"]).and_then(|tag| LanguageTag::parse(&tag));
    draft.keys = super::identity(&draft, Some(IdentityKey::external("markdown", &place(intake.name))));
    Ok(Arrival { draft, warnings, guesses: Vec::new() })
}

/// The title of a page without one, and what stands below it.
fn first_heading(body: &str) -> (Option<String>, &str) {
    let start = body.trim_start();
    let Some(rest) = start.strip_prefix("# ") else { return (None, body) };
    let (title, rest) = rest.split_once('\n').unwrap_or((rest, ""));
    (Some(title.trim_end_matches(['#', ' ']).to_owned()), rest)
}

fn to_html(markdown: &str) -> String {
    let clean = without_codes(markdown);
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH;
    let mut made = String::with_capacity(clean.len() * 3 / 2);
    html::push_html(&mut made, Parser::new_ext(&clean, options));
    made
}

/// None of them holds a brace, so each is looked through once, however many are left open. Made once:
/// that takes longer than reading an article with it.
static CODES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\{\{[<%]?\s*/?\s*(?<name>[\w./-]+)(?<rest>[^{}]*?)\s*[>%]?\}\}|\{%[^{}%]*%\}|\{:[^{}\n]*\}")
        .ok()
});

/// Hugo's `{{< figure src="…" >}}` and Zola's `{{ youtube(id="…") }}`: pictures and films stay.
fn without_codes(markdown: &str) -> String {
    let Some(codes) = CODES.as_ref() else {
        return markdown.to_owned();
    };
    codes
        .replace_all(markdown, |found: &regex::Captures<'_>| {
            let rest = found.name("rest").map_or("", |rest| rest.as_str());
            let value = |name: &str| {
                let after = rest.split(&format!("{name}=") as &str).nth(1)?.trim_start();
                let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
                after[1..].split(quote).next().map(super::blocks::escape)
            };
            let first = || {
                rest.split(['"', '\'', ' '])
                    .find(|word| !word.trim().is_empty() && *word != "(")
                    .map(super::blocks::escape)
            };
            match found.name("name").map(|name| name.as_str()) {
                Some("figure" | "img" | "image") => value("src").map_or_else(String::new, |src| {
                    let words = value("caption").or_else(|| value("title")).unwrap_or_default();
                    format!(
                        "<figure><img src=\"{src}\" alt=\"{}\"><figcaption>{words}</figcaption></figure>",
                        value("alt").unwrap_or_default()
                    )
                }),
                Some("youtube") => value("id").or_else(first).map_or_else(String::new, |id| {
                    format!("<a href=\"https://www.youtube.com/watch?v={id}\">youtube.com/watch?v={id}</a>")
                }),
                _ => String::new(),
            }
        })
        .into_owned()
}

/// The date in a name such as `2024-04-04-chi-bo.md`, as Jekyll has it.
fn dated_name(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next()?;
    let head = name.get(..10)?;
    let is_date = head
        .bytes()
        .enumerate()
        .all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    (is_date && name[10..].starts_with(['-', '_', '.'])).then(|| head.to_owned())
}

/// What a page is called on its site: its path below the folder of contents, without endings. So it
/// is the same wherever the site lies.
fn place(path: &str) -> String {
    let path = path.replace('\\', "/");
    let below = ["/content/", "/_posts/", "/posts/", "/src/"].iter().find_map(|folder| {
        let rooted = format!("/{path}");
        rooted.rfind(folder).map(|at| rooted[at + folder.len()..].to_owned())
    });
    let below = below.unwrap_or_else(|| {
        let mut steps = path.rsplit('/');
        let file = steps.next().unwrap_or_default().to_owned();
        if file.starts_with("index.") { format!("{}/{file}", steps.next().unwrap_or_default()) } else { file }
    });
    let stem = below.rsplit_once('.').map_or(below.as_str(), |(stem, _)| stem);
    stem.strip_suffix("/index").unwrap_or(stem).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{instant, intake};
    use super::super::{InputFormat, detect};
    use super::*;

    fn page(name: &str, text: &str) -> Result<Arrival, Fault> {
        let mut intake = intake(name);
        intake.base = Some(crate::domain::WebUrl::parse("https://bao.example/").unwrap());
        assert_eq!(detect(name, text.as_bytes()), InputFormat::Markdown);
        read(&intake, text.as_bytes())
    }

    #[test]
    fn hugo_zola_and_jekyll_say_the_same_in_their_ways() {
        let body = "\nLời *dẫn* của bài.\n\n<!--more-->\n\n{{< figure src=\"/a.jpg\" caption=\"Ảnh: AN\" >}}\n\n## Mục\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n{{< youtube abc >}}\n";
        let hugo = "---\ntitle: \"Chợ nổi: ngày mới\"\ndate: 2024-04-04T04:30:00+07:00\nlastmod: 2024-04-05\ndraft: false\ncategories: [Du lịch]\ntags:\n  - ghe\n  - chợ\nauthor: Mỹ Xuyên\nurl: /du-lich/cho-noi/\n---\n";
        let zola = "+++\ntitle = \"Chợ nổi: ngày mới\"\ndate = 2024-04-04T04:30:00+07:00\nupdated = 2024-04-05\nauthors = [\"Mỹ Xuyên\"]\n[taxonomies]\ncategories = [\"Du lịch\"]\ntags = [\"ghe\", \"chợ\"]\n[extra]\nurl = \"/du-lich/cho-noi/\"\n+++\n";
        let json = "{\n\"title\": \"Chợ nổi: ngày mới\", \"date\": \"2024-04-04T04:30:00+07:00\", \"lastmod\": \"2024-04-05\", \"categories\": \"Du lịch\", \"tags\": [\"ghe\", \"chợ\"], \"author\": {\"name\": \"Mỹ Xuyên\"}, \"url\": \"/du-lich/cho-noi/\"\n}\n";
        for front in [hugo, zola, json] {
            let draft =
                page("site/content/du-lich/cho-noi/index.md", &format!("{front}{body}")).unwrap().draft;
            assert_eq!(draft.title, "Chợ nổi: ngày mới");
            assert_eq!(draft.published, instant("2024-04-04T04:30:00+07:00"), "{front}");
            assert_eq!(draft.updated, instant("2024-04-05T00:00:00+07:00"), "{front}");
            assert_eq!(draft.categories, [CategoryName("Du lịch".into())]);
            assert_eq!(
                (draft.tags, draft.authors),
                (vec!["ghe".to_owned(), "chợ".to_owned()], vec!["Mỹ Xuyên".to_owned()])
            );
            assert_eq!(draft.summary.as_deref(), Some("Lời dẫn của bài."));
            assert_eq!(draft.url.unwrap().as_str(), "https://bao.example/du-lich/cho-noi/");
            assert_eq!(draft.keys[0], IdentityKey::external("markdown", "du-lich/cho-noi"));
            let body = draft.body.as_str();
            for part in [
                "<h2>Mục</h2>",
                "<figcaption>Ảnh: AN</figcaption>",
                "<td>1</td>",
                "href=\"https://www.youtube.com/watch?v=abc\"",
            ] {
                assert!(body.contains(part), "{part}\n{body}");
            }
        }
        let jekyll = page("_posts/2024-04-04-cho-noi.md", "---\nlayout: post\n---\n# Chợ nổi\n\nChữ.\n")
            .unwrap()
            .draft;
        assert_eq!(
            (jekyll.title.as_str(), jekyll.published),
            ("Chợ nổi", instant("2024-04-04T00:00:00+07:00"))
        );
        assert_eq!(jekyll.body.as_str().trim(), "<p>Chữ.</p>");
    }

    #[test]
    fn drafts_and_bombs_stay_out() {
        let refused = |text: &str| page("a.md", text).unwrap_err().to_string();
        assert!(refused("---\ntitle: T\ndraft: true\n---\nx").contains("marked as a draft"));
        assert!(refused("---\ntitle: [T\n---\nx").contains("front matter"));
        assert!(refused("---\ntitle: T\n---\n").contains("no text"));
        assert!(refused("chữ không").contains("no title"));
        let mut bomb = "---\na0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(",")));
        }
        assert!(refused(&format!("{bomb}---\nx")).contains("aliases"));
    }
}
