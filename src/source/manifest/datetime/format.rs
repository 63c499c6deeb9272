//! Dates to text: Python's `strftime` directives and those of the reference.

use std::fmt::Write;

use jiff::civil::Weekday;

use super::instant::offset_text;
use super::{DateError, DateTime};
use crate::source::manifest::template::float_text;

/// A format may not blow its text up further than this.
const MAX_OUTPUT: usize = 64 * 1024;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// From Monday on.
pub(super) const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

impl DateTime {
    /// Formats as the reference formats cursor values: `%s`, `%ms`, `%s_as_float` and
    /// `%epoch_microseconds` alone, `%_ms` anywhere, else as [`strftime`](Self::strftime).
    pub fn format(&self, format: &str) -> Result<String, DateError> {
        // The reference goes through a float of seconds; so do we, to cut where it cuts.
        let seconds = self.epoch_seconds();
        match format {
            "%s" => Ok(whole(seconds)),
            "%s_as_float" => Ok(float_text(seconds)),
            "%ms" => Ok(whole(seconds * 1e3)),
            "%epoch_microseconds" => Ok(whole(seconds * 1e6)),
            format if format.contains("%_ms") => {
                let text = self.strftime(&format.replace("%_ms", "%f"))?;
                let micros = format!("{:06}", self.microsecond());
                Ok(text.replace(&micros, &micros[..3]))
            }
            format => self.strftime(format),
        }
    }

