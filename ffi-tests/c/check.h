/*
 * What every test of the C contract uses: checks that say what they saw, a core of its own in a
 * directory of its own, and short ways to make a span.
 *
 * Each test runs in a process of its own (run.py starts `harness NAME`), so that a crash or a hang
 * is that test's alone. $TEST_DIR is an empty directory for its payload files.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scoutcore.h"

#define FAIL(...)                                                    \
    do {                                                             \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);              \
        fprintf(stderr, __VA_ARGS__);                                \
        fprintf(stderr, "\n");                                       \
        exit(1);                                                     \
    } while (0)

#define CHECK(condition)                             \
    do {                                             \
        if (!(condition))                            \
            FAIL("not so: %s", #condition);          \
    } while (0)

/* Compares two integers and prints both. */
#define SAME(got, want)                                                                \
    do {                                                                               \
        long long got_ = (long long)(got), want_ = (long long)(want);                  \
        if (got_ != want_)                                                             \
            FAIL("%s is %lld, not %lld (%s)", #got, got_, want_, #want);               \
    } while (0)

/* Compares a status and prints its name and the core's reason. */
#define STATUS(call, want)                                                             \
    do {                                                                               \
        scout_status_t got_ = (call);                                                  \
        if (got_ != (want))                                                            \
            FAIL("%s came to %s, not %s (%s)", #call, scout_status_name(got_),         \
                 scout_status_name(want), last_error());                               \
    } while (0)

#define REFUSED(call)                                                                  \
    do {                                                                               \
        scout_status_t got_ = (call);                                                  \
        if (got_ >= 0)                                                                 \
            FAIL("%s was not refused: %s", #call, scout_status_name(got_));            \
    } while (0)

#define TEXT(s) (s), strlen(s)

/* A sentinel that no call may overwrite when it fails. */
#define UNTOUCHED 0xA5A5A5A5A5A5A5A5u

/* One test. `run.py` finds them by `harness --list`. */
typedef struct {
    const char *name;
    void (*run)(void);
} test_t;
extern const test_t misuse_tests[], record_tests[], batch_tests[], thread_tests[], core_tests[],
    fork_tests[], signal_tests[], fault_tests[], descriptor_tests[];

/* This thread's last error, as a string that lives until the next call. */
const char *last_error(void);

/* A core that writes payload files under $TEST_DIR/`folder`; more options as `, "key": value`. */
scout_core_t core_in(const char *folder, const char *more);
scout_status_t start_in(const char *folder, const char *more, scout_core_t *core);

/* A counter of scout_stats; fails the test if there is none of that name. */
long long stat_of(scout_core_t core, const char *name);

/* A completed span with a new id: the root of a new request, or under `parent`. */
scout_span_t span_of(const scout_span_t *parent, const char *operation);

/* Records one request of one span. */
scout_status_t record_request(scout_core_t core, const char *operation);

/* Asks run.py to look, after the test, whether the payload files under $TEST_DIR hold exactly
 * this many requests of this endpoint. */
void expect_requests(const char *operation, long count);

scout_tag_t text_tag(const char *key, const char *value);

/* Delivered, or safely on disk. */
void flushed(scout_core_t core);

/* ---- threads that record -------------------------------------------------------------------- */

typedef struct {
    scout_core_t core;
    const char *operation;
    long count;
    long accepted;
} job_t;

/* Set to end `record_until_stopped`, and whatever else runs until then. */
extern atomic_int stop;

/* Thread bodies that take a `job_t`: record `count` requests; or some now and then. */
void *record_many(void *job);
void *record_until_stopped(void *job);

void start_thread(pthread_t *thread, void *(*run)(void *), void *argument);

uint64_t random_u64(void);
uint64_t unix_ns(void);
uint64_t elapsed_ms_since(uint64_t began_ns);

#endif
