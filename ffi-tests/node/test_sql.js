"use strict";

// Statements sanitised and summarised, with a core and without.

const assert = require("assert/strict");
const { part, scout, started, test } = require("./testing");

const STATEMENT = "SELECT  *  FROM users WHERE name = 'secret' AND id = 42 -- secret";
const SANITIZED = "SELECT * FROM users WHERE name = ? AND id = ?";

function works() {
  for (const statement of [STATEMENT, Buffer.from(STATEMENT), new Uint8Array(Buffer.from(STATEMENT))]) {
    const dialects = ["postgres", "mysql2", Buffer.from("mssql"), "no such", "", "\0", "\ud800", 7, undefined, null];
    for (const dialect of dialects) {
      assert.equal(scout.sanitizeSql(statement, dialect), SANITIZED, String(dialect));
      assert.equal(scout.summarizeSql(statement, dialect), "SELECT users", String(dialect));
    }
  }
}

test("sql-at-any-time", async () => {
  works();
  started();
  works();
  await scout.shutdown(5000);
  works();
});

test("sql-dialects", () => {
  const statement = "SELECT a FROM t WHERE b = 'x\\' AND c = 'y'"; // a backslash escapes in MySQL only
  for (const dialect of ["postgres", "pg", "sqlite3"]) {
    assert.equal(scout.sanitizeSql(statement, dialect), "SELECT a FROM t WHERE b = ? AND c = ?");
  }
  for (const dialect of ["mysql2", "no such", undefined]) {
    assert.equal(scout.sanitizeSql(statement, dialect), "SELECT a FROM t WHERE b = ?");
  }
});

test("sql-of-any-bytes", () => {
  assert.deepEqual([scout.sanitizeSql(""), scout.summarizeSql(Buffer.alloc(0))], ["", ""]);
  for (const inside of [[0xff, 0xfe], [0], [97, 0, 98], [0xc3], [0xc3, 0xa9]]) {
    const [before, after] = [Buffer.from("SELECT * FROM users WHERE a = 'secret"), Buffer.from("'")];
    const statement = Buffer.concat([before, Buffer.from(inside), after]);
    for (const text of [statement, statement.toString("utf8"), statement.toString("latin1")]) {
      assert.equal(scout.sanitizeSql(text), "SELECT * FROM users WHERE a = ?");
      assert.equal(scout.summarizeSql(text), "SELECT users");
    }
  }
  assert.equal(scout.sanitizeSql("SELECT * FROM users WHERE a = 'secret\ud800'"), "SELECT * FROM users WHERE a = ?");
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const odd = ["\xff", "\0", "'secret\0", Buffer.concat(Array(40).fill(all)), "SELECT `\xff`, ".repeat(400)];
  for (const garbage of odd) {
    assert.ok(!scout.sanitizeSql(garbage).includes("secret"));
    assert.equal(typeof scout.summarizeSql(garbage), "string");
  }
  for (const other of [undefined, null, 7, {}, ["SELECT 1"], Symbol("x")]) {
    assert.deepEqual([scout.sanitizeSql(other), scout.summarizeSql(other)], ["?", ""]);
  }
});

test("sql-of-100-kilobytes", () => {
  const long = `a = '${"secret".repeat(17000)}`;
  for (const middle of ["name = 'secret' AND ".repeat(5000), "a = b AND ".repeat(10000), long]) {
    const statement = `SELECT * FROM users WHERE ${middle}name = 'secret'`;
    assert.ok(statement.length > 100000);
    const sanitized = scout.sanitizeSql(statement);
    assert.ok(sanitized.startsWith("SELECT * FROM users WHERE") && !sanitized.includes("secret"));
    assert.ok(sanitized.length <= 65536 + 64);
    assert.equal(scout.summarizeSql(statement), "SELECT users");
  }
});

test("copies-into-larger-buffers", () => {
  const { copied, found } = part("library");
  const [library, text, none] = [found(), Buffer.from(STATEMENT), Buffer.alloc(0)];
  for (const room of [1, 8, SANITIZED.length - 1, SANITIZED.length, 4096]) {
    const copy = copied((...out) => library.scout_sql_sanitize(none, 0, text, text.length, ...out), room);
    assert.equal(copy, SANITIZED, String(room));
  }
});
