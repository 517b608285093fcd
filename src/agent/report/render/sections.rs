//! The page's sections, from the report's lists. An empty list has no section.

use super::super::model::{Calls, Report, Trace};
use super::layers::Legend;
use super::page::{Line, Page, Style};
use super::table::{self, Column, Row};
use super::units::{count, duration, maybe_duration, percent, rate};
use super::{text, waterfall};

const BAR: usize = 20;
const STATEMENT_LINES: usize = 3;

/// Endpoints by total time, with the share of time by layer beneath each.
pub fn endpoints(page: &mut Page, report: &Report, legend: &Legend, top: usize) {
    if report.endpoints.is_empty() {
        return;
    }
    page.title("Endpoints", &by_total(report.endpoints.len(), top));
    let columns = [
        Column { title: "requests", drop_order: 0 },
        Column { title: "a minute", drop_order: 3 },
        Column { title: "mean", drop_order: 0 },
        Column { title: "p95", drop_order: 0 },
        Column { title: "max", drop_order: 2 },
        Column { title: "errors", drop_order: 0 },
        Column { title: "total", drop_order: 1 },
        Column { title: "of all", drop_order: 4 },
    ];
    let minutes = report.period.map_or(1.0, |period| period.minutes());
    let row = |endpoint: &super::super::model::Endpoint| {
        let calls = &endpoint.calls;
        let mut layers = legend.line(4, &endpoint.layers, BAR);
        if let Some(queue) = endpoint.queue_seconds {
            layers.push(Style::Dim, &format!("  queued {}", duration(queue)));
        }
        if report.n_plus_one.iter().any(|repeat| repeat.scope == endpoint.name) {
            layers.push(Style::Warn, "  N+1");
        }
        Row {
            name: Line::default().with(Style::Bold, short(&endpoint.name)),
            numbers: vec![
                plain(count(calls.count)),
                dim(rate(calls.count as f64 / minutes)),
                plain(maybe_duration(calls.mean())),
                plain(maybe_duration(calls.p95())),
                plain(duration(calls.max_seconds)),
                errors_cell(endpoint.errors),
                plain(duration(calls.seconds)),
                dim(percent(calls.seconds, report.totals.request_seconds)),
            ],
            beneath: vec![layers],
        }
    };
    let rows: Vec<Row> = report.endpoints.iter().take(top).map(row).collect();
    table::draw(page, "", &columns, &rows);
    more(page, report.endpoints.len(), top);
}

/// Background jobs, by queue and name.
pub fn jobs(page: &mut Page, report: &Report, legend: &Legend, top: usize) {
    if report.jobs.is_empty() {
        return;
    }
    page.title("Jobs", &by_total(report.jobs.len(), top));
    let columns = [
        Column { title: "runs", drop_order: 0 },
        Column { title: "latency", drop_order: 3 },
        Column { title: "mean", drop_order: 0 },
        Column { title: "p95", drop_order: 0 },
        Column { title: "max", drop_order: 2 },
        Column { title: "errors", drop_order: 0 },
        Column { title: "total", drop_order: 1 },
    ];
    let row = |job: &super::super::model::Job| {
        let mut name = Line::default().with(Style::Bold, &job.name);
        if !job.queue.is_empty() {
            name.push(Style::Dim, &format!("  queue {}", job.queue));
        }
        let beneath =
            if job.layers.is_empty() { vec![] } else { vec![legend.line(4, &job.layers, BAR)] };
        Row {
            name,
            numbers: vec![
                plain(count(job.calls.count)),
                plain(maybe_duration(job.latency_seconds)),
                plain(maybe_duration(job.calls.mean())),
                plain(maybe_duration(job.calls.p95())),
                plain(duration(job.calls.max_seconds)),
                errors_cell(job.errors),
                plain(duration(job.calls.seconds)),
            ],
            beneath,
        }
    };
    let rows: Vec<Row> = report.jobs.iter().take(top).map(row).collect();
    table::draw(page, "", &columns, &rows);
    more(page, report.jobs.len(), top);
}

/// The slowest request, and the slowest with an N+1 query, step by step.
pub fn traces(page: &mut Page, report: &Report, legend: &Legend) {
    for (at, trace) in report.traces.iter().enumerate() {
        let what = if trace.endpoint.starts_with("Job/") { "job" } else { "request" };
        let title = match at {
            0 => format!("Slowest traced {what}"),
            _ => format!("Slowest traced {what} with an N+1 query"),
        };
        page.title(&title, "");
        page.line(&about(trace));
        if !trace.context.is_empty() {
            let pairs: Vec<String> =
                trace.context.iter().map(|(key, value)| format!("{key}={value}")).collect();
            page.line(&Line::indent(2).with(Style::Dim, &pairs.join("  ")));
        }
        waterfall::draw(page, trace, legend);
    }
}

fn about(trace: &Trace) -> Line {
    let mut line = Line::indent(2).with(Style::Bold, short(&trace.endpoint));
    line.push(Style::Plain, &format!("  {}", duration(trace.seconds)));
    if !trace.uri.is_empty() {
        line.push(Style::Plain, &format!("  {}", trace.uri));
    }
    if let Some(at) = trace.start_ns {
        let at = at.iso8601(true).to_string();
        let (date, time) = (at.get(..10).unwrap_or_default(), at.get(11..23).unwrap_or_default());
        line.push(Style::Dim, &format!("  {date} {time} UTC"));
    }
    if !trace.host.is_empty() {
        line.push(Style::Dim, &format!("  {}", trace.host));
    }
    line
}

