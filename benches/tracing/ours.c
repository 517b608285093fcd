/* What recording costs natively, through the loaded object, as run.py runs it:
 *
 *     ours LIBRARY OPTIONS ROW REQUESTS THREADS
 *
 * Prints nanoseconds a span on the recording threads (in the middle one of all bursts, and of the
 * slower thread), nanoseconds of CPU a span
 * in the whole process, our background thread and its analysis included, and how many spans were
 * not accepted. */
#include "bursts.h"
#include "hot.h"

#include <pthread.h>
#include <unistd.h>

enum { MAX_THREADS = 8 };

static void (*request)(uint64_t seed);
static long requests;
static __thread long refused;

static void count(scout_status_t status)
{
    if (status != SCOUT_OK)
        refused++;
}

static uint64_t epoch;

/* The caller has the timestamps: what the call alone costs. */
static void record(uint64_t seed, scout_span_t span)
{
    memcpy(span.trace_id, &seed, 8);
    span.trace_id[15] = 1;
    span.start_ns = epoch;
    for (uint64_t i = 1; i <= CHILDREN; i++) {
        span.span_id = i + 1;
        span.parent_id = 1;
        span.end_ns = span.start_ns + 800;
        count(lib.scout_record_span(core, &span));
        span.start_ns += 1000;
    }
    span.operation_id = root_id;
    span.span_id = 1;
    span.parent_id = 0;
    span.start_ns = epoch;
    span.end_ns = epoch + 20000;
    span.n_tags = 0;
    count(lib.scout_record_span(core, &span));
}

static void interned(uint64_t seed)
{
    scout_span_t span = blank();
    span.operation_id = operation_id;
    record(seed, span);
}

static void all_copied(uint64_t seed)
{
    scout_span_t span = blank();
    scout_tag_t tags[2];
    copied(&span, tags);
    span.operation = "Custom/users/display";
    record(seed, span);
}

/* The core has the clock and the ids. */
static void begin_end(uint64_t seed)
{
    scout_span_t root = blank(), span = blank();
    (void)seed;
    count(lib.scout_span_begin(core, NULL, root_id, &root));
    for (int i = 0; i < CHILDREN; i++) {
        lib.scout_span_begin(core, &root, operation_id, &span);
        count(lib.scout_span_end(core, &span, NULL, 0));
    }
    count(lib.scout_span_end(core, &root, NULL, 0));
}

static void begin_end_tags(uint64_t seed)
{
    scout_span_t root = blank(), span = blank();
    scout_tag_t tags[2];
    (void)seed;
    text_tag(&tags[0], "db.system", "postgresql");
    text_tag(&tags[1], "cache.result", "revalidate");
    count(lib.scout_span_begin(core, NULL, root_id, &root));
    for (int i = 0; i < CHILDREN; i++) {
        lib.scout_span_begin(core, &root, operation_id, &span);
        count(lib.scout_span_end(core, &span, tags, 2));
    }
    count(lib.scout_span_end(core, &root, NULL, 0));
}

static const struct {
    const char *name;
    void (*request)(uint64_t seed);
} rows[] = {
    {"interned", interned},   {"copied", all_copied}, {"begin_end", begin_end},
    {"begin_end_tags", begin_end_tags},
};

struct share {
    pthread_t thread;
    double wall;
    long spans, refused;
    int number;
};

static void *run(void *argument)
{
    struct share *share = argument;
    long bursts = 0;
    uint64_t *took = calloc((size_t)(requests / BURST + 1), sizeof *took);
    uint64_t seed = (uint64_t)share->number << 40;
    /* Until every page that is used was touched once. */
    for (long done = 0; done < requests; done += BURST) {
        for (int i = 0; i < BURST; i++)
            request(++seed);
        usleep(PAUSE_US);
    }
    refused = 0;
    for (long done = 0; done < requests; done += BURST) {
        uint64_t start = clock_ns();
        for (int i = 0; i < BURST; i++)
            request(++seed);
        took[bursts++] = clock_ns() - start;
        share->spans += BURST * (CHILDREN + 1);
        usleep(PAUSE_US);
    }
    share->refused = refused;
    /* The middle one: a burst in which the thread was not running says nothing of the call. */
    qsort(took, (size_t)bursts, sizeof *took, by_size);
    share->wall = (double)took[bursts / 2] / (BURST * (CHILDREN + 1));
    return NULL;
}

int main(int argc, char **argv)
{
    struct share shares[MAX_THREADS];
    int threads;
    double wall = 0;
    long spans = 0, lost = 0;
    if (argc != 6 || (threads = atoi(argv[5])) < 1 || threads > MAX_THREADS)
        return 2;
    load(argv[1]);
    start(argv[2]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, argv[3]) == 0)
            request = rows[i].request;
    if (!request)
        return 2;
    requests = strtol(argv[4], NULL, 10);
    sleep(1); /* until the clock has its line */
    epoch = lib.scout_now(core);
    uint64_t before = cpu_ns();
    memset(shares, 0, sizeof shares);
    for (int i = 0; i < threads; i++) {
        shares[i].number = i + 1;
        if (pthread_create(&shares[i].thread, NULL, run, &shares[i]))
            return 2;
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(shares[i].thread, NULL);
        wall = shares[i].wall > wall ? shares[i].wall : wall;
        spans += shares[i].spans;
        lost += shares[i].refused;
    }
    lib.scout_shutdown(core, 30000);
    printf("%.2f %.2f %ld\n", wall, (double)(cpu_ns() - before) / (double)(2 * spans), lost);
    return 0;
}
