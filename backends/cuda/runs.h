/* Kernels that walk a shape in runs (kernels_cuda/runs.cuh): the shape as they take it, and the launch. */
#ifndef SCRY_CUDA_HOST_RUNS_H
#define SCRY_CUDA_HOST_RUNS_H

#include "cuda.h"
#include "kernels_cuda/runs.h"

struct cuda_runs scry__cuda_runs(const int64_t shape[SCRY_MAX_RANK]);

/* Launches the kernel of `call`, which names no more than that and, where it is not 1, the operations of an element,
 * over all of them. */
scry_status scry__cuda_runs_launch(struct scry__cuda *cuda, struct scry__cuda_call call, const struct cuda_runs *all,
                                   const void *parameters);

/* query of an op that has one kernel and needs no scratch. */
#define SCRY__CUDA_PLAIN_QUERY(name, type)                                                                             \
    void scry__cuda_##name##_query(const struct scry__cuda *cuda, const type *op, scry_precision allowed,              \
                                   scry_op_info *info)                                                                 \
    {                                                                                                                  \
        (void)cuda, (void)op, (void)allowed, (void)info;                                                               \
    }

#endif
