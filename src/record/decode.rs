use super::layout::tag_type;
use super::layout::{INLINE, Kind, MAX_RECORD, MAX_STRING, MAX_TAGS, TAG, TAG_TRUNCATED, VERSION};
use super::{
    AppEvent, ErrorEvent, Metric, NameDefinition, Record, RequestTags, Span, Tag, TagValue, Text,
};
use crate::model::{NameId, SpanId, TraceId, UnixNanos};
use std::fmt;

/// What is wrong with a record, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// Offset of the bad record from the start of the bytes given.
    pub offset: usize,
    /// What is wrong.
    pub kind: FormatErrorKind,
}

/// The ways a record can be bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatErrorKind {
    /// Fewer bytes than a header, or than its length says.
    Incomplete,
    /// The length is below the kind's fixed part, above [`MAX_RECORD`], or no multiple of 8.
    BadLength(u32),
    /// No such kind.
    UnknownKind(u8),
    /// Written by another version of the format.
    UnknownVersion(u8),
    /// More than [`MAX_TAGS`] tags.
    TooManyTags(u16),
    /// A tag's type is none of the four.
    UnknownTagType(u8),
    /// The strings do not fit the record.
    StringsOverrun,
    /// A string is longer than [`MAX_STRING`].
    StringTooLong(usize),
    /// An interned id that the core never gave out.
    UnknownName(u32),
    /// A span or request without a trace id, or a span without an id.
    MissingId,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use FormatErrorKind as K;
        match self.kind {
            K::Incomplete => write!(f, "record is cut short")?,
            K::BadLength(len) => write!(
                f,
                "record length {len} is not a multiple of 8 between its kind's size and {MAX_RECORD}"
            )?,
            K::UnknownKind(kind) => write!(f, "unknown record kind {kind}")?,
            K::UnknownVersion(v) => write!(f, "unknown record version {v}, this is {VERSION}")?,
            K::TooManyTags(n) => write!(f, "{n} tags, at most {MAX_TAGS} are allowed")?,
            K::UnknownTagType(t) => write!(f, "unknown tag type {t}, use 1 to 4")?,
            K::StringsOverrun => write!(f, "string lengths exceed the record")?,
            K::StringTooLong(len) => {
                write!(f, "a string of {len} bytes, at most {MAX_STRING} are allowed")?;
            }
            K::UnknownName(id) => write!(f, "name id {id} was never interned")?,
            K::MissingId => write!(f, "trace id and span id must not be zero")?,
        }
        write!(f, " (at byte {})", self.offset)
    }
}

impl std::error::Error for FormatError {}

