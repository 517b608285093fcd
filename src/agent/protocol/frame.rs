/// The longest frame that is taken, in bytes. A batch of the Python agent's largest request is
/// under 1 MiB.
pub const MAX_FRAME: usize = 16 << 20;
/// Bytes of a frame's length.
const HEADER: usize = 4;

/// What the bytes so far begin with.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole frame: its body, and the bytes it took.
    Whole(&'a [u8], usize),
    /// A frame's beginning.
    Partial,
    /// A frame that says it has this many bytes: too many, or no frame at all.
    Oversize(usize),
}

/// Looks at the first frame in `bytes`.
pub fn next_frame(bytes: &[u8]) -> Frame<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Frame::Partial };
    let len = u32::from_be_bytes(*header) as usize;
    if len > MAX_FRAME {
        return Frame::Oversize(len);
    }
    match rest.get(..len) {
        Some(body) => Frame::Whole(body, HEADER + len),
        None => Frame::Partial,
    }
}

/// Appends a frame with the body that `write` writes.
pub fn write_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; HEADER]);
    write(out);
    let len = (out.len() - at - HEADER) as u32;
    if let Some(header) = out.get_mut(at..at + HEADER) {
        header.copy_from_slice(&len.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_partial_and_oversize() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, |out| out.extend_from_slice(b"{}"));
        write_frame(&mut bytes, |_| {});
        assert_eq!(next_frame(&bytes), Frame::Whole(b"{}", 6));
        assert_eq!(next_frame(&bytes[6..]), Frame::Whole(b"", 4));
        for len in 0..6 {
            assert_eq!(next_frame(&bytes[..len]), Frame::Partial);
        }
        assert_eq!(next_frame(b"GET / HTTP/1.1"), Frame::Oversize(0x4745_5420));
    }
}
