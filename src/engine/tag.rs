use super::hash::KeyedHash;
use super::stats::EngineStats;
use super::symbols::{Interned, Symbols, cut};
use crate::model::NameId;
use crate::record::{Names, TagValue, Text};

/// The tags that mean something to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum KnownTag {
    /// Anything the application says about a request.
    #[default]
    Context,
    // Of requests.
    Path,
    Error,
    IgnoreTransaction,
    TransactionName,
    UserIp,
    /// A header that says for whom a proxy asks.
    ForwardedFor,
    QueueTimeNanos,
    QueueStart,
    JobQueueTimeNanos,
    QueueTimeSeconds,
    Queue,
    MemDelta,
    MemoryDelta,
    // Of spans.
    Statement,
    DbSystem,
    DbModel,
    DbOperation,
    Rows,
    ClassName,
    Stack,
    Allocations,
    StartAllocations,
    StopAllocations,
    Url,
    Uri,
    Description,
    /// May hold an application's data: never kept.
    Secret,
}

impl KnownTag {
    /// Whether its text may be kept of a database span: it names things, it does not hold data.
    pub(crate) fn is_safe_on_database(self) -> bool {
        use KnownTag as K;
        matches!(self, K::Stack | K::ClassName | K::Rows | K::DbModel | K::DbOperation)
    }

    /// Whether it is only shown: no figure depends on it, and it may be long.
    pub(crate) fn is_only_shown(self) -> bool {
        use KnownTag as K;
        matches!(self, K::Context | K::Stack | K::Description | K::Uri | K::Url)
    }

    pub(crate) fn of(key: &str) -> KnownTag {
        let known = KNOWN.iter().find(|(known, _)| *known == key);
        let header = || HEADERS.iter().find(|(header, _)| header.eq_ignore_ascii_case(key));
        known.or_else(header).map_or(KnownTag::Context, |(_, known)| *known)
    }
}

/// The keys that mean something.
const KNOWN: &[(&str, KnownTag)] = &[
    ("path", KnownTag::Path),
    ("error", KnownTag::Error),
    ("ignore_transaction", KnownTag::IgnoreTransaction),
    ("transaction.name", KnownTag::TransactionName),
    ("user_ip", KnownTag::UserIp),
    ("scout.queue_time_ns", KnownTag::QueueTimeNanos),
    ("scout.job_queue_time_ns", KnownTag::JobQueueTimeNanos),
    ("queue_time", KnownTag::QueueTimeSeconds),
    ("queue_latency", KnownTag::QueueTimeSeconds),
    ("queue", KnownTag::Queue),
    ("mem_delta", KnownTag::MemDelta),
    ("memory_delta", KnownTag::MemoryDelta),
    ("db.statement", KnownTag::Statement),
    ("db.query.text", KnownTag::Statement),
    ("db.system", KnownTag::DbSystem),
    ("db.system.name", KnownTag::DbSystem),
    ("db.model", KnownTag::DbModel),
    ("db.operation", KnownTag::DbOperation),
    ("db.operation.name", KnownTag::DbOperation),
    ("db.rows_returned", KnownTag::Rows),
    ("db.record_count", KnownTag::Rows),
    ("db.class_name", KnownTag::ClassName),
    ("stack", KnownTag::Stack),
    ("backtrace", KnownTag::Stack),
    ("allocations", KnownTag::Allocations),
    ("start_allocations", KnownTag::StartAllocations),
    ("stop_allocations", KnownTag::StopAllocations),
    ("url", KnownTag::Url),
    ("uri", KnownTag::Uri),
    ("desc", KnownTag::Description),
    ("scout.desc", KnownTag::Description),
    ("args", KnownTag::Secret),
    ("command", KnownTag::Secret),
    ("db.params", KnownTag::Secret),
    ("db.query.parameter", KnownTag::Secret),
];

/// Of any case, as headers are.
const HEADERS: &[(&str, KnownTag)] = &[
    ("X-Queue-Start", KnownTag::QueueStart),
    ("X-Request-Start", KnownTag::QueueStart),
    ("X-Forwarded-For", KnownTag::ForwardedFor),
    ("Client-Ip", KnownTag::ForwardedFor),
    ("Remote-Addr", KnownTag::ForwardedFor),
];

