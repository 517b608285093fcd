"use strict";

// What the Node contract tests share: a registry, checks, a core of one's own.
//
//     contract.js --list
//     contract.js NAME

const { spawn } = require("child_process");
const fs = require("fs");
const path = require("path");

const BINDING = path.join(__dirname, "..", "..", "examples", "node");
const scout = require(BINDING);
const tests = new Map();

// Registers a test; its function may be async.
function test(name, body) {
  tests.set(name, body);
}

// Asks run.py to look into the payload files afterwards: `request`, `layer` or `error`.
function expect(count, what, name) {
  console.log(`EXPECT ${count} ${what} ${name}`);
}

function directory(name = "data") {
  const folder = path.join(process.env.TEST_DIR, name);
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

// The binding, started with payload files under $TEST_DIR.
function started(options = {}, more = {}) {
  if (!scout.start({ name: "node", data_dir: directory(), ...options }, more)) throw new Error(scout.offReason());
}

// A logger that keeps what it is told.
function heard() {
  const lines = [];
  const keep = (level) => (text) => lines.push({ level, text });
  const logger = Object.fromEntries(["error", "warn", "info", "debug"].map((level) => [level, keep(level)]));
  return { lines, logger, warnings: () => lines.filter(({ level }) => level === "warn") };
}

// In place of a core: keeps the batches it is given.
class FakeCore {
  constructor(Records = part("records")) {
    this.batches = [];
    this.records = new Records(() => 0);
  }

  handOver() {
    const size = this.records.take();
    if (size > 0) this.batches.push(Buffer.from(this.records.buffer.subarray(0, size)));
  }
}

// A module of the binding that is not for applications.
function part(name) {
  return require(path.join(BINDING, "scout", name));
}

const PRELUDE = `const scout = require(${JSON.stringify(BINDING)});
const data_dir = process.env.TEST_DIR + "/" + (process.env.DATA || "data");
if (!scout.start({ name: "node", data_dir })) throw new Error(scout.offReason());
`;

// A program of its own, that has started the binding: its exit code, signal and output.
function program(text, { prelude = PRELUDE, env = {} } = {}) {
  const variables = { ...process.env, ...env };
  for (const name of Object.keys(env)) if (env[name] === null) delete variables[name];
  const child = spawn(process.execPath, ["-e", prelude + text], { env: variables });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  return new Promise((done) => child.on("close", (code, signal) => done({ code, signal, output })));
}

async function main(name) {
  if (name === "--list") return console.log([...tests.keys()].join("\n"));
  await tests.get(name)();
}

module.exports = { BINDING, FakeCore, directory, expect, heard, main, part, program, scout, started, test };
