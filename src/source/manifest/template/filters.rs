//! Filters: Jinja's own and those of the reference.

use super::call::Call;
use super::eval::Evaluator;
use super::names::Filter;
use super::value::{Raise, Result, Value, fail};
use super::{arithmetic, collections, encode, functions, percent, print, regexes, strings};
use crate::source::manifest::datetime::{python_float, python_int};

/// `subject | filter(args)`
pub(super) fn apply<'a>(
    evaluator: &mut Evaluator<'a>,
    filter: Filter,
    subject: &Value<'a>,
    args: &Call<'a>,
) -> Result<Value<'a>> {
    match filter {
        Filter::Default => default(subject, args),
        Filter::Count => {
            args.none()?;
            let length = subject.len().ok_or_else(|| subject.misuse())?;
            Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
        }
        Filter::Abs => match subject.as_float() {
            Some(value) if value < 0.0 => arithmetic::negate(subject),
            Some(_) => Ok(subject.as_int().map_or_else(|| subject.clone(), Value::Int)),
            // Jinja's undefined knows no `abs`, nor `round`: a type error.
            None => Err(Raise::Type),
        },
        Filter::Int => int(subject, args),
        Filter::Float => float(subject, args),
        Filter::Round => round(subject, args),
        Filter::String => string(subject),
        Filter::ToJson => to_json(subject),
        Filter::Hash | Filter::Hmac => digest(filter, subject, args),
        Filter::Base64Encode => Ok(Value::text(encode::base64_encode(attribute_text(subject)?))),
        // The reference's filter of this name encodes once more.
        Filter::Base64BinasciiDecode => match attribute_text(subject)? {
            text if text.is_ascii() => Ok(Value::text(encode::base64_encode(text))),
            _ => fail("text is not ASCII"),
        },
        Filter::Base64Decode => encode::base64_decode(attribute_text(subject)?).map(Value::text),
        Filter::RegexSearch | Filter::RegexReplace => regex(filter, subject, args),
        Filter::UrlEncode => url_encode(subject),
        Filter::Safe => Ok(subject.clone()),
        Filter::Items if !matches!(subject, Value::Undefined(_)) => {
            let entries = subject.entries().ok_or(Raise::Type)?;
            let pair = |(key, value)| Value::tuple(vec![key, value]);
            Ok(Value::list(entries.into_iter().map(pair).collect()))
        }
        Filter::Upper
        | Filter::Lower
        | Filter::Capitalize
        | Filter::Title
        | Filter::Trim
        | Filter::Replace
        | Filter::Escape
        | Filter::Center
        | Filter::WordCount
        | Filter::Format => text(filter, subject, args),
        filter => collections::apply(evaluator, filter, subject, args),
    }
}

/// Text for the filters that call a method of it: on other values that is not a type error.
fn attribute_text<'v>(subject: &'v Value<'_>) -> Result<&'v str> {
    subject.as_str().ok_or_else(|| match subject.misuse() {
        Raise::Type => Raise::Fail(format!("{} is not text", subject.type_name())),
        raise => raise,
    })
}

fn default<'a>(subject: &Value<'a>, args: &Call<'a>) -> Result<Value<'a>> {
    let [default, boolean] = args.bind(["default_value", "boolean"], 0)?;
    let falsy = boolean.is_some_and(|boolean| boolean.is_truthy());
    let applies = matches!(subject, Value::Undefined(_)) || (falsy && !subject.is_truthy());
    Ok(if applies {
        default.unwrap_or(Value::borrowed(""))
    } else {
        subject.clone()
    })
}

