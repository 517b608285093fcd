/*
 * What the library adds to its host's memory.
 *
 *     memory LIBRARY DATA_DIR SPANS_PER_SECOND SECONDS
 *
 * Loads the library, starts a core, and prints what is resident of it, in KiB: as `idle`, and as
 * `busy` while requests of ten spans are recorded at that rate. Anonymous memory, and pages of
 * files: the library's own, and the recorder's, which the system may write back and take away.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <scoutcore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    long anonymous, file;
} resident_t;

static resident_t resident(void)
{
    resident_t now = {0, 0};
    char line[256];
    long kib;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        exit(3);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "RssAnon: %ld", &kib) == 1)
            now.anonymous = kib;
        if (sscanf(line, "RssFile: %ld", &kib) == 1 || sscanf(line, "RssShmem: %ld", &kib) == 1)
            now.file += kib;
    }
    fclose(file);
    return now;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void say(const char *what, resident_t before, long spans, long dropped)
{
    resident_t now = resident();
    printf("%s %ld %ld %ld %ld\n", what, now.anonymous - before.anonymous, now.file - before.file,
           spans, dropped);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 5) return 2;
    long rate = atol(argv[3]), seconds = atol(argv[4]);
    resident_t before = resident();
    void *library = dlopen(argv[1], RTLD_NOW);
    if (!library) return 4;
    __typeof__(&scout_start) start = (__typeof__(start))dlsym(library, "scout_start");
    __typeof__(&scout_now) now = (__typeof__(now))dlsym(library, "scout_now");
    __typeof__(&scout_record_span) record =
        (__typeof__(record))dlsym(library, "scout_record_span");
    __typeof__(&scout_shutdown) shutdown = (__typeof__(shutdown))dlsym(library, "scout_shutdown");
    if (!start || !now || !record || !shutdown) return 4;
    char options[4096];
    int len = snprintf(options, sizeof options, "{\"name\":\"memory\",\"data_dir\":\"%s\"}", argv[2]);
    scout_core_t core;
    if (start(options, (size_t)len, &core) != SCOUT_OK) return 5;
    sleep(2);
    say("idle", before, 0, 0);

    scout_tag_t statement = {.struct_size = sizeof statement, .kind = SCOUT_TAG_STRING,
                             .key = "db.statement", .key_len = 12};
    uint64_t began = now_ns();
    long spans = 0, dropped = 0;
    for (uint64_t request = 1; now_ns() - began < (uint64_t)seconds * 1000000000u; request++) {
        char endpoint[64], sql[128];
        snprintf(endpoint, sizeof endpoint, "Controller/page%d", (int)(request % 200));
        for (int i = 9; i >= 0; i--) {
            scout_span_t span = {.struct_size = sizeof span, .span_id = (uint64_t)i + 1};
            memcpy(span.trace_id, &request, 8);
            span.end_ns = now(core);
            span.start_ns = span.end_ns - 100000;
            if (i) {
                span.parent_id = 1;
                span.operation = "SQL/Query";
                statement.str = sql;
                statement.str_len = (size_t)snprintf(
                    sql, sizeof sql, "SELECT * FROM table%d WHERE id = %d", i, (int)request);
                span.tags = &statement;
                span.n_tags = 1;
            } else {
                span.operation = endpoint;
            }
            span.operation_len = strlen(span.operation);
            scout_status_t status = record(core, &span);
            if (status == SCOUT_OK)
                spans++;
            else
                dropped++;
        }
        /* In step with the rate. */
        uint64_t due = began + request * 10 * 1000000000u / (uint64_t)rate;
        if (now_ns() + 1000000 < due)
            usleep(1000);
    }
    say("busy", before, spans, dropped);
    scout_status_t status = shutdown(core, 20000);
    return status == SCOUT_OK || status == SCOUT_SPOOLED ? 0 : 6;
}
