// A and B as they are stored, for kernels of matmul that read them so: matmul_source.glsl for each of them.

layout(constant_id = 3) const uint B_DTYPE   = 0; // f32, f16 or bf16
layout(constant_id = 4) const bool B_ALONG_K = false;
layout(constant_id = 5) const bool B_RUNS    = false;
layout(constant_id = 6) const bool A_ALONG_K = false;
layout(constant_id = 7) const bool A_RUNS    = false;

#define SOURCE         a
#define SOURCE_BINDING 1
#define SOURCE_DTYPE   F32
#define SOURCE_ALONG_K A_ALONG_K
#define SOURCE_RUNS    A_RUNS
#include "matmul_source.glsl"
#undef SOURCE
#undef SOURCE_BINDING
#undef SOURCE_DTYPE
#undef SOURCE_ALONG_K
#undef SOURCE_RUNS
#define SOURCE         b
#define SOURCE_BINDING 2
#define SOURCE_DTYPE   B_DTYPE
#define SOURCE_ALONG_K B_ALONG_K
#define SOURCE_RUNS    B_RUNS
#include "matmul_source.glsl"

matrix a_of(uint batch)
{
    return matrix(matrix_of(a_view, batch), a_view.stride[2], a_view.stride[3], p.m, p.k);
}

matrix b_of(uint batch)
{
    return matrix(matrix_of(b_view, batch), b_view.stride[3], b_view.stride[2], p.n, p.k);
}