/// Filters that take any value as text.
fn text<'a>(filter: Filter, subject: &Value<'a>, args: &Call<'a>) -> Result<Value<'a>> {
    let text = print::text(subject)?;
    match filter {
        Filter::Upper => Ok(Value::text(text.to_uppercase())),
        Filter::Lower => Ok(Value::text(text.to_lowercase())),
        Filter::Capitalize => Ok(Value::text(strings::capitalize(&text))),
        Filter::Title => {
            let mut out = String::with_capacity(text.len());
            for part in text.split_inclusive(|c: char| c.is_whitespace() || "-({[<".contains(c)) {
                out.push_str(&strings::capitalize(part));
            }
            Ok(Value::text(out))
        }
        Filter::Trim => {
            let [chars] = args.bind(["chars"], 0)?;
            let chars = match &chars {
                None | Some(Value::None) => None,
                Some(chars) => Some(chars.expect_str()?.chars().collect::<Vec<_>>()),
            };
            Ok(Value::text(strings::stripped(
                &text,
                chars.as_deref(),
                true,
                true,
            )))
        }
        Filter::Replace => {
            let [old, new, count] = args.bind(["old", "new", "count"], 2)?;
            let (old, new) = (old.ok_or(Raise::Type)?, new.ok_or(Raise::Type)?);
            let count = match count {
                None | Some(Value::None) => -1,
                Some(count) => count.expect_int()?,
            };
            strings::replace(&text, &print::text(&old)?, &print::text(&new)?, count)
        }
        Filter::Escape => Ok(Value::text(
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('\'', "&#39;")
                .replace('"', "&#34;"),
        )),
        Filter::Center => {
            let [width] = args.bind(["width"], 0)?;
            let width = width.unwrap_or(Value::Int(80));
            strings::call(
                &text,
                "center",
                &Call {
                    positional: vec![width],
                    named: Vec::new(),
                },
            )
        }
        Filter::Format => {
            let values = match &*args.named {
                [] => Value::tuple(args.positional.clone()),
                named => Value::Dict(
                    named
                        .iter()
                        .map(|(name, value)| (Value::borrowed(name), value.clone()))
                        .collect::<Vec<_>>()
                        .into(),
                ),
            };
            percent::format(&text, &values)
        }
        _ => {
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            let count = words.filter(|word| !word.is_empty()).count();
            Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
        }
    }
}

fn int<'a>(subject: &Value<'a>, args: &Call<'a>) -> Result<Value<'a>> {
    let [default, base] = args.bind(["default", "base"], 0)?;
    let base = base.map_or(Ok(10), |base| base.expect_int())?;
    match subject {
        Value::Undefined(_) => return Err(subject.misuse()),
        Value::Bool(value) => return Ok(Value::Int((*value).into())),
        Value::Int(_) | Value::Big(_) => return Ok(subject.clone()),
        Value::Float(value) if value.is_nan() => {}
        Value::Float(value) => return functions::whole(*value),
        Value::Str(text) => {
            let text = text.as_str();
            if let Some(value) = parse_int(text, base) {
                return Ok(value);
            }
            if let Some(value) = python_float(text).filter(|value| value.is_finite()) {
                return functions::whole(value);
            }
        }
        _ => {}
    }
    Ok(default.unwrap_or(Value::Int(0)))
}

/// Python's `int(text, base)`.
fn parse_int<'a>(text: &str, base: i64) -> Option<Value<'a>> {
    if base == 10 {
        return python_int(text).map(Value::Int).or_else(|| {
            let text = text.trim();
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let fits = is_number && digits.len() <= super::MAX_DIGITS;
            fits.then(|| text.trim_start_matches('+').parse().ok())?
                .map(Value::integer)
        });
    }
    let radix = u32::try_from(base)
        .ok()
        .filter(|radix| (2..=36).contains(radix))?;
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixes: &[&str] = match radix {
        16 => &["0x", "0X"],
        8 => &["0o", "0O"],
        2 => &["0b", "0B"],
        _ => &[],
    };
    let digits = prefixes
        .iter()
        .find_map(|prefix| digits.strip_prefix(prefix))
        .unwrap_or(digits);
    let signed = !digits.starts_with(['+', '-']);
    let value = signed.then(|| i64::from_str_radix(digits, radix).ok())??;
    Some(Value::Int(if negative { -value } else { value }))
}

fn float<'a>(subject: &Value<'a>, args: &Call<'a>) -> Result<Value<'a>> {
    let [default] = args.bind(["default"], 0)?;
    let value = match subject {
        Value::Undefined(_) => return Err(subject.misuse()),
        Value::Str(text) => python_float(text.as_str()),
        value => value.as_float(),
    };
    Ok(value
        .map(Value::Float)
        .or(default)
        .unwrap_or(Value::Float(0.0)))
}

fn round<'a>(subject: &Value<'a>, args: &Call<'a>) -> Result<Value<'a>> {
    let [precision, method] = args.bind(["precision", "method"], 0)?;
    let precision = precision.map_or(Ok(0), |precision| precision.expect_int())?;
    let precision = i32::try_from(precision.clamp(-400, 400)).unwrap_or(0);
    let method = method.as_ref().map_or(Ok("common"), Value::expect_str)?;
    let float = subject.as_float().ok_or(Raise::Type)?;
    let scale = 10_f64.powi(precision);
    let value = match method {
        "ceil" => (float * scale).ceil() / scale,
        "floor" => (float * scale).floor() / scale,
        "common" if subject.as_big().is_some() => return Ok(round_whole(subject, precision)),
        // The decimal text is exact, so ties are told from what only looks like one.
        "common" if precision >= 0 => {
            let decimals = usize::try_from(precision).unwrap_or(0);
            format!("{float:.decimals$}").parse().unwrap_or(float)
        }
        "common" => (float * scale).round_ties_even() / scale,
        _ => return fail("method must be common, ceil or floor"),
    };
    Ok(Value::Float(value))
}

