//! Stands in for `crate::sql` until its memo is there: same names, crude work.
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    #[default]
    Generic,
}
impl Dialect {
    pub fn from_name(_: &str) -> Dialect {
        Dialect::Generic
    }
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    #[default]
    Model,
}
#[derive(Clone, Debug)]
pub struct Statement {
    pub text: Box<str>,
    pub summary: Box<str>,
    pub model: Box<str>,
    pub verb: Box<str>,
    pub operation: Box<str>,
    pub fingerprint: u64,
}
#[derive(Debug)]
pub struct Memo(HashMap<Vec<u8>, Arc<Statement>>);
impl Memo {
    pub fn new(_: usize, _: [u64; 2], _: Naming) -> Memo {
        Memo(HashMap::new())
    }
    pub fn get(&mut self, sql: &[u8], _: Dialect, _: bool) -> Arc<Statement> {
        if let Some(found) = self.0.get(sql) {
            return Arc::clone(found);
        }
        let mut text = String::new();
        let mut quoted = false;
        for c in String::from_utf8_lossy(sql).chars() {
            if c == '\'' {
                quoted = !quoted;
                text.push_str(if quoted { "?" } else { "" });
            } else if !quoted && c.is_ascii_digit() {
                if !text.ends_with('?') {
                    text.push('?');
                }
            } else if !quoted {
                text.push(c);
            }
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let verb = words.first().map_or("other".into(), |w| w.to_ascii_lowercase());
        let table = words
            .windows(2)
            .find(|w| ["from", "into", "update"].contains(&w[0].to_ascii_lowercase().as_str()))
            .map_or("SQL", |w| w[1]);
        let mut model = table.trim_end_matches('s').to_owned();
        if let Some(c) = model.get_mut(..1) {
            c.make_ascii_uppercase();
        }
        let fingerprint = super::hash::KeyedHash::new([1, 1]).bytes(text.as_bytes());
        let statement = Arc::new(Statement {
            operation: format!("SQL/{model}/{verb}").into(),
            summary: format!("{} {table}", verb.to_ascii_uppercase()).into(),
            text: text.into(),
            model: model.into(),
            verb: verb.into(),
            fingerprint,
        });
        if self.0.len() < 10_000 {
            self.0.insert(sql.to_vec(), Arc::clone(&statement));
        }
        statement
    }
}