/// Queries that requests repeat for every row of another.
pub fn n_plus_one(page: &mut Page, report: &Report, top: usize) {
    if report.n_plus_one.is_empty() {
        return;
    }
    page.title("N+1 queries", &by_total(report.n_plus_one.len(), top));
    let columns = [
        Column { title: "per request", drop_order: 0 },
        Column { title: "requests", drop_order: 0 },
        Column { title: "calls", drop_order: 1 },
        Column { title: "total", drop_order: 0 },
    ];
    let row = |repeat: &super::super::model::NPlusOne| {
        let mut beneath = statement(page, &repeat.statement);
        if !repeat.caller.is_empty() {
            let mut line = Line::indent(4).with(Style::Dim, "called at ");
            line.push(Style::Plain, &repeat.caller);
            beneath.push(line);
        }
        let per_request = repeat.calls as f64 / repeat.requests.max(1) as f64;
        Row {
            name: Line::default().with(Style::Bold, short(&repeat.scope)),
            numbers: vec![
                (Style::Warn, format!("× {}", count(per_request.round() as u64))),
                plain(count(repeat.requests)),
                plain(count(repeat.calls)),
                plain(duration(repeat.seconds)),
            ],
            beneath,
        }
    };
    let rows: Vec<Row> = report.n_plus_one.iter().take(top).map(row).collect();
    table::draw(page, "", &columns, &rows);
    more(page, report.n_plus_one.len(), top);
}

/// Statements by total time.
pub fn sql(page: &mut Page, report: &Report, top: usize) {
    if report.sql.is_empty() {
        return;
    }
    page.title("SQL", &by_total(report.sql.len(), top));
    let row = |query: &super::super::model::Sql| Row {
        name: called(&query.operation, &query.scopes),
        numbers: call_numbers(&query.calls),
        beneath: statement(page, &query.statement),
    };
    let rows: Vec<Row> = report.sql.iter().take(top).map(row).collect();
    table::draw(page, "", &CALL_COLUMNS, &rows);
    more(page, report.sql.len(), top);
}

/// Calls to other services, by host.
pub fn services(page: &mut Page, report: &Report, top: usize) {
    if report.services.is_empty() {
        return;
    }
    page.title("External services", &by_total(report.services.len(), top));
    let row = |service: &super::super::model::Service| Row {
        name: called(&service.host, &service.scopes),
        numbers: call_numbers(&service.calls),
        beneath: Vec::new(),
    };
    let rows: Vec<Row> = report.services.iter().take(top).map(row).collect();
    table::draw(page, "", &CALL_COLUMNS, &rows);
    more(page, report.services.len(), top);
}

/// Exceptions, by class and message.
pub fn errors(page: &mut Page, report: &Report, top: usize) {
    if report.errors.is_empty() {
        return;
    }
    page.title("Errors", "by count");
    for error in report.errors.iter().take(top) {
        let mut line = Line::indent(2).with(Style::Bad, &error.class);
        line.push(Style::Bad, &format!(" × {}", count(error.count)));
        if !error.place.is_empty() {
            line.push(Style::Plain, &format!("  {}", error.place));
        }
        if !error.frame.is_empty() {
            line.push(Style::Dim, &format!("  {}", error.frame));
        }
        page.line(&line);
        for piece in text::wrap(&text::clean(&error.message), page.columns - 4, STATEMENT_LINES) {
            page.line(&Line::indent(4).with(Style::Plain, &piece));
        }
    }
    more(page, report.errors.len(), top);
}

const CALL_COLUMNS: [Column; 5] = [
    Column { title: "calls", drop_order: 0 },
    Column { title: "mean", drop_order: 0 },
    Column { title: "p95", drop_order: 0 },
    Column { title: "max", drop_order: 1 },
    Column { title: "total", drop_order: 0 },
];

fn call_numbers(calls: &Calls) -> Vec<(Style, String)> {
    vec![
        plain(count(calls.count)),
        plain(maybe_duration(calls.mean())),
        plain(maybe_duration(calls.p95())),
        plain(duration(calls.max_seconds)),
        plain(duration(calls.seconds)),
    ]
}

/// A name, and where it is called from.
fn called(name: &str, scopes: &[String]) -> Line {
    let mut line = Line::default().with(Style::Bold, name);
    if let Some((first, rest)) = scopes.split_first() {
        line.push(Style::Dim, &format!("  in {}", short(first)));
        if !rest.is_empty() {
            line.push(Style::Dim, &format!(" and {} more", rest.len()));
        }
    }
    line
}

fn statement(page: &Page, statement: &str) -> Vec<Line> {
    let statement = text::clean(&text::squeeze(statement));
    text::wrap(&statement, page.columns - 4, STATEMENT_LINES)
        .iter()
        .map(|piece| Line::indent(4).with(Style::Dim, piece))
        .collect()
}

/// Endpoints go without their type; jobs keep it, to be told apart.
fn short(operation: &str) -> &str {
    operation.strip_prefix("Controller/").unwrap_or(operation)
}

fn by_total(number: usize, top: usize) -> String {
    if number > top {
        format!("the first {top} of {number} by total time")
    } else {
        "by total time".to_owned()
    }
}

fn more(page: &mut Page, number: usize, top: usize) {
    if number > top {
        let text = format!("… {} more: --top {number} shows them", number - top);
        page.line(&Line::indent(2).with(Style::Dim, &text));
    }
}

fn plain(text: String) -> (Style, String) {
    (Style::Plain, text)
}

fn dim(text: String) -> (Style, String) {
    (Style::Dim, text)
}

fn errors_cell(number: u64) -> (Style, String) {
    if number > 0 { (Style::Bad, count(number)) } else { dim("-".to_owned()) }
}
