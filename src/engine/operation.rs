use super::hash::KeyedHash;
use super::stats::EngineStats;
use super::symbols::{Interned, Symbols, cut};
use crate::model::NameId;
use crate::record::{Names, Text};

/// An operation (`Controller/users/show`) known to this engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct OpId(pub u32);

/// An operation's type (`Controller`) known to this engine. Zero is `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct TypeId(pub u16);

/// The types that mean something to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum SpanKind {
    /// A web request's scope.
    Controller,
    /// A job's scope.
    Job,
    /// The queue a job came from.
    Queue,
    /// A database call that may carry its statement.
    Sql,
    /// A database call named by its model, `ActiveRecord/User/find`.
    ActiveRecord,
    /// A call to another store of data.
    Store,
    /// A call to another service.
    Http,
    /// Any other.
    #[default]
    Layer,
}

impl SpanKind {
    fn of(layer: &str) -> SpanKind {
        match layer {
            "Controller" => SpanKind::Controller,
            "Job" => SpanKind::Job,
            "Queue" => SpanKind::Queue,
            "SQL" => SpanKind::Sql,
            "ActiveRecord" => SpanKind::ActiveRecord,
            "HTTP" => SpanKind::Http,
            "Redis" | "MongoDB" | "Mongo" | "Elasticsearch" | "ElasticSearch" | "Memcached"
            | "Memcache" | "Ecto" | "Cassandra" | "DynamoDB" | "InfluxDB" => SpanKind::Store,
            _ => SpanKind::Layer,
        }
    }

    /// Whether a span of this kind names its request.
    #[inline]
    pub(crate) fn is_scope(self) -> bool {
        matches!(self, SpanKind::Controller | SpanKind::Job)
    }

    /// Whether it is a database call even without a statement.
    #[inline]
    pub(crate) fn is_database(self) -> bool {
        matches!(self, SpanKind::Sql | SpanKind::ActiveRecord)
    }

    /// Whether free text on such a span may hold an application's data.
    #[inline]
    pub(crate) fn holds_data(self) -> bool {
        matches!(self, SpanKind::Sql | SpanKind::ActiveRecord | SpanKind::Store)
    }
}

/// What is known of an operation besides its text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OpInfo {
    pub kind: SpanKind,
    pub layer: TypeId,
    /// Lookups since the table was built: what is in use survives a rebuild.
    uses: u32,
}

/// Operations and their types, interned. Bounded; see [`Operations::rebuilt`].
#[derive(Debug)]
pub(crate) struct Operations {
    hash: KeyedHash,
    limit: usize,
    symbols: Symbols,
    infos: Vec<OpInfo>,
    layers: Symbols,
    /// The operation last seen behind an interned name's id, plus one. A hint only: another
    /// process's table may give the id another meaning.
    by_name: Vec<u32>,
    /// Each type's `Type/other`, plus one, once it was needed.
    others: Vec<u32>,
}

/// The longest operation kept; agents' names are far shorter.
const MAX_OPERATION: usize = 256;
/// The most types kept; every further one is `other`.
const MAX_LAYERS: usize = 256;
/// The most name ids with a hint.
const MAX_HINTS: usize = 1 << 17;

