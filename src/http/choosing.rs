//! What readers choose, as forms show it and as they send it: feeds, how often, on whose clock.

use super::AppState;
use super::answer::Problem;
use super::forms::Fields;
use super::visitor::Visitor;
use crate::domain::{Day, Directory, FeedKey, Frequency, Plan, SavedSearch, Slug, TimeOfDay, Volume, Wish};
use crate::page::{Choosing, FeedChoice, FormFault, Way, zones};
use crate::store::StoreError;
use crate::subscribe;
use chrono_tz::Tz;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How many searches one form can ask for.
const SEARCHES: usize = 10;
/// The time of day that a form proposes.
const MORNING: &str = "06:30";
/// The day of the week that a form proposes.
const WEEKEND: &str = "sat";

/// How much came out lately, kept for a while: forms are shown more often than it changes.
pub type VolumeShelf = moka::future::Cache<(), Arc<HashMap<FeedKey, Volume>>>;

/// An empty shelf.
pub fn volume_shelf() -> VolumeShelf {
    moka::future::Cache::builder().max_capacity(1).time_to_live(Duration::from_secs(600)).build()
}

async fn volumes(app: &AppState) -> Result<Arc<HashMap<FeedKey, Volume>>, StoreError> {
    if let Some(kept) = app.volumes.get(&()).await {
        return Ok(kept);
    }
    let fresh = Arc::new(app.store.volumes(app.clock.now()).await?);
    app.volumes.insert((), Arc::clone(&fresh)).await;
    Ok(fresh)
}

/// The feeds that some digest offers.
pub fn offered(app: &AppState, directory: &Directory) -> Vec<FeedKey> {
    app.desk.digests.iter().flat_map(|digest| subscribe::offered(digest, directory)).collect()
}

/// What a form shows: the offered feeds and `searches`, with what is wished for ticked; ways of the
/// newsroom, and where it is `whole` those of the reader's own time.
pub async fn choosing(
    app: &AppState,
    visitor: &Visitor,
    wished: &[Wish],
    zone: Option<Tz>,
    whole: bool,
) -> Result<Choosing, Problem> {
    let directory = app.representations.directory();
    let language = visitor.language(app);
    let volumes = volumes(app).await?;
    let words = Saying { app, visitor, volumes: &volumes };
    let general = general_frequency(wished);
    let keys: Vec<FeedKey> = wished.iter().map(|wish| wish.feed).collect();
    let mut titles =
        subscribe::titles(&directory, &offered(app, &directory), &app.publication, &app.templates, language);
    titles.extend(subscribe::search_titles(&app.store, &keys, &app.templates, language).await?);
    let feeds: Vec<FeedChoice> = titles
        .into_iter()
        .filter_map(|(key, title)| {
            let wish = wished.iter().find(|wish| wish.feed == key);
            let own = wish.map(|wish| &wish.frequency).filter(|own| Some(*own) != general.as_ref());
            let (how, time) = own.map(apart).unwrap_or_default();
            Some(FeedChoice {
                name: name_of(&directory, key)?,
                title,
                volume: words.articles(key),
                checked: wish.is_some(),
                how,
                time,
            })
        })
        .collect();
    let (day, time) = general.as_ref().map(own_time).unwrap_or_default();
    let time = time.map_or_else(|| MORNING.to_owned(), |time| time.to_string());
    let mut times: Vec<String> = (0..24).map(|hour| format!("{hour:02}:00")).collect();
    times.push(time.clone());
    times.extend(feeds.iter().map(|feed| feed.time.clone()).filter(|time| !time.is_empty()));
    times.sort();
    times.dedup();
    Ok(Choosing {
        ways: words.ways(&keys, general.as_ref(), zone, whole),
        feeds,
        day: day.map_or(WEEKEND, Day::word).to_owned(),
        time,
        times: if whole { times } else { Vec::new() },
        zone: zone.map(|zone| zone.name().to_owned()).unwrap_or_default(),
        home_zone: city(app.publication.time_zone),
        zones: if whole { zones() } else { Vec::new() },
    })
}

/// A zone by its city: "Ho Chi Minh".
fn city(zone: Tz) -> String {
    zone.name().rsplit('/').next().unwrap_or_default().replace('_', " ")
}

/// The frequency at which most of what is wished for comes.
fn general_frequency(wished: &[Wish]) -> Option<Frequency> {
    let count = |frequency: &Frequency| wished.iter().filter(|wish| wish.frequency == *frequency).count();
    let most = wished.iter().rev().max_by_key(|wish| count(&wish.frequency));
    most.map(|wish| wish.frequency.clone())
}

/// A feed's name in forms.
fn name_of(directory: &Directory, key: FeedKey) -> Option<String> {
    match key {
        FeedKey::Search(_) => Some(key.to_string()),
        key => Some(directory.by_key(key)?.slug()?.to_string()),
    }
}

