/* Many threads: at once, short-lived, ending with things unsaid, flushing, shutting down. */
#include "check.h"

#include <dirent.h>
#include <pthread.h>

static pthread_barrier_t all_recorded;

/* Threads that end with records not yet drained: nothing is lost with them. */
static void thread_exit(void)
{
    scout_core_t core = core_in("data", NULL);
    pthread_t threads[8];
    job_t jobs[8];
    long accepted = 0;
    for (int i = 0; i < 8; i++) {
        jobs[i] = (job_t){core, "Controller/thread exit", 1000, 0};
        start_thread(&threads[i], record_many, &jobs[i]);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        accepted += jobs[i].accepted;
    }
    flushed(core);
    SAME(accepted, 8000);
    expect_requests("Controller/thread exit", accepted);
}

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, resident = 0;
    CHECK(file && fscanf(file, "%ld %ld", &size, &resident) == 2);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE) / 1024;
}

static void short_lived_threads(void)
{
    scout_core_t core = core_in("data", NULL);
    job_t jobs[4];
    long accepted = 0, before = 0;
    for (int round = 0; round < 1000; round++) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) {
            jobs[i] = (job_t){core, "Controller/short", 1, 0};
            start_thread(&threads[i], record_many, &jobs[i]);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
            accepted += jobs[i].accepted;
        }
        if (round == 200)
            before = resident_kib();
    }
    long grown = resident_kib() - before;
    flushed(core);
    if (grown > 32 * 1024)
        FAIL("3,200 threads left %ld KiB behind", grown);
    SAME(accepted, 4000);
    expect_requests("Controller/short", accepted);
}

/* 10,048 threads, 64 at a time, that end while others flush. */
static void *flush_until_stopped(void *argument)
{
    while (!atomic_load(&stop))
        flushed(*(scout_core_t *)argument);
    return NULL;
}

static void ten_thousand_threads(void)
{
    enum { AT_ONCE = 64, ROUNDS = 157 };
    scout_core_t core = core_in("data", NULL);
    pthread_t flusher, threads[AT_ONCE];
    static job_t jobs[AT_ONCE];
    long accepted = 0;
    atomic_store(&stop, 0);
    start_thread(&flusher, flush_until_stopped, &core);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < AT_ONCE; i++) {
            jobs[i] = (job_t){core, "Controller/brief", 3, 0};
            start_thread(&threads[i], record_many, &jobs[i]);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            pthread_join(threads[i], NULL);
            accepted += jobs[i].accepted;
        }
    }
    atomic_store(&stop, 1);
    pthread_join(flusher, NULL);
    flushed(core);
    SAME(accepted, 3 * AT_ONCE * ROUNDS);
    expect_requests("Controller/brief", accepted);
}

/* All spans of a request, from four threads, children first. */
static void *record_children(void *argument)
{
    struct { scout_core_t core; const scout_span_t *root; } *work = argument;
    for (int i = 0; i < 25; i++) {
        scout_span_t child = span_of(work->root, "SQL/Query");
        STATUS(scout_record_span(work->core, &child), SCOUT_OK);
    }
    return NULL;
}

static void shared_request(void)
{
    scout_core_t core = core_in("data", NULL);
    for (int request = 0; request < 50; request++) {
        scout_span_t root = span_of(NULL, "Controller/shared");
        struct { scout_core_t core; const scout_span_t *root; } work = {core, &root};
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            start_thread(&threads[i], record_children, &work);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        STATUS(scout_record_span(core, &root), SCOUT_OK);
    }
    flushed(core);
    expect_requests("Controller/shared", 50);
    printf("EXPECT 5000 layer SQL\n");
}

static void *flush_some(void *argument)
{
    scout_core_t core = *(scout_core_t *)argument;
    for (int i = 0; i < 20; i++) {
        scout_status_t status = scout_flush(core, 5000);
        if (status != SCOUT_OK && status != SCOUT_SPOOLED)
            FAIL("flush: %s", scout_status_name(status));
    }
    return NULL;
}

static void flush_from_many(void)
{
    scout_core_t core = core_in("data", NULL);
    pthread_t flushers[4], recorder;
    job_t job = {core, "Controller/flushed by many", 0, 0};
    atomic_store(&stop, 0);
    start_thread(&recorder, record_until_stopped, &job);
    for (int i = 0; i < 4; i++)
        start_thread(&flushers[i], flush_some, &core);
    for (int i = 0; i < 4; i++)
        pthread_join(flushers[i], NULL);
    atomic_store(&stop, 1);
    pthread_join(recorder, NULL);
    flushed(core);
    expect_requests("Controller/flushed by many", job.accepted);
}

