/* What a span costs from C through the loaded object: one line of JSON a case and round.
 *
 *     native LIBRARY FOLDER
 *
 * Nanoseconds of a call on the recording threads (wall clock, over all of a round's calls), and CPU
 * of the whole process with the background thread's analysis. The rounds of all cases take turns,
 * so that a busy moment of the machine falls on all of them. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "scoutcore.h"

/* A round's spans of a thread fit into memory, so that none waits for the drain. */
enum { SPANS = 20000, ROUNDS = 25 };

static __typeof__(&scout_record_span) record_span;
static __typeof__(&scout_span_begin) span_begin;
static __typeof__(&scout_span_end) span_end;
static __typeof__(&scout_now) core_now;

typedef enum { INTERNED, COPIED, BEGIN_END } path_t;

typedef struct {
    const char *name;
    path_t path;
    int threads;
    int in_memory;
} case_t;

static const case_t cases[] = {
    {"scout_record_span, interned, crash-safe, 1 thread", INTERNED, 1, 0},
    {"scout_record_span, interned, in memory, 1 thread", INTERNED, 1, 1},
    {"scout_record_span, interned, crash-safe, 2 threads", INTERNED, 2, 0},
    {"scout_record_span, copied name and 2 tags, crash-safe, 1 thread", COPIED, 1, 0},
    {"scout_span_begin + end, crash-safe, 1 thread", BEGIN_END, 1, 0},
    {"scout_span_begin + end, crash-safe, 2 threads", BEGIN_END, 2, 0},
};
enum { CASES = sizeof cases / sizeof cases[0] };

typedef struct {
    scout_core_t core;
    uint32_t operation;
    path_t path;
    pthread_barrier_t *barrier;
    long refused;
    double nanos;
} job_t;

static double seconds(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void *work(void *argument)
{
    job_t *job = argument;
    scout_tag_t tags[2] = {
        {.struct_size = sizeof tags[0], .kind = SCOUT_TAG_STRING, .key = "db.system", .key_len = 9,
         .str = "postgresql", .str_len = 10},
        {.struct_size = sizeof tags[0], .kind = SCOUT_TAG_I64, .key = "db.rows", .key_len = 7, .i64 = 7},
    };
    scout_span_t root = {.struct_size = sizeof root}, span = {.struct_size = sizeof span};
    span_begin(job->core, NULL, 0, &root);
    span = root;
    span.parent_id = root.span_id;
    span.start_ns = core_now(job->core);
    span.end_ns = span.start_ns + 1000;
    if (job->path == COPIED) {
        span.operation = "Template/users/_list";
        span.operation_len = 20;
        span.tags = tags;
        span.n_tags = 2;
    } else {
        span.operation_id = job->operation;
    }
    long refused = 0;
    pthread_barrier_wait(job->barrier);
    double began = seconds(CLOCK_MONOTONIC);
    if (job->path == BEGIN_END) {
        for (int i = 0; i < SPANS; i++) {
            scout_span_t own = {.struct_size = sizeof own};
            refused += span_begin(job->core, &root, job->operation, &own) < 0;
            refused += span_end(job->core, &own, NULL, 0) < 0;
        }
    } else {
        for (int i = 0; i < SPANS; i++) {
            span.span_id = (uint64_t)i + 2;
            refused += record_span(job->core, &span) < 0;
        }
    }
    job->nanos = (seconds(CLOCK_MONOTONIC) - began) * 1e9 / SPANS;
    job->refused = refused;
    root.operation = "Controller/users/show";
    root.operation_len = 21;
    span_end(job->core, &root, NULL, 0);
    return NULL;
}

#define LOOK(name) __typeof__(&name) call_##name = (__typeof__(&name))dlsym(object, #name)

int main(int count, char **arguments)
{
    void *object = count > 2 ? dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!object)
        return 2;
    LOOK(scout_start);
    LOOK(scout_intern);
    LOOK(scout_flush);
    LOOK(scout_shutdown);
    record_span = (__typeof__(record_span))dlsym(object, "scout_record_span");
    span_begin = (__typeof__(span_begin))dlsym(object, "scout_span_begin");
    span_end = (__typeof__(span_end))dlsym(object, "scout_span_end");
    core_now = (__typeof__(core_now))dlsym(object, "scout_now");

    scout_core_t cores[2];
    uint32_t operations[2];
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        char options[900];
        /* Where there can be no directory, records are in memory. */
        snprintf(options, sizeof options,
                 "{\"name\":\"bench\",\"data_dir\":\"%s\",\"destination\":\"file://%s/payloads\","
                 "\"recorder_memory_mib\":64}",
                 in_memory ? "/dev/null/none" : arguments[2], arguments[2]);
        if (call_scout_start(options, strlen(options), &cores[in_memory]) != SCOUT_OK)
            return 2;
        call_scout_intern(cores[in_memory], "Template/Render", 15, &operations[in_memory]);
    }
    for (int round = -1; round < ROUNDS; round++) {
        for (int at = 0; at < CASES; at++) {
            const case_t *now = &cases[at];
            pthread_barrier_t barrier;
            pthread_barrier_init(&barrier, NULL, (unsigned)now->threads);
            pthread_t threads[2];
            job_t jobs[2];
            double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
            for (int t = 0; t < now->threads; t++) {
                jobs[t] = (job_t){cores[now->in_memory], operations[now->in_memory], now->path, &barrier, 0, 0};
                pthread_create(&threads[t], NULL, work, &jobs[t]);
            }
            double nanos = 0;
            long refused = 0;
            for (int t = 0; t < now->threads; t++) {
                pthread_join(threads[t], NULL);
                nanos += jobs[t].nanos / now->threads;
                refused += jobs[t].refused;
            }
            /* All of it is analysed before the next case begins, and counts here. */
            call_scout_flush(cores[now->in_memory], 10000);
            cpu = (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e9 / SPANS / now->threads;
            if (round >= 0)
                printf("{\"row\":\"%s\",\"nanos\":%.2f,\"cpu\":%.1f,\"refused\":%ld}\n", now->name, nanos, cpu,
                       refused);
        }
    }
    return call_scout_shutdown(cores[0], 5000) < 0 || call_scout_shutdown(cores[1], 5000) < 0;
}
