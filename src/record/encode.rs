use super::layout::tag_type;
use super::layout::{INLINE, Kind, MAX_RECORD, MAX_STRING, MAX_TAGS, TAG, TAG_TRUNCATED, VERSION};
use super::plain::copy;
use super::{AppEvent, ErrorEvent, Metric, NameDefinition, RequestTags, Span, Tag, TagValue, Text};

/// What an encoded record took, and what had to be left out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Bytes written, a multiple of 8.
    pub len: usize,
    /// Strings cut to their limit.
    pub strings_cut: u32,
    /// Tags left out: past [`MAX_TAGS`], or past [`MAX_RECORD`] bytes.
    pub tags_dropped: u32,
}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// `out` is too short; the record takes this many bytes.
    NeedsSpace(usize),
}

/// Encodes one record; each method is one kind.
///
/// Strings over [`MAX_STRING`] are cut (tags remember it), surplus tags dropped; both are reported
/// in [`Fit`]. The tag iterator is walked twice: once to measure, once to write.
pub struct Encoder<'o> {
    out: &'o mut [u8],
}

impl<'o> Encoder<'o> {
    /// Will write at the start of `out`.
    pub fn new(out: &'o mut [u8]) -> Self {
        Encoder { out }
    }

    /// A completed span.
    #[inline]
    pub fn span<'a>(
        self,
        span: &Span<'a>,
        tags: impl Iterator<Item = Tag<'a>> + Clone,
    ) -> Result<Fit, EncodeError> {
        let mut plan = Plan::new(Kind::Span);
        let operation = plan.text(span.operation, MAX_STRING);
        plan.tags(tags.clone());
        self.write(&plan, &[operation], tags, |fixed: &mut [u8; 64]| {
            fixed[8..24].copy_from_slice(&span.trace_id.0);
            fixed[24..32].copy_from_slice(&span.span_id.0.to_le_bytes());
            fixed[32..40].copy_from_slice(&span.parent_id.0.to_le_bytes());
            fixed[40..48].copy_from_slice(&span.start.0.to_le_bytes());
            fixed[48..56].copy_from_slice(&span.end.0.to_le_bytes());
            fixed[56..60].copy_from_slice(&reference(operation).to_le_bytes());
        })
    }

    /// Tags of a request.
    pub fn request_tags<'a>(
        self,
        request: &RequestTags,
        tags: impl Iterator<Item = Tag<'a>> + Clone,
    ) -> Result<Fit, EncodeError> {
        let mut plan = Plan::new(Kind::RequestTags);
        plan.tags(tags.clone());
        self.write(&plan, &[], tags, |fixed: &mut [u8; 32]| {
            fixed[8..24].copy_from_slice(&request.trace_id.0);
            fixed[24..32].copy_from_slice(&request.time.0.to_le_bytes());
        })
    }

    /// An exception.
    pub fn error<'a>(
        self,
        error: &ErrorEvent<'a>,
        tags: impl Iterator<Item = Tag<'a>> + Clone,
    ) -> Result<Fit, EncodeError> {
        let mut plan = Plan::new(Kind::Error);
        let class = plan.text(error.class, MAX_STRING);
        let message = plan.text(error.message, MAX_STRING);
        let backtrace = plan.text(error.backtrace, MAX_STRING);
        plan.tags(tags.clone());
        self.write(&plan, &[class, message, backtrace], tags, |fixed: &mut [u8; 56]| {
            fixed[8..24].copy_from_slice(&error.trace_id.0);
            fixed[24..32].copy_from_slice(&error.span_id.0.to_le_bytes());
            fixed[32..40].copy_from_slice(&error.time.0.to_le_bytes());
            fixed[40..44].copy_from_slice(&reference(class).to_le_bytes());
            fixed[44..48].copy_from_slice(&reference(message).to_le_bytes());
            fixed[48..52].copy_from_slice(&reference(backtrace).to_le_bytes());
        })
    }

    /// A gauge sample.
    pub fn metric<'a>(
        self,
        metric: &Metric<'a>,
        tags: impl Iterator<Item = Tag<'a>> + Clone,
    ) -> Result<Fit, EncodeError> {
        let mut plan = Plan::new(Kind::Metric);
        let name = plan.text(metric.name, MAX_STRING);
        plan.tags(tags.clone());
        self.write(&plan, &[name], tags, |fixed: &mut [u8; 32]| {
            fixed[8..16].copy_from_slice(&metric.time.0.to_le_bytes());
            fixed[16..24].copy_from_slice(&metric.value.to_le_bytes());
            fixed[24..28].copy_from_slice(&reference(name).to_le_bytes());
        })
    }

    /// An application event. Its JSON may fill the record.
    pub fn event(self, event: &AppEvent<'_>) -> Result<Fit, EncodeError> {
        let mut plan = Plan::new(Kind::Event);
        let kind = plan.text(event.kind, MAX_STRING);
        let json = plan.text(event.json, MAX_RECORD - plan.len);
        self.write(&plan, &[kind, json], std::iter::empty(), |fixed: &mut [u8; 24]| {
            fixed[8..16].copy_from_slice(&event.time.0.to_le_bytes());
            fixed[16..20].copy_from_slice(&reference(kind).to_le_bytes());
            fixed[20..24].copy_from_slice(&reference(json).to_le_bytes());
        })
    }

    /// The definition of an interned name.
    pub fn name(self, name: &NameDefinition<'_>) -> Result<Fit, EncodeError> {
        let mut plan = Plan::new(Kind::Name);
        let text = plan.text(Text::Bytes(name.text), MAX_STRING);
        self.write(&plan, &[text], std::iter::empty(), |fixed: &mut [u8; 16]| {
            fixed[8..12].copy_from_slice(&name.id.0.to_le_bytes());
            fixed[12..16].copy_from_slice(&reference(text).to_le_bytes());
        })
    }

    /// A record that is encoded already, and validated.
    pub fn verbatim(self, record: &[u8]) -> Result<Fit, EncodeError> {
        let len = record.len();
        let out = self.out.get_mut(..len).ok_or(EncodeError::NeedsSpace(len))?;
        out.copy_from_slice(record);
        Ok(Fit { len, ..Fit::default() })
    }

    #[inline]
    fn write<'a, const FIXED: usize>(
        self,
        plan: &Plan,
        texts: &[Text<'a>],
        tags: impl Iterator<Item = Tag<'a>>,
        fill: impl FnOnce(&mut [u8; FIXED]),
    ) -> Result<Fit, EncodeError> {
        let fit = plan.fit();
        let short = EncodeError::NeedsSpace(fit.len);
        let record = self.out.get_mut(..fit.len).ok_or(short)?;
        let (fixed, rest) = record.split_first_chunk_mut::<FIXED>().ok_or(short)?;
        *fixed = [0; FIXED];
        fixed[0..4].copy_from_slice(&(fit.len as u32).to_le_bytes());
        fixed[4] = plan.kind as u8;
        fixed[5] = VERSION;
        fixed[6..8].copy_from_slice(&plan.n_tags.to_le_bytes());
        fill(fixed);
        let (entries, strings) =
            rest.split_at_mut_checked(usize::from(plan.n_tags) * TAG).ok_or(short)?;
        let mut strings = Strings(strings);
        for text in texts {
            strings.push(*text);
        }
        for (entry, tag) in entries.as_chunks_mut::<TAG>().0.iter_mut().zip(tags) {
            write_tag(entry, &tag, &mut strings);
        }
        strings.0.fill(0);
        Ok(fit)
    }
}

