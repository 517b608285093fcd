/*
 * A tracing helper for C programs, to copy and adapt: scopes that nest by themselves, tags in one
 * line, and nothing to check. The whole state of a scope lies on the caller's stack.
 *
 *     trace_open("{\"name\":\"Shop\"}");
 *     trace_scope_t request;
 *     trace_enter(&request, "Controller/orders/show");
 *         trace_scope_t query;
 *         trace_enter(&query, "SQL/Query");
 *         ...
 *         trace_leave(&query, &(scout_tag_t)TRACE_TEXT("db.statement", sql), 1);
 *     trace_leave(&request, NULL, 0);
 *     trace_close(2000);
 *
 * If the core cannot be started (trace_open says why), every call does nothing: the handle is 0
 * then, and the library answers each call with SCOUT_E_HANDLE.
 *
 * | call                                | may wait                                       |
 * |-------------------------------------|------------------------------------------------|
 * | trace_enter, trace_leave, and all   | never                                          |
 * | scout_... calls but those below     |                                                |
 * | trace_open, scout_diagnose          | milliseconds: a directory, a thread            |
 * | scout_flush, trace_close            | to its timeout: not in an event loop's thread  |
 */
#ifndef SCOUT_TRACE_H
#define SCOUT_TRACE_H

#include <stdio.h>
#include <string.h>

#include "scoutcore.h"

/* Tags, as initialisers: scout_tag_t tags[] = {TRACE_TEXT("url", url), TRACE_INT("rows", n)}; */
#define TRACE_TEXT(k, v) \
    {.struct_size = sizeof(scout_tag_t), .kind = SCOUT_TAG_STRING, \
     .key = (k), .key_len = strlen(k), .str = (v), .str_len = strlen(v)}
#define TRACE_INT(k, v) \
    {.struct_size = sizeof(scout_tag_t), .kind = SCOUT_TAG_I64, \
     .key = (k), .key_len = strlen(k), .i64 = (v)}
#define TRACE_TRUE(k) \
    {.struct_size = sizeof(scout_tag_t), .kind = SCOUT_TAG_BOOL, \
     .key = (k), .key_len = strlen(k), .i64 = 1}

typedef struct trace_scope {
    scout_span_t span;
    struct trace_scope *parent;
} trace_scope_t;

static scout_core_t trace_core;
/* The innermost open scope of this thread. To continue a request in another thread, point that
 * thread's `trace_current` at the scope that is open in this one. */
static _Thread_local trace_scope_t *trace_current;

/* Starts recording; on failure says why on stderr, and everything below does nothing. */
static inline int trace_open(const char *options)
{
    if (scout_abi_version() != SCOUT_ABI_VERSION) {
        fprintf(stderr, "scoutcore is off: the library's ABI is %u, this program's %u\n",
                (unsigned)scout_abi_version(), (unsigned)SCOUT_ABI_VERSION);
        return 0;
    }
    scout_status_t status = scout_start(options, options ? strlen(options) : 0, &trace_core);
    if (status < 0) {
        char why[512];
        size_t len = 0;
        if (scout_last_error(why, sizeof why, &len) != SCOUT_OK)
            len = 0;
        fprintf(stderr, "scoutcore is off: %s: %.*s\n", scout_status_name(status), (int)len, why);
        return 0;
    }
    return 1;
}

/* `operation` must live until trace_leave: it is read there. */
static inline void trace_enter(trace_scope_t *scope, const char *operation)
{
    memset(scope, 0, sizeof *scope);
    scope->parent = trace_current;
    scope->span.struct_size = sizeof scope->span;
    scout_span_begin(trace_core, scope->parent ? &scope->parent->span : NULL, 0, &scope->span);
    scope->span.operation = operation;
    scope->span.operation_len = strlen(operation);
    trace_current = scope;
}

static inline void trace_leave(trace_scope_t *scope, const scout_tag_t *tags, size_t n_tags)
{
    trace_current = scope->parent;
    scout_span_end(trace_core, &scope->span, tags, n_tags);
}

/* Tags the current request: "path", "user_ip", "transaction.name", or any context. */
static inline void trace_tag_request(const char *key, const char *value)
{
    scout_tag_t tag = TRACE_TEXT(key, value);
    if (trace_current)
        scout_tag_request(trace_core, trace_current->span.trace_id, &tag, 1);
}

/* Records a failure of the current request. */
static inline void trace_error(const char *class_name, const char *message)
{
    scout_error_t error = {
        .struct_size = sizeof error,
        .class_name = class_name,
        .class_name_len = strlen(class_name),
        .message = message,
        .message_len = strlen(message),
    };
    if (trace_current) {
        memcpy(error.trace_id, trace_current->span.trace_id, sizeof error.trace_id);
        error.span_id = trace_current->span.span_id;
    }
    scout_record_error(trace_core, &error);
}

/* Prints what the core has to say, as JSON lines. */
static inline void trace_print_log(FILE *to)
{
    char line[2048];
    size_t len;
    while (scout_next_log(trace_core, line, sizeof line, &len) == SCOUT_OK)
        fprintf(to, "%.*s\n", (int)len, line);
}

static inline void trace_close(uint32_t timeout_ms)
{
    scout_shutdown(trace_core, timeout_ms);
    trace_core = 0;
}

#endif
