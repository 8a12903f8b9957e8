/* Diagonal sums of attention: the parts of attention_capture.cuh's distances added up in their order. A thread for each
 * distance, over heads x sequences. Error: a sum of at most 32 terms. */
#include "attention.h"
#include "mask.cuh"

CUDA_FLAT_KERNEL(attention_merge, cuda_attention_merge, ATTENTION_THREADS)
{
    int64_t number = BLOCK_NUMBER * ATTENTION_THREADS + threadIdx.x;
    if (number >= p.total) return;
    int64_t      n = number % p.count, head = number / p.count;
    const float *parts = p.sums + head * p.parts * p.count + n;
    float        sum   = 0;
    for (int64_t part = 0; part < p.parts; part++) sum = sum + parts[part * p.count];
    static_cast<float *>(p.distance.data)[row_index(p.distance, head / p.heads, head % p.heads, n)] = sum;
}
