/*
 * A host that records, flushes and shuts down, and says what it was told.
 *
 *     host OPTIONS_JSON NAME PROGRESS_FILE THREADS REQUESTS [leave]
 *
 * It writes a byte when it is ready, and begins when `go` of PROGRESS_FILE is not 0, so that a tracer
 * attaches to what is ours alone: no call that it could make fail is under way then. Its threads
 * record requests of a root and a child, with a flush halfway, flush, and a
 * few more. PROGRESS_FILE is a shared mapping,
 * which outlives a kill: `struct progress`, and at 4096 the last stats as JSON. Every call is counted
 * before it is made and again when it was accepted. With `leave` it ends without a shutdown.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <scoutcore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MOST_THREADS = 2, TAIL = 20, SIZE = 65536, STATS = 4096 };

struct count {
    uint64_t attempted, accepted;
};

/* run.py reads it as 64-bit numbers in this order. */
struct progress {
    uint64_t go;
    uint64_t started;   /* 1000 + what scout_start said */
    uint64_t shut_down; /* 1000 + what scout_shutdown said */
    uint64_t ended;
    uint64_t start_us;     /* from before scout_start until the first span is in */
    uint64_t start_own_us; /* of it, what was not spent waiting for a processor */
    uint64_t dropped;      /* calls that said SCOUT_E_DROPPED */
    uint64_t refused;      /* calls that said anything else but SCOUT_OK */
    uint64_t tail;         /* spans accepted after the stats */
    uint64_t lost;         /* spans that were in memory alone when the shutdown ended */
    uint64_t settled;      /* 1000 + what the flush before the stats said */
    struct {
        struct count roots, children;
        uint64_t flushed; /* roots that a flush called safe */
    } threads[MOST_THREADS];
};

/* Of the preloaded shim, if there is one: calls count from here on. */
extern void shim_arm(void) __attribute__((weak));

static scout_core_t core;
static const char *name;
static volatile struct progress *progress;
static uint64_t requests;
static struct timespec began;
static uint64_t waited;

static uint64_t waited_for_a_processor_ns(void)
{
    unsigned long long ran = 0, waiting = 0;
    FILE *file = fopen("/proc/thread-self/schedstat", "r");
    if (!file) return 0;
    int read = fscanf(file, "%llu %llu", &ran, &waiting);
    fclose(file);
    return read == 2 ? waiting : 0;
}

static void note_start(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t took = (now.tv_sec - began.tv_sec) * 1000000000LL + now.tv_nsec - began.tv_nsec;
    progress->start_us = (uint64_t)took / 1000;
    /* A file more to read: not where a fault is under way. */
    if (requests == 1) took -= (int64_t)(waited_for_a_processor_ns() - waited);
    progress->start_own_us = took > 0 ? (uint64_t)took / 1000 : 0;
}

static void span(uint64_t trace, uint64_t id, uint64_t parent, const char *operation, volatile struct count *count)
{
    scout_span_t span = {.struct_size = sizeof span, .span_id = id, .parent_id = parent};
    memcpy(span.trace_id, &trace, 8);
    span.end_ns = scout_now(core);
    span.start_ns = span.end_ns > 1000 ? span.end_ns - 1000 : 0;
    span.operation = operation;
    span.operation_len = strlen(operation);
    count->attempted++;
    for (int tries = 0; tries < 2000; tries++) {
        scout_status_t status = scout_record_span(core, &span);
        if (status == SCOUT_OK) {
            count->accepted++;
            return;
        }
        if (status != SCOUT_E_DROPPED) {
            __atomic_fetch_add(&progress->refused, 1, __ATOMIC_RELAXED);
            return;
        }
        __atomic_fetch_add(&progress->dropped, 1, __ATOMIC_RELAXED);
        usleep(1000);
    }
}

static void record(size_t t, uint64_t from, uint64_t to)
{
    char operation[64];
    snprintf(operation, sizeof operation, "Controller/%st%zu", name, t);
    for (uint64_t n = from; n < to; n++) {
        uint64_t trace = ((uint64_t)getpid() << 32) + (t << 24) + n + 1;
        span(trace, 2, 1, "Custom/child", &progress->threads[t].children);
        if (t == 0 && n == 0) note_start();
        span(trace, 1, 0, operation, &progress->threads[t].roots);
    }
}

static void *work(void *argument)
{
    size_t t = (size_t)argument;
    record(t, 0, requests / 2);
    if (requests > 1) {
        uint64_t before = progress->threads[t].roots.accepted;
        scout_status_t status = scout_flush(core, 5000);
        if (status == SCOUT_OK || status == SCOUT_SPOOLED) progress->threads[t].flushed = before;
    }
    record(t, requests / 2, requests);
    return NULL;
}

static uint64_t accepted(size_t t)
{
    return progress->threads[t].roots.accepted + progress->threads[t].children.accepted;
}

/* From "neither delivered nor on disk: 42 spans are in memory alone". */
static uint64_t said_lost(void)
{
    char said[200] = "";
    size_t len = 0;
    scout_last_error(said, sizeof said - 1, &len);
    const char *number = strchr(said, ':');
    return number ? strtoull(number + 1, NULL, 10) : 0;
}

int main(int argc, char **argv)
{
    if (argc < 6) return 2;
    name = argv[2];
    int threads = atoi(argv[4]);
    requests = (uint64_t)atoi(argv[5]);
    int file = open(argv[3], O_RDWR | O_CREAT, 0600);
    if (threads > MOST_THREADS || file < 0 || ftruncate(file, SIZE) != 0) return 3;
    progress = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (progress == MAP_FAILED) return 3;
    if (requests == 1) waited = waited_for_a_processor_ns();
    if (write(1, "r", 1) != 1) return 3;
    while (progress->go == 0) usleep(1000);
    if (shim_arm) shim_arm();
    if (requests == 1) waited = waited_for_a_processor_ns();
    clock_gettime(CLOCK_MONOTONIC, &began);
    progress->started = 1000 + (uint64_t)(int64_t)scout_start(argv[1], strlen(argv[1]), &core);
    pthread_t thread;
    int second = threads > 1 && pthread_create(&thread, NULL, work, (void *)(size_t)1) == 0;
    work((void *)0);
    if (second) pthread_join(thread, NULL);
    if (argc > 6) _exit(0);
    progress->settled = 1000 + (uint64_t)(int64_t)scout_flush(core, 10000);
    size_t needed = 0;
    scout_stats(core, (char *)progress + STATS, SIZE - STATS, &needed);
    uint64_t before = accepted(0);
    record(0, requests, requests + TAIL);
    progress->tail = accepted(0) - before;
    progress->shut_down = 1000 + (uint64_t)(int64_t)scout_shutdown(core, 10000);
    if (progress->shut_down == 1000 + (uint64_t)(int64_t)SCOUT_E_UNDELIVERED) progress->lost = said_lost();
    progress->ended = 1;
    return 0;
}
