//! Dates, formats and spans against the reference's answers.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::{DateTime, Span};
use crate::json::Value;

#[test]
fn dates_read_and_print_as_in_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vectors/slicing.json");
    let vectors: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut checked = 0;
    for case in vectors["items"].as_array().unwrap() {
        let format = case["format"].as_str().unwrap_or_default();
        let found = match case["what"].as_str().unwrap() {
            "format" => {
                DateTime::strptime(case["instant"].as_str().unwrap(), "%Y-%m-%dT%H:%M:%S.%f%z")
                    .or_else(|_| {
                        DateTime::strptime(case["instant"].as_str().unwrap(), "%Y-%m-%dT%H:%M:%S%z")
                    })
                    .unwrap()
                    .format(format)
            }
            "parse" => {
                DateTime::parse_value(&json(&case["value"]), format).map(|date| date.isoformat('T'))
            }
            _ => continue,
        };
        checked += 1;
        let wanted = &case["result"]["value"];
        assert_eq!(found.ok().as_deref(), wanted.as_str(), "{case}");
    }
    assert_eq!(checked, 79);
}

fn json(value: &Json) -> Value {
    match value {
        Json::String(text) => Value::String(text.clone()),
        Json::Number(number) => number
            .as_i64()
            .map_or(Value::Float(number.as_f64().unwrap()), Value::Int),
        _ => Value::Null,
    }
}

