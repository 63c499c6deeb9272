//! Python's layout of a formatted value: width, alignment, precision, notation.

use super::print;
use super::value::{Result, Value, fail};

/// Columns that a field may ask for.
const MAX_WIDTH: usize = 10_000;

/// How a value is to be laid out.
#[derive(Debug, Default, Clone)]
pub(super) struct Layout {
    pub fill: Option<char>,
    pub align: Option<char>,
    pub sign: Option<char>,
    pub alternate: bool,
    pub width: usize,
    pub grouping: Option<char>,
    pub precision: Option<usize>,
    pub kind: Option<char>,
}

/// Digits at the start of `rest`.
pub(super) fn digits(rest: &mut &str) -> Result<Option<usize>> {
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

impl Layout {
    /// `[[fill]align][sign][#][0][width][,][.precision][type]`
    pub(super) fn read(spec: &str) -> Result<Self> {
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
        layout.width = digits(&mut rest)?.unwrap_or(0);
        if let Some(grouping) = rest.chars().next().filter(|c| matches!(c, ',' | '_')) {
            layout.grouping = Some(grouping);
            rest = &rest[1..];
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            layout.precision = digits(&mut rest)?;
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
pub(super) fn number_text(value: &Value<'_>, layout: &Layout, out: &mut String) -> Result<()> {
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
    let shorten = |text: &str| {
        let fraction = text.contains('.');
        let short = text.trim_end_matches('0').trim_end_matches('.');
        if fraction { short } else { text }.to_owned()
    };
    if magnitude < -4 || magnitude >= limit {
        let text = exponent(value, precision - 1, 'e');
        let (digits, power) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{power}", shorten(digits));
    }
    let decimals = usize::try_from(limit - 1 - magnitude).unwrap_or(0);
    shorten(&format!("{value:.decimals$}"))
}

pub(super) fn push_text(text: &str, layout: &Layout, out: &mut String) {
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
