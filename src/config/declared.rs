use super::settings::{self, ConfigFault, Origin, Settings};
use crate::domain::{
    ALL_SLUG, Alias, DeclaredFeed, Digest, DigestFeeds, FeedContent, FeedName, Format, Label, LabelKind,
    LanguageTag, PushContent, Schedule, ScheduleError, Selected, Slug, Term, WebUrl, clean_line,
};
use chrono_tz::Tz;
use std::collections::HashMap;
use std::path::Path;

/// How many articles a digest shows where its file does not say.
const DEFAULT_MAX_ARTICLES: usize = 30;
/// No window is larger: a feed of 500 full texts is some 3 MB.
const MAX_WINDOW: usize = 500;

/// Feeds that are there without a file, which no alias can hide.
const OUR_SLUGS: [&str; 2] = [ALL_SLUG, "search"];

/// What the files of `feeds/` declare.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// The feeds.
    pub feeds: Vec<DeclaredFeed>,
    /// The digests; never empty after [`read_folder`].
    pub digests: Vec<Digest>,
}

/// Reads every `*.toml` of the folder. One broken file does not hide the faults of the others.
/// Where no file declares a digest, there is one every morning at half past six.
pub fn read_folder(folder: &Path, zone: Tz) -> Result<Declared, Vec<ConfigFault>> {
    let mut declared = Declared::default();
    let mut faults = Vec::new();
    let mut places = HashMap::new();
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path()).collect())
        .unwrap_or_default();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    for path in paths {
        match settings::read_file(&path) {
            Ok(text) => {
                let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
                let file = path.display().to_string();
                faults.extend(read_one(&mut declared, &mut places, &file, &stem, &text, zone));
            }
            Err(fault) => faults.push(fault),
        }
    }
    faults.extend(clashes(&declared));
    faults.extend(alias_clashes(&declared.feeds, &places));
    if !faults.is_empty() {
        return Err(faults);
    }
    if declared.digests.is_empty() {
        declared.digests.extend(built_in_digest(zone));
    }
    Ok(declared)
}

/// The digest of a newsroom that declares none: every morning at 6.30, of every feed.
pub fn built_in_digest(zone: Tz) -> Option<Digest> {
    Some(Digest {
        slug: Slug::parse("hang-ngay").ok()?,
        title: "Bản tin buổi sáng".to_owned(),
        schedule: Schedule::parse("30 6 * * *", zone).ok()?,
        feeds: DigestFeeds::Every,
        template: Slug::parse("digest").ok()?,
        max_articles: DEFAULT_MAX_ARTICLES,
        archive: true,
        review: false,
    })
}

/// Where each file says the aliases of its feed.
type AliasPlaces = HashMap<String, Origin>;

fn read_one(
    declared: &mut Declared,
    places: &mut AliasPlaces,
    file: &str,
    stem: &str,
    text: &str,
    zone: Tz,
) -> Vec<ConfigFault> {
    let mut settings = Settings::of_file(file, text);
    let (feed, digest) = (settings.has_section("feed"), settings.has_section("digest"));
    if feed {
        declared.feeds.extend(feed_of(&mut settings, places, file, stem));
    }
    if digest {
        declared.digests.extend(digest_of(&mut settings, file, stem, zone));
    }
    let faults = settings.finish();
    if faults.is_empty() && !feed && !digest {
        return vec![ConfigFault {
            origin: Origin::File(file.to_owned()),
            message: "declares nothing; begin it with [feed] or [digest]".to_owned(),
        }];
    }
    faults
}

fn feed_of(s: &mut Settings, places: &mut AliasPlaces, file: &str, stem: &str) -> Option<DeclaredFeed> {
    let retired = s.take("feed.retired", truth).unwrap_or(false);
    let slug = s.take("feed.slug", Slug::parse).or_else(|| Slug::parse(stem).ok());
    let selected = selected(s, file, retired && slug.is_some());
    if retired && selected == Some(Selected::All) {
        s.fault(Origin::File(file.to_owned()), "the feed of everything cannot be retired");
    }
    let feed = DeclaredFeed {
        file: file.to_owned(),
        selected: selected.clone().unwrap_or(Selected::All),
        slug,
        title: s.take("feed.title", text),
        description: s.take("feed.description", text),
        window: s.take("feed.window", window),
        content: s.take("feed.content", content),
        push: s.take("feed.push", push_content),
        formats: formats(s),
        language: s.take("feed.language", |t| LanguageTag::try_from(t.to_owned())),
        image: s.take("feed.image", WebUrl::parse),
        aliases: aliases(s, places, file),
        retired,
    };
    selected.map(|_| feed)
}

