/* Wrong calls: NULL, handles that are none, calls after shutdown, sizes, options, short buffers. */
#include "check.h"

#include <sys/mman.h>

static scout_core_t running(void) { return core_in("data", NULL); }

static void abi(void)
{
    SAME(scout_abi_version(), SCOUT_ABI_VERSION);
    CHECK(scout_version() && strchr(scout_version(), '.'));
    CHECK(strcmp(scout_status_name(SCOUT_OK), "SCOUT_OK") == 0);
    CHECK(strcmp(scout_status_name(SCOUT_E_PANIC), "SCOUT_E_PANIC") == 0);
    CHECK(strcmp(scout_status_name(-12345), "SCOUT_E_UNKNOWN") == 0);
    CHECK(strcmp(scout_status_name(INT32_MIN), "SCOUT_E_UNKNOWN") == 0);
    for (int32_t status = -1000; status <= 1000; status++)
        CHECK(strncmp(scout_status_name(status), "SCOUT_", 6) == 0);
}

static void nulls(void)
{
    STATUS(scout_start(NULL, 0, NULL), SCOUT_E_NULL);
    STATUS(scout_start("{}", 2, NULL), SCOUT_E_NULL);

    scout_core_t core = running();
    uint32_t id = 77;
    STATUS(scout_intern(core, NULL, 3, &id), SCOUT_E_NULL);
    STATUS(scout_intern(core, TEXT("a"), NULL), SCOUT_E_NULL);
    SAME(id, 77);

    scout_span_t root = span_of(NULL, "Controller/null");
    STATUS(scout_span_begin(core, NULL, 0, NULL), SCOUT_E_NULL);
    STATUS(scout_span_begin(core, &root, 0, NULL), SCOUT_E_NULL);
    STATUS(scout_span_end(core, NULL, NULL, 0), SCOUT_E_NULL);
    STATUS(scout_span_end(core, &root, NULL, 1), SCOUT_E_NULL);
    STATUS(scout_record_span(core, NULL), SCOUT_E_NULL);
    root.n_tags = 3;
    STATUS(scout_record_span(core, &root), SCOUT_E_NULL);
    root.n_tags = SIZE_MAX;
    STATUS(scout_record_span(core, &root), SCOUT_E_NULL);
    root = span_of(NULL, "x");
    root.operation = NULL;
    STATUS(scout_record_span(core, &root), SCOUT_E_NULL);

    scout_tag_t tag = text_tag("key", "value");
    tag.str = NULL;
    root = span_of(NULL, "Controller/null");
    root.tags = &tag;
    root.n_tags = 1;
    STATUS(scout_record_span(core, &root), SCOUT_E_NULL);
    tag = text_tag("key", "value");
    tag.key = NULL;
    STATUS(scout_record_span(core, &root), SCOUT_E_NULL);
    STATUS(scout_tag_request(core, NULL, &tag, 1), SCOUT_E_NULL);
    STATUS(scout_tag_request(core, root.trace_id, &tag, 1), SCOUT_E_NULL);
    STATUS(scout_tag_request(core, root.trace_id, NULL, 1), SCOUT_E_NULL);

    size_t accepted = 55;
    STATUS(scout_record_batch(core, NULL, 8, &accepted), SCOUT_E_NULL);
    CHECK(accepted == 0 || accepted == 55);

    scout_error_t error = {.struct_size = sizeof error};
    STATUS(scout_record_error(core, NULL), SCOUT_E_NULL);
    REFUSED(scout_record_error(core, &error)); /* a class is required */
    error.class_name = "E";
    error.class_name_len = 1;
    error.message_len = 9;
    STATUS(scout_record_error(core, &error), SCOUT_E_NULL);
    STATUS(scout_record_metric(core, NULL, 4, 1.0), SCOUT_E_NULL);
    STATUS(scout_record_event(core, NULL, 4, TEXT("{}")), SCOUT_E_NULL);
    STATUS(scout_record_event(core, TEXT("scout.metadata"), NULL, 4), SCOUT_E_NULL);

    char buffer[8];
    size_t len = 55;
    STATUS(scout_stats(core, buffer, sizeof buffer, NULL), SCOUT_E_NULL);
    STATUS(scout_stats(core, NULL, 8, &len), SCOUT_E_NULL);
    STATUS(scout_diagnose(core, buffer, sizeof buffer, NULL), SCOUT_E_NULL);
    STATUS(scout_diagnose(core, NULL, 8, &len), SCOUT_E_NULL);
    STATUS(scout_next_log(core, buffer, sizeof buffer, NULL), SCOUT_E_NULL);
    STATUS(scout_last_error(buffer, sizeof buffer, NULL), SCOUT_E_NULL);
    STATUS(scout_last_error(NULL, 8, &len), SCOUT_E_NULL);
    STATUS(scout_sql_sanitize(NULL, 0, NULL, 5, buffer, sizeof buffer, &len), SCOUT_E_NULL);
    STATUS(scout_sql_sanitize(NULL, 4, TEXT("x"), buffer, sizeof buffer, &len), SCOUT_E_NULL);
    STATUS(scout_sql_sanitize(NULL, 0, TEXT("x"), buffer, sizeof buffer, NULL), SCOUT_E_NULL);
    STATUS(scout_sql_sanitize(NULL, 0, TEXT("x"), NULL, 8, &len), SCOUT_E_NULL);
    STATUS(scout_sql_summarize(NULL, 0, NULL, 5, buffer, sizeof buffer, &len), SCOUT_E_NULL);
    STATUS(scout_sql_summarize(NULL, 0, TEXT("x"), buffer, sizeof buffer, NULL), SCOUT_E_NULL);
    SAME(len, 55);

    STATUS(record_request(core, "Controller/after"), SCOUT_OK); /* none of it did harm */
    flushed(core);
    expect_requests("Controller/after", 1);
    expect_requests("Controller/null", 0);
}

