//! Text from payloads, made safe for a terminal, and measured as a terminal would.

/// Escapes everything that could move the cursor, change colours, hide, or reorder text: control
/// characters (C0, DEL, C1), line separators, zero-width and bidirectional formatting characters.
pub fn clean(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\t' => safe.push_str("\\t"),
            _ if is_unsafe(c) => safe.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            _ => safe.push(c),
        }
    }
    safe
}

/// Whether a character must not reach a terminal as it is.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
            | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe0fff)
}

/// White space squeezed to single spaces, as in a statement that was written over several lines.
pub fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Columns that a character takes. Good for the scripts in common use; emoji sequences may be off.
pub fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f
        | 0x483..=0x489
        | 0x591..=0x5bd
        | 0x1ab0..=0x1aff
        | 0x1dc0..=0x1dff
        | 0x20d0..=0x20ff
        | 0xfe00..=0xfe0f
        | 0xfe20..=0xfe2f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xa960..=0xa97f
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// The text's head, of at most `columns`, with `…` when something is missing.
pub fn truncate(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut head = take(text, columns.saturating_sub(1)).to_owned();
    if columns > 0 {
        head.push('…');
    }
    head
}

/// The longest head of at most `columns`.
fn take(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += char_width(c);
        if used > columns {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

/// Lines of at most `columns`, broken at spaces where there are any; at most `lines`, the last
/// one ending in `…` when there is more.
pub fn wrap(text: &str, columns: usize, lines: usize) -> Vec<String> {
    let columns = columns.max(8);
    let mut wrapped = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if wrapped.len() + 1 >= lines {
            wrapped.push(truncate(rest, columns));
            break;
        }
        let head = take(rest, columns);
        let end = match head.rfind(' ') {
            _ if head.len() == rest.len() => head.len(),
            // A break far to the left would waste the line.
            Some(space) if space * 2 > head.len() => space,
            _ => head.len(),
        };
        wrapped.push(rest.get(..end).unwrap_or_default().trim_end().to_owned());
        rest = rest.get(end..).unwrap_or_default().trim_start();
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_could_steer_a_terminal_is_spelled_out() {
        assert_eq!(clean("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(clean("a\nb\tc\r"), "a\\nb\\tc\\u{d}");
        assert_eq!(clean("\u{9b}2J\u{202e}x\u{200b}"), "\\u{9b}2J\\u{202e}x\\u{200b}");
        assert_eq!(clean("naïve 日本 …"), "naïve 日本 …");
    }

    #[test]
    fn widths_count_columns() {
        assert_eq!(width("naïve"), 5);
        assert_eq!(width("日本"), 4);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(truncate("日本語", 5), "日本…");
        assert_eq!(truncate("abc", 3), "abc");
        assert_eq!(truncate("abcd", 0), "");
    }

    #[test]
    fn lines_break_at_spaces_and_end_in_an_ellipsis() {
        assert_eq!(wrap("SELECT a, b FROM t", 10, 3), ["SELECT a,", "b FROM t"]);
        assert_eq!(wrap("SELECT a, b FROM t WHERE x", 10, 2), ["SELECT a,", "b FROM t …"]);
        assert_eq!(wrap("abcdefghijklmno", 10, 3), ["abcdefghij", "klmno"]);
        assert_eq!(wrap("", 10, 3), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn clean_text_is_clean_and_wrapping_loses_no_bound(text in ".{0,200}", columns in 8usize..60) {
            let safe = clean(&text);
            prop_assert!(!safe.chars().any(is_unsafe));
            for line in wrap(&safe, columns, 3) {
                prop_assert!(width(&line) <= columns);
            }
            prop_assert!(width(&truncate(&safe, columns)) <= columns);
        }
    }
}