/// How a frequency of its own is chosen in the list of a single feed, and at what time.
fn apart(frequency: &Frequency) -> (String, String) {
    match frequency {
        Frequency::Daily(time) => ("daily".to_owned(), time.to_string()),
        Frequency::Weekly(day, time) => (day.word().to_owned(), time.to_string()),
        other => (other.to_string(), String::new()),
    }
}

fn own_time(frequency: &Frequency) -> (Option<Day>, Option<TimeOfDay>) {
    match frequency {
        Frequency::Daily(time) => (None, Some(*time)),
        Frequency::Weekly(day, time) => (Some(*day), Some(*time)),
        Frequency::AtOnce | Frequency::Digest(_) => (None, None),
    }
}

/// What is said beside each choice.
struct Saying<'a> {
    app: &'a AppState,
    visitor: &'a Visitor,
    volumes: &'a HashMap<FeedKey, Volume>,
}

impl Saying<'_> {
    fn say(&self, key: &str) -> String {
        self.app.templates.text(self.visitor.language(self.app), key, &[])
    }

    /// "khoảng 4 thư một tuần".
    fn about(&self, what: &str, count: f64) -> String {
        let rounded = count.round();
        let language = self.visitor.language(self.app);
        if rounded < 1.0 {
            self.say(&format!("page.form.{what}_some"))
        } else if rounded < 2.0 {
            self.say(&format!("page.form.{what}_one"))
        } else {
            self.app.templates.text(
                language,
                &format!("page.form.{what}"),
                &[("count", &rounded.to_string())],
            )
        }
    }

    fn articles(&self, key: FeedKey) -> String {
        let weekly = self.volumes.get(&key).map(|volume| volume.mails_a_week(&Frequency::AtOnce));
        weekly.map(|weekly| self.about("articles", weekly)).unwrap_or_default()
    }

    /// The volume of what is ticked together; of everything where nothing is.
    fn together(&self, keys: &[FeedKey]) -> Volume {
        let of = |key: &FeedKey| self.volumes.get(key).copied().unwrap_or_default();
        if keys.is_empty() || keys.contains(&FeedKey::All) {
            return of(&FeedKey::All);
        }
        keys.iter().map(of).fold(Volume::default(), Volume::and)
    }

    fn ways(&self, keys: &[FeedKey], general: Option<&Frequency>, zone: Option<Tz>, whole: bool) -> Vec<Way> {
        let app = self.app;
        let volume = self.together(keys);
        let home = zone.unwrap_or(app.publication.time_zone);
        let mut ways: Vec<Way> = Vec::new();
        for digest in &app.desk.digests {
            let frequency = Frequency::Digest(digest.slug.clone());
            ways.push(Way {
                title: digest.title.clone(),
                when: crate::wording::when(
                    &app.templates,
                    self.visitor.language(app),
                    &digest.schedule,
                    home,
                ),
                volume: self.about("mails", self.mails(volume, &frequency)),
                checked: general == Some(&frequency),
                value: frequency.to_string(),
            });
        }
        // What a reader chose himself is shown also where the form is short.
        for (value, key, when) in
            [("at-once", "at_once", ""), ("daily", "daily", "own_hour"), ("weekly", "weekly", "own_day")]
        {
            let kind = general.map(|frequency| frequency.to_string());
            let checked = kind.is_some_and(|kind| kind == value || kind.starts_with(&format!("{value}:")));
            if !whole && !checked {
                continue;
            }
            let sample = frequency_of(value, Some(MORNING), Some(WEEKEND));
            ways.push(Way {
                value: value.to_owned(),
                title: self.say(&format!("page.form.{key}")),
                when: if when.is_empty() { String::new() } else { self.say(&format!("page.form.{when}")) },
                volume: sample.map(|f| self.about("mails", self.mails(volume, &f))).unwrap_or_default(),
                checked,
            });
        }
        if !ways.iter().any(|way| way.checked)
            && let Some(first) = ways.first_mut()
        {
            first.checked = true;
        }
        ways
    }

    /// How many mails a week; of a digest no more than its file has slots.
    fn mails(&self, volume: Volume, frequency: &Frequency) -> f64 {
        let Frequency::Digest(_) = frequency else { return volume.mails_a_week(frequency) };
        let now = self.app.clock.now();
        let calendar = self.app.desk.calendar();
        let Some(schedule) = calendar.schedule(&Plan::of(frequency.clone(), None)) else { return 0.0 };
        let week = now + chrono::Duration::days(7);
        let slots = std::iter::successors(schedule.next_after(now), |slot| schedule.next_after(*slot));
        // Beyond a mail a day nobody counts.
        let slots = slots.take_while(|slot| *slot <= week).take(8).count();
        let daily = volume.mails_a_week(frequency);
        match (slots, frequency_of("weekly", Some(MORNING), Some(WEEKEND))) {
            (0 | 1, Some(weekly)) => volume.mails_a_week(&weekly),
            (slots, _) => daily.min(u32::try_from(slots).map_or(7.0, f64::from)),
        }
    }
}

