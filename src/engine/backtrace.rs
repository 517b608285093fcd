use super::trace::Frame;

/// Frames shown of a backtrace.
const LONGEST: usize = 8;
/// Directories of other people's code inside an application's directory.
const FOREIGN: [&str; 6] = ["vendor", "node_modules", "site-packages", "deps", ".venv", "venv"];

/// How backtraces are cut to the application's own frames.
#[derive(Clone, Debug, Default)]
pub(crate) struct BacktraceRules {
    /// With a slash at its end, or empty.
    root: String,
    /// With a slash at its end and none at its start, or empty.
    prefix: String,
}

impl BacktraceRules {
    pub(crate) fn new(root: Option<&str>, scm_subdirectory: Option<&str>) -> Self {
        let slashed = |text: &str| {
            let text = text.trim_end_matches('/');
            if text.is_empty() { String::new() } else { format!("{text}/") }
        };
        BacktraceRules {
            root: slashed(root.unwrap_or_default()),
            prefix: slashed(scm_subdirectory.unwrap_or_default().trim_start_matches('/')),
        }
    }

    /// The application's frames, relative to its repository. If there are none, the first of all.
    pub(crate) fn trim(&self, frames: Vec<Frame>) -> Vec<Frame> {
        let own =
            |frame: &Frame| self.relative(&frame.file).map(|file| Frame { file, ..frame.clone() });
        let mut kept: Vec<Frame> = frames.iter().filter_map(own).take(LONGEST).collect();
        if kept.is_empty() {
            kept = frames;
            kept.truncate(LONGEST);
        }
        kept
    }

    /// A frame of an error: all frames stay, the application's are shown relative.
    pub(crate) fn show_relative(&self, frame: Frame) -> Frame {
        match self.relative(&frame.file) {
            Some(file) => Frame { file, ..frame },
            None => frame,
        }
    }

    fn relative(&self, file: &str) -> Option<String> {
        if self.root.is_empty() {
            return None;
        }
        let inner = file.strip_prefix(&self.root)?;
        let foreign = inner.split('/').any(|part| FOREIGN.contains(&part));
        (!foreign).then(|| format!("{}{inner}", self.prefix))
    }
}

/// Reads a backtrace: a JSON array of `{file, line, function}` or of lines, or lines of
/// `file:line:in function`.
pub(crate) fn parse(text: &str) -> Vec<Frame> {
    const MOST: usize = 200;
    if text.starts_with('[')
        && let Ok(serde_json::Value::Array(items)) = serde_json::from_str(text)
    {
        return items.iter().take(MOST).filter_map(frame_of_json).collect();
    }
    text.lines().filter(|line| !line.trim().is_empty()).take(MOST).map(frame_of_line).collect()
}

fn frame_of_json(item: &serde_json::Value) -> Option<Frame> {
    if let Some(line) = item.as_str() {
        return Some(frame_of_line(line));
    }
    let text = |name| match item.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let frame = Frame { file: text("file"), line: text("line"), function: text("function") };
    (!frame.file.is_empty()).then_some(frame)
}

/// `app/models/user.rb:10:in 'find'`; quotes of either kind go.
fn frame_of_line(line: &str) -> Frame {
    let line = line.trim();
    let (place, function) = line.split_once(":in ").unwrap_or((line, ""));
    let (file, number) = match place.rsplit_once(':') {
        Some((file, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => (file, number),
        _ => (place, ""),
    };
    Frame {
        file: file.to_owned(),
        line: number.to_owned(),
        function: function.trim_matches(|c| matches!(c, '`' | '\'')).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(file: &str, line: &str, function: &str) -> Frame {
        Frame { file: file.into(), line: line.into(), function: function.into() }
    }

    #[test]
    fn reads_json_and_lines() {
        let python = r#"[{"file":"/srv/a.py","line":7,"function":"f"},{"nonsense":1}]"#;
        assert_eq!(parse(python), [frame("/srv/a.py", "7", "f")]);
        let ruby = "/app/a.rb:10:in `x'\n\nb.rb:3:in 'y'\njust text";
        assert_eq!(
            parse(ruby),
            [frame("/app/a.rb", "10", "x"), frame("b.rb", "3", "y"), frame("just text", "", "")]
        );
        assert_eq!(parse(r#"["/app/a.rb:10:in `x'"]"#), [frame("/app/a.rb", "10", "x")]);
        assert_eq!(parse("[broken"), [frame("[broken", "", "")]);
    }

    #[test]
    fn own_frames_first_and_under_the_repository() {
        let rules = BacktraceRules::new(Some("/srv/app/"), Some("/backend"));
        let frames = vec![
            frame("/gems/a.rb", "1", ""),
            frame("/srv/app/lib/z.rb", "3", ""),
            frame("/srv/app/node_modules/x.js", "3", ""),
        ];
        assert_eq!(rules.trim(frames), [frame("backend/lib/z.rb", "3", "")]);
        let foreign = vec![frame("/gems/a.rb", "1", "")];
        assert_eq!(rules.trim(foreign.clone()), foreign);
    }
}
