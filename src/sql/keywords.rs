//! The words that mean something to the sanitiser, and how to find them quickly.

use super::classes::at;

/// Ends a number that is glued to it (`10FROM`), may touch a quote, makes a following sign unary.
pub(super) const RESERVED: u8 = 1;
/// May begin a statement; any other first word fails closed.
pub(super) const VERB: u8 = 2;
/// What CREATE, ALTER and DROP name: TABLE, INDEX, ...
pub(super) const OBJECT: u8 = 4;
/// Stands between CREATE and the object: UNIQUE, IF NOT EXISTS, ...
pub(super) const MODIFIER: u8 = 8;

/// A table that any byte can index.
#[allow(
    clippy::indexing_slicing,
    reason = "runs at compile time: an index out of range would not compile"
)]
const fn padded<T: Copy>(values: &[T], rest: T) -> [T; 256] {
    let mut all = [rest; 256];
    let mut i = 0;
    while i < values.len() {
        all[i] = values[i];
        i += 1;
    }
    all
}

macro_rules! keywords {
    ($($name:ident = $text:literal, $flags:expr;)*) => {
        /// A word of the list below; [`Kw::None`] is any other word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Kw { None, $($name),* }

        const TEXTS: &[&str] = &["", $($text),*];
        static FLAGS: [u8; 256] = padded(&[0, $($flags),*], 0);
        static BY_CODE: [Kw; 256] = padded(&[Kw::None, $(Kw::$name),*], Kw::None);
    };
}

