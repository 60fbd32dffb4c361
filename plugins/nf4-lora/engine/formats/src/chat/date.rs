//! `strftime_now` with a fixed day.

use minijinja::{Error, ErrorKind};

/// The day that templates get: Friday, 26 July 2024, midnight. With the real one, a prompt would be another one
/// tomorrow: an adapter would meet text it was not trained on, and no run could be repeated.
const DAY: [(char, &str); 29] = [
    ('Y', "2024"),
    ('C', "20"),
    ('y', "24"),
    ('G', "2024"),
    ('m', "07"),
    ('d', "26"),
    ('e', "26"),
    ('B', "July"),
    ('b', "Jul"),
    ('h', "Jul"),
    ('A', "Friday"),
    ('a', "Fri"),
    ('w', "5"),
    ('u', "5"),
    ('j', "208"),
    ('U', "29"),
    ('W', "30"),
    ('V', "30"),
    ('H', "00"),
    ('I', "12"),
    ('M', "00"),
    ('S', "00"),
    ('p', "AM"),
    ('f', "000000"),
    ('F', "2024-07-26"),
    ('T', "00:00:00"),
    ('X', "00:00:00"),
    ('x', "07/26/24"),
    ('c', "Fri Jul 26 00:00:00 2024"),
];

/// What Python's `strftime` makes of `format` in the C locale, without a time zone.
pub(super) fn strftime_now(format: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let directive = rest.next();
        // `%-d` is `%d` without a leading zero.
        let (plain, directive) = match directive {
            Some('-') => (true, rest.next()),
            other => (false, other),
        };
        let text = match directive {
            Some('%') => "%",
            Some('D') => "07/26/24",
            Some('R') => "00:00",
            Some('n') => "\n",
            Some('t') => "\t",
            Some('z' | 'Z') => "",
            _ => value_of(directive).ok_or_else(|| unknown(directive))?,
        };
        let numeric = plain && text.len() > 1 && text.bytes().all(|b| b.is_ascii_digit());
        out.push_str(if numeric { short(text) } else { text });
    }
    Ok(out)
}

fn value_of(directive: Option<char>) -> Option<&'static str> {
    let found = DAY.iter().find(|(name, _)| Some(*name) == directive);
    found.map(|(_, text)| *text)
}

/// Without leading zeros, one digit at least.
fn short(text: &str) -> &str {
    let trimmed = text.trim_start_matches('0');
    if trimmed.is_empty() { "0" } else { trimmed }
}

fn unknown(directive: Option<char>) -> Error {
    let name = directive.map_or_else(String::new, String::from);
    Error::new(
        ErrorKind::InvalidOperation,
        format!("strftime_now: %{name} is not known"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_told_in_every_usual_way() -> Result<(), Error> {
        for (format, text) in [
            ("%d %b %Y", "26 Jul 2024"),
            ("%Y-%m-%d", "2024-07-26"),
            ("%B %-d, %Y", "July 26, 2024"),
            ("%A, %d %B %Y %H:%M:%S", "Friday, 26 July 2024 00:00:00"),
            ("%-m/%-d %-I %p 100%%", "7/26 12 AM 100%"),
            ("%-H", "0"),
            ("", ""),
        ] {
            assert_eq!(strftime_now(format)?, text, "{format}");
        }
        for odd in ["%", "%Q", "%-"] {
            assert!(strftime_now(odd).is_err(), "{odd}");
        }
        Ok(())
    }
}
