//! ISO 8601 text to dates, as leniently as the reference reads it.

use jiff::civil::{Date, DateTime as Civil, ISOWeekDate, Time, Weekday};

use super::span::SECOND;
use super::{DateError, DateTime};

impl DateTime {
    /// Reads ISO 8601 text (`2024-01`, `20240131T10`, `2024-W05-2`, …) and turns it to UTC; text
    /// without an offset is UTC.
    pub fn parse_iso(text: &str) -> Result<Self, DateError> {
        parse_isodatetime(text)?.to_utc()
    }

    /// Reads text that says when something is, in any of the spellings that JSON APIs use: ISO
    /// 8601 with `T` or a blank, or whole seconds since 1970. Without an offset it is UTC.
    pub fn parse_lenient(text: &str) -> Result<Self, DateError> {
        let text = text.trim();
        if !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::parse(text, "%s");
        }
        let mut date = match text.split_once(" UTC").or_else(|| text.split_once(" GMT")) {
            Some((date, "")) => parse_isodatetime(date),
            _ => parse_isodatetime(text),
        };
        if date.is_err() {
            let formats = [
                "%a, %d %b %Y %H:%M:%S GMT",
                "%a, %d %b %Y %H:%M:%S %z",
                "%m/%d/%Y",
            ];
            date = formats
                .iter()
                .find_map(|format| Self::strptime(text, format).ok())
                .map_or(date, Ok);
            if date.is_err() {
                // `2024-01-01 10:00:00 +0200`
                date = text.rsplit_once(' ').map_or(date, |(date, offset)| {
                    parse_isodatetime(&format!("{date}{offset}"))
                });
            }
        }
        date.map(|date| Self {
            offset: date.offset.or(Some(0)),
            ..date
        })
    }
}

/// Reads date, separator (any one character) and time; the time and what is smaller may be absent.
pub(super) fn parse_isodatetime(text: &str) -> Result<DateTime, DateError> {
    let read = || {
        let bytes = text.as_bytes();
        let (date, used) = common_date(bytes).or_else(|| uncommon_date(bytes))?;
        let date = date?;
        if used >= bytes.len() {
            return Some(DateTime {
                civil: date.to_datetime(Time::midnight()),
                offset: None,
            });
        }
        // Separators are ASCII in the reference; so the index is a boundary.
        let rest = bytes.get(used..).filter(|rest| rest[0].is_ascii())?;
        let clock = Clock::read(&rest[1..])?;
        let civil = Civil::from_parts(date, clock.time()?);
        let day = if clock.hour == 24 { 86_400 * SECOND } else { 0 };
        DateTime {
            civil,
            offset: clock.offset,
        }
        .shifted(day)
        .ok()
    };
    read().ok_or_else(|| DateError::new(format!("cannot read `{text}` as an ISO 8601 date")))
}

/// `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, `YYYYMMDD`. The inner `None` is a date that does not exist:
/// then the other spellings are not tried.
fn common_date(text: &[u8]) -> Option<(Option<Date>, usize)> {
    let year = number(text, 0, 4)?;
    let date = |month: i64, day: i64| date_of(year, month, day);
    if text.len() == 4 {
        return Some((date(1, 1), 4));
    }
    let dashed = text[4] == b'-';
    let at = 4 + usize::from(dashed);
    let month = number(text, at, 2)?;
    let at = at + 2;
    if at >= text.len() {
        return dashed.then_some((date(month, 1), at));
    }
    if dashed && text[at] != b'-' {
        return None;
    }
    let at = at + usize::from(dashed);
    let day = number(text, at, 2)?;
    Some((date(month, day), at + 2))
}

