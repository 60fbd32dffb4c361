//! What Python's Jinja reads and the template library does not, said in the library's own words: the tags
//! `{% generation %}` and `{% endgeneration %}`, and `text % values`.
//!
//! Only what is between `{{`, `{%` and their ends is looked at; the text around it, comments and raw blocks stay.

use std::borrow::Cow;
use std::ops::Range;

/// Filter that takes the place of `%`.
pub(super) const PERCENT: &str = "percent__";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Name,
    Text,
    Number,
    Sign,
}

#[derive(Clone)]
struct Token {
    kind: Kind,
    at: Range<usize>,
}

/// The template in the library's words. One that is not well formed comes back as far as it was understood: the library
/// says what is wrong with it.
pub(super) fn rewritten(source: &str) -> Cow<'_, str> {
    if !source.contains("generation") && !source.contains('%') {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    let (mut done, mut raw) = (0, false);
    while let Some(found) = source[done..].find('{') {
        let start = done + found;
        let tag = source.get(start..start + 2).unwrap_or_default();
        let end = match tag {
            "{#" if !raw => source[start..].find("#}").map(|at| start + at + 2),
            "{{" if !raw => inside(source, start + 2, "}}").map(|(_, end)| end),
            "{%" => inside(source, start + 2, "%}").map(|(_, end)| end),
            _ => Some(start + 1),
        };
        let Some(end) = end else { break };
        out.push_str(&source[done..start]);
        let tokens = match tag {
            "{{" | "{%" if !raw || tag == "{%" => {
                inside(source, start + 2, &closing(tag)).map(|(tokens, _)| tokens)
            }
            _ => None,
        };
        let tokens = tokens.unwrap_or_default();
        let word =
            |wanted: &str| tag == "{%" && tokens.first().is_some_and(|t| &source[t.at.clone()] == wanted);
        if raw {
            raw = !word("endraw");
            out.push_str(&source[start..end]);
        } else {
            raw = word("raw") && tokens.len() == 1;
            out.push_str(&rewritten_tag(source, start..end, &tokens, tag == "{%"));
        }
        done = end;
    }
    out.push_str(&source[done..]);
    Cow::Owned(out)
}

fn closing(tag: &str) -> String {
    if tag == "{{" { "}}" } else { "%}" }.to_owned()
}

/// Tokens from `from` to the end of the tag, and the place behind it; `None` if it has none.
fn inside(source: &str, from: usize, close: &str) -> Option<(Vec<Token>, usize)> {
    let bytes = source.as_bytes();
    let (mut tokens, mut at, mut depth) = (Vec::new(), from, 0_usize);
    while at < bytes.len() {
        if depth == 0 && source[at..].starts_with(close) {
            return Some((tokens, at + close.len()));
        }
        let (kind, end) = match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            quote @ (b'"' | b'\'') => (Kind::Text, text_end(bytes, at, quote)?),
            b'0'..=b'9' => (
                Kind::Number,
                while_bytes(bytes, at, |b| b.is_ascii_alphanumeric() || b == b'_'),
            ),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => {
                let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80;
                (Kind::Name, while_bytes(bytes, at, is_name))
            }
            _ if source[at..].starts_with("**") || source[at..].starts_with("//") => (Kind::Sign, at + 2),
            _ => (Kind::Sign, at + 1),
        };
        match bytes[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        tokens.push(Token { kind, at: at..end });
        at = end;
    }
    None
}

