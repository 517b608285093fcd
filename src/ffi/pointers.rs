//! Pointers to safe types, or a status. Every unsafe conversion of the ABI is in this file.

use super::types::{SCOUT_TAG_BOOL, SCOUT_TAG_F64, SCOUT_TAG_I64, SCOUT_TAG_STRING};
use super::types::{scout_error_t, scout_span_t, scout_tag_t};
use crate::core::{Begun, Done, Failure};
use crate::model::{NameId, UnixNanos};
use crate::record::{Tag, TagValue, Text};
use core::ffi::c_char;
use std::mem::MaybeUninit;

/// No object is larger than this; a longer length is a mistake of the caller.
const MAX_LEN: usize = isize::MAX as usize;

/// A place for one value.
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `place` is NULL, or writable for the life of this value. It need not be aligned.
    #[inline(always)]
    pub(super) unsafe fn new(place: *mut T) -> Result<Out<T>, Failure> {
        if place.is_null() { Err(Failure::Null) } else { Ok(Out(place)) }
    }

    #[inline(always)]
    pub(super) fn write(self, value: T) {
        // SAFETY: writable, by the promise given to `new`.
        unsafe { self.0.write_unaligned(value) }
    }
}

/// A buffer to copy a text into.
pub(super) struct CopyOut {
    buffer: *mut c_char,
    capacity: usize,
    len: Out<usize>,
}

impl CopyOut {
    /// # Safety
    /// `len` is NULL or writable; `buffer` is writable for `capacity` bytes, or NULL.
    pub(super) unsafe fn new(
        buffer: *mut c_char,
        capacity: usize,
        len: *mut usize,
    ) -> Result<CopyOut, Failure> {
        // SAFETY: as the caller promises.
        let len = unsafe { Out::new(len) }?;
        if buffer.is_null() && capacity > 0 {
            return Err(Failure::Null);
        }
        Ok(CopyOut { buffer, capacity, len })
    }

    pub(super) fn write(self, bytes: &[u8]) -> Result<(), Failure> {
        self.len.write(bytes.len());
        if bytes.len() > self.capacity {
            return Err(Failure::TooSmall(bytes.len()));
        }
        if !bytes.is_empty() {
            // SAFETY: the buffer has `capacity` bytes, which are enough, and is the caller's own.
            unsafe { self.buffer.cast::<u8>().copy_from(bytes.as_ptr(), bytes.len()) };
        }
        Ok(())
    }

    /// For "there is nothing": a length of zero.
    pub(super) fn write_nothing(self) {
        self.len.write(0);
    }
}

/// # Safety
/// `pointer` is readable for `len` bytes, or NULL, for as long as the slice is used.
#[inline(always)]
pub(super) unsafe fn bytes<'a>(pointer: *const u8, len: usize) -> Result<&'a [u8], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Failure::Null);
    }
    if len > MAX_LEN {
        return Err(Failure::TooLarge("a length is over half of the address space"));
    }
    // SAFETY: not NULL, and readable as the caller promises.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}

/// Bytes that must be there.
///
/// # Safety
/// As [`bytes`].
pub(super) unsafe fn required<'a>(pointer: *const c_char, len: usize) -> Result<&'a [u8], Failure> {
    if pointer.is_null() {
        return Err(Failure::Null);
    }
    // SAFETY: as the caller promises.
    unsafe { bytes(pointer.cast(), len) }
}

/// A text to be recorded, or an interned one.
///
/// # Safety
/// As [`bytes`].
#[inline(always)]
pub(super) unsafe fn text_or_id<'a>(
    pointer: *const c_char,
    len: usize,
    id: u32,
) -> Result<Text<'a>, Failure> {
    if id != 0 {
        return Ok(Text::Name(NameId(id)));
    }
    // SAFETY: as the caller promises.
    unsafe { bytes(pointer.cast(), len) }.map(Text::Bytes)
}

/// # Safety
/// `pointer` is readable for 16 bytes, or NULL.
pub(super) unsafe fn array16(pointer: *const u8) -> Result<[u8; 16], Failure> {
    if pointer.is_null() {
        return Err(Failure::Null);
    }
    // SAFETY: readable as the caller promises; an array of bytes has no alignment.
    Ok(unsafe { pointer.cast::<[u8; 16]>().read() })
}

/// A struct that begins with its size.
///
/// # Safety
/// All bytes zero are a valid value, and its first field is its size.
pub(super) unsafe trait Sized32: Copy {
    /// The size it had in ABI version 1: no caller's is smaller.
    const FIRST: usize;
}

