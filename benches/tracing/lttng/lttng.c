/* LTTng's user-space tracer on the work of ../ours.c.
 *
 *     lttng ROW REQUESTS
 *
 * A span is one event, written at its end: the event's own clock is the end, and the start is read
 * from the same kind of clock before. Names are numbers, as LTTng's users keep them out of events.
 * Prints nanoseconds a span on the recording thread, and of CPU in this process; LTTng's daemons
 * are other processes, whose CPU session.py adds. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "../bursts.h"
#include "span.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void request(uint64_t seed, int attributes)
{
    uint64_t began = clock_ns();
    for (uint64_t i = 1; i <= CHILDREN; i++) {
        uint64_t start = clock_ns();
        if (attributes)
            lttng_ust_tracepoint(bench, span_with_attributes, seed, i + 1, 1, start, 1, "postgresql",
                                 "revalidate");
        else
            lttng_ust_tracepoint(bench, span, seed, i + 1, 1, start, 1);
    }
    lttng_ust_tracepoint(bench, span, seed, 1, 0, began, 2);
}

int main(int argc, char **argv)
{
    long requests, bursts = 0;
    if (argc != 3 || (requests = strtol(argv[2], NULL, 10)) < BURST)
        return 2;
    int attributes = strcmp(argv[1], "lttng+tags") == 0;
    uint64_t *took = calloc((size_t)(requests / BURST + 1), sizeof *took), seed = 0;
    if (!took)
        return 2;
    /* Until every page that is used was touched once. */
    for (long done = 0; done < requests; done += BURST) {
        for (int i = 0; i < BURST; i++)
            request(++seed, attributes);
        usleep(PAUSE_US);
    }
    uint64_t before = cpu_ns();
    for (long done = 0; done < requests; done += BURST) {
        uint64_t start = clock_ns();
        for (int i = 0; i < BURST; i++)
            request(++seed, attributes);
        took[bursts++] = clock_ns() - start;
        usleep(PAUSE_US);
    }
    qsort(took, (size_t)bursts, sizeof *took, by_size);
    printf("%.2f %.2f\n", (double)took[bursts / 2] / (BURST * (CHILDREN + 1)),
           (double)(cpu_ns() - before) / (double)(bursts * BURST * (CHILDREN + 1)));
    return 0;
}
