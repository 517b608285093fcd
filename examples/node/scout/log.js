"use strict";

// Where the binding's messages and the core's go: the application's logger, which may throw.

const LEVELS = ["error", "warn", "info", "debug"];

// What is worth a line where nobody gave a logger.
const STANDARD = {
  error: (line) => console.error(line),
  warn: (line) => console.warn(line),
  info() {},
  debug() {},
};

let logger = STANDARD;

// Sets the logger: anything with the methods error, warn, info and debug.
function use(given) {
  logger = given;
}

function log(level, line) {
  try {
    logger[level](line);
  } catch {
    // Nowhere to say it.
  }
}

const [error, warn, info, debug] = LEVELS.map((level) => (line) => log(level, `scoutcore: ${line}`));

// An exception of ours, or of the application's in what it gave us to record.
function caught(exception) {
  let text = "something without a text";
  try {
    text = String(exception);
  } catch {
    // It stays so.
  }
  debug(`not recorded: ${text}`);
}

module.exports = { LEVELS, caught, debug, error, info, use, warn };
