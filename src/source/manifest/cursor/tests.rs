//! Bounds, look-back, what is wanted, and the state of partitions.

use proptest::prelude::*;

use super::{
    Cursor, CursorError, DatetimeBasedCursor, MAX_WINDOWS, Observed, OpenCursor, PartitionedCursor,
    Window,
};
use crate::clock::Clock;
use crate::document::parse_yaml;
use crate::json::{self, Map, Value};
use crate::source::manifest::template::Context;

const NOW: &str = "2025-06-17T10:30:45Z";

fn build(more: &str) -> DatetimeBasedCursor {
    let yaml = format!(
        "{{type: DatetimeBasedCursor, cursor_field: up, datetime_format: '%Y-%m-%dT%H:%M:%SZ', \
         start_datetime: '2025-05-01T00:00:00Z'{more}}}"
    );
    DatetimeBasedCursor::build(&parse_yaml("m.yaml", &yaml).unwrap()).unwrap()
}

fn open(more: &str) -> OpenCursor {
    let clock = Clock::Frozen(NOW.parse().unwrap());
    build(more).open(&Context::new(clock)).unwrap()
}

fn value(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap()
}

fn map(text: &str) -> Map {
    value(text).as_object().unwrap().clone()
}

fn slices(cursor: &OpenCursor, state: &str) -> Vec<String> {
    let progress = cursor.progress(Some(&value(state))).unwrap();
    cursor
        .windows(&progress)
        .map(|window| Value::Object(window.unwrap().slice).to_string())
        .collect()
}

#[test]
fn problems_name_the_field_and_the_fix() {
    let head = "type: DatetimeBasedCursor, cursor_field: up";
    let rest = "datetime_format: '%s', start_datetime: '0'";
    let cases = [
        (
            format!("{{{head}, {rest}, step: P1D}}"),
            "step and cursor_granularity go together",
        ),
        (
            format!("{{{head}, {rest}, step: P1D, cursor_granularity: 1 day}}"),
            "cursor_granularity cannot be read",
        ),
        (
            format!("{{{head}, start_datetime: '0'}}"),
            "DatetimeBasedCursor has no datetime_format",
        ),
        (
            format!("{{{head}, datetime_format: '%s'}}"),
            "DatetimeBasedCursor has no start_datetime",
        ),
        (
            "{type: IncrementingCountCursor}".to_owned(),
            "IncrementingCountCursor is not a supported cursor",
        ),
        (
            format!(
                "{{{head}, {rest}, clamping: {{target: WEEK, target_details: {{weekday: FRYDAY}}}}}}"
            ),
            "FRYDAY is no weekday",
        ),
    ];
    for (yaml, expected) in cases {
        let problem =
            DatetimeBasedCursor::build(&parse_yaml("m.yaml", &yaml).unwrap()).unwrap_err();
        assert!(problem.message.contains(expected), "{problem}");
        assert!(problem.at.is_some() && problem.fix.is_some(), "{problem}");
    }
}

#[test]
fn too_small_a_step_is_an_error_and_not_endless() {
    let cursor = open(", step: PT1S, cursor_granularity: PT1S");
    let progress = cursor.progress(None).unwrap();
    let windows: Vec<_> = cursor.windows(&progress).collect();
    assert_eq!(windows.len(), MAX_WINDOWS + 1);
    assert_eq!(windows.last(), Some(&Err(CursorError::TooManyWindows)));
    let backwards = open(", step: -P1D, cursor_granularity: PT1S");
    let progress = backwards.progress(None).unwrap();
    assert_eq!(backwards.windows(&progress).count(), 0);
}

#[test]
fn a_state_that_does_not_fit_is_an_error() {
    let cursor = open("");
    for state in [
        "[]",
        "5",
        r#"{"up": "soon"}"#,
        r#"{"up": null}"#,
        r#"{"up": {}}"#,
        r#"{"state_type": "date-range"}"#,
        r#"{"state_type": "date-range", "slices": [{}]}"#,
        r#"{"state_type": "date-range", "slices": [5]}"#,
    ] {
        let error = cursor.progress(Some(&value(state))).unwrap_err();
        assert!(matches!(error, CursorError::State { .. }), "{state}");
    }
}

