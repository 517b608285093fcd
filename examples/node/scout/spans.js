"use strict";

// Spans and requests: what an application is instrumented with.
//
// The current span is what an AsyncLocalStorage holds: callbacks, promises and timers have that of
// the place they were made in. Records of all requests wait in one buffer, and cross to the core in
// one call when a request ends.
//
// Times are a request's origin plus `performance.now`: a clock that is set while a request runs bends
// no duration.

const { AsyncLocalStorage } = require("async_hooks");
const { randomFillSync } = require("crypto");
const { performance } = require("perf_hooks");
const { types } = require("util");
const log = require("./log");

// Bound here, since test suites replace clocks.
const now = performance.now.bind(performance);
const wallClock = Date.now;
const { then } = Promise.prototype;

const storage = new AsyncLocalStorage();
let core = null;

// A span's id is one of a thread, which is random, and a number within it: unique in a request of
// many threads and processes, and cheaper than a random one.
const THREAD = randomFillSync(new Uint32Array(1))[0] | 1;
let lastId = 0;

// Trace ids, made in stock: asking for a few random bytes costs as much as asking for many.
const random = new Int32Array(1024);
let used = random.length;

// Sets the core that requests from now on are recorded with; null: nothing is recorded.
function use(running) {
  core = running;
}

// Unix time in milliseconds at which `now()` was 0, and the same in nanoseconds as halves.
const origin = { milliseconds: 0, originHigh: 0, originLow: 0 };

function setOrigin(milliseconds) {
  const nanoseconds = BigInt(Math.round(milliseconds * 1000)) * 1000n;
  origin.milliseconds = milliseconds;
  origin.originHigh = Number(nanoseconds >> 32n);
  origin.originLow = Number(nanoseconds & 0xffffffffn);
}

setOrigin(performance.timeOrigin);

// Follows the wall clock where it was set, or where the machine slept and `now` with it. Not if
// they are a millisecond apart, as one of them counts in milliseconds.
function settleOrigin() {
  const ahead = wallClock() - (origin.milliseconds + now());
  if (ahead > 2 || ahead < -3) setOrigin(origin.milliseconds + ahead);
}

// What the spans of one request share: its id, its clock, and what it failed with.
class Request {
  constructor(core) {
    if (used === random.length) {
      randomFillSync(random);
      used = 0;
    }
    settleOrigin();
    this.core = core;
    this.trace0 = random[used++];
    this.trace1 = random[used++];
    this.trace2 = random[used++];
    this.trace3 = random[used++];
    this.originHigh = origin.originHigh;
    this.originLow = origin.originLow;
    this.ended = false;
    this.failure = null;
  }

  // Hands over what waits, if it is not to wait any longer: what comes after the request's end, or is
  // too much.
  settle() {
    if (this.ended || this.core.records.full) this.core.handOver();
  }
}

// A timed piece of work: made by `begin`, or by `span`, which passes it to its callback.
class Span {
  constructor(request, parent, operation, tags) {
    this.request = request;
    this.operation = operation;
    this.tags = tags;
    this.late = null;
    // Not the parent itself: spans that begin one another, over and over, would keep them all.
    this.parentLow = parent === null ? 0 : parent.low;
    this.parentHigh = parent === null ? 0 : parent.high;
    this.outermost = parent === null || parent.remote;
    this.open = true;
    this.low = lastId = (lastId + 1) | 0;
    this.high = THREAD;
    this.began = now();
  }

  // Of another thread, as its `context` says.
  get remote() {
    return false;
  }

  // Adds a tag that is known only later, e.g. a row count.
  tag(key, value) {
    const { late } = this;
    if (late === null) this.late = [key, value];
    else late.push(key, value);
  }

