/* How soon a recorded span is analysed, and delivered. One line of JSON.
 *
 *     freshness LIBRARY FOLDER RATE
 *
 * Records requests of ten spans at an even rate until the minute is over, at least twenty seconds,
 * and looks each half millisecond how many records the background thread has drained: these come in
 * the order in which this one thread recorded them. Then waits for the minute's payload. At last
 * flushes, each time with a thousand spans before it. */
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "scoutcore.h"

enum { LEAST_SECONDS = 20, GIVE_UP_SECONDS = 30, MOST = 1 << 16, FLUSHES = 25, FLUSHED = 1000 };
enum { LOOK_US = 500, FILES_US = 1000 };

#define CALLS(X)         \
    X(scout_start)       \
    X(scout_intern)      \
    X(scout_now)         \
    X(scout_record_span) \
    X(scout_flush)       \
    X(scout_stats)       \
    X(scout_shutdown)

static struct {
#define DECLARE(name) __typeof__(&name) name;
    CALLS(DECLARE)
#undef DECLARE
} lib;

struct moment {
    double at;
    long records;
};

static scout_core_t core;
static uint32_t root, query;
static long recorded, refused;
/* Every so many records: when there were that many. */
static struct moment taken[MOST], seen[MOST];
static long n_taken, n_seen;
static atomic_int done;

static double clock_seconds(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double now(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}

static void record(void)
{
    static scout_tag_t tag = {.struct_size = sizeof tag, .kind = SCOUT_TAG_STRING, .key = "db.statement",
                              .key_len = 12, .str = "SELECT * FROM users WHERE id = 42", .str_len = 33};
    static scout_span_t span = {.struct_size = sizeof span};
    static long number;
    long request = number / 10 + 1;
    int is_root = number % 10 == 9;
    memcpy(span.trace_id, &request, sizeof request);
    span.span_id = is_root ? 1 : (uint64_t)(number % 10 + 2);
    span.parent_id = is_root ? 0 : 1;
    span.end_ns = lib.scout_now(core);
    span.start_ns = span.end_ns - (is_root ? 100000 : 5000);
    span.operation_id = is_root ? root : query;
    span.tags = is_root ? NULL : &tag;
    span.n_tags = is_root ? 0 : 1;
    number++;
    if (lib.scout_record_span(core, &span) == SCOUT_OK)
        recorded++;
    else
        refused++;
}

static long drained(void)
{
    char text[8192];
    size_t len;
    if (lib.scout_stats(core, text, sizeof text - 1, &len) != SCOUT_OK)
        return 0;
    text[len] = 0;
    const char *key = "\"records_drained\":", *found = strstr(text, key);
    return found ? atol(found + strlen(key)) : 0;
}

static void *look(void *unused)
{
    long last = 0;
    while (!done && n_seen < MOST) {
        usleep(LOOK_US);
        long records = drained();
        if (records > last)
            seen[n_seen++] = (struct moment){now(), last = records};
    }
    return unused;
}

/* Whether a file of the folder begins and ends so. */
static int there_is(const char *folder, const char *beginning, const char *ending)
{
    int found = 0;
    DIR *files = opendir(folder);
    if (!files)
        return 0;
    for (struct dirent *entry; !found && (entry = readdir(files));) {
        size_t length = strlen(entry->d_name), of = strlen(ending);
        found = length > of && strncmp(entry->d_name, beginning, strlen(beginning)) == 0 &&
                strcmp(entry->d_name + length - of, ending) == 0;
    }
    closedir(files);
    return found;
}

/* Milliseconds until there is such a file, -1 if there is none after all. */
static double until(const char *folder, const char *beginning, const char *ending, double since)
{
    while (!there_is(folder, beginning, ending)) {
        if (now() - since > GIVE_UP_SECONDS)
            return -1;
        usleep(FILES_US);
    }
    return (now() - since) * 1e3;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void show(const char *name, double *values, long n)
{
    qsort(values, (size_t)n, sizeof *values, by_size);
    if (n)
        printf("\"%s\":[%.3f,%.3f,%.3f],", name, values[n / 2], values[n * 99 / 100], values[n - 1]);
}

int main(int count, char **arguments)
{
    if (count < 4)
        return 2;
    void *object = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
#define LOOK(name) lib.name = (__typeof__(lib.name))dlsym(object, #name);
    CALLS(LOOK)
    const char *folder = arguments[2];
    double rate = atof(arguments[3]);
    char options[1200], payloads[512];
    snprintf(payloads, sizeof payloads, "%s/payloads", folder);
    snprintf(options, sizeof options, "{\"name\":\"bench\",\"data_dir\":\"%s/data\",\"destination\":\"file://%s\"}",
             folder, payloads);
    if (lib.scout_start(options, strlen(options), &core) != SCOUT_OK)
        return 2;
    lib.scout_intern(core, "Controller/users/show", 21, &root);
    lib.scout_intern(core, "SQL/Query", 9, &query);

    double into = clock_seconds(CLOCK_REALTIME);
    time_t minute = (time_t)(into / 60.0);
    into -= 60.0 * (double)minute;
    double seconds = 60.0 - into;
    if (seconds < LEAST_SECONDS) {
        seconds += 60.0;
        minute++;
    }
    /* As the payload of this minute is called. */
    char stamp[32];
    time_t start = minute * 60;
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%MZ-", gmtime(&start));
    pthread_t looker;
    if (pthread_create(&looker, NULL, look, NULL))
        return 2;
    double began = now(), end = began + seconds;
    long every = (long)(rate * seconds) / (MOST / 2) + 1;
    for (long n = 1; now() < end - 0.002; n++) {
        record();
        if (n % every == 0 && n_taken < MOST)
            taken[n_taken++] = (struct moment){now(), recorded};
        double ahead = began + (double)n / rate - now();
        if (ahead > 0.0002)
            usleep((useconds_t)(ahead * 1e6));
    }
    double delivered = until(payloads, stamp, ".checkin.json", end);
    done = 1;
    pthread_join(looker, NULL);

    static double delays[MOST];
    long n = 0, at = 0;
    for (long i = 0; i < n_taken; i++) {
        while (at < n_seen && seen[at].records < taken[i].records)
            at++;
        if (at < n_seen)
            delays[n++] = (seen[at].at - taken[i].at) * 1e3;
    }
    double flushes[FLUSHES];
    for (int i = 0; i < FLUSHES; i++) {
        for (int span = 0; span < FLUSHED; span++)
            record();
        double start = now();
        if (lib.scout_flush(core, 10000) != SCOUT_OK)
            return 3;
        flushes[i] = (now() - start) * 1e3;
    }
    printf("{");
    show("drained_ms", delays, n);
    show("flush_ms", flushes, FLUSHES);
    printf("\"delivered_ms\":%.1f,\"seconds\":%.0f,\"recorded\":%ld,\"refused\":%ld}\n", delivered, seconds,
           recorded, refused);
    return lib.scout_shutdown(core, 5000) < 0;
}