/* Every function that takes a handle: its status must be one of the two. Outputs stay. */
static void all_answer(scout_core_t core, scout_status_t one, scout_status_t other)
{
    scout_span_t root = span_of(NULL, "Controller/ghost"), begun = {.struct_size = sizeof begun};
    scout_tag_t tag = text_tag("k", "v");
    scout_error_t error = {.struct_size = sizeof error, .class_name = "E", .class_name_len = 1};
    uint32_t id = 77;
    size_t len = 55, accepted = 55;
    char buffer[4096];
    memset(buffer, 0x5A, sizeof buffer);
    uint8_t padding[8] = {8, 0, 0, 0, 0, 1, 0, 0};
    scout_status_t status[] = {
        scout_flush(core, 100),
        scout_shutdown(core, 100),
        scout_intern(core, TEXT("a"), &id),
        scout_span_begin(core, NULL, 0, &begun),
        scout_span_begin(core, &root, 0, &begun),
        scout_span_end(core, &root, &tag, 1),
        scout_record_span(core, &root),
        scout_record_batch(core, padding, sizeof padding, &accepted),
        scout_tag_request(core, root.trace_id, &tag, 1),
        scout_record_error(core, &error),
        scout_record_metric(core, TEXT("Memory/Physical"), 1.0),
        scout_record_event(core, TEXT("scout.metadata"), TEXT("{}")),
        scout_stats(core, buffer, sizeof buffer, &len),
        scout_diagnose(core, buffer, sizeof buffer, &len),
        scout_next_log(core, buffer, sizeof buffer, &len),
    };
    for (size_t i = 0; i < sizeof status / sizeof *status; i++)
        if (status[i] != one && status[i] != other)
            FAIL("handle %#llx, call %zu: %s", (unsigned long long)core, i,
                 scout_status_name(status[i]));
    SAME(scout_now(core), 0);
    SAME(id, 77);
    SAME(len, 55);
    SAME(begun.span_id, 0);
    CHECK(accepted == 55 || accepted == 0);
    for (size_t i = 0; i < sizeof buffer; i++)
        SAME(buffer[i], 0x5A);
}

