"use strict";

// The record format of docs/record-format.md: values in, bytes in one buffer out, one record behind
// the other, until `take` empties it.
//
// No clock, no library: `intern` gives the id of a name, or 0 for one that has none and must travel
// as text. Integers of 64 bits are written as halves: a BigInt would be an object for each. Texts,
// keys and operations are strings, or a Uint8Array that is taken as it is.
//
// Nothing of the application's runs between the first word of a record and its last: a getter or a
// `toString` that records something itself would write where we do. `settled` runs them before.

const { types } = require("util");

const MAX_RECORD = 65400;
const MAX_STRING = 16384;
const MAX_TAGS = 128;
const MAX_EVENT = 65000;
const MAX_NAMES = 4096;

// Bytes that may wait: when there are more, `full` says so.
const LIMIT = 48 * 1024;
// Room for one more record behind those, which is cut to its limit only when it is written.
const ROOM = LIMIT + MAX_RECORD + 4 * MAX_STRING;

const INLINE = 0x80000000;
const [STRING, I64, F64, BOOL] = [1, 2, 3, 4];
const CUT = 1 << 8;
const TWO32 = 4294967296;
const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;

// The second word of a header, without its number of tags: kind and version.
const [SPAN, REQUEST_TAGS, ERROR, METRIC, EVENT] = [1, 2, 3, 4, 5].map((kind) => kind | (1 << 8));

// Up to here a loop is quicker than a call into native code.
const SHORT = 16;
// Of texts up to this length, each so many-th that is not known is kept, until there are too many.
const [MAX_KEPT, KEEP_EACH, MOST_KEPT] = [512, 16, 256];
// After so many that were not known, so many are not even looked for: in some applications none
// comes again, and to look for one costs as much as to encode it.
const [PATIENCE, PASS] = [256, 2048];

const NONE = Object.freeze([]);

class Records {
  constructor(intern) {
    this.buffer = Buffer.allocUnsafeSlow(ROOM + MOST_KEPT * MAX_KEPT);
    this.words = new Uint32Array(this.buffer.buffer);
    this.floats = new Float64Array(this.buffer.buffer);
    this.at = 0; // in words
    this.intern = intern;
    this.names = new Map();
    this.kept = new Map();
    this.unknown = 0;
    this.inARow = 0;
    this.pass = 0;
  }

  // Whether it is time to hand over.
  get full() {
    return this.at > LIMIT >> 2;
  }

  // Empties the buffer; returns how many bytes were in it, which stay until the next record.
  take() {
    const size = this.at * 4;
    this.at = 0;
    return size;
  }

  // A completed span. `request` has the trace id and the origin of its times as halves; `began` and
  // `ended` are milliseconds after that. `tags` is an object, or pairs; `late` has those that came
  // later, as [key, value, ...], and stand in place of tags with the same key.
  span(request, low, high, parentLow, parentHigh, began, ended, operation, tags, late = null) {
    const name = this.name(operation);
    const tagged = late !== null || (tags !== undefined && tags !== null);
    let key = 0;
    let text = "";
    if (tagged) {
      // One text (a statement, a URL), which most tagged spans have, is cheaper by itself.
      const only = late === null ? onlyKey(tags) : null;
      if (only !== null) {
        text = tags[only];
        if (typeof text === "string" && text.length <= MAX_STRING / 3) key = this.name(only);
      }
    }
    if (name === 0 || (key === 0 && tagged)) {
      const texts = name === 0 ? [14, settledText(operation)] : NONE;
      const entries = settled(tags, late);
      const at = this.at;
      this.fixed(at, request, low, high, parentLow, parentHigh, began, ended, name);
      this.join(at, SPAN, 16, texts, entries);
      return;
    }
    const at = this.at;
    const words = this.words;
    this.fixed(at, request, low, high, parentLow, parentHigh, began, ended, name);
    if (key === 0) {
      words[at] = 64;
      words[at + 1] = SPAN;
      this.at = at + 16;
      return;
    }
    words[at + 1] = SPAN | (1 << 16);
    words[at + 16] = key;
    words[at + 17] = STRING;
    words[at + 19] = 0;
    const start = (at + 20) * 4;
    const length = this.write(text, start);
    words[at + 18] = length | INLINE;
    this.end(at, start + length);
  }

  fixed(at, request, low, high, parentLow, parentHigh, began, ended, name) {
    const words = this.words;
    this.trace(at, request);
    words[at + 6] = low;
    words[at + 7] = high;
    words[at + 8] = parentLow;
    words[at + 9] = parentHigh;
    this.time(at + 10, request, began);
    this.time(at + 12, request, ended);
    words[at + 14] = name;
    words[at + 15] = 0;
  }

