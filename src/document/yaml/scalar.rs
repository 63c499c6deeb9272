//! Scalar text → typed value, by the rules of YAML 1.1 as the safe loader of `PyYAML` applies them.

use super::Kind;

/// The value of an unquoted scalar without a tag.
pub(super) fn plain(text: &str) -> Kind {
    null(text)
        .or_else(|| boolean(text))
        .or_else(|| integer(text))
        .or_else(|| float(text))
        .unwrap_or_else(|| Kind::String(text.to_owned()))
}

/// The value of a scalar tagged `!!{tag}`; `None` when the text is none of that kind, or the tag
/// is not one of plain data.
pub(super) fn tagged(tag: &str, text: &str) -> Option<Kind> {
    match tag {
        // Dates stay text: nothing in a manifest computes with a typed one.
        "str" | "timestamp" => Some(Kind::String(text.to_owned())),
        "null" => Some(Kind::Null),
        "bool" => boolean(&text.to_lowercase()),
        "int" => integer(text),
        "float" => float(text).or_else(|| text.parse().ok().and_then(finite)),
        _ => None,
    }
}

fn null(text: &str) -> Option<Kind> {
    matches!(text, "" | "~" | "null" | "Null" | "NULL").then_some(Kind::Null)
}

fn boolean(text: &str) -> Option<Kind> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Kind::Bool(true))
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Kind::Bool(false))
        }
        _ => None,
    }
}

fn signed(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn integer(text: &str) -> Option<Kind> {
    let (negative, body) = signed(text);
    if !body.starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    let digits = body.replace('_', "");
    if let Some(binary) = digits.strip_prefix("0b") {
        return in_radix(negative, binary, 2);
    }
    if let Some(hex) = digits.strip_prefix("0x") {
        return in_radix(negative, hex, 16);
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return in_radix(negative, &digits[1..], 8);
    }
    if body.contains(':') {
        return sexagesimal(negative, body);
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    let spelled = format!("{sign}{digits}");
    Some(match spelled.parse() {
        Ok(number) => Kind::Int(number),
        Err(_) => Kind::BigNumber(spelled.into()),
    })
}

fn in_radix(negative: bool, digits: &str, radix: u32) -> Option<Kind> {
    // `from_str_radix` takes a sign of its own.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    Some(whole(if negative { -magnitude } else { magnitude }))
}

fn whole(number: i128) -> Kind {
    match i64::try_from(number) {
        Ok(number) => Kind::Int(number),
        Err(_) => Kind::BigNumber(number.to_string().into()),
    }
}

/// `1:30` is 90: numbers to the base of sixty, kept from clocks and angles.
fn sexagesimal(negative: bool, body: &str) -> Option<Kind> {
    let mut parts = body.split(':');
    let first = parts.next()?;
    if !first.starts_with(|char: char| matches!(char, '1'..='9')) {
        return None;
    }
    let mut total: i128 = first.replace('_', "").parse().ok()?;
    for part in parts {
        total = total.checked_mul(60)?.checked_add(below_sixty(part)?)?;
    }
    Some(whole(if negative { -total } else { total }))
}

fn below_sixty(part: &str) -> Option<i128> {
    let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let small = part.len() < 2 || (part.len() == 2 && part.as_bytes()[0] <= b'5');
    (digits && small).then(|| part.parse().ok()).flatten()
}

/// A number with a point. `1e3` has none and is text; `1.5e3` lacks the exponent's sign and is
/// text too: so say the rules of 1.1.
fn float(text: &str) -> Option<Kind> {
    let (negative, body) = signed(text);
    if body.starts_with('.') && body.len() != text.len() {
        return None;
    }
    let (whole, rest) = body.split_once('.')?;
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let run = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    };
    let starts_with_digit = |text: &str| text.starts_with(|char: char| char.is_ascii_digit());
    if !run(fraction) || (whole.is_empty() && !starts_with_digit(fraction)) {
        return None;
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-'])?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    let minutes = match whole.split_once(':') {
        Some(_) if exponent.is_some() => return None,
        Some((first, rest)) => {
            let mut total: f64 = starts_with_digit(first)
                .then(|| first.replace('_', "").parse().ok())
                .flatten()?;
            for part in rest.split(':') {
                let part = i16::try_from(below_sixty(part)?).ok()?;
                total = total * 60.0 + f64::from(part);
            }
            Some(total)
        }
        None if !whole.is_empty() && !starts_with_digit(whole) => return None,
        None if !run(whole) => return None,
        None => None,
    };
    let number: f64 = match minutes {
        Some(minutes) => format!("0.{}", fraction.replace('_', "") + "0")
            .parse()
            .map(|fraction: f64| minutes + fraction)
            .ok()?,
        None => format!("0{}", body.replace('_', "")).parse().ok()?,
    };
    finite(if negative { -number } else { number })
}

fn finite(number: f64) -> Option<Kind> {
    number.is_finite().then_some(Kind::Float(number))
}
