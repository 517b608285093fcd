use super::args::Args;
use crate::agent::protocol::{Command, MAX_FRAME, write_frame};
use crate::agent::server::{Address, Stream};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::time::Duration;

/// How long an agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks an agent one thing; gives its answer.
pub(super) fn ask(address: &Address, command: Command) -> io::Result<Value> {
    let stream = Stream::connect(address, PATIENCE)?;
    let mut frame = Vec::new();
    write_frame(&mut frame, |out| {
        out.extend_from_slice(format!("{{\"{}\":{{}}}}", command.name()).as_bytes());
    });
    (&stream).write_all(&frame)?;
    let mut header = [0; 4];
    (&stream).read_exact(&mut header)?;
    let len = u32::from_be_bytes(header) as usize;
    if len > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is no frame"));
    }
    let mut body = Vec::new();
    (&stream).take(len as u64).read_to_end(&mut body)?;
    serde_json::from_slice(&body).map_err(io::Error::other)
}

/// The version that answers at an address, if an agent does.
pub(super) fn version_at(address: &Address) -> io::Result<String> {
    let answer = ask(address, Command::CoreAgentVersion)?;
    let version = answer.pointer("/CoreAgentVersion/version").and_then(Value::as_str);
    version
        .map(str::to_owned)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what answers is no core agent"))
}

/// Looks for an agent. Exit code 0 if one answers, 1 if none does.
pub fn probe(args: &Args, out: &mut impl Write) -> io::Result<u8> {
    let mut why = Vec::new();
    for address in args.addresses() {
        match version_at(&address) {
            Ok(version) => {
                // In the words of the original, which launchers and people look for.
                writeln!(out, "Agent found: CoreAgentVersion {{ raw: {version:?} }}")?;
                return Ok(0);
            }
            Err(error) => why.push(format!("{address}: {error}")),
        }
    }
    writeln!(out, "Agent not found: {}", why.join("; "))?;
    Ok(1)
}

/// Asks an agent to end. Exit code 0 if it will, 1 if none answers.
pub fn shutdown(args: &Args, out: &mut impl Write) -> io::Result<u8> {
    let mut why = Vec::new();
    for address in args.addresses() {
        match ask(&address, Command::CoreAgentShutdown) {
            Ok(_) => {
                writeln!(out, "Agent at {address} is shutting down")?;
                return Ok(0);
            }
            Err(error) => why.push(format!("{address}: {error}")),
        }
    }
    writeln!(out, "Agent not found: {}", why.join("; "))?;
    Ok(1)
}
