"use strict";

// The encoder against docs/record-format.md, byte by byte.

const assert = require("assert/strict");
const fs = require("fs");
const path = require("path");
const { directory, part, test } = require("./testing");

const Records = part("records");
const WORD = 0x07070707;
const REQUEST = { trace0: WORD, trace1: WORD, trace2: WORD, trace3: WORD, originHigh: 0, originLow: 0 };
const INLINE = 0x80000000;

// What one call records, with the names that have ids.
function recorded(call, ids = {}) {
  const records = new Records((name) => ids[name] ?? 0);
  records.buffer.fill(0xee);
  call(records);
  return Buffer.from(records.buffer.subarray(0, records.take()));
}

// A span from 1 us to 3.5 us.
function span(operation, tags, ids = {}) {
  return recorded((records) => records.span(REQUEST, 2, 0, 0, 0, 0.001, 0.0035, operation, tags), ids);
}

function header(record) {
  return [record.readUInt32LE(0), record[4], record[5], record.readUInt16LE(6)];
}

// A tag of a span: type, flags, value.
function tag(record, i, fixed = 64) {
  const at = fixed + 16 * i;
  return [record[at + 4], record[at + 5], record.readBigUInt64LE(at + 8)];
}

function area(record, tags, fixed = 64) {
  return record.subarray(fixed + 16 * tags).toString("latin1").replace(/\0+$/, "");
}

// The bytes that the document works out, read from the document itself.
function workedExample() {
  const text = fs.readFileSync(path.join(__dirname, "..", "..", "docs", "record-format.md"), "utf8");
  const block = text.split("## Worked example")[1].split("```")[1];
  const lines = block.split("\n").map((line) => /^(?:[0-9a-f]{2}\s+)+/.exec(`${line}  `)?.[0] ?? "");
  return Buffer.from(lines.join("").replace(/\s/g, ""), "hex");
}

test("worked-bytes", () => {
  const example = workedExample();
  assert.equal(example.length, 88);
  for (const tags of [{ k: "hi" }, [["k", "hi"]], new Map([["k", Buffer.from("hi")]]), [[Buffer.from("k"), "hi"]]]) {
    assert.equal(span("op", tags, { op: 5 }).toString("hex"), example.toString("hex"));
  }
  const interned = span("op", { k: "hi" }, { op: 5, k: 6 });
  assert.equal(interned.length, 88);
  assert.equal(interned.readUInt32LE(64), 6);
  assert.equal(interned.toString("latin1", 80), "hi\0\0\0\0\0\0");
});

test("fast-ways-encode-alike", () => {
  const ids = { "SQL/Query": 7, "db.statement": 8, k: 9 };
  const texts = ["", "SELECT ?", "x".repeat(15), "x".repeat(16), "x".repeat(17), "é", "x".repeat(14) + "é",
    "é".repeat(100), "\ud800", "s".repeat(6000), "s".repeat(16384), "é".repeat(8193), "日本".repeat(4000)];
  for (const text of texts) {
    const [quick, slow] = [span("SQL/Query", { k: text }, ids), span("SQL/Query", [["k", text]], ids)];
    assert.equal(quick.toString("hex"), slow.toString("hex"), text.slice(0, 40));
    const bytes = Buffer.from(text);
    const kept = Math.min(bytes.length, 16384) - (text[0] === "日" || text[0] === "é" ? 3 : 0);
    const length = quick.readUInt32LE(72) - INLINE;
    assert.ok(length >= kept && length <= 16384, `${length} of ${bytes.length}`);
    assert.equal(quick.subarray(80, 80 + length).compare(bytes.subarray(0, length)), 0);
    assert.equal(quick[69], bytes.length > 16384 ? 1 : 0, "the cut is marked");
  }
  for (const none of [undefined, null, {}, [], new Map(), 17, { k: undefined }, { k: null }]) {
    assert.equal(span("SQL/Query", none, ids).toString("hex"), span("SQL/Query", undefined, ids).toString("hex"));
  }
});