keywords! {
    Abort = "ABORT", VERB;
    Add = "ADD", RESERVED;
    All = "ALL", RESERVED;
    Alter = "ALTER", RESERVED | VERB | MODIFIER;
    Analyse = "ANALYSE", VERB;
    Analyze = "ANALYZE", VERB;
    And = "AND", RESERVED;
    Any = "ANY", RESERVED;
    Apply = "APPLY", VERB;
    Array = "ARRAY", 0;
    As = "AS", RESERVED;
    Asc = "ASC", RESERVED;
    At = "AT", RESERVED;
    Attach = "ATTACH", VERB;
    Autovacuum = "AUTOVACUUM", VERB;
    Backup = "BACKUP", VERB;
    Batch = "BATCH", VERB;
    Begin = "BEGIN", RESERVED | VERB;
    Between = "BETWEEN", RESERVED;
    Binary = "BINARY", RESERVED;
    Bitmap = "BITMAP", MODIFIER;
    Bulk = "BULK", VERB;
    By = "BY", RESERVED;
    Call = "CALL", VERB;
    Case = "CASE", RESERVED | VERB;
    Cast = "CAST", RESERVED;
    Check = "CHECK", RESERVED | VERB;
    Checkpoint = "CHECKPOINT", VERB;
    Close = "CLOSE", VERB;
    Cluster = "CLUSTER", VERB;
    Clustered = "CLUSTERED", MODIFIER;
    Collate = "COLLATE", RESERVED;
    Column = "COLUMN", RESERVED;
    Comment = "COMMENT", VERB;
    Commit = "COMMIT", VERB;
    Concurrently = "CONCURRENTLY", MODIFIER;
    Conflict = "CONFLICT", 0;
    Connect = "CONNECT", VERB;
    Constraint = "CONSTRAINT", RESERVED;
    Copy = "COPY", VERB;
    Create = "CREATE", RESERVED | VERB;
    Cross = "CROSS", RESERVED;
    Database = "DATABASE", OBJECT;
    Date = "DATE", RESERVED;
    Day = "DAY", RESERVED;
    Dbcc = "DBCC", VERB;
    Deallocate = "DEALLOCATE", VERB;
    Declare = "DECLARE", VERB;
    Default = "DEFAULT", RESERVED;
    Delete = "DELETE", RESERVED | VERB;
    Deny = "DENY", VERB;
    Desc = "DESC", RESERVED | VERB;
    Describe = "DESCRIBE", VERB;
    Detach = "DETACH", VERB;
    Disable = "DISABLE", VERB;
    Discard = "DISCARD", VERB;
    Disconnect = "DISCONNECT", VERB;
    Distinct = "DISTINCT", RESERVED;
    Div = "DIV", RESERVED;
    Do = "DO", VERB;
    Domain = "DOMAIN", OBJECT;
    Drop = "DROP", RESERVED | VERB;
    Duplicate = "DUPLICATE", 0;
    Editionable = "EDITIONABLE", MODIFIER;
    Else = "ELSE", RESERVED;
    Enable = "ENABLE", VERB;
    End = "END", RESERVED | VERB;
    Escape = "ESCAPE", RESERVED;
    Event = "EVENT", OBJECT;
    Except = "EXCEPT", RESERVED;
    Exec = "EXEC", VERB;
    Execute = "EXECUTE", VERB;
    Exists = "EXISTS", RESERVED | MODIFIER;
    Explain = "EXPLAIN", RESERVED | VERB;
    Export = "EXPORT", VERB;
    Extension = "EXTENSION", OBJECT;
    External = "EXTERNAL", MODIFIER;
    Extract = "EXTRACT", 0;
    Fail = "FAIL", 0;
    False = "FALSE", RESERVED;
    Fetch = "FETCH", RESERVED | VERB;
    Flush = "FLUSH", VERB;
    For = "FOR", RESERVED;
    Force = "FORCE", MODIFIER;
    Foreign = "FOREIGN", MODIFIER;
    From = "FROM", RESERVED | VERB;
    Full = "FULL", RESERVED;
    Fulltext = "FULLTEXT", MODIFIER;
    Function = "FUNCTION", OBJECT;
    Get = "GET", VERB;
    Glob = "GLOB", RESERVED;
    Global = "GLOBAL", MODIFIER;
    Go = "GO", VERB;
    Grant = "GRANT", VERB;
    Group = "GROUP", RESERVED;
    Handler = "HANDLER", VERB;
    Having = "HAVING", RESERVED;
    Hour = "HOUR", RESERVED;
    Identified = "IDENTIFIED", 0;
    If = "IF", VERB | MODIFIER;
    Ignore = "IGNORE", 0;
    Ilike = "ILIKE", RESERVED;
    Import = "IMPORT", VERB;
    In = "IN", RESERVED;
    Index = "INDEX", OBJECT;
    Inner = "INNER", RESERVED;
    Insert = "INSERT", RESERVED | VERB;
    Install = "INSTALL", VERB;
    Intersect = "INTERSECT", RESERVED;
    Interval = "INTERVAL", RESERVED;
    Into = "INTO", RESERVED;
    Is = "IS", RESERVED;
    Join = "JOIN", RESERVED;
    Key = "KEY", 0;
    Kill = "KILL", VERB;
    Lateral = "LATERAL", 0;
    Left = "LEFT", RESERVED;
    Like = "LIKE", RESERVED;
    Limit = "LIMIT", RESERVED;
    Listen = "LISTEN", VERB;
    Load = "LOAD", VERB;
    Local = "LOCAL", MODIFIER;
    Lock = "LOCK", VERB;
    Login = "LOGIN", OBJECT;
    LowPriority = "LOW_PRIORITY", 0;
    Match = "MATCH", RESERVED;
    Materialized = "MATERIALIZED", MODIFIER;
    Merge = "MERGE", RESERVED | VERB;
    Minus = "MINUS", RESERVED;
    Minute = "MINUTE", RESERVED;
    Mod = "MOD", RESERVED;
    Month = "MONTH", RESERVED;
    Move = "MOVE", VERB;
    Natural = "NATURAL", RESERVED;
    Next = "NEXT", RESERVED;
    Nonclustered = "NONCLUSTERED", MODIFIER;
    Noneditionable = "NONEDITIONABLE", MODIFIER;
    Not = "NOT", RESERVED | MODIFIER;
    Notify = "NOTIFY", VERB;
    Null = "NULL", RESERVED;
    Off = "OFF", 0;
    Offline = "OFFLINE", MODIFIER;
    Offset = "OFFSET", RESERVED;
    On = "ON", RESERVED;
    Online = "ONLINE", MODIFIER;
    Only = "ONLY", RESERVED;
    Open = "OPEN", VERB;
    Optimize = "OPTIMIZE", VERB;
    Or = "OR", RESERVED | MODIFIER;
    Order = "ORDER", RESERVED;
    Outer = "OUTER", RESERVED;
    Over = "OVER", RESERVED;
    Partition = "PARTITION", RESERVED;
    Password = "PASSWORD", 0;
    Policy = "POLICY", OBJECT;
    Pragma = "PRAGMA", VERB;
    Prepare = "PREPARE", VERB;
    Print = "PRINT", VERB;
    Proc = "PROC", OBJECT;
    Procedure = "PROCEDURE", OBJECT;
    Publication = "PUBLICATION", OBJECT;
    Purge = "PURGE", VERB;
    Raiserror = "RAISERROR", VERB;
    Reassign = "REASSIGN", VERB;
    Reconfigure = "RECONFIGURE", VERB;
    Recover = "RECOVER", VERB;
    Recursive = "RECURSIVE", 0;
    References = "REFERENCES", 0;
    Refresh = "REFRESH", VERB;
    Regexp = "REGEXP", RESERVED;
    Reindex = "REINDEX", VERB;
    Release = "RELEASE", VERB;
    Rename = "RENAME", VERB;
    Repair = "REPAIR", VERB;
    Replace = "REPLACE", RESERVED | VERB | MODIFIER;
    Reset = "RESET", VERB;
    Resignal = "RESIGNAL", VERB;
    Restore = "RESTORE", VERB;
    Return = "RETURN", RESERVED | VERB;
    Returning = "RETURNING", RESERVED;
    Revoke = "REVOKE", VERB;
    Right = "RIGHT", RESERVED;
    Rlike = "RLIKE", RESERVED;
    Role = "ROLE", OBJECT;
    Rollback = "ROLLBACK", VERB;
    Row = "ROW", RESERVED;
    Rows = "ROWS", RESERVED;
    Savepoint = "SAVEPOINT", VERB;
    Schema = "SCHEMA", OBJECT;
    Second = "SECOND", RESERVED;
    Security = "SECURITY", VERB;
    Select = "SELECT", RESERVED | VERB;
    Sequence = "SEQUENCE", OBJECT;
    Server = "SERVER", OBJECT;
    Session = "SESSION", 0;
    Set = "SET", RESERVED | VERB;
    Show = "SHOW", VERB;
    Shutdown = "SHUTDOWN", VERB;
    Signal = "SIGNAL", VERB;
    Similar = "SIMILAR", RESERVED;
    Some = "SOME", RESERVED;
    Spatial = "SPATIAL", MODIFIER;
    Start = "START", RESERVED | VERB;
    Statistics = "STATISTICS", 0;
    Stdin = "STDIN", 0;
    Subscription = "SUBSCRIPTION", OBJECT;
    Table = "TABLE", RESERVED | VERB | OBJECT;
    Tables = "TABLES", 0;
    Tablespace = "TABLESPACE", OBJECT;
    Temp = "TEMP", MODIFIER;
    Temporary = "TEMPORARY", MODIFIER;
    Then = "THEN", RESERVED;
    Throw = "THROW", VERB;
    Time = "TIME", RESERVED;
    Timestamp = "TIMESTAMP", RESERVED;
    To = "TO", RESERVED;
    Top = "TOP", RESERVED;
    Transaction = "TRANSACTION", 0;
    Trigger = "TRIGGER", OBJECT;
    True = "TRUE", RESERVED;
    Truncate = "TRUNCATE", VERB;
    Type = "TYPE", OBJECT;
    Uninstall = "UNINSTALL", VERB;
    Union = "UNION", RESERVED;
    Unique = "UNIQUE", MODIFIER;
    Unlisten = "UNLISTEN", VERB;
    Unlock = "UNLOCK", VERB;
    Unlogged = "UNLOGGED", MODIFIER;
    Update = "UPDATE", RESERVED | VERB;
    Upsert = "UPSERT", VERB;
    Use = "USE", VERB;
    User = "USER", OBJECT;
    Using = "USING", RESERVED;
    Vacuum = "VACUUM", VERB;
    Validate = "VALIDATE", VERB;
    Value = "VALUE", RESERVED;
    Values = "VALUES", RESERVED | VERB;
    View = "VIEW", OBJECT;
    Waitfor = "WAITFOR", VERB;
    When = "WHEN", RESERVED;
    Where = "WHERE", RESERVED;
    While = "WHILE", VERB;
    Window = "WINDOW", RESERVED;
    With = "WITH", RESERVED | VERB;
    Xa = "XA", VERB;
    Xor = "XOR", RESERVED;
    Year = "YEAR", RESERVED;
}

