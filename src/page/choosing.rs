use chrono_tz::{TZ_VARIANTS, Tz};
use serde::Serialize;

/// A feed that a reader can choose.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FeedChoice {
    /// Its name in forms: a slug, or the key of a search.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// How much comes out in it, in words; may be blank.
    pub volume: String,
    /// Whether it is chosen.
    pub checked: bool,
    /// How often it comes, where that differs from the others: as [`Way::value`], or a day's word.
    pub how: String,
    /// At what time, with that.
    pub time: String,
}

/// A way in which mail comes: by a digest of the newsroom, at once, or at the reader's own time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Way {
    /// Its name in forms: `digest:hang-ngay`, `at-once`, `daily`, `weekly`.
    pub value: String,
    /// Its name for people.
    pub title: String,
    /// When it comes, in words, as [`when`](crate::wording::when()) says it; may be blank.
    pub when: String,
    /// How many mails that is about, in words; may be blank.
    pub volume: String,
    /// Whether it is chosen.
    pub checked: bool,
}

/// What a reader chooses: feeds, how often, and on whose clock.
///
/// Forms post `feed` for each feed that is ticked; `how`, `day` and `time` for all of them;
/// `how-NAME` and `time-NAME` for one that comes otherwise; and `zone`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Choosing {
    /// The feeds there are.
    pub feeds: Vec<FeedChoice>,
    /// The ways there are.
    pub ways: Vec<Way>,
    /// The day that is chosen for a weekly mail: `mon`.
    pub day: String,
    /// The time of day that is chosen: `06:30`.
    pub time: String,
    /// The times of day that can be chosen.
    pub times: Vec<String>,
    /// The zone that is chosen, by its name; blank: the newspaper's.
    pub zone: String,
    /// The newspaper's zone, by its city.
    pub home_zone: String,
    /// The zones that can be chosen, by region.
    pub zones: Vec<Region>,
}

impl Choosing {
    /// Whether a feed comes otherwise than the rest.
    pub(super) fn differs(&self) -> bool {
        self.feeds.iter().any(|feed| !feed.how.is_empty())
    }
}

/// The zones of one part of the world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Region {
    /// As the IANA database has it: `Asia`.
    pub name: &'static str,
    /// Its zones.
    pub zones: Vec<Zone>,
}

/// A zone in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Zone {
    /// Its name: `Asia/Ho_Chi_Minh`.
    pub name: &'static str,
    /// Its city as people write it: `Ho Chi Minh`.
    pub city: String,
}

/// The zones of the world, region by region, that of most of our readers first.
pub fn zones() -> Vec<Region> {
    const REGIONS: [&str; 9] =
        ["Asia", "Australia", "Pacific", "Europe", "Africa", "America", "Atlantic", "Indian", "Antarctica"];
    let of = |region: &str| {
        let city = |zone: &Tz| {
            let city = zone.name().strip_prefix(region)?.strip_prefix('/')?;
            Some(Zone { name: zone.name(), city: city.replace('_', " ").replace('/', " – ") })
        };
        TZ_VARIANTS.iter().filter_map(city).collect()
    };
    REGIONS.map(|name| Region { name, zones: of(name) }).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_city_of_the_world_is_there_once() {
        let zones = zones();
        let count: usize = zones.iter().map(|region| region.zones.len()).sum();
        assert!(count > 400, "{count}");
        let home = zones[0].zones.iter().find(|zone| zone.name == "Asia/Ho_Chi_Minh").unwrap();
        assert_eq!(home.city, "Ho Chi Minh");
        assert!(zones.iter().all(|region| !region.zones.is_empty()));
    }
}
