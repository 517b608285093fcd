use super::draft::{Draft, Full, Stop};
use super::ids::Ids;
use super::stack;
use crate::agent::protocol::{Command, Fields, Scalar};
use crate::model::{SpanId, UnixNanos};
use crate::record::MAX_STRING;
use std::borrow::Cow;

type Word<'a> = Cow<'a, str>;

/// One change to an open request: what a command says, apart from how it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edit<'a> {
    pub(super) time: UnixNanos,
    pub(super) what: What<'a>,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What<'a> {
    Start,
    StartSpan { span: Word<'a>, parent: Word<'a>, operation: Word<'a> },
    StopSpan { span: Word<'a>, said: bool },
    TagSpan { span: Word<'a>, tag: Word<'a>, value: Scalar<'a> },
    TagRequest { tag: Word<'a>, value: Scalar<'a> },
}

impl<'a> Edit<'a> {
    /// Of a command about an open request.
    pub(super) fn of(
        command: Command,
        fields: &Fields<'a>,
        now: UnixNanos,
    ) -> Result<Self, String> {
        let said = fields.time();
        let required = |field, name: &str| match Fields::text(field) {
            text if text.is_empty() => Err(format!("{name} is missing")),
            text => Ok(text),
        };
        let span = || required(fields.span_id, "span_id");
        let what = match command {
            Command::StartRequest => What::Start,
            Command::StartSpan => What::StartSpan {
                span: span()?,
                parent: Fields::text(fields.parent_id),
                operation: Fields::text(fields.operation),
            },
            Command::StopSpan => What::StopSpan { span: span()?, said: said.is_some() },
            Command::TagSpan => {
                let (span, tag) = (span()?, required(fields.tag, "tag")?);
                let value = value_of(&tag, fields);
                What::TagSpan { span, tag, value }
            }
            Command::TagRequest => What::TagRequest {
                tag: required(fields.tag, "tag")?,
                value: Fields::value(fields.value),
            },
            _ => return Err(format!("{} is not about a request", command.name())),
        };
        Ok(Edit { time: said.unwrap_or(now), what })
    }

    /// Makes the change.
    pub(super) fn make(&self, draft: &mut Draft, ids: Ids) -> Result<(), Full> {
        let time = self.time;
        draft.note_time(time);
        match &self.what {
            What::Start => Ok(()),
            What::StartSpan { span, parent, operation } => {
                let parent = if parent.is_empty() { SpanId::NONE } else { ids.span(parent) };
                draft.start_span(ids.span(span), parent, operation, time)
            }
            What::StopSpan { span, said } => {
                draft.stop_span(ids.span(span), Stop { at: time, said: *said })
            }
            What::TagSpan { span, tag, value } => draft.tag_span(ids.span(span), tag, value, time),
            What::TagRequest { tag, value } => draft.tag_request(tag, value, time),
        }
    }

    /// Appends it as bytes, for [`Edit::decode`]. Long text is cut, to a little more than a draft
    /// keeps, so that the draft still sees that it was longer.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time.0.to_le_bytes());
        match &self.what {
            What::Start => out.push(0),
            What::StartSpan { span, parent, operation } => {
                out.push(1);
                [span, parent, operation].into_iter().for_each(|word| put_text(out, word));
            }
            What::StopSpan { span, said } => {
                out.extend_from_slice(&[2, u8::from(*said)]);
                put_text(out, span);
            }
            What::TagSpan { span, tag, value } => {
                out.push(3);
                [span, tag].into_iter().for_each(|word| put_text(out, word));
                put_value(out, value);
            }
            What::TagRequest { tag, value } => {
                out.push(4);
                put_text(out, tag);
                put_value(out, value);
            }
        }
    }

    /// Reads what [`Edit::encode`] wrote.
    pub(super) fn decode(mut bytes: &'a [u8]) -> Option<Edit<'a>> {
        let from = &mut bytes;
        let time = UnixNanos(u64::from_le_bytes(take(from)?));
        let [kind] = take(from)?;
        let what = match kind {
            0 => What::Start,
            1 => What::StartSpan {
                span: take_text(from)?.into(),
                parent: take_text(from)?.into(),
                operation: take_text(from)?.into(),
            },
            2 => {
                let [said] = take(from)?;
                What::StopSpan { span: take_text(from)?.into(), said: said != 0 }
            }
            3 => What::TagSpan {
                span: take_text(from)?.into(),
                tag: take_text(from)?.into(),
                value: take_value(from)?,
            },
            4 => What::TagRequest { tag: take_text(from)?.into(), value: take_value(from)? },
            _ => return None,
        };
        Some(Edit { time, what })
    }
}

fn value_of<'f>(tag: &str, fields: &Fields<'f>) -> Scalar<'f> {
    match Fields::value(fields.value) {
        Scalar::Json(json) if matches!(tag, "stack" | "backtrace") => {
            stack::lines(json).map_or(Scalar::Null, |lines| Scalar::Text(lines.into()))
        }
        value => value,
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let cut = text.get(..text.floor_char_boundary(MAX_STRING + 4)).unwrap_or(text);
    out.extend_from_slice(&(cut.len() as u32).to_le_bytes());
    out.extend_from_slice(cut.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Scalar<'_>) {
    match value {
        Scalar::Null => out.push(0),
        Scalar::Bool(value) => out.extend_from_slice(&[1, u8::from(*value)]),
        Scalar::I64(value) => {
            out.push(2);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Scalar::F64(value) => {
            out.push(3);
            out.extend_from_slice(&value.to_le_bytes());
        }
        // A draft keeps both as text.
        Scalar::Text(text) => {
            out.push(4);
            put_text(out, text);
        }
        Scalar::Json(json) => {
            out.push(4);
            put_text(out, json);
        }
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*first)
}

fn take_text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let len = u32::from_le_bytes(take(from)?) as usize;
    let (text, rest) = from.split_at_checked(len)?;
    *from = rest;
    str::from_utf8(text).ok()
}

fn take_value<'a>(from: &mut &'a [u8]) -> Option<Scalar<'a>> {
    let [kind] = take(from)?;
    Some(match kind {
        0 => Scalar::Null,
        1 => Scalar::Bool(take::<1>(from)? != [0]),
        2 => Scalar::I64(i64::from_le_bytes(take(from)?)),
        3 => Scalar::F64(f64::from_le_bytes(take(from)?)),
        4 => Scalar::Text(take_text(from)?.into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::protocol::parse;

    fn edit(json: &str) -> Edit<'_> {
        let (command, fields) = parse(json).unwrap();
        Edit::of(command, &fields, UnixNanos(7)).unwrap()
    }

    #[test]
    fn each_comes_back_as_it_was() {
        for json in [
            r#"{"StartRequest":{"request_id":"r"}}"#,
            r#"{"StartSpan":{"span_id":"s","operation":"SQL/Query","timestamp":"2018-12-01T17:04:34Z"}}"#,
            r#"{"StartSpan":{"span_id":"s","parent_id":"p\n","operation":"Ünïcode"}}"#,
            r#"{"StopSpan":{"span_id":"s","timestamp":"2018-12-01T17:04:34Z"}}"#,
            r#"{"StopSpan":{"span_id":"s","timestamp":null}}"#,
            r#"{"TagSpan":{"span_id":"s","tag":"stack","value":[{"file":"a.py","line":1}]}}"#,
            r#"{"TagSpan":{"span_id":"s","tag":"n","value":-3}}"#,
            r#"{"TagSpan":{"span_id":"s","tag":"n","value":2.5}}"#,
            r#"{"TagRequest":{"tag":"n","value":true}}"#,
            r#"{"TagRequest":{"tag":"n","value":null}}"#,
            r#"{"TagRequest":{"tag":"n","value":"text"}}"#,
        ] {
            let edit = edit(json);
            let mut bytes = Vec::new();
            edit.encode(&mut bytes);
            assert_eq!(Edit::decode(&bytes), Some(edit), "{json}");
            for cut in 0..bytes.len() {
                assert_eq!(Edit::decode(&bytes[..cut]), None, "{json} cut to {cut}");
            }
        }
    }

    #[test]
    fn long_text_is_still_seen_to_be_too_long() {
        let json = format!(r#"{{"TagRequest":{{"tag":"n","value":"{}"}}}}"#, "é".repeat(60_000));
        let mut bytes = Vec::new();
        edit(&json).encode(&mut bytes);
        let Some(Edit { what: What::TagRequest { value: Scalar::Text(text), .. }, .. }) =
            Edit::decode(&bytes)
        else {
            panic!("not a tag");
        };
        assert!(text.len() > MAX_STRING && text.len() <= MAX_STRING + 4, "{}", text.len());
    }

    #[test]
    fn what_is_missing_is_named() {
        for (json, why) in [
            (r#"{"StopSpan":{}}"#, "span_id is missing"),
            (r#"{"TagSpan":{"span_id":"s"}}"#, "tag is missing"),
            (r#"{"TagRequest":{}}"#, "tag is missing"),
        ] {
            let (command, fields) = parse(json).unwrap();
            assert_eq!(Edit::of(command, &fields, UnixNanos(7)).unwrap_err(), why);
        }
    }
}
