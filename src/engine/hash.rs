use std::hash::{BuildHasher, Hasher};

/// Keyed hashing: fast on short keys, and not predictable without the key, so that names and ids
/// chosen by a third party cannot be made to collide.
///
/// Folded multiplication, as in wyhash and foldhash. Not for anything that leaves the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyedHash {
    key: [u64; 2],
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

impl KeyedHash {
    pub(crate) fn new(key: [u64; 2]) -> Self {
        // The multiplier must not be zero, nor even.
        KeyedHash { key: [key[0] ^ ODD, key[1] | 1] }
    }

    #[inline]
    pub(crate) fn bytes(&self, bytes: &[u8]) -> u64 {
        let [seed, multiplier] = self.key;
        let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(ODD);
        let (low, high) = if let Some(tail) = bytes.last_chunk::<16>() {
            let whole = bytes.len().saturating_sub(1) / 16;
            for chunk in bytes.as_chunks::<16>().0.iter().take(whole) {
                let (low, high) = halves(chunk);
                hash = fold(hash ^ low, high ^ multiplier);
            }
            halves(tail)
        } else if let (Some(first), Some(last)) =
            (bytes.first_chunk::<8>(), bytes.last_chunk::<8>())
        {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) =
            (bytes.first_chunk::<4>(), bytes.last_chunk::<4>())
        {
            (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
        } else {
            (bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0)
        };
        let hash = fold(hash ^ low, high ^ multiplier);
        fold(hash, multiplier)
    }

    #[inline]
    pub(crate) fn word(&self, word: u64) -> u64 {
        let [seed, multiplier] = self.key;
        fold(word ^ seed, multiplier)
    }
}

#[inline]
fn halves(chunk: &[u8; 16]) -> (u64, u64) {
    let word = u128::from_le_bytes(*chunk);
    (word as u64, (word >> 64) as u64)
}

/// Whether two texts are equal; inlined for the lengths that names have.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if a.len() > 32 {
        return a == b;
    }
    // First and last words overlap where the length is between.
    if let (Some(a0), Some(a1), Some(b0), Some(b1)) =
        (a.first_chunk::<16>(), a.last_chunk::<16>(), b.first_chunk::<16>(), b.last_chunk::<16>())
    {
        let word = |bytes: &[u8; 16]| u128::from_le_bytes(*bytes);
        return (word(a0) ^ word(b0)) | (word(a1) ^ word(b1)) == 0;
    }
    if let (Some(a0), Some(a1), Some(b0), Some(b1)) =
        (a.first_chunk::<8>(), a.last_chunk::<8>(), b.first_chunk::<8>(), b.last_chunk::<8>())
    {
        let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        return (word(a0) ^ word(b0)) | (word(a1) ^ word(b1)) == 0;
    }
    a.iter().zip(b).all(|(a, b)| a == b)
}

impl BuildHasher for KeyedHash {
    type Hasher = WordHasher;

    #[inline]
    fn build_hasher(&self) -> WordHasher {
        WordHasher { state: self.key[0], multiplier: self.key[1] }
    }
}

/// Hashes the few integers a map key is made of.
pub(crate) struct WordHasher {
    state: u64,
    multiplier: u64,
}

impl Hasher for WordHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.write_u64(word);
        }
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.state = fold(self.state ^ word, self.multiplier);
    }

    #[inline]
    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        fold(self.state, ODD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_every_byte_counts() {
        let hash = KeyedHash::new([1, 2]);
        let mut seen = std::collections::HashSet::new();
        for len in 0..100_usize {
            let bytes = vec![7_u8; len];
            assert!(seen.insert(hash.bytes(&bytes)), "length {len}");
            for at in 0..len {
                let mut other = bytes.clone();
                other[at] = 8;
                assert!(seen.insert(hash.bytes(&other)), "length {len}, byte {at}");
            }
        }
    }

    #[test]
    fn same_is_equality() {
        for len in 0..70_usize {
            let a: Vec<u8> = (0..len as u8).collect();
            assert!(same(&a, &a.clone()));
            assert!(!same(&a, &[&a[..], b"x"].concat()));
            for at in 0..len {
                let mut b = a.clone();
                b[at] ^= 0x40;
                assert!(!same(&a, &b), "length {len}, byte {at}");
            }
        }
    }

    #[test]
    fn another_key_hashes_otherwise() {
        let (a, b) = (KeyedHash::new([1, 2]), KeyedHash::new([3, 4]));
        assert_ne!(a.bytes(b"Controller/users"), b.bytes(b"Controller/users"));
        assert_ne!(a.word(1), b.word(1));
        assert_ne!(a.hash_one(1_u128), b.hash_one(1_u128));
    }
}
