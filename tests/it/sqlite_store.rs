//! The embedded store as a file: who may read it, who else uses it, what is refused, and what
//! happens when the disk, another process or the caller gets in the way.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use connector_worker::signal::{ChangeKind, Origin, Signal, Version, Via};
use connector_worker::store::{
    self, Acquired, Commit, Committed, KnownVersion, Lease, Output, Owner, Store, StoreError,
    StoreOptions, VersionEntry, version_field,
};
use rand::RngExt;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

const OUTPUT: &str = "raw-input-signals";
const LONG: Duration = Duration::from_mins(1);

fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store.db");
    (home, path)
}

async fn try_open(path: &Path, prefix: &str) -> Result<Arc<dyn Store>, StoreError> {
    let address = format!("sqlite:{}", path.display()).parse().unwrap();
    let options = StoreOptions {
        key_prefix: prefix.to_owned(),
        ..StoreOptions::default()
    };
    store::open(&address, &options).await
}

async fn open(path: &Path) -> Arc<dyn Store> {
    try_open(path, "").await.unwrap()
}

async fn hold(store: &dyn Store, owner: &str) -> Lease {
    let owner = Owner::from(owner);
    match store.acquire("a", &owner, None, LONG).await {
        Ok(Acquired::Held(lease, _)) => lease,
        other => panic!("the lease is not free: {other:?}"),
    }
}

/// Publishes `keys` with their versions.
fn commit(sequence: u64, keys: &[&str]) -> Commit {
    let signal = |key: &&str| Signal {
        kind: ChangeKind::Created,
        subject: (*key).to_owned(),
        version: Version([1; 16]),
        time: "2026-02-24T10:30:00Z".to_owned(),
        data: "{}".into(),
    };
    let version = |key: &&str| VersionEntry {
        field: version_field("issues", key),
        known: KnownVersion {
            version: Version([1; 16]),
            instant: None,
            day: None,
        },
    };
    Commit {
        acknowledged: Vec::new(),
        sequence,
        output: Output {
            stream: OUTPUT.into(),
            max_len: 0,
        },
        origin: Origin {
            connector: "a".into(),
            stream: "issues".into(),
            provider: "jira".into(),
            tenant: None,
            via: Via::Poll,
        },
        signals: keys.iter().map(signal).collect(),
        versions: keys.iter().map(version).collect(),
        gone: Vec::new(),
        state: Vec::new(),
        dead_letters: Vec::new(),
    }
}

async fn subjects(store: &dyn Store) -> Vec<String> {
    let entries = store
        .read_stream(OUTPUT, None, 100_000, Duration::ZERO)
        .await
        .unwrap();
    let subject =
        |entry: &store::StreamEntry| String::from_utf8(entry.fields[4].1.to_vec()).unwrap();
    entries.iter().map(subject).collect()
}

/// The file behind the store's back.
async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite:{}?mode=rwc", path.display()))
        .await
        .unwrap()
}

async fn execute(path: &Path, sql: &'static str) {
    let mut connection = raw(path).await;
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

const APPLIED: Committed = Committed::Applied { lease_held: true };

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("made/on the way/store.db");
    let store = open(&path).await;
    let lease = hold(&*store, "w1").await;
    store.commit(&lease, &commit(1, &["k"])).await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.path().join("made")), 0o700);
    let mut files = 0;
    for file in path.parent().unwrap().read_dir().unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        files += 1;
    }
    assert!(files >= 2, "the write-ahead log is there too");
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let (_home, path) = home();
    let store = open(&path).await;
    let lease = hold(&*store, "w1").await;
    store
        .commit(&lease, &commit(1, &["k1", "k2"]))
        .await
        .unwrap();
    drop(store);
    let store = open(&path).await;
    assert_eq!(subjects(&*store).await, ["k1", "k2"]);
    // The lease too: another process may hold it.
    let other = store.acquire("a", &Owner::from("w2"), None, LONG).await;
    assert!(matches!(other, Ok(Acquired::Busy { .. })), "{other:?}");
    assert_eq!(
        store
            .commit(&lease, &commit(1, &["k1", "k2"]))
            .await
            .unwrap(),
        APPLIED
    );
    assert_eq!(
        store.commit(&lease, &commit(2, &["k3"])).await.unwrap(),
        APPLIED
    );
    assert_eq!(subjects(&*store).await, ["k1", "k2", "k3"]);
}

