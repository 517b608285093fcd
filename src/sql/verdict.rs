//! What becomes of each token: shown, masked or dropped; and where a statement is masked from the first doubt on.
//!
//! The text, the summary and the fingerprint are all rendered from what is left here, so a literal that is masked for one
//! is masked for all.

use super::dialect::Dialect;
use super::doublequote::{self, Frames};
use super::keywords::{Kw, OBJECT, RESERVED, VERB};
use super::lexer::{Doubts, NOWHERE};
use super::token::{Fate, GAP, Kind, OPEN, SPACE, Token};

/// Which of the rules apply; all of them, except when another project's vectors are rendered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) mask_booleans: bool,
    pub(super) collapse_lists: bool,
    pub(super) collapse_rows: bool,
}

impl Rules {
    pub(super) const CANONICAL: Rules =
        Rules { mask_booleans: true, collapse_lists: true, collapse_rows: true };
}

/// Decides every token's fate and cuts the list where nothing may follow.
pub(super) fn judge(
    sql: &[u8],
    dialect: Dialect,
    truncated: bool,
    rules: Rules,
    doubts: &Doubts,
    tokens: &mut Vec<Token>,
) {
    if !begins_with_verb(tokens) {
        tokens.clear();
        tokens.push(masked(Token::END));
        return;
    }
    cut(tokens, cut_position(dialect, truncated, doubts));
    let doubles = doubts.first_double < NOWHERE;
    let names = doubles && doublequote::are_names(tokens);
    Judge {
        sql,
        dialect,
        rules,
        tokens,
        frames: Frames::new(names, matches!(dialect, Dialect::Postgres | Dialect::Oracle)),
        doubles,
        verb: Kw::None,
        accounts: false,
        setting: false,
        copying: false,
        definition: false,
        call: Call::None,
        block: false,
        row_end: 0,
    }
    .run();
}

/// A `?` in the place of `token`.
fn masked(token: Token) -> Token {
    Token {
        kind: Kind::Text,
        code: 0,
        flags: token.flags & (SPACE | GAP) | OPEN,
        fate: Fate::Mask,
        ..token
    }
}

/// Gate: a statement begins with a verb; whatever does not may be the middle of a literal.
fn begins_with_verb(tokens: &[Token]) -> bool {
    let first = tokens.iter().find(|token| match token.kind {
        Kind::Punct => !matches!(token.code, b'(' | b';' | b'{'),
        Kind::Param => false,
        Kind::Operator => token.code != b'=',
        _ => true,
    });
    first.is_none_or(|token| token.word().is(VERB))
}

/// From where on everything is masked.
fn cut_position(dialect: Dialect, truncated: bool, doubts: &Doubts) -> u32 {
    let mut at = doubts.ambiguous;
    if dialect == Dialect::Generic || truncated || doubts.swallowed {
        // `\'` ends a literal for some databases. With the dialect known and the end in sight, a wrong reading shows in one
        // of the signs below; otherwise nothing would tell.
        at = at.min(doubts.escape);
    }
    if truncated {
        at = at.min(doubts.nested);
    } else if doubts.open != 0 {
        // Never closed: the quotes may be off by one anywhere before.
        at = at.min(doubts.first_text).min(doubts.escape);
        match doubts.open {
            b'"' => at = at.min(doubts.first_double),
            b'`' | b'[' => at = at.min(doubts.first_name),
            _ => {}
        }
    }
    if doubts.glued || doubts.glued_double || doubts.backslash {
        at = at.min(doubts.first_text).min(doubts.escape);
    }
    if doubts.glued_double || doubts.backslash {
        at = at.min(doubts.first_double);
    }
    at
}

/// Replaces everything from `position` on by one `?`.
fn cut(tokens: &mut Vec<Token>, position: u32) {
    let keep = tokens.partition_point(|token| token.start < position);
    let Some(&first) = tokens.get(keep) else {
        return;
    };
    tokens.truncate(keep);
    let after_literal =
        tokens.last().is_some_and(|token| matches!(token.kind, Kind::Text | Kind::Number));
    if !after_literal || first.flags & SPACE != 0 {
        tokens.push(masked(first));
    }
}

