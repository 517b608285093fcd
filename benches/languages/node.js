// What a span costs in Node, with the library: nanoseconds of CPU of its thread.
//
//     SCOUTCORE_LIB=... NODE_PATH=target/bench-node/node_modules node benches/languages/node.js
//
// "by hand" are `begin` and `end` with the parent given; "current" is `span`, with a callback whose
// current span is kept by AsyncLocalStorage. OpenTelemetry has both ways, too.
"use strict";

const fs = require("fs");
const os = require("os");
const path = require("path");
const koffi = require("koffi");
const scout = require("../../examples/node/scout");

const CHILDREN = 30; // a request of usual size: one hand-over for all of its spans
const REQUESTS = 400;
const ROUNDS = 25;
const STATEMENT = { "db.statement": "SELECT * FROM orders WHERE id = 42" };

// CPU of this thread, in nanoseconds: Linux's clock 3, as Node before 23.9 has none.
const time = new BigInt64Array(2);
const gettime = koffi.load("libc.so.6").func("int clock_gettime(int clock, void *time)");

function spent() {
  gettime(3, time);
  return Number(time[0]) * 1e9 + Number(time[1]);
}

function row(name, samples, unit = "ns/span", ours = true) {
  samples.sort((a, b) => a - b);
  const median = samples[samples.length >> 1];
  console.log(name.padEnd(58), median.toFixed(1).padStart(10), unit);
  if (!process.env.SCOUT_BENCH_JSON) return;
  const line = { section: "node", row: name, ours, unit, median, low: samples[0], high: samples.at(-1), note: "" };
  fs.appendFileSync(process.env.SCOUT_BENCH_JSON, JSON.stringify(line) + "\n");
}

// Between rounds, `rest` lets the other side take what was recorded: a full queue is no work.
const taken = () => scout.flush(10000);

async function samples(work, per, rest = taken) {
  const found = [];
  for (let round = 0; round < 20 + ROUNDS; round++) {
    await rest();
    const began = spent();
    work();
    found.push((spent() - began) / per);
  }
  return found.slice(20); // the first ones are not compiled for good
}

// Spans whose parents are passed by hand.
function byHand(tags) {
  for (let request = 0; request < REQUESTS; request++) {
    const root = scout.begin("Controller/bench", undefined, null);
    for (let child = 0; child < CHILDREN; child++) scout.begin("SQL/Query", tags, root).end();
    root.end();
  }
}

// The same, and the number of rows is known only then.
function counted() {
  for (let request = 0; request < REQUESTS; request++) {
    const root = scout.begin("Controller/bench", undefined, null);
    for (let child = 0; child < CHILDREN; child++) {
      const span = scout.begin("SQL/Query", STATEMENT, root);
      span.tag("db.rows_returned", child);
      span.end();
    }
    root.end();
  }
}

// The same, and no statement comes twice: what it takes to make one is in it.
let made = 0;
function newStatements() {
  for (let request = 0; request < REQUESTS; request++) {
    const root = scout.begin("Controller/bench", undefined, null);
    for (let child = 0; child < CHILDREN; child++) {
      const statement = `SELECT * FROM orders WHERE id = ${made++}`;
      scout.begin("SQL/Query", { "db.statement": statement }, root).end();
    }
    root.end();
  }
}

// The current span is the parent.
function current(tags) {
  for (let request = 0; request < REQUESTS; request++) {
    scout.span("Controller/bench", () => {
      for (let child = 0; child < CHILDREN; child++) scout.span("SQL/Query", tags, () => {});
    });
  }
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "scout-bench-"));
  const spans = REQUESTS * (CHILDREN + 1);
  row("not started, current", await samples(() => current(undefined), spans));
  if (!scout.start({ data_dir: folder, recorder_memory_mib: 64 })) throw new Error(scout.offReason());
  row("by hand, no tags", await samples(() => byHand(undefined), spans));
  row("by hand, a statement", await samples(() => byHand(STATEMENT), spans));
  row("by hand, a new statement each time", await samples(newStatements, spans));
  row("by hand, a statement and a count", await samples(counted, spans));
  row("current, no tags", await samples(() => current(undefined), spans));
  row("current, a statement", await samples(() => current(STATEMENT), spans));

  const abiVersion = koffi.load(process.env.SCOUTCORE_LIB).func("uint32_t scout_abi_version()");
  const calls = () => { for (let i = 0; i < 5000; i++) abiVersion(); };
  row("floor: an empty koffi call", await samples(calls, 5000), "ns/call");
  const clocks = () => { for (let i = 0; i < 5000; i++) { performance.now(); performance.now(); } };
  row("floor: reading the clock twice", await samples(clocks, 5000));
  const storage = new (require("async_hooks").AsyncLocalStorage)();
  const runs = () => { for (let i = 0; i < 5000; i++) { storage.getStore(); storage.run(i, () => {}); } };
  row("floor: AsyncLocalStorage, getStore and run", await samples(runs, 5000));

  const dropped = scout.stats().records_dropped_no_room;
  if ((await scout.flush(10000)) < 0) throw new Error("the flush failed");
  const { spans: seen } = scout.stats();
  if (seen < 6 * 45 * spans || dropped) throw new Error(`${dropped} records were dropped, ${seen} spans counted`);
  await scout.shutdown(5000);
  fs.rmSync(folder, { recursive: true });
  await openTelemetry();
}

async function openTelemetry() {
  const { BasicTracerProvider, BatchSpanProcessor } = require("@opentelemetry/sdk-trace-base");
  const { AsyncLocalStorageContextManager } = require("@opentelemetry/context-async-hooks");
  const { trace: traces, context } = require("@opentelemetry/api");
  let exported = 0;
  const discard = {
    export: (batch, done) => { exported += batch.length; done({ code: 0 }); },
    shutdown: async () => {},
  };
  const processor = new BatchSpanProcessor(discard, { maxQueueSize: 100000 });
  const tracer = new BasicTracerProvider({ spanProcessors: [processor] }).getTracer("bench");
  const byHand = () => {
    for (let request = 0; request < 100; request++) {
      const root = tracer.startSpan("Controller/bench");
      const inside = traces.setSpan(context.active(), root);
      for (let child = 0; child < CHILDREN; child++) {
        tracer.startSpan("SQL/Query", { attributes: STATEMENT }, inside).end();
      }
      root.end();
    }
  };
  const current = () => {
    for (let request = 0; request < 100; request++) {
      tracer.startActiveSpan("Controller/bench", (root) => {
        for (let child = 0; child < CHILDREN; child++) {
          tracer.startActiveSpan("SQL/Query", { attributes: STATEMENT }, (span) => span.end());
        }
        root.end();
      });
    }
  };
  const per = 100 * (CHILDREN + 1);
  const rest = () => processor.forceFlush();
  row("@opentelemetry/sdk-trace-base, by hand", await samples(byHand, per, rest), "ns/span", false);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  row("@opentelemetry/sdk-trace-base, current", await samples(current, per, rest), "ns/span", false);
  await processor.forceFlush();
  if (exported !== 2 * per * (20 + ROUNDS)) throw new Error(`OpenTelemetry dropped spans: ${exported} exported`);
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
