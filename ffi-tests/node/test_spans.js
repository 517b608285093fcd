"use strict";

// Spans, requests and errors as an application makes them.

const assert = require("assert/strict");
const { FakeCore, expect, heard, part, scout, started, test } = require("./testing");

const spans = part("spans");

test("nested", () => {
  started();
  const value = scout.span("Controller/nested", () => {
    scout.tagRequest({ path: "/nested" });
    for (let n = 0; n < 12; n++) {
      scout.span("SQL/Query", { "db.statement": `SELECT ${n}` }, (span) => {
        assert.equal(scout.current(), span);
        span.tag("db.rows_returned", n);
        scout.span("Custom/inside", () => {});
        assert.equal(scout.current(), span);
      });
    }
    return "value";
  });
  assert.equal(value, "value");
  assert.equal(scout.current(), null);
  expect(1, "request", "Controller/nested");
  expect(12, "layer", "SQL");
  expect(12, "layer", "Custom");
});

test("by-hand", () => {
  started();
  const root = scout.begin("Controller/by hand", { shared: true });
  assert.equal(scout.current(), null, "it is nobody's current span");
  const child = scout.begin("HTTP/GET", undefined, root);
  scout.begin("Custom/under", undefined, child).end();
  scout.begin("Custom/under", undefined, child.context()).end(); // a span, or what stands for it
  child.end();
  child.end(); // does nothing
  scout.tagRequest({ path: "/" }, root);
  scout.rename("Controller/renamed", root);
  scout.attach(root, () => scout.span("SQL/Query", () => assert.equal(scout.begin("Custom/under").end(), undefined)));
  scout.attach(root, () => scout.begin("Controller/new", null, null).end()); // null: of its own
  root.end();
  const ignored = scout.begin("Controller/health", null, null);
  scout.ignore(ignored);
  ignored.end();
  const failing = scout.begin("Controller/failing by hand");
  const inner = scout.begin("HTTP/GET", undefined, failing);
  const reason = new RangeError("by hand");
  inner.failed(reason);
  inner.end();
  failing.failed(reason);
  failing.end();
  expect(1, "request", "Controller/renamed");
  expect(0, "request", "Controller/by hand");
  expect(0, "request", "Controller/health");
  expect(1, "request", "Controller/new");
  expect(3, "layer", "Custom");
  expect(1, "layer", "SQL");
  expect(2, "layer", "HTTP");
  expect(1, "error", "RangeError");
});

test("wrapped", async () => {
  started();
  const tags = { shared: "by all calls" };
  class Orders {
    constructor() {
      this.show = scout.wrap("Controller/wrapped", tags, this.show);
    }

    show(a, b = 2, ...rest) {
      scout.current().tag("own", a);
      return [this instanceof Orders, a, b, rest];
    }
  }
  const awaited = scout.wrap("Custom/awaited", async (value) => {
    await null;
    return value;
  });
  const awaiting = scout.wrap("Job/awaiting", async () => (await awaited(1)) + (await awaited(2)));
  const orders = new Orders();
  assert.deepEqual(orders.show(1, 3, 4), [true, 1, 3, [4]]);
  assert.deepEqual(orders.show(2), [true, 2, 2, []]);
  assert.deepEqual([orders.show.name, orders.show.length], ["show", 1]);
  assert.deepEqual(tags, { shared: "by all calls" });
  assert.equal(await awaiting(), 3);
  expect(2, "request", "Controller/wrapped");
  expect(1, "request", "Job/awaiting");
  expect(2, "layer", "Custom");
});

function throwing(error) {
  return () => { throw error; };
}

function same(error) {
  return (caught) => caught === error;
}

