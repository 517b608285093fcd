"use strict";

// Promises, timers, servers: whose span is the current one, and how long it lasts.

const assert = require("assert/strict");
const { EventEmitter } = require("events");
const http = require("http");
const net = require("net");
const { setTimeout: sleep } = require("timers/promises");
const { FakeCore, expect, part, program, scout, started, test } = require("./testing");

test("requests-at-once", async () => {
  started();
  async function fetch(root) {
    await scout.span("HTTP/GET", async (span) => {
      await sleep(Math.random() * 10);
      assert.equal(scout.current(), span);
      assert.equal(span.request, root.request);
    });
  }
  const request = (n) => scout.span("Controller/async", async (root) => {
    scout.tagRequest({ n });
    await Promise.all(Array.from({ length: 5 }, () => fetch(root)));
    assert.equal(scout.current(), root);
    await null;
    await new Promise((done) => setImmediate(done));
    assert.equal(scout.current(), root);
  });
  await Promise.all(Array.from({ length: 100 }, (_, n) => request(n)));
  assert.equal(scout.current(), null);
  expect(100, "request", "Controller/async");
  expect(500, "layer", "HTTP");
});

test("a-span-lasts-as-long-as-its-promise", async () => {
  const fake = new FakeCore();
  part("spans").use(fake);
  await scout.span("Controller/x", () => sleep(50));
  const [record] = fake.batches;
  const took = Number(record.readBigUInt64LE(48) - record.readBigUInt64LE(40)) / 1e6;
  assert.ok(took > 40 && took < 5000, took);
});

test("promises-and-what-looks-like-one", async () => {
  started();
  let runs = 0;
  const lazy = { then(done) { runs++; done(7); } }; // as a query builder, which runs when it is awaited
  const passed = scout.span("Controller/lazy", () => lazy);
  assert.equal(passed, lazy);
  assert.equal(runs, 0);
  assert.equal(await passed, 7);
  assert.equal(await scout.span("Controller/lazy", async () => await lazy), 7);
  assert.equal(runs, 2);
  class Own extends Promise {}
  const own = scout.span("Controller/own", () => Own.resolve(8));
  assert.ok(own instanceof Own);
  assert.equal(await own, 8);
  class Stubborn extends Promise {
    static get [Symbol.species]() { throw new Error("no other one"); }
  }
  const stubborn = Stubborn.resolve(9);
  assert.equal(scout.span("Controller/own", () => stubborn), stubborn);
  const hidden = Promise.resolve(10);
  hidden.then = () => { throw new Error("not this way"); };
  assert.equal(typeof scout.span("Controller/own", () => hidden), "object");
  await null;
  await null;
  expect(2, "request", "Controller/lazy");
  expect(3, "request", "Controller/own");
});

// A rejection that the application does not handle is still not handled.
test("unhandled-rejections-stay-so", async () => {
  const reject = "scout.span('Controller/rejected', async () => { throw new RangeError('nobody cares'); });";
  const { code, output } = await program(reject);
  assert.equal(code, 1, output);
  assert.match(output, /RangeError: nobody cares/);
  const heard = await program(`process.on("unhandledRejection", (e) => console.log("heard", e.message)); ${reject}`);
  assert.equal(heard.code, 0, heard.output);
  assert.match(heard.output, /^heard nobody cares$/m);
  const caught = `${reject.slice(0, -1)}.catch(() => {});`;
  const handled = await program(`process.on("unhandledRejection", () => process.exit(9)); ${caught}`);
  assert.equal(handled.code, 0, handled.output);
  expect(3, "request", "Controller/rejected");
  expect(3, "error", "RangeError");
});

test("emitters-and-timers", async () => {
  started();
  await scout.span("Controller/emitting", async (root) => {
    const emitter = new EventEmitter();
    const span = scout.begin("HTTP/GET");
    emitter.once("close", () => span.end());
    await new Promise((done) => setTimeout(() => {
      assert.equal(scout.current(), root);
      emitter.emit("close");
      queueMicrotask(() => process.nextTick(done));
    }, 5));
    assert.equal(span.open, false);
  });
  expect(1, "request", "Controller/emitting");
  expect(1, "layer", "HTTP");
});

