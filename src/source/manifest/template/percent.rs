//! Python's `%` operator on texts.

use super::layout::{Layout, digits, number_text, push_text};
use super::value::{Raise, Result, SeqKind, Value, fail};
use super::{MAX_TEXT, functions, print};

/// `format % values`
pub(super) fn format<'a>(format: &str, values: &Value<'a>) -> Result<Value<'a>> {
    let positional = match values {
        Value::Seq(SeqKind::Tuple, items) => items.to_vec(),
        single => vec![single.clone()],
    };
    let mut positional = positional.into_iter();
    let mut used_names = false;
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut layout = Layout::default();
        let mut named = None;
        if let Some(after) = rest.strip_prefix('(') {
            let Some((name, after)) = after.split_once(')') else {
                return fail("incomplete format key");
            };
            if !values.is_mapping() {
                return Err(Raise::Type);
            }
            used_names = true;
            let Some(value) = values.lookup(name) else {
                return fail(format!("no value for format key `{name}`"));
            };
            (named, rest) = (Some(value), after);
        }
        let flags = rest.len() - rest.trim_start_matches(['-', '+', ' ', '0', '#']).len();
        for flag in rest[..flags].chars() {
            match flag {
                '-' => layout.align = Some('<'),
                '0' => layout.fill = Some('0'),
                '#' => layout.alternate = true,
                sign => layout.sign = Some(sign),
            }
        }
        rest = &rest[flags..];
        layout.width = digits(&mut rest)?.unwrap_or(0);
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            layout.precision = Some(digits(&mut rest)?.unwrap_or(0));
        }
        let Some(kind) = rest.chars().next() else {
            return fail("incomplete format");
        };
        rest = &rest[kind.len_utf8()..];
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = named.or_else(|| positional.next()).ok_or(Raise::Type)?;
        layout.kind = Some(kind);
        if layout.fill == Some('0') && layout.align.is_none() {
            layout.align = Some('=');
        }
        percent_value(&value, layout, &mut out)?;
        if out.len() > MAX_TEXT {
            return fail("text is too long");
        }
    }
    out.push_str(rest);
    // Values left over are an error, unless they could have been picked by name.
    let indexable =
        values.is_mapping() || matches!(values, Value::Array(_) | Value::Seq(SeqKind::List, _));
    if !used_names && !indexable && positional.next().is_some() {
        return Err(Raise::Type);
    }
    Ok(Value::text(out))
}

fn percent_value(value: &Value<'_>, mut layout: Layout, out: &mut String) -> Result<()> {
    let right = layout.align.or(Some('>'));
    match layout.kind {
        Some('s' | 'r' | 'a') => {
            let mut text = String::new();
            if layout.kind == Some('s') {
                print::print(value, &mut text)?;
            } else {
                print::repr(value, &mut text)?;
            }
            let fill = layout.fill.take().filter(|_| false);
            layout = Layout {
                align: right.map(|a| if a == '=' { '>' } else { a }),
                fill,
                ..layout
            };
            push_text(&text, &layout, out);
            Ok(())
        }
        Some('d' | 'i' | 'u') => {
            let whole = match value {
                Value::Float(value) => functions::whole(*value)?,
                value => value.clone(),
            };
            layout = Layout {
                kind: Some('d'),
                precision: None,
                ..layout
            };
            number_text(&whole, &layout, out)
        }
        Some('x' | 'X' | 'o' | 'f' | 'F' | 'e' | 'E' | 'g' | 'G') => {
            number_text(value, &layout, out)
        }
        Some('c') => {
            push_text(value.expect_str()?, &layout, out);
            Ok(())
        }
        _ => fail("unsupported format character"),
    }
}