/// The addresses that a feed had before, each once.
fn aliases(s: &mut Settings, places: &mut AliasPlaces, file: &str) -> Vec<Alias> {
    let Some((list, origin)) = s.take_list("feed.aliases") else { return Vec::new() };
    let mut aliases = Vec::new();
    for text in list {
        match text.parse::<Alias>() {
            Ok(alias) if aliases.contains(&alias) => {}
            Ok(alias) => aliases.push(alias),
            Err(error) => s.fault(origin.clone(), format!("`feed.aliases`: {error}")),
        }
    }
    places.insert(file.to_owned(), origin);
    aliases
}

/// What a file selects: exactly one of these keys says so. A retired feed `may_be_nothing`.
fn selected(s: &mut Settings, file: &str, may_be_nothing: bool) -> Option<Selected> {
    let all = s.take("feed.all", truth).filter(|all| *all);
    let mut named: Vec<Selected> = all.map(|_| Selected::All).into_iter().collect();
    named.extend(s.take("feed.category", Slug::parse).map(Selected::Category));
    for kind in LabelKind::ALL {
        let label = |t: &str| Label::of(kind, &clean_line(t)).ok_or("has no letter or digit to be known by");
        named.extend(s.take(&format!("feed.{}", kind.as_str()), label).map(Selected::Label));
    }
    named.extend(terms(s, "feed.union").map(Selected::Union));
    named.extend(terms(s, "feed.intersection").map(Selected::Intersection));
    named.extend(s.take("feed.search", text).map(Selected::Search));
    match named.len() {
        1 => named.pop(),
        0 if may_be_nothing => Some(Selected::Nothing),
        _ => {
            let message = "name what [feed] selects with exactly one of: `category = \"xay-dung-dang\"`, \
                `all = true`, `tag`, `author`, `source`, `union = [\"kinh-te\", \"tag:dai-hoi\"]`, \
                `intersection`, `search`";
            s.fault(Origin::File(file.to_owned()), message);
            None
        }
    }
}

/// The terms of a union or intersection, in order, each once.
fn terms(s: &mut Settings, key: &str) -> Option<Vec<Term>> {
    let (list, origin) = s.take_list(key)?;
    let mut terms = Vec::new();
    for text in list {
        match text.parse::<Term>() {
            Ok(term) => terms.push(term),
            Err(error) => s.fault(origin.clone(), format!("`{key}`: {error}")),
        }
    }
    match FeedName::union(terms) {
        Some(FeedName::Union(terms)) => Some(terms),
        _ => {
            s.fault(origin, format!("`{key}`: name from two to twelve different feeds"));
            None
        }
    }
}

fn digest_of(s: &mut Settings, file: &str, stem: &str, zone: Tz) -> Option<Digest> {
    let slug = s.take("digest.slug", Slug::parse).or_else(|| Slug::parse(stem).ok());
    if slug.is_none() {
        let message = format!("`{stem}` is no name for a digest; set `slug = \"hang-ngay\"` in [digest]");
        s.fault(Origin::File(file.to_owned()), message);
    }
    let zone = s.take("digest.time_zone", Schedule::zone).unwrap_or(zone);
    let mut asked = false;
    let schedule = s.take("digest.schedule", |t| {
        asked = true;
        Schedule::parse(t, zone)
    });
    if schedule.is_none() && !asked {
        let error = ScheduleError::Cron { text: String::new(), reason: "there is none".to_owned() };
        s.fault(Origin::File(file.to_owned()), format!("`digest.schedule`: {error}"));
    }
    let title = s.take("digest.title", text);
    let feeds = digest_feeds(s);
    let template = s.take("digest.template", Slug::parse).or_else(|| Slug::parse("digest").ok());
    let max_articles = s.take("digest.max_articles", window).unwrap_or(DEFAULT_MAX_ARTICLES);
    let archive = s.take("digest.archive", truth).unwrap_or(true);
    let review = s.take("digest.review", truth).unwrap_or(false);
    let slug = slug?;
    Some(Digest {
        title: title.unwrap_or_else(|| slug.to_string()),
        slug,
        schedule: schedule?,
        feeds,
        template: template?,
        max_articles,
        archive,
        review,
    })
}