  // Tags of a whole request.
  requestTags(request, time, tags) {
    const entries = settled(tags);
    const at = this.at;
    this.trace(at, request);
    this.time(at + 6, request, time);
    this.join(at, REQUEST_TAGS, 8, NONE, entries);
  }

  // An exception; `backtrace` is text, one line a frame. No request: a trace id of zeroes, and 0.
  error(request, low, high, time, className, message, backtrace, tags) {
    const texts = [10, settledText(className), 11, settledText(message), 12, settledText(backtrace)];
    const entries = settled(tags);
    const at = this.at;
    this.trace(at, request);
    this.words[at + 6] = low;
    this.words[at + 7] = high;
    this.time(at + 8, request, time);
    this.words[at + 13] = 0;
    this.join(at, ERROR, 14, texts, entries);
  }

  // One sample of a gauge.
  metric(origin, time, name, value) {
    const [text, number] = [settledText(name), Number(value)];
    const at = this.at;
    this.time(at + 2, origin, time);
    this.floats[(at + 4) >> 1] = number;
    this.words[at + 7] = 0;
    this.join(at, METRIC, 8, [6, text], NONE);
  }

  // Something about the application as a whole. Its JSON is not cut: that would be none.
  event(origin, time, kind, json) {
    const name = Buffer.from(settledText(kind)).subarray(0, 256);
    const text = Buffer.from(settledText(json));
    if (text.length > MAX_EVENT) throw new RangeError(`an event's JSON has at most ${MAX_EVENT} bytes`);
    const at = this.at;
    this.time(at + 2, origin, time);
    const start = (at + 6) * 4;
    this.buffer.set(name, start);
    this.buffer.set(text, start + name.length);
    this.words[at + 1] = EVENT;
    this.words[at + 4] = INLINE | name.length;
    this.words[at + 5] = INLINE | text.length;
    this.end(at, start + name.length + text.length);
  }

  // Writes what follows a fixed part of so many words: the texts whose references lie in it, as
  // [word, text, ...], and the tags, as [key, value, ...]. Tags that do not fit are left out from
  // the end, as the core itself does.
  join(at, kind, fixed, texts, entries) {
    const { words, floats } = this;
    const reserved = Math.min(entries.length >> 1, MAX_TAGS);
    const area = (at + fixed + 4 * reserved) * 4;
    let to = area;
    for (let i = 0; i < texts.length; i += 2) {
      const length = this.text(texts[i + 1], to);
      words[at + texts[i]] = INLINE | length;
      to += length;
    }
    let tags = 0;
    for (; tags < reserved; tags++) {
      const entry = at + fixed + 4 * tags;
      let end = to;
      let key = this.name(entries[2 * tags]);
      if (key === 0) {
        const length = this.text(entries[2 * tags], end);
        key = INLINE | length;
        end += length;
      }
      let value = entries[2 * tags + 1];
      words[entry] = key;
      words[entry + 3] = 0;
      switch (typeof value) {
        case "boolean":
          words[entry + 1] = BOOL;
          words[entry + 2] = value ? 1 : 0;
          break;
        case "number":
          if (Number.isSafeInteger(value)) {
            words[entry + 1] = I64;
            words[entry + 2] = value;
            words[entry + 3] = Math.floor(value / TWO32);
          } else {
            words[entry + 1] = F64;
            floats[(entry + 2) >> 1] = value;
          }
          break;
        case "bigint": // one that fits, or it were a text by now
          words[entry + 1] = I64;
          words[entry + 2] = Number(value & 0xffffffffn);
          words[entry + 3] = Number((value >> 32n) & 0xffffffffn);
          break;
        default: {
          const length = this.text(value, end);
          words[entry + 1] = tooLong(value) ? STRING | CUT : STRING;
          words[entry + 2] = INLINE | length;
          end += length;
        }
      }
      if (end - area + (fixed + 4 * (tags + 1)) * 4 > MAX_RECORD) break;
      to = end;
    }
    words[at + 1] = kind | (tags << 16);
    const missing = (reserved - tags) * 16;
    if (missing > 0) this.buffer.copyWithin(area - missing, area, to);
    this.end(at, to - missing);
  }

  // Pads a record whose last byte is before `to`, and counts it in.
  end(at, to) {
    const { buffer } = this;
    while ((to & 7) !== 0) buffer[to++] = 0;
    this.words[at] = to - at * 4;
    this.at = to >> 2;
  }

