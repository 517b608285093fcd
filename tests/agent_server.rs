//! The executable as a server: what launchers, supervisors and clients of the socket rely on.
//! Real clients, floods and load are in `ffi-tests/agent`.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_scout-core-agent");

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(EXECUTABLE);
    command.args(args);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SCOUT_")) {
        command.env_remove(name);
    }
    command
}

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// An agent in the foreground, with a directory of its own.
struct Agent {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Agent {
    fn start(name: &str) -> Agent {
        let directory = std::env::temp_dir().join(format!("scout-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let path = |name: &str| directory.join(name).display().to_string();
        let destination = format!("file://{}", path("payloads"));
        let child = command(&["start", "--tcp", "127.0.0.1:0", "--log-file", &path("log")])
            .args(["--destination", &destination, "--data-dir", &path("data")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let address = loop {
            let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
            if let Some((_, rest)) = log.split_once("bound to socket at tcp://") {
                break rest.lines().next().unwrap().parse().unwrap();
            }
            assert!(Instant::now() < until, "{log}");
            std::thread::sleep(Duration::from_millis(5));
        };
        Agent { child, address, directory }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Ends it as its own command does; gives what it delivered.
    fn end(mut self) -> String {
        let address = self.address.to_string();
        assert!(run(&["shutdown", "--tcp", &address]).status.success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let payloads = read_all(&self.directory.join("payloads"));
        std::fs::remove_dir_all(&self.directory).unwrap();
        payloads
    }
}

fn read_all(path: &Path) -> String {
    let Ok(entries) = std::fs::read_dir(path) else {
        return std::fs::read_to_string(path).unwrap_or_default();
    };
    entries.map(|entry| read_all(&entry.unwrap().path())).collect()
}

fn ask(mut stream: &TcpStream, json: &str) -> String {
    stream.write_all(&(json.len() as u32).to_be_bytes()).unwrap();
    stream.write_all(json.as_bytes()).unwrap();
    let mut header = [0; 4];
    stream.read_exact(&mut header).unwrap();
    let mut body = vec![0; u32::from_be_bytes(header) as usize];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

const REGISTER: &str =
    r#"{"Register":{"app":"Shop","key":"k","api_version":"1.0","language":"php"}}"#;

#[test]
fn a_request_goes_from_the_socket_to_a_payload() {
    let agent = Agent::start("whole");
    let client = agent.connect();
    assert_eq!(ask(&client, REGISTER), r#"{"Register":{"id":null,"result":"Success"}}"#);
    let batch = r#"{"BatchCommand":{"commands":[
        {"StartRequest":{"request_id":"r"}},
        {"TagRequest":{"request_id":"r","tag":"ratio","value":NaN}},
        {"StartSpan":{"request_id":"r","span_id":"s","parent_id":null,
                      "operation":"Controller/users/show"}},
        {"StartSpan":{"request_id":"r","span_id":"q","parent_id":"s","operation":"SQL/Query"}},
        {"TagSpan":{"request_id":"r","span_id":"q","tag":"db.statement",
                    "value":"SELECT * FROM users WHERE name = 's3cret'"}},
        {"StopSpan":{"request_id":"r","span_id":"q"}},
        {"StopSpan":{"request_id":"r","span_id":"s"}},
        {"FinishRequest":{"request_id":"r"}}]}}"#;
    assert_eq!(ask(&client, batch), r#"{"BatchCommand":{"id":null,"result":"Success"}}"#);
    let payloads = agent.end();
    assert!(payloads.contains("Controller") && payloads.contains("users/show"), "{payloads}");
    assert!(payloads.contains(r#""model_name":"User","operation":"select""#), "{payloads}");
    assert!(!payloads.contains("s3cret"));
}

#[test]
fn before_register_and_without_sense() {
    let agent = Agent::start("refused");
    let client = agent.connect();
    let refused = ask(&client, r#"{"StartRequest":{"request_id":"r"}}"#);
    assert!(refused.starts_with(r#"{"StartRequest":{"result":{"Failure":{"message":""#));
    assert!(ask(&client, "nonsense").starts_with(r#"{"Failure":{"message":"not valid JSON"#));
    assert!(ask(&client, r#"{"CoreAgentVersion":{}}"#).contains(r#""result":"Success""#));
    let mut other = agent.connect();
    other.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut told = Vec::new();
    other.read_to_end(&mut told).unwrap();
    assert!(String::from_utf8_lossy(&told).contains("too long"), "{told:?}");
    assert_eq!(agent.end(), "");
}

#[test]
fn a_second_one_is_3_and_a_probe_tells() {
    let agent = Agent::start("second");
    let address = agent.address.to_string();
    assert_eq!(run(&["start", "--tcp", &address]).status.code(), Some(3));
    let probe = run(&["probe", "--tcp", &address]);
    assert_eq!(probe.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&probe.stdout).starts_with("Agent found: CoreAgentVersion"));
    agent.end();
    assert_eq!(run(&["probe", "--tcp", &address]).status.code(), Some(1));
}

#[test]
fn wrong_usage_is_2_and_help_is_help() {
    for args in
        [&["start", "--dance"][..], &["probe", "--tcp", "x"], &["start", "--tcp", "8.8.8.8:1"]]
    {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: "));
    }
    let help = run(&["start", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout);
    assert!(help.contains("--daemonize") && help.lines().all(|line| line.chars().count() <= 100));
}