impl Operations {
    pub(crate) fn new(hash: KeyedHash, limit: usize) -> Self {
        let mut layers = Symbols::new(hash, MAX_LAYERS);
        layers.intern(OTHER.as_bytes());
        Operations {
            hash,
            limit: limit.max(2 * MAX_LAYERS),
            symbols: Symbols::new(hash, limit.max(2 * MAX_LAYERS)),
            infos: Vec::new(),
            layers,
            by_name: Vec::new(),
            others: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn info(&self, op: OpId) -> OpInfo {
        self.infos.get(op.0 as usize).copied().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn text(&self, op: OpId) -> &str {
        self.symbols.text(op.0)
    }

    pub(crate) fn layer_text(&self, layer: TypeId) -> &str {
        self.layers.text(u32::from(layer.0))
    }

    pub(crate) fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Only a quarter of room is left: time to rebuild.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.symbols.len() >= self.limit / 4 * 3
    }

    /// The operation a record names.
    #[inline]
    pub(crate) fn resolve(
        &mut self,
        text: Text<'_>,
        names: &impl Names,
        stats: &mut EngineStats,
    ) -> OpId {
        match text {
            Text::Bytes(bytes) => self.intern(bytes, stats),
            Text::Name(id) => {
                let Some(name) = names.name(id) else {
                    stats.unknown_names += u64::from(id.0 != 0);
                    return self.intern(b"", stats);
                };
                let hint = self.by_name.get(id.0 as usize).copied().unwrap_or(0);
                if let Some(symbol) = hint.checked_sub(1)
                    && self.symbols.is(symbol, name)
                {
                    let op = OpId(symbol);
                    self.count_use(op);
                    return op;
                }
                let op = self.intern(name.as_bytes(), stats);
                self.hint(id, op);
                op
            }
        }
    }

    #[cold]
    fn hint(&mut self, id: NameId, op: OpId) {
        let at = id.0 as usize;
        if at >= MAX_HINTS {
            return;
        }
        if at >= self.by_name.len() {
            self.by_name.resize((at + 1).next_power_of_two(), 0);
        }
        if let Some(hint) = self.by_name.get_mut(at) {
            *hint = op.0 + 1;
        }
    }

    #[inline]
    fn count_use(&mut self, op: OpId) {
        if let Some(info) = self.infos.get_mut(op.0 as usize) {
            info.uses = info.uses.saturating_add(1);
        }
    }

    /// The operation with this text. A full table answers with the type's `other`.
    #[inline]
    pub(crate) fn intern(&mut self, bytes: &[u8], stats: &mut EngineStats) -> OpId {
        let head = cut(bytes, MAX_OPERATION);
        match self.symbols.intern(head) {
            Interned::Found(symbol) => {
                self.count_use(OpId(symbol));
                OpId(symbol)
            }
            Interned::Added(symbol) => {
                stats.names_cut += u64::from(head.len() < bytes.len());
                self.describe(symbol, stats)
            }
            Interned::Full => self.overflow(head, stats),
        }
    }

    #[cold]
    fn describe(&mut self, symbol: u32, stats: &mut EngineStats) -> OpId {
        let text = self.symbols.text(symbol);
        let layer = text.split('/').next().unwrap_or("");
        let layer_id = match self.layers.intern(layer.as_bytes()) {
            Interned::Found(id) | Interned::Added(id) => TypeId(id as u16),
            Interned::Full => {
                stats.layers_overflowed += 1;
                TypeId::default()
            }
        };
        self.infos.push(OpInfo { kind: SpanKind::of(layer), layer: layer_id, uses: 1 });
        OpId(symbol)
    }

    #[cold]
    fn overflow(&mut self, bytes: &[u8], stats: &mut EngineStats) -> OpId {
        stats.operations_overflowed += 1;
        let layer = bytes.split(|byte| *byte == b'/').next().unwrap_or_default();
        let layer = match self.layers.intern(layer) {
            Interned::Found(id) | Interned::Added(id) => TypeId(id as u16),
            Interned::Full => TypeId::default(),
        };
        self.other_of(layer, stats)
    }

    /// `Type/other`, for what does not fit.
    pub(crate) fn other_of(&mut self, layer: TypeId, stats: &mut EngineStats) -> OpId {
        let at = usize::from(layer.0);
        if let Some(symbol) = self.others.get(at).and_then(|other| other.checked_sub(1)) {
            return OpId(symbol);
        }
        let text = format!("{}/{OTHER}", self.layer_text(layer));
        self.symbols.allow_one_more();
        let op = match self.symbols.intern(text.as_bytes()) {
            Interned::Found(symbol) => OpId(symbol),
            Interned::Added(symbol) => self.describe(symbol, stats),
            Interned::Full => OpId::default(),
        };
        if self.others.len() <= at {
            self.others.resize(at + 1, 0);
        }
        if let Some(other) = self.others.get_mut(at) {
            *other = op.0 + 1;
        }
        op
    }

    /// A table with what is in use: what `keep` names, and what was looked up often.
    ///
    /// Gives the new table and, for each old operation, its new number. Types keep theirs.
    pub(crate) fn rebuilt(
        &self,
        keep: &[bool],
        stats: &mut EngineStats,
    ) -> (Self, Vec<Option<OpId>>) {
        const OFTEN: u32 = 16;
        let mut table = Operations::new(self.hash, self.limit);
        table.layers = self.layers.clone();
        let mut moved = vec![None; self.infos.len()];
        let mut often: Vec<usize> = Vec::new();
        for (old, info) in self.infos.iter().enumerate() {
            if keep.get(old).copied().unwrap_or(false) {
                if let Some(to) = moved.get_mut(old) {
                    *to = Some(table.intern(self.symbols.text(old as u32).as_bytes(), stats));
                }
            } else if info.uses >= OFTEN {
                often.push(old);
            }
        }
        often.sort_by_key(|old| std::cmp::Reverse(self.infos.get(*old).map(|info| info.uses)));
        for old in often.into_iter().take((self.limit / 2).saturating_sub(table.len())) {
            if let Some(to) = moved.get_mut(old) {
                *to = Some(table.intern(self.symbols.text(old as u32).as_bytes(), stats));
            }
        }
        (table, moved)
    }
}

/// What a table's surplus is folded into.
pub(crate) const OTHER: &str = "other";

/// An operation's two parts: `Type` and the rest; both are the whole when there is no slash.
pub(crate) fn split(operation: &str) -> (&str, &str) {
    operation.split_once('/').unwrap_or((operation, operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoNames;
    impl Names for NoNames {
        fn name(&self, _: NameId) -> Option<&str> {
            None
        }
    }

    fn table(limit: usize) -> Operations {
        Operations::new(KeyedHash::new([1, 2]), limit)
    }

    #[test]
    fn types_are_told_apart() {
        let (mut ops, mut stats) = (table(1000), EngineStats::default());
        let show = ops.intern(b"Controller/users/show", &mut stats);
        let edit = ops.intern(b"Controller/users/edit", &mut stats);
        let php = ops.intern(b"file_get_contents", &mut stats);
        assert_ne!(show, edit);
        assert_eq!(ops.info(show).layer, ops.info(edit).layer);
        assert_eq!(ops.info(show).kind, SpanKind::Controller);
        assert_eq!(ops.layer_text(ops.info(php).layer), "file_get_contents");
        assert_eq!(split("Controller/users/show"), ("Controller", "users/show"));
        assert_eq!(split("file_get_contents"), ("file_get_contents", "file_get_contents"));
        let unknown = ops.resolve(Text::Name(NameId(7)), &NoNames, &mut stats);
        assert_eq!((ops.text(unknown), stats.unknown_names), ("", 1));
    }

    #[test]
    fn a_full_table_falls_back_to_the_type() {
        let (mut ops, mut stats) = (table(0), EngineStats::default());
        for i in 0..10_000 {
            ops.intern(format!("Controller/{i}").as_bytes(), &mut stats);
        }
        let op = ops.intern(b"Controller/one more", &mut stats);
        assert_eq!(ops.text(op), "Controller/other");
        assert_eq!(ops.info(op).kind, SpanKind::Controller);
        let op = ops.intern(b"Never/seen", &mut stats);
        assert_eq!(ops.text(op), "Never/other");
        assert!(ops.len() < 600 && stats.operations_overflowed > 9000);
    }

    #[test]
    fn a_rebuild_keeps_what_is_used() {
        let (mut ops, mut stats) = (table(0), EngineStats::default());
        let held = ops.intern(b"Controller/held", &mut stats);
        for _ in 0..20 {
            ops.intern(b"Controller/busy", &mut stats);
        }
        for i in 0..500 {
            ops.intern(format!("Custom/{i}").as_bytes(), &mut stats);
        }
        assert!(ops.is_nearly_full());
        let mut keep = vec![false; ops.len()];
        keep[held.0 as usize] = true;
        let (mut table, moved) = ops.rebuilt(&keep, &mut stats);
        assert_eq!(table.text(moved[held.0 as usize].unwrap()), "Controller/held");
        assert_eq!(table.len(), 2);
        let busy = table.intern(b"Controller/busy", &mut stats);
        assert_eq!(table.len(), 2);
        assert_eq!(table.info(busy).kind, SpanKind::Controller);
    }
}
