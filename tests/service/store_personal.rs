//! What is held of a person is known table by table, on both engines.

use crate::newsroom::{Newsroom, on_both_engines};
use bantin::domain::EmailAddress;
use bantin::store::{Engine, PERSONAL_TABLES};
use std::collections::BTreeSet;

on_both_engines!(every_table_that_names_a_person_is_known, the_whole_file_has_every_column);

/// By way of which columns a row is somebody's.
const WAYS: [&str; 4] = ["subscriber", "delivery", "topic", "opt_in"];

/// Tables that have such a column and hold nothing of a person: the topic of a feed that we poll.
const OTHERS: [&str; 2] = ["source_hubs", "left_hubs"];

async fn columns(newsroom: &Newsroom) -> Vec<(String, String)> {
    let text = match newsroom.engine() {
        Engine::Sqlite => {
            "SELECT s.name, c.name FROM sqlite_schema s, pragma_table_info(s.name) c WHERE s.type = 'table'"
        }
        Engine::Postgres => {
            "SELECT table_name::text, column_name::text FROM information_schema.columns
             WHERE table_schema = 'public'"
        }
    };
    sqlx::query_as(text).fetch_all(&mut newsroom.raw().await).await.unwrap()
}

async fn every_table_that_names_a_person_is_known(newsroom: Newsroom) {
    let known: BTreeSet<&str> = PERSONAL_TABLES.iter().map(|(table, _)| *table).chain(OTHERS).collect();
    let columns = columns(&newsroom).await;
    assert!(columns.len() > 50);
    for (table, column) in &columns {
        let personal = WAYS.contains(&column.as_str());
        assert!(
            !personal || known.contains(table.as_str()),
            "{table}.{column} is whose? see store/personal.rs"
        );
    }
}

async fn the_whole_file_has_every_column(newsroom: Newsroom) {
    let readers = newsroom.readers(2).await;
    newsroom.edition_of("một", "05:00:00").await;
    let reader = newsroom.subscriber(readers[0]).await.unwrap().unwrap();
    let secret = crate::store_holds::secret();
    let held = newsroom.personal_data(reader.id, &reader.address, &secret).await.unwrap().unwrap();
    let all = columns(&newsroom).await;
    for table in ["subscribers", "opt_ins", "subscriptions", "deliveries", "ledger"] {
        let rows = held[table].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{table}: his, and nobody else's");
        for (_, column) in all.iter().filter(|(of, _)| of == table) {
            assert!(rows[0].get(column).is_some(), "{table}.{column}");
        }
    }
    assert_eq!(held["titles"].as_object().unwrap().values().next().unwrap(), "một");
    assert_eq!(held["suppressed"], false);
    let nobody = EmailAddress::parse("khong@bao.example").unwrap();
    let id = bantin::domain::SubscriberId(99);
    assert!(newsroom.personal_data(id, &nobody, &secret).await.unwrap().is_none());
}
