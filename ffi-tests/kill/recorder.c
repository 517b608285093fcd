/*
 * Records requests as fast as it can, on several threads, until it is killed.
 *
 *     recorder DATA_DIR NAME THREADS PROGRESS_FILE
 *
 * Each thread t records requests "Controller/<NAME>t<t>" of one root and three SQL spans, and
 * counts in PROGRESS_FILE (a shared mapping: it survives the kill as the library's own must)
 * what had returned SCOUT_OK: slot 2t roots, slot 2t + 1 SQL spans. Requests of thread 0 stay open
 * for a while, so that checkpoints find open requests.
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
#include <unistd.h>

static scout_core_t core;
static const char *name;
static volatile uint64_t *progress;

static uint64_t random_id(unsigned *seed)
{
    return ((uint64_t)rand_r(seed) << 33 ^ (uint64_t)rand_r(seed) << 11 ^ (uint64_t)rand_r(seed)) | 1;
}

static void span(uint8_t trace[16], uint64_t id, uint64_t parent, const char *operation,
                 volatile uint64_t *count)
{
    scout_span_t span = {.struct_size = sizeof span, .span_id = id, .parent_id = parent};
    memcpy(span.trace_id, trace, 16);
    span.end_ns = scout_now(core);
    span.start_ns = span.end_ns - 1000;
    span.operation = operation;
    span.operation_len = strlen(operation);
    scout_tag_t sql = {.struct_size = sizeof sql, .kind = SCOUT_TAG_STRING, .key = "db.statement",
                       .key_len = 12, .str = "SELECT * FROM users WHERE id = 7", .str_len = 32};
    if (parent) {
        span.tags = &sql;
        span.n_tags = 1;
    }
    for (;;) {
        scout_status_t status = scout_record_span(core, &span);
        if (status == SCOUT_OK) {
            *count += 1;
            return;
        }
        if (status != SCOUT_E_DROPPED) _exit(7);
        usleep(1000); /* not accepted: try again, so that no request lacks its root */
    }
}

static void *work(void *argument)
{
    size_t t = (size_t)argument;
    unsigned seed = (unsigned)getpid() * 31 + (unsigned)t;
    char operation[64];
    snprintf(operation, sizeof operation, "Controller/%st%zu", name, t);
    for (;;) {
        uint8_t trace[16];
        for (int i = 0; i < 2; i++) {
            uint64_t half = random_id(&seed);
            memcpy(trace + 8 * i, &half, 8);
        }
        uint64_t root = random_id(&seed);
        for (int i = 0; i < 3; i++) {
            span(trace, random_id(&seed), root, "SQL/Query", &progress[2 * t + 1]);
            if (t == 0) usleep(2000);
        }
        span(trace, root, 0, operation, &progress[2 * t]);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 5) return 2;
    name = argv[2];
    int threads = atoi(argv[3]);
    int file = open(argv[4], O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, 4096) != 0) return 3;
    progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (progress == MAP_FAILED) return 3;
    char options[4096];
    /* Little memory: a checkpoint every few milliseconds. */
    int len = snprintf(options, sizeof options,
                       "{\"data_dir\":\"%s\",\"name\":\"kill\",\"recorder_memory_mib\":1}", argv[1]);
    if (scout_start(options, (size_t)len, &core) != SCOUT_OK) return 4;
    for (int t = 1; t < threads; t++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, (void *)(size_t)t) != 0) return 5;
    }
    work((void *)0);
    return 0;
}
