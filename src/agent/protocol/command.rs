use super::json::text;
use super::{parse_timestamp, scalar};
use crate::agent::protocol::Scalar;
use crate::model::UnixNanos;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Who the client is.
    Register,
    /// A request begins.
    StartRequest,
    /// A request is complete.
    FinishRequest,
    /// A span begins.
    StartSpan,
    /// A span ends.
    StopSpan,
    /// Says something about a request.
    TagRequest,
    /// Says something about a span.
    TagSpan,
    /// Says something about the application, or gives a sample.
    ApplicationEvent,
    /// Several commands.
    BatchCommand,
    /// Asks for our version.
    CoreAgentVersion,
    /// Asks us to end.
    CoreAgentShutdown,
    /// Asks for a report on us. Ours alone: no agent sends it.
    CoreAgentDiagnose,
}

impl Command {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Command::Register => "Register",
            Command::StartRequest => "StartRequest",
            Command::FinishRequest => "FinishRequest",
            Command::StartSpan => "StartSpan",
            Command::StopSpan => "StopSpan",
            Command::TagRequest => "TagRequest",
            Command::TagSpan => "TagSpan",
            Command::ApplicationEvent => "ApplicationEvent",
            Command::BatchCommand => "BatchCommand",
            Command::CoreAgentVersion => "CoreAgentVersion",
            Command::CoreAgentShutdown => "CoreAgentShutdown",
            Command::CoreAgentDiagnose => "CoreAgentDiagnose",
        }
    }

    fn named(name: &str) -> Option<Command> {
        use Command as C;
        const ALL: [Command; 12] = [
            C::StartSpan,
            C::TagSpan,
            C::StopSpan,
            C::TagRequest,
            C::StartRequest,
            C::FinishRequest,
            C::BatchCommand,
            C::ApplicationEvent,
            C::Register,
            C::CoreAgentVersion,
            C::CoreAgentShutdown,
            C::CoreAgentDiagnose,
        ];
        ALL.into_iter().find(|command| command.name() == name)
    }
}

type Raw<'a> = Option<&'a RawValue>;

/// A command's fields, unread. Unknown ones are ignored; one of an odd type does no harm to the
/// others.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "named as on the wire")]
pub struct Fields<'a> {
    #[serde(borrow)]
    pub request_id: Raw<'a>,
    #[serde(borrow)]
    pub span_id: Raw<'a>,
    #[serde(borrow)]
    pub parent_id: Raw<'a>,
    #[serde(borrow)]
    pub operation: Raw<'a>,
    #[serde(borrow)]
    pub timestamp: Raw<'a>,
    #[serde(borrow)]
    pub tag: Raw<'a>,
    #[serde(borrow)]
    pub value: Raw<'a>,
    #[serde(borrow)]
    pub app: Raw<'a>,
    #[serde(borrow)]
    pub key: Raw<'a>,
    #[serde(borrow)]
    pub api_version: Raw<'a>,
    #[serde(borrow)]
    pub language: Raw<'a>,
    #[serde(borrow)]
    pub host: Raw<'a>,
    #[serde(borrow)]
    pub event_type: Raw<'a>,
    #[serde(borrow)]
    pub event_value: Raw<'a>,
    #[serde(borrow)]
    pub source: Raw<'a>,
    #[serde(borrow)]
    pub commands: Raw<'a>,
}

