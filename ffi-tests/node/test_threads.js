"use strict";

// Worker threads: one core for all threads of a process, which each hands its records over to.

const assert = require("assert/strict");
const { once } = require("events");
const { Worker } = require("worker_threads");
const { BINDING, expect, program, scout, started, test } = require("./testing");

// A worker with this text; what it posts, and how it ended.
function worker(text, workerData, prelude = "if (!scout.start()) throw new Error(scout.offReason());") {
  const begin = `const { parentPort, workerData } = require("worker_threads");
    const scout = require(${JSON.stringify(BINDING)}); ${prelude}`;
  const made = new Worker(begin + text, { eval: true, workerData });
  const posted = [];
  made.on("message", (message) => posted.push(message));
  const ended = new Promise((done) => {
    let failure = null;
    made.on("error", (error) => (failure = error)).on("exit", (code) => done({ code, failure, posted }));
  });
  return { made, ended };
}

async function well({ ended }) {
  const { code, failure, posted } = await ended;
  assert.equal(failure, null);
  assert.equal(code, 0);
  return posted;
}

const WORK = "for (let n = 0; n < 500; n++) scout.span('Controller/thread', () => scout.span('SQL/Query', () => {}));";

test("workers-share-the-core", async () => {
  started();
  const text = `${WORK} scout.metric("Memory/Physical", 1); parentPort.postMessage(scout.stats().events);`;
  const workers = Array.from({ length: 4 }, () => worker(text));
  scout.span("Controller/main", () => {});
  for (const each of workers) assert.equal((await well(each)).length, 1);
  await scout.flush(5000);
  assert.equal(scout.stats().requests, 2001, "all in one core");
  expect(2000, "request", "Controller/thread");
  expect(2000, "layer", "SQL");
  expect(1, "request", "Controller/main");
});

// What a worker has not handed over by its end, it hands over then: also by an exception or an exit.
test("workers-that-end", async () => {
  started();
  const open = `
    scout.span("Controller/ended", () => {});
    const root = scout.begin("Job/open");
    scout.begin("SQL/Query", {}, root).end();`;
  await well(worker(open));
  assert.equal((await worker(`${open} process.exit(5);`).ended).code, 5);
  const { failure } = await worker(`${open} throw new RangeError("of a worker");`).ended;
  assert.equal(failure.message, "of a worker");
  await well(worker(`${open} scout.shutdown(1000);`)); // which is not the process's
  await scout.flush(5000);
  assert.equal(scout.stats().spans, 8);
  scout.span("Controller/still", () => {});
  expect(4, "request", "Controller/ended");
  expect(1, "request", "Controller/still");
});

test("terminated-workers", async () => {
  started();
  for (let n = 0; n < 5; n++) {
    const endless = "parentPort.postMessage('worked'); for (;;) scout.span('Controller/endless', () => {});";
    const { made, ended } = worker(WORK + endless);
    await once(made, "message");
    await made.terminate();
    await ended;
  }
  expect(2500, "request", "Controller/thread");
});

// A request that another thread does a part of.
test("a-request-of-two-threads", async () => {
  started();
  const text = `
    scout.attach(workerData, () => {
      scout.span("Custom/in the worker", { n: 1 }, () => scout.span("SQL/Query", () => {}));
      try {
        scout.span("Custom/in the worker", () => { throw new RangeError("inside"); });
      } catch (error) {
        scout.error(error);
      }
      scout.tagRequest({ plan: "pro" });
      scout.span("Custom/last", () => {});
      parentPort.postMessage(scout.current().context());
    });
    parentPort.once("message", () => {});`;
  const other = await scout.span("Controller/shared", async (root) => {
    const made = worker(text, root.context());
    const [context] = await once(made.made, "message");
    assert.deepEqual(context, root.context());
    return made;
  });
  // The worker is alive: what it did has gone across, before the root did.
  await scout.flush(5000);
  const stats = scout.stats();
  assert.deepEqual([stats.spans, stats.requests, stats.spans_orphaned, stats.spans_late], [5, 1, 0, 0]);
  other.made.postMessage("end");
  await well(other);
  expect(1, "request", "Controller/shared");
  expect(3, "layer", "Custom");
  expect(1, "layer", "SQL");
  expect(1, "error", "RangeError");
});

// A worker that is there before the core has one of its own, as has one after the core's end.
test("workers-without-a-core-to-join", async () => {
  const begin = `if (!scout.start({ data_dir: process.env.TEST_DIR + "/data" })) throw new Error(scout.offReason());`;
  const own = "scout.span('Controller/own', () => {}); parentPort.postMessage(scout.stats().spans);";
  await well(worker(own, null, begin));
  started();
  const late = worker("require('worker_threads').parentPort.once('message', () => { " +
    "scout.span('Controller/after the end', () => {}); " +
    "if (Object.keys(scout.stats()).length) throw new Error('stats of a core that has ended'); });");
  // Made before the end, and started after it.
  const later = worker("parentPort.once('message', () => { " + begin + own + " });", null, "");
  await Promise.all([late, later].map(({ made }) => once(made, "online")));
  await new Promise((done) => setTimeout(done, 300));
  await scout.shutdown(5000);
  late.made.postMessage("go");
  await well(late); // with a core that has ended: nothing happens
  later.made.postMessage("go");
  await well(later);
  await well(worker(own, null, begin));
  expect(3, "request", "Controller/own");
  expect(0, "request", "Controller/after the end");
});

// The process ends while its workers record.
test("exits-with-busy-workers", async () => {
  const busy = `
    const scout = require(${JSON.stringify(BINDING)});
    scout.start();
    require("worker_threads").parentPort.postMessage("busy");
    for (;;) scout.span("Controller/busy", () => {});`;
  const text = `
    const { Worker } = require("worker_threads");
    const workers = [0, 1].map(() => new Worker(${JSON.stringify(busy)}, { eval: true }));
    scout.span("Controller/main", () => {});
    Promise.all(workers.map((each) => new Promise((done) => each.once("message", done)))).then(() => process.exit(4));`;
  for (let n = 0; n < 5; n++) {
    const { code, signal, output } = await program(text);
    assert.deepEqual([code, signal], [4, null], output);
  }
  expect(5, "request", "Controller/main");
});
