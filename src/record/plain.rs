use super::layout::{INLINE, Kind, MAX_RECORD, MAX_STRING, MAX_TAGS, TAG, VERSION, tag_type};
use super::{Span, Tag, TagValue, Text};
use crate::model::NameId;

const FIXED: usize = 64;

/// What a plain record took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Bytes written, a multiple of 8.
    pub len: u32,
    /// The highest interned id in it.
    pub max_name: NameId,
}

/// Encodes a span at the start of `out`, in one pass, if it is as nearly every span is: nothing to
/// cut, nothing to drop, and room for it. Writes what [`super::Encoder::span`] would write.
///
/// `None`: it is not plain, or `tags` gave a `None`. Some of `out` may have been written to then.
#[inline(always)]
pub fn plain_span<'a>(
    out: &mut [u8],
    span: &Span<'a>,
    tags: impl ExactSizeIterator<Item = Option<Tag<'a>>>,
) -> Option<Plain> {
    let n_tags = tags.len();
    if n_tags > MAX_TAGS {
        return None;
    }
    let room = out.len();
    let (fixed, rest) = out.split_first_chunk_mut::<FIXED>()?;
    // Where the strings begin is known beforehand: so nothing need be measured.
    let (entries, strings) = rest.split_at_mut_checked(n_tags * TAG)?;
    fixed[8..24].copy_from_slice(&span.trace_id.0);
    fixed[24..32].copy_from_slice(&span.span_id.0.to_le_bytes());
    fixed[32..40].copy_from_slice(&span.parent_id.0.to_le_bytes());
    fixed[40..48].copy_from_slice(&span.start.0.to_le_bytes());
    fixed[48..56].copy_from_slice(&span.end.0.to_le_bytes());
    let mut strings = Strings { rest: strings, max_name: 0 };
    let operation = strings.push(span.operation)?;
    for (entry, tag) in entries.as_chunks_mut::<TAG>().0.iter_mut().zip(tags) {
        let tag = tag?;
        let key = strings.push(tag.key)?;
        let (kind, value) = match tag.value {
            TagValue::Str { truncated: true, .. } => return None,
            TagValue::Str { text, .. } => (tag_type::STR, u64::from(strings.push(text)?)),
            TagValue::I64(value) => (tag_type::I64, value.cast_unsigned()),
            TagValue::F64(value) => (tag_type::F64, value.to_bits()),
            TagValue::Bool(value) => (tag_type::BOOL, u64::from(value)),
        };
        let head = u64::from(key) | u64::from(kind) << 32;
        entry[0..8].copy_from_slice(&head.to_le_bytes());
        entry[8..16].copy_from_slice(&value.to_le_bytes());
    }
    let used = room - strings.rest.len();
    let len = used.next_multiple_of(8);
    if len != used {
        // Zeroes up to the end; those past it are nobody's.
        *strings.rest.first_chunk_mut()? = [0_u8; 8];
    }
    if len > MAX_RECORD {
        return None;
    }
    let head =
        len as u64 | (Kind::Span as u64) << 32 | u64::from(VERSION) << 40 | (n_tags as u64) << 48;
    fixed[0..8].copy_from_slice(&head.to_le_bytes());
    fixed[56..64].copy_from_slice(&u64::from(operation).to_le_bytes());
    Some(Plain { len: len as u32, max_name: NameId(strings.max_name) })
}

/// The unwritten part of the string area.
struct Strings<'s> {
    rest: &'s mut [u8],
    max_name: u32,
}

impl Strings<'_> {
    /// Writes a text's bytes, if it has any; its reference.
    #[inline(always)]
    fn push(&mut self, text: Text<'_>) -> Option<u32> {
        match text {
            Text::Name(id) => {
                self.max_name = self.max_name.max(id.0);
                Some(id.0)
            }
            Text::Bytes(bytes) => {
                if bytes.len() > MAX_STRING {
                    return None;
                }
                let (to, rest) =
                    std::mem::take(&mut self.rest).split_at_mut_checked(bytes.len())?;
                copy(to, bytes);
                self.rest = rest;
                Some(INLINE | bytes.len() as u32)
            }
        }
    }
}

/// `to.copy_from_slice(from)`, which would be a call: most names are short, and two loads and
/// stores that overlap copy any of them. Both are equally long.
#[inline(always)]
pub(super) fn copy(to: &mut [u8], from: &[u8]) {
    if !(ends::<16>(to, from) || ends::<8>(to, from) || ends::<4>(to, from)) {
        if from.len() < 4 {
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        } else {
            to.copy_from_slice(from);
        }
    }
}

