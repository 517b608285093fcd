use super::connection::{Budget, Connection, READ, Turn};
use super::{Listener, Stream};
use crate::agent::intake::Hub;
use crate::model::UnixNanos;
use crate::sys::poll::{Interest, Poller};
use crate::sys::{self, clock};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much the server takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Threads that read and answer.
    pub threads: usize,
    /// Connections at once.
    pub connections: usize,
    /// Bytes in incomplete frames, of all connections together.
    pub partial_bytes: usize,
}

/// Connections accepted in one turn of a listener.
const ACCEPTS: usize = 64;
/// How long a listener rests when no connection can be had.
const REST: Duration = Duration::from_millis(50);
/// How often frames that wait for room are looked at.
const LOOK: Duration = Duration::from_millis(5);
const READS: Interest = Interest { read: true, write: false };

/// Tokens: the lowest ones are listeners', then the wake-up call's, then connections'.
const WAKE: u64 = u32::MAX as u64;

/// The sockets and the threads that serve them.
#[derive(Debug)]
pub struct Server {
    hub: Arc<Hub>,
    poller: Poller,
    listeners: Vec<Listener>,
    slots: Vec<Mutex<Slot>>,
    free: Mutex<Vec<u32>>,
    open: AtomicUsize,
    budget: Budget,
    /// Connections whose frame waits for room in a core.
    waiting: Mutex<Vec<u64>>,
    stopping: AtomicBool,
    wake: (UnixStream, UnixStream),
    shutdown: fn(),
}