/// Decodes the record at the start of `bytes`; `None` for padding. Also gives its length.
///
/// The header, the fixed part and its strings are checked; tags are checked as they are iterated,
/// and iteration ends at a bad one. For untrusted bytes call [`validate`] first.
#[inline]
pub fn decode(bytes: &[u8]) -> Result<(Option<Record<'_>>, usize), FormatErrorKind> {
    use FormatErrorKind as K;
    let header = bytes.first_chunk::<8>().ok_or(K::Incomplete)?;
    let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let kind = Kind::from_byte(header[4]).ok_or(K::UnknownKind(header[4]))?;
    if header[5] != VERSION {
        return Err(K::UnknownVersion(header[5]));
    }
    let size = len as usize;
    if size < kind.fixed() || size > MAX_RECORD || !size.is_multiple_of(8) {
        return Err(K::BadLength(len));
    }
    let record = bytes.get(..size).ok_or(K::Incomplete)?;
    let n_tags = u16::from_le_bytes([header[6], header[7]]);
    if usize::from(n_tags) > MAX_TAGS {
        return Err(K::TooManyTags(n_tags));
    }
    let (entries, area) = record
        .get(kind.fixed()..)
        .and_then(|rest| rest.split_at_checked(usize::from(n_tags) * TAG))
        .ok_or(K::StringsOverrun)?;
    let mut strings = StringArea(area);
    let fixed = Fixed(record);
    let decoded = match kind {
        Kind::Padding => return Ok((None, size)),
        Kind::Span => {
            let span = Span {
                trace_id: TraceId(fixed.array(8)?),
                span_id: SpanId(fixed.u64(24)?),
                parent_id: SpanId(fixed.u64(32)?),
                start: UnixNanos(fixed.u64(40)?),
                end: UnixNanos(fixed.u64(48)?),
                operation: strings.text(fixed.u32(56)?)?,
            };
            Record::Span(span, Tags { entries, strings })
        }
        Kind::RequestTags => {
            let request =
                RequestTags { trace_id: TraceId(fixed.array(8)?), time: UnixNanos(fixed.u64(24)?) };
            Record::RequestTags(request, Tags { entries, strings })
        }
        Kind::Error => {
            let error = ErrorEvent {
                trace_id: TraceId(fixed.array(8)?),
                span_id: SpanId(fixed.u64(24)?),
                time: UnixNanos(fixed.u64(32)?),
                class: strings.text(fixed.u32(40)?)?,
                message: strings.text(fixed.u32(44)?)?,
                backtrace: strings.text(fixed.u32(48)?)?,
            };
            Record::Error(error, Tags { entries, strings })
        }
        Kind::Metric => {
            let metric = Metric {
                time: UnixNanos(fixed.u64(8)?),
                value: f64::from_bits(fixed.u64(16)?),
                name: strings.text(fixed.u32(24)?)?,
            };
            Record::Metric(metric, Tags { entries, strings })
        }
        Kind::Event => Record::Event(AppEvent {
            time: UnixNanos(fixed.u64(8)?),
            kind: strings.text(fixed.u32(16)?)?,
            json: strings.text(fixed.u32(20)?)?,
        }),
        Kind::Name => {
            let text = match strings.text(fixed.u32(12)?)? {
                Text::Bytes(text) => text,
                Text::Name(_) => &[],
            };
            Record::Name(NameDefinition { id: NameId(fixed.u32(8)?), text })
        }
    };
    Ok((Some(decoded), size))
}

/// Checks the record at the start of `bytes` in every part; gives its length.
///
/// `max_name` is the highest interned id that may be referred to.
pub fn validate(bytes: &[u8], max_name: NameId) -> Result<usize, FormatErrorKind> {
    use FormatErrorKind as K;
    let (record, len) = decode(bytes)?;
    let known = |text: Text<'_>| match text {
        Text::Name(id) if id > max_name => Err(K::UnknownName(id.0)),
        Text::Bytes(text) if text.len() > MAX_STRING => Err(K::StringTooLong(text.len())),
        _ => Ok(()),
    };
    let (tags, n_tags) = match record {
        None => return Ok(len),
        Some(Record::Span(span, tags)) => {
            if span.trace_id.is_none() || span.span_id.is_none() {
                return Err(K::MissingId);
            }
            known(span.operation)?;
            (tags, tags.len())
        }
        Some(Record::RequestTags(request, tags)) => {
            if request.trace_id.is_none() {
                return Err(K::MissingId);
            }
            (tags, tags.len())
        }
        Some(Record::Error(error, tags)) => {
            known(error.class)?;
            known(error.message)?;
            known(error.backtrace)?;
            (tags, tags.len())
        }
        Some(Record::Metric(metric, tags)) => {
            known(metric.name)?;
            (tags, tags.len())
        }
        Some(Record::Event(event)) => {
            known(event.kind)?;
            // JSON may fill the record: cut, it would be none.
            match event.json {
                Text::Bytes(_) => {}
                name => known(name)?,
            }
            return Ok(len);
        }
        // Definitions are the recorder's own; a caller interns instead.
        Some(Record::Name(_)) => return Err(K::UnknownKind(Kind::Name as u8)),
    };
    let mut rest = tags;
    for _ in 0..n_tags {
        let tag = rest.step()?;
        known(tag.key)?;
        if let TagValue::Str { text, .. } = tag.value {
            known(text)?;
        }
    }
    Ok(len)
}

