//! One trace as an indented tree, each step with its place in time.

use super::super::model::{Step, Trace};
use super::layers::Legend;
use super::page::{Line, Page, Style};
use super::text;
use super::units::{counted, duration};

/// Steps drawn of one trace; what is left is counted.
const MAX_STEPS: usize = 50;
/// Lines of a statement beneath its step.
const STATEMENT_LINES: usize = 2;
const INDENT: usize = 2;
const DURATION: usize = 9;
const MARK: &str = "  N+1";

/// Draws the steps of a trace, one line each, statements beneath.
pub fn draw(page: &mut Page, trace: &Trace, legend: &Legend) {
    let widest = widest(&trace.steps, 0);
    let name_end = (INDENT + widest).max(24).min(page.columns * 45 / 100);
    let bar_start = name_end + DURATION + 2;
    let end = trace.steps.iter().flat_map(|step| &step.intervals).map(|interval| interval.1);
    let canvas = Canvas {
        legend,
        name_end,
        bar_start,
        bar_columns: page.columns.saturating_sub(bar_start + MARK.len()),
        scale: end.fold(trace.seconds, f64::max),
    };
    let mut drawn = 0;
    let total = count_steps(&trace.steps);
    canvas.steps(page, &trace.steps, "", true, &mut drawn);
    let more = (total.saturating_sub(drawn) + trace.left_out) as u64;
    if more > 0 {
        let rest = format!("… and {}", counted(more, "more step"));
        page.line(&Line::indent(INDENT).with(Style::Dim, &rest));
    }
}

fn widest(steps: &[Step], depth: usize) -> usize {
    let of =
        |step: &Step| (3 * depth + text::width(&name(step))).max(widest(&step.steps, depth + 1));
    steps.iter().map(of).max().unwrap_or(0)
}

fn count_steps(steps: &[Step]) -> usize {
    steps.iter().map(|step| 1 + count_steps(&step.steps)).sum()
}

/// `SQL/User/select × 25`
fn name(step: &Step) -> String {
    let operation = text::clean(&step.operation);
    if step.calls > 1 { format!("{operation} × {}", step.calls) } else { operation }
}

struct Canvas<'a> {
    legend: &'a Legend,
    name_end: usize,
    bar_start: usize,
    bar_columns: usize,
    scale: f64,
}

impl Canvas<'_> {
    fn steps(&self, page: &mut Page, steps: &[Step], prefix: &str, roots: bool, drawn: &mut usize) {
        for (at, step) in steps.iter().enumerate() {
            if *drawn == MAX_STEPS {
                return;
            }
            *drawn += 1;
            let last = at + 1 == steps.len();
            let (branch, below) = match (roots, last) {
                (true, _) => ("", ""),
                (false, false) => ("├─ ", "│  "),
                (false, true) => ("└─ ", "   "),
            };
            self.step(page, step, &format!("{prefix}{branch}"));
            let below = format!("{prefix}{below}");
            let stem = if step.steps.is_empty() { "   " } else { "│  " };
            self.statement(page, step, &format!("{below}{stem}"));
            self.steps(page, &step.steps, &below, false, drawn);
        }
    }

    fn step(&self, page: &mut Page, step: &Step, prefix: &str) {
        let style = self.legend.style(&step.operation);
        let mut line = Line::indent(INDENT).with(Style::Dim, prefix);
        let room = self.name_end.saturating_sub(line.width());
        let calls = if step.calls > 1 { format!(" × {}", step.calls) } else { String::new() };
        let operation = text::clean(&step.operation);
        let operation = text::truncate(&operation, room.saturating_sub(text::width(&calls)));
        let emphasis = if step.n_plus_one { Style::Warn } else { Style::Plain };
        line.push(emphasis, &operation);
        line.push(emphasis, &calls);
        let time = duration(step.seconds);
        line.pad_to((self.name_end + DURATION).saturating_sub(text::width(&time)));
        line.push(emphasis, &time);
        line.pad_to(self.bar_start);
        line.push(style, self.bar(step).trim_end());
        if step.n_plus_one {
            line.pad_to(self.bar_start + self.bar_columns);
            line.push(Style::Warn, MARK);
        }
        page.line(&line);
    }

    fn statement(&self, page: &mut Page, step: &Step, prefix: &str) {
        let statement = text::clean(&text::squeeze(&step.description));
        let room = page.columns.saturating_sub(INDENT + text::width(prefix));
        for piece in text::wrap(&statement, room, STATEMENT_LINES) {
            page.line(&Line::indent(INDENT).with(Style::Dim, prefix).with(Style::Dim, &piece));
        }
    }

    /// Each column is shaded by how much of its time the step's calls fill.
    fn bar(&self, step: &Step) -> String {
        let whole = [(0.0, step.seconds)];
        let intervals = if step.intervals.is_empty() { &whole[..] } else { &step.intervals };
        let mut filled = vec![0.0_f64; self.bar_columns];
        if self.scale <= 0.0 {
            return String::new();
        }
        for (start, end) in intervals {
            let (from, to) = (self.column(*start), self.column(*end));
            let first = (from.floor() as usize).min(self.bar_columns.saturating_sub(1));
            let last = (to.ceil() as usize).max(first + 1);
            let cells = filled.iter_mut().enumerate().take(last).skip(first);
            for (column, part) in cells {
                let overlap = to.min(column as f64 + 1.0) - from.max(column as f64);
                // The shortest call still leaves a mark.
                *part += overlap.max(0.01);
            }
        }
        filled.into_iter().map(shade).collect()
    }

    fn column(&self, seconds: f64) -> f64 {
        (seconds / self.scale * self.bar_columns as f64).clamp(0.0, self.bar_columns as f64)
    }
}

fn shade(part: f64) -> char {
    match part {
        part if part >= 0.875 => '█',
        part if part >= 0.625 => '▓',
        part if part >= 0.375 => '▒',
        part if part >= 0.125 => '░',
        part if part > 0.0 => '▏',
        _ => ' ',
    }
}
