use super::filter::{FILTERED, Filter};
use super::queue_time;
use super::request::{Request, SpanRow};
use super::tag::{KnownTag, StoredTag, StoredValue, TagKeys};
use super::trace::Scalar;
use crate::model::UnixNanos;

/// What a request's tags say that the engine understands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    pub error: bool,
    pub ignore: bool,
    pub rename: Option<StoredValue>,
    pub path: Option<StoredValue>,
    pub queue: Option<StoredValue>,
    pub queue_time: Option<u64>,
    pub latency: Option<u64>,
    /// In MB.
    pub mem_delta: Option<f64>,
}

impl Facts {
    /// Reads a request's tags; of several with one key the last counts.
    pub(crate) fn read(request: &mut Request, keys: &TagKeys, start: UnixNanos) -> Facts {
        if request.tags.len() > 1 {
            request.tags.sort_by_key(|tag| tag.time);
        }
        let request = &*request;
        let mut facts = Facts::default();
        for tag in &request.tags {
            let value = tag.tag.value;
            match keys.known(tag.tag.key) {
                KnownTag::Error => facts.error = request.truth(value),
                KnownTag::IgnoreTransaction => facts.ignore = request.truth(value),
                KnownTag::TransactionName => facts.rename = Some(value),
                KnownTag::Path => facts.path = Some(value),
                KnownTag::QueueTimeNanos => {
                    facts.queue_time = request.number(value).map(nanos);
                }
                KnownTag::QueueStart => {
                    if let Scalar::Str(text) = request.scalar(value) {
                        facts.queue_time =
                            facts.queue_time.or_else(|| queue_time::from_header(&text, start));
                    }
                }
                KnownTag::MemDelta | KnownTag::MemoryDelta => {
                    facts.mem_delta = request.number(value);
                }
                _ => facts.read_job_tag(request, keys, &tag.tag),
            }
        }
        facts
    }

    /// Agents put a job's queue and latency on the request or on its span.
    pub(crate) fn read_job_span(&mut self, request: &Request, keys: &TagKeys, row: &SpanRow) {
        let known = Facts { queue: self.queue, latency: self.latency, ..Facts::default() };
        for tag in request.tags_of(row) {
            self.read_job_tag(request, keys, tag);
        }
        self.queue = known.queue.or(self.queue);
        self.latency = known.latency.or(self.latency);
    }

    fn read_job_tag(&mut self, request: &Request, keys: &TagKeys, tag: &StoredTag) {
        match keys.known(tag.key) {
            KnownTag::Queue => self.queue = Some(tag.value),
            KnownTag::JobQueueTimeNanos => self.latency = request.number(tag.value).map(nanos),
            KnownTag::QueueTimeSeconds => {
                self.latency = request.number(tag.value).map(|seconds| nanos(seconds * 1e9));
            }
            _ => {}
        }
    }
}

fn nanos(value: f64) -> u64 {
    // Negative values, from clocks that disagree, become 0.
    value as u64
}

/// What the application said about a request, and about its user.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub extra: Vec<(String, Scalar)>,
    pub user: Vec<(String, Scalar)>,
}

/// The most entries shown of a context.
const LONGEST: usize = 100;

impl Context {
    pub(crate) fn read(
        request: &Request,
        keys: &TagKeys,
        filter: &Filter,
        collect_remote_ip: bool,
    ) -> Context {
        let mut context = Context::default();
        if collect_remote_ip && let Some(address) = address_from_headers(request, keys) {
            context.user.push(("ip".to_owned(), Scalar::Str(address)));
        }
        for tag in &request.tags {
            let known = keys.known(tag.tag.key);
            let key = keys.text(tag.tag.key);
            let shown = match known {
                KnownTag::UserIp => collect_remote_ip,
                KnownTag::Context => collect_remote_ip || key != "ip",
                _ => false,
            };
            if !shown {
                continue;
            }
            let mut value = request.scalar(tag.tag.value);
            if filter.hides(key) {
                value = Scalar::Str(FILTERED.to_owned());
            }
            if matches!(value, Scalar::F64(number) if !number.is_finite()) {
                continue;
            }
            let (list, key) = match key.strip_prefix("user_") {
                Some(rest) if !rest.is_empty() => (&mut context.user, rest),
                _ => (&mut context.extra, key),
            };
            let room = list.len() < LONGEST;
            match list.iter_mut().find(|(held, _)| held == key) {
                Some((_, held)) => *held = value,
                None if room => list.push((key.to_owned(), value)),
                None => {}
            }
        }
        context
    }
}

/// The user's address by the request's headers, given as tags: the first of `X-Forwarded-For`, else
/// the first of `Client-Ip`, else the connection's, `Remote-Addr`. A tag `user_ip` goes before it.
/// Source: facts/scout.md 5.2.
fn address_from_headers(request: &Request, keys: &TagKeys) -> Option<String> {
    let rank = |key: &str| match key.as_bytes().first() {
        Some(b'x' | b'X') => 0,
        Some(b'c' | b'C') => 1,
        _ => 2,
    };
    let headers =
        request.tags.iter().filter(|tag| keys.known(tag.tag.key) == KnownTag::ForwardedFor);
    let named = headers.filter_map(|tag| {
        let Scalar::Str(header) = request.scalar(tag.tag.value) else { return None };
        let address = header.split(',').next()?.trim().to_owned();
        (!address.is_empty()).then(|| (rank(keys.text(tag.tag.key)), address))
    });
    named.min_by_key(|(rank, _)| *rank).map(|(_, address)| address)
}
