/* The kernels for x86-64 with AVX-512 (F, BW, DQ, VL); an empty table where they are not built. */
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define LANES        16
#define VARIANT      scry__cpu_kernels_avx512
#define VARIANT_NAME "avx512"
#include "variant.h"
#else
#include "kernels.h"
const struct scry__cpu_kernels scry__cpu_kernels_avx512 = {0};
#endif