static void garbage_handles(void)
{
    scout_core_t core = running();
    all_answer(0, SCOUT_E_HANDLE, SCOUT_E_HANDLE);
    for (int bit = 0; bit < 64; bit++) {
        all_answer(core ^ (1ull << bit), SCOUT_E_HANDLE, SCOUT_E_SHUT_DOWN);
        if (core != 1ull << bit)
            all_answer(1ull << bit, SCOUT_E_HANDLE, SCOUT_E_SHUT_DOWN);
    }
    all_answer(UINT64_MAX, SCOUT_E_HANDLE, SCOUT_E_SHUT_DOWN);
    for (int i = 0; i < 100; i++)
        all_answer(random_u64() << 8, SCOUT_E_HANDLE, SCOUT_E_SHUT_DOWN);
    CHECK(*last_error());
    STATUS(record_request(core, "Controller/after"), SCOUT_OK);
    flushed(core);
    expect_requests("Controller/after", 1);
    expect_requests("Controller/ghost", 0);
}

static void after_shutdown(void)
{
    scout_core_t first = running();
    STATUS(record_request(first, "Controller/before"), SCOUT_OK);
    scout_status_t status = scout_shutdown(first, 5000);
    CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
    all_answer(first, SCOUT_E_SHUT_DOWN, SCOUT_E_SHUT_DOWN);

    scout_core_t second = running(); /* another core in the same slot: the old handle stays dead */
    CHECK(second != first);
    all_answer(first, SCOUT_E_SHUT_DOWN, SCOUT_E_HANDLE);
    STATUS(record_request(second, "Controller/before"), SCOUT_OK);
    flushed(second);
    expect_requests("Controller/before", 2);
}

/* A caller built with another version of the header has other struct sizes. */
static void struct_sizes(void)
{
    scout_core_t core = running();

    scout_span_t none = span_of(NULL, "Controller/size");
    none.struct_size = 0;
    REFUSED(scout_record_span(core, &none));
    REFUSED(scout_span_end(core, &none, NULL, 0));
    REFUSED(scout_span_begin(core, NULL, 0, &none));
    scout_error_t error = {.struct_size = 0, .class_name = "E", .class_name_len = 1};
    REFUSED(scout_record_error(core, &error));

    /* Newer: longer, with fields that this library does not know. */
    struct { scout_span_t known; uint64_t unknown[4]; } newer = {span_of(NULL, "Controller/newer"),
                                                                  {~0ull, ~0ull, ~0ull, ~0ull}};
    struct { scout_tag_t known; uint64_t unknown[2]; } tags[2] = {
        {text_tag("path", "/1"), {~0ull, ~0ull}}, {text_tag("user_ip", "::1"), {~0ull, ~0ull}}};
    newer.known.struct_size = sizeof newer;
    tags[0].known.struct_size = tags[1].known.struct_size = sizeof tags[0];
    newer.known.tags = &tags[0].known;
    newer.known.n_tags = 2;
    STATUS(scout_record_span(core, &newer.known), SCOUT_OK);

    /* Shorter by any length: refused or filled up with zeros, and never read beyond its end,
     * where the next page is not ours to read. */
    long page = sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    CHECK(mprotect(pages + page, (size_t)page, PROT_NONE) == 0);
    for (uint32_t size = 8; size <= sizeof(scout_span_t); size += 8) {
        scout_span_t whole = span_of(NULL, "Controller/shorter");
        whole.struct_size = size;
        scout_span_t *at = (scout_span_t *)(void *)(pages + page - size);
        memcpy(at, &whole, size);
        scout_status_t status = scout_record_span(core, at);
        CHECK(status <= 0);
        if (size == sizeof whole)
            SAME(status, SCOUT_OK);
        scout_span_end(core, at, NULL, 0);
        scout_span_begin(core, at, 0, at);
    }
    for (uint32_t size = 8; size <= sizeof(scout_tag_t); size += 8) {
        scout_tag_t whole = text_tag("path", "/2");
        whole.struct_size = size;
        scout_tag_t *at = (scout_tag_t *)(void *)(pages + page - size);
        memcpy(at, &whole, size);
        scout_span_t span = span_of(NULL, "Controller/shorter tag");
        span.tags = at;
        span.n_tags = 1;
        scout_record_span(core, &span);
    }
    for (uint32_t size = 8; size <= sizeof(scout_error_t); size += 8) {
        scout_error_t whole = {.struct_size = size, .class_name = "E", .class_name_len = 1};
        scout_error_t *at = (scout_error_t *)(void *)(pages + page - size);
        memcpy(at, &whole, size);
        scout_record_error(core, at);
    }
    flushed(core);
    expect_requests("Controller/newer", 1);
    expect_requests("Controller/size", 0);
}

