use super::draft::{Draft, SpanDraft};
use crate::model::SpanId;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// Which of a request's spans is its root, and which others hang on it.
///
/// A request has one root. With exactly one span that names no parent, it is that one. With
/// several, or none, it is the first `Controller/` or `Job/` among the candidates, or else the
/// longest: no span is invented, since it would be counted as work that nobody did. The other
/// candidates become the root's children, and so do spans whose parent never came (agents drop
/// spans that they ignore, but not their children).
pub(super) struct Roots {
    /// The root's place among the spans.
    pub(super) root: usize,
    /// Spans that hang on the root though they name no parent, or one that is not there.
    pub(super) attached: HashSet<u64>,
}

pub(super) fn find(draft: &Draft) -> Option<Roots> {
    let spans = &draft.spans;
    let started = || spans.iter().enumerate().filter(|(_, span)| span.start.is_some());
    let parents: HashMap<u64, SpanId> =
        started().map(|(_, span)| (span.id.0, span.parent)).collect();
    let is_loose = |span: &SpanDraft| {
        span.parent.is_none() || span.parent == span.id || !parents.contains_key(&span.parent.0)
    };
    let mut roots = started().filter(|(_, span)| span.parent.is_none());
    let only = match (roots.next(), roots.next()) {
        (Some((at, _)), None) => Some(at),
        (Some(_), Some(_)) => best(draft, started().filter(|(_, span)| span.parent.is_none())),
        (None, _) => best(draft, started().filter(|(_, span)| is_loose(span))),
    };
    // With none at all, the spans are each other's parents: the engine opens the ring there.
    let root = only.or_else(|| best(draft, started()))?;
    let attached = started()
        .filter(|(at, span)| *at != root && is_loose(span))
        .map(|(_, span)| span.id.0)
        .collect();
    Some(Roots { root, attached })
}

fn best<'d>(
    draft: &'d Draft,
    candidates: impl Iterator<Item = (usize, &'d SpanDraft)> + Clone,
) -> Option<usize> {
    let is_scope = |span: &SpanDraft| {
        let operation = draft.operation(span);
        operation.starts_with(b"Controller/") || operation.starts_with(b"Job/")
    };
    let length = |span: &SpanDraft| {
        let start = span.start.unwrap_or_default();
        span.stop.map_or(draft.latest, |stop| stop.at).since(start)
    };
    candidates
        .clone()
        .filter(|(_, span)| is_scope(span))
        .min_by_key(|(at, span)| (span.start, *at))
        .or_else(|| candidates.min_by_key(|(at, span)| (Reverse(length(span)), span.start, *at)))
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::intake::draft::Stop;
    use crate::model::{TraceId, UnixNanos};

    fn roots(spans: &[(u64, u64, &str, u64, u64)]) -> Option<(usize, usize)> {
        let mut draft = Draft::new(TraceId([1; 16]), "r", UnixNanos(0));
        for (id, parent, operation, start, stop) in spans {
            let id = SpanId(*id);
            draft.start_span(id, SpanId(*parent), operation, UnixNanos(*start)).unwrap();
            draft.stop_span(id, Stop { at: UnixNanos(*stop), said: true }).unwrap();
        }
        find(&draft).map(|roots| (roots.root, roots.attached.len()))
    }

    #[test]
    fn one_root_whatever_comes() {
        assert_eq!(roots(&[]), None);
        let child_first = [(2, 1, "SQL/Query", 1, 2), (1, 0, "Middleware", 0, 9)];
        assert_eq!(roots(&child_first), Some((1, 0)), "the only one without a parent");
        let several = [
            (1, 0, "Middleware", 0, 9),
            (2, 0, "Controller/b", 2, 3),
            (3, 0, "Controller/a", 1, 3),
            (4, 77, "SQL/Query", 1, 2),
        ];
        assert_eq!(roots(&several), Some((2, 3)), "the first scope");
        let no_scope = [(1, 0, "Custom/a", 0, 1), (2, 0, "Custom/b", 1, 9)];
        assert_eq!(roots(&no_scope), Some((1, 1)), "the longest");
        let orphans = [(1, 9, "SQL/Query", 0, 5), (2, 8, "Job/x", 3, 4)];
        assert_eq!(roots(&orphans), Some((1, 1)));
        let ring = [(1, 2, "SQL/Query", 0, 5), (2, 1, "Job/x", 3, 4), (3, 3, "Custom/x", 0, 9)];
        assert_eq!(roots(&ring), Some((2, 0)), "its own parent is none");
        let ring = [(1, 2, "SQL/Query", 0, 5), (2, 1, "Job/x", 3, 4)];
        assert_eq!(roots(&ring), Some((1, 0)));
    }
}