// What a request leaves running: late spans are its own, but a request's work is one of its own.
test("what-outlives-a-request", async () => {
  const fake = new FakeCore();
  part("spans").use(fake);
  let beats = 0;
  const beating = new Promise((done) => {
    scout.span("Controller/first", () => {
      const timer = setInterval(() => {
        scout.span("Job/beat", () => scout.span("Custom/in it", () => {}));
        scout.span("Custom/late", () => {});
        if (++beats === 3) {
          clearInterval(timer);
          done();
        }
      }, 2);
    });
  });
  await beating;
  const traces = fake.batches.map((batch) => batch.toString("hex", 8, 24));
  assert.equal(fake.batches.length, 7, "each at once");
  assert.equal(new Set(traces).size, 4, "the first one, and one a beat");
  assert.equal(traces.filter((trace) => trace === traces[0]).length, 4);
});

// Spans that begin one another for ever hold no memory.
test("endless-chains", async () => {
  started();
  const text = `
    require("v8").setFlagsFromString("--expose-gc");
    const gc = require("vm").runInNewContext("gc");
    const used = () => (gc(), process.memoryUsage().heapUsed / 2 ** 20);
    const before = used();
    let left = 100000;
    const tick = () => scout.span("Custom/tick", () => {
      if (left-- > 0) return setImmediate(tick);
      const more = used() - before;
      if (more > 4) throw new Error(more + " MiB more of heap");
    });
    scout.span("Controller/first", tick);`;
  const { code, output } = await program(text);
  assert.equal(code, 0, output);
});

test("http-server", async () => {
  started();
  const server = http.createServer((request, response) => scout.span("Controller/unknown", async () => {
    const { pathname } = new URL(request.url, "http://localhost");
    scout.rename(`Controller${pathname}`);
    scout.tagRequest({ path: request.url });
    await scout.span("SQL/Query", { "db.statement": "SELECT 1" }, () => sleep(Math.random() * 5));
    const body = await scout.span("Custom/body", async () => {
      let size = 0;
      for await (const chunk of request) size += chunk.length;
      return size;
    });
    if (pathname === "/broken") {
      response.statusCode = 500;
      response.end();
      throw new RangeError("broken");
    }
    response.end(String(body));
  }).catch(() => {}));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const ask = (path) => new Promise((done, fail) => {
    const options = { port: server.address().port, path, method: "POST", agent };
    const request = http.request(options, (response) => {
      response.resume().on("end", () => done(response.statusCode));
    });
    request.on("error", fail).end("body");
  });
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => ask(n % 4 ? `/orders?n=${n}` : "/broken")));
  assert.equal(answers.filter((status) => status === 500).length, 50);
  agent.destroy();
  await new Promise((done) => server.close(done));
  expect(150, "request", "Controller/orders");
  expect(50, "request", "Controller/broken");
  expect(50, "error", "RangeError");
  expect(200, "layer", "SQL");
  expect(200, "layer", "Custom");
});

// The event loop goes on while a flush waits for a deaf receiver.
test("waiting-lets-others-run", async () => {
  const held = [];
  const deaf = net.createServer((socket) => held.push(socket));
  await new Promise((done) => deaf.listen(0, "127.0.0.1", done));
  started({ key: "k", destination: `http://127.0.0.1:${deaf.address().port}` }, { logger: {} });
  scout.span("Controller/deaf", () => {});
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const began = performance.now();
  await scout.flush(500);
  const took = (performance.now() - began) / 1000;
  clearInterval(timer);
  assert.ok(took > 0.3 && took < 2.5, took);
  assert.ok(ticks > 50 * took, `${ticks} in ${took}`);
  const stopping = performance.now();
  await scout.shutdown(100);
  assert.ok(performance.now() - stopping < 2000);
  held.forEach((socket) => socket.destroy());
  deaf.close();
});
