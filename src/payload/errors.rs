use super::metadata::Metadata;
use super::render::{Instant, Members};
use crate::engine::{Period, Problem};
use serde::Serialize;
use serde_json::{Value, json};

/// The error service's JSON for a period; `None` if it has no errors.
pub fn errors(period: &Period, metadata: &Metadata) -> Option<Vec<u8>> {
    if period.errors.problems().is_empty() {
        return None;
    }
    let body = Body {
        notifier: format!("scout_apm_{}", metadata.platform_of(period)),
        environment: metadata.environment_of(period),
        root: metadata.root_of(period),
        problems: period.errors.problems().iter().map(ShownProblem::new).collect(),
    };
    serde_json::to_vec(&body).ok()
}

#[derive(Serialize)]
struct Body<'a> {
    notifier: String,
    environment: Option<&'a str>,
    root: &'a str,
    problems: Vec<ShownProblem<'a>>,
}

#[derive(Serialize)]
struct ShownProblem<'a> {
    exception_class: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
    request_uri: &'a str,
    request_params: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    request_session: &'a Value,
    environment: Value,
    trace: &'a [String],
    request_components: Value,
    context: Members<'a>,
    agent_time: Instant,
    git_sha: &'a str,
    host: &'a str,
    revision_sha: &'a str,
}

impl<'a> ShownProblem<'a> {
    fn new(problem: &'a Problem) -> Self {
        let object = |value: &Value| if value.is_null() { json!({}) } else { value.clone() };
        ShownProblem {
            exception_class: &problem.class,
            message: &problem.message,
            request_id: &problem.trace_id,
            request_uri: &problem.uri,
            request_params: object(&problem.params),
            request_session: &problem.session,
            environment: object(&problem.environment),
            trace: &problem.trace,
            request_components: components(problem),
            context: Members(&problem.context),
            agent_time: Instant(problem.time, false),
            git_sha: &problem.git_sha,
            host: &problem.hostname,
            // The Ruby agent says git_sha, the others revision_sha.
            revision_sha: &problem.git_sha,
        }
    }
}

/// As the application said, or else from the endpoint's name.
fn components(problem: &Problem) -> Value {
    if !problem.components.is_null() {
        return problem.components.clone();
    }
    let Some((_, name)) = problem.scope.split_once('/') else { return Value::Null };
    let (controller, action) = name.rsplit_once('/').unwrap_or((name, ""));
    json!({"controller": controller, "action": action, "module": null})
}
