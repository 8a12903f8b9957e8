/* Work shared by the device's threads.
 *
 * Who does which part is a function of the sizes and the number of threads alone, so that the same call gives the same
 * bits. There are no barriers inside a piece of work: where one part needs another's result, there are two calls. */
#ifndef SCRY_CPU_THREADS_H
#define SCRY_CPU_THREADS_H

#include <stdint.h>

typedef void scry__cpu_work(const void *job, int part, int parts);

/* Calls work(job, part, parts) for each part 0 <= part < parts, all at once; returns when all are done. One part runs
 * in the calling thread without waking another. */
void scry__cpu_parallel(int parts, scry__cpu_work *work, const void *job);

/* The part's share [*begin, *end) of `count` things, in whole multiples of `unit` save for the last. */
static inline void scry__cpu_share(int64_t count, int64_t unit, int part, int parts, int64_t *begin, int64_t *end)
{
    int64_t units = (count + unit - 1) / unit;
    *begin        = units * part / parts * unit;
    *end          = units * (part + 1) / parts * unit;
    if (*begin > count) *begin = count;
    if (*end > count) *end = count;
}

/* How many parts are worth their start for `work` units of which one thread does about 2^15 in ten microseconds. */
static inline int scry__cpu_parts(int threads, double work)
{
    return work < 1 << 15 ? 1 : threads;
}

#endif
