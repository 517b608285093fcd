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