fn digest_feeds(s: &mut Settings) -> DigestFeeds {
    let Some((list, origin)) = s.take_list("digest.feeds") else { return DigestFeeds::Every };
    if list.iter().any(|slug| slug == "*") {
        return DigestFeeds::Every;
    }
    let mut slugs = Vec::new();
    for text in list {
        match Slug::parse(&text) {
            Ok(slug) => slugs.push(slug),
            Err(error) => s.fault(origin.clone(), format!("`digest.feeds`: {error}")),
        }
    }
    DigestFeeds::These(slugs)
}

fn formats(s: &mut Settings) -> Option<Vec<Format>> {
    let (list, origin) = s.take_list("feed.formats")?;
    let mut formats = Vec::new();
    for text in list {
        match Format::of_extension(&text) {
            Some(format) => formats.push(format),
            None => s.fault(
                origin.clone(),
                format!("`feed.formats`: `{text}` is no format; write rss, atom or json"),
            ),
        }
    }
    Some(formats)
}

fn truth(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "write true or false")
}

fn text(text: &str) -> Result<String, &'static str> {
    let clean = clean_line(text);
    if clean.is_empty() { Err("must not be blank") } else { Ok(clean) }
}

fn window(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=MAX_WINDOW).contains(n))
        .ok_or_else(|| format!("`{text}` is no number from 1 to {MAX_WINDOW}"))
}

fn push_content(text: &str) -> Result<PushContent, String> {
    match text {
        "full" => Ok(PushContent::Full),
        "new" => Ok(PushContent::New),
        other => Err(format!("`{other}` says not what is pushed; write full or new")),
    }
}

fn content(text: &str) -> Result<FeedContent, String> {
    match text {
        "full" => Ok(FeedContent::Full),
        "summary" => Ok(FeedContent::Summary),
        other => Err(format!("`{other}` is neither full nor summary")),
    }
}

/// Two files that want the same name.
fn clashes(declared: &Declared) -> Vec<ConfigFault> {
    let mut faults = Vec::new();
    for (at, digest) in declared.digests.iter().enumerate() {
        if declared.digests[..at].iter().any(|other| other.slug == digest.slug) {
            faults.push(ConfigFault {
                origin: Origin::File("feeds".to_owned()),
                message: format!("two files declare a digest `{}`; give one another slug", digest.slug),
            });
        }
    }
    for (at, feed) in declared.feeds.iter().enumerate() {
        let others = &declared.feeds[..at];
        let same = |other: &&DeclaredFeed| {
            other.slug.is_some() && other.slug == feed.slug
                || other.selected == feed.selected && feed.selected != Selected::Nothing
        };
        if let Some(other) = others.iter().find(same) {
            faults.push(ConfigFault {
                origin: Origin::File(feed.file.clone()),
                message: format!("declares the same feed as {}; keep one of them", other.file),
            });
        }
        if feed.selected != Selected::All && feed.slug.as_ref().is_some_and(|s| s.as_str() == ALL_SLUG) {
            faults.push(ConfigFault {
                origin: Origin::File(feed.file.clone()),
                message: format!("`{ALL_SLUG}` is the name of the feed of everything; choose another slug"),
            });
        }
    }
    faults
}

