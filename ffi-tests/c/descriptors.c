/* A host that closes all descriptors, ours too, and opens files of its own under their numbers: as
 * programs do that become daemons. */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { FIRST = 3, LAST = 255 };

/* Closes what is open, and opens one file under all of the numbers. */
static void close_all_and_open_others(const char *path)
{
    int file, tries = 0;
    do {
        for (int fd = FIRST; fd <= LAST; fd++)
            close(fd);
        file = open(path, O_RDWR | O_CREAT, 0600);
        /* A thread of the core's may have opened something in between. */
    } while (file != FIRST && ++tries < 100);
    CHECK(file == FIRST);
    CHECK(write(file, "untouched", 9) == 9);
    for (int fd = FIRST + 1; fd <= LAST; fd++) {
        int got;
        /* Linux says so while a thread of the core's is just opening something as that number. */
        while ((got = dup2(file, fd)) < 0 && errno == EBUSY)
            sched_yield();
        CHECK(got == fd);
    }
}

/* All of the numbers still stand for it, and nobody wrote there. */
static void check_others(void)
{
    struct stat first, stat;
    CHECK(fstat(FIRST, &first) == 0);
    SAME(first.st_size, 9);
    char text[9];
    CHECK(pread(FIRST, text, 9, 0) == 9 && memcmp(text, "untouched", 9) == 0);
    for (int fd = FIRST; fd <= LAST; fd++) {
        if (fstat(fd, &stat) != 0)
            FAIL("descriptor %d was closed", fd);
        SAME(stat.st_ino, first.st_ino);
    }
}

static void in_test_dir(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", getenv("TEST_DIR"), name);
}

/* Runs `work` in a child that shares nothing of ours: a core of its own, in the same directory. */
static void in_a_child(void (*work)(void))
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        work();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        FAIL("a child ended with status %#x", (unsigned)status);
}

/* A newcomer to the spool: it looks for files of dead processes before anything else. */
static void recover_nothing(void)
{
    scout_core_t core = core_in("data", NULL);
    STATUS(record_request(core, "Controller/newcomer"), SCOUT_OK);
    flushed(core);
    SAME(stat_of(core, "recovered_files"), 0);
    scout_status_t status = scout_shutdown(core, 5000);
    CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
}

/* The lock of the living one's file is free, and stays free: it has no thread to renew it. */
static void lock_is_lost(void)
{
    scout_core_t core = core_in("data", ", \"background\": false");
    for (int i = 0; i < 100; i++)
        STATUS(record_request(core, "Controller/daemon"), SCOUT_OK);
    char path[512];
    in_test_dir(path, sizeof path, "innocent");
    close_all_and_open_others(path);
    for (int i = 0; i < 3; i++)
        in_a_child(recover_nothing);
    for (int i = 0; i < 100; i++)
        STATUS(record_request(core, "Controller/daemon"), SCOUT_OK);
    flushed(core);
    check_others();
    scout_status_t status = scout_shutdown(core, 5000);
    CHECK(status == SCOUT_OK || status == SCOUT_SPOOLED);
    check_others();
    expect_requests("Controller/daemon", 200);
    expect_requests("Controller/newcomer", 3);
}

/* Whether a process has locked the one segment file below a directory. */
static int holder_of_segments(void)
{
    char command[1024], path[1024] = "";
    snprintf(command, sizeof command, "find %s/data/spool -name '*.segments'", getenv("TEST_DIR"));
    FILE *found = popen(command, "r");
    CHECK(found && fgets(path, sizeof path, found));
    pclose(found);
    path[strcspn(path, "\n")] = '\0';
    int file = open(path, O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CHECK(file >= 0 && fcntl(file, F_GETLK, &lock) == 0);
    return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

static pid_t daemon_id;

static void wait_for_lock(void)
{
    uint64_t began = unix_ns();
    while (holder_of_segments() != daemon_id) {
        if (elapsed_ms_since(began) > 20000)
            FAIL("the lock was not renewed");
        usleep(20000);
    }
}

/* With its thread, it takes the lock again; threads go on recording, beyond the memory there was. */
static void lock_is_renewed(void)
{
    daemon_id = getpid();
    scout_core_t core = core_in("data", NULL);
    STATUS(record_request(core, "Controller/daemon"), SCOUT_OK);
    /* Its thread has looked around by then: a file that it just has open cannot be kept from us. */
    flushed(core);
    char path[512];
    in_test_dir(path, sizeof path, "innocent");
    close_all_and_open_others(path);
    pthread_t threads[32];
    job_t jobs[32];
    for (int i = 0; i < 32; i++) {
        jobs[i] = (job_t){core, "Controller/daemon", 500, 0};
        start_thread(&threads[i], record_many, &jobs[i]);
    }
    in_a_child(recover_nothing);
    long accepted = 1;
    for (int i = 0; i < 32; i++) {
        pthread_join(threads[i], NULL);
        accepted += jobs[i].accepted;
    }
    SAME(accepted, 16001);
    in_a_child(wait_for_lock);
    SAME(stat_of(core, "recorder_on_file"), 1);
    flushed(core);
    check_others();
    expect_requests("Controller/daemon", accepted);
    expect_requests("Controller/newcomer", 1);
}

/* A pipe that nobody reads kills, as it does without us: no handler of ours, nothing ignored. */
static void default_signals(void)
{
    scout_core_t core = core_in("data", NULL);
    STATUS(record_request(core, "Controller/signals"), SCOUT_OK);
    for (int signal = 1; signal < 32; signal++) {
        struct sigaction action;
        if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            FAIL("signal %d is not as it was", signal);
    }
    flushed(core);
    expect_requests("Controller/signals", 1);
}

const test_t descriptor_tests[] = {
    {"all-descriptors-closed", lock_is_lost},
    {"all-descriptors-closed-and-lock-renewed", lock_is_renewed},
    {"default-signals", default_signals},
    {NULL, NULL},
};
