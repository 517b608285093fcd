//! T-SQL's `sp_executesql N'...'`: drivers send every parameterised statement inside of one, and its name is of no use.

use super::keywords::{Kw, word_is};
use super::token::{Kind, OPEN, Token};

/// Copies the statement inside of `sp_executesql`'s first argument to `inner`; false when there is none.
/// Once only: a statement inside of the inner one stays a literal.
pub(super) fn inner(sql: &[u8], tokens: &[Token], inner: &mut Vec<u8>) -> bool {
    let Some((call, rest)) = tokens.split_first() else {
        return false;
    };
    if !matches!(call.word(), Kw::Exec | Kw::Execute) {
        return false;
    }
    let named = |token: &Token, name: &[u8]| {
        token.kind == Kind::Word && word_is(sql, token.start as usize, token.end as usize, name)
    };
    let rest = match rest {
        [schema, dot, rest @ ..] if named(schema, b"sys") && dot.is_punct(b'.') => rest,
        _ => rest,
    };
    let rest = match rest {
        [procedure, rest @ ..] if named(procedure, b"sp_executesql") => rest,
        _ => return false,
    };
    let literal = match rest {
        [parameter, sign, literal, ..]
            if parameter.kind == Kind::Param && sign.is_operator(b'=') =>
        {
            literal
        }
        [literal, ..] => literal,
        [] => return false,
    };
    if literal.kind != Kind::Text || literal.flags & OPEN != 0 {
        return false;
    }
    let quoted = literal.bytes(sql);
    let body = match quoted {
        [b'N' | b'n', b'\'', body @ .., b'\''] | [b'\'', body @ .., b'\''] => body,
        _ => return false,
    };
    inner.clear();
    // Inside, a quote is written twice.
    let mut bytes = body.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'\'' {
            bytes.next_if_eq(&b'\'');
        }
        inner.push(byte);
    }
    true
}
