use super::samples::{HOSTILE, every_page};
use super::*;
use crate::domain::Language;
use crate::wording::{BUILT_IN, Templates};
use scraper::{ElementRef, Html, Selector};
use std::collections::{BTreeMap, BTreeSet};

fn pages() -> Vec<(String, Html, String)> {
    let templates = Templates::built_in().unwrap();
    let pages = every_page(&templates);
    pages
        .into_iter()
        .map(|(name, page)| {
            let markup = page.unwrap_or_else(|fault| panic!("{name}: {fault}"));
            (name, Html::parse_document(&markup), markup)
        })
        .collect()
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn page(name: &str) -> Html {
    pages().into_iter().find(|(found, ..)| found == name).unwrap().1
}

#[test]
fn every_page_has_one_headline_a_language_and_a_viewport() {
    let pages = pages();
    assert!(pages.len() > 200, "{}", pages.len());
    for (name, page, markup) in &pages {
        assert!(markup.starts_with("<!doctype html>"), "{name}");
        assert_eq!(all(page, "h1").len(), 1, "{name}");
        assert_eq!(all(page, "title").len(), 1, "{name}");
        assert_eq!(all(page, "main").len(), 1, "{name}");
        assert_eq!(all(page, "meta[name=viewport]").len(), 1, "{name}");
        let lang = all(page, "html")[0].attr("lang").unwrap();
        assert_eq!(lang, &name[..2], "{name}");
        assert!(!all(page, "h1")[0].text().collect::<String>().trim().is_empty(), "{name}");
    }
}

#[test]
fn what_a_stranger_writes_is_shown_and_never_runs() {
    for (name, page, markup) in pages().iter().filter(|(name, ..)| name.contains("-hostile-")) {
        assert!(all(page, "script, [onerror], [onload], img[src=x]").is_empty(), "{name}");
        assert!(!markup.contains("<script"), "{name}");
        assert!(!markup.contains("49"), "{name}: a text was read as a template");
        let title: String = all(page, ".masthead .name")[0].text().collect();
        assert_eq!(title.trim(), HOSTILE, "{name}");
    }
    let home = page("vi-hostile-home");
    assert_eq!(all(&home, ".articles h3 a")[0].text().collect::<String>(), HOSTILE);
    let form = page("en-hostile-subscribe-AddressMalformed");
    assert_eq!(all(&form, "#address")[0].attr("value"), Some(HOSTILE));
}

#[test]
fn no_page_needs_a_script_or_an_inline_style() {
    for (name, page, markup) in pages() {
        assert!(all(&page, "script, style, [style], [srcdoc], object, embed").is_empty(), "{name}");
        assert!(!markup.contains("javascript:"), "{name}");
        for link in all(&page, "link[rel=stylesheet]") {
            assert!(link.attr("href").unwrap().ends_with("/style.css"), "{name}");
        }
        for frame in all(&page, "iframe") {
            let sandbox = frame.attr("sandbox").unwrap();
            assert!(!sandbox.contains("allow-scripts") && !sandbox.contains("allow-same-origin"), "{name}");
        }
    }
}

#[test]
fn names_that_are_pointed_at_exist_once() {
    for (name, page, _) in pages() {
        let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
        for element in all(&page, "[id]") {
            *ids.entry(element.attr("id").unwrap()).or_default() += 1;
        }
        assert!(ids.values().all(|n| *n == 1), "{name}: {ids:?}");
        for attribute in ["for", "aria-labelledby", "aria-describedby"] {
            for element in all(&page, &format!("[{attribute}]")) {
                for id in element.attr(attribute).unwrap().split_whitespace() {
                    assert!(ids.contains_key(id), "{name}: {attribute}={id}");
                }
            }
        }
        for link in all(&page, "a[href^='#']") {
            assert!(ids.contains_key(&link.attr("href").unwrap()[1..]), "{name}");
        }
    }
}

#[test]
fn forms_are_posted_and_their_fields_have_names() {
    for (name, page, _) in pages() {
        // Looking for something changes nothing, and its address can be kept.
        for search in all(&page, "form[role=search]") {
            assert_eq!(search.attr("method"), Some("get"), "{name}");
        }
        for form in all(&page, "form:not([role=search])") {
            assert_eq!(form.attr("method"), Some("post"), "{name}");
            assert!(form.attr("autocomplete").is_some() && form.attr("action").is_some(), "{name}");
            let lang = Selector::parse("input[type=hidden][name=lang]").unwrap();
            assert_eq!(form.select(&lang).count(), 1, "{name}");
        }
        for field in all(&page, "input:not([type=hidden])") {
            let ticked = matches!(field.attr("type"), Some("checkbox" | "radio"));
            assert!(ticked || field.attr("autocomplete").is_some(), "{name}");
            let labelled =
                field.attr("id").is_some_and(|id| !all(&page, &format!("label[for='{id}']")).is_empty())
                    || field.ancestors().filter_map(ElementRef::wrap).any(|e| e.value().name() == "label");
            assert!(labelled, "{name}: {}", field.html());
        }
        for image in all(&page, "main img:not(.text img)") {
            for attribute in ["alt", "width", "height", "loading"] {
                assert!(image.attr(attribute).is_some(), "{name}: {attribute}");
            }
        }
    }
}

#[test]
fn a_fault_stands_beside_its_field() {
    let form = page("vi-subscribe-AddressMalformed");
    let field = all(&form, "#address")[0];
    assert!(field.attr("aria-describedby").unwrap().contains("address-fault"));
    assert_eq!(field.attr("value"), Some("mai@"));
    assert!(all(&form, "#address-fault")[0].text().collect::<String>().contains("ten@example.vn"));
    assert_eq!(all(&page("vi-subscribe-FeedMissing"), "fieldset[aria-describedby=feed-fault]").len(), 1);
    assert!(all(&page("vi-subscribe"), ".fault").is_empty());
}

#[test]
fn machines_find_the_bait_and_people_do_not() {
    let form = page("vi-subscribe");
    let bait = all(&form, "[aria-hidden=true] input[name=website]")[0];
    assert_eq!((bait.attr("tabindex"), bait.attr("autocomplete")), (Some("-1"), Some("off")));
}

#[test]
fn feeds_are_discovered_under_distinct_titles() {
    // Empty samples have no feeds in any format.
    for (name, page, _) in pages().into_iter().filter(|(name, ..)| !name.contains("-empty-")) {
        let links = all(&page, "head link[rel=alternate]");
        // Hostile samples call every feed the same.
        if !name.contains("-hostile-") {
            let titles: BTreeSet<_> = links.iter().map(|l| l.attr("title").unwrap()).collect();
            assert_eq!(titles.len(), links.len(), "{name}");
        }
        let hrefs: BTreeSet<_> = links.iter().map(|l| l.attr("href").unwrap()).collect();
        assert_eq!(hrefs.len(), links.len(), "{name}: none is named twice");
        for ending in ["/feeds/all.rss", "/feeds/all.atom", "/feeds/all.json", "/opml"] {
            assert!(hrefs.iter().any(|href| href.ends_with(ending)), "{name}: {ending}");
        }
        // The feed of everything, one of each section, and the list.
        let feeds = match &name[3..] {
            "home" => 18,
            "feed" | "edition" | "editions" | "editions-empty" => 6,
            _ => 3,
        };
        if !name.contains("-hostile-") {
            assert_eq!(links.len(), feeds + 1, "{name}");
        }
    }
    let page = page("vi-feed");
    let first = all(&page, "head link[rel=alternate]")[0];
    assert_eq!(first.attr("title"), Some("Xây dựng Đảng (RSS)"));
    assert_eq!(first.attr("type"), Some("application/rss+xml"));
    assert_eq!(first.attr("href"), Some("https://tin.example.vn/feeds/xay-dung-dang.rss"));
    let canonical = all(&page, "link[rel=canonical]")[0].attr("href");
    assert_eq!(canonical, Some("https://tin.example.vn/feeds/xay-dung-dang"));
    assert!(
        all(&page, ".readers a")[0]
            .attr("href")
            .unwrap()
            .ends_with("feed%2Fhttps%3A%2F%2Ftin%2Eexample%2Evn%2Ffeeds%2Fxay%2Ddung%2Ddang%2Erss")
    );
}

#[test]
fn paths_stay_below_the_base_url_and_carry_the_language() {
    for (name, page, _) in pages().iter().filter(|(name, ..)| name.contains("-hostile-")) {
        let home = all(page, ".masthead .name a")[0].attr("href").unwrap();
        assert_eq!(home, format!("/duoi/day/?lang={}", &name[..2]), "{name}");
    }
}

#[test]
fn a_picture_that_the_text_shows_is_not_shown_twice() {
    assert_eq!(all(&page("vi-article-0"), ".story > figure img").len(), 1);
    assert_eq!(all(&page("vi-article-3"), ".story img").len(), 1);
}

#[test]
fn preferences_say_which_feeds_were_shown() {
    let page = page("vi-preferences");
    let values = |selector: &str| -> Vec<String> {
        all(&page, selector).iter().map(|e| e.attr("value").unwrap().to_owned()).collect()
    };
    assert_eq!(values("input[name=shown]"), values("input[name=feed]"));
    assert_eq!(values("input[name=how][checked]"), ["digest:tuan"]);
    assert_eq!(all(&page, "details[open]").len(), 1, "one comes apart from the rest");
    assert_eq!(all(&self::page("vi-subscribe"), "details[open]").len(), 0);
}

#[test]
fn an_article_keeps_its_own_language_and_one_headline() {
    let foreign = page("vi-article-2");
    assert_eq!(all(&foreign, "article.story")[0].attr("lang"), Some("en-GB"));
    let hostile = page("vi-hostile-article-0");
    assert_eq!(all(&hostile, ".text p")[0].attr("title"), Some("<img src=x>"));
    let updated = page("vi-article-1");
    assert_eq!(all(&updated, "time")[0].attr("datetime"), Some("2026-03-09T06:30:00+07:00"));
    assert!(all(&updated, ".fine")[0].text().collect::<String>().contains("Thứ Hai, 9/3/2026, 06:30"));
}

#[test]
fn every_word_is_used_and_every_used_word_exists() {
    let templates = Templates::built_in().unwrap();
    let sources: String =
        BUILT_IN.iter().filter(|(name, _)| name.starts_with("page/")).map(|(_, source)| *source).collect();
    for language in Language::ALL {
        let keys: BTreeSet<&str> =
            templates.catalogue().keys(language).filter(|k| k.starts_with("page.")).collect();
        for used in sources.split("t(\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let known = if used.ends_with(['.', '_']) {
                keys.iter().any(|k| k.starts_with(used))
            } else {
                keys.contains(used)
            };
            assert!(known, "{language}: {used}");
        }
        for key in keys {
            let family = [
                "page.fault.",
                "page.link_dead.",
                "page.problem.",
                "page.when.",
                "page.region.",
                "page.form.day_",
                // Said beside the ways, by whoever fills the form in.
                "page.form.mails",
                "page.form.articles",
                "page.form.own_",
                "page.form.at_once",
                "page.form.weekly",
            ];
            assert!(
                sources.contains(&format!("t(\"{key}\"")) || family.iter().any(|f| key.starts_with(f)),
                "nobody says {key}"
            );
        }
    }
}

