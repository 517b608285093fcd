use crate::model::UnixNanos;
use crate::sys::clock;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How important a line is; the lower, the more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as everywhere")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl Level {
    /// The level with this name, in upper or lower case; also the names that PHP's loggers use.
    pub fn named(name: &str) -> Option<Level> {
        Some(match name.to_ascii_lowercase().as_str() {
            "error" | "critical" | "alert" | "emergency" | "off" => Level::Error,
            "warn" | "warning" => Level::Warn,
            "info" | "notice" => Level::Info,
            "debug" => Level::Debug,
            "trace" => Level::Trace,
            _ => return None,
        })
    }

    fn shown(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
            Level::Trace => "TRACE",
        }
    }

    /// As a core's setting.
    pub(super) fn of_core(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug | Level::Trace => "debug",
        }
    }
}

/// The agent's log, as the original writes it: `[2018-04-16T17:59:12][core_agent][INFO] ...`.
/// Times are UTC.
#[derive(Debug)]
pub(super) struct Logger {
    threshold: Level,
    path: Option<PathBuf>,
    file: Mutex<Option<File>>,
}

impl Logger {
    /// To a file, or to standard output. A file that cannot be written is no reason to fail: the
    /// lines go to standard output then, the reason first.
    pub(super) fn open(threshold: Level, path: Option<&Path>) -> Logger {
        let (file, error) = match path.map(open) {
            Some(Ok(file)) => (Some(file), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let logger = Logger { threshold, path: path.map(Path::to_owned), file: Mutex::new(file) };
        if let (Some(error), Some(path)) = (error, path) {
            logger.warn("core_agent", &format!("log file {}: {error}", path.display()));
        }
        logger
    }

    /// Opens the file anew, after it was moved away; true if there is one.
    pub(super) fn reopen(&self) -> bool {
        let Some(path) = &self.path else { return false };
        if let Ok(file) = open(path) {
            *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        }
        true
    }

    pub(super) fn log(&self, target: &str, level: Level, message: &str) {
        if level > self.threshold {
            return;
        }
        let time = UnixNanos(clock::realtime_ns()).iso8601(false).to_string();
        let time = time.split('+').next().unwrap_or_default();
        let message = message.replace(['\n', '\r'], " ");
        let line = format!("[{time}][{target}][{}] {message}\n", level.shown());
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written has nowhere to complain.
        let _ = match file.as_mut() {
            Some(file) => file.write_all(line.as_bytes()),
            None => io::stdout().lock().write_all(line.as_bytes()),
        };
    }

    pub(super) fn info(&self, target: &str, message: &str) {
        self.log(target, Level::Info, message);
    }

    pub(super) fn warn(&self, target: &str, message: &str) {
        self.log(target, Level::Warn, message);
    }
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}
