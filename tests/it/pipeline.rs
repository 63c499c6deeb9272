//! What one cycle publishes, and what it never does.

use bytes::Bytes;
use connector_worker::source::{Event, Outcome, Page, Rejected, SignalRule};
use connector_worker::store::Store;

use crate::support::scripted::{Bench, ScriptedSource, by_id, config, cut, end, page};

async fn listing() -> Bench {
    Bench::new(ScriptedSource::new(by_id(), true), config()).await
}

fn complete(records: &[&str]) -> Vec<Event> {
    vec![page(records), end(Outcome::Complete)]
}

#[tokio::test]
async fn only_changes_are_published() {
    let mut bench = listing().await;
    bench
        .cycle(complete(&[r#"{"id":1,"a":1}"#, r#"{"id":2,"a":1}"#]))
        .await
        .unwrap();
    assert_eq!(bench.published().await, ["created:1", "created:2"]);

    let report = bench
        .cycle(complete(&[r#"{"a":1.0, "id":1}"#, r#"{"id":2,"a":1}"#]))
        .await
        .unwrap();
    assert_eq!(
        (report.summary.skipped_unchanged, report.summary.published),
        (2, 0)
    );
    assert!(bench.published().await.is_empty());

    bench
        .cycle(complete(&[r#"{"id":1,"a":2}"#, r#"{"id":3}"#]))
        .await
        .unwrap();
    assert_eq!(
        bench.published().await,
        ["updated:1", "created:3", "deleted:2"]
    );
}

#[tokio::test]
async fn a_restart_publishes_nothing_again() {
    let mut bench = listing().await;
    let records = [r#"{"id":1}"#, r#"{"id":"x"}"#];
    bench.cycle(complete(&records)).await.unwrap();
    bench.published().await;
    bench.restart().await;
    bench.cycle(complete(&records)).await.unwrap();
    assert!(bench.published().await.is_empty());
    bench.restart().await;
    bench.cycle(complete(&[r#"{"id":1}"#])).await.unwrap();
    assert_eq!(bench.published().await, ["deleted:x"]);
    bench.cycle(complete(&records)).await.unwrap();
    assert_eq!(bench.published().await, ["created:x"]);
}

#[tokio::test]
async fn only_a_complete_read_deletes() {
    let mut bench = listing().await;
    bench
        .cycle(complete(&[r#"{"id":1}"#, r#"{"id":2}"#]))
        .await
        .unwrap();
    bench.published().await;
    for outcome in [cut(), Outcome::Drifted, Outcome::Unchanged, Outcome::Stale] {
        bench
            .cycle(vec![page(&[r#"{"id":1}"#]), end(outcome)])
            .await
            .unwrap();
        assert!(bench.published().await.is_empty());
    }
    // A record that cannot be read may be the one that seems to be gone.
    bench
        .cycle(complete(&[r#"{"id":1}"#, r#"{"no":"key"}"#]))
        .await
        .unwrap();
    assert!(bench.published().await.is_empty());
    // An incremental stream does not list everything.
    let mut bench = Bench::new(ScriptedSource::new(by_id(), false), config()).await;
    bench
        .cycle(complete(&[r#"{"id":1}"#, r#"{"id":2}"#]))
        .await
        .unwrap();
    bench.published().await;
    bench.cycle(complete(&[r#"{"id":1}"#])).await.unwrap();
    assert!(bench.published().await.is_empty());
}

#[tokio::test]
async fn what_counted_pages_miss_is_gone_when_a_second_read_misses_it_too() {
    let mut bench = listing().await;
    let all = [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#];
    let counted = |records: &[&str]| vec![page(records), end(Outcome::Counted)];
    bench.cycle(counted(&all)).await.unwrap();
    bench.published().await;
    assert_eq!(
        bench.reads(),
        1,
        "nothing is missing, nothing is read again"
    );

    // 2 is removed while pages are counted, so that 3 slips away; the second read shows it, and
    // what is new in it waits for the next poll.
    bench.source.push(counted(&[r#"{"id":1}"#]));
    let report = bench
        .cycle(counted(&[
            r#"{"id":1}"#,
            r#"{"id":3,"a":1}"#,
            r#"{"id":4}"#,
        ]))
        .await
        .unwrap();
    assert_eq!(bench.published().await, ["deleted:2"]);
    assert_eq!((report.summary.fetched, report.summary.pages), (1, 2));
    bench
        .cycle(counted(&[
            r#"{"id":1}"#,
            r#"{"id":3,"a":1}"#,
            r#"{"id":4}"#,
        ]))
        .await
        .unwrap();
    assert_eq!(bench.published().await, ["updated:3", "created:4"]);

    // A second read that is no better than the first proves nothing.
    for outcome in [cut(), Outcome::Drifted, Outcome::Stale, Outcome::Unchanged] {
        bench.source.push(counted(&[r#"{"id":1}"#]));
        bench
            .cycle(vec![page(&[r#"{"id":1}"#]), end(outcome)])
            .await
            .unwrap();
        assert!(bench.published().await.is_empty());
    }
    bench.source.push(counted(&[r#"{"id":1}"#]));
    bench
        .cycle(counted(&[r#"{"id":1}"#, r#"{"no":"key"}"#]))
        .await
        .unwrap();
    assert!(bench.published().await.is_empty());
}

#[tokio::test]
async fn validators_are_kept_only_behind_the_last_deletion() {
    let mut bench = listing().await;
    let read = |ids: std::ops::Range<u32>, etag: &str, outcome| {
        let records = ids
            .map(|id| Bytes::from(format!("{{\"id\":{id}}}")).into())
            .collect();
        let state = vec![("etag:s:1".to_owned(), Some(etag.to_owned()))];
        vec![
            Event::Page(Page {
                records,
                state,
                ..Page::default()
            }),
            end(outcome),
        ]
    };
    let etag = async |bench: &Bench| {
        let state = bench.store.load_state("c").await.unwrap();
        state.fields.get("etag:s:1").cloned()
    };
    bench
        .cycle(read(0..500, "e1", Outcome::Complete))
        .await
        .unwrap();
    assert_eq!(etag(&bench).await.as_deref(), Some("e1"));
    // With the new validator the next read would say that nothing changed, and what is gone would
    // stay for ever.
    for outcome in [cut(), Outcome::Drifted] {
        bench.cycle(read(0..10, "e2", outcome)).await.unwrap();
        assert_eq!(etag(&bench).await.as_deref(), Some("e1"));
    }
    bench.source.push(read(0..10, "e2", Outcome::Counted));
    bench.cycle(vec![end(Outcome::Drifted)]).await.unwrap();
    assert_eq!(etag(&bench).await.as_deref(), Some("e1"));
    bench.source.push(read(0..10, "e2", Outcome::Counted));
    bench
        .cycle(read(0..10, "e3", Outcome::Counted))
        .await
        .unwrap();
    assert_eq!(etag(&bench).await.as_deref(), Some("e2"));
    let last = bench.source.started_from.lock().unwrap().pop().unwrap();
    assert!(last.fields.is_empty(), "{last:?}");
}

#[tokio::test]
async fn deletions_can_be_left_out() {
    let mut config = config();
    config.change_detection.deletions = Some(false);
    let mut bench = Bench::new(ScriptedSource::new(by_id(), true), config).await;
    bench.cycle(complete(&[r#"{"id":1}"#])).await.unwrap();
    bench.cycle(complete(&[])).await.unwrap();
    assert_eq!(bench.published().await, ["created:1"]);
    assert_eq!(bench.store.load_state("c").await.unwrap().versions, 0);
}

#[tokio::test]
async fn many_changes_are_cut_into_commits_in_order() {
    let mut bench = listing().await;
    let records: Vec<_> = (0..1234).map(|id| format!("{{\"id\":{id}}}")).collect();
    let texts: Vec<_> = records.iter().map(String::as_str).collect();
    let report = bench.cycle(complete(&texts)).await.unwrap();
    assert_eq!(report.summary.published, 1234);
    let expected: Vec<_> = (0..1234).map(|id| format!("created:{id}")).collect();
    assert_eq!(bench.published().await, expected);
    assert_eq!(bench.store.load_state("c").await.unwrap().sequence, 13);
    let report = bench.cycle(complete(&[])).await.unwrap();
    assert_eq!((report.summary.deleted, report.summary.fetched), (1234, 0));
    assert_eq!(bench.published().await.len(), 1234);
    assert_eq!(bench.store.load_state("c").await.unwrap().sequence, 26);
}

#[tokio::test]
async fn one_poison_record_does_not_stop_the_rest() {
    let mut bench = listing().await;
    let events = || {
        let mut events = complete(&[
            r#"{"id":1}"#,
            r#"{"id":null}"#,
            r#"{"id":""}"#,
            r#"{"id":2}"#,
        ]);
        let rejected = vec![Rejected {
            data: "raw".into(),
            reason: "no template result".to_owned(),
        }];
        events.insert(
            1,
            Event::Page(Page {
                rejected,
                ..Page::default()
            }),
        );
        events
    };
    let report = bench.cycle(events()).await.unwrap();
    assert_eq!(
        (
            report.summary.published,
            report.summary.failed,
            report.summary.fetched
        ),
        (2, 3, 5)
    );
    assert_eq!(bench.published().await, ["created:1", "created:2"]);
    let letters = bench.store.dead_letters("c", None, 10).await.unwrap();
    let reasons: Vec<_> = letters
        .iter()
        .map(|entry| entry.letter.reason.as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            "the record has no key at /id",
            "the record's key at /id is empty",
            "cannot be selected: no template result"
        ]
    );
    assert_eq!(letters[2].letter.data, "raw");
    // Told again, buried once.
    assert_eq!(bench.cycle(events()).await.unwrap().summary.failed, 3);
    assert_eq!(
        bench.store.dead_letters("c", None, 10).await.unwrap().len(),
        3
    );
}

#[tokio::test]
async fn of_a_repeated_key_the_first_counts() {
    let mut bench = listing().await;
    let events = complete(&[
        r#"{"id":1,"v":1}"#,
        r#"{"id":1,"v":2}"#,
        r#"{"id":1,"v":1}"#,
    ]);
    let report = bench.cycle(events).await.unwrap();
    assert_eq!(
        (report.summary.published, report.summary.skipped_unchanged),
        (1, 2)
    );
    assert_eq!(bench.published().await, ["created:1"]);
    assert!(
        report.warnings[0].contains("1 records came twice"),
        "{:?}",
        report.warnings
    );
}

#[tokio::test]
async fn what_is_older_than_published_is_dropped() {
    let rule = SignalRule {
        time: Some("/updated".parse().unwrap()),
        version: vec!["/updated".parse().unwrap()],
        ordered: true,
        ..by_id()
    };
    let mut bench = Bench::new(ScriptedSource::new(rule, false), config()).await;
    let record = |at: &str| format!(r#"{{"id":1,"updated":"{at}"}}"#);
    for (at, published) in [
        ("2026-01-01T10:00:00Z", vec!["created:1"]),
        ("2026-01-01T09:59:59Z", vec![]),
        ("2026-01-01T18:00:00+0800", vec![]),
        ("2026-01-01T10:00:00.001Z", vec!["updated:1"]),
    ] {
        bench.cycle(complete(&[&record(at)])).await.unwrap();
        assert_eq!(bench.published().await, published, "{at}");
        bench.restart().await;
    }
}

#[tokio::test]
async fn state_is_written_with_the_records_it_covers() {
    let mut bench = listing().await;
    let with_state = |value: &str| {
        vec![
            Event::Page(Page {
                records: vec![Bytes::from(r#"{"id":1}"#).into()],
                state: vec![("etag:s:1".to_owned(), Some("e1".to_owned()))],
                ..Page::default()
            }),
            Event::End {
                stream: 0,
                outcome: Outcome::Complete,
                state: vec![("cursor:s".to_owned(), Some(value.to_owned()))],
            },
        ]
    };
    bench.cycle(with_state("10")).await.unwrap();
    let state = bench.store.load_state("c").await.unwrap();
    assert_eq!(state.fields["cursor:s"], "10");
    assert_eq!(state.fields["etag:s:1"], "e1");
    // Nothing new, nothing written.
    let before = state.sequence;
    bench.cycle(with_state("10")).await.unwrap();
    assert_eq!(bench.store.load_state("c").await.unwrap().sequence, before);
    bench.cycle(with_state("11")).await.unwrap();
    let started_from = bench.source.started_from.lock().unwrap();
    assert_eq!(started_from[2].fields["cursor:s"], "10");
}

#[tokio::test]
async fn ignored_fields_make_no_version() {
    let mut config = config();
    config.change_detection.ignore = vec!["/seen".to_owned()];
    let mut bench = Bench::new(ScriptedSource::new(by_id(), true), config).await;
    bench
        .cycle(complete(&[r#"{"id":1,"seen":1}"#]))
        .await
        .unwrap();
    bench
        .cycle(complete(&[r#"{"id":1,"seen":2}"#]))
        .await
        .unwrap();
    assert_eq!(bench.published().await, ["created:1"]);
}

#[tokio::test]
async fn versions_beyond_the_bound_are_forgotten() {
    let mut config = config();
    config.change_detection.max_keys = 10;
    let mut bench = Bench::new(ScriptedSource::new(by_id(), false), config).await;
    let records: Vec<_> = (0..25).map(|id| format!("{{\"id\":{id}}}")).collect();
    let texts: Vec<_> = records.iter().map(String::as_str).collect();
    bench.cycle(complete(&texts)).await.unwrap();
    assert_eq!(bench.store.load_state("c").await.unwrap().versions, 10);
}