// SAFETY: numbers and pointers; `struct_size` comes first.
unsafe impl Sized32 for scout_span_t {
    const FIRST: usize = 88;
}
// SAFETY: numbers and pointers; `struct_size` comes first.
unsafe impl Sized32 for scout_error_t {
    const FIRST: usize = 104;
}
// SAFETY: numbers and pointers; `struct_size` comes first.
unsafe impl Sized32 for scout_tag_t {
    const FIRST: usize = 64;
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(
    size_of::<scout_span_t>() == scout_span_t::FIRST
        && size_of::<scout_error_t>() == scout_error_t::FIRST
        && size_of::<scout_tag_t>() == scout_tag_t::FIRST
);

/// Copies a struct of any version: what the caller's lacks is zero.
///
/// # Safety
/// `pointer` is NULL, or readable for the size that its first field says.
#[inline(always)]
pub(super) unsafe fn read_struct<T: Sized32>(pointer: *const T) -> Result<T, Failure> {
    if pointer.is_null() {
        return Err(Failure::Null);
    }
    // SAFETY: a size is readable.
    let size = unsafe { pointer.cast::<u32>().read_unaligned() } as usize;
    if size == size_of::<T>() {
        // SAFETY: readable in whole.
        return Ok(unsafe { pointer.read_unaligned() });
    }
    check_size::<T>(size)?;
    let mut copy = MaybeUninit::<T>::zeroed();
    // SAFETY: both are at least that long.
    unsafe {
        let len = size.min(size_of::<T>());
        copy.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(pointer.cast(), len);
        Ok(copy.assume_init())
    }
}

/// Reads a struct of this very version, as nearly every caller's is.
///
/// # Safety
/// As [`read_struct`].
#[inline(always)]
pub(super) unsafe fn read_current<T: Sized32>(pointer: *const T) -> Option<T> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: a size is readable.
    let size = unsafe { pointer.cast::<u32>().read_unaligned() } as usize;
    // SAFETY: readable for its size, which is the whole struct's.
    (size == size_of::<T>()).then(|| unsafe { pointer.read_unaligned() })
}

fn check_size<T: Sized32>(size: usize) -> Result<(), Failure> {
    let least = T::FIRST.min(size_of::<T>());
    if (least..=4096).contains(&size) {
        return Ok(());
    }
    Err(Failure::Invalid("struct_size is not the size of any version of the struct"))
}

/// # Safety
/// As [`read_struct`].
pub(super) unsafe fn optional_struct<T: Sized32>(pointer: *const T) -> Result<Option<T>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    unsafe { read_struct(pointer) }.map(Some)
}

/// A caller's span, to be written to. Fields that its version lacks are not touched, nor are the
/// fields that a call does not own.
pub(super) struct SpanOut(*mut scout_span_t);

impl SpanOut {
    /// # Safety
    /// `span` is NULL, or writable for the size that its first field says.
    #[inline(always)]
    pub(super) unsafe fn new(span: *mut scout_span_t) -> Result<SpanOut, Failure> {
        if span.is_null() {
            return Err(Failure::Null);
        }
        // SAFETY: a size is readable.
        check_size::<scout_span_t>(unsafe { span.cast::<u32>().read_unaligned() } as usize)?;
        Ok(SpanOut(span))
    }

    #[inline(always)]
    pub(super) fn write_begun(self, begun: Begun, operation_id: u32) {
        // SAFETY: all fields of version 1 are there; `&raw` makes no reference, so alignment does
        // not matter.
        unsafe {
            let span = self.0;
            (&raw mut (*span).operation_id).write_unaligned(operation_id);
            (&raw mut (*span).trace_id).write_unaligned(begun.trace_id.0);
            (&raw mut (*span).span_id).write_unaligned(begun.span_id.0);
            (&raw mut (*span).parent_id).write_unaligned(begun.parent_id.0);
            (&raw mut (*span).start_ns).write_unaligned(begun.start.0);
            (&raw mut (*span).end_ns).write_unaligned(0);
        }
    }

    #[inline(always)]
    pub(super) fn write_end(self, end: UnixNanos) {
        // SAFETY: as in `write_begun`.
        unsafe { (&raw mut (*self.0).end_ns).write_unaligned(end.0) }
    }
}

/// A caller's tags. Walked as often as need be; each walk reads the caller's memory anew.
#[derive(Clone, Copy)]
pub(super) struct Tags<'a> {
    next: *const u8,
    remaining: usize,
    stride: usize,
    /// The highest interned id in them.
    pub(super) max_name: NameId,
    _borrowed: std::marker::PhantomData<&'a scout_tag_t>,
}

