"use strict";

// The C functions this binding uses, as koffi declares them: result, arguments.
//
// There is no callback, no struct by value and nothing to free, so one table is all there is to it.
// `void *` is any Buffer or typed array, or null; outputs are read from one afterwards.

const COPY_OUT = ["void *", "size_t", "void *"];
const SQL = ["void *", "size_t", "void *", "size_t", ...COPY_OUT];

module.exports = {
  scout_abi_version: ["uint32_t", []],
  scout_version: ["str", []],
  scout_status_name: ["str", ["int32_t"]],
  scout_start: ["int32_t", ["void *", "size_t", "void *"]],
  scout_flush: ["int32_t", ["uint64_t", "uint32_t"]],
  scout_shutdown: ["int32_t", ["uint64_t", "uint32_t"]],
  scout_intern: ["int32_t", ["uint64_t", "void *", "size_t", "void *"]],
  scout_record_batch: ["int32_t", ["uint64_t", "void *", "size_t", "void *"]],
  scout_stats: ["int32_t", ["uint64_t", ...COPY_OUT]],
  scout_diagnose: ["int32_t", ["uint64_t", ...COPY_OUT]],
  scout_next_log: ["int32_t", ["uint64_t", ...COPY_OUT]],
  scout_last_error: ["int32_t", COPY_OUT],
  scout_sql_sanitize: ["int32_t", SQL],
  scout_sql_summarize: ["int32_t", SQL],
};
