"use strict";

// How a process ends, and processes that work together.

const assert = require("assert/strict");
const fs = require("fs");
const path = require("path");
const { BINDING, directory, expect, program, scout, started, test } = require("./testing");

test("flush-at-exit", async () => {
  const ends = [
    ["", 0], ["process.exit(3);", 3], ["throw new Error('uncaught');", 1],
    ["process.exitCode = 4; scout.flush(1000);", 4],
    ["scout.flush(1000); process.exit(5);", 5], ["scout.shutdown(1000); process.exit(6);", 6],
  ];
  for (const [end, code] of ends) {
    // A directory each: the next one on the same would deliver what this one had not.
    const spans = "scout.span('Controller/at exit', () => {});";
    const ended = await program(`${spans} ${end}`, { env: { DATA: `data${code}` } });
    assert.equal(ended.code, code, ended.output);
    assert.equal(ended.output.includes("uncaught"), code === 1, ended.output);
  }
  expect(ends.length, "request", "Controller/at exit");
});

// The binding keeps no process alive.
test("nothing-holds-a-process", async () => {
  const began = performance.now();
  const { code, output } = await program("scout.attach(scout.begin('Job/open'), () => {});");
  assert.equal(code, 0, output);
  assert.ok(performance.now() - began < 10000);
});

// A signal runs no exit hook: what had ended by then is on disk, and the next process delivers it.
test("after-a-signal", async () => {
  for (const signal of ["SIGKILL", "SIGTERM"]) {
    const text = `
      for (let n = 0; n < 100; n++) scout.span("Controller/killed", () => scout.span("SQL/Query", () => {}));
      process.kill(process.pid, "${signal}");
      setTimeout(() => {}, 60000);`;
    assert.equal((await program(text)).signal, signal);
  }
  started();
  scout.span("Controller/after", () => {});
  expect(200, "request", "Controller/killed");
  expect(200, "layer", "SQL");
  expect(1, "request", "Controller/after");
});

// Real requests to workers of a cluster, of which some are replaced meanwhile.
test("cluster", async () => {
  const file = path.join(directory("app"), "app.js");
  fs.writeFileSync(file, `
    const cluster = require("cluster");
    const http = require("http");
    const scout = require(${JSON.stringify(BINDING)});
    if (!scout.start({ data_dir: process.env.TEST_DIR + "/data" })) throw new Error(scout.offReason());

    function serve() {
      const server = http.createServer((request, response) => scout.span("Controller/clustered", async () => {
        await scout.span("SQL/Query", () => new Promise((done) => setTimeout(done, 1)));
        response.end(String(process.pid));
      }));
      server.listen(0, "127.0.0.1");
      // As a server that is told to go should: what it has begun, and then no more.
      process.on("disconnect", () => process.exit());
    }

    function ask(port) {
      return new Promise((done, fail) => http.get({ port, agent: false }, (response) => {
        let pid = "";
        response.on("data", (data) => (pid += data)).on("end", () => done(pid));
      }).on("error", fail));
    }

    const listening = () => new Promise((done) => cluster.fork().once("listening", ({ port }) => done(port)));

    async function drive() {
      const seen = new Set();
      await scout.span("Job/primary", async () => {
        const ports = [await listening(), await listening(), await listening()];
        for (let round = 0; round < 3; round++) {
          for (let n = 0; n < 20; n++) seen.add(await ask(ports[0]));
          const [old] = Object.values(cluster.workers);
          old.disconnect();
          await new Promise((done) => old.once("exit", done));
          await listening();
        }
      });
      console.log("pids", seen.size);
      for (const worker of Object.values(cluster.workers)) worker.disconnect();
    }

    if (cluster.isPrimary) drive(); else serve();`);
  const prelude = `process.argv[1] = ${JSON.stringify(file)}; `; // what the cluster starts again
  const { code, output } = await program(`require(process.argv[1])`, { prelude });
  assert.equal(code, 0, output);
  assert.ok(Number(/pids (\d+)/.exec(output)[1]) > 3, output);
  expect(60, "request", "Controller/clustered");
  expect(60, "layer", "SQL");
  expect(1, "request", "Job/primary");
});
