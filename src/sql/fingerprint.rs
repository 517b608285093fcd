//! One number for all statements that differ only in their literals, letter case, spacing, comments and list lengths.

use xxhash_rust::xxh3::xxh3_64;

use super::keywords::Kw;
use super::token::{Fate, Kind, Token};

/// Stands before every hashed stream, so that a later version's fingerprints never meet this one's.
const VERSION: &[u8] = b"v1";
const LITERAL: u8 = 1;
const NAME: u8 = 2;
const SIGN: u8 = 3;

/// Tells pairs of names apart: of a model and a verb, whose letter case the fingerprint does not see.
pub(super) fn of_names(model: &str, verb: &str) -> u64 {
    xxh3_64(model.as_bytes()).rotate_left(1) ^ xxh3_64(verb.as_bytes())
}

/// XXH3-64 over the judged tokens, each with its kind and length (so that `"a b"` and `a b` differ). `canon` is scratch space.
pub(super) fn fingerprint(sql: &[u8], tokens: &[Token], canon: &mut Vec<u8>) -> u64 {
    canon.clear();
    canon.extend_from_slice(VERSION);
    let shown = tokens.iter().rposition(|token| !token.is_punct(b';')).map_or(0, |last| last + 1);
    let mut previous = Kw::None;
    for token in tokens.iter().take(shown) {
        match token.fate {
            Fate::Gone | Fate::Drop => continue,
            Fate::Mask => canon.push(LITERAL),
            Fate::Keep => match token.kind {
                Kind::Param | Kind::Text | Kind::Number => canon.push(LITERAL),
                Kind::Word if token.word() == Kw::Null && !matches!(previous, Kw::Is | Kw::Not) => {
                    canon.push(LITERAL)
                }
                Kind::Word => name(token.bytes(sql), canon),
                Kind::Quoted => {
                    let bytes = token.bytes(sql);
                    name(bytes.get(1..bytes.len().saturating_sub(1)).unwrap_or_default(), canon);
                }
                Kind::Punct | Kind::Operator => {
                    canon.push(SIGN);
                    canon.extend_from_slice(token.bytes(sql));
                }
                Kind::End => {}
            },
        }
        previous = token.word();
    }
    xxh3_64(canon)
}

fn name(bytes: &[u8], canon: &mut Vec<u8>) {
    // A name longer than 65,535 bytes is longer than any input.
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes();
    canon.extend_from_slice(&[NAME, len[0], len[1]]);
    canon.extend(bytes.iter().map(u8::to_ascii_lowercase));
}
