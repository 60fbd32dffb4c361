//! Methods of Python's texts, dictionaries and lists that templates call.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Rest, Tuple, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};
use minijinja_contrib::pycompat::unknown_method_callback;

/// Text that one call makes at most: what a template pads and repeats is its own affair only up to there.
const MAX_WIDTH: usize = 1 << 16;

/// Python's methods: the library's, and those that it lacks or reads in another way.
pub(super) fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match (value.kind(), value.as_str()) {
        (ValueKind::String, Some(text)) => of_text(text, name, args)?,
        (ValueKind::Map, _) if name == "copy" => Some(value.clone()),
        (ValueKind::Seq, _) => of_list(value, name, args)?,
        _ => None,
    };
    own.map_or_else(|| unknown_method_callback(state, value, name, args), Ok)
}

/// Blanks as Python's `str.strip` knows them.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The filter `trim`.
pub(super) fn trim(text: &str, chars: Option<&str>) -> String {
    stripped(text, chars, (true, true)).to_owned()
}

fn stripped<'a>(text: &'a str, chars: Option<&str>, (front, back): (bool, bool)) -> &'a str {
    let goes = |c: char| chars.map_or_else(|| is_blank(c), |chars| chars.contains(c));
    let text = if front {
        text.trim_start_matches(goes)
    } else {
        text
    };
    if back { text.trim_end_matches(goes) } else { text }
}

fn of_text(text: &str, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let made = match name {
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<&str>,) = from_args(args)?;
            Value::from(stripped(text, chars, (name != "rstrip", name != "lstrip")))
        }
        "split" | "rsplit" => split(text, name == "rsplit", args)?,
        "splitlines" => lines(text, args)?,
        "partition" | "rpartition" => {
            let (sep,): (&str,) = from_args(args)?;
            partition(text, non_empty(sep)?, name == "rpartition")
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "index" | "rindex" => {
            let (what,): (&str,) = from_args(args)?;
            let at = if name == "index" {
                text.find(what)
            } else {
                text.rfind(what)
            };
            let at = at.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "substring not found"))?;
            Value::from(text[..at].chars().count())
        }
        "ljust" | "rjust" | "center" | "zfill" => Value::from(padded(text, name, args)?),
        "swapcase" => Value::from(text.chars().flat_map(swapped).collect::<String>()),
        "title" => Value::from(titled(text)),
        "casefold" => Value::from(text.to_lowercase().replace('ß', "ss")),
        "isdecimal" => Value::from(!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())),
        _ => return Ok(None),
    };
    Ok(Some(made))
}

fn of_list(list: &Value, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    match name {
        "copy" => Ok(Some(list.clone())),
        "index" => {
            let (what,): (&Value,) = from_args(args)?;
            let at = list.try_iter()?.position(|item| item == *what);
            let missing = || Error::new(ErrorKind::InvalidOperation, format!("{what} is not in the list"));
            Ok(Some(Value::from(at.ok_or_else(missing)?)))
        }
        _ => Ok(None),
    }
}

fn non_empty(sep: &str) -> Result<&str, Error> {
    if sep.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "empty separator"));
    }
    Ok(sep)
}

/// `split(sep=None, maxsplit=-1)`: without a separator at runs of blanks, none of them kept at the ends.
fn split(text: &str, from_right: bool, args: &[Value]) -> Result<Value, Error> {
    let (sep, most, named): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let sep = named
        .get::<Option<Value>>("sep")?
        .or(sep)
        .filter(|v| !v.is_none());
    let most = named.get::<Option<i64>>("maxsplit")?.or(most);
    named.assert_all_used()?;
    let most = most
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(usize::MAX);
    let parts: Vec<&str> = match sep.as_ref().map(|sep| sep.as_str().unwrap_or_default()) {
        None => at_blanks(text, from_right, most),
        Some(sep) if from_right => {
            let mut parts: Vec<&str> = text.rsplitn(most.saturating_add(1), non_empty(sep)?).collect();
            parts.reverse();
            parts
        }
        Some(sep) => text.splitn(most.saturating_add(1), non_empty(sep)?).collect(),
    };
    Ok(parts.into_iter().map(Value::from).collect())
}

fn at_blanks(text: &str, from_right: bool, most: usize) -> Vec<&str> {
    let begun = |text| stripped(text, None, (!from_right, from_right));
    let (mut rest, mut parts) = (begun(text), Vec::new());
    while !rest.is_empty() {
        let cut = if from_right {
            rest.rfind(is_blank)
        } else {
            rest.find(is_blank)
        };
        let Some(cut) = cut.filter(|_| parts.len() < most) else {
            parts.push(rest);
            break;
        };
        let blank = rest[cut..].chars().next().map_or(0, char::len_utf8);
        let (part, left) = if from_right {
            (&rest[cut + blank..], &rest[..cut])
        } else {
            (&rest[..cut], &rest[cut..])
        };
        parts.push(part);
        rest = begun(left);
    }
    if from_right {
        parts.reverse();
    }
    parts
}

