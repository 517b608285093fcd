use parking_lot::Mutex;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines kept until somebody takes them.
const LINES: usize = 256;

/// How important a line is; the lower, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    pub(super) fn named(name: &str) -> Level {
        match name {
            "error" => Level::Error,
            "warn" => Level::Warn,
            "debug" => Level::Debug,
            _ => Level::Info,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Line {
    time_ns: u64,
    level: Level,
    message: String,
}

/// The last lines, to be pulled: a callback from a thread of ours would have to enter the host's
/// runtime, which several of them answer with a deadlock or an abort.
pub(super) struct Log {
    threshold: Level,
    lines: Mutex<VecDeque<Line>>,
    /// Lines that went unread, or met a taken lock.
    pub(super) lost: AtomicU64,
}

impl Log {
    pub(super) fn new(threshold: Level) -> Log {
        Log { threshold, lines: Mutex::new(VecDeque::new()), lost: AtomicU64::new(0) }
    }

    pub(super) fn add(&self, level: Level, message: impl FnOnce() -> String) {
        if level > self.threshold {
            return;
        }
        let line = Line { time_ns: crate::recorder::clock::now().0, level, message: message() };
        let Some(mut lines) = self.lines.try_lock() else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if lines.len() >= LINES {
            lines.pop_front();
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        lines.push_back(line);
    }

    /// Shows the oldest line as JSON, and removes it if `take` succeeds. `None` when there is
    /// none, or another thread is at it.
    pub(super) fn next<E>(
        &self,
        take: impl FnOnce(&str) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        let mut lines = self.lines.try_lock()?;
        let json = serde_json::to_string(lines.front()?).unwrap_or_default();
        let taken = take(&json);
        if taken.is_ok() {
            lines.pop_front();
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_pulled_in_order_and_the_oldest_go() {
        let log = Log::new(Level::Info);
        log.add(Level::Debug, || unreachable!());
        for n in 0..LINES + 2 {
            log.add(Level::Warn, || n.to_string());
        }
        assert_eq!(log.lost.load(Ordering::Relaxed), 2);
        assert_eq!(log.next(|_| Err(())), Some(Err(())), "it stays");
        let mut first = String::new();
        let take = |line: &str| {
            first.push_str(line);
            Ok::<_, ()>(())
        };
        log.next(take).unwrap().unwrap();
        assert!(first.contains(r#""level":"warn","message":"2""#), "{first}");
    }
}
