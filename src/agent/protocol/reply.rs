use super::write_frame;
use serde_json::json;

/// The version of the core agent whose protocol this is. Agents check that it is a version, and
/// some compare it with the one they asked for.
pub const VERSION: &str = "1.6.0";

/// The answer to one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The command was done.
    Success(&'static str),
    /// The command was not done; why, for a person.
    Failure(&'static str, String),
    /// The frame holds no command that we know.
    Protocol(String),
    /// Who we are.
    Version,
    /// A report on this agent, in JSON.
    Diagnosis(String),
}

impl Reply {
    /// Appends the reply as one frame: the smallest valid form, so that it never spans two of a
    /// client's reads.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_frame(out, |out| match self {
            Reply::Success(command) => {
                out.extend_from_slice(b"{\"");
                out.extend_from_slice(command.as_bytes());
                out.extend_from_slice(b"\":{\"id\":null,\"result\":\"Success\"}}");
            }
            Reply::Failure(command, why) => {
                let why = json!({ (*command): { "result": { "Failure": { "message": why } } } });
                out.extend_from_slice(why.to_string().as_bytes());
            }
            Reply::Protocol(why) => {
                let why = json!({ "Failure": { "message": why } });
                out.extend_from_slice(why.to_string().as_bytes());
            }
            Reply::Version => {
                let version =
                    json!({ "CoreAgentVersion": { "version": VERSION, "result": "Success" } });
                out.extend_from_slice(version.to_string().as_bytes());
            }
            Reply::Diagnosis(report) => {
                out.extend_from_slice(b"{\"CoreAgentDiagnose\":");
                out.extend_from_slice(report.as_bytes());
                out.push(b'}');
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reply: Reply) -> String {
        let mut out = Vec::new();
        reply.write(&mut out);
        assert_eq!(out[..4], (out.len() as u32 - 4).to_be_bytes());
        String::from_utf8(out.split_off(4)).unwrap()
    }

    #[test]
    fn to_the_letter() {
        assert_eq!(
            text(Reply::Success("Register")),
            r#"{"Register":{"id":null,"result":"Success"}}"#
        );
        assert_eq!(
            text(Reply::Failure("StartSpan", "no \"x\"".into())),
            r#"{"StartSpan":{"result":{"Failure":{"message":"no \"x\""}}}}"#
        );
        assert_eq!(text(Reply::Protocol("x".into())), r#"{"Failure":{"message":"x"}}"#);
        assert!(text(Reply::Version).contains(r#""version":"1.6.0""#));
    }
}
