//! Rust's tracers on the work of `ours.c`: requests of one root and fifteen children,
//! each child with a clock at both ends, under a static name, without attributes or with two.
//!
//!     scoutcore-tracing-peers ROW REQUESTS
//!
//! Prints nanoseconds a span on the recording thread, in the middle one of all bursts, and of CPU in the whole process, the peers'
//! collector threads included; exporters do nothing with what they get.

use std::time::Instant;

const CHILDREN: usize = 15;
/// Spans a burst, and the pause after it, so that no queue overflows: as the C driver does it.
const BURST: usize = 64;
const PAUSE_US: u64 = 1000;

fn cpu_ns() -> u64 {
    // SAFETY: zeroes are a valid value.
    let mut usage = unsafe { std::mem::zeroed::<libc::rusage>() };
    // SAFETY: `usage` is writable.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let ns = |t: libc::timeval| t.tv_sec as u64 * 1_000_000_000 + t.tv_usec as u64 * 1_000;
    ns(usage.ru_utime) + ns(usage.ru_stime)
}

/// Runs requests in bursts; prints both figures.
fn measure(requests: usize, mut request: impl FnMut(), finish: impl FnOnce()) {
    // As the C driver does, until every page that is used was touched once.
    for _ in 0..requests / BURST {
        (0..BURST).for_each(|_| request());
        std::thread::sleep(std::time::Duration::from_micros(PAUSE_US));
    }
    let before = cpu_ns();
    let mut took = Vec::new();
    let mut done = 0;
    while done < requests {
        let start = Instant::now();
        for _ in 0..BURST {
            request();
        }
        took.push(start.elapsed().as_nanos());
        done += BURST;
        std::thread::sleep(std::time::Duration::from_micros(PAUSE_US));
    }
    finish();
    let spans = (done * (CHILDREN + 1)) as f64;
    // The middle one: a burst in which the thread was not running says nothing of the call.
    took.sort_unstable();
    let wall = took[took.len() / 2] as f64 / (BURST * (CHILDREN + 1)) as f64;
    println!("{wall:.2} {:.2}", (cpu_ns() - before) as f64 / spans);
}

mod fast {
    use super::{CHILDREN, measure};
    use fastrace::collector::{Config, Reporter, SpanRecord};
    use fastrace::prelude::*;

    struct Nothing;
    impl Reporter for Nothing {
        fn report(&mut self, spans: Vec<SpanRecord>) {
            std::hint::black_box(spans);
        }
    }

    pub fn run(requests: usize, tags: bool) {
        fastrace::set_reporter(Nothing, Config::default());
        measure(
            requests,
            || {
                let root = Span::root("Controller/users/show", SpanContext::random());
                let _parent = root.set_local_parent();
                for _ in 0..CHILDREN {
                    let span = LocalSpan::enter_with_local_parent("SQL/Query");
                    if tags {
                        let _span = span.with_properties(|| {
                            [("db.system", "postgresql"), ("cache.result", "revalidate")]
                        });
                    }
                }
            },
            fastrace::flush,
        );
    }
}

mod otel {
    use super::{CHILDREN, measure};
    use opentelemetry::trace::{Span, TraceContextExt, Tracer, TracerProvider};
    use opentelemetry::{Context, KeyValue};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

    #[derive(Debug)]
    struct Nothing;
    impl SpanExporter for Nothing {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            std::hint::black_box(batch);
            Ok(())
        }
    }

    fn provider() -> SdkTracerProvider {
        SdkTracerProvider::builder().with_batch_exporter(Nothing).build()
    }

    pub fn run(requests: usize, tags: bool) {
        let provider = provider();
        let tracer = provider.tracer("bench");
        measure(
            requests,
            || {
                let root = tracer.start("Controller/users/show");
                let context = Context::new().with_span(root);
                for _ in 0..CHILDREN {
                    let mut builder = tracer.span_builder("SQL/Query");
                    if tags {
                        builder = builder.with_attributes([
                            KeyValue::new("db.system", "postgresql"),
                            KeyValue::new("cache.result", "revalidate"),
                        ]);
                    }
                    builder.start_with_context(&tracer, &context).end();
                }
            },
            || {
                let _ = provider.force_flush();
            },
        );
    }

    pub fn tracing(requests: usize, tags: bool) {
        use tracing_subscriber::layer::SubscriberExt;
        let provider = provider();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        measure(
            requests,
            || {
                let _root = tracing::info_span!("Controller/users/show").entered();
                for _ in 0..CHILDREN {
                    if tags {
                        let system = "postgresql";
                        let result = "revalidate";
                        let _span = tracing::info_span!(
                            "SQL/Query",
                            db.system = system,
                            cache.result = result
                        )
                        .entered();
                    } else {
                        let _span = tracing::info_span!("SQL/Query").entered();
                    }
                }
            },
            || {
                let _ = provider.force_flush();
            },
        );
    }
}

mod sentry {
    use super::{CHILDREN, measure};
    use sentry_core::{ClientOptions, Envelope, Hub, TransactionContext, Transport};
    use std::sync::Arc;

    struct Nothing;
    impl Transport for Nothing {
        fn send_envelope(&self, envelope: Envelope) {
            std::hint::black_box(envelope);
        }
    }

    pub fn run(requests: usize, tags: bool) {
        let mut options = ClientOptions::default().traces_sample_rate(1.0);
        options.dsn = "https://public@localhost/1".parse().ok();
        options.transport =
            Some(Arc::new(|_: &ClientOptions| Arc::new(Nothing) as Arc<dyn Transport>));
        Hub::current().bind_client(Some(Arc::new(options.into())));
        measure(
            requests,
            || {
                let context = TransactionContext::new("Controller/users/show", "http.server");
                let root = sentry_core::start_transaction(context);
                for _ in 0..CHILDREN {
                    let span = root.start_child("SQL/Query", "");
                    if tags {
                        span.set_data("db.system", "postgresql".into());
                        span.set_data("cache.result", "revalidate".into());
                    }
                    span.finish();
                }
                root.finish();
            },
            || {},
        );
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let row = arguments.next().unwrap();
    let requests: usize = arguments.next().unwrap().parse().unwrap();
    let (peer, tags) = row.split_once('+').map_or((row.as_str(), false), |(peer, _)| (peer, true));
    match peer {
        "fastrace" => fast::run(requests, tags),
        "opentelemetry" => otel::run(requests, tags),
        "tracing" => otel::tracing(requests, tags),
        "sentry" => sentry::run(requests, tags),
        _ => std::process::exit(2),
    }
}