// Texts are kept to be copied when they come again: each arrives as it is, new or not.
test("texts-that-come-again", () => {
  const texts = Array.from({ length: 3000 }, (_, n) => `${n} ${"SELECT é "[n % 9].repeat(n % 560)}`);
  const records = new Records(() => 7);
  for (let turn = 0; turn < 40000; turn++) {
    const text = texts[turn % 3 ? turn % 50 : (turn * 7919) % texts.length];
    records.span(REQUEST, 2, 0, 0, 0, 1, 2, "x", turn % 2 ? { k: text } : { k: text, n: 1 });
    const record = records.buffer.subarray(0, records.take());
    const at = turn % 2 ? 80 : 96;
    const expected = Buffer.from(text);
    assert.equal(record.readUInt32LE(72) - INLINE, expected.length);
    assert.equal(record.subarray(at, at + expected.length).compare(expected), 0, text);
    assert.ok(record.subarray(at + expected.length).every((byte) => byte === 0));
  }
  assert.ok(records.kept.size <= 256);
  // Where none comes again most are not looked for; where they do again, they are found again.
  const looked = records.unknown;
  for (let turn = 0; turn < 20000; turn++) records.repeated(`once ${turn}`, 0);
  assert.ok(records.unknown - looked < 5000, records.unknown - looked);
  for (let turn = 0; turn < 10000; turn++) records.repeated(`again ${turn % 100}`, 0);
  const before = records.unknown;
  for (let turn = 0; turn < 1000; turn++) records.repeated(`again ${turn % 100}`, 0);
  assert.equal(records.unknown, before);
  assert.equal([...records.kept.keys()].filter((text) => text.startsWith("again")).length, 100);
});

test("every-type-of-tag", () => {
  const tags = {
    s: "text", b: Buffer.from([0xff, 0]), t: true, f: false, i: -1, d: 1.5, none: null, missing: undefined,
    large: 2 ** 53, big: 2n ** 63n - 1n, small: -(2n ** 63n), huge: 2n ** 63n, list: [1, 2], nan: NaN, zero: -0,
  };
  const record = span("", tags);
  assert.deepEqual(header(record), [record.length, 1, 1, 13]);
  const found = Array.from({ length: 13 }, (_, i) => tag(record, i));
  assert.deepEqual(found.map(([type]) => type), [1, 1, 4, 4, 2, 3, 3, 2, 2, 1, 1, 3, 2]);
  assert.deepEqual([found[2][2], found[3][2], found[4][2]], [1n, 0n, 2n ** 64n - 1n]);
  assert.equal(record.readDoubleLE(64 + 16 * 5 + 8), 1.5);
  assert.equal(record.readDoubleLE(64 + 16 * 6 + 8), 2 ** 53);
  assert.deepEqual([found[7][2], found[8][2]], [2n ** 63n - 1n, 2n ** 63n]);
  assert.ok(Number.isNaN(record.readDoubleLE(64 + 16 * 11 + 8)));
  assert.equal(found[12][2], 0n);
  assert.equal(area(record, 13), "stextb\xff\0tfidlargebigsmallhuge9223372036854775808list1,2nanzero");
  for (const value of [0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 32, -(2 ** 32), 2 ** 53 - 1, -(2 ** 53) + 1]) {
    const one = span("x", { value });
    assert.equal(one.readBigInt64LE(72), BigInt(value));
  }
});

