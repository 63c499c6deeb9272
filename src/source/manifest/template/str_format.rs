//! Python's `str.format`.

use super::call::Call;
use super::layout::{Layout, number_text, push_text};
use super::value::{Raise, Result, Text, Value, fail};
use super::{MAX_TEXT, access, print};

/// `template.format(…)`
pub(super) fn format<'a>(template: &str, args: &Call<'a>) -> Result<Value<'a>> {
    let mut out = String::new();
    let mut rest = template;
    let mut automatic = 0;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let bracket = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(bracket) {
            out.push_str(bracket);
            rest = after;
            continue;
        }
        let Some((field, after)) = rest.split_once('}').filter(|_| bracket == "{") else {
            return fail("unmatched bracket in format");
        };
        if field.contains('{') {
            return fail("nested format fields are not supported");
        }
        rest = after;
        let (field, spec) = field.split_once(':').unwrap_or((field, ""));
        let (field, conversion) = field.split_once('!').unwrap_or((field, ""));
        let value = field_value(field, args, &mut automatic)?;
        match conversion {
            "" => format_value(&value, spec, &mut out)?,
            "s" => format_value(&Value::text(print::text(&value)?), spec, &mut out)?,
            "r" => {
                let mut text = String::new();
                print::repr(&value, &mut text)?;
                format_value(&Value::text(text), spec, &mut out)?;
            }
            _ => return fail("unknown conversion in format"),
        }
        if out.len() > MAX_TEXT {
            return fail("text is too long");
        }
    }
    out.push_str(rest);
    Ok(Value::text(out))
}

/// `0.name[key]`, `name`, or nothing for the next argument.
fn field_value<'a>(field: &str, args: &Call<'a>, automatic: &mut usize) -> Result<Value<'a>> {
    let end = field.find(['.', '[']).unwrap_or(field.len());
    let (name, mut path) = field.split_at(end);
    let index = if name.is_empty() {
        *automatic += 1;
        Some(*automatic - 1)
    } else {
        name.parse::<usize>().ok()
    };
    let found = match index {
        Some(index) => args.positional.get(index).cloned(),
        None => args
            .named
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone()),
    };
    let Some(mut value) = found else {
        return fail(format!("no value for format field `{name}`"));
    };
    while !path.is_empty() {
        if let Some(after) = path.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            value = access::attribute(&value, Text::Shared(after[..end].into()))?;
            path = &after[end..];
        } else {
            let Some((key, after)) = path[1..].split_once(']') else {
                return fail("unmatched bracket in format");
            };
            let key = key.parse().map_or_else(|_| Value::text(key), Value::Int);
            value = access::item(&value, &key)?;
            path = after;
        }
    }
    Ok(value)
}

fn format_value(value: &Value<'_>, spec: &str, out: &mut String) -> Result<()> {
    match value {
        Value::DateTime(date) if !spec.is_empty() => {
            out.push_str(&date.strftime(spec)?);
            return Ok(());
        }
        Value::Undefined(_) if spec.is_empty() => return Ok(()),
        Value::Undefined(_) => return Err(Raise::Type),
        _ => {}
    }
    let layout = Layout::read(spec)?;
    match value {
        Value::Bool(_) if spec.is_empty() => print::print(value, out)?,
        value if value.as_float().is_some() => return number_text(value, &layout, out),
        Value::Str(text) if matches!(layout.kind, None | Some('s')) => {
            push_text(text.as_str(), &layout, out);
        }
        Value::Str(_) => return fail("unsupported format of a text"),
        value if spec.is_empty() => print::print(value, out)?,
        _ => return Err(Raise::Type),
    }
    Ok(())
}
