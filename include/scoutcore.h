/*
 * scoutcore: the native core of an application-performance-monitoring agent.
 *
 * Strings are pointer and length, borrowed for the call. Outputs are written only on success.
 * Every pointer may be NULL and yields a status. Structs start with their size, and zero means
 * default. Any function may be called from any thread, after a fork, and after shutdown.
 *
 *     scout_core_t core;
 *     if (scout_abi_version() != SCOUT_ABI_VERSION) return;
 *     if (scout_start(NULL, 0, &core) != SCOUT_OK) return;
 *     scout_span_t root = { .struct_size = sizeof root };
 *     scout_span_begin(core, NULL, 0, &root);
 *     ... the work ...
 *     root.operation = "Controller/home";
 *     root.operation_len = strlen(root.operation);
 *     scout_span_end(core, &root, NULL, 0);
 *     scout_shutdown(core, 2000);
 *
 * Only scout_flush and scout_shutdown wait for anything, and for no longer than they are told.
 * Nothing needs freeing: what you get is copied into your buffers. The library must not be
 * unloaded (it is linked so that dlclose leaves it in place); it installs no signal or exit
 * handler, writes to no standard stream, and changes no environment variable.
 *
 * Generated from src/ffi by cbindgen; `make header` writes it. MIT licence.
 */


#ifndef SCOUTCORE_H
#define SCOUTCORE_H

#include <stddef.h>
#include <stdint.h>


/* --------------------------------------------------------------------------
 * What a call came to
 * -------------------------------------------------------------------------- */

/**
 * Done.
 */
#define SCOUT_OK 0

/**
 * Done: not delivered yet, but safely on disk; it will be delivered later.
 */
#define SCOUT_SPOOLED 1

/**
 * Accepted, but shortened: a string over 16 KiB, more than 128 tags, or an end before its start.
 */
#define SCOUT_CLAMPED 2

/**
 * There is nothing to return, e.g. no further log line.
 */
#define SCOUT_EMPTY 3

/**
 * A required pointer is NULL.
 */
#define SCOUT_E_NULL -1

/**
 * An argument is out of range, e.g. a trace id of zeroes, or an id that was never interned.
 */
#define SCOUT_E_INVALID -2

/**
 * The buffer is too small. The needed length was written, nothing else.
 */
#define SCOUT_E_TOO_SMALL -3

/**
 * The handle is not, or no longer, a core of this process.
 */
#define SCOUT_E_HANDLE -4

/**
 * The options are not valid; `scout_last_error` says which and what is allowed.
 */
#define SCOUT_E_OPTIONS -5

/**
 * The bytes are not valid records; `scout_last_error` says where.
 */
#define SCOUT_E_FORMAT -6

/**
 * Something is larger than its documented limit.
 */
#define SCOUT_E_TOO_LARGE -7

/**
 * A bounded table is full: interned names, or cores.
 */
#define SCOUT_E_LIMIT -8

/**
 * The core has been shut down.
 */
#define SCOUT_E_SHUT_DOWN -100

/**
 * Not accepted: no room. Counted in the stats as dropped.
 */
#define SCOUT_E_DROPPED -101

/**
 * The time ran out first. What was accepted is kept, and goes on being delivered.
 */
#define SCOUT_E_TIMEOUT -102

/**
 * Called from inside itself (a signal handler that interrupted a recording call), or another
 * thread held a lock too long. Not accepted, counted; try again.
 */
#define SCOUT_E_BUSY -103

/**
 * Monitoring is switched off by configuration; the call did nothing.
 */
#define SCOUT_E_DISABLED -104

/**
 * A file operation failed and there was nowhere else to keep the data.
 */
#define SCOUT_E_IO -200

/**
 * The receiver refused the data for good; it was set aside, `scout_diagnose` says where.
 */
#define SCOUT_E_REJECTED -201

/**
 * Neither delivered nor on disk: it is kept in memory, and lost if the process ends now.
 */
#define SCOUT_E_UNDELIVERED -202

/**
 * A fault inside the library was contained; the core goes on. Please report it.
 */
#define SCOUT_E_PANIC -900

/* --------------------------------------------------------------------------
 * Constants
 * -------------------------------------------------------------------------- */

/**
 * The tag's value is `str` (or `value_id`).
 */
#define SCOUT_TAG_STRING 1

/**
 * The tag's value is `i64`.
 */
#define SCOUT_TAG_I64 2

/**
 * The tag's value is `f64`.
 */
#define SCOUT_TAG_F64 3

