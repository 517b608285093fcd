//! Applications repeat their statements: what was worked out once is looked up.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128_with_secret;

use super::Scratch;
use super::dialect::Dialect;
use super::name::Naming;
use super::statement::{Statement, analyse};

/// Longer statements are analysed each time: they rarely repeat, and each would take the place of many.
const LONGEST: usize = 10 * 1024;
/// Places a statement can be in.
const WAYS: usize = 4;
/// As much of a secret as XXH3 uses at most.
const SECRET: usize = 192;

struct Entry {
    key: u128,
    statement: Arc<Statement>,
}

/// A bounded memory of statements, owned by one thread.
///
/// The raw statement is never kept: an entry is found by a 128-bit hash of it under a random key, so that nobody outside
/// can make two statements meet.
pub struct Memo {
    scratch: Scratch,
    naming: Naming,
    secret: [u8; SECRET],
    /// Sets of [`WAYS`] entries, the most recently used first.
    entries: Vec<Option<Entry>>,
    mask: usize,
    hits: u64,
    misses: u64,
}

impl Memo {
    /// A memo of at least `entries` statements (rounded up to a power of two, at least four). `hash_key` is random, from the caller.
    #[must_use]
    pub fn new(entries: usize, hash_key: [u64; 2], naming: Naming) -> Memo {
        let sets = entries.div_ceil(WAYS).clamp(1, 1 << 20).next_power_of_two();
        let mut memo = Memo {
            scratch: Scratch::default(),
            naming,
            secret: [0; SECRET],
            entries: Vec::new(),
            mask: sets - 1,
            hits: 0,
            misses: 0,
        };
        memo.entries.resize_with(sets * WAYS, || None);
        let [mut state, increment] = hash_key;
        for chunk in memo.secret.chunks_exact_mut(8) {
            // SplitMix64, with the second half of the key as its stream.
            state = state.wrapping_add(increment | 1);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
        }
        memo
    }

    /// The statement's analysis, from memory if it is there.
    pub fn get(&mut self, sql: &[u8], dialect: Dialect, truncated: bool) -> Arc<Statement> {
        if sql.len() > LONGEST {
            self.misses += 1;
            return Arc::new(analyse(&mut self.scratch, sql, dialect, truncated, self.naming));
        }
        let reading = (dialect as u128) << 1 | u128::from(truncated);
        // An odd factor, so that two readings of the same bytes never have the same key.
        let key = xxh3_128_with_secret(sql, &self.secret)
            ^ reading.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        #[allow(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
        let first = (key as usize & self.mask) * WAYS;
        let set = self.entries.get_mut(first..first + WAYS).unwrap_or_default();
        if let Some(way) =
            set.iter().position(|entry| entry.as_ref().is_some_and(|entry| entry.key == key))
        {
            if let Some(recent) = set.get_mut(..=way) {
                recent.rotate_right(1);
            }
            if let Some(Some(entry)) = set.first() {
                self.hits += 1;
                return Arc::clone(&entry.statement);
            }
        }
        self.misses += 1;
        let statement = Arc::new(analyse(&mut self.scratch, sql, dialect, truncated, self.naming));
        set.rotate_right(1);
        if let Some(oldest) = set.first_mut() {
            *oldest = Some(Entry { key, statement: Arc::clone(&statement) });
        }
        statement
    }

    /// Statements that were found.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Statements that had to be analysed.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses
    }
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither the key nor the entries: a debug line is a log line.
        f.debug_struct("Memo")
            .field("hits", &self.hits)
            .field("misses", &self.misses)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_analysed_once_is_found_again_and_only_by_the_same_reading() {
        let mut memo = Memo::new(16, [1, 2], Naming::Model);
        let sql = b"SELECT * FROM users WHERE name = \"x\"";
        let first = memo.get(sql, Dialect::MySql, false);
        assert!(Arc::ptr_eq(&first, &memo.get(sql, Dialect::MySql, false)));
        assert!(!Arc::ptr_eq(&first, &memo.get(sql, Dialect::Sqlite, false)));
        assert!(!Arc::ptr_eq(&first, &memo.get(sql, Dialect::MySql, true)));
        assert_eq!((memo.hits(), memo.misses()), (1, 3));
        assert_eq!(&*first.operation, "SQL/User/select");
    }

    #[test]
    fn it_stays_bounded_and_forgets_the_least_recently_used() {
        let mut memo = Memo::new(4, [3, 4], Naming::Table);
        for table in 0..100 {
            memo.get(b"SELECT 1 FROM kept", Dialect::Generic, false);
            memo.get(format!("SELECT 1 FROM t{table}").as_bytes(), Dialect::Generic, false);
        }
        assert_eq!(memo.entries.len(), 4);
        assert_eq!(memo.hits(), 99);
    }

    #[test]
    fn long_statements_are_analysed_each_time() {
        let mut memo = Memo::new(4, [5, 6], Naming::Model);
        let sql = format!("SELECT * FROM t WHERE a = '{}'", "x".repeat(LONGEST));
        assert_eq!(
            memo.get(sql.as_bytes(), Dialect::Generic, false),
            memo.get(sql.as_bytes(), Dialect::Generic, false)
        );
        assert_eq!((memo.hits(), memo.misses()), (0, 2));
    }

    #[test]
    fn its_debug_form_shows_neither_key_nor_statements() {
        let mut memo = Memo::new(4, [0x1234_5678, 6], Naming::Model);
        memo.get(b"SELECT 1 FROM visible", Dialect::Generic, false);
        let shown = format!("{memo:?}");
        assert!(!shown.contains("visible") && !shown.contains("secret"), "{shown}");
    }
}