  // Notes an exception that leaves this span: with the innermost one that it left, it is recorded
  // when it leaves the whole request. One that is handled on the way out was not its failure.
  failed(error) {
    const { request } = this;
    if (request.failure === null || request.failure.error !== error) {
      request.failure = { error, low: this.low, high: this.high };
    }
    if (this.parentLow !== 0 || this.parentHigh !== 0) return;
    guarded(() => {
      recordError(request, request.failure.low, request.failure.high, error, null);
      request.settle();
    });
  }

  // Ends the span, and records it. Once: later calls do nothing.
  end() {
    if (!this.open) return;
    this.open = false;
    const { request, low, high, parentLow, parentHigh, began, operation } = this;
    const { core } = request;
    const ended = now();
    try {
      try {
        core.records.span(request, low, high, parentLow, parentHigh, began, ended, operation, this.tags, this.late);
      } catch (error) { // whatever a tag's toString does, the span was there
        log.caught(error);
        const name = typeof operation === "string" ? operation : "";
        core.records.span(request, low, high, parentLow, parentHigh, began, ended, name, null);
      }
      if (this.outermost) {
        if (parentLow === 0 && parentHigh === 0) request.ended = true;
        core.handOver();
      } else {
        request.settle();
      }
    } catch (error) {
      log.caught(error);
    }
  }

  // What another thread of this process needs to go on with the request: see `attach`. A value that
  // `postMessage` takes.
  context() {
    const { trace0, trace1, trace2, trace3 } = this.request;
    return Int32Array.of(trace0, trace1, trace2, trace3, this.low, this.high);
  }
}

// A span of another thread, for those that this one puts under it.
class RemoteSpan {
  constructor(core, context) {
    const [trace0, trace1, trace2, trace3, low, high] = context;
    this.request = Object.assign(new Request(core), { trace0, trace1, trace2, trace3 });
    this.low = low;
    this.high = high;
  }

  get remote() {
    return true;
  }

  context() {
    return Span.prototype.context.call(this);
  }

  tag() {}
  failed() {}
  end() {}
}

// In place of a span while nothing is recorded.
const NO_SPAN = Object.freeze({ context: () => null, tag() {}, failed() {}, end() {} });

// Begins a span by hand, which `end` must end: where work has no callback that it happens in, as
// with streams and events. It does not become the current one. `parent` is a span or a `context`,
// by default the current span; null begins a request.
function begin(operation, tags = undefined, parent = storage.getStore()) {
  const under = spanOf(parent);
  if (under !== null && !(under.request.ended && isEndpoint(operation))) {
    return new Span(under.request, under, operation, tags);
  }
  return core === null ? NO_SPAN : new Span(new Request(core), null, operation, tags);
}

// A timer or a connection that a request made lives on after it: what it begins then is a request.
function isEndpoint(operation) {
  return typeof operation === "string" && (operation.startsWith("Controller/") || operation.startsWith("Job/"));
}

// A span of whatever stands for one; or null.
function spanOf(parent) {
  if (parent instanceof Span) return parent;
  if (parent instanceof RemoteSpan) return parent;
  return core !== null && parent instanceof Int32Array && parent.length === 6 ? new RemoteSpan(core, parent) : null;
}

// Times the callback as a span, and returns what it returns. The operation is `Type/name`; without
// a span around it, it begins a request: name those `Controller/...` or `Job/...`. If the callback
// returns a promise, the span lasts until that is settled. Exceptions pass through, and one that
// leaves the whole request is recorded as its error.
function span(operation, tags, callback) {
  if (callback === undefined && typeof tags === "function") [tags, callback] = [undefined, tags];
  const made = begin(operation, tags);
  if (made === NO_SPAN) return callback(made);
  let result;
  try {
    result = storage.run(made, callback, made);
  } catch (error) {
    made.failed(error);
    made.end();
    throw error;
  }
  if (typeof result === "object" && result !== null && types.isPromise(result)) return lasting(made, result);
  made.end();
  return result;
}

