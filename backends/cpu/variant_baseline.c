/* The kernels for any processor. */
#define LANES        4
#define VARIANT      scry__cpu_kernels_baseline
#define VARIANT_NAME "baseline"
#include "variant.h"
