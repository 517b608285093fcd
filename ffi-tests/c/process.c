/* The core inside a process: threads, forks, signals, exits, contained faults, other cores. */
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static atomic_int stop;

/* ---- threads ------------------------------------------------------------------------------ */

typedef struct {
    scout_core_t core;
    const char *operation;
    long count;
    long accepted;
} job_t;

static void *record_many(void *argument)
{
    job_t *job = argument;
    for (long i = 0; i < job->count; i++) {
        scout_status_t status = record_request(job->core, job->operation);
        if (status == SCOUT_OK)
            job->accepted++;
        else if (status != SCOUT_E_DROPPED && status != SCOUT_E_SHUT_DOWN)
            FAIL("record: %s", scout_status_name(status));
    }
    return NULL;
}

static void *record_until_stopped(void *argument)
{
    job_t *job = argument;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        job_t some = {job->core, job->operation, 50, 0};
        record_many(&some);
        job->accepted += some.accepted;
        usleep(1000);
    }
    return NULL;
}

static void start_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
    int failed = pthread_create(thread, NULL, run, argument);
    if (failed)
        FAIL("pthread_create: %s", strerror(failed));
}

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

/* Many threads at once, each with little to say. Each holds a segment of 64 KiB for as long as it
 * lives: where there are more threads than segments, what the surplus records is refused and
 * counted. (Twice the default memory serves these.) */
static pthread_barrier_t all_recorded;

static void *record_one_and_wait(void *argument)
{
    record_many(argument);
    pthread_barrier_wait(&all_recorded);
    return NULL;
}

static void many_threads_at_once(void)
{
    enum { THREADS = 400 };
    scout_core_t core = core_in("data", ", \"recorder_memory_mib\": 32");
    static pthread_t threads[THREADS];
    static job_t jobs[THREADS];
    long accepted = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
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
    SAME(accepted + stat_of(core, "records_dropped_no_room"), THREADS);
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

/* ---- cores -------------------------------------------------------------------------------- */

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

static void eight_cores(void)
{
    scout_core_t cores[8], ninth = UNTOUCHED;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 8; i++) {
            char folder[16];
            snprintf(folder, sizeof folder, "data%d", i);
            cores[i] = core_in(folder, NULL);
            STATUS(record_request(cores[i], "Controller/one of eight"), SCOUT_OK);
        }
        STATUS(start_in("ninth", NULL, &ninth), SCOUT_E_LIMIT);
        SAME(ninth, UNTOUCHED);
        for (int i = 0; i < 8; i++) {
            scout_status_t status = scout_shutdown(cores[i], 5000);
            CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
        }
    }
    expect_requests("Controller/one of eight", 40);
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

static void switched_off(void)
{
    scout_core_t core = 0;
    STATUS(start_in("data", ", \"monitor\": false", &core), SCOUT_E_DISABLED);
    STATUS(record_request(core, "Controller/off"), SCOUT_E_HANDLE);
    expect_requests("Controller/off", 0);
}

/* ---- fork --------------------------------------------------------------------------------- */

/* Waits for a child without hanging itself; kills and reports one that hangs. */
static void reap(pid_t child, uint64_t began)
{
    int status;
    for (;;) {
        pid_t done = waitpid(child, &status, WNOHANG);
        if (done == child)
            break;
        if (done < 0)
            FAIL("waitpid: %s", strerror(errno));
        if (elapsed_ms_since(began) > 10000) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            FAIL("a child hung");
        }
        usleep(200);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        FAIL("a child ended with status %#x", (unsigned)status);
}

/* What a child does with what it inherited: record, flush. */
static void child_works(scout_core_t core, uint32_t name)
{
    scout_span_t span = span_of(NULL, "");
    span.operation_id = name;
    scout_status_t status = scout_record_span(core, &span);
    if (status != SCOUT_OK)
        FAIL("in a child: record: %s (%s)", scout_status_name(status), last_error());
    status = scout_flush(core, 8000);
    if (status != SCOUT_OK && status != SCOUT_SPOOLED)
        FAIL("in a child: flush: %s (%s)", scout_status_name(status), last_error());
    _exit(0);
}

