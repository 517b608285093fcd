//! Records as a program makes them, through the real encoder and decoder.
use crate::engine::{Engine, EngineConfig, Period};
use crate::model::{NameId, SpanId, TraceId, UnixNanos};
use crate::record::{
    AppEvent, Encoder, ErrorEvent, Metric, Names, RequestTags, Span, Tag, TagValue, Text, decode,
};

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000_000_000;
/// Some minute's start.
pub const T0: u64 = 1_795_000_020 * SECOND;

pub struct NoNames;
impl Names for NoNames {
    fn name(&self, _: NameId) -> Option<&str> {
        None
    }
}

/// A tag's value, from a literal.
#[derive(Clone, Debug)]
pub enum V {
    S(String),
    I(i64),
    F(f64),
    B(bool),
}
impl From<&str> for V {
    fn from(text: &str) -> V {
        V::S(text.to_owned())
    }
}
impl From<i64> for V {
    fn from(number: i64) -> V {
        V::I(number)
    }
}
impl From<f64> for V {
    fn from(number: f64) -> V {
        V::F(number)
    }
}
impl From<bool> for V {
    fn from(flag: bool) -> V {
        V::B(flag)
    }
}

pub fn trace(n: u64) -> TraceId {
    let mut id = [0xab; 16];
    id[..8].copy_from_slice(&n.to_be_bytes());
    TraceId(id)
}

/// A span; times are nanoseconds after [`T0`].
#[derive(Clone, Debug)]
pub struct Made {
    pub trace: u64,
    pub id: u64,
    pub parent: u64,
    pub start: u64,
    pub end: u64,
    pub op: String,
    pub tags: Vec<(String, V)>,
}

pub fn span(trace: u64, id: u64, parent: u64, start: u64, end: u64, op: &str) -> Made {
    Made { trace, id, parent, start, end, op: op.to_owned(), tags: Vec::new() }
}

impl Made {
    pub fn tag(mut self, key: &str, value: impl Into<V>) -> Made {
        self.tags.push((key.to_owned(), value.into()));
        self
    }
}

fn tags(list: &[(String, V)]) -> Vec<Tag<'_>> {
    list.iter()
        .map(|(key, value)| Tag {
            key: Text::Bytes(key.as_bytes()),
            value: match value {
                V::S(text) => {
                    TagValue::Str { text: Text::Bytes(text.as_bytes()), truncated: false }
                }
                V::I(number) => TagValue::I64(*number),
                V::F(number) => TagValue::F64(*number),
                V::B(flag) => TagValue::Bool(*flag),
            },
        })
        .collect()
}

pub struct Feed {
    pub engine: Engine,
    pub now: UnixNanos,
    buffer: Vec<u8>,
}

impl Feed {
    pub fn new(config: EngineConfig) -> Feed {
        Feed::started(config, UnixNanos(T0))
    }

    pub fn started(config: EngineConfig, at: UnixNanos) -> Feed {
        let engine = Engine::new(config, [11, 12], at);
        Feed { engine, now: UnixNanos(T0 + 30 * SECOND), buffer: vec![0; 70_000] }
    }

    fn ingest(&mut self, len: usize) {
        let (record, _) = decode(&self.buffer[..len]).unwrap();
        self.engine.ingest(&record.unwrap(), &NoNames, self.now);
    }

    pub fn span(&mut self, made: &Made) -> &mut Self {
        let span = Span {
            trace_id: trace(made.trace),
            span_id: SpanId(made.id),
            parent_id: SpanId(made.parent),
            start: UnixNanos(T0 + made.start),
            end: UnixNanos(T0 + made.end),
            operation: Text::Bytes(made.op.as_bytes()),
        };
        let tags = tags(&made.tags);
        let fit = Encoder::new(&mut self.buffer).span(&span, tags.into_iter()).unwrap();
        self.ingest(fit.len);
        self
    }

    pub fn spans(&mut self, spans: &[Made]) -> &mut Self {
        spans.iter().for_each(|made| {
            self.span(made);
        });
        self
    }

    pub fn request_tag(&mut self, n: u64, key: &str, value: impl Into<V>) -> &mut Self {
        self.request_tag_at(n, T0, key, value)
    }

    pub fn request_tag_at(
        &mut self,
        n: u64,
        time: u64,
        key: &str,
        value: impl Into<V>,
    ) -> &mut Self {
        let list = [(key.to_owned(), value.into())];
        let request = RequestTags { trace_id: trace(n), time: UnixNanos(time) };
        let tags = tags(&list);
        let fit = Encoder::new(&mut self.buffer).request_tags(&request, tags.into_iter()).unwrap();
        self.ingest(fit.len);
        self
    }

    pub fn error(&mut self, n: u64, class: &str, message: &str, list: &[(&str, V)]) -> &mut Self {
        let list: Vec<_> =
            list.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
        let error = ErrorEvent {
            trace_id: if n == 0 { TraceId::default() } else { trace(n) },
            span_id: SpanId::NONE,
            time: UnixNanos(T0 + SECOND),
            class: Text::Bytes(class.as_bytes()),
            message: Text::Bytes(message.as_bytes()),
            backtrace: Text::Bytes(b"drive.rb:47:in `<main>'"),
        };
        let tags = tags(&list);
        let fit = Encoder::new(&mut self.buffer).error(&error, tags.into_iter()).unwrap();
        self.ingest(fit.len);
        self
    }

    pub fn gauge(&mut self, name: &str, value: f64) -> &mut Self {
        self.gauge_at(1, name, value)
    }

    pub fn gauge_at(&mut self, at: u64, name: &str, value: f64) -> &mut Self {
        let metric = Metric { time: UnixNanos(T0 + at), value, name: Text::Bytes(name.as_bytes()) };
        let fit = Encoder::new(&mut self.buffer).metric(&metric, std::iter::empty()).unwrap();
        self.ingest(fit.len);
        self
    }

    pub fn event(&mut self, kind: &str, json: &str) -> &mut Self {
        let event = AppEvent {
            time: UnixNanos(T0 + 1),
            kind: Text::Bytes(kind.as_bytes()),
            json: Text::Bytes(json.as_bytes()),
        };
        let fit = Encoder::new(&mut self.buffer).event(&event).unwrap();
        self.ingest(fit.len);
        self
    }

    /// Two drain rounds: everything rooted is complete.
    pub fn rounds(&mut self) -> &mut Self {
        self.engine.end_round(self.now);
        self.engine.end_round(self.now);
        self
    }

    /// Everything, merged into one period.
    pub fn close(&mut self) -> Period {
        self.rounds();
        let mut periods = self.engine.close_all(self.now).into_iter();
        let mut whole = periods.next().expect("something was recorded");
        periods.for_each(|period| whole.merge(period));
        whole
    }
}

pub fn feed() -> Feed {
    Feed::new(EngineConfig::default())
}

pub fn metric<'p>(
    period: &'p Period,
    scope: &str,
    bucket: &str,
    name: &str,
) -> &'p crate::engine::CallStats {
    let key =
        crate::engine::MetricKey { scope: scope.into(), bucket: bucket.into(), name: name.into() };
    period
        .metrics
        .get(&key)
        .unwrap_or_else(|| panic!("no metric {key:?} among {:#?}", period.metrics.keys()))
}