    /// Python's `strftime` in the C locale, with the flags and directives of glibc.
    pub fn strftime(&self, format: &str) -> Result<String, DateError> {
        let mut out = String::with_capacity(format.len() + 16);
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some((value, width)) = rest.bytes().next().and_then(|b| self.common(b)) {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "{value:0width$}");
                rest = &rest[1..];
                continue;
            }
            let spec = Spec::read(rest);
            match spec
                .directive
                .and_then(|directive| self.directive(directive, &spec))
            {
                Some(text) => {
                    out.push_str(&text);
                    rest = &rest[spec.length..];
                }
                // What is no directive stands for itself.
                None => out.push('%'),
            }
            if out.len() > MAX_OUTPUT {
                return Err(DateError::new("formatted date is too long"));
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Number and digits of the directives of which most formats are made.
    fn common(&self, directive: u8) -> Option<(i32, usize)> {
        let civil = self.civil;
        Some(match directive {
            b'Y' => (civil.year().into(), 1),
            b'm' => (civil.month().into(), 2),
            b'd' => (civil.day().into(), 2),
            b'H' => (civil.hour().into(), 2),
            b'M' => (civil.minute().into(), 2),
            b'S' => (civil.second().into(), 2),
            b'f' => (self.microsecond(), 6),
            _ => return None,
        })
    }

    /// The text of one directive.
    fn directive(&self, directive: char, spec: &Spec) -> Option<String> {
        let civil = self.civil;
        let date = civil.date();
        let weekday = usize::try_from(civil.weekday().to_monday_zero_offset()).ok()?;
        let month = usize::try_from(civil.month() - 1).ok()?;
        let year = i64::from(civil.year());
        let hour = i64::from(civil.hour());
        let twelve = (hour + 11) % 12 + 1;
        let since_sunday = i64::from(civil.weekday().to_sunday_zero_offset());
        let day_of_year = i64::from(date.day_of_year());
        let iso = date.iso_week_date();
        let number = |value: i64, width: usize| Some(spec.number(value, width, '0'));
        let text = |text: &str| Some(spec.text(text));
        match directive {
            '%' => text("%"),
            'n' => text("\n"),
            't' => text("\t"),
            'a' => text(&WEEKDAYS[weekday][..3]),
            'A' => text(WEEKDAYS[weekday]),
            'b' | 'h' => text(&MONTHS[month][..3]),
            'B' => text(MONTHS[month]),
            'p' => text(if hour < 12 { "AM" } else { "PM" }),
            'P' => text(if hour < 12 { "am" } else { "pm" }),
            'd' => number(civil.day().into(), 2),
            'e' => Some(spec.number(civil.day().into(), 2, ' ')),
            'm' => number(civil.month().into(), 2),
            'y' => number(year % 100, 2),
            'Y' => number(year, 1),
            'C' => number(year / 100, 1),
            'G' => number(iso.year().into(), 1),
            'g' => number(i64::from(iso.year()) % 100, 2),
            'V' => number(iso.week().into(), 2),
            'u' => number(iso.weekday().to_monday_one_offset().into(), 1),
            'w' => number(since_sunday, 1),
            'U' => number((day_of_year + 6 - since_sunday) / 7, 2),
            'W' => number((day_of_year + 6 - (since_sunday + 6) % 7) / 7, 2),
            'j' => number(day_of_year, 3),
            'H' => number(hour, 2),
            'I' => number(twelve, 2),
            'k' => Some(spec.number(hour, 2, ' ')),
            'l' => Some(spec.number(twelve, 2, ' ')),
            'M' => number(civil.minute().into(), 2),
            'S' => number(civil.second().into(), 2),
            'f' => Some(format!("{:06}", self.microsecond())),
            // Python hands this one to the system, which takes the date for local time: UTC here.
            's' => number(self.civil_micros().div_euclid(1_000_000), 1),
            'z' => Some(
                self.offset
                    .map(|offset| offset_text(offset, ""))
                    .unwrap_or_default(),
            ),
            'Z' => Some(self.zone_name()),
            composite => {
                let format = match composite {
                    'c' => "%a %b %e %H:%M:%S %Y",
                    'D' | 'x' => "%m/%d/%y",
                    'F' => "%Y-%m-%d",
                    'T' | 'X' => "%H:%M:%S",
                    'R' => "%H:%M",
                    'r' => "%I:%M:%S %p",
                    _ => return None,
                };
                text(&self.strftime(format).ok()?)
            }
        }
    }

    /// `UTC`, `UTC+02:00`, or nothing for a date without offset.
    fn zone_name(&self) -> String {
        match self.offset {
            None => String::new(),
            Some(0) => "UTC".to_owned(),
            Some(offset) => format!("UTC{}", offset_text(offset, ":")),
        }
    }

    /// The day of the week.
    pub fn weekday(&self) -> Weekday {
        self.civil.weekday()
    }
}

/// A float without its fraction; adding zero turns a negative zero into a plain one.
fn whole(value: f64) -> String {
    format!("{:.0}", value.trunc() + 0.0)
}

/// One directive with glibc's flags and width: `%-d`, `%_H`, `%^b`, `%06d`.
struct Spec {
    directive: Option<char>,
    /// Bytes from after the `%`, directive included.
    length: usize,
    /// Padding asked for: `'-'` is none.
    pad: Option<char>,
    upper: bool,
    width: usize,
}

impl Spec {
    fn read(text: &str) -> Self {
        let mut spec = Self {
            directive: None,
            length: 0,
            pad: None,
            upper: false,
            width: 0,
        };
        let mut modified = false;
        for c in text.chars() {
            spec.length += c.len_utf8();
            match c {
                '-' | '_' | '0' if spec.width == 0 && !modified => spec.pad = Some(c),
                '^' if !modified => spec.upper = true,
                '#' if !modified => {}
                '0'..='9' if !modified => {
                    let digit = usize::try_from(u32::from(c) - u32::from('0')).unwrap_or(0);
                    let width = spec.width.saturating_mul(10).saturating_add(digit);
                    spec.width = width.min(1024);
                }
                'E' | 'O' if !modified => modified = true,
                directive => {
                    spec.directive = Some(directive);
                    break;
                }
            }
        }
        spec
    }

    fn number(&self, value: i64, width: usize, pad: char) -> String {
        let width = if self.width > 0 { self.width } else { width };
        let digits = value.to_string();
        let pad = match self.pad {
            Some('-') => return digits,
            Some('_') => ' ',
            Some(_) => '0',
            None => pad,
        };
        pad_left(&digits, width, pad)
    }

    fn text(&self, text: &str) -> String {
        let text = if self.upper {
            text.to_uppercase()
        } else {
            text.to_owned()
        };
        let pad = if self.pad == Some('0') { '0' } else { ' ' };
        pad_left(&text, self.width, pad)
    }
}

fn pad_left(text: &str, width: usize, pad: char) -> String {
    let mut out = String::new();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) if pad == '0' => ("-", digits),
        _ => ("", text),
    };
    out.push_str(sign);
    for _ in sign.len() + digits.chars().count()..width {
        out.push(pad);
    }
    // Writing to a `String` cannot fail.
    let _ = write!(out, "{digits}");
    out
}
