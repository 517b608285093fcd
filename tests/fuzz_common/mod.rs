//! What the fuzz targets beside `sql` do with their bytes: shared by libFuzzer and by `tests/fuzz_smoke.rs`.

use scoutcore::agent::protocol;
use scoutcore::config::{Environment, Settings};
use scoutcore::engine::{Engine, EngineConfig, Period};
use scoutcore::model::{NameId, UnixNanos};
use scoutcore::payload::{Metadata, checkin, errors, server_load};
use scoutcore::record::{Names, Record, decode, validate};
use scoutcore::recorder::{Adopted, Gaps, Recovered, SUFFIX, SegmentFile};
use scoutcore::spool::{self, Parcel};
use scoutcore::sys::dir::{Dir, Trust};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::LazyLock;

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
    close(engine);
}

/// Ends an engine: every span is accounted for, and what is delivered is JSON.
fn close(mut engine: Engine) {
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

/// A segment file that a dead process left: what is found in it is analysed, and once that is
/// committed, nothing is found any more.
///
/// The bytes: a flag whether the file's head follows as it is (32 bytes) or only its last
/// checkpoint's number (4 bytes); then, for each segment, its head's fields and its records with
/// their length before them.
pub fn segments(data: &[u8]) {
    let dir = Dir::create(&PLACE, Trust::Private).expect("our own folder");
    if segment_file(data).expect("a file in it").is_some() {
        recover(dir);
    }
    let _ = std::fs::remove_dir_all(&*PLACE);
}

fn recover(dir: Dir) {
    let adopted =
        SegmentFile::adopt(dir, NAME.clone(), Gaps::Refused).expect("a file that can be read");
    let Adopted::File(file) = adopted else { return };
    let mut engine = Engine::new(EngineConfig::default(), [1, 2], NOW);
    let found = file.recover(|record, names| engine.ingest(record, names, NOW));
    let again = file.recover(|_, _| ());
    assert_eq!(again, found, "a look changes nothing");
    close(engine);
    file.commit_recovery(file.committed().saturating_add(1), found.damaged > 0);
    let Recovered { records, .. } = file.recover(|_, _| ());
    assert_eq!(records, 0, "what was recovered is not recovered again");
    file.discard();
}

static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    base.join(format!("scout-fuzz-{}", std::process::id()))
});
static NAME: LazyLock<String> = LazyLock::new(|| format!("dead{SUFFIX}"));

const PAGE: usize = 4096;
const SEGMENT: usize = 65_536;
const SEGMENTS: usize = 16;
const HEAD: usize = 128;
/// Where in a segment's head its fields lie, and their bytes: state, published, purpose, born, and
/// the two places for what checkpoints cover.
const FIELDS: [(u64, usize); 6] = [(0, 8), (8, 4), (12, 4), (68, 4), (72, 8), (80, 8)];

/// Writes the file that the bytes describe; what they leave out is a hole of zeros.
fn segment_file(data: &[u8]) -> io::Result<Option<()>> {
    let file = File::create(PLACE.join(&*NAME))?;
    file.set_len((PAGE + SEGMENTS * SEGMENT) as u64)?;
    let mut rest = data;
    let mut next = |len: usize| {
        let (head, tail) = rest.split_at_checked(len)?;
        rest = tail;
        Some(head)
    };
    let Some(flag) = next(1) else { return Ok(None) };
    let (at, len) = if flag[0] & 1 == 1 { (0, 32) } else { (16, 4) };
    let Some(head) = next(len) else { return Ok(None) };
    file.write_all_at(head, at)?;
    if let Ok(committed) = head.try_into().map(u32::from_le_bytes) {
        file.write_all_at(b"SCOUTSEG", 0)?;
        file.write_all_at(&1_u32.to_le_bytes(), 8)?;
        file.write_all_at(&(SEGMENT as u32).to_le_bytes(), 12)?;
        file.write_all_at(&(!committed).to_le_bytes(), 20)?;
    }
    for start in (0..SEGMENTS).map(|index| (PAGE + index * SEGMENT) as u64) {
        for (at, len) in FIELDS {
            let Some(field) = next(len) else { return Ok(Some(())) };
            file.write_all_at(field, start + at)?;
        }
        let Some(len) = next(2) else { break };
        let len = usize::from(u16::from_le_bytes([len[0], len[1]])).min(SEGMENT - HEAD);
        let Some(records) = next(len) else { break };
        file.write_all_at(records, start + HEAD as u64)?;
    }
    Ok(Some(()))
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
