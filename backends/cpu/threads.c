/* The pool of threads. See threads.h. */
#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>

/* Looks at a word that another thread will change before sleeping: some 20 microseconds, about what waking costs. */
enum { LOOKS = 1000 };

struct scry__cpu_pool {
    const struct scry_host *host;
    int                     threads, created;
    pthread_mutex_t         lock;
    pthread_cond_t          start, done;
    atomic_uint             call;      /* counts the pieces of work; its change starts one */
    atomic_int              under_way; /* threads besides the caller's that have not finished it */
    atomic_bool             stop;
    scry__cpu_work         *work;
    const void             *job;
    struct worker {
        struct scry__cpu_pool *pool;
        int                    part;
        pthread_t              thread;
    } workers[];
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Waits until the call counter differs from `seen`; returns it. */
static unsigned wait_for_call(struct scry__cpu_pool *pool, unsigned seen)
{
    for (int look = 0; look < LOOKS; look++) {
        unsigned call = atomic_load_explicit(&pool->call, memory_order_acquire);
        if (call != seen) return call;
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->call) == seen) pthread_cond_wait(&pool->start, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    return atomic_load(&pool->call);
}

static void *serve(void *argument)
{
    struct worker         *worker = argument;
    struct scry__cpu_pool *pool   = worker->pool;
    for (unsigned seen = 0;;) {
        seen = wait_for_call(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        pool->work(pool->job, worker->part, pool->threads);
        if (atomic_fetch_sub(&pool->under_way, 1) != 1) continue;
        /* The lock makes sure that the caller is either asleep already or will look again. */
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->done);
        pthread_mutex_unlock(&pool->lock);
    }
}

static void begin_call(struct scry__cpu_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->call, 1);
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
}

static void end_call(struct scry__cpu_pool *pool)
{
    for (int look = 0; look < LOOKS; look++) {
        if (!atomic_load_explicit(&pool->under_way, memory_order_acquire)) return;
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->under_way)) pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void scry__cpu_parallel(struct scry__cpu_pool *pool, int parts, scry__cpu_work *work, const void *job)
{
    if (parts == 1) {
        work(job, 0, 1);
        return;
    }
    pool->work = work;
    pool->job  = job;
    atomic_store(&pool->under_way, parts - 1);
    begin_call(pool);
    work(job, 0, parts);
    end_call(pool);
}

scry_status scry__cpu_pool_create(struct scry__cpu_pool **out, const struct scry_host *host, int *threads)
{
    *out = NULL;
    if (*threads == 1) return SCRY_OK;
    size_t                 extra = (size_t)*threads - 1;
    struct scry__cpu_pool *pool  = host->allocate(1, sizeof *pool + extra * sizeof pool->workers[0]);
    if (!pool) return SCRY_OUT_OF_MEMORY;
    pool->host = host;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (size_t i = 0; i < extra; i++) {
        struct worker *worker = &pool->workers[i];
        *worker               = (struct worker){.pool = pool, .part = (int)i + 1};
        if (pthread_create(&worker->thread, NULL, serve, worker)) break;
        pool->created++;
    }
    /* Set before the first call, which publishes it to the threads. */
    pool->threads = *threads = pool->created + 1;
    *out                     = pool;
    if (!pool->created) scry__cpu_pool_destroy(out);
    return SCRY_OK;
}

void scry__cpu_pool_destroy(struct scry__cpu_pool **pool)
{
    if (!*pool) return;
    atomic_store(&(*pool)->stop, true);
    begin_call(*pool);
    for (int i = 0; i < (*pool)->created; i++) pthread_join((*pool)->workers[i].thread, NULL);
    pthread_cond_destroy(&(*pool)->done);
    pthread_cond_destroy(&(*pool)->start);
    pthread_mutex_destroy(&(*pool)->lock);
    (*pool)->host->release(*pool);
    *pool = NULL;
}
