//! The arguments of `report`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Rows of each table unless `--top` says otherwise.
const DEFAULT_TOP: usize = 10;

/// What `report` was asked for.
#[derive(Debug, PartialEq)]
pub struct Args {
    /// The payload files' directory, or a single file.
    pub directory: PathBuf,
    /// Rows of each table.
    pub top: usize,
    /// Never colours.
    pub no_color: bool,
    /// JSON in place of a page.
    pub json: bool,
}

/// Reads the arguments after `report`. The error is one sentence for a person.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Args, String> {
    let mut directory = None;
    let mut parsed =
        Args { directory: PathBuf::new(), top: DEFAULT_TOP, no_color: false, json: false };
    let mut args = args.into_iter();
    let mut only_names = false;
    while let Some(arg) = args.next() {
        match arg.to_str().filter(|_| !only_names) {
            Some("--") => only_names = true,
            Some("--json") => parsed.json = true,
            Some("--no-color" | "--no-colour") => parsed.no_color = true,
            Some("--top") => parsed.top = top(args.next().as_deref())?,
            Some(text) if text.starts_with("--top=") => {
                parsed.top = top(text.strip_prefix("--top=").map(OsStr::new))?;
            }
            Some(text) if text.starts_with('-') && text.len() > 1 => {
                return Err(format!("there is no option {}", text.escape_debug()));
            }
            _ if directory.is_some() => return Err("only one directory can be shown".to_owned()),
            _ => directory = Some(PathBuf::from(arg)),
        }
    }
    parsed.directory =
        directory.ok_or("which directory? The payload files' directory is missing")?;
    Ok(parsed)
}

fn top(value: Option<&OsStr>) -> Result<usize, String> {
    let number = value.and_then(OsStr::to_str).and_then(|text| text.parse().ok());
    number
        .filter(|number| (1..=100_000).contains(number))
        .ok_or_else(|| "--top takes a number of rows, 1 to 100000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Result<Args, String> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn options_may_stand_anywhere() {
        let expected =
            Args { directory: PathBuf::from("data"), top: 3, no_color: true, json: true };
        assert_eq!(of(&["data", "--top", "3", "--no-color", "--json"]).as_ref(), Ok(&expected));
        assert_eq!(of(&["--json", "--top=3", "--no-colour", "data"]), Ok(expected));
        assert_eq!(of(&["--", "--json"]).unwrap().directory, PathBuf::from("--json"));
        assert_eq!(of(&["."]).unwrap().top, DEFAULT_TOP);
    }

    #[test]
    fn mistakes_are_said() {
        for (args, part) in [
            (&[][..], "which directory"),
            (&["a", "b"], "only one"),
            (&["--colour=maybe", "a"], "no option --colour=maybe"),
            (&["a", "--top"], "--top takes"),
            (&["a", "--top", "0"], "--top takes"),
            (&["a", "--top=x"], "--top takes"),
        ] {
            let error = of(args).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
