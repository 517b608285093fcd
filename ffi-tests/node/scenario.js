"use strict";

// Makes the calls of a flat scenario file through the Node binding's encoder, one record a call.
//
//     scenario.js FILE

const fs = require("fs");
const path = require("path");

const BINDING = path.join(__dirname, "..", "..", "examples", "node", "scout");
const { Core } = require(path.join(BINDING, "core"));
const { copied, load } = require(path.join(BINDING, "library"));

const VALUES = {
  s: (text) => value(text),
  i: (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text)),
  f: Number,
  b: (text) => text === "1",
};

// A string; or bytes, if they are none.
function value(hex) {
  const bytes = Buffer.from(hex, "hex");
  return Buffer.from(bytes.toString()).equals(bytes) ? bytes.toString() : bytes;
}

// Pairs, since a key may come twice.
function tags(fields) {
  const found = [];
  for (let i = 1; i < fields.length; i += 3) found.push([value(fields[i]), VALUES[fields[i + 1]](fields[i + 2])]);
  return found;
}

// The trace, and a time as the origin of the record's.
function request(trace, nanoseconds) {
  const words = Buffer.from(trace, "hex");
  return {
    trace0: words.readInt32LE(0), trace1: words.readInt32LE(4),
    trace2: words.readInt32LE(8), trace3: words.readInt32LE(12),
    originHigh: Number(nanoseconds >> 32n), originLow: Number(nanoseconds & 0xffffffffn),
  };
}

const present = () => BigInt(Date.now()) * 1000000n;
const none = "0".repeat(32);

function record(records, kind, fields) {
  switch (kind) {
    case "span": {
      const [trace, id, parent, start, end, operation] = fields;
      const took = Number(BigInt(end) - BigInt(start)) / 1e6;
      const within = request(trace, BigInt(start));
      return records.span(within, Number(id), 0, Number(parent), 0, 0, took, value(operation), tags(fields.slice(6)));
    }
    case "tag":
      return records.requestTags(request(fields[0], present()), 0, tags(fields.slice(1)));
    case "error": {
      const [trace, id, time, ...texts] = fields.slice(0, 6);
      return records.error(request(trace, BigInt(time)), Number(id), 0, 0, ...texts.map(value), tags(fields.slice(6)));
    }
    case "metric":
      return records.metric(request(none, present()), 0, value(fields[0]), Number(fields[1]));
    default:
      return records.event(request(none, present()), 0, value(fields[0]), value(fields[1]));
  }
}

const { library, reason } = load();
if (!library) throw new Error(reason);
const core = Core.start(library, { name: "Scenario", hostname: "host", data_dir: process.env.TEST_DIR });
for (const line of fs.readFileSync(process.argv[2], "ascii").split("\n").slice(0, -1)) {
  const [kind, ...fields] = line.split("\t");
  record(core.records, kind, fields);
  const status = core.handOver();
  const why = () => `${library.scout_status_name(status)}: ${copied((...out) => library.scout_last_error(...out))}`;
  if (status < 0) throw new Error(`${line.slice(0, 100)}: ${why()}`);
}
const status = core.shutdownSync(10000);
if (status < 0) throw new Error(library.scout_status_name(status));
