//! What the fuzz targets beside `sql` do with their bytes: shared by libFuzzer and by `tests/fuzz_smoke.rs`.

use scoutcore::agent::protocol;
use scoutcore::config::{Environment, Settings};
use scoutcore::engine::{Engine, EngineConfig, Period};
use scoutcore::model::{NameId, UnixNanos};
use scoutcore::payload::{Metadata, checkin, errors, server_load};
use scoutcore::record::{Names, Record, decode, validate};
use scoutcore::spool::{self, Parcel};

const NOW: UnixNanos = UnixNanos(1_795_000_050_000_000_000);

struct NoNames;

impl Names for NoNames {
    fn name(&self, _: NameId) -> Option<&str> {
        None
    }
}

/// `scout_record_batch`: what is valid is analysed and rendered, whatever it says.
pub fn record(data: &[u8]) {
    let mut engine = Engine::new(EngineConfig::default(), [1, 2], NOW);
    let mut rest = data;
    while !rest.is_empty() {
        let Ok(len) = validate(rest, NameId(3)) else { break };
        assert!(len >= 8 && len <= rest.len(), "a valid record is within its bytes");
        if let Ok((Some(record), same)) = decode(rest) {
            assert_eq!(len, same);
            if let Record::Span(_, tags) | Record::RequestTags(_, tags) = &record {
                assert_eq!((*tags).count(), tags.len(), "every tag of a valid record can be read");
            }
            engine.ingest(&record, &NoNames, NOW);
        }
        rest = &rest[len..];
    }
    // A segment's rest after a crash is read without having been validated.
    if let Ok((Some(record), _)) = decode(rest) {
        engine.ingest(&record, &NoNames, NOW);
    }
    engine.end_round(NOW);
    engine.end_round(NOW);
    let periods = engine.close_all(NOW);
    let stats = engine.stats();
    assert_eq!(
        stats.spans,
        stats.spans_counted
            + stats.spans_without_scope
            + stats.spans_ignored
            + stats.spans_sampled_out
            + stats.open_spans,
        "every span is accounted for"
    );
    periods.into_iter().for_each(render);
}

fn render(period: Period) {
    let metadata = Metadata::default();
    let rendered = [
        Some(checkin(&period, &metadata)),
        errors(&period, &metadata),
        server_load(&period, &metadata),
    ];
    for json in rendered.into_iter().flatten() {
        serde_json::from_slice::<serde_json::Value>(&json).expect("a payload is JSON");
    }
}

/// The options of `scout_start`: settings, or a message that says what is wrong.
pub fn options(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Settings::read(text, &Environment::of(&[])) {
        Ok(settings) => {
            for (key, _) in settings.iter() {
                let _ = settings.text(key.name);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A file of the spool: its frame, and what is in it.
pub fn spool(data: &[u8]) {
    let framed = spool::frame(data);
    assert_eq!(spool::unframe(&framed).ok(), Some(data), "what was framed comes back");
    // One bit anywhere, chosen by the bytes themselves.
    if let Some(first) = data.first() {
        let mut broken = framed;
        let bit = (usize::from(*first) * 31 + data.len() * 7) % (broken.len() * 8);
        broken[bit / 8] ^= 1 << (bit % 8);
        assert!(spool::unframe(&broken).is_err(), "a flipped bit is seen");
    }
    let _ = spool::unframe(data);
    if let Ok(mut period) = serde_json::from_slice::<Period>(data) {
        period.merge(period.clone());
        render(period);
    }
    if let Ok(parcel) = serde_json::from_slice::<Parcel>(data) {
        let again = serde_json::to_vec(&parcel).expect("a parcel is JSON");
        assert_eq!(serde_json::from_slice::<Parcel>(&again).ok(), Some(parcel));
    }
}

/// What a client of the core agent sends.
pub fn protocol(data: &[u8]) {
    let body = match protocol::next_frame(data) {
        protocol::Frame::Whole(body, took) => {
            assert_eq!(took, body.len() + 4);
            body
        }
        _ => data,
    };
    let text = protocol::clean(body);
    let _ = protocol::scalar(&text);
    let _ = protocol::parse_timestamp(&text);
    let mut reply = Vec::new();
    match protocol::parse(&text) {
        Ok((command, fields)) => {
            let _ = fields.time();
            let _ = protocol::batch(fields.commands, |_| {});
            protocol::Reply::Success(command.name()).write(&mut reply);
        }
        Err(protocol::Unreadable(why)) => protocol::Reply::Protocol(why).write(&mut reply),
    }
    let protocol::Frame::Whole(body, _) = protocol::next_frame(&reply) else {
        panic!("half a reply")
    };
    serde_json::from_slice::<serde_json::Value>(body).expect("a reply is JSON");
}
