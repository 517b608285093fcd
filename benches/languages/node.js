// What a span costs in Node, with the library: nanoseconds of elapsed time of the one thread.
//
//     SCOUTCORE_LIB=... NODE_PATH=target/bench-node/node_modules node benches/languages/node.js
//
// There is no binding for Node yet: this measures the way it would go. Records are packed into one
// array as docs/record-format.md has them, without a BigInt, and cross to the core through koffi,
// one scout_record_batch a request. Parents are passed by hand, on both sides: neither we nor
// OpenTelemetry pay for AsyncLocalStorage.
"use strict";

const fs = require("fs");
const os = require("os");
const path = require("path");
const koffi = require("koffi");

const CHILDREN = 30; // a request of usual size: one hand-over for all of its spans
const REQUESTS = 400;
const ROUNDS = 25;
const STATEMENT = "SELECT * FROM orders WHERE id = 42";
const TWO32 = 4294967296;

const library = koffi.load(process.env.SCOUTCORE_LIB);
const abiVersion = library.func("uint32_t scout_abi_version()");
const start = library.func("int32_t scout_start(const char *options, size_t len, _Out_ uint64_t *core)");
const intern = library.func("int32_t scout_intern(uint64_t core, const char *text, size_t len, _Out_ uint32_t *id)");
const recordBatch = library.func("int32_t scout_record_batch(uint64_t core, const uint8_t *bytes, size_t len, void *accepted)");
const flush = library.func("int32_t scout_flush(uint64_t core, uint32_t timeout)");
const shutdown = library.func("int32_t scout_shutdown(uint64_t core, uint32_t timeout)");

// ---- the record format ---------------------------------------------------------------------------

const buffer = Buffer.allocUnsafeSlow(65536);
const words = new Uint32Array(buffer.buffer);
const trace = new Uint32Array(4);
let at = 0; // in words of 32 bits
let seed = (Date.now() ^ (process.pid << 16)) >>> 0;

// Not for secrets: xorshift32 (Marsaglia 2003).
function random() {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return (seed >>>= 0);
}

// Unix time of `performance.now() == 0`, in nanoseconds, as two halves.
const origin = BigInt(Math.round(performance.timeOrigin * 1000)) * 1000n;
const originHigh = Number(origin >> 32n);
const originLow = Number(origin & 0xffffffffn);

function putTime(where, milliseconds) {
  const nanos = milliseconds * 1e6 + originLow;
  const high = Math.floor(nanos / TWO32);
  words[where] = nanos - high * TWO32;
  words[where + 1] = originHigh + high;
}

// A span with an interned operation, and a text if `key` is not 0. Its id is `low`; so is its parent's.
function put(low, parent, began, ended, operation, key, text) {
  let size = 16;
  words[at + 2] = trace[0];
  words[at + 3] = trace[1];
  words[at + 4] = trace[2];
  words[at + 5] = trace[3];
  words[at + 6] = low;
  words[at + 7] = 0;
  words[at + 8] = parent;
  words[at + 9] = 0;
  putTime(at + 10, began);
  putTime(at + 12, ended);
  words[at + 14] = operation;
  words[at + 15] = 0;
  let tags = 0;
  if (key !== 0) {
    tags = 1;
    const length = buffer.utf8Write(text, (at + 20) * 4);
    words[at + 16] = key;
    words[at + 17] = 1; // a string
    words[at + 18] = length | 0x80000000; // in the record itself
    words[at + 19] = 0;
    const padded = (length + 7) & ~7;
    buffer.fill(0, (at + 20) * 4 + length, (at + 20) * 4 + padded);
    size = 20 + padded / 4;
  }
  words[at] = size * 4;
  words[at + 1] = 1 | (1 << 8) | (tags << 16); // a span, of version 1
  at += size;
}

// ---- the rows ------------------------------------------------------------------------------------

