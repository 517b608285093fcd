/* Forked children: each records and flushes, none hangs, nothing is lost or twice. */
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

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

/* Forks from a process whose threads are busy recording: every child records and flushes. 500 of
 * them, or $FORKS. */
static void forks(void)
{
    enum { AT_ONCE = 4 };
    const long FORKS = getenv("FORKS") ? atol(getenv("FORKS")) : 500;
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
    for (long n = 0; n < FORKS + AT_ONCE; n++) {
        long place = n % AT_ONCE;
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

/* Children that no handler is told of: a raw clone. They are noticed all the same, and never write
 * where their parent does. (The parent has no other threads: such a child inherits their locks.) */
static void raw_clone(void)
{
    scout_core_t core = core_in("data", ", \"background\": false");
    uint32_t name;
    STATUS(scout_intern(core, TEXT("Controller/child"), &name), SCOUT_OK);
    for (int n = 0; n < 20; n++) {
        STATUS(record_request(core, "Controller/parent"), SCOUT_OK);
        uint64_t began = unix_ns();
        pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
        CHECK(child >= 0);
        if (child == 0)
            child_works(core, name);
        STATUS(record_request(core, "Controller/parent"), SCOUT_OK);
        reap(child, began);
        STATUS(record_request(core, "Controller/parent"), SCOUT_OK);
    }
    flushed(core);
    expect_requests("Controller/child", 20);
    expect_requests("Controller/parent", 60);
}

/* A child that borrows its parent's memory is its parent, to us, until it execs or ends. */
static void vforks(void)
{
    scout_core_t core = core_in("data", NULL);
    STATUS(record_request(core, "Controller/vfork"), SCOUT_OK);
    for (int n = 0; n < 50; n++) {
        uint64_t began = unix_ns();
        pid_t child = vfork();
        CHECK(child >= 0);
        if (child == 0) {
            if (n % 2)
                _exit(record_request(core, "Controller/vfork") == SCOUT_OK ? 0 : 1);
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        reap(child, began);
        STATUS(record_request(core, "Controller/vfork"), SCOUT_OK);
    }
    flushed(core);
    expect_requests("Controller/vfork", 76);
}

const test_t fork_tests[] = {
    {"forks", forks},
    {"fork-shapes", fork_shapes},
    {"raw-clone", raw_clone},
    {"vfork", vforks},
    {NULL, NULL},
};