impl<'a> Fields<'a> {
    /// A field as text; numbers and truth values as theirs; empty when it is missing or null.
    pub fn text(field: Raw<'a>) -> Cow<'a, str> {
        field.map_or(Cow::Borrowed(""), |raw| text(raw.get()))
    }

    /// A field as a value.
    pub fn value(field: Raw<'a>) -> Scalar<'a> {
        field.map_or(Scalar::Null, |raw| scalar(raw.get()))
    }

    /// When it happened; `None` when the client does not say so in a way we understand.
    pub fn time(&self) -> Option<UnixNanos> {
        parse_timestamp(&Fields::text(self.timestamp))
    }
}

/// Why a frame, or a part of a batch, is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// Reads one command.
pub fn parse(text: &str) -> Result<(Command, Fields<'_>), Unreadable> {
    let Envelope { name, fields } = serde_json::from_str(text).map_err(unreadable)?;
    match (Command::named(&name), fields) {
        (Some(command), Some(fields)) => Ok((command, fields)),
        _ => {
            let shown: String = name.chars().take(64).collect();
            Err(Unreadable(format!("unknown command {shown:?}")))
        }
    }
}

/// Hands on each command of a batch in order. Its text is known to be valid JSON.
pub fn batch<'a>(
    commands: Raw<'a>,
    each: impl FnMut(Result<(Command, Fields<'a>), Unreadable>),
) -> Result<(), Unreadable> {
    struct Elements<F>(F);
    impl<'de, F> Visitor<'de> for Elements<F>
    where
        F: FnMut(Result<(Command, Fields<'de>), Unreadable>),
    {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of commands")
        }
        fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
            while let Some(raw) = seq.next_element::<&'de RawValue>()? {
                (self.0)(parse(raw.get()));
            }
            Ok(())
        }
    }
    let raw = commands.ok_or_else(|| Unreadable("commands are missing".to_owned()))?;
    let mut reader = serde_json::Deserializer::from_str(raw.get());
    reader.deserialize_seq(Elements(each)).map_err(unreadable)
}

/// Never the parser's own words on what it found: they may quote what was sent.
fn unreadable(error: serde_json::Error) -> Unreadable {
    use serde_json::error::Category;
    Unreadable(match error.classify() {
        Category::Data => "not a command: an object with one key is expected".to_owned(),
        _ => format!("not valid JSON (line {}, column {})", error.line(), error.column()),
    })
}

/// An object with one key.
struct Envelope<'a> {
    name: Cow<'a, str>,
    /// None for an unknown command.
    fields: Option<Fields<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneKey<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for OneKey<'a> {
            type Value = Envelope<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one key")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'a>, A::Error> {
                let name: Key<'a> = map.next_key()?.ok_or_else(|| A::Error::custom("no key"))?;
                let fields = match Command::named(&name.0) {
                    Some(_) => Some(map.next_value::<Option<Fields<'a>>>()?.unwrap_or_default()),
                    None => {
                        map.next_value::<IgnoredAny>()?;
                        None
                    }
                };
                match map.next_key::<Key<'a>>()? {
                    Some(_) => Err(A::Error::custom("more than one key")),
                    None => Ok(Envelope { name: name.0, fields }),
                }
            }
        }
        from.deserialize_map(OneKey(std::marker::PhantomData))
    }
}

struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Text<'a> {
            type Value = Key<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command's name")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'a>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'a>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Text(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        parse(text).unwrap_err().0
    }

    #[test]
    fn commands_with_odd_fields() {
        let (command, fields) = parse(
            r#"{"StartSpan":{"request_id":7,"new":[{}],"span_id":"s","parent_id":null,
               "timestamp":"2018-12-01T17:04:34Z","operation":{"a":1}}}"#,
        )
        .unwrap();
        assert_eq!(command, Command::StartSpan);
        assert_eq!(Fields::text(fields.request_id), "7");
        assert_eq!(Fields::text(fields.parent_id), "");
        assert_eq!(Fields::text(fields.operation), r#"{"a":1}"#);
        assert_eq!(fields.time(), Some(UnixNanos(1_543_683_874_000_000_000)));
        assert!(parse(r#"{"CoreAgentVersion":{}}"#).is_ok());
        assert!(parse(r#"{"CoreAgentVersion":null}"#).is_ok());
    }

    #[test]
    fn what_is_no_command_says_why_and_quotes_nothing() {
        assert_eq!(why(r#"{"Dance":{"a":1}}"#), "unknown command \"Dance\"");
        assert!(why("").starts_with("not valid JSON"));
        assert!(why(r#"{"Register":{"key":"s3cret" x}}"#).starts_with("not valid JSON (line 1"));
        for text in ["[]", "{}", "1", r#"{"Register":{},"StartSpan":{}}"#, r#"{"Register":"s3c"}"#]
        {
            assert_eq!(why(text), "not a command: an object with one key is expected", "{text}");
        }
        assert!(why(&"[".repeat(100_000)).contains("not"));
    }

    #[test]
    fn a_batchs_bad_parts_cost_only_themselves() {
        let text = r#"{"BatchCommand":{"commands":[{"StopSpan":{}},{"X":1},7,{"TagSpan":{}}]}}"#;
        let (_, fields) = parse(text).unwrap();
        let mut seen = Vec::new();
        batch(fields.commands, |part| seen.push(part.map(|(command, _)| command).ok())).unwrap();
        assert_eq!(seen, [Some(Command::StopSpan), None, None, Some(Command::TagSpan)]);
        assert!(batch(None, |_| {}).is_err());
        let (_, fields) = parse(r#"{"BatchCommand":{"commands":{}}}"#).unwrap();
        assert!(batch(fields.commands, |_| {}).is_err());
    }
}