/// A connection's place. The generation tells a connection from those that had the place before.
#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Ready to serve; `shutdown` is called when a client asks the agent to end.
    pub fn new(
        hub: Arc<Hub>,
        listeners: Vec<Listener>,
        limits: Limits,
        shutdown: fn(),
    ) -> io::Result<Arc<Server>> {
        let poller = Poller::new()?;
        for (at, listener) in listeners.iter().enumerate() {
            poller.add(listener.as_fd(), at as u64, READS)?;
        }
        let wake = UnixStream::pair()?;
        poller.add(wake.0.as_fd(), WAKE, READS)?;
        Ok(Arc::new(Server {
            hub,
            poller,
            listeners,
            slots: std::iter::repeat_with(Mutex::default).take(limits.connections).collect(),
            free: Mutex::new((0..limits.connections as u32).rev().collect()),
            open: AtomicUsize::new(0),
            budget: Budget { used: AtomicUsize::new(0), most: limits.partial_bytes },
            waiting: Mutex::new(Vec::new()),
            stopping: AtomicBool::new(false),
            wake,
            shutdown,
        }))
    }

    /// Starts the threads.
    pub fn start(self: &Arc<Self>, threads: usize) -> io::Result<Vec<JoinHandle<()>>> {
        (0..threads.max(1))
            .map(|n| {
                let server = self.clone();
                sys::thread::spawn(&format!("agent-{n}"), move || server.serve())
            })
            .collect()
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Has the threads end after what they are doing. Nothing is accepted or read any more.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let _ = (&self.wake.1).write_all(b"x");
    }

    /// Removes the socket files. The process may end while a thread still holds the server, and
    /// then nothing drops it.
    pub fn withdraw(&self) {
        self.listeners.iter().for_each(Listener::withdraw);
    }

    fn serve(&self) {
        let mut scratch = vec![0; READ];
        let mut looked = Instant::now();
        while !self.stopping.load(Ordering::Acquire) {
            let some_wait = !lock(&self.waiting).is_empty();
            if some_wait && looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.resume_waiting();
            }
            let timeout = if some_wait { LOOK } else { Duration::from_secs(10) };
            let token = match self.poller.wait(timeout) {
                Ok(Some(token)) => token,
                Ok(None) => continue,
                Err(_) => {
                    std::thread::sleep(REST);
                    continue;
                }
            };
            if token == WAKE {
                // Told to one thread; it tells the next.
                let _ = self.poller.arm(self.wake.0.as_fd(), WAKE, READS);
            } else if let Some(listener) = self.listeners.get(token as usize) {
                self.accept(listener, token);
            } else {
                self.serve_connection(token, |connection, now| {
                    connection.turn(&self.hub, &self.budget, &mut scratch, now)
                });
            }
        }
    }

    /// Goes on with the frames that wait for room. No thread waits with them.
    fn resume_waiting(&self) {
        let tokens = std::mem::take(&mut *lock(&self.waiting));
        for token in tokens {
            self.serve_connection(token, |connection, now| connection.resume(&self.hub, now));
        }
    }

    fn accept(&self, listener: &Listener, token: u64) {
        for _ in 0..ACCEPTS {
            match listener.accept() {
                Ok(stream) => self.admit(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    // No descriptors left, most likely: whoever waits, waits a little longer.
                    std::thread::sleep(REST);
                    break;
                }
            }
        }
        let _ = self.poller.arm(listener.as_fd(), token, READS);
    }

    fn admit(&self, stream: Stream) {
        let Some(at) = lock(&self.free).pop() else {
            self.hub.counters.connections_refused.add(1);
            return;
        };
        let Some(slot) = self.slots.get(at as usize) else { return };
        let mut slot = lock(slot);
        slot.generation = slot.generation.wrapping_add(1).max(1);
        let token = token_of(at, slot.generation);
        let watched = stream.prepare().and_then(|()| self.poller.add(stream.as_fd(), token, READS));
        if watched.is_err() {
            drop(slot);
            lock(&self.free).push(at);
            return;
        }
        self.hub.counters.connections.add(1);
        self.open.fetch_add(1, Ordering::Relaxed);
        slot.connection = Some(Box::new(Connection::new(stream, Instant::now())));
    }

    fn serve_connection(
        &self,
        token: u64,
        serve: impl FnOnce(&mut Connection, (UnixNanos, Instant)) -> Turn,
    ) {
        let (at, generation) = parts_of(token);
        let Some(place) = self.slots.get(at as usize) else { return };
        let mut slot = lock(place);
        if slot.generation != generation {
            return;
        }
        let Some(connection) = slot.connection.as_deref_mut() else { return };
        let now = (UnixNanos(clock::realtime_ns()), Instant::now());
        match catch_unwind(AssertUnwindSafe(|| serve(connection, now))) {
            Ok(Turn::Wait) => lock(&self.waiting).push(token),
            Ok(Turn::Watch(interest)) => {
                if self.poller.arm(connection.stream.as_fd(), token, interest).is_err() {
                    self.close(at, slot);
                }
            }
            Ok(Turn::Close) => self.close(at, slot),
            Ok(Turn::Shutdown) => {
                self.close(at, slot);
                (self.shutdown)();
            }
            Err(_) => {
                self.hub.counters.panics_contained.add(1);
                self.close(at, slot);
            }
        }
    }

    fn close(&self, at: u32, mut slot: MutexGuard<'_, Slot>) {
        if let Some(mut connection) = slot.connection.take() {
            connection.release(&self.budget);
            drop(connection);
            drop(slot);
            self.open.fetch_sub(1, Ordering::Relaxed);
            lock(&self.free).push(at);
        }
    }

    /// Closes the connections whose time is up.
    pub fn close_overdue(&self) {
        let now = Instant::now();
        for (at, place) in self.slots.iter().enumerate() {
            // One that is being served is not stuck.
            let Ok(slot) = place.try_lock() else { continue };
            if slot.connection.as_ref().is_some_and(|connection| connection.is_overdue(now)) {
                self.hub.counters.connections_closed.add(1);
                self.close(at as u32, slot);
            }
        }
    }
}

fn token_of(at: u32, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(at)
}

fn parts_of(token: u64) -> (u32, u32) {
    (token as u32, (token >> 32) as u32)
}
