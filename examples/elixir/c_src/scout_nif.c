/*
 * The shim between the BEAM and libscoutcore: terms in, C calls, terms out. Nothing is decided
 * here.
 *
 * The library is opened at load, from the candidates that Scout.Native names, so that a missing
 * or unfit one is a reason to read (off_reason/0) and not a node that does not boot. Recording is
 * a normal NIF: well under a microsecond. What may wait runs on the dirty I/O schedulers.
 *
 * There are no resources to take over in a hot upgrade: handles are plain integers, and a begun
 * span is a 40-byte binary on its process's own heap.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <erl_nif.h>

#include "scoutcore.h"

/* Every function of the ABI that is used: X(name). */
#define FUNCTIONS(X)                                                                        \
    X(scout_abi_version) X(scout_version) X(scout_status_name) X(scout_start)               \
    X(scout_flush) X(scout_shutdown) X(scout_now) X(scout_span_begin) X(scout_span_end)     \
    X(scout_record_span) X(scout_record_batch) X(scout_tag_request) X(scout_record_error)   \
    X(scout_record_metric) X(scout_record_event) X(scout_stats) X(scout_diagnose)           \
    X(scout_next_log) X(scout_last_error) X(scout_sql_sanitize) X(scout_sql_summarize)

#define MEMBER(name) __typeof__(&name) name;
static struct { FUNCTIONS(MEMBER) } c;

static char off[1024] = "the library was not looked for"; /* empty: it is in use */

enum { MAX_TAGS = 128 };

/* What of a begun span must be kept until its end. */
typedef struct {
    uint8_t trace_id[16];
    uint64_t span_id, parent_id, start_ns;
} kept_span_t;

/* Tags read from a term, with room for the text of atoms. One more than the core keeps: by that
 * it sees that there were more. */
typedef struct {
    scout_tag_t tags[MAX_TAGS + 1];
    size_t count;
    char atoms[2048];
    size_t atoms_len;
} tags_t;

/* ---- terms ---------------------------------------------------------------------------------- */

static ERL_NIF_TERM atom_ok, atom_error, atom_nil, atom_true, atom_false;

static ERL_NIF_TERM text_term(ErlNifEnv *env, const char *text, size_t len)
{
    ERL_NIF_TERM term;
    memcpy(enif_make_new_binary(env, len, &term), text, len);
    return term;
}

/* SCOUT_E_SHUT_DOWN becomes shut_down, SCOUT_SPOOLED spooled. */
static ERL_NIF_TERM status_atom(ErlNifEnv *env, scout_status_t status)
{
    const char *name = c.scout_status_name(status);
    char lower[64];
    size_t len = 0;
    name += strncmp(name, "SCOUT_E_", 8) == 0 ? 8 : 6;
    for (; name[len] && len < sizeof lower - 1; len++)
        lower[len] = name[len] >= 'A' && name[len] <= 'Z' ? (char)(name[len] + 32) : name[len];
    return enif_make_atom_len(env, lower, len);
}

/* ok, clamped, spooled, ...; or {error, {Status, Message}}. The message is asked for here, on the
 * thread that made the call: by the next NIF the process may run on another one. */
static ERL_NIF_TERM answer(ErlNifEnv *env, scout_status_t status)
{
    char message[1024];
    size_t len;
    if (status == SCOUT_OK)
        return atom_ok;
    if (status > 0)
        return status_atom(env, status);
    if (c.scout_last_error(message, sizeof message, &len) != SCOUT_OK)
        len = 0;
    return enif_make_tuple2(
        env, atom_error,
        enif_make_tuple2(env, status_atom(env, status), text_term(env, message, len)));
}

static int get_core(ErlNifEnv *env, ERL_NIF_TERM term, scout_core_t *core)
{
    ErlNifUInt64 handle;
    if (*off || !enif_get_uint64(env, term, &handle))
        return 0;
    *core = handle;
    return 1;
}

static int get_text(ErlNifEnv *env, ERL_NIF_TERM term, const char **text, size_t *len)
{
    ErlNifBinary binary;
    if (!enif_inspect_binary(env, term, &binary))
        return 0;
    *text = (const char *)binary.data;
    *len = binary.size;
    return 1;
}

static int get_kept(ErlNifEnv *env, ERL_NIF_TERM term, kept_span_t *kept)
{
    ErlNifBinary binary;
    if (!enif_inspect_binary(env, term, &binary) || binary.size != sizeof *kept)
        return 0;
    memcpy(kept, binary.data, sizeof *kept);
    return 1;
}

