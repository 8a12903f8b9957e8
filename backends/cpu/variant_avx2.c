/* The kernels for x86-64 with AVX2 and FMA; an empty table where they are not built. */
#if defined(__AVX2__) && defined(__FMA__)
#define LANES        8
#define VARIANT      scry__cpu_kernels_avx2
#define VARIANT_NAME "avx2"
#include "variant.h"
#else
#include "kernels.h"
const struct scry__cpu_kernels scry__cpu_kernels_avx2 = {0};
#endif
