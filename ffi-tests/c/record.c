/* What is recorded: spans, limits, batches, times, logs, SQL. */
#include "check.h"

#include <math.h>

static void begin_and_end(void)
{
    scout_core_t core = core_in("data", NULL);
    uint64_t before = scout_now(core);
    scout_span_t root = {.struct_size = sizeof root}, child = {.struct_size = sizeof child};
    STATUS(scout_span_begin(core, NULL, 0, &root), SCOUT_OK);
    STATUS(scout_span_begin(core, &root, 0, &child), SCOUT_OK);
    const uint8_t zero[16] = {0};
    CHECK(memcmp(root.trace_id, zero, 16) != 0);
    CHECK(memcmp(root.trace_id, child.trace_id, 16) == 0);
    CHECK(root.span_id != 0 && child.span_id != 0 && root.span_id != child.span_id);
    CHECK(root.parent_id == 0 && child.parent_id == root.span_id);
    CHECK(root.start_ns >= before && child.start_ns >= root.start_ns);
    SAME(root.struct_size, sizeof root);

    child.operation = "SQL/Query";
    child.operation_len = 9;
    scout_tag_t tags[] = {text_tag("db.statement", "SELECT 1"),
                          {.struct_size = sizeof(scout_tag_t), .kind = SCOUT_TAG_I64,
                           .key = "db.rows_returned", .key_len = 16, .i64 = 3}};
    STATUS(scout_span_end(core, &child, tags, 2), SCOUT_OK);
    uint32_t id;
    STATUS(scout_intern(core, TEXT("Controller/begun"), &id), SCOUT_OK);
    root.operation_id = id;
    STATUS(scout_span_end(core, &root, NULL, 0), SCOUT_OK);
    CHECK(child.end_ns >= child.start_ns && root.end_ns >= child.end_ns);

    scout_span_t forgotten = {.struct_size = sizeof forgotten}; /* never ended: nothing leaks */
    STATUS(scout_span_begin(core, NULL, id, &forgotten), SCOUT_OK);
    SAME(forgotten.operation_id, id);
    STATUS(scout_span_end(core, &root, NULL, 0), SCOUT_OK); /* twice: a duplicate, not a request */
    flushed(core);
    expect_requests("Controller/begun", 1);
}

static void clock_runs(void)
{
    scout_core_t core = core_in("data", NULL);
    uint64_t last = 0;
    for (int i = 0; i < 1000000; i++) {
        uint64_t now = scout_now(core);
        if (now < last)
            FAIL("the clock ran back by %llu ns", (unsigned long long)(last - now));
        last = now;
    }
    int64_t off = (int64_t)(scout_now(core) - unix_ns());
    if (off < -50000000 || off > 50000000)
        FAIL("the clock is off by %lld ns", (long long)off);
}

/* Accepted, but shortened: it says so, and it is delivered. */
static void clamped(void)
{
    scout_core_t core = core_in("data", NULL);
    size_t n = 10000;
    scout_tag_t *tags = calloc(n, sizeof *tags);
    for (size_t i = 0; i < n; i++)
        tags[i] = text_tag("key", "value");
    scout_span_t span = span_of(NULL, "Controller/clamped");
    span.tags = tags;
    span.n_tags = n;
    STATUS(scout_record_span(core, &span), SCOUT_CLAMPED);
    span = span_of(NULL, "Controller/clamped");
    span.tags = tags;
    span.n_tags = 128;
    STATUS(scout_record_span(core, &span), SCOUT_OK);
    span = span_of(NULL, "Controller/clamped");
    STATUS(scout_tag_request(core, span.trace_id, tags, n), SCOUT_CLAMPED);
    STATUS(scout_record_span(core, &span), SCOUT_OK);

    char *big = malloc(100000);
    memset(big, 'x', 100000);
    tags[0].str = big;
    tags[0].str_len = 20000;
    span = span_of(NULL, "Controller/clamped");
    span.tags = tags;
    span.n_tags = 1;
    STATUS(scout_record_span(core, &span), SCOUT_CLAMPED);
    for (size_t i = 0; i < 128; i++) { /* together more than one record holds */
        tags[i].str = big;
        tags[i].str_len = 16384;
    }
    span = span_of(NULL, "Controller/clamped");
    span.tags = tags;
    span.n_tags = 128;
    STATUS(scout_record_span(core, &span), SCOUT_CLAMPED);

    span = span_of(NULL, "Controller/clamped");
    span.end_ns = span.start_ns - 5000000000u;
    STATUS(scout_record_span(core, &span), SCOUT_CLAMPED);

    scout_error_t error = {.struct_size = sizeof error, .class_name = "E", .class_name_len = 1,
                           .message = big, .message_len = 100000};
    STATUS(scout_record_error(core, &error), SCOUT_CLAMPED);
    STATUS(scout_record_event(core, TEXT("scout.metadata"), big, 65001), SCOUT_E_TOO_LARGE);
    STATUS(scout_record_metric(core, big, 20000, 1.0), SCOUT_CLAMPED);
    flushed(core);
    expect_requests("Controller/clamped", 6);
    free(tags);
    free(big);
}

