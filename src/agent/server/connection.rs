use super::Stream;
use crate::agent::intake::{After, Hub, Session};
use crate::agent::protocol::{Frame, Reply, next_frame};
use crate::model::UnixNanos;
use crate::sys::poll::Interest;
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Bytes read in one turn.
pub(super) const READ: usize = 64 * 1024;
/// Replies that a client has not read yet; with more, nothing more is read from it.
const MAX_UNREAD: usize = 256 * 1024;
/// Memory that an idle connection keeps.
const KEEP: usize = 4 * 1024;
/// Incomplete frames up to this long are not counted against the common bound.
const SMALL: usize = 16 * 1024;
/// How long a connection may take: to say who it is, to complete a frame, to read its replies.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a client may take to read why it is turned away.
const FAREWELL: Duration = Duration::from_secs(2);

/// One client's connection: bytes in, replies out.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    session: Session,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    /// Counted against the common bound of incomplete frames.
    reserved: usize,
    state: State,
    /// By when something must have come of what it waits for.
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// It was told why; what it still sends is thrown away, so that the system does not throw
    /// away what we said.
    Leaving,
}

/// What became of a connection in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// To be watched for this.
    Watch(Interest),
    /// To be gone on with in a moment: it waits for room.
    Wait,
    /// At its end.
    Close,
    /// It asked the agent to end.
    Shutdown,
}

/// The bytes of all incomplete frames, bounded.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) used: AtomicUsize,
    pub(super) most: usize,
}

impl Connection {
    pub(super) fn new(stream: Stream, now: Instant) -> Connection {
        Connection {
            stream,
            session: Session::default(),
            inbox: Vec::new(),
            outbox: Vec::new(),
            reserved: 0,
            state: State::Open,
            deadline: Some(now + PATIENCE),
        }
    }

    /// Whether its time is up.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Writes what is due, reads once, answers every whole frame.
    pub(super) fn turn(
        &mut self,
        hub: &Hub,
        budget: &Budget,
        scratch: &mut [u8],
        now: (UnixNanos, Instant),
    ) -> Turn {
        if self.write_pending().is_err() {
            return Turn::Close;
        }
        if self.outbox.len() < MAX_UNREAD && !self.inbox.is_empty() && self.state == State::Open {
            // What waited until the client had read.
            let turn = self.take_in(hub, &[], now);
            if !matches!(turn, Turn::Watch(_)) {
                return turn;
            }
        }
        if self.outbox.len() >= MAX_UNREAD {
            return Turn::Watch(Interest { read: false, write: true });
        }
        if self.state == State::Open && !self.waits() {
            self.deadline = None;
        }
        let read = match (&self.stream).read(scratch) {
            Ok(0) => return Turn::Close,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return self.watch(),
            Err(error) if error.kind() == ErrorKind::Interrupted => return self.watch(),
            Err(_) => return Turn::Close,
        };
        let bytes = scratch.get(..read).unwrap_or_default();
        if self.state == State::Leaving {
            return self.watch();
        }
        let turn = self.take_in(hub, bytes, now);
        if turn != Turn::Wait && !matches!(turn, Turn::Watch(_)) {
            return turn;
        }
        if !self.reserve(budget) {
            let why = "too much is being sent at once: try again, in smaller frames".to_owned();
            return self.turn_away(hub, why, now.1);
        }
        turn
    }

    /// Goes on with a frame that waits for room, and then with those behind it.
    pub(super) fn resume(&mut self, hub: &Hub, now: (UnixNanos, Instant)) -> Turn {
        let Some((reply, _)) = self.session.resume(hub, now.0) else { return Turn::Wait };
        match self.answer(&reply) {
            Ok(()) => self.take_in(hub, &[], now),
            Err(_) => Turn::Close,
        }
    }

