/*
 * A host that loads and unloads the library while its thread runs. It is linked so that dlclose
 * leaves it in place; here that is relied upon.
 *
 *     unload libscoutcore.so
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scoutcore.h"

static void *library;

/* One member per function used: `abi.scout_start` is typed as the header declares it. */
static struct {
    __typeof__(&scout_start) scout_start;
    __typeof__(&scout_flush) scout_flush;
    __typeof__(&scout_shutdown) scout_shutdown;
    __typeof__(&scout_span_begin) scout_span_begin;
    __typeof__(&scout_span_end) scout_span_end;
} abi;

static void check(int held, const char *what)
{
    if (!held) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static void find(const char *name, void *into)
{
    void *symbol = dlsym(library, name);
    check(symbol != NULL, name);
    memcpy(into, &symbol, sizeof symbol);
}

static void load(const char *path)
{
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fprintf(stderr, "%s\n", dlerror());
    check(library != NULL, "dlopen");
    find("scout_start", &abi.scout_start);
    find("scout_flush", &abi.scout_flush);
    find("scout_shutdown", &abi.scout_shutdown);
    find("scout_span_begin", &abi.scout_span_begin);
    find("scout_span_end", &abi.scout_span_end);
}

static scout_status_t record(scout_core_t core)
{
    scout_span_t span = {.struct_size = sizeof span};
    abi.scout_span_begin(core, NULL, 0, &span);
    span.operation = "Controller/reloaded";
    span.operation_len = strlen(span.operation);
    return abi.scout_span_end(core, &span, NULL, 0);
}

static void *record_and_end(void *core)
{
    check(record(*(scout_core_t *)core) == SCOUT_OK, "record in a thread");
    return NULL;
}

int main(int argc, char **argv)
{
    check(argc == 2, "usage: unload LIBRARY");
    char options[512];
    snprintf(options, sizeof options, "{\"data_dir\": \"%s/data\"}", getenv("TEST_DIR"));
    load(argv[1]);
    scout_core_t core;
    check(abi.scout_start(options, strlen(options), &core) == SCOUT_OK, "start");
    check(record(core) == SCOUT_OK, "record");

    pthread_t thread; /* its thread-locals are the library's; it ends after the dlclose */
    check(pthread_create(&thread, NULL, record_and_end, &core) == 0, "thread");
    for (int i = 0; i < 200; i++) {
        check(dlclose(library) == 0, "dlclose");
        if (i == 0)
            pthread_join(thread, NULL);
        usleep(500); /* the core's thread would run into unmapped code here */
        load(argv[1]);
        check(record(core) == SCOUT_OK, "the handle outlived the dlclose");
    }
    check(abi.scout_flush(core, 5000) >= 0, "flush");
    check(dlclose(library) == 0, "dlclose");
    usleep(100000);
    load(argv[1]);
    check(abi.scout_shutdown(core, 5000) >= 0, "shutdown");
    check(dlclose(library) == 0, "dlclose");
    printf("EXPECT 202 request Controller/reloaded\n");
    return 0;
}