#[inline]
fn write_tag(entry: &mut [u8; TAG], tag: &Tag<'_>, strings: &mut Strings<'_>) {
    *entry = [0; TAG];
    let key = cut(tag.key, MAX_STRING).0;
    entry[0..4].copy_from_slice(&reference(key).to_le_bytes());
    strings.push(key);
    let (kind, value) = match tag.value {
        TagValue::Str { text, truncated } => {
            let (text, cut) = cut(text, MAX_STRING);
            entry[5] = if truncated || cut { TAG_TRUNCATED } else { 0 };
            strings.push(text);
            (tag_type::STR, u64::from(reference(text)))
        }
        TagValue::I64(value) => (tag_type::I64, value.cast_unsigned()),
        TagValue::F64(value) => (tag_type::F64, value.to_bits()),
        TagValue::Bool(value) => (tag_type::BOOL, u64::from(value)),
    };
    entry[4] = kind;
    entry[8..16].copy_from_slice(&value.to_le_bytes());
}

/// Measures a record before it is written.
struct Plan {
    kind: Kind,
    n_tags: u16,
    len: usize,
    strings_cut: u32,
    tags_dropped: u32,
}

impl Plan {
    #[inline]
    fn new(kind: Kind) -> Self {
        Plan { kind, n_tags: 0, len: kind.fixed(), strings_cut: 0, tags_dropped: 0 }
    }

    #[inline]
    fn text<'a>(&mut self, text: Text<'a>, limit: usize) -> Text<'a> {
        let (text, was_cut) = cut(text, limit);
        self.strings_cut += u32::from(was_cut);
        self.len += inline_len(text);
        text
    }

    #[inline]
    fn tags<'a>(&mut self, tags: impl Iterator<Item = Tag<'a>>) {
        for tag in tags {
            let (key, key_cut) = cut(tag.key, MAX_STRING);
            let (value, value_cut) = match tag.value {
                TagValue::Str { text, .. } => cut(text, MAX_STRING),
                _ => (Text::Name(Default::default()), false),
            };
            let len = TAG + inline_len(key) + inline_len(value);
            // Once a tag was dropped, all later ones are: the writer takes the first `n_tags`.
            if self.tags_dropped > 0
                || usize::from(self.n_tags) >= MAX_TAGS
                || self.len + len > MAX_RECORD
            {
                self.tags_dropped += 1;
                continue;
            }
            self.n_tags += 1;
            self.len += len;
            self.strings_cut += u32::from(key_cut) + u32::from(value_cut);
        }
    }

    #[inline]
    fn fit(&self) -> Fit {
        Fit {
            len: self.len.next_multiple_of(8),
            strings_cut: self.strings_cut,
            tags_dropped: self.tags_dropped,
        }
    }
}

/// The unwritten part of the string area.
struct Strings<'s>(&'s mut [u8]);

impl Strings<'_> {
    #[inline]
    fn push(&mut self, text: Text<'_>) {
        let Text::Bytes(bytes) = text else { return };
        if let Some((to, rest)) = std::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            copy(to, bytes);
            self.0 = rest;
        }
    }
}

#[inline]
fn cut(text: Text<'_>, limit: usize) -> (Text<'_>, bool) {
    match text {
        Text::Bytes(bytes) => match bytes.get(..limit) {
            Some(head) if head.len() < bytes.len() => (Text::Bytes(head), true),
            _ => (text, false),
        },
        Text::Name(_) => (text, false),
    }
}

#[inline]
fn inline_len(text: Text<'_>) -> usize {
    match text {
        Text::Bytes(bytes) => bytes.len(),
        Text::Name(_) => 0,
    }
}

#[inline]
fn reference(text: Text<'_>) -> u32 {
    match text {
        // Cut to MAX_RECORD before, so the length fits 31 bits.
        Text::Bytes(bytes) => INLINE | bytes.len() as u32,
        Text::Name(id) => id.0,
    }
}
