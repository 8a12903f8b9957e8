/* matmul by OpenBLAS, where that is installed: the kernel "library". See matmul_library.c. */
#ifndef SCRY_CPU_MATMUL_LIBRARY_H
#define SCRY_CPU_MATMUL_LIBRARY_H

#include "cpu.h"

/* Loads the library at the first call. The rest is for where it is usable. */
bool scry__cpu_library_usable(void);

/* "OpenBLAS 0.3.21 SkylakeX": version, and the processor that its kernels are for. */
const char *scry__cpu_library_name(void);

/* Why the library cannot compute `op`; NULL where it can. */
const char *scry__cpu_library_refuses(const scry_matmul *op);

size_t scry__cpu_library_scratch(const scry_matmul *op);
void   scry__cpu_library_multiply(const struct scry__cpu *cpu, const scry_matmul *op, void *scratch);

#endif
