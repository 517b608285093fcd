//! What the platform says of the application: where it runs, and which revision.

use crate::config::Environment;
use std::io::Read;
use std::path::Path;

/// The platform, as Scout's agents name it.
pub(super) fn name(environment: &Environment) -> &'static str {
    if environment.get("DYNO").is_some() {
        "Heroku"
    } else if environment.get("VCAP_APPLICATION").is_some() {
        "Cloud Foundry"
    } else {
        "Server"
    }
}

/// The revision that the platform's variables say.
pub(super) fn revision(environment: &Environment) -> Option<&str> {
    let variables = ["HEROKU_BUILD_COMMIT", "HEROKU_SLUG_COMMIT", "KAMAL_VERSION"];
    variables.iter().find_map(|name| environment.get(name))
}

/// The revision by the files that deployments leave in an application's directory: Capistrano's,
/// Mina's, or the checkout itself. Source: facts/scout.md 5.6.
pub(super) fn revision_in(root: &Path) -> Option<String> {
    let first_word = |file: &str| word(&read(&root.join(file))?);
    first_word("REVISION")
        .or_else(|| first_word(".mina_git_revision"))
        .or_else(|| checked_out(root))
}

/// What `git rev-parse --short HEAD` would say, from git's own files.
fn checked_out(root: &Path) -> Option<String> {
    let git = root.join(".git");
    let head = read(&git.join("HEAD"))?;
    let full = match head.trim().strip_prefix("ref: ") {
        None => word(&head)?,
        // A name that leads elsewhere is not git's.
        Some(name) if name.split('/').any(|part| part == "..") || name.starts_with('/') => {
            return None;
        }
        Some(name) => read(&git.join(name)).and_then(|text| word(&text)).or_else(|| {
            let packed = read(&git.join("packed-refs"))?;
            packed.lines().find_map(|line| {
                line.split_once(' ').filter(|(_, of)| *of == name).map(|(id, _)| id.to_owned())
            })
        })?,
    };
    full.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| full.chars().take(7).collect())
}

fn word(text: &str) -> Option<String> {
    text.split_whitespace().next().map(|word| word.chars().take(100).collect())
}

/// A small text file.
fn read(path: &Path) -> Option<String> {
    const MOST: u64 = 4 << 20;
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    // Nothing that could keep us waiting, such as a pipe.
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    file.take(MOST).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn platforms_by_their_variables() {
        assert_eq!(
            name(&Environment::of(&[("DYNO", "web.1"), ("VCAP_APPLICATION", "{}")])),
            "Heroku"
        );
        assert_eq!(name(&Environment::of(&[("VCAP_APPLICATION", "{}")])), "Cloud Foundry");
        assert_eq!(name(&Environment::of(&[])), "Server");
        let both = [("KAMAL_VERSION", "k"), ("HEROKU_SLUG_COMMIT", "s")];
        assert_eq!(revision(&Environment::of(&both)), Some("s"));
        assert_eq!(revision(&Environment::of(&[])), None);
    }

    #[test]
    fn revisions_by_files() {
        let root = std::env::temp_dir().join(format!("scout-revision-{}", std::process::id()));
        let put = |file: &str, text: &str| {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let found = || revision_in(&root);
        assert_eq!(found(), None);
        put(".git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(found(), None);
        let id = "0123456789abcdef0123456789abcdef01234567";
        put(".git/packed-refs", &format!("# pack-refs\n{id} refs/heads/main\n"));
        assert_eq!(found().as_deref(), Some("0123456"));
        put(".git/refs/heads/main", "fedcba9876543210fedcba9876543210fedcba98\n");
        assert_eq!(found().as_deref(), Some("fedcba9"));
        put(".git/HEAD", "aaaabbbbccccddddeeeeffff0000111122223333\n");
        assert_eq!(found().as_deref(), Some("aaaabbb"));
        put(".git/HEAD", "ref: ../../elsewhere\n");
        assert_eq!(found(), None);
        put(".mina_git_revision", "mina\n");
        assert_eq!(found().as_deref(), Some("mina"));
        put("REVISION", "  capistrano\nmore");
        assert_eq!(found().as_deref(), Some("capistrano"));
        fs::remove_dir_all(root).unwrap();
    }
}