// What comes late stands in place of what was there before.
test("late-tags", () => {
  const late = (tags, ...more) =>
    recorded((records) => records.span(REQUEST, 2, 0, 0, 0, 0.001, 0.0035, "x", tags, more));
  for (const tags of [{ a: "1", b: "2" }, [["a", "1"], ["b", "2"]], new Map([["a", "1"], ["b", "2"]])]) {
    assert.equal(area(late(tags, "c", "3"), 3), "xa1b2c3");
    assert.equal(area(late(tags, "a", "3"), 2), "xb2a3");
    assert.equal(area(late(tags, "b", "3", "c", "4", "b", "5"), 3), "xa1c4b5");
  }
  for (const none of [undefined, null, {}]) assert.equal(area(late(none, "c", "3", "d", null), 1), "xc3");
});

test("limits", () => {
  const long = span("x".repeat(20000), { k: "y".repeat(20000) });
  assert.equal(long.length, 64 + 16 + 16384 + 1 + 16384 + 7);
  assert.equal(long[64 + 5], 1, "the cut is marked");
  const many = span("x", Array.from({ length: 10000 }, (_, i) => [`k${i}`, i]));
  assert.equal(many.readUInt16LE(6), 128);
  const full = span("x", Array.from({ length: 128 }, () => ["k", "v".repeat(16384)]));
  assert.equal(full.readUInt16LE(6), 3);
  assert.ok(full.length <= 65400 && full.length % 8 === 0);
  assert.equal(area(full, 3), "x" + ("k" + "v".repeat(16384)).repeat(3));
  const late = span("x", [...Array.from({ length: 4 }, () => ["k", "v".repeat(16384)]), ["z", 1]]);
  assert.equal(late.readUInt16LE(6), 3, "once one is left out, all later ones are");
  assert.throws(() => recorded((records) => records.event(REQUEST, 1, "scout.metadata", "x".repeat(65001))));
});

// The largest records that the binding makes are taken by the core.
test("full-records-are-taken", () => {
  const { library } = part("library").load();
  const core = part("core").Core.start(library, { data_dir: directory(), recorder_memory_mib: 64 });
  const request = { ...REQUEST, originHigh: 395812000 };
  for (let last = 15000; last < 16384; last += 5) {
    const full = "v".repeat(16384);
    const tags = [["a", full], ["b", full], ["c", full], ["d", full.slice(0, last)]];
    core.records.span(request, 2, 0, 1, 0, 1, 2, "Custom/full", tags);
    assert.equal(library.scout_status_name(core.handOver()), "SCOUT_OK", `at ${last}`);
  }
  core.records.event(request, 1, "k".repeat(300), "x".repeat(65000));
  assert.ok(core.handOver() >= 0, "the event was refused");
  core.shutdownSync(5000);
});

test("other-records", () => {
  const trace = "07".repeat(16);
  let record = recorded((records) => records.requestTags(REQUEST, 5e-6, { path: "/" }));
  assert.deepEqual(header(record), [56, 2, 1, 1]);
  assert.deepEqual([record.toString("hex", 8, 24), record.readBigUInt64LE(24)], [trace, 5n]);
  record = recorded((records) => records.error(REQUEST, 2, 3, 5e-6, "E", "no", "a\nb", null));
  assert.deepEqual(header(record), [64, 3, 1, 0]);
  assert.equal(record.toString("hex", 8, 24), trace);
  assert.deepEqual([record.readUInt32LE(24), record.readUInt32LE(28), record.readBigUInt64LE(32)], [2, 3, 5n]);
  assert.deepEqual([40, 44, 48, 52].map((at) => record.readUInt32LE(at)), [INLINE + 1, INLINE + 2, INLINE + 3, 0]);
  assert.equal(record.toString("latin1", 56), "Enoa\nb\0\0");
  record = recorded((records) => records.error(REQUEST, 2, 3, 5e-6, "E", "", "", { form: "signup", tries: 3 }));
  assert.deepEqual([tag(record, 0, 56)[0], tag(record, 1, 56)], [1, [2, 0, 3n]]);
  record = recorded((records) => records.metric(REQUEST, 5e-6, "Memory/Physical", 1.5));
  assert.deepEqual(header(record), [48, 4, 1, 0]);
  assert.deepEqual([record.readBigUInt64LE(8), record.readDoubleLE(16)], [5n, 1.5]);
  assert.deepEqual([record.readUInt32LE(24), record.readUInt32LE(28)], [INLINE + 15, 0]);
  record = recorded((records) => records.event(REQUEST, 5e-6, "kind", "{}"));
  assert.deepEqual(header(record), [32, 5, 1, 0]);
  assert.deepEqual([record.readUInt32LE(16), record.readUInt32LE(20)], [INLINE + 4, INLINE + 2]);
  assert.equal(record.toString("latin1", 24), "kind{}\0\0");
});

