/* What the C programs here measure by: requests of one root and fifteen children, in bursts with a
 * pause after each, so that nobody's queue overflows; the same in src/main.rs. */
#ifndef BURSTS_H
#define BURSTS_H

#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

enum { CHILDREN = 15, BURST = 64, PAUSE_US = 1000 };

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((uint64_t)u.ru_utime.tv_sec + (uint64_t)u.ru_stime.tv_sec) * 1000000000u +
           ((uint64_t)u.ru_utime.tv_usec + (uint64_t)u.ru_stime.tv_usec) * 1000u;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

#endif
