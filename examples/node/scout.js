"use strict";

// scoutcore for Node: application monitoring through libscoutcore and koffi.
//
//     const scout = require("scoutcore");
//     scout.start({ name: "Shop" });                        // never throws; scout.offReason() says why not
//
//     http.createServer((request, response) =>
//       scout.span("Controller/orders/show", async () => {   // a request: its root names the endpoint
//         scout.tagRequest({ path: request.url });
//         const rows = await scout.span("SQL/Query", { "db.statement": sql }, () => client.query(sql));
//         response.end(JSON.stringify(rows));
//       }));
//
//     const mailer = scout.wrap("Job/mailer", async (mail) => { ... });
//
//     scout.sanitizeSql("SELECT * FROM users WHERE id = 7", "postgres");  // "... WHERE id = ?"
//     scout.summarizeSql("SELECT * FROM users WHERE id = 7");             // "SELECT users"
//
// Copy this folder into your package. It needs Node 18 or newer, and koffi from npm.
//
// *The library* is looked for in `$SCOUTCORE_LIB` (a file; then only there), next to these files, in
// the repository's `target/release`, and where the system keeps `libscoutcore.so.1`. If none loads
// with the right ABI version, or koffi is not installed, there is one warning and everything is a
// no-op.
//
// *What may wait.* Nothing that happens in a request:
//
//   call                                                    may wait         event loop
//   span, begin, end, wrap, attach, tagRequest, rename,     never
//   ignore, error, metric, event, stats
//   sanitizeSql, summarizeSql                               never
//   start, diagnose                                         milliseconds     stands still
//   flush, shutdown                                         to the timeout   goes on: they are promises
//   the exit of the process                                 2 seconds        is over
//
// *Promises.* A span lasts until the promise that its callback returned is settled, and what it
// returns is a promise of the same value. What only looks like one (a query builder that runs when it
// is awaited) is passed on untouched, and its span has ended: say `async () => await query`.
//
// *The current span* is that of the place where a callback, a promise or a timer was made. Where
// there is no such place (a stream, an event emitter) begin and end a span by hand:
//
//     const span = scout.begin("HTTP/GET", { url });
//     request.on("error", (error) => span.failed(error)).on("close", () => span.end());
//
// A timer that a request made, and that outlives it, keeps it as its own; but a span named
// `Controller/...` or `Job/...` begins a request there.
//
// *Cluster and child processes*: each process calls `start` for itself; they share one directory, and
// their minutes are merged. Nothing crosses from the primary to its workers.
//
// *Worker threads*: `start` in a worker joins the core of the thread that started it, if that had one
// by then, and its options are not looked at; else it starts one of its own. A worker goes on with a
// request of another thread by `scout.attach(context, callback)`, where `context`, a value to post to
// it, is `scout.current().context()`. A worker hands over what it has when it ends; not if it is ended
// by `terminate`, or by another thread's `process.exit`.
//
// *The end.* A process that exits, also by an uncaught exception, delivers before. One that a signal
// ends does not: what was handed over by then, which is every request that had ended, is on disk, and
// the next process on that directory delivers it. A handler that ends in `process.exit` changes that.

const { isMainThread, getEnvironmentData, setEnvironmentData } = require("worker_threads");
const { Core, StartFailed } = require("./scout/core");
const library = require("./scout/library");
const log = require("./scout/log");
const spans = require("./scout/spans");
const { sanitizeSql, summarizeSql } = require("./scout/sql");

const { attach, begin, current, error, event, ignore, metric, rename, span, tagRequest, wrap } = spans;

// How long an exiting process waits for its last delivery.
const EXIT_TIMEOUT_MS = 2000;
// The core of a process, for the threads that this one will start.
const SHARED = "scoutcore";

let core = null;
let off = "start was not called";
let hooked = false;

