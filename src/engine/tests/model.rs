//! The minute as a slow and obvious program computes it: shares nothing with the engine.
use super::support::{MS, Made, V};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// count, total, exclusive, min, max
pub type Sums = (u64, u64, u64, u64, u64);
type Names = (String, String, String);
type Counts = (u64, u64, u64, u64);

#[derive(Debug, Default, PartialEq)]
pub struct Figures {
    /// By scope, bucket, name.
    pub metrics: BTreeMap<Names, Sums>,
    /// Root durations by endpoint.
    pub histograms: BTreeMap<String, u64>,
    /// Transactions, calls, nanoseconds, rows by scope, model, operation.
    pub queries: BTreeMap<Names, Counts>,
    /// Transactions, calls, nanoseconds by scope and host.
    pub hosts: BTreeMap<(String, String), (u64, u64, u64)>,
    /// Runs, errors, nanoseconds by queue and name.
    pub jobs: BTreeMap<(String, String), (u64, u64, u64)>,
    /// Requests, calls, nanoseconds by scope and table.
    pub n_plus_ones: BTreeMap<(String, String), (u64, u64, u64)>,
    pub requests: u64,
    pub spans: u64,
}

/// The statements that requests in these tests make: text, model, operation.
pub const STATEMENTS: [(&str, &str, &str); 4] = [
    ("SELECT * FROM users WHERE id = 1", "User", "select"),
    ("SELECT * FROM posts WHERE id = 2", "Post", "select"),
    ("INSERT INTO users (a) VALUES (3)", "User", "insert"),
    ("UPDATE posts SET a = 4 WHERE b = 'x'", "Post", "update"),
];

/// What the model knows of a request besides its spans.
#[derive(Clone, Debug, Default)]
pub struct RequestFacts {
    pub error: bool,
    pub rename: Option<String>,
}

fn duration(span: &Made) -> u64 {
    span.end.saturating_sub(span.start)
}

type Rank = (u64, Reverse<u64>, u64, u64);

fn rank(span: &Made) -> Rank {
    (span.start, Reverse(duration(span)), span.id, span.parent)
}

fn layer(op: &str) -> &str {
    op.split('/').next().unwrap()
}

fn is_scope(span: &Made) -> bool {
    ["Controller", "Job"].contains(&layer(&span.op)) && span.op.contains('/')
}

fn add(sums: &mut Sums, total: u64, exclusive: u64, extreme: u64) {
    sums.3 = if sums.0 == 0 { extreme } else { sums.3.min(extreme) };
    sums.4 = sums.4.max(extreme);
    sums.0 += 1;
    sums.1 += total;
    sums.2 += exclusive;
}

fn text_tag<'s>(span: &'s Made, key: &str) -> Option<&'s str> {
    span.tags.iter().rev().find(|(held, _)| held == key).and_then(|(_, value)| match value {
        V::S(text) => Some(text.as_str()),
        _ => None,
    })
}

/// When the request of these spans ends, if there are any.
pub fn root_end(spans: &[Made]) -> Option<u64> {
    let at = (!spans.is_empty()).then(|| root(spans, &parents(spans)))?;
    Some(spans[at].start + duration(&spans[at]))
}

impl Figures {
    /// A request whose spans are `own`; `late` came after it was complete.
    pub fn request(&mut self, own: &[Made], late: &[Made], facts: &RequestFacts) {
        let parents = parents(own);
        let root = root(own, &parents);
        let parents: Vec<Option<usize>> = parents
            .iter()
            .enumerate()
            .map(|(at, parent)| match parent {
                Parent::Known(parent) => Some(*parent),
                Parent::None => None,
                Parent::Unknown => (at != root).then_some(root),
            })
            .collect();
        let mut order = Vec::new();
        walk(own, &parents, root, &mut order);
        for at in sorted(own, |at| parents[at].is_none() && at != root) {
            walk(own, &parents, at, &mut order);
        }
        let Some(scope) = order.iter().copied().find(|at| is_scope(&own[*at])) else { return };
        let name = facts.rename.clone().unwrap_or_else(|| own[scope].op.clone());
        self.requests += 1;
        self.spans += (own.len() + late.len()) as u64;
        *self.histograms.entry(name.clone()).or_default() += 1;
        let (bucket, rest) = name.split_once('/').unwrap();
        let mut repeated: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut queries = BTreeSet::new();
        let mut hosts = BTreeSet::new();
        for (at, span) in own.iter().enumerate() {
            let children: u64 = (0..own.len())
                .filter(|child| parents[*child] == Some(at))
                .map(|child| duration(&own[child]))
                .sum();
            let total = duration(span);
            let exclusive = total.saturating_sub(children);
            if at == scope {
                let key = (String::new(), bucket.to_owned(), rest.to_owned());
                add(self.metrics.entry(key).or_default(), total, exclusive, total);
            } else {
                self.layer(&name, span, exclusive);
            }
            if let Some((model, operation, _)) = self.call(&name, span) {
                let found = repeated.entry(format!("{model}/{operation}")).or_default();
                *found = (found.0 + 1, found.1 + total);
                queries.insert((name.clone(), model, operation));
            }
            hosts.extend(self.host(&name, span));
        }
        for key in queries {
            self.queries.get_mut(&key).unwrap().0 += 1;
        }
        for key in hosts {
            self.hosts.get_mut(&key).unwrap().0 += 1;
        }
        for (table, (count, nanos)) in repeated {
            if count >= 5 && nanos >= 150 * MS {
                let found = self.n_plus_ones.entry((name.clone(), table)).or_default();
                *found = (found.0 + 1, found.1 + count, found.2 + nanos);
            }
        }
        if facts.error {
            for error in [name.as_str(), "Request"] {
                let key = (String::new(), "Errors".to_owned(), error.to_owned());
                add(self.metrics.entry(key).or_default(), 1, 1, 1);
            }
        }
        if layer(&own[scope].op) == "Job" {
            let run = self.jobs.entry(("default".to_owned(), rest.to_owned())).or_default();
            *run = (run.0 + 1, run.1 + u64::from(facts.error), run.2 + duration(&own[scope]));
        }
        for span in late {
            self.layer(&name, span, duration(span));
            self.call(&name, span);
            self.host(&name, span);
        }
    }