/// Two feeds that want one address.
fn alias_clashes(feeds: &[DeclaredFeed], places: &AliasPlaces) -> Vec<ConfigFault> {
    let mut faults = Vec::new();
    for (at, feed) in feeds.iter().enumerate() {
        for alias in &feed.aliases {
            let is_slug = |slug: &Slug| matches!(alias, Alias::Slug(own) if own == slug);
            let named = feeds.iter().find(|other| other.slug.as_ref().is_some_and(is_slug));
            let why = if let Some(named) = named {
                format!("is the present slug of the feed in {}", named.file)
            } else if matches!(alias, Alias::Slug(slug) if OUR_SLUGS.contains(&slug.as_str())) {
                "is a feed of its own".to_owned()
            } else if let Some(other) = feeds[..at].iter().find(|other| other.aliases.contains(alias)) {
                format!("is an alias in {} too", other.file)
            } else {
                continue;
            };
            let origin = places.get(&feed.file).cloned();
            faults.push(ConfigFault {
                origin: origin.unwrap_or_else(|| Origin::File(feed.file.clone())),
                message: format!(
                    "`feed.aliases`: `{alias}` {why}; an address leads to one feed, take it out here or there"
                ),
            });
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Declared, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        read_folder(folder.path(), Tz::Asia__Ho_Chi_Minh)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn no_folder_means_a_digest_every_morning() {
        let declared = read_folder(Path::new("/no/such/folder"), Tz::Asia__Ho_Chi_Minh).unwrap();
        assert_eq!(declared.digests.len(), 1);
        assert_eq!(declared.digests[0].schedule.expression(), "30 6 * * *");
    }

    #[test]
    fn files_declare_feeds_and_digests() {
        let declared = read(&[
            ("kinh-te.toml", "[feed]\ncategory = \"kinh-te\"\nwindow = 20\nformats = [\"rss\"]\ncontent = \"summary\"\n"),
            ("tuan.toml", "[digest]\ntitle = \"Tuần\"\nschedule = \"0 7 * * MON\"\ntime_zone = \"Europe/London\"\nfeeds = [\"kinh-te\"]\nreview = true\n"),
        ])
        .unwrap();
        assert_eq!(declared.feeds[0].window, Some(20));
        assert_eq!(declared.digests[0].schedule.time_zone(), Tz::Europe__London);
        assert!(declared.digests[0].review);
        assert_eq!(declared.digests[0].feeds, DigestFeeds::These(vec![Slug::parse("kinh-te").unwrap()]));
    }

    #[test]
    fn every_fault_of_every_file_is_told() {
        let faults = read(&[
            ("a.toml", "[digest]\nschedule = \"6.30\"\n"),
            ("b.toml", "[feed]\nwindow = 0\nformats = [\"rdf\"]\n"),
            ("c.toml", "x = 1"),
            ("d.toml", "[digest]\n"),
        ])
        .unwrap_err();
        for part in [
            "a.toml:2: `digest.schedule`",
            "b.toml:2: `feed.window`",
            "b.toml:3: `feed.formats`",
            "b.toml: name what",
            "c.toml:1: `x`",
        ] {
            assert!(faults.iter().any(|f| f.contains(part)), "{part} not in {faults:#?}");
        }
    }

    #[test]
    fn two_digests_of_one_name_clash() {
        let file = "[digest]\nslug = \"x\"\nschedule = \"0 7 * * *\"\n";
        assert!(read(&[("a.toml", file), ("b.toml", file)]).unwrap_err()[0].contains("two files"));
    }

    #[test]
    fn a_feed_names_its_old_addresses_and_its_end() {
        let declared = read(&[
            (
                "a.toml",
                "[feed]\ncategory = \"kinh-te\"\naliases = [\"lam-an\", \"/rss/kt.rss\", \"lam-an\"]\n",
            ),
            ("the-thao.toml", "[feed]\nretired = true\n"),
            ("xa-hoi.toml", "[feed]\nretired = true\n"),
        ])
        .unwrap();
        let aliases: Vec<String> = declared.feeds[0].aliases.iter().map(ToString::to_string).collect();
        assert_eq!(aliases, ["lam-an", "/rss/kt.rss"]);
        assert!(!declared.feeds[0].retired);
        let ended = &declared.feeds[1];
        assert_eq!((ended.retired, &ended.selected), (true, &Selected::Nothing));
        assert_eq!(ended.slug.as_ref().unwrap().as_str(), "the-thao");
    }

    #[test]
    fn an_address_leads_to_one_feed() {
        let with = |aliases: &str| format!("[feed]\ncategory = \"c\"\naliases = [{aliases}]\n");
        let other = "[feed]\ncategory = \"d\"\naliases = [\"hai\", \"/rss\"]\n";
        for (aliases, words) in [
            ("\"b\"", "present slug of the feed in"),
            ("\"all\"", "a feed of its own"),
            ("\"hai\"", "an alias in"),
            ("\"/rss/\"", "an alias in"),
            ("\"Tin cũ\"", "is no alias"),
            ("\"https://bao.example/rss\"", "the path alone"),
        ] {
            let faults = read(&[("b.toml", other), ("c.toml", &with(aliases))]).unwrap_err();
            let told = &faults[0];
            assert!(faults.len() == 1 && told.contains("c.toml:3: ") && told.contains(words), "{faults:#?}");
        }
    }

    #[test]
    fn only_a_feed_with_a_name_and_an_end_selects_nothing() {
        let fault = |name: &str, text: &str| read(&[(name, text)]).unwrap_err().join("\n");
        assert!(fault("a.toml", "[feed]\nretired = false\n").contains("name what [feed] selects"));
        assert!(fault("Tin cũ.toml", "[feed]\nretired = true\n").contains("name what [feed] selects"));
        assert!(fault("a.toml", "[feed]\nretired = yes\n").contains("a.toml:2"));
        assert!(fault("a.toml", "[feed]\nall = true\nretired = true\n").contains("cannot be retired"));
    }
}
