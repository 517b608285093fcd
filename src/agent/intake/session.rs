use super::application::Application;
use super::book::{Book, MAX_OPEN_BYTES};
use super::draft::Full;
use super::edit::Edit;
use super::emit::Finished;
use super::hub::Hub;
use crate::agent::protocol::{self, Command, Fields, Reply, Unreadable, clean};
use crate::core::Failure;
use crate::model::UnixNanos;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The most bytes in all open requests of all applications.
const MAX_TOTAL_BYTES: usize = 256 << 20;
/// The longest application name, and key, in bytes.
const MAX_IDENTITY: usize = 1024;

/// What is known of one connection: whose it is, and what is under way.
#[derive(Debug, Default)]
pub struct Session {
    app: Option<Arc<Application>>,
    under_way: Option<UnderWay>,
}

/// How long a frame waits for room in a core that is behind, in nanoseconds: a slow answer slows
/// the client down, a dropped record is lost. Python's agent waits three seconds for an answer.
const PATIENCE: u64 = 2_000_000_000;

/// A frame whose requests are being handed on.
#[derive(Debug)]
struct UnderWay {
    command: Command,
    done: Result<(), String>,
    finished: VecDeque<Finished>,
    since: UnixNanos,
}

/// What to do once the reply is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Go on.
    Continue,
    /// End the agent.
    Shutdown,
}

/// What one frame's commands leave to be done once the book is closed again.
#[derive(Default)]
struct Work<'f> {
    finished: VecDeque<Finished>,
    events: Vec<Fields<'f>>,
}

impl Session {
    /// Whether the client has said who it is.
    pub fn is_registered(&self) -> bool {
        self.app.is_some()
    }

    /// Does what one frame asks for. `None`: it waits for room, and [`Session::resume`] is to be
    /// called, before the next frame.
    pub fn frame(&mut self, hub: &Hub, body: &[u8], now: UnixNanos) -> Option<(Reply, After)> {
        hub.counters.frames.add(1);
        let text = clean(body);
        let reply = match protocol::parse(&text) {
            Ok((Command::CoreAgentShutdown, _)) => {
                let done = Reply::Success(Command::CoreAgentShutdown.name());
                return Some((done, After::Shutdown));
            }
            Ok((command, fields)) => self.command(hub, command, &fields, now)?,
            Err(Unreadable(why)) => Reply::Protocol(why),
        };
        Some((counted(hub, reply), After::Continue))
    }

    /// Goes on with a frame that waits for room.
    pub fn resume(&mut self, hub: &Hub, now: UnixNanos) -> Option<(Reply, After)> {
        let reply = self.hand_on(hub, now)?;
        Some((counted(hub, reply), After::Continue))
    }

    fn command(
        &mut self,
        hub: &Hub,
        command: Command,
        fields: &Fields<'_>,
        now: UnixNanos,
    ) -> Option<Reply> {
        let done = match command {
            Command::CoreAgentVersion => return Some(Reply::Version),
            Command::CoreAgentDiagnose => return Some(Reply::Diagnosis(hub.diagnose())),
            Command::Register => self.register(hub, fields, now),
            _ => match &self.app {
                None => Err("the connection is not registered: send Register first".to_owned()),
                Some(app) => {
                    app.touch(now);
                    let (done, finished) = run(hub, app, command, fields, now);
                    self.under_way = Some(UnderWay { command, done, finished, since: now });
                    return self.hand_on(hub, now);
                }
            },
        };
        Some(reply_to(command, done))
    }

    /// Hands on what is finished; `None` while there is no room.
    fn hand_on(&mut self, hub: &Hub, now: UnixNanos) -> Option<Reply> {
        let (Some(app), Some(work)) = (&self.app, &mut self.under_way) else {
            return Some(Reply::Protocol("nothing is under way".to_owned()));
        };
        while let Some(first) = work.finished.front_mut() {
            match hub.hand_on(app, first, now) {
                Ok(()) => {}
                Err(Failure::Dropped) if now.0 < work.since.0 + PATIENCE => {
                    hub.counters.requests_waited.add(1);
                    return None;
                }
                Err(failure) => {
                    hub.counters.requests_dropped.add(1);
                    let before = std::mem::replace(&mut work.done, Ok(()));
                    work.done = before.and(Err(failure.to_string()));
                }
            }
            if let Some(gone) = work.finished.pop_front()
                && gone.draft.kept.is_some()
            {
                app.book().done(&gone.draft);
            }
        }
        let UnderWay { command, done, .. } = self.under_way.take()?;
        Some(reply_to(command, done))
    }

    fn register(&mut self, hub: &Hub, fields: &Fields<'_>, now: UnixNanos) -> Result<(), String> {
        if fields.app.is_none() || fields.key.is_none() {
            return Err("app and key are required".to_owned());
        }
        let (name, key) = (Fields::text(fields.app), Fields::text(fields.key));
        if name.len() > MAX_IDENTITY || key.len() > MAX_IDENTITY {
            return Err(format!("app and key are at most {MAX_IDENTITY} bytes each"));
        }
        let app = hub
            .application(&key, &name)
            .ok_or_else(|| "too many applications use this agent".to_owned())?;
        app.note_host(&Fields::text(fields.host));
        hub.take_over(&app, now);
        self.app = Some(app);
        Ok(())
    }
}

