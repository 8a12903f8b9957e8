/* Shapes that kernels walk in runs: up to four elements of a row for each thread. */
#ifndef SCRY_CUDA_RUNS_H
#define SCRY_CUDA_RUNS_H

#include "view.h"

enum { CUDA_RUN = 4, CUDA_RUN_THREADS = 256, CUDA_TEAM_THREADS = 256 };

/* The elements of a shape in row-major order. A row's last run has what is left of it. */
struct cuda_runs {
    int64_t shape[4];
    int64_t per_row, count; /* runs */
};

#endif
