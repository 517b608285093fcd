//! Offsets and limits of format version 1. `docs/record-format.md` is the same table in prose.

/// The version every record carries.
pub const VERSION: u8 = 1;
/// The largest record, its header included, in bytes: one segment's payload.
pub const MAX_RECORD: usize = 65_400;
/// The longest string in a record other than an event's JSON, in bytes. Longer ones are cut.
pub const MAX_STRING: usize = 16_384;
/// The most tags a record carries. More are dropped, from the end.
pub const MAX_TAGS: usize = 128;

/// Bytes of one tag entry.
pub(super) const TAG: usize = 16;
/// Set in a string reference when the string is in the record.
pub(super) const INLINE: u32 = 1 << 31;
/// Set in a tag's flags when its string was cut.
pub(super) const TAG_TRUNCATED: u8 = 1;

/// Tag types.
pub(super) mod tag_type {
    pub(crate) const STR: u8 = 1;
    pub(crate) const I64: u8 = 2;
    pub(crate) const F64: u8 = 3;
    pub(crate) const BOOL: u8 = 4;
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Filler; skipped.
    Padding = 0,
    /// A completed span.
    Span = 1,
    /// Tags of a request.
    RequestTags = 2,
    /// An exception.
    Error = 3,
    /// A gauge sample.
    Metric = 4,
    /// An application event.
    Event = 5,
    /// An interned name's definition.
    Name = 6,
}

impl Kind {
    /// The kind with this number.
    pub fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte {
            0 => Kind::Padding,
            1 => Kind::Span,
            2 => Kind::RequestTags,
            3 => Kind::Error,
            4 => Kind::Metric,
            5 => Kind::Event,
            6 => Kind::Name,
            _ => return None,
        })
    }

    /// Bytes before the tags, header included.
    pub(super) fn fixed(self) -> usize {
        match self {
            Kind::Padding => 8,
            Kind::Span => 64,
            Kind::RequestTags => 32,
            Kind::Error => 56,
            Kind::Metric => 32,
            Kind::Event => 24,
            Kind::Name => 16,
        }
    }
}
