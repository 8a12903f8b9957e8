/* The captures of attention in strict f32; see attention_capture.cuh. */
#include "attention_capture.cuh"
#include "attention_group.cuh"

CUDA_KERNEL(attention_group_received, cuda_attention_received, ATTENTION_THREADS)
{
    capture_received<group_scores>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_group_distances, cuda_attention_distances, ATTENTION_THREADS)
{
    capture_distances<group_scores>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_group_tile, cuda_attention_tile, ATTENTION_THREADS)
{
    capture_tile<group_scores>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(attention_group_top, cuda_attention_top, ATTENTION_THREADS)
{
    capture_top<group_scores>(p, BLOCK_NUMBER);
}