/// A tag's key known to this engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyId(u32);

/// Tag keys, interned. Bounded: tags with further keys are dropped and counted.
#[derive(Debug)]
pub(crate) struct TagKeys {
    hash: KeyedHash,
    symbols: Symbols,
    known: Vec<KnownTag>,
    /// As in [`super::operation::Operations`]: a hint.
    by_name: Vec<u32>,
}

const MAX_KEYS: usize = 4096;
const MAX_KEY: usize = 128;
const MAX_HINTS: usize = 1 << 17;

impl TagKeys {
    pub(crate) fn new(hash: KeyedHash) -> Self {
        let symbols = Symbols::new(hash, MAX_KEYS);
        let mut keys = TagKeys { hash, symbols, known: Vec::new(), by_name: Vec::new() };
        // However many keys an application makes up, these have their place.
        for (key, _) in KNOWN.iter().chain(HEADERS) {
            keys.intern(key.as_bytes());
        }
        for (header, _) in HEADERS {
            keys.intern(header.to_ascii_lowercase().as_bytes());
        }
        keys
    }

    /// What its tables hash with.
    #[inline]
    pub(crate) fn hash(&self) -> KeyedHash {
        self.hash
    }

    pub(crate) fn text(&self, key: KeyId) -> &str {
        self.symbols.text(key.0)
    }

    #[inline]
    pub(crate) fn known(&self, key: KeyId) -> KnownTag {
        self.known.get(key.0 as usize).copied().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn resolve(&mut self, key: Text<'_>, names: &impl Names) -> Option<KeyId> {
        match key {
            Text::Bytes(bytes) => self.intern(bytes),
            Text::Name(id) => {
                let name = names.name(id)?;
                let hint = self.by_name.get(id.0 as usize).copied().unwrap_or(0);
                if let Some(symbol) = hint.checked_sub(1)
                    && self.symbols.is(symbol, name)
                {
                    return Some(KeyId(symbol));
                }
                let key = self.intern(name.as_bytes())?;
                self.hint(id, key);
                Some(key)
            }
        }
    }

    #[cold]
    fn hint(&mut self, id: NameId, key: KeyId) {
        let at = id.0 as usize;
        if at >= MAX_HINTS {
            return;
        }
        if at >= self.by_name.len() {
            self.by_name.resize((at + 1).next_power_of_two(), 0);
        }
        if let Some(hint) = self.by_name.get_mut(at) {
            *hint = key.0 + 1;
        }
    }

    #[inline]
    fn intern(&mut self, bytes: &[u8]) -> Option<KeyId> {
        match self.symbols.intern(cut(bytes, MAX_KEY)) {
            Interned::Found(symbol) => Some(KeyId(symbol)),
            Interned::Added(symbol) => {
                self.known.push(KnownTag::of(self.symbols.text(symbol)));
                Some(KeyId(symbol))
            }
            Interned::Full => None,
        }
    }
}

/// A tag as an open request keeps it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredTag {
    pub value: StoredValue,
    pub key: KeyId,
}

/// A tag's value; text is a range of the request's [`TagStore`].
///
/// A struct of aligned fields, not an enum: these are written and read back at once, which a
/// processor does quickly only for whole words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredValue {
    bits: u64,
    len: u32,
    kind: ValueKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueKind {
    Str,
    I64,
    F64,
    Bool,
}

/// A stored value, read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Str(&'a [u8]),
    I64(i64),
    F64(f64),
    Bool(bool),
}

/// The text of a request's tags, and the tags of its spans. Reused from request to request.
#[derive(Debug, Default)]
pub(crate) struct TagStore {
    text: Vec<u8>,
    tags: Vec<StoredTag>,
}

/// The longest value of an ordinary tag, in bytes.
const MAX_VALUE: usize = 2048;
/// The longest backtrace, in bytes.
const MAX_STACK: usize = 16_384;
/// The most text of tags in one request, in bytes.
const MAX_TEXT: usize = 256 * 1024;
/// The most tags of spans in one request.
const MAX_TAGS: usize = 32_768;