#[test]
fn a_date_in_the_far_future_holds_nothing_up() {
    let future = r#"{"up":"2099-01-01T00:00:00Z"}"#;
    let reference = open("");
    assert_eq!(slices(&reference, future), [""; 0]);
    let cursor = open("").never_ahead();
    let from_the_start = format!(r#"{{"start_time":"2025-05-01T00:00:00Z","end_time":"{NOW}"}}"#);
    assert_eq!(slices(&cursor, future), [from_the_start]);
    let skewed = r#"{"up":"2025-06-17T10:30:50Z"}"#;
    assert_eq!(slices(&cursor, skewed), [""; 0]);
    let mut progress = cursor.progress(None).unwrap();
    let window = cursor.windows(&progress).next().unwrap().unwrap();
    let mut observed = Observed::default();
    observed.record(&cursor, future.as_bytes());
    progress.close(&cursor, &window, observed);
    let state = progress.state(&cursor).unwrap().to_string();
    assert_eq!(state, format!(r#"{{"up":"{NOW}"}}"#));
}

#[test]
fn a_window_that_failed_holds_the_state_back() {
    let cursor = open(", step: P10D, cursor_granularity: PT1S");
    let mut progress = cursor.progress(None).unwrap();
    for (index, window) in cursor.windows(&progress).enumerate() {
        let mut observed = Observed::default();
        let record = format!(r#"{{"up":"2025-05-{:02}T00:00:00Z"}}"#, 5 + index * 10);
        observed.record(&cursor, record.as_bytes());
        if index != 1 {
            progress.close(&cursor, &window.unwrap(), observed);
        }
    }
    let state = progress.state(&cursor).unwrap().to_string();
    assert_eq!(state, r#"{"up":"2025-05-05T00:00:00Z"}"#);
}

#[test]
fn what_is_wanted_lies_between_the_state_and_now() {
    let state = value(r#"{"up":"2025-06-10T00:00:00Z"}"#);
    let wanted = |more: &str, record: &str| {
        let cursor = open(more);
        let progress = cursor.progress(Some(&state)).unwrap();
        cursor.is_wanted(&progress, record.as_bytes())
    };
    let cases = [
        ("", r#"{"up":"2025-06-09T23:59:59Z"}"#, false),
        ("", r#"{"up":"2025-06-10T00:00:00Z"}"#, true),
        ("", r#"{"up":"2025-06-17T10:30:45Z"}"#, true),
        ("", r#"{"up":"2025-06-17T10:30:46Z"}"#, false),
        ("", r#"{"up":"garbage"}"#, true),
        ("", r#"{"up":null}"#, true),
        ("", "{}", true),
        (
            ", lookback_window: P1D",
            r#"{"up":"2025-06-09T00:00:00Z"}"#,
            true,
        ),
        (
            ", lookback_window: P1D",
            r#"{"up":"2025-06-08T23:59:59Z"}"#,
            false,
        ),
        (
            ", lookback_window: P1Y",
            r#"{"up":"2025-05-01T00:00:00Z"}"#,
            true,
        ),
        (
            ", lookback_window: P1Y",
            r#"{"up":"2025-04-30T00:00:00Z"}"#,
            false,
        ),
    ];
    for (more, record, expected) in cases {
        assert_eq!(wanted(more, record), expected, "{more} {record}");
    }
}

#[test]
fn what_is_newer_than_the_read_neither_ends_a_feed_nor_is_dropped() {
    let newer = r#"{"up":"2025-06-17T10:31:00Z"}"#.as_bytes();
    let older = r#"{"up":"2025-04-30T00:00:00Z"}"#.as_bytes();
    let reference = open("");
    let progress = reference.progress(None).unwrap();
    assert!(!reference.is_wanted(&progress, newer));
    assert!(reference.ends_feed(&progress, newer));
    let cursor = open("").never_ahead();
    assert!(cursor.is_wanted(&progress, newer));
    assert!(!cursor.ends_feed(&progress, newer));
    assert!(!cursor.is_wanted(&progress, older));
    assert!(cursor.ends_feed(&progress, older));
    let limited = open(", end_datetime: '2025-06-01T00:00:00Z'").never_ahead();
    assert!(!limited.is_wanted(&progress, newer));
    assert!(!limited.ends_feed(&progress, newer));
}

#[test]
fn numbers_are_read_by_epoch_formats() {
    let yaml =
        "{type: DatetimeBasedCursor, cursor_field: up, datetime_format: '%s', start_datetime: '0'}";
    let cursor = DatetimeBasedCursor::build(&parse_yaml("m.yaml", yaml).unwrap()).unwrap();
    let cursor = cursor.open(&Context::new(Clock::System)).unwrap();
    let micros = |record: &str| {
        cursor
            .value_of(record.as_bytes())
            .map(|at| at.epoch_micros())
    };
    assert_eq!(micros(r#"{"up":1747000000}"#), Some(1_747_000_000_000_000));
    assert_eq!(
        micros(r#"{"up":"1747000000"}"#),
        Some(1_747_000_000_000_000)
    );
    assert_eq!(
        micros(r#"{"up":1747000000.9}"#),
        Some(1_747_000_000_000_000)
    );
    assert_eq!(micros(r#"{"up":true}"#), None);
    assert_eq!(micros(r#"{"up":99999999999999999999}"#), None);
}

/// Reads every window of the partitions, one record each.
fn read(partitioned: &mut PartitionedCursor, partitions: &[(&str, &str)]) {
    for (partition, up) in partitions {
        let partition = map(partition);
        let windows = partitioned.windows(&partition).unwrap().unwrap();
        for window in windows {
            let mut observed = Observed::default();
            let record = format!(r#"{{"up":"{up}"}}"#);
            observed.record(partitioned.cursor(), record.as_bytes());
            partitioned.close(&partition, &window.unwrap(), observed);
        }
    }
}

#[test]
fn partitions_have_progress_of_their_own_and_a_common_one() {
    let mut partitioned = PartitionedCursor::open(open(""), None).unwrap();
    let partitions = [
        (r#"{"p":"a"}"#, "2025-06-01T00:00:00Z"),
        (r#"{"p":"b"}"#, "2025-06-02T00:00:00Z"),
    ];
    read(&mut partitioned, &partitions);
    let unfinished = partitioned.state(None).unwrap();
    assert_eq!(unfinished.get("state"), None);
    partitioned.finish(60);
    let state = partitioned.state(Some(value("{}"))).unwrap();
    let expected = concat!(
        r#"{"use_global_cursor":false,"states":["#,
        r#"{"partition":{"p":"a"},"cursor":{"up":"2025-06-01T00:00:00Z"}},"#,
        r#"{"partition":{"p":"b"},"cursor":{"up":"2025-06-02T00:00:00Z"}}],"#,
        r#""state":{"up":"2025-06-02T00:00:00Z"},"lookback_window":60,"parent_state":{}}"#
    );
    assert_eq!(state.to_string(), expected);

    let mut again = PartitionedCursor::open(open(""), Some(&state)).unwrap();
    let start = |partitioned: &mut PartitionedCursor, partition: &str| {
        let windows = partitioned.windows(&map(partition)).unwrap();
        let window = windows.unwrap().next().unwrap().unwrap();
        window.slice["start_time"].as_str().unwrap().to_owned()
    };
    assert_eq!(start(&mut again, r#"{"p":"a"}"#), "2025-06-01T00:00:00Z");
    assert_eq!(start(&mut again, r#"{"p":"new"}"#), "2025-06-01T23:59:00Z");
}

#[test]
fn a_partition_is_read_once_whatever_the_order_of_its_keys() {
    let mut partitioned = PartitionedCursor::open(open(""), None).unwrap();
    let once = partitioned.windows(&map(r#"{"p":1,"q":{"a":1,"b":2}}"#));
    assert!(once.unwrap().is_some());
    let twice = partitioned.windows(&map(r#"{"q":{"b":2,"a":1},"p":1}"#));
    assert!(twice.unwrap().is_none());
}

#[test]
fn very_many_partitions_share_one_date() {
    let mut partitioned = PartitionedCursor::open(open(""), None).unwrap();
    // One more than that many may have their own.
    for number in 0..=super::partitioned::SWITCH_TO_GLOBAL + 1 {
        let partition = format!(r#"{{"p":{number}}}"#);
        read(&mut partitioned, &[(&partition, "2025-06-01T00:00:00Z")]);
    }
    partitioned.finish(1);
    let state = partitioned.state(None).unwrap().to_string();
    let expected =
        r#"{"use_global_cursor":true,"state":{"up":"2025-06-01T00:00:00Z"},"lookback_window":1}"#;
    assert_eq!(state, expected);
}

proptest! {
    /// Windows follow each other without gap or overlap, from the start to now.
    #[test]
    fn windows_cover_all_time_once(step_hours in 1_u32..2000, unit_seconds in 1_u32..3600, start in 0_u32..10_000) {
        let more = format!(", step: PT{step_hours}H, cursor_granularity: PT{unit_seconds}S");
        let state = format!(r#"{{"up":"2025-05-02T{:02}:{:02}:{:02}Z"}}"#, start / 3600 % 24, start / 60 % 60, start % 60);
        let cursor = open(&more);
        let progress = cursor.progress(Some(&value(&state))).unwrap();
        let mut next = None;
        for window in cursor.windows(&progress) {
            let [from, to] = window.unwrap().bounds.map(|at| at.epoch_micros());
            if let Some(next) = next {
                prop_assert_eq!(from, next);
            }
            next = Some(to + i64::from(unit_seconds) * 1_000_000);
        }
        let end = cursor.end.epoch_micros();
        prop_assert_eq!(next.map(|next| next - i64::from(unit_seconds) * 1_000_000), Some(end));
    }

    #[test]
    fn any_state_is_progress_or_an_error(state in "[{}\\[\\]\":,a-z0-9 ]{0,40}") {
        if let Ok(state) = json::parse(state.as_bytes()) {
            let _ = open("").progress(Some(&state));
            let _ = PartitionedCursor::open(open(""), Some(&state));
        }
    }
}

#[test]
fn a_count_goes_on_from_the_largest_number() {
    let node = parse_yaml(
        "m.yaml",
        "{type: IncrementingCountCursor, cursor_field: n, start_value: \"{{ config.first }}\"}",
    );
    let cursor = Cursor::build(&node.unwrap()).unwrap();
    let config = value(r#"{"first":2}"#);
    let context = Context::new(Clock::System).with("config", &config);
    let open = cursor.open(&context).unwrap();
    let mut progress = open.progress(None).unwrap();
    let windows: Vec<Window> = open.windows(&progress).map(Result::unwrap).collect();
    assert_eq!(windows.len(), 1);
    assert_eq!(windows[0].slice.get("start"), Some(&Value::Int(2)));
    let mut observed = Observed::default();
    for record in [&br#"{"n":7}"#[..], br#"{"n":5}"#, br#"{"n":"9"}"#, b"{}"] {
        observed.record(&open, record);
    }
    progress.close(&open, &windows[0], observed);
    let state = progress.state(&open).unwrap();
    assert_eq!(state.to_string(), r#"{"n":7}"#);
    let again = open.progress(Some(&state)).unwrap();
    let next = open.windows(&again).next().unwrap().unwrap();
    assert_eq!(next.slice.get("start"), Some(&Value::Int(7)));
}
