/* What the drivers of the hot paths share: the shipped object, loaded as a language agent loads it,
 * and the work that is measured. */
#ifndef HOT_H
#define HOT_H

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scoutcore.h"

#define CALLS(X)          \
    X(scout_start)        \
    X(scout_intern)       \
    X(scout_now)          \
    X(scout_span_begin)   \
    X(scout_span_end)     \
    X(scout_record_span)  \
    X(scout_record_batch) \
    X(scout_flush)        \
    X(scout_shutdown)     \
    X(scout_sql_sanitize) \
    X(scout_last_error)

static struct {
#define DECLARE(name) __typeof__(&name) name;
    CALLS(DECLARE)
#undef DECLARE
} lib;

static scout_core_t core;
static uint32_t operation_id, root_id;

static void die(const char *what)
{
    char text[600] = "";
    size_t len = 0;
    if (lib.scout_last_error)
        lib.scout_last_error(text, sizeof text - 1, &len);
    fprintf(stderr, "%s: %s\n", what, text);
    exit(2);
}

static void load(const char *path)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
#define LOOK(name)                                         \
    lib.name = (__typeof__(lib.name))dlsym(object, #name); \
    if (!lib.name)                                         \
        die(#name);
    CALLS(LOOK)
#undef LOOK
}

static void start(const char *options)
{
    if (lib.scout_start(options, strlen(options), &core) != SCOUT_OK)
        die("scout_start");
    if (lib.scout_intern(core, "SQL/Query", 9, &operation_id) != SCOUT_OK ||
        lib.scout_intern(core, "Controller/users/show", 21, &root_id) != SCOUT_OK)
        die("scout_intern");
}

static void expect_ok(scout_status_t status, const char *what)
{
    if (status != SCOUT_OK)
        die(what);
}

/* A child of request `request`: spans of one request lie together, as an application's do. */
static void identify(scout_span_t *span, uint64_t request, uint64_t n)
{
    memcpy(span->trace_id, &request, 8);
    span->trace_id[15] = 1;
    span->span_id = n + 1;
    span->parent_id = n % 16 == 15 ? 0 : (n | 15) + 1;
}

static void text_tag(scout_tag_t *tag, const char *key, const char *value)
{
    memset(tag, 0, sizeof *tag);
    tag->struct_size = sizeof *tag;
    tag->kind = SCOUT_TAG_STRING;
    tag->key = key;
    tag->key_len = strlen(key);
    tag->str = value;
    tag->str_len = strlen(value);
}

/* 20 bytes and two tags, of which nothing is interned: 60 bytes are copied. */
static void copied(scout_span_t *span, scout_tag_t tags[2])
{
    text_tag(&tags[0], "db.system", "postgresql");
    text_tag(&tags[1], "cache.result", "revalidate");
    span->operation = "Controller/users/set";
    span->operation_len = 20;
    span->tags = tags;
    span->n_tags = 2;
}

static scout_span_t blank(void)
{
    scout_span_t span;
    memset(&span, 0, sizeof span);
    span.struct_size = sizeof span;
    return span;
}

/* One record of a batch, as docs/record-format.md has it: a span with an interned name. */
static void encode(unsigned char *to, const scout_span_t *span)
{
    memset(to, 0, 64);
    to[0] = 64;
    to[4] = 1;
    to[5] = 1;
    memcpy(to + 8, span->trace_id, 48);
    memcpy(to + 56, &span->operation_id, 4);
}

#endif