/**
 * The tag's value is `i64`, zero or not.
 */
#define SCOUT_TAG_BOOL 4

/**
 * The ABI this header describes: `scout_abi_version()` must return this number.
 */
#define SCOUT_ABI_VERSION 1

/* --------------------------------------------------------------------------
 * Types
 * -------------------------------------------------------------------------- */

/**
 * What a call came to. Zero and positive: it did its work. Negative: it did not, and
 * nothing that was accepted earlier is affected.
 *
 * |              | range          |                                                   |
 * |--------------|----------------|---------------------------------------------------|
 * | done         | 0 .. 99        | done; the number says how                         |
 * | caller       | -1 .. -99      | the call is wrong, and wrong again if repeated    |
 * | state        | -100 .. -199   | right call, wrong moment; counted in the stats    |
 * | environment  | -200 .. -299   | the machine said no: disk, network                |
 * | internal     | -900 .. -999   | a defect of this library, contained               |
 */
typedef int32_t scout_status_t;

/**
 * A running core. A plain number, never a pointer: a stale or invented handle is answered with
 * `SCOUT_E_HANDLE` or `SCOUT_E_SHUT_DOWN`. Valid in every thread and, after a fork, in the child.
 * Zero is never a core.
 */
typedef uint64_t scout_core_t;

/**
 * A key and a value on a span, a request, an error or a metric.
 *
 * In an array, all entries have the `struct_size` of the first. Text need not be UTF-8:
 * what is not is replaced on delivery. Text over 16,384 bytes is cut.
 */
typedef struct scout_tag_t {
    /**
     * `sizeof(scout_tag_t)`.
     */
    uint32_t struct_size;
    /**
     * One of `SCOUT_TAG_*`.
     */
    uint32_t kind;
    /**
     * The key, interned; or 0, and `key` holds it.
     */
    uint32_t key_id;
    /**
     * A string value, interned; or 0, and `str` holds it.
     */
    uint32_t value_id;
    /**
     * The key's text, when `key_id` is 0.
     */
    const char *key;
    /**
     * Its length in bytes.
     */
    size_t key_len;
    /**
     * The value of a `SCOUT_TAG_STRING`, when `value_id` is 0.
     */
    const char *str;
    /**
     * Its length in bytes.
     */
    size_t str_len;
    /**
     * The value of a `SCOUT_TAG_I64` or `SCOUT_TAG_BOOL`.
     */
    int64_t i64;
    /**
     * The value of a `SCOUT_TAG_F64`.
     */
    double f64;
} scout_tag_t;

/**
 * One span: a timed piece of work inside a request.
 *
 * A request is the set of spans with one `trace_id`; its root is the span whose `parent_id` is 0.
 * `operation` is `Type/name`: `Controller/users/show` or `Job/mailer` name the endpoint,
 * `SQL/Query`, `HTTP/GET`, `Template/Render`, `Custom/anything` are layers under it.
 * Children may be recorded before or after their parent, from any thread.
 */
typedef struct scout_span_t {
    /**
     * `sizeof(scout_span_t)`.
     */
    uint32_t struct_size;
    /**
     * The operation, interned; or 0, and `operation` holds it.
     */
    uint32_t operation_id;
    /**
     * The request's id: 16 bytes, not all zero (a W3C trace id).
     */
    uint8_t trace_id[16];
    /**
     * This span's id, not zero, unique in its request.
     */
    uint64_t span_id;
    /**
     * The enclosing span's id; 0 for the root.
     */
    uint64_t parent_id;
    /**
     * When it began: Unix time in nanoseconds.
     */
    uint64_t start_ns;
    /**
     * When it ended: Unix time in nanoseconds. Before `start_ns`, it counts as `start_ns`.
     */
    uint64_t end_ns;
    /**
     * The operation's text, when `operation_id` is 0.
     */
    const char *operation;
    /**
     * Its length in bytes.
     */
    size_t operation_len;
    /**
     * `n_tags` tags, or NULL.
     */
    const struct scout_tag_t *tags;
    /**
     * How many. The first 128 are kept.
     */
    size_t n_tags;
} scout_span_t;

/**
 * An exception that the application raised.
 */
