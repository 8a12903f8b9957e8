/* Launching kernels that walk a shape in runs. See runs.h. */
#include "runs.h"

struct cuda_runs scry__cuda_runs(const int64_t shape[SCRY_MAX_RANK])
{
    struct cuda_runs all = {.per_row = units_of(shape[3], CUDA_RUN)};
    for (int i = 0; i < SCRY_MAX_RANK; i++) all.shape[i] = shape[i];
    all.count = shape[0] * shape[1] * shape[2] * all.per_row;
    return all;
}

scry_status scry__cuda_runs_launch(struct scry__cuda *cuda, struct scry__cuda_call call, const struct cuda_runs *all,
                                   const void *parameters)
{
    call.threads    = CUDA_RUN_THREADS;
    call.blocks     = units_of(all->count, CUDA_RUN_THREADS);
    call.operations = (double)all->count * CUDA_RUN * (call.operations > 0 ? call.operations : 1);
    return scry__cuda_launch(cuda, &call, parameters);
}
