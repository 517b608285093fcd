use super::counters::Counters;
use super::draft::{Already, Draft, Full};
use super::edit::Edit;
use super::ids::Ids;
use super::journal::{Journal, Kind, NotKept};
use super::left::{self, Left};
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
///
/// What a frame leaves open is kept in the journal before the frame is answered. Most frames leave
/// nothing open: so it is looked at once all of a frame is done.
#[derive(Debug)]
pub(super) struct Book {
    ids: Ids,
    drafts: HashMap<u128, Open, BuildHasherDefault<Already>>,
    /// Requests by age. May name some that are finished already.
    by_age: VecDeque<(u128, u64)>,
    bytes: usize,
    opened: u64,
    journal: Journal,
    /// The number of the frame that is being done.
    frame: u64,
    /// Open requests that it has changed.
    changed: usize,
}

/// A request that is not finished.
#[derive(Debug)]
struct Open {
    draft: Draft,
    /// The latest frame that has changed it, and its first part there.
    frame: u64,
    since_part: usize,
}

impl Book {
    /// Goes on with what a journal holds: requests that were finished already are given back.
    pub(super) fn new(ids: Ids, journal: Journal) -> (Book, Vec<Left>) {
        let mut book = Book {
            ids,
            drafts: HashMap::default(),
            by_age: VecDeque::new(),
            bytes: 0,
            opened: 0,
            journal,
            // Zero is that of requests that no frame of ours has changed.
            frame: 1,
            changed: 0,
        };
        let (open, left) = left::read(&book.journal, ids);
        for draft in open {
            let key = ids.request(&draft.request_id);
            book.bytes += draft.bytes();
            book.by_age.push_back((key, draft.opened.0));
            book.drafts.insert(key, Open { draft, frame: 0, since_part: 0 });
        }
        (book, left)
    }

    pub(super) fn len(&self) -> usize {
        self.drafts.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Another frame begins.
    pub(super) fn begin_frame(&mut self) {
        self.frame += 1;
        self.changed = 0;
    }

    /// Changes a request, which is opened if it is new. `part` counts the parts of a frame.
    pub(super) fn edit(
        &mut self,
        request_id: &str,
        now: UnixNanos,
        part: usize,
        edit: &Edit<'_>,
    ) -> Result<(), Full> {
        let key = self.ids.request(request_id);
        let ids = self.ids;
        let frame = self.frame;
        let open = self.drafts.entry(key).or_insert_with(|| {
            self.opened += 1;
            self.by_age.push_back((key, now.0));
            let draft = Draft::new(ids.trace(key, self.opened), request_id, now);
            self.bytes += draft.bytes();
            Open { draft, frame: 0, since_part: 0 }
        });
        if open.frame != frame {
            (open.frame, open.since_part) = (frame, part);
            self.changed += 1;
        }
        let before = open.draft.bytes();
        let result = edit.make(&mut open.draft, ids);
        self.bytes = (self.bytes + open.draft.bytes()).saturating_sub(before);
        result
    }

    /// Whether the frame has changed requests that are still open.
    pub(super) fn is_to_be_kept(&self) -> bool {
        self.changed > 0
    }

    /// Keeps a change that this frame has made, if its request is still open.
    pub(super) fn keep(
        &mut self,
        request_id: &str,
        now: UnixNanos,
        part: usize,
        edit: &Edit<'_>,
    ) -> Result<(), NotKept> {
        let Some(open) = self.drafts.get_mut(&self.ids.request(request_id)) else { return Ok(()) };
        // What came before belongs to another of the same name, which was finished in between.
        if open.frame != self.frame || part < open.since_part {
            return Ok(());
        }
        let number = match open.draft.kept {
            Some(number) => number,
            None => {
                let number = self.journal.number();
                self.journal.keep(Kind::Open, number, |out| {
                    left::write_open(out, now, &open.draft.request_id);
                })?;
                open.draft.kept = Some(number);
                number
            }
        };
        self.journal.keep(Kind::Edit, number, |out| edit.encode(out))
    }

    /// A request that was taken out is safe elsewhere, or lost and counted.
    pub(super) fn done(&mut self, draft: &Draft) {
        if let Some(number) = draft.kept {
            self.journal.done(number);
        }
    }

    /// No more will come: nothing is left behind if nothing is open.
    pub(super) fn close(&mut self) {
        self.journal.close();
    }

    /// Takes a finished request out.
    pub(super) fn finish(&mut self, request_id: &str, at: UnixNanos) -> Option<Draft> {
        let draft = self.take(self.ids.request(request_id), Some(at));
        // The order by age holds finished requests, too: not many more than open ones.
        if self.by_age.len() > 2 * self.drafts.len() + 1024 {
            let drafts = &self.drafts;
            self.by_age.retain(|(key, opened)| {
                drafts.get(key).is_some_and(|open| open.draft.opened.0 == *opened)
            });
        }
        draft
    }

    /// The caller hands it on, and then says [`Book::done`].
    fn take(&mut self, key: u128, at: Option<UnixNanos>) -> Option<Draft> {
        let Open { draft, frame, .. } = self.drafts.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(draft.bytes());
        self.changed = self.changed.saturating_sub(usize::from(frame == self.frame));
        if let Some(number) = draft.kept {
            // Where that cannot be kept, it is still known to be open, and comes back as such.
            let _ = self.journal.keep(Kind::Finished, number, |out| {
                left::write_finished(out, draft.trace, at);
            });
        }
        Some(draft)
    }

    fn oldest(&mut self) -> Option<(u128, u64)> {
        while let Some((key, opened)) = self.by_age.front().copied() {
            if self.drafts.get(&key).is_some_and(|open| open.draft.opened.0 == opened) {
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
            out.extend(self.take(key, None));
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
            out.extend(self.take(key, None));
        }
        out
    }

    /// Takes out everything.
    pub(super) fn all(&mut self) -> Vec<Draft> {
        self.by_age.clear();
        let keys: Vec<u128> = self.drafts.keys().copied().collect();
        keys.into_iter().filter_map(|key| self.take(key, None)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::intake::edit::What;
    use crate::agent::protocol::Scalar;

    fn new() -> Book {
        let (book, left) = Book::new(Ids::of([1, 2], "k", "n"), Journal::open(None, "n"));
        assert!(left.is_empty());
        book
    }

    fn tag(book: &mut Book, id: &str, now: u64, bytes: usize) {
        let value = Scalar::Text("x".repeat(bytes).into());
        let what = What::TagRequest { tag: "k".into(), value };
        let edit = Edit { time: UnixNanos(now), what };
        book.begin_frame();
        book.edit(id, UnixNanos(now), 0, &edit).unwrap();
    }

    #[test]
    fn requests_come_together_and_go() {
        let counters = Counters::default();
        let mut book = new();
        tag(&mut book, "a", 1, 10);
        tag(&mut book, "b", 2, 10);
        tag(&mut book, "a", 3, 10);
        assert_eq!(book.len(), 2);
        assert_eq!(book.finish("a", UnixNanos(9)).unwrap().request_tags().count(), 2);
        assert!(book.finish("a", UnixNanos(9)).is_none());
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
        let mut book = new();
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
            book.finish(&id, UnixNanos(9));
        }
        assert!(book.by_age.len() < 3 * MAX_OPEN + 1024, "{}", book.by_age.len());
        book.all();
        assert_eq!(book.bytes(), 0);
    }
}