/* A binary, or an atom of ASCII. */
static int get_name(ErlNifEnv *env, ERL_NIF_TERM term, tags_t *into, const char **text, size_t *len)
{
    if (get_text(env, term, text, len))
        return 1;
    char *room = into->atoms + into->atoms_len;
    int taken = enif_get_atom(env, term, room, (unsigned)(sizeof into->atoms - into->atoms_len),
                              ERL_NIF_LATIN1);
    if (taken <= 0)
        return 0;
    for (int i = 0; i < taken - 1; i++)
        if (room[i] & 0x80)
            return 0;
    *text = room;
    *len = (size_t)taken - 1;
    into->atoms_len += (size_t)taken;
    return 1;
}

/* 0: a term that is no key or value of a tag. Scout then makes texts of all, and tries again. */
static int add_tag(ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM value, tags_t *into)
{
    ErlNifSInt64 integer;
    if (enif_is_identical(value, atom_nil) || into->count > MAX_TAGS)
        return 1;
    scout_tag_t *tag = &into->tags[into->count];
    memset(tag, 0, sizeof *tag);
    tag->struct_size = sizeof *tag;
    if (!get_name(env, key, into, &tag->key, &tag->key_len))
        return 0;
    if (enif_is_identical(value, atom_true) || enif_is_identical(value, atom_false)) {
        tag->kind = SCOUT_TAG_BOOL;
        tag->i64 = enif_is_identical(value, atom_true);
    } else if (enif_get_int64(env, value, &integer)) {
        tag->kind = SCOUT_TAG_I64;
        tag->i64 = integer;
    } else if (enif_get_double(env, value, &tag->f64)) {
        tag->kind = SCOUT_TAG_F64;
    } else if (get_name(env, value, into, &tag->str, &tag->str_len)) {
        tag->kind = SCOUT_TAG_STRING;
    } else {
        return 0;
    }
    into->count++;
    return 1;
}

/* A map, or a list of pairs. */
static int get_tags(ErlNifEnv *env, ERL_NIF_TERM term, tags_t *into)
{
    ERL_NIF_TERM head, key, value;
    const ERL_NIF_TERM *pair;
    int arity;
    into->count = into->atoms_len = 0;
    if (enif_is_map(env, term)) {
        ErlNifMapIterator at;
        if (!enif_map_iterator_create(env, term, &at, ERL_NIF_MAP_ITERATOR_FIRST))
            return 0;
        int good = 1;
        while (good && enif_map_iterator_get_pair(env, &at, &key, &value)) {
            good = add_tag(env, key, value, into);
            enif_map_iterator_next(env, &at);
        }
        enif_map_iterator_destroy(env, &at);
        return good;
    }
    while (enif_get_list_cell(env, term, &head, &term))
        if (!enif_get_tuple(env, head, &arity, &pair) || arity != 2 ||
            !add_tag(env, pair[0], pair[1], into))
            return 0;
    return enif_is_empty_list(env, term);
}

static ERL_NIF_TERM bad(ErlNifEnv *env)
{
    return *off ? enif_make_atom(env, "off") : enif_make_atom(env, "badarg");
}

/* ---- recording: normal NIFs ----------------------------------------------------------------- */

#define NIF(name) static ERL_NIF_TERM name(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])

NIF(now)
{
    scout_core_t core;
    (void)argc;
    return get_core(env, argv[0], &core) ? enif_make_uint64(env, c.scout_now(core)) : bad(env);
}

/* (core, parent | nil) -> a begun span, or nil. */
NIF(begin_span)
{
    scout_core_t core;
    kept_span_t kept;
    scout_span_t parent = {.struct_size = sizeof parent}, span = {.struct_size = sizeof span};
    int is_root = enif_is_identical(argv[1], atom_nil);
    (void)argc;
    if (!get_core(env, argv[0], &core) || (!is_root && !get_kept(env, argv[1], &kept)))
        return bad(env);
    if (!is_root) {
        memcpy(parent.trace_id, kept.trace_id, sizeof parent.trace_id);
        parent.span_id = kept.span_id;
    }
    if (c.scout_span_begin(core, is_root ? NULL : &parent, 0, &span) < 0)
        return atom_nil;
    memcpy(kept.trace_id, span.trace_id, sizeof kept.trace_id);
    kept.span_id = span.span_id;
    kept.parent_id = span.parent_id;
    kept.start_ns = span.start_ns;
    return text_term(env, (const char *)&kept, sizeof kept);
}

