//! What only shows with a hand on the connection.

use std::time::Duration;

use sqlx::{AssertSqlSafe, raw_sql};
use tempfile::TempDir;

use super::SqliteStore;
use crate::signal::{Origin, Via};
use crate::store::{
    Acquired, Commit, Committed, CycleStore, DeadLetter, Lease, Output, Owner, Store, StoreError,
};

async fn limit_pages(store: &SqliteStore, pages: u32) {
    let mut transaction = store.connections.write().await.unwrap();
    let sql = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    raw_sql(sql)
        .execute(transaction.connection())
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
}

fn large(lease: &Lease, sequence: u64) -> Commit {
    Commit {
        acknowledged: Vec::new(),
        sequence,
        output: Output {
            stream: "raw-input-signals".into(),
            max_len: 0,
        },
        origin: Origin {
            connector: lease.connector.clone(),
            stream: "issues".into(),
            provider: "jira".into(),
            tenant: None,
            via: Via::Poll,
        },
        signals: Vec::new(),
        versions: Vec::new(),
        gone: Vec::new(),
        state: Vec::new(),
        dead_letters: vec![DeadLetter {
            stream: "issues".to_owned(),
            reason: "large".to_owned(),
            data: vec![0; 1 << 20].into(),
        }],
    }
}

async fn held() -> (TempDir, SqliteStore, Lease) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store.db");
    let store = SqliteStore::open(&path, "").await.unwrap();
    let ttl = Duration::from_mins(1);
    let answer = store.acquire("a", &Owner::from("w1"), None, ttl).await;
    let Ok(Acquired::Held(lease, _)) = answer else {
        panic!("not held: {answer:?}");
    };
    (home, store, lease)
}

#[tokio::test]
async fn a_commit_that_failed_is_looked_up_and_repeated() {
    let (_home, store, lease) = held().await;
    let mut transaction = store.connections.write().await.unwrap();
    let mut handle = transaction.connection().lock_handle().await.unwrap();
    // The first connection refuses every COMMIT; the one that replaces it does not.
    handle.set_commit_hook(|| false);
    drop(handle);
    transaction.rollback().await.unwrap();
    for _ in 0..2 {
        let answer = store.commit(&lease, &large(&lease, 1)).await.unwrap();
        assert_eq!(answer, Committed::Applied { lease_held: true });
    }
    let letters = store.dead_letters("a", None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
}

#[tokio::test]
async fn a_full_disk_is_named_and_loses_nothing() {
    let (_home, store, lease) = held().await;
    limit_pages(&store, 100).await;
    let answer = store.commit(&lease, &large(&lease, 1)).await;
    let Err(StoreError::Unavailable { cause, .. }) = answer else {
        panic!("written to a full disk: {answer:?}");
    };
    assert!(cause.to_string().contains("the disk is full"), "{cause}");
    assert_eq!(store.load_state("a").await.unwrap().sequence, 0);
    // Room again: the failed connection was replaced by one without the limit.
    let answer = store.commit(&lease, &large(&lease, 1)).await.unwrap();
    assert_eq!(answer, Committed::Applied { lease_held: true });
}