typedef struct scout_error_t {
    /**
     * `sizeof(scout_error_t)`.
     */
    uint32_t struct_size;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * The request it happened in, or all zero.
     */
    uint8_t trace_id[16];
    /**
     * The span it happened in, or 0.
     */
    uint64_t span_id;
    /**
     * When: Unix time in nanoseconds; 0 means now.
     */
    uint64_t time_ns;
    /**
     * Its class, e.g. `ValueError`. Required.
     */
    const char *class_name;
    /**
     * Length in bytes.
     */
    size_t class_name_len;
    /**
     * Its message.
     */
    const char *message;
    /**
     * Length in bytes.
     */
    size_t message_len;
    /**
     * Lines of `file:line:in function`, innermost first, separated by `\n`.
     */
    const char *backtrace;
    /**
     * Length in bytes.
     */
    size_t backtrace_len;
    /**
     * `n_tags` tags (request parameters and context), or NULL.
     */
    const struct scout_tag_t *tags;
    /**
     * How many. The first 128 are kept.
     */
    size_t n_tags;
} scout_error_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* --------------------------------------------------------------------------
 * Checking, starting, flushing, ending
 * -------------------------------------------------------------------------- */

/**
 * The library's ABI version. Compare it with `SCOUT_ABI_VERSION` before any other call, and use
 * nothing else if they differ.
 *
 * Never blocks. Any thread.
 */
uint32_t scout_abi_version(void);

/**
 * The library's version, e.g. "0.1.0": static, NUL-terminated, never NULL.
 *
 * Never blocks. Any thread.
 */
const char *scout_version(void);

/**
 * A status's name, e.g. "SCOUT_E_HANDLE": static, NUL-terminated, never NULL
 * ("SCOUT_E_UNKNOWN" for a number that this version does not know).
 *
 * Never blocks. Any thread.
 */
const char *scout_status_name(scout_status_t status);

/**
 * Starts a core and writes its handle to `core`.
 *
 * `options` is a JSON object of `options_len` bytes; NULL or empty means all defaults, which need
 * no account and no network: payload files in a directory. An unknown key, a wrong type or a bad
 * value is `SCOUT_E_OPTIONS`, and `scout_last_error` says what is allowed. Environment variables
 * (`SCOUT_*`) are read here, once, and win over options. The keys: docs/configuration.md.
 *
 * A process usually has one core; 32 may run at once. A core needs no call after a fork: the
 * child builds its own, lazily, behind the same handle, and never sends what the parent holds.
 *
 * Errors: `SCOUT_E_NULL`, `SCOUT_E_OPTIONS`, `SCOUT_E_LIMIT`, `SCOUT_E_DISABLED` (monitoring is
 * off: use no other function, or ignore their `SCOUT_E_HANDLE`).
 * May block briefly: creates a directory and a thread. If no thread can be had, the core works
 * without: flush then does the work on the calling thread. Any thread.
 */
scout_status_t scout_start(const char *options,
                           size_t options_len,
                           scout_core_t *core);

/**
 * Delivers what any thread recorded before this call: every complete request, and every minute
 * so far, the current one included.
 *
 * Returns `SCOUT_OK` when all of it was delivered, `SCOUT_SPOOLED` when it is on disk instead
 * (fsynced; delivery goes on in the background), `SCOUT_E_TIMEOUT` when `timeout_ms` ran out
 * first, `SCOUT_E_UNDELIVERED` when it is only in memory: `scout_last_error` says how many spans.
 * Requests whose root span has not been recorded stay open. 0 means: do not wait.
 *
 * Blocks for at most `timeout_ms` milliseconds: release your GIL/GVL, use a dirty scheduler. Without
 * a background thread it does the work itself, and a disk that hangs may hold it longer.
 * Any thread, several at once.
 */
scout_status_t scout_flush(scout_core_t core,
                           uint32_t timeout_ms);

/**
 * Flushes as `scout_flush` does, closes requests that are still open, stops the background
 * thread, and ends the handle: all later calls with it return `SCOUT_E_SHUT_DOWN` and do nothing.
 *
 * Idempotent; the second call returns `SCOUT_E_SHUT_DOWN`. Call it from your language's own
 * at-exit hook: this library registers none. A process that ends without it keeps what the
 * durability level promises (docs/configuration.md, `durability`).
 *
 * Blocks for at most `timeout_ms` milliseconds, but as `scout_flush` says, and returns as that does;
 * `SCOUT_E_BUSY` when another core was being made for all that time: then nothing has ended, and it may
 * be called again. Any thread.
 */
scout_status_t scout_shutdown(scout_core_t core,
                              uint32_t timeout_ms);

/* --------------------------------------------------------------------------
 * Recording: never blocks
 * -------------------------------------------------------------------------- */

