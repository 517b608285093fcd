/* The host's signals stay the host's. */
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

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

const test_t signal_tests[] = {
    {"signals", signals},
    {"reentrant", reentrant},
    {"sigpipe", sigpipe},
    {NULL, NULL},
};