#[test]
fn a_broken_template_of_the_newsroom_is_reported_once() {
    let own = BTreeMap::from([("page/part/articles.html".to_owned(), "{{ nobody }}".to_owned())]);
    let faults = try_templates(&Templates::new(&own).unwrap());
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].file, "page/part/articles.html");
    assert!(try_templates(&Templates::built_in().unwrap()).is_empty());
}

#[test]
fn the_style_sheet_is_ours_or_the_newsrooms_and_loads_nothing() {
    let built_in = style_sheet(&Templates::built_in().unwrap());
    assert!(built_in.contains("prefers-color-scheme: dark") && built_in.contains("@media print"));
    assert!(!built_in.contains("url(") && !built_in.contains("@import"));
    let own = BTreeMap::from([("page/style.css".to_owned(), "body { color: red }".to_owned())]);
    assert_eq!(style_sheet(&Templates::new(&own).unwrap()), "body { color: red }");
}

#[test]
fn links_of_a_letter_open_outside_its_frame() {
    let base = "<base target=\"_blank\">";
    assert_eq!(
        letter_frame("<!DOCTYPE html><html><HEAD lang=vi><title>x</title>"),
        format!("<!DOCTYPE html><html><HEAD lang=vi>{base}<title>x</title>")
    );
    assert_eq!(letter_frame("<header>x</header>"), format!("<!doctype html>{base}<header>x</header>"));
    assert_eq!(letter_frame("<html><p>İ"), format!("<html>{base}<p>İ"));
}

#[test]
fn five_hundred_articles_fit_on_a_page() {
    assert!(super::samples::crowded(&Templates::built_in().unwrap()).unwrap().len() > 100_000);
}

/// Not a check: writes the pages to the folder `DUMP_PAGES` to be looked at in a browser.
#[test]
fn pages_can_be_looked_at() {
    let Ok(folder) = std::env::var("DUMP_PAGES") else { return };
    let folder = std::path::Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    for (name, _, markup) in pages() {
        let markup =
            markup.replace("&#x2f;duoi&#x2f;day", "").replace("href=\"/style.css", "href=\"style.css");
        std::fs::write(folder.join(format!("{name}.html")), markup).unwrap();
    }
    std::fs::write(folder.join("style.css"), style_sheet(&Templates::built_in().unwrap())).unwrap();
}