/// Checks a caller's tags: sizes, kinds, pointers.
///
/// # Safety
/// `tags` is NULL, or readable for `n` entries of the size that the first one says; their pointers
/// are readable for their lengths, for as long as the tags are used.
#[inline]
pub(super) unsafe fn tags<'a>(tags: *const scout_tag_t, n: usize) -> Result<Tags<'a>, Failure> {
    let mut checked = Tags {
        next: tags.cast(),
        remaining: n,
        stride: size_of::<scout_tag_t>(),
        max_name: NameId(0),
        _borrowed: std::marker::PhantomData,
    };
    if n == 0 {
        return Ok(checked);
    }
    if tags.is_null() {
        return Err(Failure::Null);
    }
    // SAFETY: a size is readable.
    checked.stride = unsafe { tags.cast::<u32>().read_unaligned() } as usize;
    check_size::<scout_tag_t>(checked.stride)?;
    if n > MAX_LEN / checked.stride {
        return Err(Failure::TooLarge("the number of tags is over half of the address space"));
    }
    let mut walk = checked;
    while let Some(tag) = walk.step() {
        let (tag, max_name) = tag?;
        let _ = tag;
        checked.max_name = checked.max_name.max(max_name);
    }
    Ok(checked)
}

impl<'a> Tags<'a> {
    #[inline(always)]
    fn step(&mut self) -> Option<Result<(Tag<'a>, NameId), Failure>> {
        if self.remaining == 0 {
            return None;
        }
        // SAFETY: within the entries that `tags` was promised.
        let tag = unsafe { read_struct(self.next.cast::<scout_tag_t>()) };
        self.remaining -= 1;
        self.next = self.next.wrapping_add(self.stride);
        Some(tag.and_then(|tag| convert(&tag)))
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Tag<'a>> {
        // Checked before; a caller that changes a tag during the call loses that tag and the rest.
        self.step()?.ok().map(|(tag, _)| tag)
    }
}

/// A caller's tags as nearly every caller's are: of this very version. Walked once, and checked on
/// the way: what is otherwise is a `None`.
pub(super) struct PlainTags<'a> {
    next: *const scout_tag_t,
    remaining: usize,
    _borrowed: std::marker::PhantomData<&'a scout_tag_t>,
}

impl PlainTags<'_> {
    /// # Safety
    /// As [`tags`].
    #[inline(always)]
    pub(super) unsafe fn new(tags: *const scout_tag_t, n: usize) -> Self {
        PlainTags { next: tags, remaining: n, _borrowed: std::marker::PhantomData }
    }
}

impl<'a> Iterator for PlainTags<'a> {
    type Item = Option<Tag<'a>>;

    #[inline(always)]
    fn next(&mut self) -> Option<Option<Tag<'a>>> {
        self.remaining = self.remaining.checked_sub(1)?;
        // SAFETY: within the entries that `new` was promised: all before were of this size.
        let tag = unsafe { read_current(self.next) };
        self.next = self.next.wrapping_add(1);
        Some(tag.and_then(|tag| Some(convert(&tag).ok()?.0)))
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for PlainTags<'_> {}

#[inline(always)]
fn convert<'a>(tag: &scout_tag_t) -> Result<(Tag<'a>, NameId), Failure> {
    // SAFETY: as promised to `tags`.
    let key = unsafe { text_or_id(tag.key, tag.key_len, tag.key_id) }?;
    let mut max_name = tag.key_id;
    let value = match tag.kind {
        SCOUT_TAG_STRING => {
            max_name = max_name.max(tag.value_id);
            // SAFETY: as promised to `tags`.
            let text = unsafe { text_or_id(tag.str, tag.str_len, tag.value_id) }?;
            TagValue::Str { text, truncated: false }
        }
        SCOUT_TAG_I64 => TagValue::I64(tag.i64),
        SCOUT_TAG_F64 => TagValue::F64(tag.f64),
        SCOUT_TAG_BOOL => TagValue::Bool(tag.i64 != 0),
        _ => return Err(Failure::Invalid("a tag's kind must be one of SCOUT_TAG_*")),
    };
    Ok((Tag { key, value }, NameId(max_name)))
}

/// Done, unless something was shortened.
pub(super) fn worse(done: Done, clamped: bool) -> Done {
    if clamped && done == Done::Ok { Done::Clamped } else { done }
}