/**
 * Gives a string a 32-bit id, to be used in place of the string from then on: cheaper to pass,
 * and cheaper to record. The same string gets the same id. Ids are valid for this handle, in
 * every thread and in forked children.
 *
 * For names that repeat: operations, tag keys. Not for values such as URLs: the table is bounded
 * (16,384 names; then `SCOUT_E_LIMIT`: pass the string itself, that always works).
 * Names are at most 1,024 bytes (`SCOUT_E_TOO_LARGE`) and UTF-8 (else `SCOUT_E_INVALID`).
 *
 * Never blocks; `SCOUT_E_BUSY` if another thread is in the way for long. Any thread.
 */
scout_status_t scout_intern(scout_core_t core,
                            const char *name,
                            size_t name_len,
                            uint32_t *id);

/**
 * The core's clock: Unix time in nanoseconds, never running backwards within a process.
 * Taken from the CPU's invariant time-stamp counter where there is one, else from the system.
 * Returns 0 if the handle is not valid.
 *
 * Never blocks. Any thread.
 */
uint64_t scout_now(scout_core_t core);

/**
 * Begins a span: fills `span` with new ids and the core's time.
 *
 * With a `parent`, the span belongs to its request and lies under it; with NULL it is the root of
 * a new request. `operation_id` is an interned operation, or 0 to name the span at its end
 * (`span->operation_id`, or `span->operation` and `span->operation_len`).
 *
 * All state is in `span`, which is the caller's: copy it, keep it in a fiber or an async task, end
 * it in another thread, or forget it; nothing leaks. `parent` is only read.
 * `span->struct_size` must be set by the caller before the call.
 *
 * Never blocks. Any thread.
 */
scout_status_t scout_span_begin(scout_core_t core,
                                const struct scout_span_t *parent,
                                uint32_t operation_id,
                                struct scout_span_t *span);

/**
 * Ends a span that `scout_span_begin` began, now, and records it with `n_tags` tags.
 *
 * `span->end_ns` is written. The strings it points to are borrowed for this call only.
 * Ending a span twice records it twice; the second is counted as a duplicate.
 *
 * Never blocks. Returns as `scout_record_span` does. Any thread.
 */
scout_status_t scout_span_end(scout_core_t core,
                              struct scout_span_t *span,
                              const struct scout_tag_t *tags,
                              size_t n_tags);

/**
 * Records one completed span. **The hot path**: no lock, no allocation, no system call.
 *
 * `span` and all it points to is borrowed for the call. `SCOUT_OK`: the span is accepted and
 * outlives what the durability level says. `SCOUT_CLAMPED`: accepted, but shortened.
 * `SCOUT_E_DROPPED`: no room, counted. Errors: `SCOUT_E_NULL`, `SCOUT_E_INVALID` (an id is zero
 * or was never interned), `SCOUT_E_HANDLE`, `SCOUT_E_SHUT_DOWN`, `SCOUT_E_BUSY`.
 *
 * Never blocks. Any thread.
 */
scout_status_t scout_record_span(scout_core_t core,
                                 const struct scout_span_t *span);

/**
 * Records many records of any kind, encoded as docs/record-format.md says, one after the other.
 * For runtimes whose calls are dear: one call a request instead of one a span.
 *
 * Writes to `accepted` how many records were accepted; unlike other outputs, also on an error.
 * `SCOUT_E_FORMAT`: the first bad record stopped it, all before it are accepted, and
 * `scout_last_error` says what is wrong and at which byte. `SCOUT_E_DROPPED`: no room for the
 * rest. `bytes` is borrowed for the call. `accepted` may be NULL.
 *
 * Never blocks. Any thread.
 */
scout_status_t scout_record_batch(scout_core_t core,
                                  const uint8_t *bytes,
                                  size_t bytes_len,
                                  size_t *accepted);

/**
 * Tags a whole request: `path`, `user_ip`, `transaction.name` (renames it), `error` (true),
 * `ignore_transaction` (true: it is not counted), `scout.queue_time_ns`, or any context of yours.
 * May come before, between or after the request's spans, but not after its root is complete.
 *
 * Never blocks. Returns as `scout_record_span` does. Any thread.
 */
scout_status_t scout_tag_request(scout_core_t core,
                                 const uint8_t *trace_id,
                                 const struct scout_tag_t *tags,
                                 size_t n_tags);

/**
 * Records an exception, for the error service and, when it belongs to a request, to mark that
 * request as failed.
 *
 * Never blocks. Returns as `scout_record_span` does. Any thread.
 */
scout_status_t scout_record_error(scout_core_t core,
                                  const struct scout_error_t *error);

