//! Versions of large connectors.

use connector_worker::store::{Acquired, version_field};

use super::{HELD, NAME, TTL, acquire, ask, commit, kept, open};
use crate::support::redis::RedisServer;

#[tokio::test]
async fn a_large_set_of_versions_moves_to_buckets_without_losing_any() {
    const MANY: usize = 201_000;
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (lease, _) = acquire(&*store).await;
    let mut redis = server.connection();
    let base = "connector:versions:jira-prod";
    for chunk in (0..MANY).collect::<Vec<_>>().chunks(5000) {
        let mut call = redis::cmd("HSET");
        call.arg(base);
        for number in chunk {
            call.arg(version_field("issues", &number.to_string()))
                .arg(&b"old-version-0123"[..]);
        }
        call.exec(&mut redis).unwrap();
    }
    // Enough commits to start moving and to be far from done.
    let mut sequence = 0;
    for number in 0..20 {
        sequence += 1;
        let mut next = commit(sequence, &[&number.to_string(), &format!("new-{number}")]);
        next.gone
            .push(version_field("issues", &(100 + number).to_string()));
        assert_eq!(store.commit(&lease, &next).await.unwrap(), HELD);
    }
    let in_one_hash: usize = ask(&mut redis, &format!("HLEN {base}"));
    assert!((1..MANY - 1000).contains(&in_one_hash), "{in_one_hash}");
    let buckets: Vec<String> = ask(&mut redis, &format!("KEYS {base}:*"));
    let moved: String = ask(&mut redis, &format!("OBJECT ENCODING {}", buckets[0]));
    assert_eq!(moved, "listpack");

    let fields = ["0", "19", "new-19", "100", "119", "120", "200000", "none"]
        .map(|key| version_field("issues", key));
    let known = store.get_versions(NAME, &fields).await.unwrap();
    let known: Vec<_> = known
        .iter()
        .map(|known| known.map(|known| known.version.0 == *b"0123456789abcdef"))
        .collect();
    let (new, old) = (Some(true), Some(false));
    assert_eq!(known, [new, new, new, None, None, old, old, None]);
    assert_eq!(kept(&*store).await.len(), MANY);
    let state = store.load_state(NAME).await.unwrap();
    assert_eq!(state.versions, MANY as u64);
    assert!(state.fields.keys().eq(["cursor:issues"]), "{state:?}");

    // The rest, by a script as a stand-in for a thousand commits.
    let few: usize = ask(&mut redis, &format!("HLEN {base}"));
    let drop = (few - 100).to_string();
    let dropped: Vec<Vec<u8>> = redis::cmd("HRANDFIELD")
        .arg(base)
        .arg(&drop)
        .query(&mut redis)
        .unwrap();
    for chunk in dropped.chunks(5000) {
        redis::cmd("HDEL")
            .arg(base)
            .arg(chunk)
            .exec(&mut redis)
            .unwrap();
    }
    sequence += 1;
    store
        .commit(&lease, &commit(sequence, &["last"]))
        .await
        .unwrap();
    let left: usize = ask(&mut redis, &format!("EXISTS {base}"));
    assert_eq!(left, 0, "everything has moved");
    assert_eq!(kept(&*store).await.len(), MANY - dropped.len() + 1);

    let (again, state) = match store.acquire(NAME, &lease.owner, None, TTL).await.unwrap() {
        Acquired::Held(lease, state) => (lease, state),
        busy @ Acquired::Busy { .. } => panic!("{busy:?}"),
    };
    assert_eq!(state.versions, (MANY - dropped.len() + 1) as u64);
    store.reset_state(&again, Some("issues")).await.unwrap();
    assert_eq!(kept(&*store).await.len(), 0);
    store.reset_state(&again, None).await.unwrap();
    sequence += 1;
    store
        .commit(&again, &commit(sequence, &["fresh"]))
        .await
        .unwrap();
    let in_one_hash: usize = ask(&mut redis, &format!("HLEN {base}"));
    assert_eq!(in_one_hash, 1, "small again, one hash again");
}
