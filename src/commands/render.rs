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

    #[test]
    fn data_that_is_no_json_stays_text() {
        assert_eq!(
            cloud_event_of([("data", &b"{broken"[..])]),
            r#"{"data":"{broken"}"#
        );
    }
}
