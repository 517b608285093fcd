/* Runs one hot path N times, for callgrind to count: two runs that differ in N differ by its price.
 *
 *     count LIBRARY OPTIONS PATH N
 *
 * Only the calls themselves are counted (--toggle-collect), so that these loops cost nothing. */
#include "hot.h"

#include <unistd.h>

#define STATEMENT                                                                             \
    "SELECT \"users\".* FROM \"users\" WHERE \"users\".\"id\" = %d AND \"users\".\"name\" = 'Ada' " \
    "ORDER BY \"users\".\"created_at\" DESC LIMIT 25"

static void record_interned(long n)
{
    scout_span_t span = blank();
    span.operation_id = operation_id;
    span.start_ns = lib.scout_now(core);
    span.end_ns = span.start_ns + 1000;
    for (long i = 0; i < n; i++) {
        identify(&span, 1, (uint64_t)i);
        expect_ok(lib.scout_record_span(core, &span), "scout_record_span");
    }
}

static void record_copied(long n)
{
    scout_span_t span = blank();
    scout_tag_t tags[2];
    copied(&span, tags);
    span.start_ns = lib.scout_now(core);
    span.end_ns = span.start_ns + 1000;
    for (long i = 0; i < n; i++) {
        identify(&span, 1, (uint64_t)i);
        expect_ok(lib.scout_record_span(core, &span), "scout_record_span");
    }
}

static void begin_end(long n)
{
    scout_span_t root = blank(), span = blank();
    expect_ok(lib.scout_span_begin(core, NULL, operation_id, &root), "scout_span_begin");
    for (long i = 0; i < n; i++) {
        expect_ok(lib.scout_span_begin(core, &root, operation_id, &span), "scout_span_begin");
        expect_ok(lib.scout_span_end(core, &span, NULL, 0), "scout_span_end");
    }
}

/* Fifty records a call. */
static void record_batch(long n)
{
    enum { RECORDS = 50 };
    static unsigned char bytes[RECORDS * 64];
    scout_span_t span = blank();
    span.operation_id = operation_id;
    span.start_ns = lib.scout_now(core);
    span.end_ns = span.start_ns + 1000;
    for (int i = 0; i < RECORDS; i++) {
        identify(&span, 1, (uint64_t)i);
        encode(bytes + i * 64, &span);
    }
    for (long i = 0; i < n; i += RECORDS) {
        size_t accepted = 0;
        expect_ok(lib.scout_record_batch(core, bytes, sizeof bytes, &accepted), "scout_record_batch");
        if (accepted != RECORDS)
            die("scout_record_batch accepted less");
    }
}

/* Requests of sixteen spans: what is counted is the flush that analyses them. */
static void analyse(long n, const char *statement, int distinct)
{
    char text[200];
    scout_span_t span = blank();
    scout_tag_t tag;
    span.start_ns = lib.scout_now(core);
    for (long i = 0; i < n; i++) {
        identify(&span, 1 + (uint64_t)i / 16, (uint64_t)i % 16);
        span.operation_id = span.parent_id ? operation_id : root_id;
        span.start_ns += 1000;
        span.end_ns = span.start_ns + (span.parent_id ? 900 : 20000);
        span.n_tags = 0;
        if (statement && span.parent_id) {
            snprintf(text, sizeof text, statement, distinct ? (int)i : 7);
            text_tag(&tag, "db.statement", text);
            span.tags = &tag;
            span.n_tags = 1;
        }
        expect_ok(lib.scout_record_span(core, &span), "scout_record_span");
    }
    if (lib.scout_flush(core, 60000) < 0)
        die("scout_flush");
}

static void analyse_interned(long n)
{
    analyse(n, NULL, 0);
}

static void analyse_sql_hit(long n)
{
    analyse(n, STATEMENT, 0);
}

static void analyse_sql_miss(long n)
{
    analyse(n, STATEMENT, 1);
}

static void sanitize(long n)
{
    char text[400], sql[200];
    size_t len = 0;
    snprintf(sql, sizeof sql, STATEMENT, 7);
    for (long i = 0; i < n; i++)
        expect_ok(lib.scout_sql_sanitize("postgres", 8, sql, strlen(sql), text, sizeof text, &len),
                  "scout_sql_sanitize");
}

static const struct {
    const char *name;
    void (*run)(long n);
} paths[] = {
    {"record_interned", record_interned}, {"record_copied", record_copied},
    {"begin_end", begin_end},             {"record_batch", record_batch},
    {"analyse_interned", analyse_interned}, {"analyse_sql_hit", analyse_sql_hit},
    {"analyse_sql_miss", analyse_sql_miss}, {"sanitize", sanitize},
};

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    load(argv[1]);
    start(argv[2]);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strcmp(paths[i].name, argv[3]) == 0) {
            paths[i].run(strtol(argv[4], NULL, 10));
            _exit(0);
        }
    return 2;
}