// Times of today, exactly; before the origin; and over the bounds of the halves.
test("times", () => {
  for (const origin of [1793000000123456789n, (417000000n << 32n) + 0xffffffffn, 0n]) {
    for (const milliseconds of [0, 0.000001, 1, 4294.967295, 4294.967296, 86400e3, 31536000e3]) {
      const request = { ...REQUEST, originHigh: Number(origin >> 32n), originLow: Number(origin & 0xffffffffn) };
      const record = recorded((records) => records.span(request, 2, 0, 0, 0, milliseconds, milliseconds, "x"));
      const off = record.readBigUInt64LE(40) - origin - BigInt(Math.round(milliseconds * 1e6));
      assert.ok(off >= -4n && off <= 4n, `${origin} and ${milliseconds} ms: off by ${off} ns`);
      assert.equal(record.readBigUInt64LE(40), record.readBigUInt64LE(48));
    }
  }
  const request = { ...REQUEST, originHigh: 417000000, originLow: 5 };
  const backwards = recorded((records) => records.span(request, 2, 0, 0, 0, -3, -3, "x"));
  assert.equal(backwards.readBigUInt64LE(40), (417000000n << 32n) + 5n - 3000000n);
});

test("odd-texts", () => {
  assert.ok(span("half \ud800", { "k\udcff": "\ud800" }).includes("half \ufffdk\ufffd\ufffd"));
  assert.ok(span(17, { 3: 4 }).includes("173"));
  assert.throws(() => span(Symbol("x"), { k: Object.create(null) }), TypeError);
});

// A getter or a toString that records something itself: both records are whole.
test("the-application-records-while-it-is-asked", () => {
  const plain = span("SQL/Query", { a: "1", b: "2" });
  const inner = span("Custom/inner", { c: "3" });
  const ways = [
    (record) => ({ a: "1", get b() { record(); return "2"; } }),
    (record) => ({ a: "1", b: { toString() { record(); return "2"; } } }),
    (record) => [["a", "1"], [{ toString() { record(); return "b"; } }, "2"]],
    (record) => (function* () { yield ["a", "1"]; record(); yield ["b", "2"]; })(),
  ];
  for (const way of ways) {
    const both = recorded((records) => {
      const record = () => records.span(REQUEST, 2, 0, 0, 0, 0.001, 0.0035, "Custom/inner", { c: "3" });
      records.span(REQUEST, 2, 0, 0, 0, 0.001, 0.0035, "SQL/Query", way(record));
    });
    assert.equal(both.toString("hex"), Buffer.concat([inner, plain]).toString("hex"));
  }
});

test("buffer", () => {
  const records = new Records(() => 0);
  let count = 0;
  while (!records.full) {
    records.span(REQUEST, 2, 0, 0, 0, 1, 2, "Custom/x", { k: "v".repeat(1000) });
    count++;
  }
  assert.ok(count > 40 && count < 60, count);
  const long = Array.from({ length: 9 }, () => ["k".repeat(20000), "v".repeat(20000)]);
  records.span(REQUEST, 2, 0, 0, 0, 1, 2, "Custom/x", long);
  const kept = records.buffer.length - 256 * 512; // where texts that came again are
  assert.ok(records.take() < kept - 16384);
  assert.equal(records.take(), 0);
});
