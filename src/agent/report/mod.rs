//! `scout-core-agent report DIR`: payload files to a page that a person enjoys reading.
//!
//! `payload` -> `merge` -> `model` -> `render` is pure; this file and `files` are the edge. It reads
//! whatever follows the published check-in format, of any agent: every key is optional, and what
//! comes out of a file is never trusted (`render::page` escapes all of it).

mod args;
mod files;
mod histogram;
mod instant;
mod lenient;
mod merge;
mod model;
mod payload;
mod render;
mod tree;

pub use args::{Args, parse};

use files::Payload;
use merge::Merge;
use model::{Files, Report, Unread};
use render::{View, render, text};
use std::io::{self, Write};
use std::path::Path;

/// How to call it, for a usage message.
pub const USAGE: &str = "scout-core-agent report DIR [--top N] [--no-color] [--json]";

/// A page's width where the terminal does not say.
const DEFAULT_COLUMNS: usize = 100;

/// Where the report is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal {
    /// Whether the output is a terminal that takes colours.
    pub colour: bool,
    /// Its width, if known.
    pub columns: Option<usize>,
}

/// How it went: also the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The report was written.
    Shown = 0,
    /// There was nothing to report.
    NoPayloads = 1,
}

/// Reads the files and writes the report to `out`, or to `err` why there is none.
pub fn run(
    args: &Args,
    terminal: Terminal,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Outcome> {
    let report = collect(&args.directory);
    if report.files.check_ins + report.files.error_files == 0 {
        write!(err, "{}", nothing(&report.files))?;
        return Ok(Outcome::NoPayloads);
    }
    if args.json {
        let json = serde_json::to_string_pretty(&report).map_err(io::Error::from)?;
        writeln!(out, "{}", escape_json(&json))?;
    } else {
        let view = View {
            columns: terminal.columns.unwrap_or(DEFAULT_COLUMNS),
            colour: terminal.colour && !args.no_color,
            top: args.top,
        };
        out.write_all(render(&report, view).as_bytes())?;
    }
    out.flush()?;
    Ok(Outcome::Shown)
}

/// One file at a time, so that memory holds one payload and the sums.
fn collect(root: &Path) -> Report {
    let mut merge = Merge::default();
    let mut about = Files { directory: root.display().to_string(), ..Files::default() };
    let (paths, mut problems) = files::find(root);
    for path in paths {
        match files::read(&path) {
            Ok((payload, bytes)) => {
                about.bytes += bytes;
                match payload {
                    Payload::CheckIn(check_in) => {
                        about.check_ins += 1;
                        merge.add(*check_in);
                    }
                    Payload::Errors(body) => {
                        about.error_files += 1;
                        merge.add_errors(body);
                    }
                }
            }
            Err(reason) => problems.push((path, reason)),
        }
    }
    about.unread = problems
        .into_iter()
        .map(|(path, reason)| Unread { path: name_below(root, &path), reason })
        .collect();
    merge.finish(about)
}

/// A file's name as seen from the directory; the directory's own is told in full.
fn name_below(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
    below.unwrap_or(path).display().to_string()
}

fn nothing(files: &Files) -> String {
    let mut message = format!(
        "No payloads in {}: there is no *.json or *.json.gz check-in at or below it.\n",
        text::clean(&files.directory)
    );
    for unread in files.unread.iter().take(10) {
        let line = format!("  {}: {}", unread.path, unread.reason);
        message.push_str(&text::clean(&line));
        message.push('\n');
    }
    message.push_str(
        "An application writes them there with the option \"destination\": \"file:///DIR\", a \
         minute after its first request, or when it flushes.\n",
    );
    message
}

/// JSON escapes C0 itself; the rest of what a terminal obeys can only stand inside strings.
fn escape_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && text::is_unsafe(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests;