impl Kw {
    /// The flags of this word.
    #[inline]
    #[allow(
        clippy::indexing_slicing,
        reason = "the discriminant is a u8, the table has 256 places"
    )]
    pub(super) fn flags(self) -> u8 {
        FLAGS[usize::from(self as u8)]
    }

    /// Whether the word has one of `flags`.
    #[inline]
    pub(super) fn is(self, flags: u8) -> bool {
        self.flags() & flags != 0
    }

    /// The word with this number, as tokens keep it.
    #[inline]
    #[allow(clippy::indexing_slicing, reason = "a u8 cannot exceed a table of 256")]
    pub(super) fn from_code(code: u8) -> Kw {
        BY_CODE[usize::from(code)]
    }
}

const SLOTS: usize = 1024;
/// The longest word of the list; a longer one is looked up no further.
const LONGEST: usize = 14;

/// A word's letters as two numbers, in one case. `| 0x20` maps `A..Z` to `a..z`, leaves digits and `$`, and moves `_` to a
/// byte no word contains, so two words are equal exactly when their keys are.
#[inline]
fn key(bytes: &[u8], start: usize, len: usize) -> (u64, u64) {
    match bytes.get(start..).and_then(<[u8]>::first_chunk::<16>) {
        Some(chunk) => halves(chunk, len),
        None => key_at_end(bytes, start, len),
    }
}

