use super::calls::CallStats;
use super::histogram::Histogram;
use super::operation::{OTHER, split};
use super::period::{
    HostKey, HostStats, JobKey, JobStats, MetricKey, NPlusOne, QueryKey, QueryStats, StatementKey,
    StatementStats,
};
use super::weight::heaviest_first;
use std::collections::BTreeMap;

/// What a period's tables are made of.
pub(crate) trait Entry: Sized {
    /// How it is found.
    type Key: Ord + Clone;
    /// Entries a merged table may have. Above what one minute of one process holds, so that
    /// merging is exact for each key in all but extreme cases, and in sum always.
    const LIMIT: usize;
    /// Adds another entry with the same key.
    fn add(&mut self, other: Self);
    /// How much it matters; the least are folded first.
    fn weight(&self) -> u64;
    /// Where it goes when there are too many.
    fn other(key: &Self::Key) -> Self::Key;
    /// What it is there.
    fn into_other(self) -> Self {
        self
    }
}

/// Adds the entries of `from` to `to`.
pub(crate) fn merge_map<E: Entry>(to: &mut BTreeMap<E::Key, E>, from: BTreeMap<E::Key, E>) {
    for (key, entry) in from {
        add_entry(to, key, entry);
    }
    if to.len() > E::LIMIT {
        fold_least(to);
    }
}

pub(crate) fn add_entry<E: Entry>(to: &mut BTreeMap<E::Key, E>, key: E::Key, entry: E) {
    match to.entry(key) {
        std::collections::btree_map::Entry::Occupied(mut held) => held.get_mut().add(entry),
        std::collections::btree_map::Entry::Vacant(place) => {
            place.insert(entry);
        }
    }
}

#[cold]
fn fold_least<E: Entry>(table: &mut BTreeMap<E::Key, E>) {
    // From the back: of equally heavy ones the last stay.
    let keys: Vec<E::Key> = table.keys().rev().cloned().collect();
    let places = heaviest_first(table.values().rev().map(E::weight));
    for key in places.iter().skip(E::LIMIT / 4 * 3).filter_map(|place| keys.get(*place)) {
        let other = E::other(key);
        if other != *key
            && let Some(entry) = table.remove(key)
        {
            add_entry(table, other, entry.into_other());
        }
    }
}

/// `Controller/other` for a controller, `Job/other` for a job.
pub(crate) fn other_scope(scope: &str) -> String {
    if scope.is_empty() { String::new() } else { format!("{}/{OTHER}", split(scope).0) }
}

impl Entry for CallStats {
    type Key = MetricKey;
    const LIMIT: usize = 80_000;
    fn add(&mut self, other: Self) {
        CallStats::add(self, &other);
    }
    fn weight(&self) -> u64 {
        self.total
    }
    fn other(key: &MetricKey) -> MetricKey {
        let scope = other_scope(&key.scope);
        if scope == key.scope {
            MetricKey { scope, bucket: key.bucket.clone(), name: OTHER.to_owned() }
        } else {
            MetricKey { scope, ..key.clone() }
        }
    }
}

impl Entry for Histogram {
    type Key = String;
    const LIMIT: usize = 4_000;
    fn add(&mut self, other: Self) {
        self.merge(&other);
    }
    fn weight(&self) -> u64 {
        self.count()
    }
    fn other(key: &String) -> String {
        other_scope(key)
    }
}

impl Entry for JobStats {
    type Key = JobKey;
    const LIMIT: usize = 4_000;
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.errors += other.errors;
        self.total = self.total.saturating_add(other.total);
        self.total_times.merge(&other.total_times);
        self.exclusive_times.merge(&other.exclusive_times);
        for (layer, calls) in other.layers {
            self.layers.entry(layer).or_default().add(&calls);
        }
        self.latency.add(&other.latency);
    }
    fn weight(&self) -> u64 {
        self.total
    }
    fn other(key: &JobKey) -> JobKey {
        // Queues may be as many as jobs.
        let queue = if key.name == OTHER { OTHER.to_owned() } else { key.queue.clone() };
        JobKey { queue, name: OTHER.to_owned() }
    }
}

impl Entry for QueryStats {
    type Key = QueryKey;
    const LIMIT: usize = 20_000;
    fn add(&mut self, other: Self) {
        self.transactions += other.transactions;
        self.calls.add(&other.calls);
        self.rows.add(&other.rows);
        self.histogram.merge(&other.histogram);
    }
    fn weight(&self) -> u64 {
        self.calls.total
    }
    fn other(key: &QueryKey) -> QueryKey {
        QueryKey {
            scope: other_scope(&key.scope),
            model: "SQL".to_owned(),
            operation: OTHER.to_owned(),
        }
    }
}

impl Entry for HostStats {
    type Key = HostKey;
    const LIMIT: usize = 20_000;
    fn add(&mut self, other: Self) {
        self.transactions += other.transactions;
        self.calls.add(&other.calls);
        self.histogram.merge(&other.histogram);
    }
    fn weight(&self) -> u64 {
        self.calls.total
    }
    fn other(key: &HostKey) -> HostKey {
        HostKey { scope: other_scope(&key.scope), host: OTHER.to_owned() }
    }
}

impl Entry for StatementStats {
    type Key = StatementKey;
    const LIMIT: usize = 20_000;
    fn add(&mut self, other: Self) {
        if (&other.statement, &other.operation) < (&self.statement, &self.operation) {
            self.statement = other.statement;
            self.operation = other.operation;
        }
        self.calls.add(&other.calls);
        self.histogram.merge(&other.histogram);
    }
    fn weight(&self) -> u64 {
        self.calls.total
    }
    fn other(key: &StatementKey) -> StatementKey {
        StatementKey { scope: other_scope(&key.scope), fingerprint: 0 }
    }
    fn into_other(self) -> Self {
        StatementStats { statement: OTHER.to_owned(), operation: format!("SQL/{OTHER}"), ..self }
    }
}

impl Entry for NPlusOne {
    type Key = StatementKey;
    const LIMIT: usize = 4_000;
    fn add(&mut self, other: Self) {
        if self.statement.is_empty() || other.statement < self.statement {
            self.statement = other.statement;
        }
        self.requests += other.requests;
        self.count += other.count;
        self.total = self.total.saturating_add(other.total);
        self.caller = match (self.caller.take(), other.caller) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    fn weight(&self) -> u64 {
        self.total
    }
    fn other(key: &StatementKey) -> StatementKey {
        <StatementStats as Entry>::other(key)
    }
    fn into_other(self) -> Self {
        NPlusOne { statement: OTHER.to_owned(), caller: None, ..self }
    }
}

/// Tables as lists of pairs: JSON's keys are strings only.
pub(crate) mod pairs {
    use serde::de::{SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;
    use std::fmt;
    use std::marker::PhantomData;

    pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        table: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(table)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        deserializer.deserialize_seq(Pairs(PhantomData))
    }

    struct Pairs<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for Pairs<K, V> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of pairs")
        }

        // One by one: collecting them at once would sort them, which is code for each type.
        fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<Self::Value, A::Error> {
            let mut table = BTreeMap::new();
            while let Some((key, value)) = pairs.next_element()? {
                table.insert(key, value);
            }
            Ok(table)
        }
    }
}