static void shutdown_under_load(void)
{
    long accepted = 0;
    for (int round = 0; round < 20; round++) {
        scout_core_t core = core_in("data", NULL);
        pthread_t threads[3];
        job_t jobs[3];
        atomic_store(&stop, 0);
        for (int i = 0; i < 3; i++) {
            jobs[i] = (job_t){core, "Controller/load", 0, 0};
            start_thread(&threads[i], record_until_stopped, &jobs[i]);
        }
        usleep(3000);
        scout_status_t status = scout_shutdown(core, 5000);
        if (status != SCOUT_OK && status != SCOUT_SPOOLED)
            FAIL("shutdown: %s (%s)", scout_status_name(status), last_error());
        atomic_store(&stop, 1);
        for (int i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
            accepted += jobs[i].accepted;
        }
    }
    expect_requests("Controller/load", accepted); /* accepted: delivered, whoever won the race */
}

/* 64 threads whose first records come in the same moment, just after the start. run.py does this a
 * second time on a disk that takes its time to add a chunk. */
static void *record_when_all_are_here(void *argument)
{
    pthread_barrier_wait(&all_recorded);
    return record_many(argument);
}

static void burst(void)
{
    enum { THREADS = 64 };
    scout_core_t core = core_in("data", NULL);
    pthread_t threads[THREADS];
    job_t jobs[THREADS];
    long accepted = 0;
    pthread_barrier_init(&all_recorded, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job_t){core, "Controller/burst", 20, 0};
        start_thread(&threads[i], record_when_all_are_here, &jobs[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        accepted += jobs[i].accepted;
    }
    flushed(core);
    SAME(stat_of(core, "records_dropped_no_room"), 0);
    SAME(accepted, 20 * THREADS);
    expect_requests("Controller/burst", accepted);
}

/* A shutdown, while others do everything there is to do. */
static void *do_everything(void *argument)
{
    job_t *job = argument;
    char text[8192];
    size_t len;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        scout_span_t span = {.struct_size = sizeof span};
        if (scout_span_begin(job->core, NULL, 0, &span) == SCOUT_OK) {
            span.operation = job->operation;
            span.operation_len = strlen(job->operation);
            if (scout_span_end(job->core, &span, NULL, 0) == SCOUT_OK)
                job->accepted++;
        }
        uint32_t name;
        scout_intern(job->core, TEXT("Controller/interned"), &name);
        scout_now(job->core);
        scout_stats(job->core, text, sizeof text, &len);
        scout_diagnose(job->core, text, sizeof text, &len);
        scout_next_log(job->core, text, sizeof text, &len);
        scout_flush(job->core, job->count);
        job->accepted += record_request(job->core, job->operation) == SCOUT_OK;
    }
    return NULL;
}

static void shutdown_races_everything(void)
{
    long accepted = 0;
    for (int round = 0; round < 30; round++) {
        scout_core_t core = core_in("data", NULL);
        pthread_t threads[4];
        job_t jobs[4];
        atomic_store(&stop, 0);
        for (int i = 0; i < 4; i++) {
            jobs[i] = (job_t){core, "Controller/raced", i == 0 ? 5000 : 0, 0};
            start_thread(&threads[i], do_everything, &jobs[i]);
        }
        usleep(500 + random_u64() % 5000);
        scout_status_t status = scout_shutdown(core, 10000);
        if (status != SCOUT_OK && status != SCOUT_SPOOLED)
            FAIL("shutdown: %s (%s)", scout_status_name(status), last_error());
        atomic_store(&stop, 1);
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
            accepted += jobs[i].accepted;
        }
    }
    expect_requests("Controller/raced", accepted);
}

/* Many threads at once, each with little to say: more than there are segments. The surplus shares
 * one, and nothing is refused. */
static void *record_one_and_wait(void *argument)
{
    record_many(argument);
    pthread_barrier_wait(&all_recorded);
    return NULL;
}