/// A frequency as a form says it.
fn frequency_of(how: &str, time: Option<&str>, day: Option<&str>) -> Option<Frequency> {
    let time = || time.unwrap_or(MORNING).parse::<TimeOfDay>().ok();
    match how {
        "daily" => Some(Frequency::Daily(time()?)),
        "weekly" => Some(Frequency::Weekly(Day::parse(day.unwrap_or(WEEKEND))?, time()?)),
        how => match Day::parse(how) {
            Some(day) => Some(Frequency::Weekly(day, time()?)),
            None => how.parse().ok(),
        },
    }
}

/// Whether a feed can come so: a digest brings what its file offers, and searches where that is
/// everything.
fn comes_so(app: &AppState, directory: &Directory, wish: &Wish) -> bool {
    match (&wish.frequency, wish.feed) {
        (Frequency::Digest(slug), feed) => app.desk.digest(slug).is_some_and(|digest| {
            let whole = digest.feeds == crate::domain::DigestFeeds::Every;
            (whole && matches!(feed, FeedKey::Search(_)))
                || subscribe::offered(digest, directory).contains(&feed)
        }),
        (_, FeedKey::Search(_)) => true,
        (_, feed) => offered(app, directory).contains(&feed),
    }
}

/// The feeds of these names. A form may be older than a feed's present name.
pub async fn keys_of(
    app: &AppState,
    names: impl Iterator<Item = &str>,
) -> Result<Vec<(String, FeedKey)>, StoreError> {
    let directory = app.representations.directory();
    let mut keys = Vec::new();
    for name in names {
        let key = match name.parse() {
            Ok(key @ FeedKey::Search(_)) => Some(key),
            _ => Slug::parse(name).ok().and_then(|slug| directory.lookup(&slug).feed()?.key()),
        };
        keys.extend(key.map(|key| (name.to_owned(), key)));
    }
    let asked: Vec<FeedKey> = keys.iter().map(|(_, key)| *key).collect();
    let is_search = |key: &FeedKey| matches!(key, FeedKey::Search(_));
    if asked.iter().any(is_search) {
        let found = app.store.searches(&asked).await?;
        let known: HashSet<FeedKey> = found.into_iter().map(|search| FeedKey::Search(search.id)).collect();
        keys.retain(|(_, key)| !is_search(key) || known.contains(key));
    }
    Ok(keys)
}

/// What a form wishes for. `running` is what the reader has: where the form does not say how often,
/// that stays.
pub async fn wishes(
    app: &AppState,
    fields: &Fields,
    running: &[Wish],
) -> Result<Result<Vec<Wish>, FormFault>, StoreError> {
    let directory = app.representations.directory();
    let digest = fields.get("digest").map(|slug| format!("digest:{slug}"));
    let how = fields.get("how").map(str::to_owned).or(digest);
    let general = match &how {
        Some(how) => match frequency_of(how, fields.get("time"), fields.get("day")) {
            Some(Frequency::Digest(slug)) if app.desk.digest(&slug).is_none() => None,
            read => read,
        },
        None => general_frequency(running)
            .or_else(|| app.desk.digests.first().map(|digest| Frequency::Digest(digest.slug.clone()))),
    };
    let Some(general) = general else { return Ok(Err(FormFault::DigestMissing)) };
    let mut asked = keys_of(app, fields.all("feed")).await?;
    for search in fields.all("search").filter_map(SavedSearch::of).take(SEARCHES) {
        asked.push((String::new(), app.store.save_search(&search).await?));
    }
    let mut wishes: Vec<Wish> = Vec::new();
    for (name, feed) in asked {
        let own = fields.get(&format!("how-{name}")).filter(|own| !own.is_empty());
        let frequency = match own {
            Some(own) => frequency_of(own, fields.get(&format!("time-{name}")), None),
            None if how.is_none() => {
                running.iter().find(|wish| wish.feed == feed).map(|wish| wish.frequency.clone())
            }
            None => None,
        };
        let wish = Wish { feed, frequency: frequency.unwrap_or_else(|| general.clone()) };
        if comes_so(app, &directory, &wish) && wishes.iter().all(|other| other.feed != wish.feed) {
            wishes.push(wish);
        }
    }
    Ok(if wishes.is_empty() { Err(FormFault::FeedMissing) } else { Ok(wishes) })
}

/// The zone that a form names: `Some(None)` is the newspaper's, `None` says nothing of it.
pub fn zone_of(fields: &Fields) -> Option<Option<Tz>> {
    match fields.get("zone")? {
        "" => Some(None),
        name => name.parse().ok().map(Some),
    }
}