test("exceptions", async () => {
  started();
  const raised = new TypeError("from inside");
  const inside = () => scout.span("Custom/inner", throwing(raised));
  assert.throws(() => scout.span("Controller/failing", inside), same(raised));
  await assert.rejects(scout.span("Controller/failing", async () => inside()), same(raised));
  assert.equal(scout.current(), null);
  scout.span("Controller/handling", () => { // handled on the way out: no failure
    try {
      scout.span("HTTP/GET", throwing(new SyntaxError("handled")));
    } catch {
      // It is.
    }
  });
  class Refused extends Error {}
  const odd = [
    ["text", "string"], [null, "object"], [undefined, "undefined"], [7, "number"], [new Refused("no"), "Refused"],
  ];
  for (const [thrown] of odd) assert.throws(() => scout.span("Controller/odd", throwing(thrown)), same(thrown));
  scout.span("Controller/reported", () => scout.error(new EvalError("reported"), { form: "signup" }));
  scout.error(new URIError("outside"));
  expect(2, "request", "Controller/failing");
  expect(1, "request", "Controller/handling");
  expect(5, "request", "Controller/odd");
  expect(2, "error", "TypeError");
  expect(0, "error", "SyntaxError");
  expect(1, "error", "EvalError");
  expect(1, "error", "URIError");
  for (const [, name] of odd) expect(1, "error", name);
});

// An exception is recorded with the innermost span that it left, the last one of several.
test("the-span-that-failed", () => {
  const fake = new FakeCore();
  spans.use(fake);
  const [handled, raised] = [new Error("handled"), new Error("raised")];
  let innermost = null;
  assert.throws(() => scout.span("Controller/x", () => {
    try {
      scout.span("Custom/handled", throwing(handled));
    } catch {
      // It is.
    }
    scout.span("Custom/outer", () => scout.span("Custom/inner", (span) => {
      innermost = span;
      throw raised;
    }));
  }), same(raised));
  const [records] = fake.batches;
  const errors = [];
  for (let at = 0; at < records.length; at += records.readUInt32LE(at)) if (records[at + 4] === 3) errors.push(at);
  assert.equal(errors.length, 1);
  assert.deepEqual([24, 28].map((at) => records.readInt32LE(errors[0] + at)), [innermost.low, innermost.high]);
});

test("backtraces", () => {
  const fake = new FakeCore();
  spans.use(fake);
  function innermost() {
    throw new Error("here");
  }
  assert.throws(() => scout.span("Controller/x", () => innermost()));
  const text = fake.batches.at(-1).toString("latin1");
  const line = `${__filename}:`;
  assert.match(text, new RegExp(`${line}\\d+:in innermost\n${line}\\d+:in <anonymous>\n`));
  assert.ok(!text.includes("    at "));
});

// Whatever is in a tag or an exception, the application goes on.
test("hostile-values", async () => {
  started();
  const angry = { toString: throwing(new Error("no text")) };
  const getter = Object.defineProperty({}, "k", { enumerable: true, get: throwing(new Error("no value")) });
  const proxy = new Proxy({}, { ownKeys: throwing(new Error("no keys")) });
  const nothing = Object.create(null);
  scout.span("Controller/hostile", { angry }, (root) => {
    scout.span("Custom/\ud800", { a: "\ud800", 5: 6, n: 2n ** 80n, nan: NaN, [Symbol("x")]: 1 }, () => {
      scout.tagRequest({ x: angry });
      scout.tagRequest(getter);
    });
    for (const operation of [null, undefined, 17, Symbol("x"), angry, nothing, ["a"]]) {
      scout.span(operation, {}, () => {});
    }
    const odd = [17, "text", true, Symbol("x"), ["not", "pairs"], [1], [null], getter, proxy, nothing, angry];
    for (const tags of odd) {
      scout.span("Custom/tags", tags, (span) => {
        span.tag("late", 1);
        span.tag(angry, angry);
      });
    }
    for (const parent of [17, "text", {}, new Int32Array(2), angry, proxy]) scout.begin("Custom/x", {}, parent).end();
    for (const thrown of [angry, getter, proxy, nothing, Symbol("x"), () => {}]) {
      scout.error(thrown, { angry });
      assert.throws(() => scout.span("Custom/throwing", throwing(thrown)), same(thrown));
      root.failed(thrown);
    }
    const furious = { toString: throwing(angry) }; // throws what has no text
    scout.span(furious, { furious }, () => scout.tagRequest({ furious }));
    for (const value of [angry, furious, Symbol("x"), 1n, undefined]) {
      scout.metric(value, value);
      scout.event(value, value);
      scout.rename(value);
    }
    root.tag("late", 1);
  });
  for (const timeout of [NaN, -1, 0.5, 1e30, Infinity, "text", 5n, null, Symbol("x"), angry]) {
    assert.equal(typeof (await scout.flush(timeout)), "number");
  }
  scout.span("Controller/fine", () => {});
  expect(1, "request", "Controller/hostile");
  expect(1, "request", "Controller/fine");
});