impl TagStore {
    /// Keeps a value, in part or in whole.
    #[inline]
    pub(crate) fn store(
        &mut self,
        known: KnownTag,
        value: TagValue<'_>,
        names: &impl Names,
        stats: &mut EngineStats,
    ) -> Option<StoredValue> {
        let plain = |bits, kind| Some(StoredValue { bits, len: 0, kind });
        match value {
            TagValue::I64(value) => plain(value.cast_unsigned(), ValueKind::I64),
            TagValue::F64(value) => plain(value.to_bits(), ValueKind::F64),
            TagValue::Bool(value) => plain(u64::from(value), ValueKind::Bool),
            TagValue::Str { text, .. } => {
                let bytes = bytes_of(text, names);
                let limit = if known == KnownTag::Stack { MAX_STACK } else { MAX_VALUE };
                let head = cut(bytes, limit);
                stats.tag_values_cut += u64::from(head.len() < bytes.len());
                if self.text.len() + head.len() > MAX_TEXT {
                    return None;
                }
                let bits = self.text.len() as u64;
                self.text.extend_from_slice(head);
                Some(StoredValue { bits, len: head.len() as u32, kind: ValueKind::Str })
            }
        }
    }

    /// A stored value.
    #[inline]
    pub(crate) fn read(&self, value: StoredValue) -> Value<'_> {
        match value.kind {
            ValueKind::Str => {
                let from = value.bits as usize;
                let text = self.text.get(from..from + value.len as usize);
                Value::Str(text.unwrap_or_default())
            }
            ValueKind::I64 => Value::I64(value.bits.cast_signed()),
            ValueKind::F64 => Value::F64(f64::from_bits(value.bits)),
            ValueKind::Bool => Value::Bool(value.bits != 0),
        }
    }

    /// Drops the free text of a span that turned out to be a database call; gives the number of
    /// tags left.
    #[cold]
    pub(crate) fn drop_free_text(&mut self, from: u32, keys: &TagKeys) -> u16 {
        let from = from as usize;
        let kept: Vec<StoredTag> = self
            .tags
            .drain(from.min(self.tags.len())..)
            .filter(|tag| {
                tag.value.kind != ValueKind::Str || keys.known(tag.key).is_safe_on_database()
            })
            .collect();
        self.tags.extend_from_slice(&kept);
        kept.len() as u16
    }

    /// Adds a span's tag; the span's tags are the ones added since [`TagStore::mark`].
    #[inline]
    pub(crate) fn push(&mut self, tag: StoredTag) -> bool {
        let fits = self.tags.len() < MAX_TAGS;
        if fits {
            self.tags.push(tag);
        }
        fits
    }

    #[inline]
    pub(crate) fn mark(&self) -> u32 {
        self.tags.len() as u32
    }

    #[inline]
    pub(crate) fn range(&self, from: u32, count: u16) -> &[StoredTag] {
        let from = from as usize;
        self.tags.get(from..from + usize::from(count)).unwrap_or_default()
    }

    /// What its text and tags take.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.tags.len() * size_of::<StoredTag>()
    }

    pub(crate) fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Forgets what was stored since it had so many tags and so much text.
    pub(crate) fn truncate(&mut self, (tags, text): (u32, usize)) {
        self.tags.truncate(tags as usize);
        self.text.truncate(text);
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.tags.clear();
        self.text.shrink_to(KEEP_TEXT);
        self.tags.shrink_to(KEEP_TAGS);
    }
}

/// What a finished request's store keeps for the next one, in bytes and tags.
const KEEP_TEXT: usize = 4 * 1024;
const KEEP_TAGS: usize = 256;

/// The bytes behind a string reference; empty when the id is unknown.
#[inline]
pub(crate) fn bytes_of<'a>(text: Text<'a>, names: &'a impl Names) -> &'a [u8] {
    match text {
        Text::Bytes(bytes) => bytes,
        Text::Name(id) => names.name(id).unwrap_or_default().as_bytes(),
    }
}
