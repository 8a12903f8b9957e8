/* Which of the kernels' variants this processor runs. */
#include "kernels.h"

#include <stddef.h>

static bool runs_avx512(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

static bool runs_avx2(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

const struct scry__cpu_kernels *scry__cpu_kernels_usable(int index)
{
    const struct scry__cpu_kernels *const variants[] = {&scry__cpu_kernels_avx512, &scry__cpu_kernels_avx2,
                                                        &scry__cpu_kernels_baseline};
    const bool                            runs[]     = {runs_avx512(), runs_avx2(), true};
    for (int i = 0; i < 3; i++)
        if (runs[i] && variants[i]->name && index-- == 0) return variants[i];
    return NULL;
}
