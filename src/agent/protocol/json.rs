//! JSON as agents send it: a little more than the standard allows.

use memchr::memmem;
use std::borrow::Cow;

/// A value as far as a tag can hold it.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Null, or nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// Any other number.
    F64(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// An array or an object, as its JSON.
    Json(&'a str),
}

/// A frame's text with what Python writes for numbers that are none, `NaN`, `Infinity` and
/// `-Infinity`, replaced by null, and what is not UTF-8 by U+FFFD.
pub fn clean(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    let has = |token: &str| memmem::find(text.as_bytes(), token.as_bytes()).is_some();
    if !has("NaN") && !has("Infinity") {
        return text;
    }
    Cow::Owned(without_odd_numbers(&text))
}

fn without_odd_numbers(text: &str) -> String {
    let mut clean = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(quote) = rest.find('"') {
        let (outside, from_quote) = rest.split_at(quote);
        push_numbers(&mut clean, outside);
        let end = string_end(from_quote.as_bytes());
        let (string, after) = from_quote.split_at(end);
        clean.push_str(string);
        rest = after;
    }
    push_numbers(&mut clean, rest);
    clean
}

/// Appends text that lies outside strings. There, the tokens can be nothing else.
fn push_numbers(clean: &mut String, outside: &str) {
    if outside.contains('N') || outside.contains('I') {
        clean.push_str(
            &outside
                .replace("-Infinity", "null")
                .replace("Infinity", "null")
                .replace("-NaN", "null")
                .replace("NaN", "null"),
        );
    } else {
        clean.push_str(outside);
    }
}

/// The length of the string that `bytes` begin with, its quotes included.
fn string_end(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// Reads a valid JSON value.
pub fn scalar(json: &str) -> Scalar<'_> {
    match json.as_bytes().first() {
        Some(b'"') => Scalar::Text(text(json)),
        Some(b'{' | b'[') => Scalar::Json(json),
        Some(b't') => Scalar::Bool(true),
        Some(b'f') => Scalar::Bool(false),
        Some(b'-' | b'0'..=b'9') => match json.parse::<i64>() {
            Ok(number) => Scalar::I64(number),
            Err(_) => json.parse().map_or(Scalar::Null, Scalar::F64),
        },
        _ => Scalar::Null,
    }
}

/// The text of a JSON string; of another value, the value itself. What stands for no character
/// (half of a surrogate pair, say) becomes U+FFFD, where a strict reader would refuse the frame.
pub fn text(json: &str) -> Cow<'_, str> {
    let Some(inner) = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')) else {
        return Cow::Borrowed(if json == "null" { "" } else { json });
    };
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    Cow::Owned(unescape(inner))
}

fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        let char = match chars.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let (char, after) = unescape_unit(chars.as_str());
                out.push(char);
                rest = after;
                continue;
            }
            Some(other) => other,
            None => char::REPLACEMENT_CHARACTER,
        };
        out.push(char);
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// The character that four hex digits, and perhaps a second half behind them, stand for.
fn unescape_unit(rest: &str) -> (char, &str) {
    const BAD: char = char::REPLACEMENT_CHARACTER;
    let Some((high, after)) = hex(rest) else { return (BAD, rest) };
    if let Some(char) = char::from_u32(high) {
        return (char, after);
    }
    let low = after.strip_prefix("\\u").and_then(hex);
    match low {
        Some((low, after_low)) if high < 0xdc00 && (0xdc00..0xe000).contains(&low) => {
            let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(code).unwrap_or(BAD), after_low)
        }
        _ => (BAD, after),
    }
}

fn hex(rest: &str) -> Option<(u32, &str)> {
    let digits = rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest.get(4..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_become_null_outside_strings_only() {
        let clean = |text: &str| clean(text.as_bytes()).into_owned();
        assert_eq!(clean(r#"{"a":NaN,"NaN":"NaN"}"#), r#"{"a":null,"NaN":"NaN"}"#);
        assert_eq!(
            clean(r#"[-Infinity, Infinity,"\"Infinity\\",NaN]"#),
            r#"[null, null,"\"Infinity\\",null]"#
        );
        assert_eq!(clean(r#"["x"#), r#"["x"#);
        assert_eq!(clean(r#"[NaN,"\"#), r#"[null,"\"#);
        assert_eq!(super::clean(b"\"\xffNaN\""), "\"\u{fffd}NaN\"");
    }

    #[test]
    fn text_is_unescaped_and_never_refused() {
        assert_eq!(text(r#""plain é""#), "plain é");
        assert_eq!(text(r#""a\"\\\/\n\u00e9\ud83d\ude00""#), "a\"\\/\né😀");
        assert_eq!(text(r#""\ud83d""#), "\u{fffd}");
        assert_eq!(text(r#""\udcff\ud83dx\uzzzz""#), "\u{fffd}\u{fffd}x\u{fffd}zzzz");
        assert_eq!(text("12"), "12");
        assert_eq!(text("null"), "");
    }

    #[test]
    fn scalars() {
        assert_eq!(scalar("-7"), Scalar::I64(-7));
        assert_eq!(scalar("1e3"), Scalar::F64(1000.0));
        assert_eq!(scalar("18446744073709551615"), Scalar::F64(1.844_674_407_370_955_2e19));
        assert_eq!(scalar("true"), Scalar::Bool(true));
        assert_eq!(scalar("null"), Scalar::Null);
        assert_eq!(scalar("[1]"), Scalar::Json("[1]"));
    }
}