/// Rounds a whole number to tens, hundreds, …; ties go to the even one.
fn round_whole<'a>(subject: &Value<'a>, precision: i32) -> Value<'a> {
    let (Some(value), 1..) = (subject.as_big(), -precision) else {
        return subject.as_int().map_or_else(|| subject.clone(), Value::Int);
    };
    let unit = num_bigint::BigInt::from(10).pow(precision.unsigned_abs());
    let half: num_bigint::BigInt = &unit / 2;
    let mut rest = &value % &unit;
    if rest.sign() == num_bigint::Sign::Minus {
        rest += &unit;
    }
    let down = &value - &rest;
    let is_even = !(&down / &unit).bit(0);
    let up = rest > half || (rest == half && !is_even);
    Value::integer(if up { down + unit } else { down })
}

/// The reference's `string`: what is not text becomes JSON in triple quotes, so that it is read
/// as text again.
fn string<'a>(subject: &Value<'a>) -> Result<Value<'a>> {
    if let Value::Str(_) = subject {
        return Ok(subject.clone());
    }
    let mut out = String::from("\"\"\"");
    print::dump_json(subject, false, &mut out)?;
    Ok(Value::text(out + "\"\"\""))
}

/// JSON with sorted keys that is safe inside HTML.
fn to_json<'a>(subject: &Value<'a>) -> Result<Value<'a>> {
    let mut out = String::new();
    print::dump_json(subject, true, &mut out)?;
    let out = out
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\'', "\\u0027");
    Ok(Value::text(out))
}

fn digest<'a>(filter: Filter, subject: &Value<'a>, args: &Call<'a>) -> Result<Value<'a>> {
    let text = print::text(subject)?;
    if filter == Filter::Hmac {
        let [key, algorithm] = args.bind(["key", "hash_type"], 1)?;
        let algorithm = algorithm.as_ref().map_or(Ok("sha256"), Value::expect_str)?;
        if algorithm != "sha256" {
            return fail(format!("hash type `{algorithm}` is not allowed"));
        }
        let key = print::text(&key.ok_or(Raise::Type)?)?;
        return Ok(Value::text(encode::hmac_sha256(&key, &text)));
    }
    let [algorithm, salt] = args.bind(["hash_type", "salt"], 0)?;
    let algorithm = algorithm.as_ref().map_or(Ok("md5"), Value::expect_str)?;
    let salt = salt
        .filter(Value::is_truthy)
        .as_ref()
        .map(print::text)
        .transpose()?;
    let texts = [&*text, salt.as_deref().unwrap_or("")];
    encode::digest(algorithm, &texts).map(Value::text)
}

fn regex<'a>(filter: Filter, subject: &Value<'a>, args: &Call<'a>) -> Result<Value<'a>> {
    // Python refuses anything but text here, also what is undefined.
    let text = subject.as_str().ok_or(Raise::Type)?;
    if filter == Filter::RegexSearch {
        let [regex] = args.bind(["regex"], 1)?;
        let regex = regex.ok_or(Raise::Type)?;
        let found = regexes::search(regex.expect_str()?, text)?;
        return Ok(Value::text(found.unwrap_or_default()));
    }
    let [regex, replacement] = args.bind(["regex", "replacement"], 2)?;
    let (regex, replacement) = (regex.ok_or(Raise::Type)?, replacement.ok_or(Raise::Type)?);
    regexes::replace(regex.expect_str()?, text, replacement.expect_str()?).map(Value::text)
}

/// Percent-encodes a text, or the pairs of a dict or list as a query.
fn url_encode<'a>(subject: &Value<'a>) -> Result<Value<'a>> {
    let pairs = match subject {
        Value::Undefined(_) => return Ok(Value::borrowed("")),
        _ if subject.is_mapping() => subject.entries().unwrap_or_default(),
        _ if subject.is_sequence() => {
            let mut pairs = Vec::new();
            for item in subject.items()? {
                let [key, value] = &*item.items()? else {
                    return fail("wrong number of values to unpack");
                };
                pairs.push((key.clone(), value.clone()));
            }
            pairs
        }
        text => return Ok(Value::text(encode::quote(&print::text(text)?, false))),
    };
    let mut parts = Vec::with_capacity(pairs.len());
    for (key, value) in &pairs {
        let encoded = |value| print::text(value).map(|text| encode::quote(&text, true));
        parts.push(format!("{}={}", encoded(key)?, encoded(value)?));
    }
    Ok(Value::text(parts.join("&")))
}
