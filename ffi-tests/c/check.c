/* The helpers that check.h declares. */
#include "check.h"

#include <stdatomic.h>

#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

const char *last_error(void)
{
    static _Thread_local char text[2048];
    size_t len = 0;
    if (scout_last_error(text, sizeof text - 1, &len) != SCOUT_OK)
        len = 0;
    text[len] = '\0';
    return text;
}

scout_status_t start_in(const char *folder, const char *more, scout_core_t *core)
{
    const char *base = getenv("TEST_DIR");
    if (!base)
        FAIL("TEST_DIR is not set");
    char path[512], options[2048];
    snprintf(path, sizeof path, "%s/%s", base, folder);
    mkdir(path, 0700);
    int len = snprintf(options, sizeof options, "{\"name\": \"harness\", \"data_dir\": \"%s\"%s}",
                       path, more ? more : "");
    return scout_start(options, (size_t)len, core);
}

scout_core_t core_in(const char *folder, const char *more)
{
    scout_core_t core = 0;
    STATUS(start_in(folder, more, &core), SCOUT_OK);
    CHECK(core != 0);
    return core;
}

long long stat_of(scout_core_t core, const char *name)
{
    char json[16384], key[128];
    size_t len;
    STATUS(scout_stats(core, json, sizeof json - 1, &len), SCOUT_OK);
    json[len] = '\0';
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key);
    if (!at)
        FAIL("no \"%s\" in the stats: %s", name, json);
    return atoll(at + strlen(key));
}

scout_span_t span_of(const scout_span_t *parent, const char *operation)
{
    scout_span_t span = {
        .struct_size = sizeof span,
        .span_id = random_u64() | 1,
        .start_ns = unix_ns() - 1000000,
        .end_ns = unix_ns(),
        .operation = operation,
        .operation_len = strlen(operation),
    };
    if (parent) {
        memcpy(span.trace_id, parent->trace_id, sizeof span.trace_id);
        span.parent_id = parent->span_id;
    } else {
        uint64_t halves[2] = {random_u64() | 1, random_u64()};
        memcpy(span.trace_id, halves, sizeof span.trace_id);
    }
    return span;
}

scout_status_t record_request(scout_core_t core, const char *operation)
{
    scout_span_t span = span_of(NULL, operation);
    return scout_record_span(core, &span);
}

void expect_requests(const char *operation, long count)
{
    printf("EXPECT %ld request %s\n", count, operation);
    fflush(stdout);
}

scout_tag_t text_tag(const char *key, const char *value)
{
    return (scout_tag_t){.struct_size = sizeof(scout_tag_t), .kind = SCOUT_TAG_STRING,
                         .key = key, .key_len = strlen(key),
                         .str = value, .str_len = strlen(value)};
}

void flushed(scout_core_t core)
{
    scout_status_t status = scout_flush(core, 60000);
    if (status != SCOUT_OK && status != SCOUT_SPOOLED)
        FAIL("flush came to %s (%s)", scout_status_name(status), last_error());
}

atomic_int stop;

void *record_many(void *argument)
{
    job_t *job = argument;
    for (long i = 0; i < job->count; i++) {
        scout_status_t status = record_request(job->core, job->operation);
        if (status == SCOUT_OK)
            job->accepted++;
        else if (status != SCOUT_E_DROPPED && status != SCOUT_E_SHUT_DOWN)
            FAIL("record: %s", scout_status_name(status));
    }
    return NULL;
}

void *record_until_stopped(void *argument)
{
    job_t *job = argument;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        job_t some = {job->core, job->operation, 50, 0};
        record_many(&some);
        job->accepted += some.accepted;
        usleep(1000);
    }
    return NULL;
}

void start_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
    int failed = pthread_create(thread, NULL, run, argument);
    if (failed)
        FAIL("pthread_create: %s", strerror(failed));
}

/* splitmix64 over a state per thread; seeded from the system, so again in each fork and thread.
 * The step is atomic: a signal handler that comes in between must not get the same number, or its
 * request and the interrupted one would be one. */
uint64_t random_u64(void)
{
    static _Thread_local _Atomic uint64_t state;
    static _Thread_local pid_t seeded_in;
    if (seeded_in != getpid()) {
        uint64_t seed;
        if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
            FAIL("no randomness");
        atomic_store(&state, seed);
        seeded_in = getpid();
    }
    uint64_t z = atomic_fetch_add(&state, 0x9E3779B97F4A7C15u) + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint64_t unix_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t elapsed_ms_since(uint64_t began_ns)
{
    return (unix_ns() - began_ns) / 1000000u;
}