/* (core, begun span, operation, tags) */
NIF(end_span)
{
    scout_core_t core;
    kept_span_t kept;
    scout_span_t span = {.struct_size = sizeof span};
    tags_t tags;
    (void)argc;
    if (!get_core(env, argv[0], &core) || !get_kept(env, argv[1], &kept) ||
        !get_text(env, argv[2], &span.operation, &span.operation_len) ||
        !get_tags(env, argv[3], &tags))
        return bad(env);
    memcpy(span.trace_id, kept.trace_id, sizeof span.trace_id);
    span.span_id = kept.span_id;
    span.parent_id = kept.parent_id;
    span.start_ns = kept.start_ns;
    return answer(env, c.scout_span_end(core, &span, tags.tags, tags.count));
}

static int get_trace(ErlNifEnv *env, ERL_NIF_TERM term, uint8_t trace_id[16])
{
    ErlNifBinary binary; /* a trace id, or a begun span, which starts with it */
    if (!enif_inspect_binary(env, term, &binary) ||
        (binary.size != 16 && binary.size != sizeof(kept_span_t)))
        return 0;
    memcpy(trace_id, binary.data, 16);
    return 1;
}

/* (core, trace id, span id, parent id, start, end, operation, tags): a completed span */
NIF(record_span)
{
    scout_core_t core;
    scout_span_t span = {.struct_size = sizeof span};
    ErlNifUInt64 id, parent, start, end;
    tags_t tags;
    (void)argc;
    if (!get_core(env, argv[0], &core) || !get_trace(env, argv[1], span.trace_id) ||
        !enif_get_uint64(env, argv[2], &id) || !enif_get_uint64(env, argv[3], &parent) ||
        !enif_get_uint64(env, argv[4], &start) || !enif_get_uint64(env, argv[5], &end) ||
        !get_text(env, argv[6], &span.operation, &span.operation_len) ||
        !get_tags(env, argv[7], &tags))
        return bad(env);
    span.span_id = id;
    span.parent_id = parent;
    span.start_ns = start;
    span.end_ns = end;
    span.tags = tags.tags;
    span.n_tags = tags.count;
    return answer(env, c.scout_record_span(core, &span));
}

/* (core, records) -> {status, accepted} */
NIF(record_batch)
{
    scout_core_t core;
    ErlNifBinary records;
    size_t accepted = 0;
    (void)argc;
    if (!get_core(env, argv[0], &core) || !enif_inspect_binary(env, argv[1], &records))
        return bad(env);
    ERL_NIF_TERM status =
        answer(env, c.scout_record_batch(core, records.data, records.size, &accepted));
    return enif_make_tuple2(env, status, enif_make_uint64(env, accepted));
}

/* (core, trace id | begun span, tags) */
NIF(tag_request)
{
    scout_core_t core;
    uint8_t trace_id[16];
    tags_t tags;
    (void)argc;
    if (!get_core(env, argv[0], &core) || !get_trace(env, argv[1], trace_id) ||
        !get_tags(env, argv[2], &tags))
        return bad(env);
    return answer(env, c.scout_tag_request(core, trace_id, tags.tags, tags.count));
}

/* (core, trace id, span id, time or 0, class, message, backtrace, tags) */
NIF(record_error)
{
    scout_core_t core;
    scout_error_t error = {.struct_size = sizeof error};
    ErlNifUInt64 id, time;
    tags_t tags;
    (void)argc;
    if (!get_core(env, argv[0], &core) || !get_trace(env, argv[1], error.trace_id) ||
        !enif_get_uint64(env, argv[2], &id) || !enif_get_uint64(env, argv[3], &time) ||
        !get_text(env, argv[4], &error.class_name, &error.class_name_len) ||
        !get_text(env, argv[5], &error.message, &error.message_len) ||
        !get_text(env, argv[6], &error.backtrace, &error.backtrace_len) ||
        !get_tags(env, argv[7], &tags))
        return bad(env);
    error.span_id = id;
    error.time_ns = time;
    error.tags = tags.tags;
    error.n_tags = tags.count;
    return answer(env, c.scout_record_error(core, &error));
}

/* (core, name, number) */
NIF(record_metric)
{
    scout_core_t core;
    const char *name;
    size_t len;
    double value;
    ErlNifSInt64 integer;
    (void)argc;
    if (!get_core(env, argv[0], &core) || !get_text(env, argv[1], &name, &len))
        return bad(env);
    if (enif_get_int64(env, argv[2], &integer))
        value = (double)integer;
    else if (!enif_get_double(env, argv[2], &value))
        return bad(env);
    return answer(env, c.scout_record_metric(core, name, len, value));
}

