/* Faults of our own are contained; those of the machine are said, and cost nothing that can be kept. */
#include "check.h"

#include <sys/resource.h>

static void panic_in_record(void)
{
    scout_core_t core = core_in("data", ", \"test_panic\": \"record\"");
    STATUS(record_request(core, "Controller/panic"), SCOUT_E_PANIC);
    CHECK(*last_error());
    CHECK(stat_of(core, "panics_contained") >= 1);
    scout_status_t status = scout_shutdown(core, 2000); /* the host lives on */
    CHECK(status != SCOUT_E_PANIC);
    scout_core_t healthy = core_in("healthy", NULL);
    STATUS(record_request(healthy, "Controller/healthy"), SCOUT_OK);
    flushed(healthy);
    expect_requests("Controller/healthy", 1);
}

static void panic_in_worker(void)
{
    scout_core_t core = core_in("data", ", \"test_panic\": \"worker\"");
    for (int i = 0; i < 10; i++)
        record_request(core, "Controller/panic");
    scout_flush(core, 2000);
    CHECK(stat_of(core, "panics_contained") >= 1);
    scout_shutdown(core, 2000);
    scout_core_t healthy = core_in("healthy", NULL);
    STATUS(record_request(healthy, "Controller/healthy"), SCOUT_OK);
    flushed(healthy);
    expect_requests("Controller/healthy", 1);
}

/* No directory to be had: nothing is claimed to be delivered, or to be on disk. */
static void no_directory(void)
{
    char file[512], more[600];
    snprintf(file, sizeof file, "%s/file", getenv("TEST_DIR"));
    fclose(fopen(file, "w"));
    snprintf(more, sizeof more, "{\"data_dir\": \"%s\"}", file);
    scout_core_t core;
    STATUS(scout_start(TEXT(more), &core), SCOUT_OK);
    STATUS(record_request(core, "Controller/nowhere"), SCOUT_OK);
    STATUS(scout_flush(core, 2000), SCOUT_E_UNDELIVERED);
    STATUS(scout_shutdown(core, 2000), SCOUT_E_UNDELIVERED);
}

/* No descriptor to be had for a while: nothing is claimed then, and nothing is lost. */
static void no_descriptors(void)
{
    scout_core_t core = core_in("data", NULL);
    STATUS(record_request(core, "Controller/descriptors"), SCOUT_OK);
    flushed(core);
    struct rlimit before, none;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = before;
    none.rlim_cur = 3;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    STATUS(record_request(core, "Controller/descriptors"), SCOUT_OK);
    STATUS(scout_flush(core, 1000), SCOUT_E_UNDELIVERED);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    flushed(core);
    expect_requests("Controller/descriptors", 2);
}

const test_t fault_tests[] = {
    {"panic-in-record", panic_in_record},
    {"panic-in-worker", panic_in_worker},
    {"no-directory", no_directory},
    {"no-descriptors", no_descriptors},
    {NULL, NULL},
};