/**
 * Records one sample of a gauge, taken now, e.g. `Memory/Physical` in MB or `CPU/Utilization` in
 * percent. The name is `Type/name`.
 *
 * Never blocks. Returns as `scout_record_span` does. Any thread.
 */
scout_status_t scout_record_metric(scout_core_t core,
                                   const char *name,
                                   size_t name_len,
                                   double value);

/**
 * Records something about the application as a whole. `scout.metadata` with a JSON object
 * (`language`, `language_version`, `framework`, `libraries`, ...) is the one that every agent
 * sends once at its start. `json` is at most 65,000 bytes of JSON (`SCOUT_E_TOO_LARGE`).
 *
 * Never blocks. Returns as `scout_record_span` does. Any thread.
 */
scout_status_t scout_record_event(scout_core_t core,
                                  const char *kind,
                                  size_t kind_len,
                                  const char *json,
                                  size_t json_len);

/* --------------------------------------------------------------------------
 * Looking inside
 * -------------------------------------------------------------------------- */

/**
 * Copies out the core's counters, as a flat JSON object of numbers: what was recorded, dropped
 * (by cause), clamped, spooled, delivered. The keys: docs/stats.md.
 *
 * Writes up to `capacity` bytes to `buffer` (no NUL) and their number to `len`. If `capacity` is
 * too small: `SCOUT_E_TOO_SMALL`, nothing in `buffer`, the needed number in `len`.
 * `buffer` may be NULL if `capacity` is 0.
 *
 * Does not wait for the background thread. Any thread.
 */
scout_status_t scout_stats(scout_core_t core,
                           char *buffer,
                           size_t capacity,
                           size_t *len);

/**
 * Copies out a report for a person or a support ticket, as JSON: version, configuration with the
 * source of each value (secrets masked), directories and why they were chosen, the last delivery,
 * open requests, counters. Copies as `scout_stats` does.
 *
 * May take milliseconds: looks at files. Any thread.
 */
scout_status_t scout_diagnose(scout_core_t core,
                              char *buffer,
                              size_t capacity,
                              size_t *len);

/**
 * Copies out the oldest log line not yet taken, as a JSON object
 * (`time_ns`, `level`: "error", "warn", "info" or "debug", `message`), and removes it.
 * `SCOUT_EMPTY` when there is none; `*len` is 0 then. Copies as `scout_stats` does; a line that
 * did not fit stays. Lines that nobody takes are overwritten by newer ones, counted.
 *
 * Logs are pulled, never pushed: call it from a timer, or after a flush, and hand the lines to
 * your language's logger. Never blocks. Any thread.
 */
scout_status_t scout_next_log(scout_core_t core,
                              char *buffer,
                              size_t capacity,
                              size_t *len);

/**
 * Copies out what was wrong with the last call that failed on this thread, as one line of text
 * for a person. Empty if none failed. Copies as `scout_stats` does; never changes the message.
 *
 * Never blocks. Any thread: ask on the thread that made the call.
 */
scout_status_t scout_last_error(char *buffer,
                                size_t capacity,
                                size_t *len);

/* --------------------------------------------------------------------------
 * The SQL engine on its own
 * -------------------------------------------------------------------------- */

/**
 * Copies out a statement with every literal replaced by `?`, comments dropped and white space
 * squeezed: UTF-8, safe to store and to show.
 *
 * `dialect` is a database's or an adapter's name ("postgres", "mysql2", "sqlite", ...); NULL or
 * unknown means the strictest reading. Any bytes are accepted; what cannot be read safely
 * becomes `?`. Over 64 KiB only the head is used. Copies as `scout_stats` does. No core is needed.
 *
 * Never blocks; takes a few microseconds a kilobyte at most. Any thread.
 */
scout_status_t scout_sql_sanitize(const char *dialect,
                                  size_t dialect_len,
                                  const char *sql,
                                  size_t sql_len,
                                  char *buffer,
                                  size_t capacity,
                                  size_t *len);

/**
 * Copies out a statement's summary: its verbs and tables in order, e.g. "SELECT users" or
 * "INSERT orders SELECT carts", at most 255 bytes, without literals and of low cardinality
 * (OpenTelemetry's `db.query.summary`). Otherwise as `scout_sql_sanitize`.
 *
 * Never blocks. Any thread.
 */
scout_status_t scout_sql_summarize(const char *dialect,
                                   size_t dialect_len,
                                   const char *sql,
                                   size_t sql_len,
                                   char *buffer,
                                   size_t capacity,
                                   size_t *len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SCOUTCORE_H */
