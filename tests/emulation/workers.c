/* OS threads that run the blocks of a launch: each takes the next one. They wait while nothing is launched. */
#include "emulation.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST_WORKERS = 16 };

/* Beside the thread that launches, which works too and is number 0. */
static struct {
    pthread_t          threads[MOST_WORKERS];
    struct scry__crew *crews[MOST_WORKERS];
    int                count, holders, busy;
    bool               ends;
    long               number; /* of the launch */
    pthread_mutex_t    lock;
    pthread_cond_t     begin, done;
} workers = {.lock = PTHREAD_MUTEX_INITIALIZER, .begin = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

/* The launch that runs. */
static struct {
    const struct scry__emulated_launch *launch;
    atomic_uint                         next; /* block */
    atomic_bool                         failed;
    char                                reason[256]; /* under the lock */
} job;

#ifdef SCRY_EMULATED_TSAN
/* Dealt out, so that a race between neighbouring blocks is one between OS threads, however they are scheduled. */
enum { FEW_THREADS = 0 };

static unsigned first_block(int number)
{
    return (unsigned)number;
}

static unsigned next_block(unsigned block)
{
    return block + (unsigned)workers.count;
}
#else
enum { FEW_THREADS = 512 }; /* are done before another OS thread has woken up */

static unsigned next_block(unsigned block)
{
    (void)block;
    return atomic_fetch_add(&job.next, 1);
}

static unsigned first_block(int number)
{
    (void)number;
    return next_block(0);
}
#endif

static void work(int number)
{
    char reason[256];
    bool fine = true;
    if (!workers.crews[number]) workers.crews[number] = scry__crew_create();
    if (!workers.crews[number]) fine = false, snprintf(reason, sizeof reason, "no memory for a crew");
    for (unsigned block = first_block(number); fine && !job.failed && block < job.launch->blocks;
         block          = next_block(block))
        fine = scry__crew_run(workers.crews[number], job.launch, block, reason, sizeof reason);
    if (fine) return;
    pthread_mutex_lock(&workers.lock);
    if (!job.failed) snprintf(job.reason, sizeof job.reason, "%s", reason);
    job.failed = true;
    pthread_mutex_unlock(&workers.lock);
}

static void *run_worker(void *context)
{
    int  number = (int)(intptr_t)context;
    long seen   = 0;
    pthread_mutex_lock(&workers.lock);
    for (;;) {
        while (!workers.ends && workers.number == seen) pthread_cond_wait(&workers.begin, &workers.lock);
        if (workers.ends) break;
        seen = workers.number;
        pthread_mutex_unlock(&workers.lock);
        work(number);
        pthread_mutex_lock(&workers.lock);
        if (--workers.busy == 0) pthread_cond_signal(&workers.done);
    }
    pthread_mutex_unlock(&workers.lock);
    return NULL;
}

void scry__workers_hold(void)
{
    if (workers.holders++) return;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 2) cores = 2; /* races between blocks take two */
    workers.count  = 1;
    workers.ends   = false;
    workers.number = 0;
    while (workers.count < cores && workers.count < MOST_WORKERS &&
           !pthread_create(&workers.threads[workers.count], NULL, run_worker, (void *)(intptr_t)workers.count))
        workers.count++;
}

void scry__workers_release(void)
{
    if (--workers.holders) return;
    pthread_mutex_lock(&workers.lock);
    workers.ends = true;
    pthread_cond_broadcast(&workers.begin);
    pthread_mutex_unlock(&workers.lock);
    for (int i = 1; i < workers.count; i++) pthread_join(workers.threads[i], NULL);
    for (int i = 0; i < workers.count; i++) scry__crew_destroy(&workers.crews[i]);
}

bool scry__workers_run(const struct scry__emulated_launch *launch, char *reason, size_t size)
{
    bool alone = launch->blocks == 1 || (uint64_t)launch->blocks * launch->threads <= FEW_THREADS;
    job.launch = launch;
    job.next   = 0;
    job.failed = false;
    if (!alone) {
        pthread_mutex_lock(&workers.lock);
        workers.busy = workers.count - 1;
        workers.number++;
        pthread_cond_broadcast(&workers.begin);
        pthread_mutex_unlock(&workers.lock);
    }
    work(0);
    if (!alone) {
        pthread_mutex_lock(&workers.lock);
        while (workers.busy) pthread_cond_wait(&workers.done, &workers.lock);
        pthread_mutex_unlock(&workers.lock);
    }
    if (job.failed) snprintf(reason, size, "kernel %s, %s", launch->kernel->name, job.reason);
    return !job.failed;
}
