"use strict";

// One running core: its handle, the records that wait for it, and what it tells about itself.

const { promisify } = require("util");
const { E_TOO_SMALL, OK, copied } = require("./library");
const log = require("./log");
const Records = require("./records");

const E_DISABLED = -104;

// The core could not be started; the message says why, for a person.
class StartFailed extends Error {
  constructor(library, status) {
    const name = library.scout_status_name(status);
    const message = copied((...buffer) => library.scout_last_error(...buffer));
    super(message ? `${name}: ${message}` : name);
    this.disabled = status === E_DISABLED;
  }
}

class Core {
  // Starts a core of this process.
  static start(library, options) {
    const json = Buffer.from(JSON.stringify(options ?? {}));
    const handle = Buffer.alloc(8);
    const status = library.scout_start(json, json.length, handle);
    if (status < 0) throw new StartFailed(library, status);
    return new Core(library, Number(handle.readBigUInt64LE()), true); // a handle is below 2^53
  }

  // The core that another thread of this process started; null if it is not there any more.
  static join(library, handle) {
    // Asked for what has no room to come: it has ended, its place was given to another core, or it is there.
    const there = library.scout_stats(handle, null, 0, Buffer.alloc(8)) === E_TOO_SMALL;
    return there ? new Core(library, handle, false) : null;
  }

  constructor(library, handle, owned) {
    this.library = library;
    this.handle = handle;
    this.owned = owned;
    this.batch = library.scout_record_batch;
    this.id = Buffer.alloc(4);
    this.records = new Records((name) => this.intern(name));
  }

  // The id of a name, or 0 if it has none: too long, or the table is full.
  intern(name) {
    const text = Buffer.from(name);
    const status = this.library.scout_intern(this.handle, text, text.length, this.id);
    return status === OK ? this.id.readUInt32LE() : 0;
  }

  // Hands over all records that wait; the core copies them. Never waits.
  handOver() {
    const size = this.records.take();
    if (size === 0) return OK;
    const status = this.batch(this.handle, this.records.buffer, size, null);
    if (status < 0) log.debug(`a batch came to status ${status}`);
    return status;
  }

  // Waits until all is delivered or on disk; the event loop goes on meanwhile.
  flush(timeoutMs) {
    this.handOver();
    return promisify(this.library.scout_flush.async)(this.handle, timeoutMs);
  }

  // The same, and everything stands still.
  flushSync(timeoutMs) {
    this.handOver();
    return this.library.scout_flush(this.handle, timeoutMs);
  }

  // Flushes and stops.
  shutdown(timeoutMs) {
    this.handOver();
    return promisify(this.library.scout_shutdown.async)(this.handle, timeoutMs);
  }

  shutdownSync(timeoutMs) {
    this.handOver();
    return this.library.scout_shutdown(this.handle, timeoutMs);
  }

  // The core's counters, by name; {} when it has been shut down.
  stats() {
    return this.json(this.library.scout_stats);
  }

  // A report about configuration, directories and delivery. Looks at files.
  diagnose() {
    return this.json(this.library.scout_diagnose);
  }

  // Moves the core's waiting lines to the log.
  tell(limit = 1000) {
    for (let count = 0; count < limit; count++) {
      const line = copied((...buffer) => this.library.scout_next_log(this.handle, ...buffer));
      if (line === null) return;
      const { level, message } = JSON.parse(line);
      log[log.LEVELS.includes(level) ? level : "info"](message);
    }
  }

  json(call) {
    return JSON.parse(copied((...buffer) => call(this.handle, ...buffer)) || "{}");
  }
}

module.exports = { Core, StartFailed };