// A promise like the given one, behind the end of a span. Not the given one itself: a handler that
// we put on that would make the application's own unhandled rejections look handled.
function lasting(made, promise) {
  const kept = (value) => {
    made.end();
    return value;
  };
  const broken = (error) => {
    made.failed(error);
    made.end();
    throw error;
  };
  try {
    return Reflect.apply(then, promise, [kept, broken]);
  } catch (error) { // a subclass of Promise that cannot be derived from
    log.caught(error);
    made.end();
    return promise;
  }
}

// A function that does what the given one does, within a span.
function wrap(operation, tags, callback) {
  if (callback === undefined && typeof tags === "function") [tags, callback] = [undefined, tags];
  const wrapped = function (...values) {
    return span(operation, tags, () => Reflect.apply(callback, this, values));
  };
  for (const property of ["name", "length"]) {
    Object.defineProperty(wrapped, property, { value: callback[property], configurable: true });
  }
  return wrapped;
}

// The current span, or null.
function current() {
  return storage.getStore() ?? null;
}

// Makes a span the current one for the callback: one that was begun by hand, or one of another
// thread, by its `context`. With null there is none in it, and the next one begins a request.
function attach(parent, callback) {
  return storage.run(spanOf(parent) ?? undefined, callback);
}

// Tags the current request, or a given span's: `path`, `user_ip`, or any context of yours.
function tagRequest(tags, of = current()) {
  const under = spanOf(of);
  if (under === null) return;
  const { request } = under;
  guarded(() => {
    request.core.records.requestTags(request, now(), tags);
    request.settle();
  });
}

// Renames the current request, e.g. once its route is known.
function rename(operation, of = current()) {
  tagRequest({ "transaction.name": operation }, of);
}

// Leaves the current request out of everything: a health check.
function ignore(of = current()) {
  tagRequest({ ignore_transaction: true }, of);
}

// Records an exception that the application handles itself, and marks the current request as
// failed. One that escapes the request is recorded without this.
function error(exception, tags, of = current()) {
  const under = spanOf(of);
  guarded(() => {
    if (under !== null) {
      recordError(under.request, under.low, under.high, exception, tags);
      under.request.settle();
    } else if (core !== null) {
      const none = { ...origin, core, trace0: 0, trace1: 0, trace2: 0, trace3: 0 };
      recordError(none, 0, 0, exception, tags);
      core.handOver();
    }
  });
}

// Records a sample of a gauge, taken now: `Memory/Physical` in MB, `CPU/Utilization` in %.
function metric(name, value) {
  atOnce((records) => records.metric(origin, now(), name, value));
}

// Records something about the application: `scout.metadata` and a JSON object as text.
function event(kind, json) {
  atOnce((records) => records.event(origin, now(), kind, json));
}

function atOnce(record) {
  if (core === null) return;
  guarded(() => {
    settleOrigin();
    record(core.records);
    core.handOver();
  });
}

function guarded(record) {
  try {
    record();
  } catch (error) {
    log.caught(error);
  }
}

function recordError(request, low, high, thrown, tags) {
  const isError = typeof thrown === "object" && thrown !== null;
  const className = isError ? thrown.constructor?.name || thrown.name : typeof thrown;
  const message = isError ? thrown.message ?? "" : thrown;
  request.core.records.error(request, low, high, now(), className, message, backtrace(thrown), tags);
}

// V8's `    at function (file:line:column)`, as the core has it: `file:line:in function`.
const FRAME = /^\s+at (?:(.*?) \()?(.*?):(\d+):\d+\)?$/;

function backtrace(thrown) {
  const stack = thrown?.stack;
  if (typeof stack !== "string") return "";
  const frames = stack.split("\n").map((line) => FRAME.exec(line)).filter(Boolean);
  return frames.map(([, name, file, line]) => `${file}:${line}:in ${name || "<anonymous>"}`).join("\n");
}

module.exports = {
  attach, begin, current, error, event, ignore, metric, rename, span, tagRequest, use, wrap,
};
