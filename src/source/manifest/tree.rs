//! The part of a body that templates look at, as a tree: a page of records need not become one.

use crate::json::{Map, Pointer, SyntaxError, Value, get, parse};

/// A tree of what stands at `paths`, and of nothing else. Absent paths stay absent, and what
/// stands where an object was expected is kept whole, so that templates fail or not exactly as
/// on the full tree. An array is empty at the top: templates that index it have no constant path.
///
/// The document must be valid.
pub(super) fn pruned(body: &[u8], paths: &[Vec<String>]) -> Result<Value, SyntaxError> {
    if paths.iter().any(Vec::is_empty) {
        return parse(body);
    }
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {}
        Some(b'[') => return Ok(Value::Array(Vec::new())),
        _ => return parse(body),
    }
    let mut tree = Map::new();
    for path in paths {
        graft(body, path, &mut tree)?;
    }
    Ok(tree.into())
}

/// As [`pruned`], of what paginators see: of a list its first element, an empty object if there
/// is none.
pub(super) fn pruned_first(body: &[u8], paths: &[Vec<String>]) -> Result<Value, SyntaxError> {
    let starts_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !starts_list {
        return pruned(body, paths);
    }
    match get(body, &Pointer::of(["0"])) {
        Some(first) => pruned(first, paths),
        None => Ok(Map::new().into()),
    }
}

fn graft(object: &[u8], path: &[String], into: &mut Map) -> Result<(), SyntaxError> {
    let Some((name, rest)) = path.split_first() else {
        return Ok(());
    };
    let Some(value) = get(object, &Pointer::of([name.as_str()])) else {
        return Ok(());
    };
    if rest.is_empty() || value.first() != Some(&b'{') {
        into.insert(name.clone(), parse(value)?);
        return Ok(());
    }
    let entry = into
        .entry(name.clone())
        .or_insert_with(|| Map::new().into());
    match entry {
        Value::Object(inner) => graft(value, rest, inner),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pruned_text(body: &str, paths: &[&[&str]]) -> String {
        let paths: Vec<Vec<String>> = paths
            .iter()
            .map(|path| path.iter().map(|&part| part.to_owned()).collect())
            .collect();
        pruned(body.as_bytes(), &paths).unwrap().to_string()
    }

    #[test]
    fn only_what_the_paths_name_is_kept() {
        let body = r#"{"data":{"items":[1,2],"next":"b"},"meta":null,"total":3}"#;
        for (paths, expected) in [
            (&[&["data", "next"][..]][..], r#"{"data":{"next":"b"}}"#),
            (&[&["meta", "cursor"]], r#"{"meta":null}"#),
            (&[&["none"], &["total"]], r#"{"total":3}"#),
            (
                &[&["data", "next"], &["data"]],
                r#"{"data":{"items":[1,2],"next":"b"}}"#,
            ),
            (&[], "{}"),
        ] {
            assert_eq!(pruned_text(body, paths), expected);
        }
        assert_eq!(pruned_text("[1,2]", &[&["message"]]), "[]");
        let first = pruned_first(br#"[{"a":1,"b":2},{"a":3}]"#, &[vec!["a".to_owned()]]);
        assert_eq!(first.unwrap().to_string(), r#"{"a":1}"#);
        assert_eq!(pruned_first(b" []", &[]).unwrap().to_string(), "{}");
    }
}
