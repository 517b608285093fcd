//! The page's first lines, which sum it up, and its last ones: where the numbers come from.

use super::super::model::{Period, Report};
use super::page::{Line, Page, Style};
use super::units::{bytes, count, counted, duration, percent, rate};

/// Unreadable files named one by one; more are only counted.
const MAX_UNREAD: usize = 10;

/// Application, time span, requests, errors, sources.
pub fn draw(page: &mut Page, report: &Report) {
    let name =
        if report.apps.is_empty() { "application".to_owned() } else { report.apps.join(", ") };
    page.blank();
    let mut line = Line::default().with(Style::Bold, &name);
    if let Some(period) = report.period {
        line.push(Style::Dim, " · ");
        line.push(Style::Plain, &span(period));
    }
    page.line(&line);
    flow(page, &figures(report));
    let mut sources = counted(report.files.check_ins as u64, "check-in payload");
    if report.files.error_files > 0 {
        let files = counted(report.files.error_files as u64, "error file");
        sources.push_str(&format!(" and {files}"));
    }
    if report.processes > 0 {
        let suffix = if report.processes == 1 { "" } else { "es" };
        sources.push_str(&format!(" from {} process{suffix}", count(report.processes as u64)));
    }
    match report.hosts.as_slice() {
        [] => {}
        [host] => sources.push_str(&format!(" on {host}")),
        hosts => sources.push_str(&format!(" on {}", counted(hosts.len() as u64, "host"))),
    }
    page.line(&Line::default().with(Style::Dim, &sources));
}

/// Figures side by side, on as many lines as they need.
fn flow(page: &mut Page, figures: &[Line]) {
    let mut line = Line::default();
    for figure in figures {
        let separator = if line.width() == 0 { "" } else { " · " };
        if line.width() + separator.len() + figure.width() > page.columns {
            page.line(&line);
            line = Line::default();
        } else {
            line.push(Style::Dim, separator);
        }
        line.append_within(figure, page.columns);
    }
    page.line(&line);
}

fn figures(report: &Report) -> Vec<Line> {
    let totals = &report.totals;
    let mut requests = Line::default().with(Style::Bold, &count(totals.requests));
    requests.push(Style::Plain, if totals.requests == 1 { " request" } else { " requests" });
    if let Some(period) = report.period {
        let per_minute = rate(totals.requests as f64 / period.minutes());
        requests.push(Style::Dim, &format!(" ({per_minute} a minute)"));
    }
    let mut figures = vec![requests];
    let labelled = |label: &str, value: &str| {
        Line::default().with(Style::Dim, label).with(Style::Plain, value)
    };
    if totals.requests > 0 {
        let mean = totals.request_seconds / totals.requests as f64;
        figures.push(labelled("mean ", &duration(mean)));
    }
    if let Some(p95) = totals.request_histogram.quantile(0.95) {
        figures.push(labelled("p95 ", &duration(p95)));
    }
    if totals.request_errors > 0 {
        let share = percent(totals.request_errors as f64, totals.requests as f64);
        let errors = counted(totals.request_errors, "error");
        figures.push(Line::default().with(Style::Bad, &format!("{errors} ({share})")));
    } else {
        figures.push(labelled("", "no errors"));
    }
    if totals.jobs > 0 {
        let mut jobs = labelled("", &counted(totals.jobs, "job"));
        if totals.job_errors > 0 {
            jobs.push(Style::Bad, &format!(", {} failed", count(totals.job_errors)));
        }
        figures.push(jobs);
    }
    figures
}

/// `1 minute, 2026-11-22 06:57 to 06:58 UTC`
fn span(period: Period) -> String {
    let text = |at: crate::model::UnixNanos| at.iso8601(false).to_string();
    let (start, end) = (text(period.start_ns), text(period.end_ns));
    let (date, from) = (start.get(..10).unwrap_or_default(), start.get(11..16).unwrap_or_default());
    let (end_date, to) = (end.get(..10).unwrap_or_default(), end.get(11..16).unwrap_or_default());
    let minutes = period.minutes().round() as u64;
    let length = match minutes {
        0..120 => counted(minutes, "minute"),
        120..2880 => format!("{:.1} hours", period.minutes() / 60.0),
        _ => format!("{:.1} days", period.minutes() / 1440.0),
    };
    if date == end_date {
        format!("{length}, {date} {from} to {to} UTC")
    } else {
        format!("{length}, {date} {from} to {end_date} {to} UTC")
    }
}

/// The directory, and one line for each file that could not be used.
pub fn files(page: &mut Page, report: &Report) {
    let files = &report.files;
    page.title("Payload files", "");
    let mut line = Line::indent(2).with(Style::Plain, &files.directory);
    let number = (files.check_ins + files.error_files) as u64;
    line.push(Style::Dim, &format!("  {}, {}", counted(number, "file"), bytes(files.bytes)));
    page.line(&line);
    for unread in files.unread.iter().take(MAX_UNREAD) {
        let mut line = Line::indent(2).with(Style::Warn, "skipped ");
        line.push(Style::Plain, &unread.path);
        line.push(Style::Dim, &format!(": {}", unread.reason));
        page.line(&line);
    }
    let more = files.unread.len().saturating_sub(MAX_UNREAD) as u64;
    if more > 0 {
        let text = format!("skipped {}", counted(more, "more file"));
        page.line(&Line::indent(2).with(Style::Warn, &text));
    }
}
