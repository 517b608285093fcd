use super::*;
use crate::record::{Encoder, MAX_STRING};

fn span() -> Span<'static> {
    Span {
        trace_id: TraceId([7; 16]),
        span_id: SpanId(2),
        parent_id: SpanId(1),
        start: UnixNanos(1_000),
        end: UnixNanos(3_500),
        operation: Text::Bytes(b"SQL/Query"),
    }
}

fn encoded(span: &Span<'_>, tags: &[Tag<'_>]) -> Vec<u8> {
    let mut out = vec![0xee; MAX_RECORD];
    let fit = Encoder::new(&mut out).span(span, tags.iter().copied()).unwrap();
    out.truncate(fit.len);
    out
}

fn str_tag<'a>(key: &'a [u8], value: &'a [u8]) -> Tag<'a> {
    let text = Text::Bytes(value);
    Tag { key: Text::Bytes(key), value: TagValue::Str { text, truncated: false } }
}

#[test]
fn a_span_comes_back_as_it_went_in() {
    let tags = [
        str_tag(b"db.statement", b"SELECT 1"),
        Tag { key: Text::Name(NameId(3)), value: TagValue::I64(-5) },
        Tag { key: Text::Bytes(b"ratio"), value: TagValue::F64(0.5) },
        Tag { key: Text::Bytes(b"cached"), value: TagValue::Bool(true) },
    ];
    let bytes = encoded(&span(), &tags);
    let (record, len) = decode(&bytes).unwrap();
    assert_eq!(len, bytes.len());
    let Some(Record::Span(decoded, iter)) = record else { panic!("not a span: {record:?}") };
    assert_eq!(decoded, span());
    assert_eq!(iter.collect::<Vec<_>>(), tags);
    assert_eq!(validate(&bytes, NameId(3)), Ok(len));
    assert_eq!(validate(&bytes, NameId(2)), Err(FormatErrorKind::UnknownName(3)));
}