/* Each way to copy out, behind one signature. */
static scout_core_t copier_core;
static scout_status_t stats(char *b, size_t c, size_t *n) { return scout_stats(copier_core, b, c, n); }
static scout_status_t diagnose(char *b, size_t c, size_t *n) { return scout_diagnose(copier_core, b, c, n); }
static scout_status_t sanitize(char *b, size_t c, size_t *n)
{
    return scout_sql_sanitize(TEXT("postgres"), TEXT("SELECT a FROM b WHERE c = 'secret'"), b, c, n);
}
static scout_status_t summarize(char *b, size_t c, size_t *n)
{
    return scout_sql_summarize(NULL, 0, TEXT("SELECT a FROM b WHERE c = 'secret'"), b, c, n);
}

static void short_buffers(void)
{
    copier_core = running();
    scout_status_t (*const copiers[])(char *, size_t, size_t *) = {
        stats, diagnose, sanitize, summarize, scout_last_error};
    REFUSED(scout_intern(copier_core, NULL, 1, NULL)); /* so that there is a last error */
    for (size_t i = 0; i < sizeof copiers / sizeof *copiers; i++) {
        size_t needed = 0, len;
        STATUS(copiers[i](NULL, 0, &needed), SCOUT_E_TOO_SMALL);
        CHECK(needed > 0 && needed < 1 << 20);
        char *buffer = malloc(needed + 4096);
        memset(buffer, 0x5A, needed + 4096);
        STATUS(copiers[i](buffer, 1, &len), needed == 1 ? SCOUT_OK : SCOUT_E_TOO_SMALL);
        SAME(buffer[0], 0x5A);
        STATUS(copiers[i](buffer, needed + 4000, &len), SCOUT_OK);
        CHECK(len > 0 && buffer[len - 1] != 0x5A);
        SAME(buffer[len], 0x5A); /* no NUL, nothing beyond */
        free(buffer);
    }
    char exact[64];
    size_t len, needed;
    STATUS(sanitize(NULL, 0, &needed), SCOUT_E_TOO_SMALL);
    CHECK(needed <= sizeof exact);
    STATUS(sanitize(exact, needed - 1, &len), SCOUT_E_TOO_SMALL);
    STATUS(sanitize(exact, needed, &len), SCOUT_OK);
    SAME(len, needed);
}

static void reasons(void)
{
    scout_core_t core = running();
    REFUSED(scout_flush(core ^ 1, 0));
    char first[512];
    snprintf(first, sizeof first, "%s", last_error());
    CHECK(*first && !strchr(first, '\n'));
    CHECK(strcmp(first, last_error()) == 0); /* asking changes nothing */
    STATUS(record_request(core, "Controller/fine"), SCOUT_OK);

    scout_span_t zero = span_of(NULL, "Controller/zero");
    memset(zero.trace_id, 0, sizeof zero.trace_id);
    STATUS(scout_record_span(core, &zero), SCOUT_E_INVALID);
    CHECK(*last_error());
    zero = span_of(NULL, "Controller/zero");
    zero.span_id = 0;
    STATUS(scout_record_span(core, &zero), SCOUT_E_INVALID);
    zero = span_of(NULL, "Controller/zero");
    zero.operation_id = 4000000;
    STATUS(scout_record_span(core, &zero), SCOUT_E_INVALID);
    scout_tag_t tag = text_tag("k", "v");
    tag.kind = 9;
    STATUS(scout_tag_request(core, span_of(NULL, "x").trace_id, &tag, 1), SCOUT_E_INVALID);
    tag.kind = 0;
    STATUS(scout_tag_request(core, span_of(NULL, "x").trace_id, &tag, 1), SCOUT_E_INVALID);
    tag = text_tag("k", "v");
    tag.key_id = 4000000;
    STATUS(scout_tag_request(core, span_of(NULL, "x").trace_id, &tag, 1), SCOUT_E_INVALID);
    const uint8_t no_trace[16] = {0};
    tag = text_tag("k", "v");
    STATUS(scout_tag_request(core, no_trace, &tag, 1), SCOUT_E_INVALID);
    flushed(core);
    expect_requests("Controller/zero", 0);
}