/// The same where fewer than 16 bytes are left.
#[cold]
fn key_at_end(bytes: &[u8], start: usize, len: usize) -> (u64, u64) {
    let mut window = [0; 16];
    for (to, from) in window.iter_mut().zip(bytes.iter().skip(start)) {
        *to = *from;
    }
    halves(&window, len)
}

#[inline]
fn halves(chunk: &[u8; 16], len: usize) -> (u64, u64) {
    let both = u128::from_le_bytes(*chunk) | u128::from_le_bytes([0x20; 16]);
    #[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
    let (low, high) = (both as u64, (both >> 64) as u64);
    if len <= 8 {
        (low & (u64::MAX >> (64 - 8 * len)), 0)
    } else {
        (low, high & (u64::MAX >> (128 - 8 * len)))
    }
}

const fn slot(low: u64, high: u64) -> usize {
    ((low ^ high.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize
}

struct Table {
    slots: [u8; SLOTS],
    keys: [(u64, u64); 256],
}

/// Open addressing at a quarter full: most words that are no keyword end at an empty slot.
static TABLE: Table = build();

#[allow(
    clippy::indexing_slicing,
    reason = "runs at compile time: an index out of range would not compile"
)]
const fn build() -> Table {
    let mut table = Table { slots: [0; SLOTS], keys: [(0, 0); 256] };
    let mut code = 1;
    while code < TEXTS.len() {
        let text = TEXTS[code].as_bytes();
        assert!(text.len() >= 2 && text.len() <= LONGEST);
        let (mut low, mut high, mut i) = (0, 0, 0);
        while i < text.len() {
            let byte = (text[i] | 0x20) as u64;
            if i < 8 {
                low |= byte << (8 * i);
            } else {
                high |= byte << (8 * (i - 8));
            }
            i += 1;
        }
        table.keys[code] = (low, high);
        let mut at = slot(low, high);
        while table.slots[at] != 0 {
            at = (at + 1) % SLOTS;
        }
        table.slots[at] = code as u8;
        code += 1;
    }
    table
}

/// The word of `len` bytes at `start`, if it is in the list.
#[inline]
#[allow(
    clippy::indexing_slicing,
    reason = "a slot is taken modulo the table's size, and a u8 cannot exceed 256 keys"
)]
pub(super) fn lookup(bytes: &[u8], start: usize, len: usize) -> Kw {
    if !(2..=LONGEST).contains(&len) {
        return Kw::None;
    }
    let (low, high) = key(bytes, start, len);
    let mut probe = slot(low, high);
    loop {
        let code = TABLE.slots[probe % SLOTS];
        if code == 0 {
            return Kw::None;
        }
        if TABLE.keys[usize::from(code)] == (low, high) {
            return Kw::from_code(code);
        }
        probe += 1;
    }
}

/// Whether the single byte or word at `start..end` is the given text, in any case.
#[inline]
pub(super) fn word_is(bytes: &[u8], start: usize, end: usize, text: &[u8]) -> bool {
    end - start == text.len()
        && text.iter().zip(start..).all(|(&letter, i)| at(bytes, i).eq_ignore_ascii_case(&letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_in_any_case_and_no_prefix_of_it_is_taken_for_it() {
        for (code, text) in TEXTS.iter().enumerate().skip(1) {
            for word in [text.to_string(), text.to_lowercase()] {
                let padded = format!(" {word} and something after it");
                assert_eq!(lookup(padded.as_bytes(), 1, word.len()) as usize, code, "{word}");
                assert_eq!(
                    lookup(word.as_bytes(), 0, word.len()) as usize,
                    code,
                    "{word}, at the end"
                );
                assert_ne!(lookup(padded.as_bytes(), 1, word.len() + 1) as usize, code);
            }
        }
        assert_eq!(lookup(b"users", 0, 5), Kw::None);
        assert_eq!(lookup(b"a", 0, 1), Kw::None);
        assert_eq!(lookup(b"a_word_of_many_letters", 0, 22), Kw::None);
    }
}
