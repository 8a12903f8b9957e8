/* The captures of attention on tensor cores; see attention_capture.cuh. */
#include "attention_capture.cuh"
#include "attention_tensor.cuh"

/* A capture with the scores of the type and size that were packed. */
#define CAPTURE(capture)                                                                                               \
    if (p.of.packed_dtype == F16 && p.of.packed_size == 64)                                                            \
        capture<tensor_scores<F16, 64>>(p, BLOCK_NUMBER);                                                              \
    else if (p.of.packed_dtype == F16)                                                                                 \
        capture<tensor_scores<F16, 128>>(p, BLOCK_NUMBER);                                                             \
    else if (p.of.packed_size == 64)                                                                                   \
        capture<tensor_scores<BF16, 64>>(p, BLOCK_NUMBER);                                                             \
    else                                                                                                               \
        capture<tensor_scores<BF16, 128>>(p, BLOCK_NUMBER)

CUDA_KERNEL(attention_tensor_received, cuda_attention_received, ATTENTION_THREADS, 2)
{
    CAPTURE(capture_received);
}

CUDA_KERNEL(attention_tensor_distances, cuda_attention_distances, ATTENTION_THREADS, 2)
{
    CAPTURE(capture_distances);
}

CUDA_KERNEL(attention_tensor_tile, cuda_attention_tile, ATTENTION_THREADS, 2)
{
    CAPTURE(capture_tile);
}

CUDA_KERNEL(attention_tensor_top, cuda_attention_top, ATTENTION_THREADS, 2)
{
    CAPTURE(capture_top);
}
