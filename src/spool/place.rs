use crate::config::Environment;
use crate::sys::dir::{Dir, Trust};
use crate::sys::{host, random};
use std::path::{Path, PathBuf};

/// The directory that was chosen, or why none could be.
#[derive(Debug)]
pub struct Place {
    /// Where, and open; `None` when nothing could be used.
    pub found: Option<(PathBuf, Dir)>,
    /// What was passed over, and why: a line each, for the diagnosis.
    pub passed_over: Vec<String>,
}

/// Chooses the data directory: the configured one as it is, else the first of the usual places
/// that is private to this user.
pub fn choose(configured: Option<&str>, environment: &Environment) -> Place {
    let candidates = match configured {
        Some(path) => vec![(PathBuf::from(path), Trust::Given)],
        None => usual(environment),
    };
    let mut passed_over = Vec::new();
    for (path, trust) in candidates {
        match Dir::create(&path, trust).and_then(|dir| writable(dir, &path)) {
            Ok(dir) => return Place { found: Some((path, dir)), passed_over },
            Err(error) => passed_over.push(format!("{}: {error}", path.display())),
        }
    }
    Place { found: None, passed_over }
}

/// How files begin that are only to see whether one can be made.
const PROBE: &str = ".probe-";

fn writable(dir: Dir, _: &Path) -> std::io::Result<Dir> {
    // Of a random name: in containers that share a volume, processes share their ids.
    let probe = format!("{PROBE}{}-{:016x}", host::process_id(), random::seed()[0]);
    let written = dir.write_durably(&probe, b"");
    let removed = dir.remove(&probe);
    written.and(removed)?;
    dir.remove_stale(|name| name.starts_with(PROBE) || name.starts_with(&format!(".{PROBE}")));
    Ok(dir)
}

fn usual(environment: &Environment) -> Vec<(PathBuf, Trust)> {
    let absolute =
        |name: &str| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").map(|path| path.join("scout"));
    let home = absolute("HOME").map(|path| path.join(".local/state/scout"));
    let system = Some(PathBuf::from("/var/lib/scout"));
    let temporary = absolute("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"));
    let private = temporary.join(format!("scout-{}", host::user_id()));
    let places = [state, home, system, Some(private)];
    places.into_iter().flatten().map(|path| (path, Trust::Private)).collect()
}
