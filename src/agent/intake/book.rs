use super::counters::Counters;
use super::draft::{Already, Draft};
use super::ids::Ids;
use crate::model::UnixNanos;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;

/// After this, a request that was not finished is closed, in nanoseconds.
pub(super) const MAX_AGE: u64 = 600_000_000_000;
/// The most open requests of one application.
pub(super) const MAX_OPEN: usize = 10_000;
/// The most bytes in one application's open requests.
pub(super) const MAX_OPEN_BYTES: usize = 64 << 20;

/// The open requests of one application, whichever connections their commands come through.
#[derive(Debug)]
pub(super) struct Book {
    ids: Ids,
    drafts: HashMap<u128, Draft, BuildHasherDefault<Already>>,
    /// Requests by age. May name some that are finished already.
    by_age: VecDeque<(u128, u64)>,
    bytes: usize,
    opened: u64,
}

impl Book {
    pub(super) fn new(ids: Ids) -> Book {
        Book { ids, drafts: HashMap::default(), by_age: VecDeque::new(), bytes: 0, opened: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.drafts.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes a request, which is opened if it is new.
    pub(super) fn edit<R>(
        &mut self,
        request_id: &str,
        now: UnixNanos,
        edit: impl FnOnce(&mut Draft, Ids) -> R,
    ) -> R {
        let key = self.ids.request(request_id);
        let ids = self.ids;
        let draft = self.drafts.entry(key).or_insert_with(|| {
            self.opened += 1;
            self.by_age.push_back((key, now.0));
            let draft = Draft::new(ids.trace(key, self.opened), request_id, now);
            self.bytes += draft.bytes();
            draft
        });
        let before = draft.bytes();
        let result = edit(draft, ids);
        self.bytes = (self.bytes + draft.bytes()).saturating_sub(before);
        result
    }

    /// Takes a finished request out.
    pub(super) fn finish(&mut self, request_id: &str) -> Option<Draft> {
        let draft = self.take(self.ids.request(request_id));
        // The order by age holds finished requests, too: not many more than open ones.
        if self.by_age.len() > 2 * self.drafts.len() + 1024 {
            let drafts = &self.drafts;
            self.by_age.retain(|(key, opened)| {
                drafts.get(key).is_some_and(|draft| draft.opened.0 == *opened)
            });
        }
        draft
    }

    fn take(&mut self, key: u128) -> Option<Draft> {
        let draft = self.drafts.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(draft.bytes());
        Some(draft)
    }

    fn oldest(&mut self) -> Option<(u128, u64)> {
        while let Some((key, opened)) = self.by_age.front().copied() {
            if self.drafts.get(&key).is_some_and(|draft| draft.opened.0 == opened) {
                return Some((key, opened));
            }
            self.by_age.pop_front();
        }
        None
    }

    /// Takes out the oldest requests while there are too many, or too much in them.
    pub(super) fn over_limit(&mut self, bytes: usize, counters: &Counters) -> Vec<Draft> {
        let mut out = Vec::new();
        while self.drafts.len() > MAX_OPEN || self.bytes > bytes {
            let Some((key, _)) = self.oldest() else { break };
            counters.requests_closed_by_limit.add(1);
            out.extend(self.take(key));
        }
        out
    }

    /// Takes out the requests that are too old.
    pub(super) fn expired(&mut self, now: UnixNanos, counters: &Counters) -> Vec<Draft> {
        let mut out = Vec::new();
        while let Some((key, opened)) = self.oldest() {
            if now.0.saturating_sub(opened) <= MAX_AGE {
                break;
            }
            counters.requests_expired.add(1);
            out.extend(self.take(key));
        }
        out
    }

    /// Takes out everything.
    pub(super) fn all(&mut self) -> Vec<Draft> {
        self.by_age.clear();
        self.bytes = 0;
        self.drafts.drain().map(|(_, draft)| draft).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::protocol::Scalar;

    fn tag(book: &mut Book, id: &str, now: u64, bytes: usize) {
        let value = Scalar::Text("x".repeat(bytes).into());
        book.edit(id, UnixNanos(now), |draft, _| {
            draft.tag_request("k", &value, UnixNanos(now)).unwrap();
        });
    }

    #[test]
    fn requests_come_together_and_go() {
        let counters = Counters::default();
        let mut book = Book::new(Ids::of([1, 2], "k", "n"));
        tag(&mut book, "a", 1, 10);
        tag(&mut book, "b", 2, 10);
        tag(&mut book, "a", 3, 10);
        assert_eq!(book.len(), 2);
        assert_eq!(book.finish("a").unwrap().request_tags().count(), 2);
        assert!(book.finish("a").is_none());
        tag(&mut book, "a", MAX_AGE, 10);
        let expired = book.expired(UnixNanos(MAX_AGE + 3), &counters);
        assert_eq!(expired.len(), 1);
        assert_eq!(expired[0].request_id, "b");
        assert_eq!(book.all().len(), 1);
        assert_eq!((book.len(), book.bytes()), (0, 0));
    }

    #[test]
    fn too_much_closes_the_oldest() {
        let counters = Counters::default();
        let mut book = Book::new(Ids::of([1, 2], "k", "n"));
        for n in 0..MAX_OPEN + 5 {
            tag(&mut book, &n.to_string(), n as u64, 10);
        }
        assert_eq!(book.over_limit(MAX_OPEN_BYTES, &counters).len(), 5);
        assert_eq!(book.len(), MAX_OPEN);
        for n in 0..5000 {
            tag(&mut book, &format!("big{n}"), 99_999, 16_000);
        }
        assert!(book.bytes() > MAX_OPEN_BYTES);
        assert!(!book.over_limit(MAX_OPEN_BYTES, &counters).is_empty());
        assert!(book.bytes() <= MAX_OPEN_BYTES);
        for n in 0..200_000 {
            let id = n.to_string();
            tag(&mut book, &id, 100_000, 0);
            book.finish(&id);
        }
        assert!(book.by_age.len() < 3 * MAX_OPEN + 1024, "{}", book.by_age.len());
        book.all();
        assert_eq!(book.bytes(), 0);
    }
}