fn lines(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (keep, named): (Option<bool>, Kwargs) = from_args(args)?;
    let keep = named.get::<Option<bool>>("keepends")?.or(keep).unwrap_or(false);
    named.assert_all_used()?;
    let ends = |c: char| matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let (mut rest, mut found) = (text, Vec::new());
    while let Some(at) = rest.find(ends) {
        let end = if rest[at..].starts_with("\r\n") {
            2
        } else {
            rest[at..].chars().next().map_or(0, char::len_utf8)
        };
        found.push(Value::from(&rest[..if keep { at + end } else { at }]));
        rest = &rest[at + end..];
    }
    if !rest.is_empty() {
        found.push(Value::from(rest));
    }
    Ok(Value::from(found))
}

fn partition(text: &str, sep: &str, from_right: bool) -> Value {
    let cut = if from_right {
        text.rsplit_once(sep)
    } else {
        text.split_once(sep)
    };
    let parts = match cut {
        Some((front, back)) => [front, sep, back],
        None if from_right => ["", "", text],
        None => [text, "", ""],
    };
    Value::from(Tuple::from(parts.map(Value::from)))
}

fn padded(text: &str, name: &str, args: &[Value]) -> Result<String, Error> {
    let (width, fill): (usize, Option<&str>) = from_args(args)?;
    let fill = if name == "zfill" { "0" } else { fill.unwrap_or(" ") };
    if width > MAX_WIDTH || fill.chars().count() != 1 {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("{name}: too wide, or no single character to fill with"),
        ));
    }
    let missing = width.saturating_sub(text.chars().count());
    let front = match name {
        "ljust" => 0,
        // Python puts the odd one in front when the width is odd.
        "center" => missing / 2 + (missing & width & 1),
        _ => missing,
    };
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) if name == "zfill" => (&text[..1], digits),
        _ => ("", text),
    };
    Ok(format!(
        "{sign}{}{digits}{}",
        fill.repeat(front),
        fill.repeat(missing - front)
    ))
}

/// Letters behind anything else are large, as Python has it.
fn titled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_alphabetic();
    }
    out
}

fn swapped(c: char) -> Vec<char> {
    if c.is_uppercase() {
        c.to_lowercase().collect()
    } else {
        c.to_uppercase().collect()
    }
}

/// `left % right`: texts are formatted, numbers divided.
pub(super) fn percent(left: &Value, right: &Value) -> Result<Value, Error> {
    if let Some(text) = left.as_str() {
        let values = if right.is_tuple() {
            right.try_iter()?.checked().collect::<Result<Vec<_>, _>>()?
        } else {
            vec![right.clone()]
        };
        let (text, values) = without_repr(text, values);
        return format(FormatStyle::Printf, &text, &values).map(Value::from);
    }
    remainder(left, right)
}

/// `%r`, which the library does not know, as `%s` of what it would write.
fn without_repr(text: &str, mut values: Vec<Value>) -> (String, Vec<Value>) {
    let (mut out, mut at, mut rest) = (String::with_capacity(text.len()), 0, text.chars().peekable());
    while let Some(c) = rest.next() {
        out.push(c);
        if c != '%' {
            continue;
        }
        while let Some(flag) = rest.next_if(|c| "-+ #0123456789.".contains(*c)) {
            out.push(flag);
        }
        match rest.next() {
            Some('r') if at < values.len() => {
                // A list of one writes its item so, between brackets.
                let written = Value::from(vec![values[at].clone()]).to_string();
                values[at] = Value::from(&written[1..written.len() - 1]);
                out.push('s');
                at += 1;
            }
            Some(c) => {
                out.push(c);
                at += usize::from(c != '%');
            }
            None => {}
        }
    }
    (out, values)
}

fn remainder(left: &Value, right: &Value) -> Result<Value, Error> {
    let refused = || {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("{left} % {right} has no value"),
        )
    };
    let whole = |value: &Value| i64::try_from(value.clone()).ok().filter(|_| value.is_integer());
    if let (Some(a), Some(b)) = (whole(left), whole(right)) {
        let rest = a.checked_rem(b).ok_or_else(refused)?;
        // The sign is the divisor's.
        let other = rest != 0 && (rest < 0) != (b < 0);
        return Ok(Value::from(if other { rest + b } else { rest }));
    }
    match (f64::try_from(left.clone()), f64::try_from(right.clone())) {
        (Ok(a), Ok(b)) if b != 0.0 => Ok(Value::from(a - b * (a / b).floor())),
        _ => Err(refused()),
    }
}

/// `raise_exception(message)`.
pub(super) fn raise_exception(message: Rest<Value>) -> Result<Value, Error> {
    let text = message.first().map_or_else(String::new, ToString::to_string);
    Err(Error::new(ErrorKind::InvalidOperation, text))
}