static void many_threads_at_once(void)
{
    enum { THREADS = 1000 };
    scout_core_t core = core_in("data", NULL);
    static pthread_t threads[THREADS];
    static job_t jobs[THREADS];
    long accepted = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    pthread_barrier_init(&all_recorded, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job_t){core, "Controller/one of many", 1, 0};
        CHECK(pthread_create(&threads[i], &small, record_one_and_wait, &jobs[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        accepted += jobs[i].accepted;
    }
    flushed(core);
    SAME(stat_of(core, "records_dropped_no_room"), 0);
    CHECK(stat_of(core, "records_shared_segment") > 0);
    SAME(accepted, THREADS);
    expect_requests("Controller/one of many", accepted);
}

/* As fast as they can, for more than the memory holds: what was accepted is delivered, what was
 * not is counted. */
static void *record_at_full_speed(void *argument)
{
    job_t *job = argument;
    uint64_t began = unix_ns();
    scout_span_t span = span_of(NULL, job->operation);
    while (elapsed_ms_since(began) < 1500) {
        for (int i = 0; i < 100; i++) {
            uint64_t id = random_u64() | 1;
            memcpy(span.trace_id, &id, sizeof id);
            if (scout_record_span(job->core, &span) == SCOUT_OK)
                job->accepted++;
            job->count++;
        }
    }
    return NULL;
}

static void saturated(void)
{
    scout_core_t core = core_in("data", ", \"recorder_memory_mib\": 1");
    pthread_t threads[3];
    job_t jobs[3];
    long accepted = 0, tried = 0;
    for (int i = 0; i < 3; i++) {
        jobs[i] = (job_t){core, "Controller/saturated", 0, 0};
        start_thread(&threads[i], record_at_full_speed, &jobs[i]);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        accepted += jobs[i].accepted;
        tried += jobs[i].count;
    }
    flushed(core);
    SAME(accepted + stat_of(core, "records_dropped_no_room"), tried);
    expect_requests("Controller/saturated", accepted);
}

/* A thread's last words: recorded from a destructor of its thread-locals. */
static pthread_key_t last_words;

static void record_in_destructor(void *argument)
{
    record_many(argument);
}

static void *leave_last_words(void *argument)
{
    record_many(argument);
    pthread_setspecific(last_words, argument);
    return NULL;
}

static void thread_destructors(void)
{
    scout_core_t core = core_in("data", NULL);
    STATUS(record_request(core, "Controller/last words"), SCOUT_OK); /* the core's own hook is first */
    pthread_key_create(&last_words, record_in_destructor);
    long accepted = 1;
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        job_t job = {core, "Controller/last words", 1, 0};
        start_thread(&thread, leave_last_words, &job);
        pthread_join(thread, NULL);
        accepted += job.accepted;
    }
    SAME(accepted, 601);
    flushed(core);
    expect_requests("Controller/last words", accepted);
}

/* Voluntary context switches of the core's own threads: how often they woke. */
static long wakeups(void)
{
    char path[320], line[256];
    long sum = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks);
    for (struct dirent *entry; (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file)) {
            long value;
            if (sscanf(line, "voluntary_ctxt_switches: %ld", &value) == 1)
                sum += value;
        }
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return sum;
}

/* An idle host sleeps: a core with nothing to do wakes for nothing but a record. */
static void idle(void)
{
    scout_core_t core = core_in("data", NULL);
    int asleep = 0;
    for (int i = 0; i < 30 && !asleep; i++) {
        long before = wakeups();
        sleep(3);
        asleep = wakeups() == before;
    }
    if (!asleep)
        FAIL("it woke within each of thirty times three seconds");
    uint64_t clock = scout_now(core), system = unix_ns();
    if ((clock > system ? clock - system : system - clock) > 1000000000)
        FAIL("its clock is off: %llu, and not %llu", (unsigned long long)clock, (unsigned long long)system);
    STATUS(record_request(core, "Controller/idle"), SCOUT_OK);
    for (int i = 0; i < 600 && stat_of(core, "records_drained") < 1; i++)
        usleep(100000);
    SAME(stat_of(core, "records_drained"), 1);
    flushed(core);
    expect_requests("Controller/idle", 1);
}

const test_t thread_tests[] = {
    {"thread-exit", thread_exit},
    {"short-lived-threads", short_lived_threads},
    {"ten-thousand-threads", ten_thousand_threads},
    {"shared-request", shared_request},
    {"flush-from-many", flush_from_many},
    {"shutdown-under-load", shutdown_under_load},
    {"burst", burst},
    {"shutdown-races-everything", shutdown_races_everything},
    {"many-threads-at-once", many_threads_at_once},
    {"saturated", saturated},
    {"idle", idle},
    {"thread-destructors", thread_destructors},
    {NULL, NULL},
};