/// The records of a batch, one after the other.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Batch<'a> {
    /// Starts at the first record.
    pub fn new(bytes: &'a [u8]) -> Self {
        Batch { bytes, offset: 0 }
    }

    /// Gives the next record's bytes, checked by [`validate`]; `None` at the end. Skips padding.
    pub fn next(&mut self, max_name: NameId) -> Result<Option<&'a [u8]>, FormatError> {
        loop {
            let rest = self.bytes.get(self.offset..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(None);
            }
            let at = |kind| FormatError { offset: self.offset, kind };
            let len = validate(rest, max_name).map_err(at)?;
            let record = rest.get(..len).ok_or(at(FormatErrorKind::Incomplete))?;
            self.offset += len;
            if record.get(4) != Some(&(Kind::Padding as u8)) {
                return Ok(Some(record));
            }
        }
    }
}

/// The tags of a record, an iterator that ends at the first malformed one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tags<'a> {
    entries: &'a [u8],
    strings: StringArea<'a>,
}

impl<'a> Tags<'a> {
    /// How many tags remain.
    pub fn len(&self) -> usize {
        self.entries.len() / TAG
    }

    /// Whether none remain.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn step(&mut self) -> Result<Tag<'a>, FormatErrorKind> {
        let (entry, rest) =
            self.entries.split_first_chunk::<TAG>().ok_or(FormatErrorKind::StringsOverrun)?;
        self.entries = rest;
        let key =
            self.strings.text(u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]))?;
        let value = u64::from_le_bytes([
            entry[8], entry[9], entry[10], entry[11], entry[12], entry[13], entry[14], entry[15],
        ]);
        let value = match entry[4] {
            tag_type::STR => TagValue::Str {
                text: self.strings.text(value as u32)?,
                truncated: entry[5] & TAG_TRUNCATED != 0,
            },
            tag_type::I64 => TagValue::I64(value.cast_signed()),
            tag_type::F64 => TagValue::F64(f64::from_bits(value)),
            tag_type::BOOL => TagValue::Bool(value != 0),
            other => return Err(FormatErrorKind::UnknownTagType(other)),
        };
        Ok(Tag { key, value })
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    #[inline]
    fn next(&mut self) -> Option<Tag<'a>> {
        if self.entries.is_empty() {
            return None;
        }
        self.step().inspect_err(|_| self.entries = &[]).ok()
    }
}

/// The strings of a record that were not read yet.
#[derive(Clone, Copy, Debug, PartialEq)]
struct StringArea<'a>(&'a [u8]);

impl<'a> StringArea<'a> {
    #[inline]
    fn text(&mut self, reference: u32) -> Result<Text<'a>, FormatErrorKind> {
        if reference & INLINE == 0 {
            return Ok(Text::Name(NameId(reference)));
        }
        let (text, rest) = self
            .0
            .split_at_checked((reference & !INLINE) as usize)
            .ok_or(FormatErrorKind::StringsOverrun)?;
        self.0 = rest;
        Ok(Text::Bytes(text))
    }
}

/// A record's fixed part.
struct Fixed<'a>(&'a [u8]);

impl Fixed<'_> {
    #[inline]
    fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N], FormatErrorKind> {
        self.0
            .get(offset..)
            .and_then(|bytes| bytes.first_chunk::<N>())
            .copied()
            .ok_or(FormatErrorKind::Incomplete)
    }

    #[inline]
    fn u32(&self, offset: usize) -> Result<u32, FormatErrorKind> {
        self.array(offset).map(u32::from_le_bytes)
    }

    #[inline]
    fn u64(&self, offset: usize) -> Result<u64, FormatErrorKind> {
        self.array(offset).map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests;
