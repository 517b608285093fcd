/* Several cores in a process, and unusual ones. */
#include "check.h"

#include <fcntl.h>

static void two_cores(void)
{
    scout_core_t a = core_in("a", NULL), b = core_in("b", NULL);
    uint32_t in_a, in_b, in_b_too;
    STATUS(scout_intern(a, TEXT("Controller/of a"), &in_a), SCOUT_OK);
    STATUS(scout_intern(b, TEXT("Controller/of b"), &in_b), SCOUT_OK);
    STATUS(scout_intern(b, TEXT("Controller/of b too"), &in_b_too), SCOUT_OK);
    for (int i = 0; i < 100; i++) { /* the same thread writes to both, by turns */
        scout_span_t span = span_of(NULL, "");
        span.operation_id = in_a;
        STATUS(scout_record_span(a, &span), SCOUT_OK);
        span = span_of(NULL, "");
        span.operation_id = in_b;
        STATUS(scout_record_span(b, &span), SCOUT_OK);
    }
    scout_status_t status = scout_shutdown(a, 5000);
    CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
    scout_span_t span = span_of(NULL, "");
    span.operation_id = in_b_too;
    STATUS(scout_record_span(b, &span), SCOUT_OK);
    STATUS(scout_record_span(a, &span), SCOUT_E_SHUT_DOWN);
    flushed(b);
    expect_requests("Controller/of a", 100);
    expect_requests("Controller/of b", 100);
    expect_requests("Controller/of b too", 1);
}

/* Two cores of one application, on the same directory: as two processes are. */
static void shared_directory(void)
{
    scout_core_t a = core_in("data", NULL), b = core_in("data", NULL);
    for (int i = 0; i < 50; i++) {
        STATUS(record_request(i % 2 ? a : b, "Controller/in common"), SCOUT_OK);
        if (i % 10 == 9) {
            flushed(a);
            flushed(b);
        }
    }
    scout_status_t status = scout_shutdown(a, 5000);
    CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
    STATUS(record_request(b, "Controller/in common"), SCOUT_OK);
    status = scout_shutdown(b, 5000);
    CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
    expect_requests("Controller/in common", 51);
}

/* What the header promises. */
enum { CORES = 32 };

static void as_many_cores_as_there_may_be(void)
{
    scout_core_t cores[CORES], surplus = UNTOUCHED;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < CORES; i++) {
            char folder[16];
            snprintf(folder, sizeof folder, "data%d", i);
            cores[i] = core_in(folder, NULL);
            STATUS(record_request(cores[i], "Controller/one of many"), SCOUT_OK);
        }
        STATUS(start_in("surplus", NULL, &surplus), SCOUT_E_LIMIT);
        SAME(surplus, UNTOUCHED);
        for (int i = 0; i < CORES; i++) {
            scout_status_t status = scout_shutdown(cores[i], 5000);
            CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
        }
    }
    expect_requests("Controller/one of many", 5 * CORES);
}

static void without_background(void)
{
    scout_core_t core = core_in("data", ", \"background\": false");
    for (int i = 0; i < 100; i++)
        STATUS(record_request(core, "Controller/foreground"), SCOUT_OK);
    flushed(core);
    STATUS(record_request(core, "Controller/foreground"), SCOUT_OK);
    scout_status_t status = scout_shutdown(core, 5000);
    CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
    expect_requests("Controller/foreground", 101);
}

static int descriptors(void)
{
    int open = 0;
    for (int fd = 0; fd < 1024; fd++)
        open += fcntl(fd, F_GETFD) >= 0;
    return open;
}

/* A host that starts a core for each of its jobs does not run out of descriptors. */
static void ended_cores_hold_no_descriptor(void)
{
    int before = 0;
    for (int round = 0; round < 40; round++) {
        scout_core_t core = core_in("data", NULL);
        STATUS(record_request(core, "Controller/again"), SCOUT_OK);
        scout_status_t status = scout_shutdown(core, 5000);
        CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
        if (round == 0)
            before = descriptors();
    }
    SAME(descriptors(), before);
    expect_requests("Controller/again", 40);
}

static void switched_off(void)
{
    scout_core_t core = 0;
    STATUS(start_in("data", ", \"monitor\": false", &core), SCOUT_E_DISABLED);
    STATUS(record_request(core, "Controller/off"), SCOUT_E_HANDLE);
    expect_requests("Controller/off", 0);
}

const test_t core_tests[] = {
    {"two-cores", two_cores},
    {"shared-directory", shared_directory},
    {"as-many-cores-as-there-may-be", as_many_cores_as_there_may_be},
    {"without-background", without_background},
    {"ended-cores-hold-no-descriptor", ended_cores_hold_no_descriptor},
    {"switched-off", switched_off},
    {NULL, NULL},
};