// Starts recording, and returns whether it does. Never throws.
//
// Options are the core's (docs/configuration.md), e.g. `{ name: "Shop" }`. Messages go to `logger`,
// anything with the methods error, warn, info and debug; by default warnings and errors to the
// console. Without a library, with the wrong one, or with options it refuses: one warning, every
// other function does nothing, and `offReason` says why. A second call changes nothing.
function start(options, { logger } = {}) {
  if (core !== null) return true;
  if (logger) log.use(logger);
  try {
    core = joined() ?? started(options);
  } catch (failure) {
    return turnOff(failure.message, !(failure instanceof StartFailed && failure.disabled));
  }
  off = null;
  spans.use(core);
  if (!hooked) process.on("exit", end);
  hooked = true;
  if (core.owned) {
    setEnvironmentData(SHARED, { file: core.library.file, handle: core.handle });
    event("scout.metadata", JSON.stringify({ language: "node", language_version: process.versions.node }));
  }
  return true;
}

function started(options) {
  const { library: loaded, reason } = library.load();
  if (!loaded) throw new Error(reason);
  return Core.start(loaded, options);
}

function joined() {
  const shared = isMainThread ? undefined : getEnvironmentData(SHARED);
  if (!shared) return null;
  const { library: loaded } = library.load([shared.file]);
  return loaded ? Core.join(loaded, shared.handle) : null;
}

function turnOff(reason, warn) {
  if (warn && reason !== off) log.warn(`off, nothing is recorded: ${reason}`);
  off = reason;
  return false;
}

// Why nothing is recorded; null while it is.
function offReason() {
  return off;
}

// Delivers what was recorded, and moves the core's log to the logger. A promise of a status (0:
// delivered, 1: on disk, negative: neither yet), or of null if nothing is recorded.
async function flush(timeoutMs = 1000) {
  const running = core;
  return running === null ? null : waited(running, () => running.flush(milliseconds(timeoutMs, 1000)));
}

// Flushes and stops; in a worker that joined a core, only flushes. At exit this happens by itself;
// calling it twice does no harm. A promise, as of `flush`.
async function shutdown(timeoutMs = EXIT_TIMEOUT_MS) {
  const stopped = stop();
  if (stopped === null) return null;
  const began = Date.now();
  const limit = milliseconds(timeoutMs, EXIT_TIMEOUT_MS);
  const status = await waited(stopped, () => stopped.flush(limit)); // after shutdown there is no log
  if (!stopped.owned) return status;
  return waited(null, () => stopped.shutdown(Math.max(limit - (Date.now() - began), 0)));
}

// What `shutdown` does, when there is no event loop any more.
function end() {
  const stopped = stop();
  if (stopped === null) return;
  try {
    if (!stopped.owned) return void stopped.handOver();
    const began = Date.now();
    stopped.flushSync(EXIT_TIMEOUT_MS);
    stopped.tell();
    stopped.shutdownSync(Math.max(EXIT_TIMEOUT_MS - (Date.now() - began), 0));
  } catch (failure) {
    log.caught(failure);
  }
}

function stop() {
  const stopped = core;
  if (stopped === null) return null;
  core = null;
  off = "it was shut down";
  spans.use(null);
  return stopped;
}

// What a call comes to that may take its time; null if it could not be made.
async function waited(running, call) {
  try {
    const status = await call();
    running?.tell();
    return status;
  } catch (failure) {
    log.caught(failure);
    return null;
  }
}

function milliseconds(timeout, usual) {
  return typeof timeout === "number" ? Math.min(Math.max(Math.trunc(timeout) || 0, 0), 2 ** 32 - 1) : usual;
}

// The core's counters; {} if nothing is recorded.
function stats() {
  return asked(() => core.stats(), {});
}

// The core's report for a support ticket. Looks at files: not in a request.
function diagnose() {
  return asked(() => core.diagnose(), { off });
}

function asked(call, otherwise) {
  if (core === null) return otherwise;
  try {
    return call();
  } catch (failure) {
    log.caught(failure);
    return {};
  }
}

// Plain names, by which an ES module's `import { span } from` finds them.
module.exports = {
  attach, begin, current, diagnose, error, event, flush, ignore, metric, offReason, rename, sanitizeSql, shutdown,
  span, start, stats, summarizeSql, tagRequest, wrap,
};