// A caller's mistake stays the caller's.
test("no-callback", () => {
  const without = () => scout.span("Controller/x");
  assert.throws(without, TypeError);
  started();
  assert.throws(without, TypeError);
});

test("bounded-buffer", () => {
  const fake = new FakeCore();
  spans.use(fake);
  scout.span("Job/long", () => {
    for (let n = 0; n < 10000; n++) scout.span("SQL/Query", { "db.statement": "x".repeat(100) }, () => {});
  });
  assert.ok(fake.batches.length > 30);
  assert.ok(Math.max(...fake.batches.map((batch) => batch.length)) <= 48 * 1024 + 1024);
  assert.ok(fake.batches.reduce((sum, batch) => sum + batch.length, 0) > 10000 * 160);
  const before = fake.batches.length;
  scout.span("Controller/short", () => {
    scout.tagRequest({ path: "/" });
    scout.span("SQL/Query", () => {});
  });
  assert.equal(fake.batches.length, before + 1, "one call for a request");
});

test("bounded-names", () => {
  started();
  scout.span("Controller/names", (root) => {
    for (let n = 0; n < 6000; n++) scout.span(`Custom/${n}`, () => {});
    assert.ok(root.request.core.records.names.size <= 4096);
  });
  expect(1, "request", "Controller/names");
  expect(6000, "layer", "Custom");
});

test("ids", () => {
  const fake = new FakeCore();
  spans.use(fake);
  for (let n = 0; n < 3000; n++) scout.span("Controller/x", () => scout.span("Custom/y", () => {}));
  const records = Buffer.concat(fake.batches);
  const [traces, ids] = [new Set(), new Set()];
  for (let at = 0; at < records.length; at += records.readUInt32LE(at)) {
    traces.add(records.toString("hex", at + 8, at + 24));
    ids.add(records.toString("hex", at + 24, at + 32));
  }
  assert.equal(traces.size, 3000);
  assert.equal(ids.size, 6000);
  assert.ok(!traces.has("0".repeat(32)) && !ids.has("0".repeat(16)));
});

// The wall clock is set while the application runs: requests follow it, no duration is bent by it.
test("clocks-that-are-set", () => {
  const date = Date.now;
  let ahead = 0;
  Date.now = () => date() + ahead;
  delete require.cache[require.resolve("../../examples/node/scout/spans")];
  const anew = part("spans"); // it takes its clocks when it is loaded
  const fake = new FakeCore();
  anew.use(fake);
  for (const set of [0, 3600e3, -7200e3, 5]) {
    fake.batches.length = 0;
    ahead = set;
    anew.span("Controller/set", () => (ahead += 86400e3));
    const [record] = fake.batches;
    const [began, ended] = [40, 48].map((at) => Number(record.readBigUInt64LE(at)) / 1e6);
    assert.ok(Math.abs(began - (date() + set)) < 50, `${set}: ${began - date()}`);
    assert.ok(ended >= began && ended - began < 1000, `${ended - began}`);
  }
});

test("shut-down", async () => {
  started();
  const inside = scout.span("Controller/before", async () => {
    assert.ok((await scout.shutdown(5000)) >= 0); // in the middle of a request
    scout.span("SQL/Query", () => {});
  });
  await inside;
  scout.span("Controller/after", () => scout.tagRequest({ path: "/" }));
  assert.equal(await scout.shutdown(100), null);
  assert.equal(scout.offReason(), "it was shut down");
  started(); // and again
  scout.span("Controller/again", () => {});
  expect(0, "request", "Controller/after");
  expect(1, "request", "Controller/again");
});

test("logs-and-reports", async () => {
  const said = heard();
  started({ key: "k", destination: "http://127.0.0.1:1" }, said); // where nobody listens
  scout.span("Controller/logged", () => {});
  await scout.flush(1000);
  const stats = scout.stats();
  assert.ok(Object.keys(stats).length > 10 && Object.values(stats).every(Number.isFinite));
  assert.ok("version" in scout.diagnose());
  await scout.shutdown(1000);
  assert.ok(said.warnings().length > 0, JSON.stringify(said.lines));
  assert.ok(said.lines.every(({ text }) => text.startsWith("scoutcore: ")));
});
