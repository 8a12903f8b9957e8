/* Work shared by the device's threads.
 *
 * Who does which part is a function of the sizes and the number of threads alone, so that the same call gives the same
 * bits. There are no barriers inside a piece of work: where one part needs another's result, there are two calls. */
#ifndef SCRY_CPU_THREADS_H
#define SCRY_CPU_THREADS_H

#include "scry/backend.h"

/* Threads that wait for work. Between two pieces they look for the next for some microseconds, then sleep: an idle
 * device takes no time from others. */
struct scry__cpu_pool;

typedef void scry__cpu_work(const void *job, int part, int parts);

/* A pool of *threads - 1 threads and the caller; *threads is lowered where the system gives fewer. With one thread
 * there is no pool, and *out is NULL. */
scry_status scry__cpu_pool_create(struct scry__cpu_pool **out, const struct scry_host *host, int *threads);
void        scry__cpu_pool_destroy(struct scry__cpu_pool **pool);

/* Calls work(job, part, parts) for each part 0 <= part < parts, all at once; returns when all are done. `parts` is the
 * pool's number of threads, or 1, for work that is not worth waking the others for. */
void scry__cpu_parallel(struct scry__cpu_pool *pool, int parts, scry__cpu_work *work, const void *job);

/* The part's share [*begin, *end) of `count` things, in whole multiples of `unit` save for the last. */
static inline void scry__cpu_share(int64_t count, int64_t unit, int part, int parts, int64_t *begin, int64_t *end)
{
    int64_t units = (count + unit - 1) / unit;
    *begin        = units * part / parts * unit;
    *end          = units * (part + 1) / parts * unit;
    if (*begin > count) *begin = count;
    if (*end > count) *end = count;
}

/* How many parts are worth their start for `work` elements of the simplest kind, of which a thread does some 2^12 in a
 * microsecond. */
static inline int scry__cpu_parts(int threads, double work)
{
    return work < 1 << 15 ? 1 : threads;
}

#endif
