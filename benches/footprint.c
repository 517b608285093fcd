/* What a host pays for having the library in it: memory, threads, wake-ups. One line of JSON.
 *
 *     footprint LIBRARY FOLDER
 *
 * Memory is what the process has more than before the library was loaded, in anonymous and in file
 * pages; wake-ups are the voluntary context switches of the library's threads. */
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "scoutcore.h"

enum { QUIET_SECONDS = 20, LOAD_SECONDS = 5, RATE = 100000, STEP = 1000 };

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void pause_for(double seconds)
{
    struct timespec span = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&span, NULL);
}

/* The number after `key` in a file of /proc, 0 if there is none. */
static long field(const char *path, const char *key)
{
    char line[256];
    long value = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0)
            value = atol(line + strlen(key));
    fclose(file);
    return value;
}

static long resident_kib(void)
{
    return field("/proc/self/status", "VmRSS:");
}

/* Wake-ups of all threads but this one, and how many there are. */
static long wakeups(int *threads)
{
    char path[320];
    long sum = 0;
    *threads = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks)
        return 0;
    for (struct dirent *entry; (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        sum += field(path, "voluntary_ctxt_switches:");
        ++*threads;
    }
    closedir(tasks);
    return sum;
}

static double wakeups_a_second(double seconds)
{
    int threads;
    long before = wakeups(&threads);
    pause_for(seconds);
    return (double)(wakeups(&threads) - before) / seconds;
}

#define LOOK(name) __typeof__(&name) call_##name = (__typeof__(&name))dlsym(object, #name)

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    long bare = resident_kib();
    void *object = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    LOOK(scout_start);
    LOOK(scout_intern);
    LOOK(scout_now);
    LOOK(scout_record_span);
    LOOK(scout_shutdown);
    char options[600];
    snprintf(options, sizeof options, "{\"name\":\"footprint\",\"data_dir\":\"%s\"}", arguments[2]);
    scout_core_t core;
    uint32_t root, query;
    if (call_scout_start(options, strlen(options), &core) != SCOUT_OK)
        return 2;
    call_scout_intern(core, "Controller/users/show", 21, &root);
    call_scout_intern(core, "SQL/Query", 9, &query);

    int threads;
    pause_for(12);
    long idle = resident_kib();
    double silent = wakeups_a_second(QUIET_SECONDS);
    wakeups(&threads);

    /* Requests of ten spans, each query with a statement, at an even rate. */
    scout_tag_t tag = {.struct_size = sizeof tag, .kind = SCOUT_TAG_STRING, .key = "db.statement",
                       .key_len = 12, .str = "SELECT * FROM users WHERE id = 42", .str_len = 33};
    scout_span_t span = {.struct_size = sizeof span};
    long refused = 0, peak = 0;
    double began = now();
    for (long n = 0; n < (long)RATE * LOAD_SECONDS; n++) {
        long request = n / 10 + 1;
        int is_root = n % 10 == 9;
        memcpy(span.trace_id, &request, sizeof request);
        span.span_id = is_root ? 1 : (uint64_t)(n % 10 + 2);
        span.parent_id = is_root ? 0 : 1;
        span.end_ns = call_scout_now(core);
        span.start_ns = span.end_ns - (is_root ? 100000 : 5000);
        span.operation_id = is_root ? root : query;
        span.tags = is_root ? NULL : &tag;
        span.n_tags = is_root ? 0 : 1;
        refused += call_scout_record_span(core, &span) < 0;
        if (n % STEP == STEP - 1) {
            long resident = resident_kib();
            if (resident > peak)
                peak = resident;
            double ahead = began + (double)(n + 1) / RATE - now();
            if (ahead > 0)
                pause_for(ahead);
        }
    }
    /* A span now and then: an application with little to do. The load's haste is over first. */
    int ignored;
    pause_for(4);
    long before = wakeups(&ignored);
    began = now();
    for (int i = 0; i < 10; i++) {
        span.end_ns = call_scout_now(core);
        span.start_ns = span.end_ns - 5000;
        call_scout_record_span(core, &span);
        pause_for(1);
    }
    double seldom = (double)(wakeups(&ignored) - before) / (now() - began);
    printf("{\"idle_kib\":%ld,\"loaded_kib\":%ld,\"threads\":%d,\"refused\":%ld,"
           "\"wakeups_silent\":%.3f,\"wakeups_seldom\":%.3f}\n",
           idle - bare, peak - bare, threads, refused, silent, seldom);
    return call_scout_shutdown(core, 5000) < 0;
}
