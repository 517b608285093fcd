use super::hash::KeyedHash;
use super::operation::OpId;
use super::request::Request;
use crate::model::{Minute, TraceId, UnixNanos};
use std::collections::HashMap;

/// The requests being assembled, oldest first, and the latest completed ones.
#[derive(Debug)]
pub(crate) struct Requests {
    hash: KeyedHash,
    by_trace: HashMap<u128, u32, KeyedHash>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    open: List,
    recent: List,
    max_recent: usize,
    /// The slot last asked for: spans of one request mostly come together.
    last: u32,
    #[expect(clippy::vec_box, reason = "they move in and out of slots as they are")]
    pool: Vec<Box<Request>>,
}

#[derive(Debug)]
struct Slot {
    trace: u128,
    state: State,
    prev: u32,
    next: u32,
}

/// What a trace id stands for.
#[derive(Debug)]
pub(crate) enum State {
    Free,
    Open(Box<Request>),
    Recent(Recent),
}

/// A completed request, as far as its late spans need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recent {
    pub minute: Minute,
    pub fate: Fate,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Counted under this operation.
    Counted(OpId),
    WithoutScope,
    Ignored,
    SampledOut,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
    len: usize,
}

const NIL: u32 = u32::MAX;
const EMPTY: List = List { first: NIL, last: NIL, len: 0 };
/// Finished requests whose memory is kept for new ones.
const MAX_POOL: usize = 256;

fn key(trace: TraceId) -> u128 {
    u128::from_le_bytes(trace.0)
}

impl Requests {
    pub(crate) fn new(hash: KeyedHash, max_recent: usize) -> Self {
        Requests {
            hash,
            by_trace: HashMap::with_hasher(hash),
            slots: Vec::new(),
            free: Vec::new(),
            open: EMPTY,
            recent: EMPTY,
            max_recent,
            last: NIL,
            pool: Vec::new(),
        }
    }

    pub(crate) fn open_len(&self) -> usize {
        self.open.len
    }

    #[inline]
    pub(crate) fn find(&mut self, trace: TraceId) -> Option<u32> {
        let key = key(trace);
        if let Some(slot) = self.slots.get(self.last as usize)
            && slot.trace == key
            && !matches!(slot.state, State::Free)
        {
            return Some(self.last);
        }
        let found = *self.by_trace.get(&key)?;
        self.last = found;
        Some(found)
    }

    #[inline]
    pub(crate) fn state(&mut self, at: u32) -> Option<&mut State> {
        self.slots.get_mut(at as usize).map(|slot| &mut slot.state)
    }

    pub(crate) fn open(&mut self, trace: TraceId, now: UnixNanos) -> u32 {
        let mut request = self.pool.pop().unwrap_or_else(|| Box::new(Request::new(self.hash)));
        request.trace_id = trace;
        request.first_seen = now;
        let slot = Slot { trace: key(trace), state: State::Open(request), prev: NIL, next: NIL };
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(place) = self.slots.get_mut(at as usize) {
                    *place = slot;
                }
                at
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        self.by_trace.insert(key(trace), at);
        Self::append(&mut self.slots, &mut self.open, at);
        self.last = at;
        at
    }

    /// Takes an open request out; `recent` is what stays of it. See [`Requests::recycle`].
    pub(crate) fn close(&mut self, at: u32) -> Option<Box<Request>> {
        let slot = self.slots.get_mut(at as usize)?;
        if !matches!(slot.state, State::Open(_)) {
            return None;
        }
        let recent = Recent { minute: Minute(0), fate: Fate::WithoutScope };
        let State::Open(request) = std::mem::replace(&mut slot.state, State::Recent(recent)) else {
            return None;
        };
        Self::remove(&mut self.slots, &mut self.open, at);
        Self::append(&mut self.slots, &mut self.recent, at);
        if self.recent.len > self.max_recent {
            let oldest = self.recent.first;
            Self::remove(&mut self.slots, &mut self.recent, oldest);
            if let Some(slot) = self.slots.get_mut(oldest as usize) {
                self.by_trace.remove(&slot.trace);
                slot.state = State::Free;
                self.free.push(oldest);
            }
        }
        Some(request)
    }

    pub(crate) fn remember(&mut self, at: u32, recent: Recent) {
        if let Some(slot) = self.slots.get_mut(at as usize)
            && let State::Recent(place) = &mut slot.state
        {
            *place = recent;
        }
    }

    pub(crate) fn recycle(&mut self, mut request: Box<Request>) {
        request.clear();
        if self.pool.len() < MAX_POOL {
            self.pool.push(request);
        }
    }

    pub(crate) fn oldest_open(&self) -> Option<u32> {
        (self.open.first != NIL).then_some(self.open.first)
    }

    pub(crate) fn request(&self, at: u32) -> Option<&Request> {
        match self.slots.get(at as usize)?.state {
            State::Open(ref request) => Some(request),
            _ => None,
        }
    }

    pub(crate) fn each_open(&self) -> impl Iterator<Item = &Request> {
        let mut at = self.open.first;
        std::iter::from_fn(move || {
            let slot = self.slots.get(at as usize)?;
            at = slot.next;
            match slot.state {
                State::Open(ref request) => Some(&**request),
                _ => None,
            }
        })
    }

    /// Every operation that is referred to, for renumbering.
    pub(crate) fn each_op(&mut self, mut visit: impl FnMut(&mut OpId)) {
        for slot in &mut self.slots {
            match &mut slot.state {
                State::Free => {}
                State::Recent(recent) => {
                    if let Fate::Counted(op) = &mut recent.fate {
                        visit(op);
                    }
                }
                State::Open(request) => {
                    request.rows.iter_mut().for_each(|row| visit(&mut row.op));
                    request.folded.iter_mut().for_each(|folded| visit(&mut folded.op));
                    request.find_folded_anew();
                }
            }
        }
    }

    fn append(slots: &mut [Slot], list: &mut List, at: u32) {
        if let Some(slot) = slots.get_mut(at as usize) {
            slot.prev = list.last;
            slot.next = NIL;
        }
        match slots.get_mut(list.last as usize) {
            Some(slot) => slot.next = at,
            None => list.first = at,
        }
        list.last = at;
        list.len += 1;
    }

    fn remove(slots: &mut [Slot], list: &mut List, at: u32) {
        let Some((prev, next)) = slots.get(at as usize).map(|slot| (slot.prev, slot.next)) else {
            return;
        };
        match slots.get_mut(prev as usize) {
            Some(slot) => slot.next = next,
            None => list.first = next,
        }
        match slots.get_mut(next as usize) {
            Some(slot) => slot.prev = prev,
            None => list.last = prev,
        }
        list.len = list.len.saturating_sub(1);
    }
}
