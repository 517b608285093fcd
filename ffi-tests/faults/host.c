/*
 * A host that records, flushes and shuts down, and says what it was told.
 *
 *     host OPTIONS_JSON NAME PROGRESS_FILE
 *
 * It writes a byte when it is ready, and begins when number GO of PROGRESS_FILE is not 0, so that a
 * tracer attaches to what is ours alone: no call that it could make fail is under way then. Two threads
 * record requests of a root and a child, with a flush halfway. PROGRESS_FILE is a shared mapping,
 * which outlives a kill: of each thread the roots accepted, how scout_start went and how long it took
 * in microseconds, whether the end was reached, what scout_shutdown said, and of each thread the
 * roots that a flush called safe. At 4096, the last stats as JSON.
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

enum { THREADS = 2, REQUESTS = 300, STARTED = 2, MICROSECONDS = 3, ENDED = 4, SHUT_DOWN = 5, FLUSHED = 6, GO = 8, SIZE = 65536 };

static scout_core_t core;
static const char *name;
static volatile uint64_t *progress;

static void span(uint64_t trace, uint64_t id, uint64_t parent, const char *operation, volatile uint64_t *count)
{
    scout_span_t span = {.struct_size = sizeof span, .span_id = id, .parent_id = parent};
    memcpy(span.trace_id, &trace, 8);
    span.end_ns = scout_now(core);
    span.start_ns = span.end_ns > 1000 ? span.end_ns - 1000 : 0;
    span.operation = operation;
    span.operation_len = strlen(operation);
    for (int tries = 0; tries < 2000; tries++) {
        scout_status_t status = scout_record_span(core, &span);
        if (status == SCOUT_OK) {
            if (count) *count += 1;
            return;
        }
        if (status != SCOUT_E_DROPPED) return;
        usleep(1000);
    }
}

static void record(size_t t, uint64_t from, uint64_t to)
{
    char operation[64];
    snprintf(operation, sizeof operation, "Controller/%st%zu", name, t);
    for (uint64_t n = from; n < to; n++) {
        uint64_t trace = ((uint64_t)getpid() << 32) + (t << 24) + n + 1;
        span(trace, 2, 1, "Custom/child", NULL);
        span(trace, 1, 0, operation, &progress[t]);
    }
}

static void *work(void *argument)
{
    size_t t = (size_t)argument;
    record(t, 0, REQUESTS / 2);
    uint64_t before = progress[t];
    scout_status_t status = scout_flush(core, 5000);
    if (status == SCOUT_OK || status == SCOUT_SPOOLED) progress[FLUSHED + t] = before;
    record(t, REQUESTS / 2, REQUESTS);
    return NULL;
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    name = argv[2];
    int file = open(argv[3], O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, SIZE) != 0) return 3;
    progress = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (progress == MAP_FAILED) return 3;
    if (write(1, "r", 1) != 1) return 3;
    while (progress[GO] == 0) usleep(1000);
    uint64_t began = now_us();
    scout_status_t status = scout_start(argv[1], strlen(argv[1]), &core);
    progress[MICROSECONDS] = now_us() - began;
    progress[STARTED] = 1000 + (uint64_t)(int64_t)status;
    pthread_t thread;
    int alone = pthread_create(&thread, NULL, work, (void *)(size_t)1) != 0;
    work((void *)0);
    if (!alone) pthread_join(thread, NULL);
    progress[SHUT_DOWN] = 1000 + (uint64_t)(int64_t)scout_shutdown(core, 10000);
    char *stats = (char *)progress + 4096;
    size_t needed = 0;
    scout_stats(core, stats, SIZE - 4096, &needed);
    progress[ENDED] = 1;
    return 0;
}