fn text_end(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b if b == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

fn while_bytes(bytes: &[u8], start: usize, holds: impl Fn(u8) -> bool) -> usize {
    start + bytes[start..].iter().take_while(|b| holds(**b)).count()
}

fn rewritten_tag(source: &str, tag: Range<usize>, tokens: &[Token], is_block: bool) -> String {
    let mut edits: Vec<(Range<usize>, &str)> = Vec::new();
    // A marker for blanks, `{%-` or `-%}`, is a token of its own.
    let words: Vec<&Token> = tokens.iter().filter(|t| t.kind != Kind::Sign).collect();
    if let [only] = words.as_slice()
        && is_block
        && only.kind == Kind::Name
    {
        // A scope of its own, as the reference implementation's call block is.
        match &source[only.at.clone()] {
            "generation" => edits.push((only.at.clone(), "with")),
            "endgeneration" => edits.push((only.at.clone(), "endwith")),
            _ => {}
        }
    }
    let call = format!("|{PERCENT}(");
    let expression = Expression::new(source, tokens);
    for (percent, behind) in expression.text_formats() {
        edits.push((tokens[percent].at.clone(), &call));
        edits.push((tokens[behind].at.end..tokens[behind].at.end, ")"));
    }
    // Of two edits at one place the inner one comes first; they were found from left to right.
    edits.sort_by_key(|(at, _)| at.start);
    let (mut out, mut from) = (String::new(), tag.start);
    for (at, text) in edits {
        out.push_str(&source[from..at.start]);
        out.push_str(text);
        from = at.end;
    }
    out.push_str(&source[from..tag.end]);
    out
}

/// Words that cannot be an operand.
const WORDS: [&str; 8] = ["and", "or", "not", "in", "is", "if", "else", "recursive"];

struct Expression<'a> {
    source: &'a str,
    tokens: &'a [Token],
    /// For each bracket the place of its other half.
    pairs: Vec<Option<usize>>,
}

impl<'a> Expression<'a> {
    fn new(source: &'a str, tokens: &'a [Token]) -> Self {
        let (mut pairs, mut open) = (vec![None; tokens.len()], Vec::new());
        for (at, token) in tokens.iter().enumerate() {
            match &source[token.at.clone()] {
                "(" | "[" | "{" => open.push(at),
                ")" | "]" | "}" => {
                    if let Some(first) = open.pop() {
                        pairs[first] = Some(at);
                        pairs[at] = Some(first);
                    }
                }
                _ => {}
            }
        }
        Self {
            source,
            tokens,
            pairs,
        }
    }

    fn text(&self, at: usize) -> &str {
        &self.source[self.tokens[at].at.clone()]
    }

    fn is(&self, at: Option<usize>, text: &str) -> bool {
        at.is_some_and(|at| at < self.tokens.len() && self.text(at) == text)
    }

    fn is_operand(&self, at: usize) -> bool {
        match self.tokens[at].kind {
            Kind::Name => !WORDS.contains(&self.text(at)),
            Kind::Text | Kind::Number => true,
            Kind::Sign => false,
        }
    }

    /// Every `%` between operands that may be texts, with the last token of its right side. A `%` that can only be a
    /// remainder (of a number, or of a product) is left to the library.
    fn text_formats(&self) -> Vec<(usize, usize)> {
        let (mut found, mut plain) = (Vec::new(), Vec::new());
        for at in (1..self.tokens.len()).filter(|&at| self.text(at) == "%") {
            let sides = self.left_start(at - 1).zip(self.right_end(at + 1));
            let Some((start, end)) = sides else {
                plain.push(at);
                continue;
            };
            let before = start.checked_sub(1);
            let of_product = ["*", "/", "//", "**"].iter().any(|sign| self.is(before, sign));
            let of_rest = before.is_some_and(|before| plain.contains(&before));
            let negative = self.is(before, "-") && before != Some(0) && self.tokens[start].kind != Kind::Text;
            if of_product || of_rest || negative || self.tokens[start].kind == Kind::Number {
                plain.push(at);
            } else {
                found.push((at, end));
            }
        }
        found
    }

    /// First token of the operand that ends with token `at`, its attributes, calls and filters included.
    fn left_start(&self, mut at: usize) -> Option<usize> {
        loop {
            let before = at.checked_sub(1);
            match self.text(at) {
                ")" | "]" | "}" => {
                    let open = self.pairs[at]?;
                    let called = open.checked_sub(1).filter(|_| self.text(at) != "}");
                    match called {
                        Some(called)
                            if self.is_operand(called) || [")", "]"].contains(&self.text(called)) =>
                        {
                            at = called
                        }
                        _ => return Some(open),
                    }
                }
                _ if !self.is_operand(at) => return None,
                _ if self.tokens[at].kind == Kind::Text => {
                    match before.filter(|&before| self.tokens[before].kind == Kind::Text) {
                        Some(before) => at = before,
                        None => return Some(at),
                    }
                }
                _ if self.is(before, ".") || self.is(before, "|") => at = at.checked_sub(2)?,
                _ => return Some(at),
            }
        }
    }

