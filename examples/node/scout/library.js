"use strict";

// Finding the shared object, loading it, and checking that it is the right one.
//
// Nothing here throws for a missing or unfit library: `load` says why there is none.

const fs = require("fs");
const os = require("os");
const path = require("path");
const FUNCTIONS = require("./functions");

const ABI_VERSION = 1;
const OK = 0;
const E_TOO_SMALL = -3;

const BUILD = path.join(__dirname, "..", "..", "..", "target", "release");
const DARWIN = process.platform === "darwin";
const FILES = DARWIN ? ["libscoutcore.dylib", "libscoutcore.1.dylib"] : ["libscoutcore.so", "libscoutcore.so.1"];
const SYSTEM = DARWIN ? ["libscoutcore.1.dylib", "libscoutcore.dylib"] : ["libscoutcore.so.1"];

// Why a candidate cannot be used.
class Unfit extends Error {}

// One loaded shared object: its functions, under their C names.
class Library {
  constructor(koffi, file) {
    let object;
    try {
      object = koffi.load(file);
    } catch (error) {
      throw new Unfit(error.message.includes(file) ? error.message : `${file}: ${error.message}`);
    }
    try {
      // First this one alone: another ABI's functions may have other arguments.
      this.bind(object, "scout_abi_version");
      const version = this.scout_abi_version();
      if (version !== ABI_VERSION) {
        throw new Unfit(`${file}: its ABI is ${version}, this binding's ${ABI_VERSION}`);
      }
      for (const name of Object.keys(FUNCTIONS)) this.bind(object, name);
    } catch (error) {
      if (error instanceof Unfit) throw error;
      throw new Unfit(`${file}: not a scoutcore library (${error.message})`);
    }
    this.file = file;
  }

  bind(object, name) {
    this[name] = object.func(name, ...FUNCTIONS[name]);
  }
}

// Calls a function that copies a text out, with a buffer that is large enough. Null: nothing to copy.
function copied(call, room = 4096) {
  const size = Buffer.alloc(8);
  let buffer = Buffer.allocUnsafe(room);
  let status = call(buffer, buffer.length, size);
  while (status === E_TOO_SMALL) { // again if it grew in between
    buffer = Buffer.allocUnsafe(length(size) + 256);
    status = call(buffer, buffer.length, size);
  }
  return status === OK ? buffer.toString("utf8", 0, length(size)) : null;
}

function length(size) {
  return size.readUInt32LE(0) + size.readUInt32LE(4) * 2 ** 32;
}

// Where the library may be, in order. `SCOUTCORE_LIB` stands alone: who names a file wants that one
// or an explanation, not another.
function candidates() {
  const named = process.env.SCOUTCORE_LIB;
  if (named) return [named];
  const folders = [__dirname, path.dirname(__dirname), BUILD];
  const beside = folders.flatMap((folder) => FILES.map((file) => path.join(folder, file)));
  return [...beside.filter((file) => fs.existsSync(file)), ...SYSTEM];
}

let last = null;

// The first candidate that loads and fits, as { library }; or { reason }: why each did not.
function load(files = candidates()) {
  return (last = search(files));
}

// The library of the last `load`, for what needs no core; looked for once. Or null.
function found() {
  return (last || load()).library || null;
}

function search(files) {
  // Records are written as this machine has its numbers, and the format is little-endian.
  if (os.endianness() !== "LE") return { reason: "this machine is not little-endian" };
  let koffi;
  try {
    koffi = require("koffi");
  } catch (error) {
    return { reason: `koffi: ${error.message.split("\n")[0]}` };
  }
  const reasons = [];
  for (const file of files) {
    try {
      return { library: new Library(koffi, file) };
    } catch (error) {
      reasons.push(error.message);
    }
  }
  return { reason: reasons.join("; ") };
}

module.exports = { E_TOO_SMALL, OK, copied, found, load };
