/* Telling callers how far long work is, and stopping where they say so. */
#ifndef SCRY_ANALYSIS_PROGRESS_H
#define SCRY_ANALYSIS_PROGRESS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* The callback of an analysis' options, and the steps so far. */
typedef struct scry__progress {
    bool (*report)(void *user, int64_t done, int64_t total); /* NULL: nobody asks */
    void   *user;
    int64_t done, total;
} scry__progress;

/* One more step is done. SCRY_STOPPED where the caller wants no more. */
static inline scry_status scry__progress_step(scry__progress *progress)
{
    progress->done++;
    if (!progress->report || progress->report(progress->user, progress->done, progress->total)) return SCRY_OK;
    return scry__fail(SCRY_STOPPED, "after %lld of %lld steps", (long long)progress->done, (long long)progress->total);
}

#endif