function row(name, samples, unit = "ns/span", ours = true) {
  samples.sort((a, b) => a - b);
  const median = samples[samples.length >> 1];
  console.log(name.padEnd(58), median.toFixed(1).padStart(10), unit);
  if (!process.env.SCOUT_BENCH_JSON) return;
  const line = { section: "node", row: name, ours, unit, median, low: samples[0], high: samples.at(-1), note: "" };
  fs.appendFileSync(process.env.SCOUT_BENCH_JSON, JSON.stringify(line) + "\n");
}

// Between rounds, `rest` lets the other side take what was recorded: a full queue is no work.
const pause = () => new Promise((done) => setTimeout(done, 50));

async function samples(work, per, rest = pause) {
  const found = [];
  for (let round = 0; round < 20 + ROUNDS; round++) {
    await rest();
    const began = process.hrtime.bigint();
    work();
    found.push(Number(process.hrtime.bigint() - began) / per);
  }
  return found.slice(20); // the first ones are not compiled for good
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "scout-bench-"));
const options = JSON.stringify({ name: "bench", data_dir: folder, recorder_memory_mib: 64 });
const handle = [0];
if (start(options, Buffer.byteLength(options), handle) !== 0) throw new Error("scout_start failed");
const core = handle[0];
const id = (name) => {
  const found = [0];
  if (intern(core, name, Buffer.byteLength(name), found) !== 0) throw new Error("scout_intern failed");
  return found[0];
};
const [controller, query, statement] = ["Controller/bench", "SQL/Query", "db.statement"].map(id);

let refused = 0;
function requests(key) {
  for (let request = 0; request < REQUESTS; request++) {
    for (let i = 0; i < 4; i++) trace[i] = random();
    at = 0;
    const root = random() | 1;
    const began = performance.now();
    for (let child = 0; child < CHILDREN; child++) {
      const low = random() | 1;
      const from = performance.now();
      put(low, root, from, performance.now(), query, key, STATEMENT);
    }
    put(root, 0, began, performance.now(), controller, 0, "");
    refused += recordBatch(core, buffer, at * 4, null) < 0;
  }
}

async function main() {
  const spans = REQUESTS * (CHILDREN + 1);
  row("scoutcore, no tags", await samples(() => requests(0), spans));
  row("scoutcore, a statement", await samples(() => requests(statement), spans));
  const calls = () => { for (let i = 0; i < 5000; i++) abiVersion(); };
  row("floor: an empty koffi call", await samples(calls, 5000), "ns/call");
  const clocks = () => { for (let i = 0; i < 5000; i++) { performance.now(); performance.now(); } };
  row("floor: reading the clock twice", await samples(clocks, 5000));
  if (flush(core, 10000) < 0 || shutdown(core, 5000) < 0 || refused) throw new Error(`${refused} batches refused`);
  fs.rmSync(folder, { recursive: true });
  await openTelemetry();
}

async function openTelemetry() {
  const { BasicTracerProvider, BatchSpanProcessor } = require("@opentelemetry/sdk-trace-base");
  const { trace: traces, context } = require("@opentelemetry/api");
  let exported = 0;
  const discard = {
    export: (batch, done) => { exported += batch.length; done({ code: 0 }); },
    shutdown: async () => {},
  };
  const processor = new BatchSpanProcessor(discard, { maxQueueSize: 100000 });
  const tracer = new BasicTracerProvider({ spanProcessors: [processor] }).getTracer("bench");
  const work = () => {
    for (let request = 0; request < 100; request++) {
      const root = tracer.startSpan("Controller/bench");
      const inside = traces.setSpan(context.active(), root);
      for (let child = 0; child < CHILDREN; child++) {
        tracer.startSpan("SQL/Query", { attributes: { "db.statement": STATEMENT } }, inside).end();
      }
      root.end();
    }
  };
  const per = 100 * (CHILDREN + 1);
  row("@opentelemetry/sdk-trace-base, batch processor", await samples(work, per, () => processor.forceFlush()), "ns/span", false);
  await processor.forceFlush();
  if (exported !== per * (20 + ROUNDS)) throw new Error(`OpenTelemetry dropped spans: ${exported} exported`);
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