    /// Last token of the operand that starts with token `at`.
    fn right_end(&self, at: usize) -> Option<usize> {
        let first = if self.is(Some(at), "-") { at + 1 } else { at };
        let mut end = match self.tokens.get(first) {
            Some(_) if ["(", "[", "{"].contains(&self.text(first)) => self.pairs[first]?,
            Some(_) if self.is_operand(first) => first,
            _ => return None,
        };
        loop {
            let next = end + 1;
            match self.tokens.get(next) {
                Some(token) if token.kind == Kind::Text && self.tokens[end].kind == Kind::Text => end = next,
                Some(_) if ["(", "["].contains(&self.text(next)) => end = self.pairs[next]?,
                Some(_) if [".", "|"].contains(&self.text(next)) && next + 1 < self.tokens.len() => {
                    end = next + 1
                }
                Some(_) if ["**", "is"].contains(&self.text(next)) => return None,
                _ => return Some(end),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_formatted_by_a_filter_and_remainders_left() {
        for (source, wanted) in [
            ("{{ '%s' % x }}", "{{ '%s' |percent__( x) }}"),
            (
                "{{ '%s-%s' % (a, b) + c }}",
                "{{ '%s-%s' |percent__( (a, b)) + c }}",
            ),
            ("{{ a % b % c }}", "{{ a |percent__( b) |percent__( c) }}"),
            (
                "{{ '%s' % ('%d' % n) }}",
                "{{ '%s' |percent__( ('%d' |percent__( n))) }}",
            ),
            (
                "{{ f.x['a'](1)|upper % m.y|trim('x') }}",
                "{{ f.x['a'](1)|upper |percent__( m.y|trim('x')) }}",
            ),
            ("{{ 'a' '%s' % 'b' 'c' }}", "{{ 'a' '%s' |percent__( 'b' 'c') }}"),
            ("{{ 7 % 2 }}", "{{ 7 % 2 }}"),
            ("{{ 2 * n % 3 }}", "{{ 2 * n % 3 }}"),
            ("{{ 7 % 4 % 3 }}", "{{ 7 % 4 % 3 }}"),
            ("{{ a + -n % 3 }}", "{{ a + -n % 3 }}"),
            (
                "{% if a % 2 == 0 %}{%endif%}",
                "{% if a |percent__( 2) == 0 %}{%endif%}",
            ),
            (
                "100 % {# a % b #}{% raw %}{{ a % b }}{% endraw %}",
                "100 % {# a % b #}{% raw %}{{ a % b }}{% endraw %}",
            ),
            ("{{ {'a': {'b': 1}} }} %", "{{ {'a': {'b': 1}} }} %"),
            ("{{ '}} % ' }}%}", "{{ '}} % ' }}%}"),
        ] {
            assert_eq!(rewritten(source), wanted);
        }
    }

    #[test]
    fn generation_blocks_are_scopes() {
        let source = "{%- generation -%}a{%endgeneration%}{{ generation }}{% set generation = 1 %}";
        let wanted = "{%- with -%}a{%endwith%}{{ generation }}{% set generation = 1 %}";
        assert_eq!(rewritten(source), wanted);
    }

    #[test]
    fn what_does_not_end_comes_back() {
        for source in [
            "{{ '%s",
            "{% generation",
            "{# %",
            "{",
            "%",
            "{{ ( % }}",
            "{{ % }}",
            "{{ a % }}",
            "{%%}",
            "{{ ')' % ) }}",
        ] {
            assert_eq!(rewritten(source), source);
        }
    }
}