#[tokio::test]
async fn a_newer_file_is_refused_by_name() {
    let (_home, path) = home();
    drop(open(&path).await);
    let mut connection = raw(&path).await;
    let own: u32 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    execute(&path, "PRAGMA user_version = 99").await;
    let error = try_open(&path, "").await.unwrap_err().to_string();
    assert!(
        error.contains("newer release") && error.contains("99"),
        "{error}"
    );
    assert!(error.contains(&path.display().to_string()), "{error}");
    // Refusing changes nothing: with its own version back it is the file it was.
    let own = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {own}"));
    sqlx::raw_sql(own).execute(&mut connection).await.unwrap();
    open(&path).await;
}

#[tokio::test]
async fn files_of_other_programs_are_refused_untouched() {
    let (home, path) = home();
    execute(&path, "CREATE TABLE theirs (x); PRAGMA user_version = 1").await;
    let error = try_open(&path, "").await.unwrap_err().to_string();
    assert!(error.contains("another program"), "{error}");

    let text = home.path().join("notes.txt");
    std::fs::write(
        &text,
        "no database, and longer than its header: ".repeat(100),
    )
    .unwrap();
    let error = try_open(&text, "").await.unwrap_err().to_string();
    assert!(error.contains("not a SQLite database"), "{error}");
    assert!(
        std::fs::read_to_string(&text)
            .unwrap()
            .starts_with("no database")
    );

    let error = try_open(home.path(), "").await.unwrap_err().to_string();
    assert!(error.contains("cannot open"), "{error}");
    let error = try_open(&text.join("below/a/file.db"), "")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot create"), "{error}");
}

#[tokio::test]
async fn many_may_create_the_file_at_once() {
    let (_home, path) = home();
    let opens = (0..8).map(|_| open(&path));
    let stores = futures::future::join_all(opens).await;
    let lease = hold(&*stores[0], "w1").await;
    for (sequence, store) in (1..).zip(&stores) {
        assert_eq!(
            store
                .commit(&lease, &commit(sequence, &["k"]))
                .await
                .unwrap(),
            APPLIED
        );
    }
    assert_eq!(subjects(&*stores[0]).await.len(), stores.len());
}

#[tokio::test]
async fn key_prefixes_keep_workers_apart() {
    let (_home, path) = home();
    let (one, two) = (
        try_open(&path, "one:").await.unwrap(),
        try_open(&path, "two:").await.unwrap(),
    );
    let (first, second) = (hold(&*one, "w1").await, hold(&*two, "w2").await);
    one.commit(&first, &commit(1, &["k1"])).await.unwrap();
    two.commit(&second, &commit(1, &["k2"])).await.unwrap();
    assert_eq!(subjects(&*one).await, ["k1"]);
    assert_eq!(subjects(&*two).await, ["k2"]);
    let leases = one.leases().await.unwrap();
    assert_eq!(leases.len(), 1);
    assert_eq!((&*leases[0].connector, &*leases[0].owner), ("a", "w1"));
}

#[tokio::test]
async fn a_caller_that_gives_up_at_any_moment_can_resend() {
    let (_home, path) = home();
    let store = open(&path).await;
    let lease = hold(&*store, "w1").await;
    let mut applied_after_all = 0;
    for sequence in 1..=300 {
        let commit = commit(sequence, &["k1", "k2", "k3"]);
        let patience = Duration::from_micros(rand::rng().random_range(0..3_000));
        let in_doubt = timeout(patience, store.commit(&lease, &commit))
            .await
            .is_err();
        let before = store.load_state("a").await.unwrap().sequence;
        assert_eq!(store.commit(&lease, &commit).await.unwrap(), APPLIED);
        applied_after_all += u32::from(in_doubt && before == sequence);
    }
    eprintln!("{applied_after_all} commits were applied though their caller gave up");
    assert_eq!(subjects(&*store).await, ["k1", "k2", "k3"].repeat(300));
    assert_eq!(store.load_state("a").await.unwrap().sequence, 300);
}

