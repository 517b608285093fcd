use super::Engine;
use super::backtrace;
use super::error::Problem;
use super::facts::{Context, Facts};
use super::filter::FILTERED;
use super::live::LiveMinute;
use super::operation::OpId;
use super::request::{PendingError, Request};
use super::symbols::cut;
use super::trace::Scalar;
use crate::model::{TraceId, UnixNanos};
use serde_json::Value;

/// The longest class and message shown, in bytes.
const LONGEST_TEXT: usize = 101;
/// The longest address.
const LONGEST_URI: usize = 201;
/// The longest value among parameters and the like.
const LONGEST_VALUE: usize = 101;
/// The most lines of a backtrace.
const MAX_LINES: usize = 100;

impl Engine {
    /// Reports the errors of a request that is being closed, with what is known of it.
    pub(super) fn report_errors(
        &mut self,
        request: &mut Request,
        known: Option<(OpId, Facts)>,
        minutes: &mut Vec<LiveMinute>,
        now: UnixNanos,
    ) {
        if request.errors.is_empty() {
            return;
        }
        let context =
            Context::read(request, &self.keys, &self.filter, self.config.collect_remote_ip);
        let (scope, uri) = match &known {
            Some((op, facts)) => {
                (self.operations.text(*op).to_owned(), self.shown_uri(request, facts))
            }
            None => Default::default(),
        };
        for error in std::mem::take(&mut request.errors) {
            self.report(request.trace_id, &error, &scope, &uri, &context, minutes, now);
        }
    }

    /// Reports an error of which no request is known.
    #[cold]
    pub(super) fn report_alone(&mut self, trace_id: TraceId, error: &PendingError, now: UnixNanos) {
        self.with_minutes(|engine, minutes| {
            engine.report(trace_id, error, "", "", &Context::default(), minutes, now);
        });
    }

    #[expect(clippy::too_many_arguments, reason = "each is another part of the report")]
    fn report(
        &mut self,
        trace_id: TraceId,
        error: &PendingError,
        scope: &str,
        uri: &str,
        context: &Context,
        minutes: &mut Vec<LiveMinute>,
        now: UnixNanos,
    ) {
        let minute = self.minute_of(error.time, now).0;
        let Some(live) = self.minute(minutes, minute) else { return };
        live.counts.errors += 1;
        if !live.errors.takes(error.time) {
            live.errors.omit();
            self.stats.errors_over_limit += 1;
            return;
        }
        let problem = self.problem(trace_id, error, scope, uri, context);
        if live.errors.push(problem) {
            self.stats.errors_over_limit += 1;
        }
    }

    fn problem(
        &self,
        trace_id: TraceId,
        error: &PendingError,
        scope: &str,
        uri: &str,
        context: &Context,
    ) -> Problem {
        let mut problem = Problem {
            time: error.time,
            trace_id: if trace_id.is_none() { String::new() } else { trace_id.to_string() },
            class: shorten(&error.class, LONGEST_TEXT),
            message: shorten(&error.message, LONGEST_TEXT),
            uri: shorten(uri, LONGEST_URI),
            params: Value::Null,
            session: Value::Null,
            environment: Value::Null,
            trace: self.trace_lines(&error.backtrace),
            scope: scope.to_owned(),
            components: Value::Null,
            context: context.extra.clone(),
            hostname: self.hostname.clone(),
            git_sha: self.git_sha.clone(),
        };
        let user = context.user.iter().map(|(key, value)| (format!("user_{key}"), value.clone()));
        problem.context.extend(user);
        if !problem.trace_id.is_empty() {
            let id = Scalar::Str(problem.trace_id.clone());
            problem.context.push(("transaction_id".to_owned(), id));
        }
        for (key, value) in &error.tags {
            match (key.as_str(), value) {
                ("request_uri", Scalar::Str(text)) => {
                    let shown = super::uri::report(text, self.config.uri_reporting, &self.filter);
                    problem.uri = shorten(&shown, LONGEST_URI);
                }
                ("request_params", Scalar::Str(text)) => problem.params = self.cleaned(text),
                ("request_session", Scalar::Str(text)) => problem.session = self.cleaned(text),
                ("environment", Scalar::Str(text)) => problem.environment = self.cleaned(text),
                ("request_components", Scalar::Str(text)) => {
                    problem.components = self.cleaned(text);
                }
                (_, Scalar::F64(number)) if !number.is_finite() => {}
                _ => {
                    let value = if self.filter.hides(key) {
                        Scalar::Str(FILTERED.to_owned())
                    } else {
                        value.clone()
                    };
                    problem.context.retain(|(held, _)| held != key);
                    problem.context.push((key.clone(), value));
                }
            }
        }
        problem
    }

    /// JSON text without secrets and with short values; other text is left out.
    fn cleaned(&self, text: &str) -> Value {
        let Ok(mut value) = serde_json::from_str::<Value>(text) else { return Value::Null };
        flatten(&mut value, MOST_MEMBERS);
        self.filter.clean(&mut value);
        stringify(&mut value);
        value
    }

    fn trace_lines(&self, backtrace: &str) -> Vec<String> {
        let frames = backtrace::parse(backtrace);
        frames
            .into_iter()
            .take(MAX_LINES)
            .map(|frame| self.backtraces.show_relative(frame))
            .map(|frame| {
                let mut line = frame.file;
                if !frame.line.is_empty() {
                    line = format!("{line}:{}", frame.line);
                }
                if !frame.function.is_empty() {
                    line = format!("{line}:in {}", frame.function);
                }
                line
            })
            .collect()
    }
}

/// Members of JSON that are kept: each takes far more memory than text.
const MOST_MEMBERS: usize = 500;
/// Levels of JSON that are kept. A parser gives up at 128, and a period's file has some around it.
const DEEPEST: usize = 32;

/// Leaves out what is nested deeper, or is more, than anybody reads.
pub(super) fn flatten(value: &mut Value, mut members: usize) {
    fn within(value: &mut Value, levels: usize, room: &mut usize) {
        match value {
            Value::Array(_) | Value::Object(_) if levels == 0 => *value = Value::from("..."),
            Value::Array(items) => {
                items.truncate(*room);
                items.shrink_to_fit();
                for item in items.iter_mut() {
                    *room = room.saturating_sub(1);
                    within(item, levels - 1, room);
                }
            }
            Value::Object(members) => {
                let mut kept = serde_json::Map::new();
                for (key, mut member) in std::mem::take(members) {
                    if *room == 0 {
                        break;
                    }
                    *room -= 1;
                    within(&mut member, levels - 1, room);
                    kept.insert(key, member);
                }
                *members = kept;
            }
            _ => {}
        }
    }
    within(value, DEEPEST, &mut members);
}

/// Scalars become text of limited length, as the error service has them.
fn stringify(value: &mut Value) {
    match value {
        Value::Null => {}
        Value::Bool(flag) => *value = Value::from(flag.to_string()),
        Value::Number(number) => *value = Value::from(number.to_string()),
        Value::String(text) => *text = shorten(text, LONGEST_VALUE),
        Value::Array(items) => items.iter_mut().for_each(stringify),
        Value::Object(members) => members.values_mut().for_each(stringify),
    }
}

fn shorten(text: &str, limit: usize) -> String {
    String::from_utf8_lossy(cut(text.as_bytes(), limit)).into_owned()
}