static void odd_values(void)
{
    scout_core_t core = core_in("data", NULL);
    scout_tag_t tags[] = {
        text_tag("db.statement", "\xff\xfe broken \xc3"),
        text_tag("\xc0\xaf", "overlong"),
        {.struct_size = sizeof(scout_tag_t), .kind = SCOUT_TAG_F64, .key = "nan", .key_len = 3,
         .f64 = (double)NAN},
        {.struct_size = sizeof(scout_tag_t), .kind = SCOUT_TAG_F64, .key = "inf", .key_len = 3,
         .f64 = -(double)INFINITY},
        {.struct_size = sizeof(scout_tag_t), .kind = SCOUT_TAG_I64, .key = "min", .key_len = 3,
         .i64 = INT64_MIN},
        {.struct_size = sizeof(scout_tag_t), .kind = SCOUT_TAG_BOOL, .key = "bool", .key_len = 4,
         .i64 = 77},
        {.struct_size = sizeof(scout_tag_t), .kind = SCOUT_TAG_STRING, .key = "nul\0inside",
         .key_len = 10, .str = "a\0b", .str_len = 3},
        {.struct_size = sizeof(scout_tag_t), .kind = SCOUT_TAG_STRING, .key = "", .key_len = 0,
         .str = "", .str_len = 0},
    };
    scout_span_t span = span_of(NULL, "Controller/odd");
    span.tags = tags;
    span.n_tags = sizeof tags / sizeof *tags;
    STATUS(scout_record_span(core, &span), SCOUT_OK);
    STATUS(scout_tag_request(core, span.trace_id, tags, sizeof tags / sizeof *tags), SCOUT_OK);

    span = span_of(NULL, "Controller/\xff odd");
    STATUS(scout_record_span(core, &span), SCOUT_OK);
    span = span_of(NULL, "Controller/no time");
    span.start_ns = span.end_ns = 0;
    CHECK(scout_record_span(core, &span) >= 0);
    span = span_of(NULL, "Controller/far");
    span.end_ns = UINT64_MAX;
    CHECK(scout_record_span(core, &span) >= 0);
    span = span_of(NULL, "no slash at all");
    CHECK(scout_record_span(core, &span) >= 0);
    span = span_of(NULL, "");
    CHECK(scout_record_span(core, &span) >= 0);
    STATUS(scout_record_metric(core, TEXT("Memory/Physical"), (double)NAN), SCOUT_OK);
    STATUS(scout_record_metric(core, TEXT("Memory/Physical"), (double)INFINITY), SCOUT_OK);
    flushed(core);
    expect_requests("Controller/odd", 1);
}

