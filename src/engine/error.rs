use super::trace::Scalar;
use crate::model::UnixNanos;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An exception, as the error service takes it. Filtered: nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// When it was raised.
    pub time: UnixNanos,
    /// The request it was raised in, in hex, or empty.
    pub trace_id: String,
    /// The exception's class.
    pub class: String,
    /// Its message.
    pub message: String,
    /// The request's address.
    pub uri: String,
    /// The request's parameters.
    pub params: Value,
    /// The session.
    pub session: Value,
    /// Headers and the like.
    pub environment: Value,
    /// `file:line:in function`, innermost first.
    pub trace: Vec<String>,
    /// `Controller/users/show`, or empty.
    pub scope: String,
    /// Module, controller and action, if the application said so.
    pub components: Value,
    /// What the application said about the request.
    pub context: Vec<(String, Scalar)>,
    /// The host.
    pub hostname: String,
    /// The revision.
    pub git_sha: String,
}

/// The first exceptions of a period, and how many more there were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorLog {
    limit: usize,
    /// In order of time.
    problems: Vec<Problem>,
    /// Exceptions beyond the limit.
    pub omitted: u64,
}

impl ErrorLog {
    /// Keeps at most `limit`.
    pub fn new(limit: usize) -> Self {
        ErrorLog { limit, problems: Vec::new(), omitted: 0 }
    }

    /// What was kept, in order of time.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether one of this time would be kept in detail.
    pub fn takes(&self, time: UnixNanos) -> bool {
        self.problems.len() < self.limit
            || self.problems.last().is_some_and(|latest| time <= latest.time)
    }

    /// Counts one that is not kept.
    pub fn omit(&mut self) {
        self.omitted += 1;
    }

    /// Adds one. The latest go when there are too many; tells whether one went.
    pub fn push(&mut self, problem: Problem) -> bool {
        let rank = rank(&problem);
        let at = self.problems.partition_point(|held| self::rank(held) <= rank);
        self.problems.insert(at, problem);
        self.trim()
    }

    /// Adds another log.
    pub fn merge(&mut self, other: ErrorLog) {
        self.limit = self.limit.max(other.limit);
        self.omitted += other.omitted;
        for problem in other.problems {
            self.push(problem);
        }
    }

    fn trim(&mut self) -> bool {
        let surplus = self.problems.len().saturating_sub(self.limit);
        self.problems.truncate(self.limit);
        self.omitted += surplus as u64;
        surplus > 0
    }
}

/// A total order, so that which ones are kept does not depend on the order of merging.
fn rank(problem: &Problem) -> (UnixNanos, String) {
    (problem.time, serde_json::to_string(problem).unwrap_or_default())
}