/* 500 forks from a process whose threads are busy recording: every child records and flushes. */
static void forks(void)
{
    enum { FORKS = 500, AT_ONCE = 4 };
    scout_core_t core = core_in("data", NULL);
    uint32_t name;
    STATUS(scout_intern(core, TEXT("Controller/child"), &name), SCOUT_OK);
    pthread_t threads[3];
    job_t jobs[3];
    atomic_store(&stop, 0);
    for (int i = 0; i < 3; i++) {
        jobs[i] = (job_t){core, "Controller/parent", 0, 0};
        start_thread(&threads[i], record_until_stopped, &jobs[i]);
    }
    pid_t children[AT_ONCE];
    uint64_t began[AT_ONCE];
    for (int n = 0; n < FORKS + AT_ONCE; n++) {
        int place = n % AT_ONCE;
        if (n >= AT_ONCE)
            reap(children[place], began[place]);
        if (n < FORKS) {
            began[place] = unix_ns();
            children[place] = fork();
            if (children[place] < 0)
                FAIL("fork: %s", strerror(errno));
            if (children[place] == 0)
                child_works(core, name);
        }
    }
    atomic_store(&stop, 1);
    long accepted = 0;
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        accepted += jobs[i].accepted;
    }
    flushed(core);
    expect_requests("Controller/child", FORKS);
    expect_requests("Controller/parent", accepted);
}

/* The shapes of real servers: a master that never records, children of children, a child that
 * outlives a shutdown in its parent, a fork after shutdown, fork and exec. */
static void fork_shapes(void)
{
    scout_core_t core = core_in("data", NULL);
    uint32_t name;
    STATUS(scout_intern(core, TEXT("Controller/worker"), &name), SCOUT_OK);
    uint64_t began = unix_ns();

    pid_t child = fork(); /* preload, then fork */
    if (child == 0)
        child_works(core, name);
    reap(child, began);

    child = fork(); /* a grandchild */
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0)
            child_works(core, name);
        reap(grandchild, unix_ns());
        child_works(core, name);
    }
    reap(child, began);

    STATUS(record_request(core, "Controller/master"), SCOUT_OK); /* unflushed at the fork */
    child = fork(); /* the child shuts down; the parent goes on */
    if (child == 0) {
        STATUS(record_request(core, "Controller/worker"), SCOUT_OK);
        scout_status_t status = scout_shutdown(core, 8000);
        CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
        STATUS(record_request(core, "Controller/worker"), SCOUT_E_SHUT_DOWN);
        _exit(0);
    }
    reap(child, began);
    STATUS(record_request(core, "Controller/master"), SCOUT_OK);

    child = fork(); /* fork and exec */
    if (child == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    reap(child, began);

    scout_status_t status = scout_shutdown(core, 5000);
    CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
    child = fork(); /* after shutdown: still shut down */
    if (child == 0) {
        STATUS(record_request(core, "Controller/worker"), SCOUT_E_SHUT_DOWN);
        scout_core_t own = core_in("own", NULL); /* and a new one can be had */
        STATUS(record_request(own, "Controller/worker"), SCOUT_OK);
        flushed(own);
        _exit(0);
    }
    reap(child, began);
    expect_requests("Controller/worker", 5);
    expect_requests("Controller/master", 2);
}

/* ---- signals ------------------------------------------------------------------------------ */

static atomic_int signals_seen;
static atomic_int wrong_thread;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals_seen, 1);
    if (syscall(SYS_gettid) != getpid())
        atomic_store(&wrong_thread, 1);
}

/* The core's threads take no signal of the host's, and its handlers are left alone. */
static void signals(void)
{
    struct sigaction before[65], after;
    for (int number = 1; number < 32; number++)
        sigaction(number, NULL, &before[number]);
    scout_core_t core = core_in("data", NULL);
    STATUS(record_request(core, "Controller/signals"), SCOUT_OK);
    flushed(core);
    for (int number = 1; number < 32; number++) {
        sigaction(number, NULL, &after);
        if (after.sa_handler != before[number].sa_handler)
            FAIL("the disposition of signal %d changed", number);
    }

    struct sigaction action = {.sa_handler = on_signal};
    int numbers[] = {SIGTERM, SIGALRM, SIGUSR1, SIGPROF};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
    int sent = 0;
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            STATUS(record_request(core, "Controller/signals"), SCOUT_OK);
            kill(getpid(), numbers[i]); /* to the process: any thread that does not block it */
            sent++;
        }
        usleep(200);
    }
    for (int waited = 0; atomic_load(&signals_seen) < sent && waited < 2000; waited++)
        usleep(1000);
    SAME(atomic_load(&signals_seen), sent);
    SAME(atomic_load(&wrong_thread), 0);

    alarm(1); /* one that comes while this thread waits in the core */
    flushed(core);
    for (int waited = 0; atomic_load(&signals_seen) < sent + 1 && waited < 3000; waited++)
        usleep(1000);
    SAME(atomic_load(&signals_seen), sent + 1);
    SAME(atomic_load(&wrong_thread), 0);
    flushed(core);
    expect_requests("Controller/signals", 201);
}