    fn take_in(&mut self, hub: &Hub, bytes: &[u8], now: (UnixNanos, Instant)) -> Turn {
        let mut inbox = std::mem::take(&mut self.inbox);
        inbox.extend_from_slice(bytes);
        let mut at = 0;
        let turn = loop {
            if self.outbox.len() >= MAX_UNREAD {
                // However many frames came at once: the rest when the client has read.
                break Turn::Watch(Interest { read: false, write: true });
            }
            match next_frame(inbox.get(at..).unwrap_or_default()) {
                Frame::Partial => break self.watch(),
                Frame::Oversize(len) => {
                    at = inbox.len();
                    let why = format!("a frame of {len} bytes is too long, or this is none");
                    break self.turn_away(hub, why, now.1);
                }
                Frame::Whole(body, taken) => {
                    at += taken;
                    let Some((reply, after)) = self.session.frame(hub, body, now.0) else {
                        break Turn::Wait;
                    };
                    if self.answer(&reply).is_err() {
                        break Turn::Close;
                    }
                    if after == After::Shutdown {
                        break Turn::Shutdown;
                    }
                }
            }
        };
        inbox.drain(..at.min(inbox.len()));
        if inbox.capacity() > KEEP && inbox.len() < KEEP {
            inbox.shrink_to(KEEP);
        }
        self.inbox = inbox;
        if turn == Turn::Wait {
            self.deadline = None;
        } else if self.state == State::Open {
            let waits = self.waits();
            // A frame's first bytes start the clock; further ones do not set it back.
            let first = at > 0 || self.deadline.is_none();
            match (waits, first) {
                (true, true) => self.deadline = Some(now.1 + PATIENCE),
                (true, false) => {}
                (false, _) => self.deadline = None,
            }
        }
        turn
    }

    /// Whether the client is to send or to read something, within a time.
    fn waits(&self) -> bool {
        !self.inbox.is_empty() || !self.outbox.is_empty() || !self.session.is_registered()
    }

    /// One reply, one write: a reply that comes in two parts is misread by one of the clients.
    fn answer(&mut self, reply: &Reply) -> std::io::Result<()> {
        let before = self.outbox.len();
        reply.write(&mut self.outbox);
        if before > 0 {
            return Ok(());
        }
        self.write_pending()
    }

    fn write_pending(&mut self) -> std::io::Result<()> {
        while !self.outbox.is_empty() {
            match (&self.stream).write(&self.outbox) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.outbox.drain(..written.min(self.outbox.len()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.outbox.capacity() > KEEP {
            self.outbox = Vec::new();
        }
        Ok(())
    }

    fn watch(&self) -> Turn {
        let write = !self.outbox.is_empty();
        Turn::Watch(Interest { read: self.outbox.len() < MAX_UNREAD, write })
    }

    /// Says why, then ends the connection in a way that lets the client read it.
    fn turn_away(&mut self, hub: &Hub, why: String, now: Instant) -> Turn {
        hub.counters.connections_closed.add(1);
        hub.counters.frames_failed.add(1);
        let told = self.answer(&Reply::Protocol(why));
        if told.is_err() || !self.outbox.is_empty() {
            return Turn::Close;
        }
        self.stream.end_writing();
        self.state = State::Leaving;
        self.inbox = Vec::new();
        self.deadline = Some(now + FAREWELL);
        self.watch()
    }

    fn reserve(&mut self, budget: &Budget) -> bool {
        let wanted = if self.inbox.len() > SMALL { self.inbox.capacity() } else { 0 };
        budget.used.fetch_add(wanted, Ordering::Relaxed);
        budget.used.fetch_sub(self.reserved, Ordering::Relaxed);
        let grew = wanted > self.reserved;
        self.reserved = wanted;
        if grew && budget.used.load(Ordering::Relaxed) > budget.most {
            self.inbox = Vec::new();
            self.release(budget);
            return false;
        }
        true
    }

    /// Gives back what it was counted for.
    pub(super) fn release(&mut self, budget: &Budget) {
        budget.used.fetch_sub(self.reserved, Ordering::Relaxed);
        self.reserved = 0;
    }
}