#[tokio::test]
async fn a_writer_waits_for_the_lock_but_not_for_ever() {
    let (_home, path) = home();
    let store = open(&path).await;
    let lease = hold(&*store, "w1").await;
    let mut other = raw(&path).await;
    let begin = sqlx::raw_sql("BEGIN IMMEDIATE");
    begin.execute(&mut other).await.unwrap();
    let (first, second) = (commit(1, &["k1"]), commit(2, &["k2"]));
    let release = async {
        sleep(Duration::from_millis(500)).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    };
    let (answer, ()) = tokio::join!(store.commit(&lease, &first), release);
    assert_eq!(answer.unwrap(), APPLIED);

    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let answer = timeout(Duration::from_secs(20), store.commit(&lease, &second))
        .await
        .unwrap();
    let Err(StoreError::Unavailable { cause, .. }) = answer else {
        panic!("written under another's lock: {answer:?}");
    };
    assert!(
        cause
            .to_string()
            .contains("another process holds the write lock"),
        "{cause}"
    );
    // Readers never wait.
    assert_eq!(subjects(&*store).await, ["k1"]);
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(store.commit(&lease, &second).await.unwrap(), APPLIED);
    assert_eq!(subjects(&*store).await, ["k1", "k2"]);
}

#[tokio::test]
async fn a_file_that_was_removed_fences_who_wrote_to_it() {
    let (home, path) = home();
    let store = open(&path).await;
    let lease = hold(&*store, "w1").await;
    store.commit(&lease, &commit(1, &["k1"])).await.unwrap();
    for file in home.path().read_dir().unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    // Written to the removed file, signals would be seen by nobody.
    assert_eq!(
        store.commit(&lease, &commit(2, &["k2"])).await.unwrap(),
        Committed::Fenced
    );
    let fresh = hold(&*store, "w1-again").await;
    assert_eq!(
        store.commit(&fresh, &commit(1, &["k1"])).await.unwrap(),
        APPLIED
    );
    assert_eq!(subjects(&*open(&path).await).await, ["k1"]);
}

#[tokio::test]
async fn a_lease_from_before_the_clock_was_set_back_holds_nobody_up() {
    let (_home, path) = home();
    let store = open(&path).await;
    let old = hold(&*store, "w1").await;
    execute(
        &path,
        "UPDATE connectors SET lease_until_ms = lease_until_ms + 86400000",
    )
    .await;
    let new = hold(&*store, "w2").await;
    assert_eq!(new.epoch, old.epoch + 1);
}

#[tokio::test]
async fn a_version_that_is_none_is_reported_not_skipped() {
    let (_home, path) = home();
    let store = open(&path).await;
    let lease = hold(&*store, "w1").await;
    store.commit(&lease, &commit(1, &["k1"])).await.unwrap();
    execute(&path, "UPDATE versions SET known = x'0102'").await;
    let scan = store.scan_versions("a", &mut |_, _| {}).await;
    assert!(matches!(scan, Err(StoreError::Corrupt(_))), "{scan:?}");
    let get = store
        .get_versions("a", &[version_field("issues", "k1")])
        .await;
    assert!(matches!(get, Err(StoreError::Corrupt(_))), "{get:?}");
}

#[tokio::test]
async fn ids_are_not_used_again_after_the_oldest_made_room() {
    let (_home, path) = home();
    let store = open(&path).await;
    let lease = hold(&*store, "w1").await;
    let mut last = String::new();
    for sequence in 1..=3 {
        let mut commit = commit(sequence, &["k1", "k2", "k3"]);
        commit.output.max_len = 1;
        store.commit(&lease, &commit).await.unwrap();
        let now = store.last_entry(OUTPUT).await.unwrap().unwrap();
        assert_ne!(now, last);
        last = now;
        assert_eq!(subjects(&*store).await, ["k3"]);
    }
    assert_eq!(last, "9-0");
}

#[tokio::test]
async fn a_lowered_limit_is_reached_without_one_long_transaction() {
    let (_home, path) = home();
    let store = open(&path).await;
    let lease = hold(&*store, "w1").await;
    let many = vec!["k"; 11_000];
    store.commit(&lease, &commit(1, &many)).await.unwrap();
    let mut lengths = Vec::new();
    for sequence in 2..=4 {
        let mut commit = commit(sequence, &["k"]);
        commit.output.max_len = 10;
        store.commit(&lease, &commit).await.unwrap();
        lengths.push(store.trim(OUTPUT).await.unwrap().length);
    }
    assert!(
        lengths.is_sorted_by(|before, after| before > after),
        "{lengths:?}"
    );
    assert_eq!(lengths.last(), Some(&10));
    assert_eq!(subjects(&*store).await.len(), 10);
}
