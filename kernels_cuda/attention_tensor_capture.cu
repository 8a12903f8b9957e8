/* The captures of attention on tensor cores; see attention_capture.cuh. */
#include "attention_capture.cuh"
#include "attention_tensor.cuh"

CUDA_KERNEL(attention_tensor_received, cuda_attention_received, ATTENTION_THREADS)
{
    capture_received<tensor_scores>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_tensor_distances, cuda_attention_distances, ATTENTION_THREADS)
{
    capture_distances<tensor_scores>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_tensor_tile, cuda_attention_tile, ATTENTION_THREADS)
{
    capture_tile<tensor_scores>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_tensor_top, cuda_attention_top, ATTENTION_THREADS)
{
    capture_top<tensor_scores>(p, BLOCK_NUMBER);
}