#[test]
fn iso_text_is_read_leniently_and_turned_to_utc() {
    for (text, wanted) in [
        ("2024", Some("2024-01-01T00:00:00+00:00")),
        ("2024-02", Some("2024-02-01T00:00:00+00:00")),
        ("202402", None),
        ("20240229", Some("2024-02-29T00:00:00+00:00")),
        ("2024-060", Some("2024-02-29T00:00:00+00:00")),
        ("2024060", Some("2024-02-29T00:00:00+00:00")),
        ("2024-W05-2", Some("2024-01-30T00:00:00+00:00")),
        ("2024W05", Some("2024-01-29T00:00:00+00:00")),
        ("2024-01-01T10", Some("2024-01-01T10:00:00+00:00")),
        ("2024-01-01 10:30", Some("2024-01-01T10:30:00+00:00")),
        ("20240101T103045Z", Some("2024-01-01T10:30:45+00:00")),
        (
            "2024-01-01T10:30:45.1234567+02:00",
            Some("2024-01-01T08:30:45.123456+00:00"),
        ),
        (
            "2024-01-01T10:30:45,5-0130",
            Some("2024-01-01T12:00:45.500000+00:00"),
        ),
        ("2024-01-01T24:00", Some("2024-01-02T00:00:00+00:00")),
        ("2024-01-01T24:01", None),
        ("2024-01-01T10:30+02", Some("2024-01-01T08:30:00+00:00")),
        ("2024-13-01", None),
        ("2024-02-30", None),
        ("2024-01-01T", None),
        ("2024-01-01T10:30:45 UTC", None),
        ("2024-01-01T25:00", None),
        ("", None),
        ("now", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("2024-01-01é10:00", None),
    ] {
        let found = DateTime::parse_iso(text)
            .ok()
            .map(|date| date.isoformat('T'));
        assert_eq!(found.as_deref(), wanted, "{text}");
    }
}

#[test]
fn common_spellings_of_instants_are_read() {
    for (text, wanted) in [
        ("1704067200", "2024-01-01T00:00:00+00:00"),
        ("2024-01-01 10:00:00 +0200", "2024-01-01T10:00:00+02:00"),
        ("2024-01-01 10:00:00 UTC", "2024-01-01T10:00:00+00:00"),
        ("Mon, 01 Jan 2024 10:00:00 GMT", "2024-01-01T10:00:00+00:00"),
        ("2024-01-01T10:00:00.5Z", "2024-01-01T10:00:00.500000+00:00"),
    ] {
        assert_eq!(
            DateTime::parse_lenient(text).unwrap().isoformat('T'),
            wanted,
            "{text}"
        );
    }
    assert!(DateTime::parse_lenient("soon").is_err());
}

#[test]
fn directives_print_as_in_python() {
    let date = DateTime::parse_iso("2024-01-05T15:04:05.000007Z").unwrap();
    for (format, wanted) in [
        ("%a %A %b %B %p", "Fri Friday Jan January PM"),
        ("%-d/%-m/%y %I %e|%k|%l", "5/1/24 03  5|15| 3"),
        ("%j %U %W %V %G %u %w", "005 00 01 01 2024 5 5"),
        (
            "%c|%x|%X|%D|%F|%T|%R|%r",
            "Fri Jan  5 15:04:05 2024|01/05/24|15:04:05|01/05/24|2024-01-05|15:04:05|15:04|03:04:05 PM",
        ),
        ("%s %z %Z %%", "1704467045 +0000 UTC %"),
        ("%Q %", "%Q %"),
        ("%ms", "01s"),
        ("%S.%f", "05.000007"),
        ("%06d %^a", "000005 FRI"),
        ("é%d", "é05"),
    ] {
        assert_eq!(date.strftime(format).unwrap(), wanted, "{format}");
    }
    let epoch = |format: &str| date.format(format).unwrap();
    assert_eq!(epoch("%s_as_float"), "1704467045.000007");
    assert_eq!(epoch("%Y %_ms"), "2024 000");
    let before = DateTime::from_epoch_micros(-500_000).unwrap();
    assert_eq!(before.format("%s").unwrap(), "0");
    assert_eq!(before.format("%ms").unwrap(), "-500");
}

#[test]
fn formats_are_read_as_in_python() {
    for (text, format, wanted) in [
        ("05/02/24", "%d/%m/%y", Some("2024-02-05T00:00:00")),
        ("1152024", "%d%m%Y", Some("2024-05-11T00:00:00")),
        ("3:05 pm", "%I:%M %p", Some("1900-01-01T15:05:00")),
        ("FEBRUARY 1 2024", "%B %d %Y", Some("2024-02-01T00:00:00")),
        ("2024  01", "%Y %m", Some("2024-01-01T00:00:00")),
        ("2024 060", "%Y %j", Some("2024-02-29T00:00:00")),
        ("2024 05 1", "%G %V %u", Some("2024-01-29T00:00:00")),
        ("2024 05 Mon", "%Y %W %a", Some("2024-01-29T00:00:00")),
        ("10:00+0130", "%H:%M%z", Some("1900-01-01T10:00:00+01:30")),
        ("12 UTC", "%H %Z", Some("1900-01-01T12:00:00")),
        ("2024-01-01", "%Y-%m", None),
        ("x", "%Q", None),
        ("x", "%", None),
        ("24", "%H", None),
        ("29.july Wed", "%U.%B %a", Some("1900-07-25T00:00:00")),
        ("01 02", "%d %d", None),
        ("2024", "%G", None),
    ] {
        let found = DateTime::strptime(text, format)
            .ok()
            .map(|date| date.isoformat('T'));
        assert_eq!(found.as_deref(), wanted, "{text} {format}");
    }
}

#[test]
fn durations_move_dates_by_the_calendar() {
    let from = |text: &str| DateTime::parse_iso(text).unwrap();
    for (start, duration, wanted) in [
        ("2024-03-31", "-P1M", "2024-02-29T00:00:00+00:00"),
        ("2024-02-29", "P1Y", "2025-02-28T00:00:00+00:00"),
        ("2024-01-31", "P1M1D", "2024-03-01T00:00:00+00:00"),
        (
            "2024-01-01",
            "PT0.000001S",
            "2024-01-01T00:00:00.000001+00:00",
        ),
        ("2024-01-01", "P1W", "2024-01-08T00:00:00+00:00"),
        ("2024-01-01", "PT36H", "2024-01-02T12:00:00+00:00"),
        ("2024-01-01", "P1,5D", "2024-01-02T12:00:00+00:00"),
        (
            "2024-01-01",
            "P0001-02-03T04:05:06",
            "2025-03-04T04:05:06+00:00",
        ),
        ("2024-01-01", "PT0S", "2024-01-01T00:00:00+00:00"),
    ] {
        let moved = from(start).plus(Span::parse(duration).unwrap()).unwrap();
        assert_eq!(moved.isoformat('T'), wanted, "{duration}");
    }
    for wrong in [
        "", "P", "PT", "1D", "P1", "P-1D", "P1H", "P1.5M", "P1D ", "p1d", "P1DT1D",
    ] {
        // `PT` alone is a duration of nothing to the reference.
        assert_eq!(Span::parse(wrong).is_err(), wrong != "PT", "{wrong}");
    }
    assert!(
        from("9999-12-31")
            .plus(Span::parse("P1D").unwrap())
            .is_err()
    );
    assert!(
        from("2024-01-01")
            .minus(Span::parse("P9999Y").unwrap())
            .is_err()
    );
}

proptest! {
    #[test]
    fn any_text_and_format_is_an_answer(text in ".{0,30}", format in "(%.|.){0,12}") {
        let _ = DateTime::parse(&text, &format);
        let _ = DateTime::parse_iso(&text);
        let _ = DateTime::parse_lenient(&text);
        let _ = Span::parse(&text);
        let _ = DateTime::EPOCH.format(&format);
    }

    #[test]
    fn every_instant_survives_its_text(micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
        let date = DateTime::from_epoch_micros(micros).unwrap();
        prop_assert_eq!(DateTime::parse_iso(&date.isoformat('T')).unwrap(), date);
        let span = Span::of_micros(micros);
        prop_assert_eq!(DateTime::EPOCH.plus(span).unwrap(), date);
    }
}
