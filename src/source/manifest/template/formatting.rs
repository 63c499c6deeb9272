//! Python's text formatting: the `%` operator and `str.format`.

use super::call::Call;
use super::value::{Raise, Result, SeqKind, Text, Value, fail};
use super::{MAX_TEXT, access, functions, operators, print};

/// Columns that a field may ask for.
const MAX_WIDTH: usize = 10_000;

/// How a value is to be laid out.
#[derive(Debug, Default, Clone)]
struct Layout {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

/// `format % values`
pub(super) fn percent<'a>(format: &str, values: &Value<'a>) -> Result<Value<'a>> {
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
        layout.width = number(&mut rest)?.unwrap_or(0);
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            layout.precision = Some(number(&mut rest)?.unwrap_or(0));
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
    // Values left over are an error, unless they are a dict or nothing was named.
    if !used_names && !values.is_mapping() && positional.next().is_some() {
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

/// Digits at the start of `rest`.
fn number(rest: &mut &str) -> Result<Option<usize>> {
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    if digits.is_empty() {
        return Ok(None);
    }
    match digits.parse() {
        Ok(number) if number <= MAX_WIDTH => Ok(Some(number)),
        _ => fail("format field is too wide"),
    }
}

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
        Value::Undefined(_) => return Ok(()),
        _ => {}
    }
    let layout = Layout::read(spec)?;
    match value {
        Value::Bool(_) if layout.kind.is_none() => push_text(&print::text(value)?, &layout, out),
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

impl Layout {
    /// `[[fill]align][sign][#][0][width][,][.precision][type]`
    fn read(spec: &str) -> Result<Self> {
        let mut layout = Self::default();
        let mut rest = spec;
        let mut chars = spec.chars();
        let (first, second) = (chars.next(), chars.next());
        let is_align = |c: Option<char>| matches!(c, Some('<' | '>' | '^' | '='));
        if is_align(second) {
            (layout.fill, layout.align) = (first, second);
            rest = chars.as_str();
        } else if is_align(first) {
            layout.align = first;
            rest = &spec[1..];
        }
        if let Some(sign) = rest.chars().next().filter(|c| matches!(c, '+' | '-' | ' ')) {
            layout.sign = Some(sign);
            rest = &rest[1..];
        }
        if let Some(after) = rest.strip_prefix('#') {
            (layout.alternate, rest) = (true, after);
        }
        if rest.starts_with('0') && layout.align.is_none() {
            (layout.fill, layout.align) = (Some('0'), Some('='));
        }
        layout.width = number(&mut rest)?.unwrap_or(0);
        if let Some(grouping) = rest.chars().next().filter(|c| matches!(c, ',' | '_')) {
            layout.grouping = Some(grouping);
            rest = &rest[1..];
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            layout.precision = number(&mut rest)?;
        }
        let mut kind = rest.chars();
        layout.kind = kind.next();
        if kind.next().is_some() {
            fail("invalid format specification")
        } else {
            Ok(layout)
        }
    }
}

/// A number in its base, notation and grouping.
fn number_text(value: &Value<'_>, layout: &Layout, out: &mut String) -> Result<()> {
    let whole = value.as_big();
    let precision = layout.precision.unwrap_or(6);
    let kind = match layout.kind {
        None | Some('n') => {
            if whole.is_some() {
                'd'
            } else {
                'r'
            }
        }
        Some(kind) => kind,
    };
    let float = || value.as_float().ok_or_else(|| value.misuse());
    let text = match (kind, &whole) {
        ('d', Some(whole)) => print::big_text(whole)?,
        ('x', Some(whole)) => whole.to_str_radix(16),
        ('X', Some(whole)) => whole.to_str_radix(16).to_uppercase(),
        ('o', Some(whole)) => whole.to_str_radix(8),
        ('b', Some(whole)) => whole.to_str_radix(2),
        ('f' | 'F', _) => format!("{:.precision$}", float()?),
        ('%', _) => format!("{:.precision$}%", float()? * 100.0),
        ('e' | 'E', _) => exponent(float()?, precision, kind),
        ('g' | 'G', _) => general(float()?, precision.max(1)),
        ('r', _) => match layout.precision {
            Some(precision) => general(float()?, precision.max(1)),
            None => print::text(value)?,
        },
        _ if whole.is_none() && value.as_float().is_none() => return Err(value.misuse()),
        _ => return fail("unsupported format of a number"),
    };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => match layout.sign {
            Some('+') => ("+", &*text),
            Some(' ') => (" ", &*text),
            _ => ("", &*text),
        },
    };
    let prefix = match kind {
        'x' | 'X' | 'o' | 'b' if layout.alternate => format!("{sign}0{kind}"),
        _ => sign.to_owned(),
    };
    let digits = grouped(digits, layout.grouping);
    let layout = Layout {
        align: layout.align.or(Some('>')),
        ..layout.clone()
    };
    if layout.align == Some('=') {
        let used = prefix.chars().count() + digits.chars().count();
        out.push_str(&prefix);
        let fill = layout.fill.unwrap_or(' ');
        out.extend(std::iter::repeat_n(fill, layout.width.saturating_sub(used)));
        out.push_str(&digits);
    } else {
        push_text(
            &format!("{prefix}{digits}"),
            &Layout {
                precision: None,
                ..layout
            },
            out,
        );
    }
    Ok(())
}

fn grouped(digits: &str, separator: Option<char>) -> String {
    let Some(separator) = separator else {
        return digits.to_owned();
    };
    let whole = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let mut out = String::new();
    for (index, digit) in digits[..whole].chars().enumerate() {
        if index > 0 && (whole - index).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    out + &digits[whole..]
}

/// `1.500000e+02`
fn exponent(value: f64, precision: usize, letter: char) -> String {
    let text = format!("{value:.precision$e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let magnitude = exponent.trim_start_matches('-');
            let sign = if exponent.starts_with('-') { '-' } else { '+' };
            format!("{digits}{letter}{sign}{magnitude:0>2}")
        }
        None => text,
    }
}

/// `%g`: so many significant digits, without trailing zeros.
fn general(value: f64, precision: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return super::float_text(value).trim_end_matches(".0").to_owned();
    }
    let scientific = format!("{value:.*e}", precision - 1);
    let magnitude: i32 = scientific
        .split_once('e')
        .and_then(|(_, power)| power.parse().ok())
        .unwrap_or(0);
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    let shorten = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if magnitude < -4 || magnitude >= limit {
        let text = exponent(value, precision - 1, 'e');
        let (digits, power) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{power}", shorten(digits));
    }
    let decimals = usize::try_from(limit - 1 - magnitude).unwrap_or(0);
    shorten(&format!("{value:.decimals$}"))
}

fn push_text(text: &str, layout: &Layout, out: &mut String) {
    let text: String = match layout.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    let missing = layout.width.saturating_sub(text.chars().count());
    let before = match layout.align {
        Some('>' | '=') => missing,
        Some('^') => missing / 2,
        _ => 0,
    };
    let fill = layout.fill.unwrap_or(' ');
    out.extend(std::iter::repeat_n(fill, before));
    out.push_str(&text);
    out.extend(std::iter::repeat_n(fill, missing - before));
}

/// Whether `left` and `right` are one object: what `is sameas` asks of constants.
pub(super) fn is_same(left: &Value<'_>, right: &Value<'_>) -> Result<bool> {
    Ok(left.type_name() == right.type_name() && operators::equal(left, right)?)
}