static void requests_and_errors(void)
{
    scout_core_t core = core_in("data", NULL);
    scout_span_t root = span_of(NULL, "Controller/before renaming");
    scout_tag_t rename = text_tag("transaction.name", "Controller/renamed");
    scout_tag_t path = text_tag("path", "/users/1");
    STATUS(scout_tag_request(core, root.trace_id, &path, 1), SCOUT_OK);
    scout_span_t child = span_of(&root, "SQL/Query");
    STATUS(scout_record_span(core, &child), SCOUT_OK);
    STATUS(scout_tag_request(core, root.trace_id, &rename, 1), SCOUT_OK);
    scout_error_t error = {
        .struct_size = sizeof error, .span_id = child.span_id, .class_name = "ValueError",
        .class_name_len = 10, .message = "no such user", .message_len = 12,
        .backtrace = "app.c:10:in users\nmain.c:5:in main", .backtrace_len = 34, .tags = &path,
        .n_tags = 1,
    };
    memcpy(error.trace_id, root.trace_id, 16);
    STATUS(scout_record_error(core, &error), SCOUT_OK);
    STATUS(scout_record_span(core, &root), SCOUT_OK);

    scout_span_t ignored = span_of(NULL, "Controller/health");
    scout_tag_t ignore = {.struct_size = sizeof ignore, .kind = SCOUT_TAG_BOOL,
                          .key = "ignore_transaction", .key_len = 18, .i64 = 1};
    STATUS(scout_tag_request(core, ignored.trace_id, &ignore, 1), SCOUT_OK);
    STATUS(scout_record_span(core, &ignored), SCOUT_OK);

    scout_error_t lone = {.struct_size = sizeof lone, .class_name = "Lone", .class_name_len = 4};
    STATUS(scout_record_error(core, &lone), SCOUT_OK); /* of no request */
    STATUS(scout_record_metric(core, TEXT("Memory/Physical"), 123.5), SCOUT_OK);
    STATUS(scout_record_event(core, TEXT("scout.metadata"), TEXT("{\"language\":\"c\"}")), SCOUT_OK);
    REFUSED(scout_record_event(core, TEXT("scout.metadata"), TEXT("{not json")));
    flushed(core);
    expect_requests("Controller/renamed", 1);
    expect_requests("Controller/before renaming", 0);
    expect_requests("Controller/health", 0);
}

/* Every accepted span is either in a request or counted; nothing hangs or loops. */
static void odd_trees(void)
{
    scout_core_t core = core_in("data", NULL);
    scout_span_t root = span_of(NULL, "Controller/tree"), twin = root;
    STATUS(scout_record_span(core, &root), SCOUT_OK);
    STATUS(scout_record_span(core, &twin), SCOUT_OK); /* a duplicate id */
    scout_span_t a = span_of(&root, "Custom/a"), b = span_of(&root, "Custom/b");
    a.parent_id = b.span_id; /* each other's parent */
    b.parent_id = a.span_id;
    STATUS(scout_record_span(core, &a), SCOUT_OK);
    STATUS(scout_record_span(core, &b), SCOUT_OK);
    scout_span_t self = span_of(&root, "Custom/self"), orphan = span_of(&root, "Custom/orphan");
    self.parent_id = self.span_id;
    orphan.parent_id = 0xdead;
    STATUS(scout_record_span(core, &self), SCOUT_OK);
    STATUS(scout_record_span(core, &orphan), SCOUT_OK);
    scout_span_t deep = root; /* 10,000 levels */
    for (int i = 0; i < 10000; i++) {
        scout_span_t next = span_of(&deep, "Custom/deep");
        STATUS(scout_record_span(core, &next), SCOUT_OK);
        deep = next;
    }
    flushed(core);
    STATUS(record_request(core, "Controller/after"), SCOUT_OK);
    flushed(core);
    expect_requests("Controller/tree", 1);
    expect_requests("Controller/after", 1);
}

static void logs(void)
{
    scout_core_t core = core_in("data", NULL);
    char line[8192];
    size_t len = 55;
    int lines = 0;
    scout_status_t status;
    flushed(core);
    while ((status = scout_next_log(core, line, sizeof line - 1, &len)) == SCOUT_OK) {
        line[len] = '\0';
        CHECK(line[0] == '{' && line[len - 1] == '}');
        CHECK(strstr(line, "\"level\"") && strstr(line, "\"message\"") && strstr(line, "\"time_ns\""));
        CHECK(++lines < 10000);
    }
    SAME(status, SCOUT_EMPTY);
    SAME(len, 0);
}