/// Copies the first and the last `N` bytes, where these are all.
#[inline(always)]
fn ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    if from.len() > 2 * N {
        return false;
    }
    let (Some(head), Some(tail)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
        return false;
    };
    if let Some(to) = to.first_chunk_mut::<N>() {
        *to = *head;
    }
    if let Some(to) = to.last_chunk_mut::<N>() {
        *to = *tail;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::{Encoder, Fit};
    use super::*;
    use crate::model::{SpanId, TraceId, UnixNanos};

    fn span(operation: Text<'_>) -> Span<'_> {
        let (start, end) = (UnixNanos(u64::MAX - 5), UnixNanos(3));
        let (span_id, parent_id) = (SpanId(0x0102_0304_0506_0708), SpanId(9));
        Span { trace_id: TraceId([7; 16]), span_id, parent_id, start, end, operation }
    }

    /// Both encoders into as much room, where something else was before.
    fn both(room: usize, span: &Span<'_>, tags: &[Tag<'_>]) -> (Option<Plain>, Vec<u8>, Vec<u8>) {
        let (mut plain, mut whole) = (vec![0xee; room], vec![0xdd; room]);
        let fit = Encoder::new(&mut whole).span(span, tags.iter().copied());
        let taken = plain_span(&mut plain, span, tags.iter().copied().map(Some));
        if let Some(taken) = taken {
            let fit = fit.expect("what is plain fits");
            assert_eq!(fit, Fit { len: taken.len as usize, ..Fit::default() });
            plain.truncate(fit.len);
            whole.truncate(fit.len);
        }
        (taken, plain, whole)
    }

    #[test]
    fn it_writes_what_the_encoder_writes() {
        let text: Vec<u8> = (0..200).collect();
        for len in 0..text.len() {
            let bytes = Text::Bytes(&text[..len]);
            let name = Text::Name(NameId(len as u32));
            let short = Text::Bytes(&text[..len % 7]);
            let values = [
                TagValue::Str { text: bytes, truncated: false },
                TagValue::Str { text: name, truncated: false },
                TagValue::I64(-1 - len as i64),
                TagValue::F64(f64::NAN),
                TagValue::Bool(len % 2 == 0),
            ];
            let tags: Vec<Tag<'_>> = values
                .into_iter()
                .flat_map(|value| [bytes, name, short].map(|key| Tag { key, value }))
                .collect();
            for operation in [bytes, name] {
                for n in 0..=tags.len() {
                    let (taken, plain, whole) = both(8192, &span(operation), &tags[..n]);
                    let taken = taken.unwrap();
                    assert_eq!(plain, whole, "{len} bytes, {n} tags");
                    let named = operation == name || n > 1;
                    assert_eq!(taken.max_name, NameId(if named { len as u32 } else { 0 }));
                }
            }
        }
    }

    #[test]
    fn what_would_be_cut_or_dropped_is_not_plain() {
        let long = vec![b'x'; MAX_STRING + 1];
        let (most, over) = (Text::Bytes(&long[..MAX_STRING]), Text::Bytes(&long));
        let tag = |key, text| Tag { key, value: TagValue::Str { text, truncated: false } };
        let taken = |span: &Span<'_>, tags: &[Tag<'_>]| both(1 << 20, span, tags).0;
        assert!(taken(&span(most), &[tag(most, Text::Bytes(b""))]).is_some());
        assert!(taken(&span(over), &[]).is_none());
        assert!(taken(&span(most), &[tag(over, most)]).is_none());
        assert!(taken(&span(most), &[tag(most, over)]).is_none());
        // Each is within its limit, all together are not.
        assert!(taken(&span(most), &[tag(most, most), tag(most, most)]).is_none());
        let one = Tag { key: Text::Name(NameId(1)), value: TagValue::I64(1) };
        assert!(taken(&span(most), &[one; MAX_TAGS]).is_some());
        assert!(taken(&span(most), &[one; MAX_TAGS + 1]).is_none());
        let cut = TagValue::Str { text: Text::Bytes(b"x"), truncated: true };
        assert!(taken(&span(most), &[Tag { value: cut, ..one }]).is_none());
        let mut out = [0; 4096];
        let tags = [Some(one), None];
        assert!(plain_span(&mut out, &span(most), tags.into_iter()).is_none());
    }

    #[test]
    fn too_little_room_is_noticed_at_every_length() {
        let tags = [Tag { key: Text::Bytes(b"key"), value: TagValue::Bool(true) }; 2];
        for room in 0..160 {
            let (taken, ..) = both(room, &span(Text::Bytes(b"Controller/a/b")), &tags);
            // 64 + 2 * 16 + 14 + 2 * 3 = 116; it may ask for up to eight bytes of padding.
            assert!(taken.is_none() || room >= 120, "{room}");
            assert!(taken.is_some() || room < 124, "{room}");
            assert!(taken.is_none_or(|taken| taken.len == 120));
        }
    }
}