    fn layer(&mut self, scope: &str, span: &Made, exclusive: u64) {
        let bucket = layer(&span.op);
        let name = if ["Controller", "Job"].contains(&bucket) { bucket } else { "all" };
        let key = (scope.to_owned(), bucket.to_owned(), name.to_owned());
        add(self.metrics.entry(key).or_default(), duration(span), exclusive, exclusive);
    }

    fn call(&mut self, scope: &str, span: &Made) -> Option<(String, String, u64)> {
        let statement = text_tag(span, "db.statement")?;
        let (_, model, operation) = STATEMENTS.iter().find(|known| known.0 == statement)?;
        let rows = text_tag(span, "db.rows_returned").map_or(0, |rows| rows.parse().unwrap());
        let key = (scope.to_owned(), (*model).to_owned(), (*operation).to_owned());
        let query = self.queries.entry(key).or_default();
        *query = (query.0, query.1 + 1, query.2 + duration(span), query.3 + rows);
        Some(((*model).to_owned(), (*operation).to_owned(), rows))
    }

    fn host(&mut self, scope: &str, span: &Made) -> Option<(String, String)> {
        if layer(&span.op) != "HTTP" {
            return None;
        }
        let url = text_tag(span, "url");
        let host = url.map_or("Unknown", |url| url.split('/').nth(2).unwrap());
        let key = (scope.to_owned(), host.to_owned());
        let calls = self.hosts.entry(key.clone()).or_default();
        *calls = (calls.0, calls.1 + 1, calls.2 + duration(span));
        Some(key)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Parent {
    None,
    Known(usize),
    /// Of no span here, or cut from a ring.
    Unknown,
}

fn parents(spans: &[Made]) -> Vec<Parent> {
    let mut parents: Vec<Parent> = spans
        .iter()
        .map(|span| {
            if span.parent == 0 {
                return Parent::None;
            }
            let found = (0..spans.len())
                .filter(|at| spans[*at].id == span.parent)
                .min_by_key(|at| rank(&spans[*at]));
            found.map_or(Parent::Unknown, Parent::Known)
        })
        .collect();
    // Each ring is opened at its first span.
    loop {
        let ring = (0..spans.len()).find_map(|start| {
            let mut members = vec![start];
            let mut at = start;
            while let Parent::Known(parent) = parents[at] {
                if parent == start {
                    return Some(members);
                }
                if members.contains(&parent) {
                    return None;
                }
                members.push(parent);
                at = parent;
            }
            None
        });
        let Some(members) = ring else { return parents };
        let first = members.into_iter().min_by_key(|at| rank(&spans[*at])).unwrap();
        parents[first] = Parent::Unknown;
    }
}

fn root(spans: &[Made], parents: &[Parent]) -> usize {
    let of = |kind| {
        (0..spans.len()).filter(|at| parents[*at] == kind).min_by_key(|at| rank(&spans[*at]))
    };
    of(Parent::None).or_else(|| of(Parent::Unknown)).unwrap()
}

fn sorted(spans: &[Made], which: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut list: Vec<usize> = (0..spans.len()).filter(|at| which(*at)).collect();
    list.sort_by_key(|at| rank(&spans[*at]));
    list
}

fn walk(spans: &[Made], parents: &[Option<usize>], at: usize, order: &mut Vec<usize>) {
    order.push(at);
    for child in sorted(spans, |child| parents[child] == Some(at)) {
        walk(spans, parents, child, order);
    }
}
