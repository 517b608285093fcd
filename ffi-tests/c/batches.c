/* Batches of encoded records: good ones, and every way to be a bad one. */
#include "check.h"

/* The worked example of docs/record-format.md, as a root that began `age_ns` ago. */
static size_t example(uint8_t out[88], uint32_t operation_id, uint64_t trace)
{
    static const uint8_t worked[88] = {
        0x58, 0, 0, 0, 1, 1, 1, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0xe8, 3, 0, 0, 0, 0, 0, 0, 0xac, 0x0d, 0, 0, 0, 0, 0, 0,
        5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0x80, 1, 0, 0, 0, 2, 0, 0, 0x80, 0, 0, 0, 0,
        0x6b, 0x68, 0x69, 0, 0, 0, 0, 0,
    };
    uint64_t times[2] = {unix_ns() - 2500, unix_ns()};
    memcpy(out, worked, 88);
    memcpy(out + 8, &trace, sizeof trace);
    memcpy(out + 40, times, sizeof times);
    memcpy(out + 56, &operation_id, sizeof operation_id);
    return 88;
}

static void batches(void)
{
    scout_core_t core = core_in("data", NULL);
    uint32_t id;
    STATUS(scout_intern(core, TEXT("Controller/batch"), &id), SCOUT_OK);
    uint8_t batch[8 * 88];
    for (uint64_t i = 0; i < 8; i++)
        example(batch + 88 * i, id, i + 1);
    size_t accepted = 99;
    STATUS(scout_record_batch(core, batch, sizeof batch, &accepted), SCOUT_OK);
    SAME(accepted, 8);
    STATUS(scout_record_batch(core, batch, 0, &accepted), SCOUT_OK); /* empty is fine */
    SAME(accepted, 0);
    uint8_t padded[8 + 88] = {8, 0, 0, 0, 0, 1, 0, 0};
    example(padded + 8, id, 50);
    STATUS(scout_record_batch(core, padded, sizeof padded, &accepted), SCOUT_OK);
    SAME(accepted, 1); /* padding is no record */
    example(batch, id, 51);
    STATUS(scout_record_batch(core, batch, 88, NULL), SCOUT_OK); /* `accepted` may be NULL */

    /* In the third record, one thing wrong at a time. */
    static const struct { size_t offset; uint8_t value; const char *what; } wrong[] = {
        {0, 0x59, "length no multiple of 8"}, {0, 0, "length 0"}, {0, 0x38, "length below fixed part"},
        {2, 1, "length over the limit"},      {4, 99, "kind"},    {4, 6, "kind of the recorder's own"},
        {5, 0, "version 0"},                  {5, 2, "version 2"}, {6, 200, "tag count"},
        {59, 0x10, "interned id"},            {64, 0xff, "string length"}, {68, 0, "tag type 0"},
        {68, 5, "tag type 5"},                {72, 100, "value length"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t bad[8 * 88];
        for (uint64_t j = 0; j < 8; j++)
            example(bad + 88 * j, id, 1000 * (i + 1) + j);
        bad[2 * 88 + wrong[i].offset] = wrong[i].value;
        accepted = 99;
        scout_status_t status = scout_record_batch(core, bad, sizeof bad, &accepted);
        if (status != SCOUT_E_FORMAT)
            FAIL("%s: %s", wrong[i].what, scout_status_name(status));
        if (accepted != 2)
            FAIL("%s: %zu records were accepted, not 2", wrong[i].what, accepted);
        if (!strstr(last_error(), "176"))
            FAIL("%s: \"%s\" does not say byte 176", wrong[i].what, last_error());
    }
    size_t n_wrong = sizeof wrong / sizeof *wrong;

    uint8_t zero_ids[88];
    example(zero_ids, id, 0);
    memset(zero_ids + 8, 0, 16);
    STATUS(scout_record_batch(core, zero_ids, 88, &accepted), SCOUT_E_FORMAT);
    SAME(accepted, 0);
    example(zero_ids, id, 9);
    memset(zero_ids + 24, 0, 8);
    STATUS(scout_record_batch(core, zero_ids, 88, &accepted), SCOUT_E_FORMAT);
    for (size_t cut = 1; cut < 88; cut++) { /* cut short at each byte */
        uint8_t two[176];
        example(two, id, 100000 + cut);
        example(two + 88, id, 200000 + cut);
        STATUS(scout_record_batch(core, two, 88 + cut, &accepted), SCOUT_E_FORMAT);
        SAME(accepted, 1);
    }
    flushed(core);
    expect_requests("Controller/batch", (long)(8 + 2 + 2 * n_wrong + 87));
}

/* A string over the limit that the caller did not cut, and a record as long as allowed. */
static void batch_limits(void)
{
    scout_core_t core = core_in("data", NULL);
    uint32_t id;
    STATUS(scout_intern(core, TEXT("Controller/long"), &id), SCOUT_OK);
    static uint8_t record[65536];
    size_t accepted;
    for (uint32_t size = 16384 - 8; size <= 65528 - 88 + 8; size += 24568) {
        uint32_t total = (80 + 1 + size + 7) & ~7u, reference = 1u << 31 | size;
        memset(record, 'x', sizeof record);
        example(record, id, size);
        memset(record + 81, 'x', sizeof record - 81);
        memcpy(record, &total, 4);
        memcpy(record + 72, &reference, 4);
        scout_status_t status = scout_record_batch(core, record, total, &accepted);
        if (size <= 16384)
            SAME(status, SCOUT_OK);
        else
            CHECK(status == SCOUT_E_FORMAT || status == SCOUT_CLAMPED);
    }
    flushed(core);
}

/* A batch that finds no room: what is accepted is delivered, all the rest is counted. */
static void batch_without_room(void)
{
    enum { RECORDS = 30000 };
    scout_core_t core = core_in("data", ", \"recorder_memory_mib\": 1, \"background\": false");
    uint32_t id;
    STATUS(scout_intern(core, TEXT("Controller/crowd"), &id), SCOUT_OK);
    uint8_t *batch = malloc(RECORDS * 88);
    for (uint64_t i = 0; i < RECORDS; i++)
        example(batch + 88 * i, id, i + 1);
    size_t accepted = 0;
    STATUS(scout_record_batch(core, batch, RECORDS * 88, &accepted), SCOUT_E_DROPPED);
    CHECK(accepted > 0 && accepted < RECORDS);
    SAME(stat_of(core, "records_dropped_no_room"), RECORDS - accepted);
    flushed(core);
    expect_requests("Controller/crowd", (long)accepted);
    free(batch);
}

/* Whatever bytes: a status, and no more accepted than there are records. */
static void batch_fuzz(void)
{
    scout_core_t core = core_in("data", NULL);
    uint32_t id;
    STATUS(scout_intern(core, TEXT("Controller/fuzz"), &id), SCOUT_OK);
    uint8_t batch[4 * 88];
    for (int round = 0; round < 100000; round++) {
        for (uint64_t i = 0; i < 4; i++)
            example(batch + 88 * i, id, random_u64() | 1);
        for (uint64_t flips = 1 + random_u64() % 6; flips; flips--)
            batch[random_u64() % sizeof batch] = (uint8_t)random_u64();
        size_t accepted = 99;
        scout_status_t status =
            scout_record_batch(core, batch, random_u64() % (sizeof batch + 1), &accepted);
        CHECK(accepted <= sizeof batch / 8);
        CHECK(status != SCOUT_E_PANIC);
    }
    flushed(core);
    SAME(stat_of(core, "panics_contained"), 0);
}

const test_t batch_tests[] = {
    {"batches", batches},
    {"batch-limits", batch_limits},
    {"batch-without-room", batch_without_room},
    {"batch-fuzz", batch_fuzz},
    {NULL, NULL},
};