fn reply_to(command: Command, done: Result<(), String>) -> Reply {
    match done {
        Ok(()) => Reply::Success(command.name()),
        Err(why) => Reply::Failure(command.name(), why),
    }
}

fn counted(hub: &Hub, reply: Reply) -> Reply {
    if matches!(reply, Reply::Failure(..) | Reply::Protocol(_)) {
        hub.counters.frames_failed.add(1);
    }
    reply
}

/// Does a registered client's command, but for handing on the requests that it finishes.
fn run(
    hub: &Hub,
    app: &Application,
    command: Command,
    fields: &Fields<'_>,
    now: UnixNanos,
) -> (Result<(), String>, VecDeque<Finished>) {
    let mut work = Work::default();
    let mut done = Ok(());
    let mut book = app.book();
    let before = book.bytes();
    book.begin_frame();
    if command == Command::BatchCommand {
        let (mut parts, mut failed, mut first) = (0_usize, 0_u64, None);
        let read = protocol::batch(fields.commands, |part| {
            let number = parts;
            parts += 1;
            let done = match part {
                Ok((command, fields)) => {
                    apply(hub, &mut book, &mut work, command, &fields, number, now)
                }
                Err(Unreadable(why)) => Err(why),
            };
            if let Err(why) = done {
                failed += 1;
                first.get_or_insert(why);
            }
        });
        hub.counters.commands.add(parts as u64);
        hub.counters.commands_failed.add(failed);
        if let Err(Unreadable(why)) = read {
            done = Err(why);
        } else if let Some(why) = first {
            done = Err(format!("{failed} of {parts} commands failed; the first: {why}"));
        }
    } else {
        hub.counters.commands.add(1);
        done = apply(hub, &mut book, &mut work, command, fields, 0, now);
    }
    if book.is_to_be_kept() {
        keep(hub, &mut book, command, fields, now);
    }
    let taken: usize = work.finished.iter().map(|finished| finished.draft.bytes()).sum();
    let grown = (book.bytes() + taken).saturating_sub(before);
    let total = hub.open_bytes.fetch_add(grown, Ordering::Relaxed) + grown;
    // When all are full together, each has to make do with less.
    let share = if total > MAX_TOTAL_BYTES { MAX_OPEN_BYTES / 16 } else { MAX_OPEN_BYTES };
    let closed = book.over_limit(share, &hub.counters);
    drop(book);
    hub.open_bytes.fetch_sub(taken, Ordering::Relaxed);
    hub.close(app, closed, now);
    for fields in work.events {
        done = done.and(hub.event(app, &fields, now).map_err(|failure| failure.to_string()));
    }
    (done, work.finished)
}

/// Does one command on the book of open requests.
fn apply<'f>(
    hub: &Hub,
    book: &mut Book,
    work: &mut Work<'f>,
    command: Command,
    fields: &Fields<'f>,
    part: usize,
    now: UnixNanos,
) -> Result<(), String> {
    match command {
        Command::ApplicationEvent => {
            work.events.push(*fields);
            return Ok(());
        }
        Command::StartRequest
        | Command::FinishRequest
        | Command::StartSpan
        | Command::StopSpan
        | Command::TagRequest
        | Command::TagSpan => {}
        _ => return Err(format!("{} cannot be part of a batch", command.name())),
    }
    let request = Fields::text(fields.request_id);
    if request.is_empty() {
        return Err("request_id is missing".to_owned());
    }
    if command == Command::FinishRequest {
        // Of a request we know nothing of, there is nothing to finish: its commands may have met
        // an agent before this one.
        let at = fields.time().unwrap_or(now);
        if let Some(draft) = book.finish(&request, at) {
            work.finished.push_back(Finished::new(draft, Some(at)));
        }
        return Ok(());
    }
    let edit = Edit::of(command, fields, now)?;
    // Not a failure of the command: it is as it should be, there is only too much of it.
    let tagging = matches!(command, Command::TagRequest | Command::TagSpan);
    match book.edit(&request, now, part, &edit) {
        Ok(()) => {}
        Err(Full::Spans) if command == Command::StartSpan => hub.counters.spans_over_limit.add(1),
        Err(Full::Bytes) if !tagging => hub.counters.spans_over_limit.add(1),
        Err(_) => hub.counters.tags_dropped.add(u64::from(tagging)),
    }
    Ok(())
}

/// Keeps a frame's changes to requests that it leaves open.
fn keep(hub: &Hub, book: &mut Book, command: Command, fields: &Fields<'_>, now: UnixNanos) {
    let mut part = 0;
    let mut one = |command, fields: &Fields<'_>| {
        if let Ok(edit) = Edit::of(command, fields, now) {
            let kept = book.keep(&Fields::text(fields.request_id), now, part, &edit);
            hub.counters.commands_not_kept.add(u64::from(kept.is_err()));
        }
        part += 1;
    };
    if command == Command::BatchCommand {
        // Read before, and found to be good.
        let _ = protocol::batch(fields.commands, |part| match part {
            Ok((command, fields)) => one(command, &fields),
            Err(_) => one(Command::BatchCommand, &Fields::default()),
        });
    } else {
        one(command, fields);
    }
}