/* (core, kind, json) */
NIF(record_event)
{
    scout_core_t core;
    const char *kind, *json;
    size_t kind_len, json_len;
    (void)argc;
    if (!get_core(env, argv[0], &core) || !get_text(env, argv[1], &kind, &kind_len) ||
        !get_text(env, argv[2], &json, &json_len))
        return bad(env);
    return answer(env, c.scout_record_event(core, kind, kind_len, json, json_len));
}

/* ---- what may wait: dirty I/O schedulers ---------------------------------------------------- */

/* (options as JSON) -> {ok, core} | {error, ...} */
NIF(start)
{
    const char *options;
    size_t len;
    scout_core_t core;
    (void)argc;
    if (*off || !get_text(env, argv[0], &options, &len))
        return bad(env);
    scout_status_t status = c.scout_start(options, len, &core);
    return status < 0 ? answer(env, status)
                      : enif_make_tuple2(env, atom_ok, enif_make_uint64(env, core));
}

NIF(flush)
{
    scout_core_t core;
    unsigned timeout_ms;
    (void)argc;
    if (!get_core(env, argv[0], &core) || !enif_get_uint(env, argv[1], &timeout_ms))
        return bad(env);
    return answer(env, c.scout_flush(core, timeout_ms));
}

NIF(shutdown)
{
    scout_core_t core;
    unsigned timeout_ms;
    (void)argc;
    if (!get_core(env, argv[0], &core) || !enif_get_uint(env, argv[1], &timeout_ms))
        return bad(env);
    return answer(env, c.scout_shutdown(core, timeout_ms));
}

/* ---- what is copied out --------------------------------------------------------------------- */

/* Calls `copy` with a buffer that is large enough, of `first` bytes at first: {ok, binary}, empty,
 * or {error, ...}. */
#define COPIED(first, copy)                                                                    \
    do {                                                                                       \
        ErlNifBinary out;                                                                      \
        size_t len = 0, room = (first);                                                        \
        if (!enif_alloc_binary(room, &out))                                                    \
            return bad(env);                                                                   \
        scout_status_t status;                                                                 \
        while ((status = (copy)) == SCOUT_E_TOO_SMALL) {                                       \
            room = len + 256;                                                                  \
            if (!enif_realloc_binary(&out, room))                                              \
                break;                                                                         \
        }                                                                                      \
        if (status != SCOUT_OK || !enif_realloc_binary(&out, len)) {                           \
            enif_release_binary(&out);                                                         \
            return answer(env, status);                                                        \
        }                                                                                      \
        return enif_make_tuple2(env, atom_ok, enif_make_binary(env, &out));                    \
    } while (0)

NIF(stats)
{
    scout_core_t core;
    (void)argc;
    if (!get_core(env, argv[0], &core))
        return bad(env);
    COPIED(4096, c.scout_stats(core, (char *)out.data, room, &len));
}

NIF(diagnose)
{
    scout_core_t core;
    (void)argc;
    if (!get_core(env, argv[0], &core))
        return bad(env);
    COPIED(4096, c.scout_diagnose(core, (char *)out.data, room, &len));
}

NIF(next_log)
{
    scout_core_t core;
    (void)argc;
    if (!get_core(env, argv[0], &core))
        return bad(env);
    COPIED(4096, c.scout_next_log(core, (char *)out.data, room, &len));
}

/* (dialect, statement). The library uses the first 64 KiB; a statement that is longer goes to a
 * dirty CPU scheduler, and one that is not takes its share of the process's time slice. */
enum { SQL_HEAD = 64 << 10 };

#define SQL_NIF(name, function)                                                                \
    static ERL_NIF_TERM name##_now(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])        \
    {                                                                                          \
        const char *dialect, *sql;                                                             \
        size_t dialect_len, sql_len;                                                           \
        (void)argc;                                                                            \
        if (*off || !get_text(env, argv[0], &dialect, &dialect_len) ||                         \
            !get_text(env, argv[1], &sql, &sql_len))                                           \
            return bad(env);                                                                   \
        COPIED((sql_len < SQL_HEAD ? sql_len : SQL_HEAD) + 64,                                 \
               c.function(dialect, dialect_len, sql, sql_len, (char *)out.data, room, &len));  \
    }                                                                                          \
    NIF(name)                                                                                  \
    {                                                                                          \
        ErlNifBinary sql;                                                                      \
        if (enif_inspect_binary(env, argv[1], &sql)) {                                         \
            if (sql.size > SQL_HEAD)                                                           \
                return enif_schedule_nif(env, #name, ERL_NIF_DIRTY_JOB_CPU_BOUND, name##_now,  \
                                         argc, argv);                                          \
            enif_consume_timeslice(env, 1 + (int)(sql.size >> 10));                            \
        }                                                                                      \
        return name##_now(env, argc, argv);                                                    \
    }