/* A handler that records while the thread is recording: a status, never a deadlock. */
static scout_core_t interrupted_core;
static atomic_long from_handler;

static void record_in_handler(int number)
{
    (void)number;
    int saved = errno;
    scout_status_t status = record_request(interrupted_core, "Controller/in a handler");
    if (status == SCOUT_OK)
        atomic_fetch_add(&from_handler, 1);
    else if (status != SCOUT_E_BUSY && status != SCOUT_E_DROPPED)
        _exit(3);
    errno = saved;
}

static void reentrant(void)
{
    interrupted_core = core_in("data", NULL);
    random_u64(); /* seeded outside the handler */
    struct sigaction action = {.sa_handler = record_in_handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    uint64_t began = unix_ns();
    long accepted = 0;
    while (elapsed_ms_since(began) < 500)
        accepted += record_request(interrupted_core, "Controller/interrupted") == SCOUT_OK;
    setitimer(ITIMER_REAL, &never, NULL);
    flushed(interrupted_core);
    CHECK(atomic_load(&from_handler) > 0);
    expect_requests("Controller/interrupted", accepted);
    expect_requests("Controller/in a handler", atomic_load(&from_handler));
}

/* A receiver that hangs up at once, with SIGPIPE as deadly as it is by default. */
static void *hang_up(void *argument)
{
    int listener = *(int *)argument;
    while (!atomic_load(&stop)) {
        struct pollfd wait = {.fd = listener, .events = POLLIN};
        if (poll(&wait, 1, 20) > 0) {
            int connection = accept(listener, NULL, NULL);
            struct linger hard = {1, 0};
            setsockopt(connection, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
            close(connection);
        }
    }
    return NULL;
}

static void sigpipe(void)
{
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(listener, 16) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    pthread_t receiver;
    atomic_store(&stop, 0);
    start_thread(&receiver, hang_up, &listener);

    char more[128];
    snprintf(more, sizeof more, ", \"key\": \"k\", \"destination\": \"http://127.0.0.1:%d\"",
             ntohs(address.sin_port));
    scout_core_t core = core_in("data", more);
    for (int i = 0; i < 20; i++) {
        for (int n = 0; n < 200; n++)
            record_request(core, "Controller/unheard");
        scout_status_t status = scout_flush(core, 1000);
        CHECK(status == SCOUT_SPOOLED || status == SCOUT_E_TIMEOUT ||
              status == SCOUT_E_UNDELIVERED);
    }
    scout_status_t status = scout_shutdown(core, 1000);
    CHECK(status == SCOUT_SPOOLED || status == SCOUT_E_TIMEOUT || status == SCOUT_E_UNDELIVERED);
    atomic_store(&stop, 1);
    pthread_join(receiver, NULL);
}

/* ---- contained faults --------------------------------------------------------------------- */

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

/* A host that closes every descriptor it did not open: daemons do. */
static void descriptors_closed(void)
{
    scout_core_t core = core_in("data", NULL);
    STATUS(record_request(core, "Controller/closed"), SCOUT_OK);
    flushed(core);
    for (int descriptor = 3; descriptor < 256; descriptor++)
        close(descriptor);
    for (int i = 0; i < 100; i++)
        record_request(core, "Controller/closed");
    scout_flush(core, 1000);
    scout_shutdown(core, 1000);
}

const test_t process_tests[] = {
    {"thread-exit", thread_exit},
    {"short-lived-threads", short_lived_threads},
    {"shared-request", shared_request},
    {"many-threads-at-once", many_threads_at_once},
    {"saturated", saturated},
    {"thread-destructors", thread_destructors},
    {"flush-from-many", flush_from_many},
    {"shutdown-under-load", shutdown_under_load},
    {"two-cores", two_cores},
    {"shared-directory", shared_directory},
    {"eight-cores", eight_cores},
    {"without-background", without_background},
    {"switched-off", switched_off},
    {"forks", forks},
    {"fork-shapes", fork_shapes},
    {"signals", signals},
    {"reentrant", reentrant},
    {"sigpipe", sigpipe},
    {"panic-in-record", panic_in_record},
    {"panic-in-worker", panic_in_worker},
    {"no-directory", no_directory},
    {"no-descriptors", no_descriptors},
    {"descriptors-closed", descriptors_closed},
    {NULL, NULL},
};