/// `YYYY-Www-D`, `YYYYWwwD`, `YYYY-Www`, `YYYY-DDD`, `YYYYDDD`.
fn uncommon_date(text: &[u8]) -> Option<(Option<Date>, usize)> {
    let year = number(text, 0, 4)?;
    let dashed = text.get(4) == Some(&b'-');
    let mut at = 4 + usize::from(dashed);
    if text.get(at) != Some(&b'W') {
        let ordinal = number(text, at, 3)?;
        let first = date_of(year, 1, 1)?;
        let in_year = (1..=i64::from(first.days_in_year())).contains(&ordinal);
        let date = in_year.then(|| {
            first
                .with()
                .day_of_year(i16::try_from(ordinal).ok()?)
                .build()
                .ok()
        });
        return Some((Some(date??), at + 3));
    }
    let week = number(text, at + 1, 2)?;
    at += 3;
    let mut day = 1;
    if at < text.len() {
        if (text[at] == b'-') != dashed {
            return None;
        }
        at += usize::from(dashed);
        day = number(text, at, 1)?;
        at += 1;
    }
    let weekday = Weekday::from_monday_one_offset(i8::try_from(day).ok()?).ok()?;
    let year = i16::try_from(year).ok()?;
    let week = i8::try_from(week)
        .ok()
        .filter(|week| (1..=53).contains(week))?;
    // Week 53 of a year with 52 is the first of the next.
    let first = ISOWeekDate::new(year, 1, weekday).ok()?.date();
    let date = first
        .checked_add(jiff::Span::new().weeks(i64::from(week) - 1))
        .ok()?;
    Some((Some(date), at))
}

fn date_of(year: i64, month: i64, day: i64) -> Option<Date> {
    let year = i16::try_from(year).ok().filter(|year| *year >= 1)?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Exactly `width` digits at `at`.
fn number(text: &[u8], at: usize, width: usize) -> Option<i64> {
    let digits = text.get(at..at + width)?;
    digits.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + i64::from(byte - b'0'))
    })
}

/// The time part while it is read.
#[derive(Default)]
struct Clock {
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    offset: Option<i32>,
}

impl Clock {
    fn read(text: &[u8]) -> Option<Self> {
        let mut clock = Self::default();
        let mut at = 0;
        let mut colons = false;
        if text.len() < 2 {
            return None;
        }
        for part in 0..5 {
            if at >= text.len() {
                break;
            }
            if matches!(text[at], b'-' | b'+' | b'Z' | b'z') {
                clock.offset = Some(offset(&text[at..])?);
                at = text.len();
                break;
            }
            match part {
                1 if text[at] == b':' => {
                    colons = true;
                    at += 1;
                }
                2 if colons => {
                    (text[at] == b':').then_some(())?;
                    at += 1;
                }
                _ => {}
            }
            match part {
                0..3 => {
                    // One digit at the very end is read too.
                    let width = text.len().saturating_sub(at).min(2);
                    let value = (width > 0).then(|| number(text, at, width))??;
                    at += 2;
                    *[&mut clock.hour, &mut clock.minute, &mut clock.second][part] = value;
                }
                3 if matches!(text[at], b'.' | b',') => {
                    let digits = text[at + 1..]
                        .iter()
                        .take_while(|b| b.is_ascii_digit())
                        .count();
                    (digits > 0).then_some(())?;
                    let kept = digits.min(6);
                    let scale = 10_i64.pow(u32::try_from(6 - kept).ok()?);
                    clock.micros = number(text, at + 1, kept)? * scale;
                    at += 1 + digits;
                }
                _ => {}
            }
        }
        let midnight = clock.minute == 0 && clock.second == 0 && clock.micros == 0;
        (at >= text.len() && (clock.hour != 24 || midnight)).then_some(clock)
    }

    /// The time of day; 24:00 is midnight.
    fn time(&self) -> Option<Time> {
        let small = |value: i64| i8::try_from(value).ok();
        Time::new(
            small(self.hour % 24).filter(|_| self.hour <= 24)?,
            small(self.minute)?,
            small(self.second)?,
            i32::try_from(self.micros * 1000).ok()?,
        )
        .ok()
    }
}

/// `Z`, `+HH`, `+HHMM`, `+HH:MM` as seconds.
fn offset(text: &[u8]) -> Option<i32> {
    if matches!(text, b"Z" | b"z") {
        return Some(0);
    }
    let hours = number(text, 1, 2)?;
    let minutes = match text.len() {
        3 => 0,
        5 => number(text, 3, 2)?,
        6 if text[3] == b':' => number(text, 4, 2)?,
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(())?;
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    match text[0] {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}