static void options(void)
{
    scout_core_t core = UNTOUCHED;
    const char *const bad[] = {
        "[]", "nonsense", "{", "{\"data_dir\": 5}", "{\"no_such_option\": 1}", "\"text\"", "7", "null",
        "{\"data_dir\": \"/tmp\"} trailing", "\xff\xfe", "{\"name\": {}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        scout_status_t status = scout_start(TEXT(bad[i]), &core);
        if (status != SCOUT_E_OPTIONS)
            FAIL("options %s came to %s", bad[i], scout_status_name(status));
        CHECK(*last_error());
    }
    STATUS(scout_start(TEXT("{\"data_dri\": \"/tmp\"}"), &core), SCOUT_E_OPTIONS);
    CHECK(strstr(last_error(), "data_dri")); /* what was wrong ... */
    CHECK(strstr(last_error(), "data_dir")); /* ... and what is allowed */
    STATUS(scout_start(TEXT("{\"spool_limit_mib\": 0}"), &core), SCOUT_E_OPTIONS);
    CHECK(strstr(last_error(), "spool_limit_mib") && strstr(last_error(), "65536"));
    SAME(core, UNTOUCHED);
}

static void interning(void)
{
    scout_core_t core = running();
    uint32_t first = 0, again = 0, other = 0;
    STATUS(scout_intern(core, TEXT("Controller/interned"), &first), SCOUT_OK);
    STATUS(scout_intern(core, TEXT("Controller/interned"), &again), SCOUT_OK);
    STATUS(scout_intern(core, TEXT("Controller/other"), &other), SCOUT_OK);
    CHECK(first != 0 && first == again && other != first);
    char longest[1025];
    memset(longest, 'a', sizeof longest);
    STATUS(scout_intern(core, longest, 1024, &other), SCOUT_OK);
    STATUS(scout_intern(core, longest, 1025, &other), SCOUT_E_TOO_LARGE);
    STATUS(scout_intern(core, "\xff\xfe", 2, &other), SCOUT_E_INVALID);
    int status = SCOUT_OK;
    long n;
    for (n = 0; n < 20000 && status == SCOUT_OK; n++) {
        char name[32];
        snprintf(name, sizeof name, "Custom/%ld", n);
        status = scout_intern(core, TEXT(name), &other);
    }
    STATUS(status, SCOUT_E_LIMIT);
    CHECK(n > 16000 && n <= 16385);
    STATUS(scout_intern(core, TEXT("Controller/interned"), &again), SCOUT_OK); /* old ones stay */
    SAME(again, first);

    scout_span_t by_id = span_of(NULL, "");
    by_id.operation = NULL;
    by_id.operation_len = 0;
    by_id.operation_id = first;
    STATUS(scout_record_span(core, &by_id), SCOUT_OK);
    STATUS(record_request(core, "Controller/interned"), SCOUT_OK); /* the same endpoint */
    flushed(core);
    expect_requests("Controller/interned", 2);
}

const test_t misuse_tests[] = {
    {"abi", abi},
    {"nulls", nulls},
    {"garbage-handles", garbage_handles},
    {"after-shutdown", after_shutdown},
    {"struct-sizes", struct_sizes},
    {"short-buffers", short_buffers},
    {"reasons", reasons},
    {"options", options},
    {"interning", interning},
    {NULL, NULL},
};
