/*
 * Preloaded into a host: makes the n-th call of a kind a short one, as a kernel may at any time.
 *
 *     SHIM_CALL=write SHIM_AT=3 [SHIM_THEN=number] LD_PRELOAD=shim.so host ...
 *
 * The call is really made, with half of its bytes. With SHIM_THEN, every later call on a descriptor
 * of that number fails with that error, as on a disk that is full by now; with -1, the process is
 * killed when the half is through. Calls of one byte cannot be
 * short and do not count; none count before `shim_arm`. SHIM_FIRED names a file that is made when the
 * call has come.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *kind, *fired;
static long at, then;
static long count = -1; /* below 0: not armed */
static int full = -1;

void shim_arm(void)
{
    const char *number = getenv("SHIM_AT"), *error = getenv("SHIM_THEN");
    kind = getenv("SHIM_CALL");
    fired = getenv("SHIM_FIRED");
    at = number ? atol(number) : 0;
    then = error ? atol(error) : 0;
    if (kind && fired) __atomic_store_n(&count, 0, __ATOMIC_SEQ_CST);
}

/* A short call is through. */
static ssize_t done(ssize_t result, size_t len, ssize_t some)
{
    if ((size_t)some < len && then < 0) kill(getpid(), SIGKILL);
    return result;
}

/* How many of `len` bytes a call is given; -1 when it fails. */
static ssize_t given(const char *call, int fd, size_t len)
{
    if (__atomic_load_n(&count, __ATOMIC_SEQ_CST) < 0 || len < 2 || strcmp(call, kind) != 0) return (ssize_t)len;
    if (fd == __atomic_load_n(&full, __ATOMIC_SEQ_CST)) {
        errno = (int)then;
        return -1;
    }
    if (__atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST) != at) return (ssize_t)len;
    int file = open(fired, O_WRONLY | O_CREAT, 0600);
    if (file >= 0) close(file);
    if (then > 0) __atomic_store_n(&full, fd, __ATOMIC_SEQ_CST);
    return (ssize_t)(len / 2);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t len)
{
    REAL(write);
    ssize_t some = given("write", fd, len);
    return some < 0 ? -1 : done(real(fd, bytes, (size_t)some), len, some);
}

ssize_t read(int fd, void *bytes, size_t len)
{
    REAL(read);
    ssize_t some = given("read", fd, len);
    return some < 0 ? -1 : real(fd, bytes, (size_t)some);
}

ssize_t pread64(int fd, void *bytes, size_t len, off64_t offset)
{
    REAL(pread64);
    ssize_t some = given("pread", fd, len);
    return some < 0 ? -1 : real(fd, bytes, (size_t)some, offset);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t offset)
{
    return pread64(fd, bytes, len, offset);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    REAL(send);
    ssize_t some = given("send", fd, len);
    return some < 0 ? -1 : done(real(fd, bytes, (size_t)some, flags), len, some);
}

ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
    REAL(recv);
    ssize_t some = given("recv", fd, len);
    return some < 0 ? -1 : real(fd, bytes, (size_t)some, flags);
}

/* Only the first of several pieces. */
ssize_t writev(int fd, const struct iovec *pieces, int number)
{
    REAL(writev);
    size_t len = 0;
    for (int n = 0; n < number; n++) len += pieces[n].iov_len;
    ssize_t some = given("writev", fd, len);
    if (some < 0) return -1;
    if ((size_t)some == len || number < 1) return real(fd, pieces, number);
    struct iovec first = pieces[0];
    if (first.iov_len > (size_t)some) first.iov_len = (size_t)some;
    return real(fd, &first, 1);
}
