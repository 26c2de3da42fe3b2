//! The two dialects say the same: tables, columns, nullability and keys.

use crate::newsroom::{Newsroom, on_both_engines};
use sqlx::{AnyConnection, Executor as _, Row};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    /// Name, type in one alphabet, and whether it must be there.
    columns: BTreeSet<(String, String, bool)>,
    /// Column lists of the primary key and of each unique index.
    unique: BTreeSet<Vec<String>>,
    indexes: BTreeSet<String>,
    /// Column, and the table it points into.
    references: BTreeSet<(String, String)>,
}

/// The search index and the migrator's table are each engine's own affair.
fn is_ours(table: &str) -> bool {
    !table.starts_with("article_search") && !table.starts_with('_') && !table.starts_with("sqlite_")
}

on_both_engines!(a_schema_of_another_program_is_noticed);

async fn a_schema_of_another_program_is_noticed(newsroom: Newsroom) {
    assert!(newsroom.is_current().await.unwrap());
    let mut connection = newsroom.raw().await;
    connection.execute("UPDATE _sqlx_migrations SET version = version + 7000").await.unwrap();
    assert!(!newsroom.is_current().await.unwrap());
}

#[tokio::test]
async fn the_dialects_are_one_schema() {
    let sqlite = sqlite_tables(&mut Newsroom::on_sqlite().await.raw().await).await;
    let postgres = postgres_tables(&mut Newsroom::on_postgres().await.raw().await).await;
    assert_eq!(sqlite.keys().collect::<Vec<_>>(), postgres.keys().collect::<Vec<_>>());
    assert!(sqlite.len() > 10);
    for (name, table) in &sqlite {
        assert_eq!(table, &postgres[name], "{name}");
    }
}

#[tokio::test]
async fn the_migrations_have_the_same_names() {
    let names = |dialect: &str| -> BTreeSet<String> {
        let folder = format!("{}/src/store/migrations/{dialect}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(folder).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

async fn rows(connection: &mut AnyConnection, text: String) -> Vec<Vec<String>> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| (0..row.len()).map(|at| row.get::<String, _>(at)).collect()).collect()
}

fn columns(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}

async fn sqlite_tables(connection: &mut AnyConnection) -> BTreeMap<String, Table> {
    let mut tables = BTreeMap::new();
    for row in rows(connection, "SELECT name FROM sqlite_schema WHERE type = 'table'".into()).await {
        let name = &row[0];
        if !is_ours(name) {
            continue;
        }
        let mut table = Table::default();
        let text = format!(
            "SELECT name, type, CAST(\"notnull\" AS TEXT), CAST(pk AS TEXT) FROM pragma_table_info('{name}')"
        );
        let mut key = BTreeMap::new();
        for column in rows(connection, text).await {
            let kind = match column[1].as_str() {
                "INTEGER" => "BIGINT",
                other => other,
            };
            if column[3] != "0" {
                key.insert(column[3].clone(), column[0].clone());
            }
            let needed = column[2] == "1" || column[3] != "0";
            table.columns.insert((column[0].clone(), kind.to_owned(), needed));
        }
        table.unique.insert(key.into_values().collect());
        let text = format!(
            "SELECT l.name, CAST(l.\"unique\" AS TEXT), l.origin, group_concat(i.name) \
             FROM pragma_index_list('{name}') l, pragma_index_info(l.name) i GROUP BY 1, 2, 3"
        );
        for index in rows(connection, text).await {
            if index[1] == "1" {
                table.unique.insert(columns(&index[3]));
            }
            if index[2] == "c" {
                table.indexes.insert(index[0].clone());
            }
        }
        let text = format!("SELECT \"from\", \"table\" FROM pragma_foreign_key_list('{name}')");
        for reference in rows(connection, text).await {
            table.references.insert((reference[0].clone(), reference[1].clone()));
        }
        tables.insert(name.clone(), table);
    }
    tables
}

async fn postgres_tables(connection: &mut AnyConnection) -> BTreeMap<String, Table> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let text = "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text \
        FROM information_schema.columns WHERE table_schema = 'public'";
    for row in rows(connection, text.into()).await.into_iter().filter(|row| is_ours(&row[0])) {
        let kind = match row[2].as_str() {
            "bytea" => "BLOB".to_owned(),
            other => other.to_uppercase(),
        };
        let table = tables.entry(row[0].clone()).or_default();
        table.columns.insert((row[1].clone(), kind, row[3] == "NO"));
    }
    let text = "SELECT t.relname::text, i.relname::text, x.indisunique::text, \
        (SELECT count(*) FROM pg_constraint c WHERE c.conindid = x.indexrelid AND c.contype IN ('p', 'u'))::text, \
        (SELECT string_agg(a.attname::text, ',' ORDER BY k.at) \
         FROM unnest(x.indkey::int2[]) WITH ORDINALITY k (number, at) \
         JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number) \
        FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
        JOIN pg_namespace s ON s.oid = t.relnamespace WHERE s.nspname = 'public'";
    for row in rows(connection, text.into()).await.into_iter().filter(|row| is_ours(&row[0])) {
        let table = tables.get_mut(&row[0]).unwrap();
        if row[2] == "true" {
            table.unique.insert(columns(&row[4]));
        }
        if row[3] == "0" {
            table.indexes.insert(row[1].clone());
        }
    }
    let text = "SELECT c.conrelid::regclass::text, a.attname::text, c.confrelid::regclass::text \
        FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] \
        WHERE c.contype = 'f'";
    for row in rows(connection, text.into()).await.into_iter().filter(|row| is_ours(&row[0])) {
        tables.get_mut(&row[0]).unwrap().references.insert((row[1].clone(), row[2].clone()));
    }
    tables
}
