"use strict";

// The C functions called wrongly, through koffi as the binding declares them.

const assert = require("assert/strict");
const { FakeCore, directory, part, test } = require("./testing");

const { Core } = part("core");

function library() {
  const { library: loaded, reason } = part("library").load();
  if (!loaded) throw new Error(reason);
  return loaded;
}

function core(lib) {
  return Core.start(lib, { data_dir: directory() });
}

// Calls every function that takes a handle with this one.
function callsWith(lib, handle) {
  const [buffer, size] = [Buffer.alloc(64), Buffer.alloc(8)];
  const name = Buffer.from("a");
  return {
    flush: lib.scout_flush(handle, 10), shutdown: lib.scout_shutdown(handle, 10),
    intern: lib.scout_intern(handle, name, 1, size), batch: lib.scout_record_batch(handle, name, 0, size),
    stats: lib.scout_stats(handle, buffer, 64, size), diagnose: lib.scout_diagnose(handle, buffer, 64, size),
    log: lib.scout_next_log(handle, buffer, 64, size),
  };
}

test("garbage-handles", () => {
  const lib = library();
  const running = core(lib);
  const handle = running.handle;
  assert.ok(Number.isSafeInteger(handle));
  for (const garbage of [0, 1, 2n ** 63n, 2n ** 64n - 1n, handle + 1, (BigInt(handle) << 1n) % 2n ** 64n]) {
    for (const [call, status] of Object.entries(callsWith(lib, garbage))) {
      const name = lib.scout_status_name(status);
      assert.ok(["SCOUT_E_HANDLE", "SCOUT_E_SHUT_DOWN"].includes(name), `${garbage} ${call}: ${name}`);
    }
  }
  assert.ok(running.shutdownSync(2000) >= 0);
  for (const [call, status] of Object.entries(callsWith(lib, handle))) {
    assert.equal(`${call} ${lib.scout_status_name(status)}`, `${call} SCOUT_E_SHUT_DOWN`);
  }
});

test("nulls", () => {
  const lib = library();
  const running = core(lib);
  const [handle, size, buffer, a] = [running.handle, Buffer.alloc(8), Buffer.alloc(64), Buffer.from("a")];
  const answers = [
    lib.scout_start(null, 0, null), lib.scout_intern(handle, null, 1, size),
    lib.scout_intern(handle, a, 1, null), lib.scout_record_batch(handle, null, 8, null),
    lib.scout_stats(handle, buffer, 64, null), lib.scout_stats(handle, null, 64, size),
    lib.scout_diagnose(handle, null, 64, size), lib.scout_next_log(handle, buffer, 64, null),
    lib.scout_last_error(null, 64, size), lib.scout_sql_sanitize(null, 0, null, 4, buffer, 64, size),
    lib.scout_sql_summarize(null, 0, a, 1, buffer, 64, null),
  ];
  answers.forEach((answer, i) => assert.equal(`${i} ${lib.scout_status_name(answer)}`, `${i} SCOUT_E_NULL`));
  running.shutdownSync(2000);
});

test("copy-out", () => {
  const lib = library();
  const dialect = Buffer.from("mysql2");
  const statement = Buffer.from("SELECT * FROM users WHERE name = 'b\xffob\0'", "latin1");
  const [size, buffer] = [Buffer.alloc(8), Buffer.alloc(64, "Z")];
  const sanitize = (room) => {
    const status = lib.scout_sql_sanitize(dialect, 6, statement, statement.length, buffer, room, size);
    return lib.scout_status_name(status);
  };
  assert.equal(sanitize(4), "SCOUT_E_TOO_SMALL");
  const needed = Number(size.readBigUInt64LE());
  assert.equal(buffer.toString(), "Z".repeat(64));
  assert.equal(sanitize(needed), "SCOUT_OK");
  assert.equal(buffer.toString("utf8", 0, needed), "SELECT * FROM users WHERE name = ?");
  assert.equal(buffer[needed], "Z".charCodeAt(0));
});

test("bad-batch", () => {
  const lib = library();
  const running = core(lib);
  const fake = new FakeCore();
  const origin = { originHigh: 395812000, originLow: 0 };
  for (let i = 0; i < 3; i++) fake.records.metric(origin, 1, "Memory/Physical", 1.5);
  fake.handOver();
  const [good] = fake.batches;
  const batch = Buffer.concat([good, Buffer.alloc(40, 0xff)]);
  const accepted = Buffer.alloc(8, 0xff);
  const status = lib.scout_record_batch(running.handle, batch, batch.length, accepted);
  assert.equal(lib.scout_status_name(status), "SCOUT_E_FORMAT");
  assert.equal(accepted.readBigUInt64LE(), 3n);
  const message = part("library").copied((...out) => lib.scout_last_error(...out));
  assert.ok(message.includes(String(good.length)), message);
  running.shutdownSync(2000);
});
