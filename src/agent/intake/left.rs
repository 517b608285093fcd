//! What an agent that was killed has left of requests: open ones, and those about to be handed on.

use super::draft::Draft;
use super::edit::Edit;
use super::ids::Ids;
use super::journal::{Journal, Kind};
use crate::model::{TraceId, UnixNanos};
use crate::record::Record;
use std::collections::HashMap;

/// A request that was finished, and may be handed on in part, or in full.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) draft: Draft,
    /// The trace id that it was handed on under.
    trace: TraceId,
    pub(super) at: Option<UnixNanos>,
    /// `None` until it was looked for.
    pub(super) progress: Option<Progress>,
}

impl Left {
    /// Whether nothing is left to be done: a root comes last.
    pub(super) fn is_handed_on(&self) -> bool {
        self.progress.is_some_and(|progress| progress.root)
    }
}

/// How much of a request its core has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) tags: usize,
    pub(super) spans: usize,
    pub(super) root: bool,
}

pub(super) fn write_open(out: &mut Vec<u8>, opened: UnixNanos, request_id: &str) {
    out.extend_from_slice(&opened.0.to_le_bytes());
    out.extend_from_slice(request_id.as_bytes());
}

pub(super) fn write_finished(out: &mut Vec<u8>, trace: TraceId, at: Option<UnixNanos>) {
    out.extend_from_slice(&trace.0);
    out.extend_from_slice(&at.unwrap_or_default().0.to_le_bytes());
}

fn read_open(payload: &[u8]) -> Option<(UnixNanos, &str)> {
    let (opened, request_id) = payload.split_first_chunk()?;
    Some((UnixNanos(u64::from_le_bytes(*opened)), str::from_utf8(request_id).ok()?))
}

fn read_finished(payload: &[u8]) -> Option<(TraceId, Option<UnixNanos>)> {
    let (trace, rest) = payload.split_first_chunk()?;
    let at = UnixNanos(u64::from_le_bytes(*rest.first_chunk()?));
    Some((TraceId(*trace), Some(at).filter(|at| at.0 != 0)))
}

/// The requests in a journal: those still open, in the order in which they were opened, and those
/// that were finished.
pub(super) fn read(journal: &Journal, ids: Ids) -> (Vec<Draft>, Vec<Left>) {
    let mut drafts: HashMap<u64, Draft> = HashMap::new();
    let mut finished: HashMap<u64, (TraceId, Option<UnixNanos>)> = HashMap::new();
    for entry in journal.entries() {
        match entry.kind {
            Kind::Open => {
                let Some((opened, request_id)) = read_open(entry.payload) else { continue };
                // A number of its own, far from those of requests still to come.
                let trace = ids.trace(ids.request(request_id), u64::MAX - entry.number);
                let mut draft = Draft::new(trace, request_id, opened);
                draft.kept = Some(entry.number);
                drafts.insert(entry.number, draft);
            }
            Kind::Edit => {
                let draft = drafts.get_mut(&entry.number);
                if let (Some(draft), Some(edit)) = (draft, Edit::decode(entry.payload)) {
                    // What was over a bound then is over it now.
                    let _ = edit.make(draft, ids);
                }
            }
            Kind::Finished => {
                finished.extend(read_finished(entry.payload).map(|end| (entry.number, end)));
            }
            Kind::Done => {}
        }
    }
    let mut all: Vec<(u64, Draft)> = drafts.into_iter().collect();
    all.sort_by_key(|(number, _)| *number);
    let (mut open, mut left) = (Vec::new(), Vec::new());
    for (number, draft) in all {
        match finished.get(&number) {
            None => open.push(draft),
            Some((trace, at)) => {
                left.push(Left { draft, trace: *trace, at: *at, progress: None });
            }
        }
    }
    (open, left)
}

/// Notes a record that the dead agent's core had accepted.
pub(super) fn note_record(left: &mut [Left], record: &Record<'_>) {
    let (trace, found) = match record {
        Record::Span(span, _) => {
            (span.trace_id, Progress { spans: 1, root: span.parent_id.is_none(), tags: 0 })
        }
        Record::RequestTags(request, tags) => {
            (request.trace_id, Progress { tags: tags.count(), ..Progress::default() })
        }
        _ => return,
    };
    if let Some(left) = left.iter_mut().find(|left| left.trace == trace) {
        let so_far = left.progress.get_or_insert_default();
        so_far.tags += found.tags;
        so_far.spans += found.spans;
        so_far.root |= found.root;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::intake::edit::What;
    use crate::model::{SpanId, UnixNanos};
    use crate::record::{Span, Text};
    use crate::sys::dir::{Dir, Trust};

    fn keep(journal: &mut Journal, name: &str, opened: u64) -> u64 {
        let number = journal.number();
        journal.keep(Kind::Open, number, |out| write_open(out, UnixNanos(opened), name)).unwrap();
        let what = What::StartSpan { span: "s".into(), parent: "".into(), operation: "x".into() };
        let edit = Edit { time: UnixNanos(opened + 5), what };
        journal.keep(Kind::Edit, number, |out| edit.encode(out)).unwrap();
        number
    }

    fn span(trace: u8, parent: u64) -> Span<'static> {
        Span {
            trace_id: TraceId([trace; 16]),
            span_id: SpanId(9),
            parent_id: SpanId(parent),
            start: UnixNanos(0),
            end: UnixNanos(1),
            operation: Text::Bytes(b"x"),
        }
    }

    fn note(left: &mut [Left], span: &Span<'_>) {
        let mut bytes = [0; 256];
        crate::record::Encoder::new(&mut bytes).span(span, std::iter::empty()).unwrap();
        note_record(left, &crate::record::decode(&bytes).unwrap().0.unwrap());
    }

    #[test]
    fn open_ones_and_those_half_handed_on() {
        let path = std::env::temp_dir().join(format!("scout-left-{}", std::process::id()));
        let dir = Dir::create(&path, Trust::Given).unwrap();
        let mut journal = Journal::open(Some(&dir), "shop");
        let numbers: Vec<u64> =
            ["a", "b", "c", "d"].iter().map(|name| keep(&mut journal, name, 7)).collect();
        for (number, at) in [(numbers[1], Some(UnixNanos(99))), (numbers[2], None)] {
            let trace = TraceId([number as u8; 16]);
            journal.keep(Kind::Finished, number, |out| write_finished(out, trace, at)).unwrap();
        }
        journal.done(numbers[3]);
        drop(journal);
        let journal = Journal::open(Some(&dir), "shop");
        let (open, mut left) = read(&journal, Ids::of([1, 2], "k", "n"));
        let names = |drafts: &[Draft]| -> Vec<String> {
            drafts.iter().map(|draft| draft.request_id.clone()).collect()
        };
        assert_eq!(names(&open), ["a"]);
        assert_eq!(
            (open[0].opened, open[0].latest, open[0].spans.len()),
            (UnixNanos(7), UnixNanos(12), 1)
        );
        let ends: Vec<_> =
            left.iter().map(|left| (left.draft.request_id.as_str(), left.at)).collect();
        assert_eq!(ends, [("b", Some(UnixNanos(99))), ("c", None)]);
        note(&mut left, &span(numbers[1] as u8, 3));
        note(&mut left, &span(numbers[2] as u8, 3));
        note(&mut left, &span(numbers[2] as u8, 0));
        note(&mut left, &span(200, 0));
        assert_eq!(left[0].progress, Some(Progress { tags: 0, spans: 1, root: false }));
        assert!(!left[0].is_handed_on() && left[1].is_handed_on());
        std::fs::remove_dir_all(path).unwrap();
    }
}
