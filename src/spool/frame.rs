//! A file's head: what it is, how long, and its checksum.

use flate2::Crc;
use std::fmt;

/// `SCSP`, version 1 (u32), CRC-32 of the body (u32), the body's length (u32); little-endian.
const HEAD: usize = 16;
const MAGIC: [u8; 4] = *b"SCSP";
const VERSION: u32 = 1;

/// Why a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// It does not begin as a spool file does.
    NotOurs,
    /// Written by another version.
    OtherVersion(u32),
    /// Shorter or longer than it says.
    Truncated,
    /// Its body is not what was written.
    Checksum,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::NotOurs => write!(f, "not a spool file"),
            FrameError::OtherVersion(version) => write!(f, "spool format version {version}"),
            FrameError::Truncated => write!(f, "cut short"),
            FrameError::Checksum => write!(f, "checksum mismatch"),
        }
    }
}

/// A file with this body.
pub fn encode(body: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEAD + body.len());
    file.extend(MAGIC);
    file.extend(VERSION.to_le_bytes());
    file.extend(checksum(body).to_le_bytes());
    file.extend((body.len() as u32).to_le_bytes());
    file.extend(body);
    file
}

/// The body of a file, if the file is whole.
pub fn decode(file: &[u8]) -> Result<&[u8], FrameError> {
    let (head, body) = file.split_first_chunk::<HEAD>().ok_or(FrameError::Truncated)?;
    let word = |at: usize| {
        let bytes = head.get(at..at + 4).and_then(|b| b.first_chunk::<4>()).copied();
        u32::from_le_bytes(bytes.unwrap_or_default())
    };
    if head[..4] != MAGIC {
        return Err(FrameError::NotOurs);
    }
    let whole = word(12) as usize == body.len() && word(8) == checksum(body);
    if word(4) != VERSION {
        // A later version's checksum covers the version too, so that a flipped bit is told from it.
        return Err(if whole { FrameError::Checksum } else { FrameError::OtherVersion(word(4)) });
    }
    if word(12) as usize != body.len() {
        return Err(FrameError::Truncated);
    }
    if whole { Ok(body) } else { Err(FrameError::Checksum) }
}

/// CRC-32, as in gzip.
pub fn checksum(body: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(body);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let file = encode(b"{\"minute\":29000000}");
        assert_eq!(decode(&file), Ok(&b"{\"minute\":29000000}"[..]));
        for bit in 0..file.len() * 8 {
            let mut bad = file.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad).is_err(), "bit {bit}");
        }
        for len in 0..file.len() {
            assert!(decode(&file[..len]).is_err(), "cut to {len}");
        }
    }
}