SQL_NIF(sql_sanitize, scout_sql_sanitize)
SQL_NIF(sql_summarize, scout_sql_summarize)

/* nil, or why every function here does nothing. */
NIF(off_reason)
{
    (void)argc;
    (void)argv;
    return *off ? text_term(env, off, strlen(off)) : atom_nil;
}

/* ---- loading -------------------------------------------------------------------------------- */

static void refuse(const char *path, const char *why)
{
    size_t len = strlen(off);
    snprintf(off + len, sizeof off - len, "%s%.300s: %.200s", len ? "; " : "", path, why);
}

/* Opens one candidate; 0, and its reason is in `off`. */
static int open_library(const char *path)
{
    char why[128];
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        refuse(path, dlerror());
        return 0;
    }
    const char *missing = NULL;
    void *symbol;
#define FIND(name)                                                                             \
    if (!missing) {                                                                            \
        symbol = dlsym(library, #name);                                                        \
        memcpy(&c.name, &symbol, sizeof symbol);                                               \
        if (!symbol)                                                                           \
            missing = #name;                                                                   \
    }
    FIND(scout_abi_version) /* first: another ABI may lack the rest */
    if (!missing && c.scout_abi_version() != SCOUT_ABI_VERSION) {
        snprintf(why, sizeof why, "its ABI is %u, this shim's %u", (unsigned)c.scout_abi_version(),
                 (unsigned)SCOUT_ABI_VERSION);
        refuse(path, why);
        return 0;
    }
    FUNCTIONS(FIND)
    if (missing) {
        snprintf(why, sizeof why, "not a scoutcore library (no %s)", missing);
        refuse(path, why);
        return 0;
    }
    return 1;
}

/* `candidates` is a list of binaries. Always loads: without a library, as a no-op with a reason. */
static int load(ErlNifEnv *env, void **private_data, ERL_NIF_TERM candidates)
{
    ERL_NIF_TERM head;
    ErlNifBinary binary;
    char path[4096];
    (void)private_data;
    atom_ok = enif_make_atom(env, "ok");
    atom_error = enif_make_atom(env, "error");
    atom_nil = enif_make_atom(env, "nil");
    atom_true = enif_make_atom(env, "true");
    atom_false = enif_make_atom(env, "false");
    off[0] = '\0';
    while (enif_get_list_cell(env, candidates, &head, &candidates)) {
        if (!enif_inspect_binary(env, head, &binary) || binary.size >= sizeof path)
            continue;
        memcpy(path, binary.data, binary.size);
        path[binary.size] = '\0';
        if (open_library(path)) {
            off[0] = '\0';
            return 0;
        }
    }
    if (!*off)
        refuse("libscoutcore", "no candidates");
    return 0;
}

/* A new version of the module: its own copy of this shim finds the library again. */
static int upgrade(ErlNifEnv *env, void **private_data, void **old_private_data,
                   ERL_NIF_TERM candidates)
{
    (void)old_private_data;
    return load(env, private_data, candidates);
}

static ErlNifFunc functions[] = {
    {"off_reason", 0, off_reason, 0},
    {"start", 1, start, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"flush", 2, flush, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"shutdown", 2, shutdown, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"diagnose", 1, diagnose, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"now", 1, now, 0},
    {"begin_span", 2, begin_span, 0},
    {"end_span", 4, end_span, 0},
    {"record_span", 8, record_span, 0},
    {"record_batch", 2, record_batch, 0},
    {"tag_request", 3, tag_request, 0},
    {"record_error", 8, record_error, 0},
    {"record_metric", 3, record_metric, 0},
    {"record_event", 3, record_event, 0},
    {"stats", 1, stats, 0},
    {"next_log", 1, next_log, 0},
    {"sql_sanitize", 2, sql_sanitize, 0},
    {"sql_summarize", 2, sql_summarize, 0},
};

ERL_NIF_INIT(Elixir.Scout.Native, functions, load, NULL, upgrade, NULL)