static void reports(void)
{
    scout_core_t core = core_in("data", NULL);
    STATUS(record_request(core, "Controller/reported"), SCOUT_OK);
    flushed(core);
    static char json[1 << 20];
    size_t len;
    STATUS(scout_diagnose(core, json, sizeof json - 1, &len), SCOUT_OK);
    json[len] = '\0';
    CHECK(json[0] == '{' && json[len - 1] == '}');
    CHECK(strstr(json, scout_version()));
    CHECK(strstr(json, "data_dir"));
    STATUS(scout_stats(core, json, sizeof json - 1, &len), SCOUT_OK);
    json[len] = '\0';
    CHECK(json[0] == '{' && json[len - 1] == '}' && !strchr(json + 1, '{'));
}

static void sql(void)
{
    static const struct { const char *dialect, *in, *out, *summary; } cases[] = {
        {"postgres", "SELECT  *  FROM users WHERE email = 'a@b.c' AND id = 42",
         "SELECT * FROM users WHERE email = ? AND id = ?", "SELECT users"},
        {"no such", "INSERT INTO t VALUES ('x', 1.5, 0xFF) -- secret",
         "INSERT INTO t VALUES (?, ?, ?)", "INSERT t"},
        {"mysql2", "UPDATE a SET b = \"secret\" WHERE c = 'it''s'",
         "UPDATE a SET b = ? WHERE c = ?", "UPDATE a"},
        {"", "SELECT 'unterminated", "SELECT ?", "SELECT"},
        {"sqlite", "", "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[512];
        size_t len;
        STATUS(scout_sql_sanitize(TEXT(cases[i].dialect), TEXT(cases[i].in), out, sizeof out - 1, &len),
               SCOUT_OK);
        out[len] = '\0';
        if (strcmp(out, cases[i].out) != 0)
            FAIL("sanitised to \"%s\", not \"%s\"", out, cases[i].out);
        STATUS(scout_sql_summarize(TEXT(cases[i].dialect), TEXT(cases[i].in), out, sizeof out - 1, &len),
               SCOUT_OK);
        out[len] = '\0';
        if (strcmp(out, cases[i].summary) != 0)
            FAIL("summarised as \"%s\", not \"%s\"", out, cases[i].summary);
    }
    size_t size = 4 << 20, len; /* 4 MiB of statement: only the head is used */
    char *big = malloc(size), *out = malloc(size);
    memset(big, '(', size);
    STATUS(scout_sql_sanitize(NULL, 0, big, size, out, size, &len), SCOUT_OK);
    CHECK(len <= 65536 + 64);
    memset(big, '\'', size);
    STATUS(scout_sql_sanitize(NULL, 0, big, size, out, size, &len), SCOUT_OK);
    STATUS(scout_sql_summarize(NULL, 0, big, size, out, size, &len), SCOUT_OK);
    CHECK(len <= 255);
    free(big);
    free(out);
}

static void flush_timeouts(void)
{
    scout_core_t core = core_in("data", NULL);
    STATUS(record_request(core, "Controller/flushed"), SCOUT_OK);
    uint64_t began = unix_ns();
    scout_status_t status = scout_flush(core, 0); /* does not wait */
    CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED || status == SCOUT_E_TIMEOUT);
    CHECK(elapsed_ms_since(began) < 2000);
    flushed(core);
    began = unix_ns();
    for (int i = 0; i < 20; i++)
        flushed(core); /* nothing new */
    CHECK(elapsed_ms_since(began) < 20000);
    status = scout_shutdown(core, 0);
    CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED || status == SCOUT_E_TIMEOUT);
    expect_requests("Controller/flushed", 1);
}

const test_t record_tests[] = {
    {"begin-and-end", begin_and_end},
    {"clock", clock_runs},
    {"clamped", clamped},
    {"odd-values", odd_values},
    {"requests-and-errors", requests_and_errors},
    {"odd-trees", odd_trees},
    {"logs", logs},
    {"reports", reports},
    {"sql", sql},
    {"flush-timeouts", flush_timeouts},
    {NULL, NULL},
};
