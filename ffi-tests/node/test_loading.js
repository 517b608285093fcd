"use strict";

// Finding the library, refusing a wrong one, and doing nothing in good order without one.

const assert = require("assert/strict");
const fs = require("fs");
const path = require("path");
const { BINDING, directory, expect, heard, program, scout, test } = require("./testing");

// Every public function, as an application calls them.
async function useEverything() {
  const wrapped = scout.wrap("Job/wrapped", (value) => value + 1);
  const value = await scout.span("Controller/off", { k: "v" }, async (span) => {
    span.tag("k2", 2);
    span.failed(new Error("no"));
    scout.tagRequest({ path: "/" });
    scout.rename("Controller/other");
    scout.ignore();
    scout.error(new Error("no"));
    const byHand = scout.begin("SQL/Query", { k: "v" }, span);
    assert.equal(byHand.context(), null);
    byHand.end();
    assert.equal(scout.attach(byHand, () => 1) + scout.attach(null, () => 2), 3);
    assert.equal(scout.current(), null);
    return scout.span("SQL/Query", () => 42);
  });
  assert.equal(value, 42);
  assert.equal(wrapped(1), 2);
  scout.metric("Memory/Physical", 1);
  scout.event("scout.metadata", "{}");
  assert.deepEqual(scout.stats(), {});
  assert.deepEqual([await scout.flush(10), await scout.shutdown(10)], [null, null]);
  const thrown = new Error("seen");
  assert.throws(() => scout.span("Controller/off", () => { throw thrown; }), (error) => error === thrown);
  await assert.rejects(scout.span("Controller/off", async () => { throw thrown; }), (error) => error === thrown);
}

async function refused(file, ...words) {
  process.env.SCOUTCORE_LIB = file;
  const said = heard();
  for (let i = 0; i < 2; i++) assert.equal(scout.start({ data_dir: directory() }, said), false);
  for (const word of words) assert.ok(scout.offReason().includes(word), scout.offReason());
  assert.equal(said.lines.length, 1, JSON.stringify(said.lines));
  assert.equal(said.warnings().length, 1);
  await useEverything();
  assert.deepEqual(scout.diagnose(), { off: scout.offReason() });
  assert.equal(scout.sanitizeSql("SELECT 'secret' FROM users"), "?");
  assert.equal(scout.summarizeSql("SELECT 'secret' FROM users", "postgres"), "");
}

test("missing-library", () => refused("/nonexistent/libscoutcore.so", "/nonexistent/libscoutcore.so"));
test("other-abi", () => refused(process.env.STUB_OTHER_ABI, "ABI is 2", "1"));
test("incomplete-library", () => refused(process.env.STUB_INCOMPLETE, "not a scoutcore library"));
test("not-a-library", () => refused(__filename, path.basename(__filename)));

test("without-koffi", async () => {
  const text = `
    const scout = require(${JSON.stringify(BINDING)});
    const ran = scout.start({ data_dir: process.env.TEST_DIR });
    console.log(ran, scout.span("Controller/x", () => 7), scout.sanitizeSql("SELECT 1"), scout.offReason());`;
  const { code, output } = await program(text, { prelude: "", env: { NODE_PATH: null } });
  assert.equal(code, 0, output);
  assert.match(output, /^scoutcore: off, nothing is recorded: koffi: Cannot find module 'koffi'$/m);
  assert.match(output, /^false 7 \? koffi: /m);
});

test("never-started", async () => {
  await useEverything();
  assert.match(scout.offReason(), /start/);
});

test("bad-options", async () => {
  const said = heard();
  assert.equal(scout.start({ no_such_option: 1 }, said), false);
  assert.match(scout.offReason(), /no_such_option/);
  const circle = {};
  circle.name = circle;
  for (const options of [circle, { name: 1n }, "text", 17, [1]]) {
    assert.equal(scout.start(options, said), false, String(scout.offReason()));
  }
  assert.equal(said.warnings().length, said.lines.length);
  await useEverything();
  assert.equal(scout.start({ data_dir: directory() }), true); // a later, better start
  assert.equal(scout.offReason(), null);
  assert.equal(scout.start({ no_such_option: 1 }), true); // changes nothing
});

test("switched-off", async () => {
  const said = heard();
  assert.equal(scout.start({ monitor: false, data_dir: directory() }, said), false);
  assert.match(scout.offReason(), /DISABLED/);
  assert.deepEqual(said.lines, []); // as configured
  await useEverything();
});

// A logger that throws is not the application's problem.
test("angry-logger", async () => {
  const angry = () => { throw new Error("no room in the log"); };
  assert.equal(scout.start({ no_such_option: 1 }, { logger: { warn: angry } }), false);
  const options = { data_dir: directory(), key: "k", destination: "http://127.0.0.1:1" }; // where nobody listens
  assert.equal(scout.start(options, { logger: {} }), true);
  scout.span("Controller/logged", () => {});
  await scout.flush(500);
  await scout.shutdown(500);
});

// Whatever becomes of the calls, the application goes on, and ends as it wants to.
test("calls-that-fail", async () => {
  const text = `
    const { core } = scout.begin("Controller/x").request;
    let calls = 0;
    const failing = () => { calls++; throw new Error("a call failed"); };
    failing.async = failing;
    core.batch = failing;
    for (const name of Object.keys(core.library)) if (name.startsWith("scout_")) core.library[name] = failing;
    const value = scout.span("Controller/new name", { k: "v" }, () => {
      scout.tagRequest({ path: "/" });
      scout.error(new Error("no"));
      return scout.span("SQL/Query", () => 42);
    });
    scout.metric("Memory/Physical", 1);
    scout.event("scout.metadata", "{}");
    const told = [value, scout.stats(), scout.diagnose()];
    told.push(scout.sanitizeSql("SELECT 1"), scout.summarizeSql("SELECT 1"));
    scout.flush(10).then((status) => {
      console.log(JSON.stringify([...told, status]), calls);
      process.exitCode = 3;
    });`;
  const { code, output } = await program(text);
  assert.equal(code, 3, output);
  assert.match(output, /^\[42,\{\},\{\},"\?","",null\] (1\d|[89])\n$/);
});

test("beside-the-binding", async () => {
  const folder = directory("copied");
  for (const name of ["scout.js", "scout", "package.json"]) {
    fs.cpSync(path.join(BINDING, name), path.join(folder, name), { recursive: true });
  }
  fs.copyFileSync(process.env.SCOUTCORE_LIB, path.join(folder, "libscoutcore.so"));
  const text = `
    const scout = require(${JSON.stringify(folder)});
    if (!scout.start({ data_dir: process.env.TEST_DIR + "/data" })) throw new Error(scout.offReason());
    scout.span("Controller/beside", () => {});
    console.log(require("fs").readFileSync("/proc/self/maps", "utf8").match(/\\S*libscoutcore\\S*/)[0]);`;
  const { code, output } = await program(text, { prelude: "", env: { SCOUTCORE_LIB: null } });
  assert.equal(code, 0, output);
  assert.ok(output.startsWith(folder), output);
  expect(1, "request", "Controller/beside");
});

test("as-an-es-module", async () => {
  const text = `import("${path.join(BINDING, "scout.js")}").then(({ default: scout, span, start }) => {
    if (!start({ data_dir: process.env.TEST_DIR + "/data" })) throw new Error(scout.offReason());
    span("Controller/module", () => {});
  });`;
  const { code, output } = await program(text, { prelude: "" });
  assert.equal(code, 0, output);
  expect(1, "request", "Controller/module");
});