/// T-SQL's procedures take bare words for strings: `EXEC sp_addlogin bob, secret`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    None,
    /// The procedure's name, or more of it, comes next.
    Name,
    /// The name may be over.
    Named,
    Arguments,
}

pub(super) struct Judge<'a> {
    pub(super) sql: &'a [u8],
    pub(super) dialect: Dialect,
    pub(super) rules: Rules,
    pub(super) tokens: &'a mut Vec<Token>,
    pub(super) frames: Frames,
    /// There are names in double quotes, so that the frames matter.
    pub(super) doubles: bool,
    /// The statement may name credentials.
    pub(super) accounts: bool,
    /// The statement's first word.
    pub(super) verb: Kw,
    /// Right of the sign in `SET name = value`.
    pub(super) setting: bool,
    /// In `COPY ... FROM STDIN`, whose data follow the semicolon.
    pub(super) copying: bool,
    /// In the definition of a table or the like, where `password` is a column.
    pub(super) definition: bool,
    /// Where in `EXEC procedure arguments` it is.
    pub(super) call: Call,
    /// Statements inside of a block may begin with any word.
    pub(super) block: bool,
    /// The end of a VALUES row that is being shown.
    pub(super) row_end: usize,
}

impl Judge<'_> {
    pub(super) fn get(&self, index: usize) -> Token {
        self.tokens.get(index).copied().unwrap_or(Token::END)
    }

    pub(super) fn set(&mut self, index: usize, fate: Fate) {
        if let Some(token) = self.tokens.get_mut(index) {
            token.fate = fate;
        }
    }

    /// Masks the token at `index` and drops whatever follows.
    fn mask_rest(&mut self, index: usize) {
        let token = self.get(index);
        self.tokens.truncate(index);
        if token.kind != Kind::End {
            self.tokens.push(masked(token));
        }
    }

    fn run(&mut self) {
        let mut previous = Token::END;
        let mut before = Token::END;
        let mut i = 0;
        while let Some(&token) = self.tokens.get(i) {
            let next = self.get(i + 1);
            let mut after = i + 1;
            match token.kind {
                Kind::Text | Kind::Number => self.set(i, Fate::Mask),
                Kind::Word => after = self.word(i, token, previous, before, next),
                Kind::Quoted => self.quoted(i, token, previous, next),
                Kind::Punct => self.punct(i, token, previous, next),
                Kind::Operator => self.operator(i, token, previous, next),
                Kind::Param | Kind::End => {}
            }
            before = previous;
            previous = token;
            i = after;
        }
    }

    fn word(
        &mut self,
        i: usize,
        token: Token,
        previous: Token,
        before: Token,
        next: Token,
    ) -> usize {
        let word = token.word();
        if self.setting
            && !matches!(
                word,
                Kw::On | Kw::Off | Kw::Default | Kw::Null | Kw::Local | Kw::Global | Kw::Session
            )
        {
            // A bare word can be a value: SET x = secret.
            self.set(i, Fate::Mask);
        }
        if self.verb == Kw::None {
            if !self.begin(i, word) {
                return i;
            }
        } else if self.call != Call::None {
            self.argument(i, word, previous);
        } else if self.accounts {
            self.credential(i, token);
        }
        if word == Kw::None {
            if self.doubles {
                self.frames.name(previous);
            }
            return i + 1;
        }
        match word {
            Kw::True | Kw::False
                if self.rules.mask_booleans && !matches!(previous.word(), Kw::Is | Kw::Not) =>
            {
                self.set(i, Fate::Mask)
            }
            Kw::Null if i < self.row_end => self.set(i, Fate::Mask),
            Kw::By
                if previous.word() == Kw::Identified
                    && !matches!(next.kind, Kind::Text | Kind::Param | Kind::End) =>
            {
                self.mask_rest(i + 1)
            }
            Kw::Password => self.password(i, previous, next),
            Kw::Stdin if self.verb == Kw::Copy => self.copying = true,
            Kw::To if matches!(self.verb, Kw::Set) => self.setting = true,
            Kw::Table | Kw::View | Kw::Index | Kw::Procedure
                if matches!(
                    previous.word(),
                    Kw::Create
                        | Kw::Alter
                        | Kw::Drop
                        | Kw::Temporary
                        | Kw::Temp
                        | Kw::Replace
                        | Kw::Unique
                ) =>
            {
                self.definition = true;
            }
            Kw::In | Kw::Any | Kw::Array if self.rules.collapse_lists => self.collapse_list(i),
            Kw::Values | Kw::Value if self.rules.collapse_rows => self.collapse_rows(i),
            _ => {}
        }
        if self.doubles {
            self.frames.keyword(word, previous, before, next, self.verb);
        }
        i + 1
    }

    /// The first word of a statement; false when it is masked with all that follows.
    fn begin(&mut self, i: usize, word: Kw) -> bool {
        if i > 0 && !word.is(VERB) && !self.block {
            // Behind a semicolon, what begins with no verb is no statement: the data of a COPY, or the rest of a literal.
            self.mask_rest(i);
            return false;
        }
        // A word that is no verb begins something too, or the next verb in it would be taken for the statement's.
        self.verb = if word == Kw::None { Kw::Case } else { word };
        self.accounts = matches!(
            word,
            Kw::Attach
                | Kw::Copy
                | Kw::Create
                | Kw::Alter
                | Kw::Open
                | Kw::Backup
                | Kw::Restore
                | Kw::Load
                | Kw::Export
                | Kw::Import
        );
        match word {
            Kw::Begin
            | Kw::Create
            | Kw::Alter
            | Kw::Declare
            | Kw::If
            | Kw::While
            | Kw::Do
            | Kw::Case => self.block = true,
            Kw::Exec | Kw::Execute => self.call = Call::Name,
            Kw::Pragma => {
                // PRAGMA key(secret): SQLCipher's keys
                let name = self.get(i + 1).bytes(self.sql);
                let tail = name.len().saturating_sub(3);
                if name.get(tail..).is_some_and(|tail| tail.eq_ignore_ascii_case(b"key")) {
                    let sign = self.get(i + 2);
                    let signed = sign.kind == Kind::Operator || sign.is_punct(b'(');
                    self.mask_rest(if signed { i + 3 } else { i + 2 });
                }
            }
            _ => {}
        }
        true
    }

    /// A word in a procedure's call.
    fn argument(&mut self, i: usize, word: Kw, previous: Token) {
        let parameter = previous.is_operator(b'@') && self.get(i).touches(&previous);
        match (self.call, word) {
            // @name, where the dialect does not know it
            _ if parameter => {}
            (Call::Name, _) => self.call = Call::Named,
            (_, Kw::Null | Kw::Default) => {}
            // Without semicolons, the next statement.
            (_, word) if word.is(VERB) => self.call = Call::None,
            _ => {
                self.call = Call::Arguments;
                self.set(i, Fate::Mask);
            }
        }
    }

    /// `SECRET_KEY x`, without quotes, in a statement about anything but rows.
    fn credential(&mut self, i: usize, token: Token) {
        if self.definition {
            return;
        }
        let begins = |part: &[u8], word: &[u8]| {
            part.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        let secret = token.bytes(self.sql).split(|&b| b == b'_').any(|part| {
            let tail = part.get(part.len().saturating_sub(3)..).unwrap_or_default();
            tail.eq_ignore_ascii_case(b"key")
                || [&b"secret"[..], b"token", b"passw", b"credential"]
                    .iter()
                    .any(|word| begins(part, word))
        });
        if !secret {
            return;
        }
        let value = if self.get(i + 1).is_operator(b'=') { i + 2 } else { i + 1 };
        let next = self.get(value);
        if next.is_name() && !next.word().is(RESERVED | OBJECT) {
            self.set(value, Fate::Mask);
            if let Some(token) = self.tokens.get_mut(value) {
                // Nothing else may show it again.
                token.kind = Kind::Text;
            }
        }
    }

    /// `PASSWORD secret`, without quotes, in a statement about accounts.
    fn password(&mut self, i: usize, previous: Token, next: Token) {
        let accounts = matches!(
            self.verb,
            Kw::Create
                | Kw::Alter
                | Kw::Set
                | Kw::Connect
                | Kw::Validate
                | Kw::Check
                | Kw::Export
                | Kw::Import
                | Kw::Recover
        );
        if !accounts || self.definition || previous.kind == Kind::End {
            return;
        }
        let (value, at) =
            if next.is_operator(b'=') { (self.get(i + 2), i + 2) } else { (next, i + 1) };
        if matches!(value.kind, Kind::Word | Kind::Quoted | Kind::Number)
            && !matches!(value.word(), Kw::Null | Kw::Password)
        {
            self.mask_rest(at);
        }
    }

    fn quoted(&mut self, i: usize, token: Token, previous: Token, next: Token) {
        let after = self.get(i + 2);
        // 128 characters is the longest name any database has; a character is at most two bytes in nearly all of them.
        let long = token.len() > 258;
        let argument = matches!(self.call, Call::Named | Call::Arguments);
        if self.call == Call::Name {
            self.call = Call::Named;
        }
        if long || self.setting || argument || !self.frames.keeps(token, previous, next, after) {
            self.set(i, Fate::Mask);
        }
        self.frames.name(previous);
    }

    fn punct(&mut self, i: usize, token: Token, previous: Token, next: Token) {
        match token.code {
            b'.' if self.call == Call::Named => self.call = Call::Name,
            b'(' => {
                self.setting = false;
                self.frames.open(previous, next);
            }
            b')' => self.frames.close(),
            b',' => {
                self.setting = self.setting && !self.assignment_follows(i + 1);
            }
            b';' => {
                if self.copying {
                    self.tokens.truncate(i + 1);
                }
                self.verb = Kw::None;
                self.copying = false;
                self.setting = false;
                self.definition = false;
                self.call = Call::None;
                self.frames.statement();
            }
            b'[' if next.is_punct(b'[') && next.touches(&token) => {
                // Rails appends the bind values to the statement it logs: [["name", "secret"]]
                let array = match previous.kind {
                    Kind::Word => previous.word() == Kw::Array,
                    Kind::Punct => matches!(previous.code, b']' | b'(' | b',' | b'['),
                    Kind::Operator => self.dialect == Dialect::Cassandra,
                    _ => false,
                };
                if !array && previous.kind != Kind::End {
                    self.tokens.truncate(i);
                }
            }
            _ => {}
        }
    }

    /// Whether another `name = value` follows the comma in a SET, rather than more of a list.
    fn assignment_follows(&self, from: usize) -> bool {
        (from..from + 6)
            .map(|index| self.get(index))
            .take_while(|token| !token.is_punct(b',') && !token.is_punct(b';'))
            .any(|token| token.is_operator(b'='))
    }

    fn operator(&mut self, i: usize, token: Token, previous: Token, next: Token) {
        match token.code {
            b'=' if matches!(self.verb, Kw::Set | Kw::Pragma) => self.setting = true,
            b'/' if self.verb == Kw::Connect => self.mask_rest(i + 1),
            b'-' | b'+'
                if next.kind == Kind::Number && next.touches(&token) && unary_after(previous) =>
            {
                self.set(i, Fate::Drop)
            }
            _ => {}
        }
    }
}

/// Whether a sign behind `previous` belongs to the number that follows it.
fn unary_after(previous: Token) -> bool {
    match previous.kind {
        Kind::End | Kind::Operator => true,
        Kind::Punct => matches!(previous.code, b'(' | b',' | b'[' | b'{' | b';'),
        Kind::Word => previous.word().is(RESERVED),
        _ => false,
    }
}
