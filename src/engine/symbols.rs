use super::hash::{KeyedHash, same};

/// Strings as dense numbers: each is stored once, and found without allocating. Bounded.
#[derive(Clone, Debug)]
pub(crate) struct Symbols {
    hash: KeyedHash,
    /// Open addressing, linear probing: an index into `entries` plus one, or zero.
    slots: Vec<u32>,
    entries: Vec<Entry>,
    limit: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    hash: u64,
    text: Box<str>,
}

/// What [`Symbols::intern`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interned {
    /// It was there.
    Found(u32),
    /// It is there now.
    Added(u32),
    /// The table is full.
    Full,
}

impl Symbols {
    pub(crate) fn new(hash: KeyedHash, limit: usize) -> Self {
        Symbols { hash, slots: vec![0; 64], entries: Vec::new(), limit }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.limit
    }

    /// Raises the limit by one, for an entry that stands for all surplus ones.
    pub(crate) fn allow_one_more(&mut self) {
        self.limit = self.limit.max(self.entries.len() + 1);
    }

    #[inline]
    pub(crate) fn text(&self, symbol: u32) -> &str {
        self.entries.get(symbol as usize).map_or("", |entry| &entry.text)
    }

    /// Whether this is the symbol of `text`.
    #[inline]
    pub(crate) fn is(&self, symbol: u32, text: &str) -> bool {
        let entry = self.entries.get(symbol as usize);
        entry.is_some_and(|entry| same(entry.text.as_bytes(), text.as_bytes()))
    }

    #[inline]
    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn find(&self, hash: u64, bytes: &[u8]) -> Option<u32> {
        let mut at = hash as usize & self.mask();
        loop {
            let symbol = self.slots.get(at).copied()?.checked_sub(1)?;
            let entry = self.entries.get(symbol as usize)?;
            if entry.hash == hash && same(entry.text.as_bytes(), bytes) {
                return Some(symbol);
            }
            at = (at + 1) & self.mask();
        }
    }

    /// Finds or adds `bytes`; what is not UTF-8 in them is replaced first.
    #[inline]
    pub(crate) fn intern(&mut self, bytes: &[u8]) -> Interned {
        match self.find(self.hash.bytes(bytes), bytes) {
            Some(symbol) => Interned::Found(symbol),
            None => self.add(bytes),
        }
    }

    #[cold]
    fn add(&mut self, bytes: &[u8]) -> Interned {
        let text = String::from_utf8_lossy(bytes);
        let hash = self.hash.bytes(text.as_bytes());
        if let Some(symbol) = self.find(hash, text.as_bytes()) {
            return Interned::Found(symbol);
        }
        if self.is_full() {
            return Interned::Full;
        }
        if (self.entries.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let symbol = self.entries.len() as u32;
        self.entries.push(Entry { hash, text: text.into() });
        self.place(hash, symbol);
        Interned::Added(symbol)
    }

    fn place(&mut self, hash: u64, symbol: u32) {
        let mask = self.mask();
        let mut at = hash as usize & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == 0 {
                *slot = symbol + 1;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let len = self.slots.len() * 2;
        self.slots.clear();
        self.slots.resize(len, 0);
        let hashes: Vec<u64> = self.entries.iter().map(|entry| entry.hash).collect();
        for (symbol, hash) in hashes.into_iter().enumerate() {
            self.place(hash, symbol as u32);
        }
    }
}

/// The longest prefix of `bytes` within `limit` that does not end inside a UTF-8 character.
pub(crate) fn cut(bytes: &[u8], limit: usize) -> &[u8] {
    let Some(mut head) = bytes.get(..limit) else { return bytes };
    let starts_character = |byte: &u8| byte & 0xc0 != 0x80;
    if bytes.get(limit).is_some_and(|next| !starts_character(next)) {
        // At most three bytes of an unfinished character; more would not be UTF-8 anyway.
        for _ in 0..4 {
            let Some((last, rest)) = head.split_last() else { break };
            head = rest;
            if starts_character(last) {
                break;
            }
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_it_added_and_stops_at_its_limit() {
        let mut symbols = Symbols::new(KeyedHash::new([5, 6]), 1000);
        for i in 0..1000_u32 {
            assert_eq!(symbols.intern(format!("name {i}").as_bytes()), Interned::Added(i));
        }
        assert_eq!(symbols.intern(b"one more"), Interned::Full);
        for i in 0..1000_u32 {
            assert_eq!(symbols.intern(format!("name {i}").as_bytes()), Interned::Found(i));
            assert_eq!(symbols.text(i), format!("name {i}"));
        }
        assert_eq!(symbols.text(1000), "");
    }

    #[test]
    fn invalid_utf8_is_replaced_once_and_found_again() {
        let mut symbols = Symbols::new(KeyedHash::new([5, 6]), 10);
        assert_eq!(symbols.intern(b"a\xffb"), Interned::Added(0));
        assert_eq!(symbols.intern(b"a\xffb"), Interned::Found(0));
        assert_eq!(symbols.text(0), "a\u{fffd}b");
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(cut("aé".as_bytes(), 2), b"a");
        assert_eq!(cut("aé".as_bytes(), 3), "aé".as_bytes());
        assert_eq!(cut("aéb".as_bytes(), 3), "aé".as_bytes());
        assert_eq!(cut(b"abc", 2), b"ab");
        assert_eq!(cut(b"", 2), b"");
    }
}