#[test]
fn the_worked_bytes_of_the_specification() {
    let mut root = span();
    root.operation = Text::Name(NameId(5));
    root.parent_id = SpanId::NONE;
    let bytes = encoded(&root, &[str_tag(b"k", b"hi")]);
    let mut expected = vec![88, 0, 0, 0, 1, 1, 1, 0];
    expected.extend([7; 16]);
    expected.extend(2u64.to_le_bytes());
    expected.extend(0u64.to_le_bytes());
    expected.extend(1_000u64.to_le_bytes());
    expected.extend(3_500u64.to_le_bytes());
    expected.extend([5, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([1, 0, 0, 0x80, 1, 0, 0, 0, 2, 0, 0, 0x80, 0, 0, 0, 0]);
    expected.extend(*b"khi\0\0\0\0\0");
    assert_eq!(bytes, expected);
}

#[test]
fn long_strings_are_cut_and_marked() {
    let long = vec![b'x'; MAX_STRING + 1];
    let mut out = vec![0; MAX_RECORD];
    let tags = [str_tag(b"db.statement", &long)];
    let fit = Encoder::new(&mut out).span(&span(), tags.into_iter()).unwrap();
    assert_eq!((fit.strings_cut, fit.tags_dropped), (1, 0));
    let (Some(Record::Span(_, mut tags)), _) = decode(&out).unwrap() else { panic!() };
    let Some(Tag { value: TagValue::Str { text: Text::Bytes(text), truncated }, .. }) = tags.next()
    else {
        panic!()
    };
    assert_eq!((text.len(), truncated), (MAX_STRING, true));
}

#[test]
fn surplus_tags_are_dropped_and_counted() {
    let tags = vec![str_tag(b"k", b"v"); 10_000];
    let mut out = vec![0; MAX_RECORD];
    let fit = Encoder::new(&mut out).span(&span(), tags.into_iter()).unwrap();
    assert_eq!(fit.tags_dropped as usize, 10_000 - MAX_TAGS);
    let fat = vec![b'x'; MAX_STRING];
    let tags = vec![str_tag(b"k", &fat); 6];
    let fit = Encoder::new(&mut out).span(&span(), tags.into_iter()).unwrap();
    assert_eq!(fit.tags_dropped, 3);
    assert!(validate(&out, NameId(0)).is_ok());
}

#[test]
fn too_little_room_writes_nothing() {
    let mut out = vec![0xee; 60];
    let need = Encoder::new(&mut out).span(&span(), std::iter::empty());
    assert_eq!(need, Err(crate::record::EncodeError::NeedsSpace(80)));
    assert!(out.iter().all(|&byte| byte == 0xee));
}

#[test]
fn every_kind_round_trips() {
    let mut out = vec![0; MAX_RECORD];
    let error = ErrorEvent {
        trace_id: TraceId([1; 16]),
        span_id: SpanId(9),
        time: UnixNanos(4),
        class: Text::Bytes(b"ValueError"),
        message: Text::Bytes("bad \u{2713}".as_bytes()),
        backtrace: Text::Bytes(b"app.py:3:in f"),
    };
    Encoder::new(&mut out).error(&error, [str_tag(b"a", b"b")].into_iter()).unwrap();
    let (Some(Record::Error(back, tags)), _) = decode(&out).unwrap() else { panic!() };
    assert_eq!((back, tags.len()), (error, 1));

    let metric = Metric { time: UnixNanos(1), value: 27.5, name: Text::Bytes(b"Memory/Physical") };
    Encoder::new(&mut out).metric(&metric, std::iter::empty()).unwrap();
    assert!(matches!(decode(&out), Ok((Some(Record::Metric(back, _)), _)) if back == metric));

    let event = AppEvent {
        time: UnixNanos(1),
        kind: Text::Bytes(b"scout.metadata"),
        json: Text::Bytes(b"{}"),
    };
    Encoder::new(&mut out).event(&event).unwrap();
    assert!(matches!(decode(&out), Ok((Some(Record::Event(back)), _)) if back == event));

    let request = RequestTags { trace_id: TraceId([1; 16]), time: UnixNanos(1) };
    Encoder::new(&mut out).request_tags(&request, [str_tag(b"path", b"/")].into_iter()).unwrap();
    assert!(matches!(decode(&out), Ok((Some(Record::RequestTags(b, _)), _)) if b == request));

    let name = NameDefinition { id: NameId(4), text: b"Controller/x" };
    Encoder::new(&mut out).name(&name).unwrap();
    assert!(matches!(decode(&out), Ok((Some(Record::Name(back)), _)) if back == name));
    assert!(validate(&out, NameId(9)).is_err(), "a caller must not define names");
}

#[test]
fn a_batch_says_where_it_broke() {
    let mut bytes = encoded(&span(), &[]);
    let good = bytes.len();
    bytes.extend([16, 0, 0, 0, 77, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut batch = Batch::new(&bytes);
    assert_eq!(batch.next(NameId(0)).unwrap().unwrap().len(), good);
    let error = batch.next(NameId(0)).unwrap_err();
    assert_eq!(error, FormatError { offset: good, kind: FormatErrorKind::UnknownKind(77) });
    assert_eq!(error.to_string(), format!("unknown record kind 77 (at byte {good})"));
}

#[test]
fn ids_of_zero_are_refused() {
    let mut bad = span();
    bad.span_id = SpanId::NONE;
    assert_eq!(validate(&encoded(&bad, &[]), NameId(0)), Err(FormatErrorKind::MissingId));
}

#[test]
fn no_bytes_panic() {
    // Every single-byte change of a real record, and every prefix of it.
    let bytes = encoded(&span(), &[str_tag(b"key", b"value"), str_tag(b"a", b"b")]);
    for cut in 0..bytes.len() {
        assert!(validate(&bytes[..cut], NameId(9)).is_err());
    }
    for at in 0..bytes.len() {
        for value in 0..=255 {
            let mut changed = bytes.clone();
            changed[at] = value;
            let _ = validate(&changed, NameId(9));
            if let Ok((Some(Record::Span(_, tags)), _)) = decode(&changed) {
                assert!(tags.count() <= 2);
            }
        }
    }
}

#[test]
fn a_batch_skips_padding_and_refuses_strings_that_are_too_long() {
    let padding = [16, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9];
    let record = encoded(&span(), &[]);
    let bytes = [&padding[..], &record, &padding[..]].concat();
    let mut batch = Batch::new(&bytes);
    assert_eq!(batch.next(NameId(0)), Ok(Some(&record[..])));
    assert_eq!(batch.next(NameId(0)), Ok(None));

    let fits = vec![b'x'; MAX_STRING];
    let mut long = encoded(&span(), &[str_tag(b"key", &fits)]);
    assert_eq!(validate(&long, NameId(0)), Ok(long.len()));
    // As an encoder would that does not cut: eight bytes more.
    let reference = 1 << 31 | (MAX_STRING as u32 + 8);
    long[72..76].copy_from_slice(&reference.to_le_bytes());
    long.extend([b'x'; 8]);
    let len = long.len() as u32;
    long[..4].copy_from_slice(&len.to_le_bytes());
    let too_long = FormatErrorKind::StringTooLong(MAX_STRING + 8);
    assert_eq!(validate(&long, NameId(0)), Err(too_long));
}
