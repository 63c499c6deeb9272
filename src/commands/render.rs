//! Signals as people and programs read them outside the store: one structured CloudEvent a line.

use std::borrow::Cow;

use crate::json;
use crate::store::StreamEntry;

/// An entry as a structured CloudEvent of one line, fields in stored order, `data` as JSON
/// rather than text.
pub fn cloud_event(entry: &StreamEntry) -> String {
    let fields = entry.fields.iter();
    cloud_event_of(fields.map(|(name, value)| (name.as_str(), value.as_ref())))
}

/// The same for fields that were never in a store.
pub fn cloud_event_of<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut line = vec![b'{'];
    for (name, value) in fields {
        if line.len() > 1 {
            line.push(b',');
        }
        json::write_string(name, &mut line);
        line.push(b':');
        if name == "data" && json::validate(value).is_ok() {
            // Records keep the provider's spelling, line breaks included; a line has none.
            line.extend(json::compact(value));
        } else {
            json::write_string(&String::from_utf8_lossy(value), &mut line);
        }
    }
    line.push(b'}');
    match String::from_utf8_lossy(&line) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

/// An entry as a line of a table for people, at most `width` characters: time, what happened,
/// connector, and the record's own words.
pub fn table_row(entry: &StreamEntry, width: usize, color: bool) -> String {
    let text = |name: &str| String::from_utf8_lossy(entry.field(name).unwrap_or_default());
    let kind = text("type");
    let change = kind.rsplit('.').next().unwrap_or_default();
    let time = text("time");
    // 2026-02-24T10:30:00.000Z → 2026-02-24 10:30:00: a record's own time may be years ago.
    let time: String = time.replacen('T', " ", 1).chars().take(19).collect();
    let (connector, stream) = (text("connector"), text("stream"));
    let about = about(entry).unwrap_or_else(|| text("subject").into_owned());
    let row = format!("{time:<19}  {change:<8} {connector:<16} {stream:<10} {about}");
    let row = fit(&row, width);
    let paint = match change {
        "created" => "32",
        "updated" => "33",
        "deleted" => "31",
        _ => return row,
    };
    if color {
        row.replacen(change, &format!("\x1b[{paint}m{change}\x1b[0m"), 1)
    } else {
        row
    }
}

/// The title of a record: the first of the fields in which providers keep one.
fn about(entry: &StreamEntry) -> Option<String> {
    const TITLES: [&str; 6] = [
        "/fields/summary",
        "/properties/headline",
        "/title",
        "/full_name",
        "/name",
        "/summary",
    ];
    let data: serde_json::Value = serde_json::from_slice(entry.field("data")?).ok()?;
    let title = TITLES
        .iter()
        .find_map(|path| data.pointer(path)?.as_str())?;
    let key = data.get("key").and_then(serde_json::Value::as_str);
    Some(match key {
        Some(key) => format!("{key} {title}"),
        None => title.to_owned(),
    })
}

/// As much of `text` as `width` columns hold. A provider's text must not steer the terminal.
fn fit(text: &str, width: usize) -> String {
    let mut left = width;
    text.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take_while(|char| {
            let enough = columns(*char) <= left;
            left = left.saturating_sub(columns(*char));
            enough
        })
        .collect()
}

/// Columns a terminal gives a character: two to those of East Asian scripts and to emoji.
fn columns(char: char) -> usize {
    match u32::from(char) {
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x2_0000..=0x3_fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_data_is_json() {
        let data = b"{ \"n\": 123456789012345678901234567890,\n  \"t\": \"a  b\\n\" }";
        let line = cloud_event_of([
            ("specversion", &b"1.0"[..]),
            ("subject", b"say \"hi\"\n"),
            ("sequence", b"000000000001"),
            ("data", data),
        ]);
        assert_eq!(
            line,
            "{\"specversion\":\"1.0\",\"subject\":\"say \\\"hi\\\"\\n\",\
             \"sequence\":\"000000000001\",\
             \"data\":{\"n\":123456789012345678901234567890,\"t\":\"a  b\\n\"}}"
        );
    }

    fn entry(fields: &[(&str, &str)]) -> StreamEntry {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).to_owned().into()));
        StreamEntry {
            id: "1-0".into(),
            fields: fields.collect(),
        }
    }

    #[test]
    fn a_row_names_the_record_in_its_own_words_and_fits() {
        let entry = entry(&[
            ("type", "jira.issues.updated"),
            ("subject", "10042"),
            ("time", "2026-02-24T10:30:00Z"),
            ("connector", "jira-prod"),
            ("stream", "issues"),
            (
                "data",
                r#"{"key":"SEC-1","fields":{"summary":"Steer \u001b[31m this"}}"#,
            ),
        ]);
        let row = table_row(&entry, 200, false);
        assert!(
            row.starts_with("2026-02-24 10:30:00  updated  jira-prod"),
            "{row}"
        );
        assert!(row.ends_with("SEC-1 Steer  [31m this"), "{row}");
        assert!(table_row(&entry, 200, true).contains("\x1b[33mupdated\x1b[0m"));
        assert_eq!(table_row(&entry, 20, false).chars().count(), 20);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(fit("ab路由权限", 7), "ab路由");
        assert_eq!(fit("ab路由权限", 100), "ab路由权限");
    }

    #[test]
    fn a_row_without_a_title_shows_the_key() {
        let entry = entry(&[("type", "x.y.deleted"), ("subject", "k-9"), ("data", "{}")]);
        assert!(table_row(&entry, 200, false).ends_with("k-9"));
    }

    #[test]
    fn data_that_is_no_json_stays_text() {
        assert_eq!(
            cloud_event_of([("data", &b"{broken"[..])]),
            r#"{"data":"{broken"}"#
        );
    }
}