  trace(at, request) {
    const words = this.words;
    words[at + 2] = request.trace0;
    words[at + 3] = request.trace1;
    words[at + 4] = request.trace2;
    words[at + 5] = request.trace3;
  }

  // Unix time in nanoseconds: an origin, and milliseconds after it.
  time(at, origin, milliseconds) {
    const nanoseconds = milliseconds * 1e6 + origin.originLow;
    const high = Math.floor(nanoseconds / TWO32);
    this.words[at] = nanoseconds - high * TWO32;
    this.words[at + 1] = origin.originHigh + high;
  }

  // Writes a text, cut to the limit, and returns its length in bytes.
  text(text, to) {
    if (typeof text === "string") return this.write(text, to);
    const bytes = text.subarray(0, MAX_STRING);
    this.buffer.set(bytes, to);
    return bytes.length;
  }

  write(text, to) {
    const { buffer } = this;
    const length = text.length;
    if (length > SHORT) return length > MAX_KEPT ? this.encode(text, to) : this.repeated(text, to);
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) return this.encode(text, to);
      buffer[to + i] = code;
    }
    return length;
  }

  encode(text, to) {
    return this.buffer.write(text, to, MAX_STRING);
  }

  // A text that may come again, as prepared statements do: copying its bytes is a fraction of
  // encoding it. What comes once is not worth keeping, so only some are, and none for long. They
  // are behind the records, in the same buffer.
  repeated(text, to) {
    if (this.pass > 0) {
      this.pass--;
      return this.encode(text, to);
    }
    const kept = this.kept.get(text);
    if (kept !== undefined) {
      this.inARow = 0;
      const from = ROOM + kept.place * MAX_KEPT;
      this.buffer.copyWithin(to, from, from + kept.length);
      return kept.length;
    }
    const length = this.encode(text, to);
    if (++this.inARow === PATIENCE) {
      this.inARow = 0;
      this.pass = PASS;
    }
    if (++this.unknown % KEEP_EACH === 0 && length <= MAX_KEPT) {
      if (this.kept.size === MOST_KEPT) this.kept.clear();
      const place = this.kept.size;
      this.buffer.copyWithin(ROOM + place * MAX_KEPT, to, to + length);
      this.kept.set(text, { place, length });
    }
    return length;
  }

  // The id of a name, or 0. Bounded, because applications put ids and URLs into names in spite of
  // all advice.
  name(name) {
    const id = this.names.get(name);
    return id === undefined ? this.meet(name) : id;
  }

  meet(name) {
    if (typeof name !== "string" || this.names.size >= MAX_NAMES) return 0;
    const id = this.intern(name);
    this.names.set(name, id);
    return id;
  }
}

// The key of an object that has one only; or null.
function onlyKey(tags) {
  let only = null;
  for (const key in tags) {
    if (only !== null) return null;
    only = key;
  }
  return only;
}

// Tags as [key, value, ...], all of them of a type that is written without asking anybody.
function settled(tags, late = null) {
  const entries = [];
  if (tags !== undefined && tags !== null) {
    if (typeof tags === "object" && typeof tags[Symbol.iterator] === "function") {
      for (const [key, value] of tags) if (!isLate(late, key, 0)) settle(entries, key, value);
    } else {
      for (const key in tags) if (!isLate(late, key, 0)) settle(entries, key, tags[key]);
    }
  }
  if (late !== null) {
    for (let i = 0; i < late.length; i += 2) if (!isLate(late, late[i], i + 2)) settle(entries, late[i], late[i + 1]);
  }
  return entries;
}

// Whether a key is among the late ones, from a place on.
function isLate(late, key, from) {
  if (late !== null) for (let i = from; i < late.length; i += 2) if (late[i] === key) return true;
  return false;
}

function settle(entries, key, value) {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
      break;
    case "bigint":
      if (value < I64_MIN || value > I64_MAX) value = String(value);
      break;
    case "undefined":
      return;
    default:
      if (value === null) return;
      value = settledText(value);
  }
  entries.push(settledText(key), value);
}

// A string, or a copy of bytes; what is neither travels as its text.
function settledText(value) {
  if (typeof value === "string") return value;
  return types.isUint8Array(value) ? Buffer.from(value) : String(value);
}

function tooLong(text) {
  return text.length > MAX_STRING || (text.length > MAX_STRING / 3 && Buffer.byteLength(text) > MAX_STRING);
}

module.exports = Records;
