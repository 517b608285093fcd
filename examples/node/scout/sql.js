"use strict";

// SQL made safe to show. It takes the library alone: before `start` and after `shutdown` too.

const { copied, found } = require("./library");

// The library uses no more of a statement than this.
const HEAD = 65536;

// The statement with `?` for every literal, without comments: safe to store and to show.
//
// `sql` is a string, or bytes of any kind. `dialect` is a database's or an adapter's name
// ("postgres", "mysql2", ...); none or an unknown one means the strictest reading. Never throws and
// never returns the raw text: without a library, or for what is no statement, it is "?".
function sanitizeSql(sql, dialect) {
  return asked("scout_sql_sanitize", sql, dialect, "?");
}

// The statement's verbs and tables, e.g. "SELECT users": of low cardinality, at most 255 bytes.
// Otherwise as `sanitizeSql`; without a library "".
function summarizeSql(sql, dialect) {
  return asked("scout_sql_summarize", sql, dialect, "");
}

function asked(name, sql, dialect, otherwise) {
  try {
    const library = found();
    const statement = bytes(sql);
    if (!library || !statement) return otherwise;
    const of = bytes(dialect) || Buffer.alloc(0);
    const text = copied(
      (...buffer) => library[name](of, of.length, statement, statement.length, ...buffer),
      Math.min(statement.length, HEAD) + 64,
    );
    return text === null ? otherwise : text;
  } catch {
    return otherwise;
  }
}

// UTF-8, or bytes as they are; null for what is no text.
function bytes(text) {
  if (typeof text === "string") return Buffer.from(text);
  return text instanceof Uint8Array ? text : null;
}

module.exports = { sanitizeSql, summarizeSql };
