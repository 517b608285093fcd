use crate::record::MAX_STRING;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt::Write;

/// The most frames that are taken.
const MOST: usize = 100;

#[derive(Deserialize)]
#[serde(untagged)]
enum Frame<'a> {
    Object {
        #[serde(borrow)]
        file: Option<std::borrow::Cow<'a, str>>,
        line: Option<serde_json::Value>,
        #[serde(borrow)]
        function: Option<std::borrow::Cow<'a, str>>,
    },
    Line(String),
}

/// A backtrace, from an array of `{file, line, function}` or of lines, as the lines of
/// `file:line:in function` that the engine reads: a third of the bytes, and cut between two frames
/// when there are too many.
pub(super) fn lines(json: &str) -> Option<String> {
    let frames: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let mut text = String::new();
    for frame in frames.into_iter().take(MOST) {
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(frame.get()) else { continue };
        let before = text.len();
        match frame {
            Frame::Line(line) => text.push_str(&one_line(&line)),
            Frame::Object { file: Some(file), line, function } => {
                text.push_str(&one_line(&file));
                if let Some(line) = line.as_ref().and_then(number) {
                    let _ = write!(text, ":{line}");
                }
                if let Some(function) = function {
                    let _ = write!(text, ":in {}", one_line(&function));
                }
            }
            Frame::Object { .. } => continue,
        }
        if text.len() >= MAX_STRING {
            text.truncate(before);
            break;
        }
        text.push('\n');
    }
    text.pop();
    (!text.is_empty()).then_some(text)
}

fn number(line: &serde_json::Value) -> Option<u64> {
    line.as_u64().or_else(|| line.as_str()?.trim().parse().ok())
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_become_lines() {
        let json = r#"[{"file":"/srv/a.py","line":23,"function":"f"},
            {"file":"/srv/b.js","line":"7","function":null},{"line":3},5,"x.rb:1:in `y'",
            {"file":"c\n\"d"}]"#;
        assert_eq!(lines(json).unwrap(), "/srv/a.py:23:in f\n/srv/b.js:7\nx.rb:1:in `y'\nc \"d");
        assert_eq!(lines("{}"), None);
        assert_eq!(lines("[]"), None);
    }

    #[test]
    fn too_many_are_cut_between_two() {
        let frame = format!(r#"{{"file":"/{}","line":1,"function":"f"}}"#, "x".repeat(400));
        let json = format!("[{}]", vec![frame; 100].join(","));
        let text = lines(&json).unwrap();
        assert!(text.len() <= MAX_STRING && text.len() > MAX_STRING - 500);
        assert!(text.lines().all(|line| line.ends_with(":1:in f")));
    }
}
