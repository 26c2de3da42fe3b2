use super::{Engine, StoreError};
use sqlx::AnyConnection;

/// Takes the lock under which everything is published, and holds it until the transaction ends.
///
/// It puts commits in the order of their numbers: whoever has seen number n knows that nothing
/// at or below n can still appear. SQLite's one writer holds it already.
pub(super) async fn hold_sequence(connection: &mut AnyConnection, engine: Engine) -> Result<(), StoreError> {
    if engine == Engine::Postgres {
        sqlx::query("SELECT one FROM installation WHERE one = 1 FOR UPDATE").execute(connection).await?;
    }
    Ok(())
}

/// Takes the next `count` numbers and says the last of them. Locks as [`hold_sequence`] does.
pub(super) async fn advance_sequence(connection: &mut AnyConnection, count: i64) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "UPDATE installation SET publish_sequence = publish_sequence + $1 WHERE one = 1 \
         RETURNING publish_sequence",
    )
    .bind(count)
    .fetch_one(connection)
    .await?)
}

/// Marks the tree of sections as changed by this transaction.
pub(super) async fn advance_tree(connection: &mut AnyConnection) -> Result<(), StoreError> {
    sqlx::query("UPDATE installation SET tree_version = tree_version + 1 WHERE one = 1")
        .execute(connection)
        .await?;
    Ok(())
}
