/* The parallel region. See threads.h. */
#include "threads.h"

#include <omp.h>

void scry__cpu_parallel(int parts, scry__cpu_work *work, const void *job)
{
    if (parts == 1) {
        work(job, 0, 1);
        return;
    }
    /* The runtime may give fewer threads than asked for; every part is done all the same. */
#pragma omp parallel num_threads(parts)
    for (int part = omp_get_thread_num(); part < parts; part += omp_get_num_threads()) work(job, part, parts);
}
