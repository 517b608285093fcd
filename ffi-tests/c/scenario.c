/*
 * Makes the calls of a flat scenario file (see scenario.py), with the structs of the C ABI.
 *
 *     scenario FILE
 */
#include "check.h"

/* The field that begins at *at, NUL-terminated in place; *at moves behind it. */
static char *field(char **at)
{
    char *begin = *at;
    size_t len = strcspn(begin, "\t\n");
    *at = begin + len + (begin[len] != '\0');
    begin[len] = '\0';
    return begin;
}

static unsigned nibble(char digit)
{
    return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)(digit - 'a' + 10);
}

/* A text, decoded in place. */
static const char *text(char **at, size_t *len)
{
    char *begin = field(at);
    size_t n = strlen(begin) / 2;
    for (size_t i = 0; i < n; i++)
        begin[i] = (char)(nibble(begin[2 * i]) << 4 | nibble(begin[2 * i + 1]));
    *len = n;
    return begin;
}

static void trace(char **at, uint8_t id[16])
{
    size_t len;
    const char *bytes = text(at, &len);
    SAME(len, 16);
    memcpy(id, bytes, 16);
}

static uint64_t number(char **at) { return strtoull(field(at), NULL, 10); }

static scout_tag_t *tags(char **at, size_t *count)
{
    *count = number(at);
    scout_tag_t *tags = calloc(*count + 1, sizeof *tags);
    for (size_t i = 0; i < *count; i++) {
        scout_tag_t *tag = &tags[i];
        tag->struct_size = sizeof *tag;
        tag->key = text(at, &tag->key_len);
        switch (*field(at)) {
        case 's':
            tag->kind = SCOUT_TAG_STRING;
            tag->str = text(at, &tag->str_len);
            break;
        case 'i':
            tag->kind = SCOUT_TAG_I64;
            tag->i64 = strtoll(field(at), NULL, 10);
            break;
        case 'f':
            tag->kind = SCOUT_TAG_F64;
            tag->f64 = strtod(field(at), NULL);
            break;
        default:
            tag->kind = SCOUT_TAG_BOOL;
            tag->i64 = strtoll(field(at), NULL, 10);
        }
    }
    return tags;
}

static scout_status_t call(scout_core_t core, char *at)
{
    const char *kind = field(&at), *value;
    size_t len, n;
    scout_tag_t *read = NULL;
    scout_status_t status = SCOUT_E_INVALID;
    if (strcmp(kind, "span") == 0) {
        scout_span_t span = {.struct_size = sizeof span};
        trace(&at, span.trace_id);
        span.span_id = number(&at);
        span.parent_id = number(&at);
        span.start_ns = number(&at);
        span.end_ns = number(&at);
        span.operation = text(&at, &span.operation_len);
        span.tags = read = tags(&at, &span.n_tags);
        status = scout_record_span(core, &span);
    } else if (strcmp(kind, "tag") == 0) {
        uint8_t id[16];
        trace(&at, id);
        read = tags(&at, &n);
        status = scout_tag_request(core, id, read, n);
    } else if (strcmp(kind, "error") == 0) {
        scout_error_t error = {.struct_size = sizeof error};
        trace(&at, error.trace_id);
        error.span_id = number(&at);
        error.time_ns = number(&at);
        error.class_name = text(&at, &error.class_name_len);
        error.message = text(&at, &error.message_len);
        error.backtrace = text(&at, &error.backtrace_len);
        error.tags = read = tags(&at, &error.n_tags);
        status = scout_record_error(core, &error);
    } else if (strcmp(kind, "metric") == 0) {
        value = text(&at, &len);
        status = scout_record_metric(core, value, len, strtod(field(&at), NULL));
    } else if (strcmp(kind, "event") == 0) {
        value = text(&at, &len);
        const char *json = text(&at, &n);
        status = scout_record_event(core, value, len, json, n);
    }
    free(read);
    return status;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    FILE *file = fopen(argv[1], "r");
    CHECK(file != NULL);
    char options[1024];
    int len = snprintf(options, sizeof options,
                       "{\"name\": \"Scenario\", \"hostname\": \"host\", \"data_dir\": \"%s\"}",
                       getenv("TEST_DIR"));
    scout_core_t core;
    STATUS(scout_start(options, (size_t)len, &core), SCOUT_OK);
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0) {
        scout_status_t status = call(core, line);
        if (status < 0)
            FAIL("%.100s: %s (%s)", line, scout_status_name(status), last_error());
    }
    free(line);
    fclose(file);
    scout_status_t status = scout_shutdown(core, 10000);
    if (status < 0)
        FAIL("shutdown: %s", scout_status_name(status));
    return 0;
}
