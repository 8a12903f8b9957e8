/* matmul "tensor": C = alpha A B + beta C + bias on tensor cores, where the caller allows tf32, f16 or bf16.
 *
 * a [.., m, k] f32, b [.., k, n] f32, f16 or bf16, bias [n], c [.., m, n]. Both are rounded on their way into shared
 * memory, to nearest; sums are f32. A block of 256 threads makes 128 x 128 elements of C, 64 bytes of each line (32
 * steps of k, of tf32 16) in a round. While tiles are multiplied, the threads fetch what comes next by blocks of 4 x 4
 * elements into registers; then into the other of two buffers. Lines are 80 bytes apart in shared memory, so that 8
 * lines of a matrix that is loaded at once lie in distinct banks. The 8 warps lie 2 down and 4 across; each keeps 64 x
 * 32 sums, 4 x 4 of what one instruction makes.
 *
 * Error: 2u + gamma(k + 3) of f32 times the sum of magnitudes, u the unit roundoff of the type; sums inside of an
 * instruction may be cut off instead of rounded. Launched over batches x tiles blocks. */
#include "matmul.cuh"
#include "tensor.cuh"

enum {
    TILE     = CUDA_TENSOR_TILE,
    THREADS  = CUDA_TENSOR_THREADS,
    WORDS    = 16,        /* of a line in a round */
    PITCH    = WORDS + 4, /* words from line to line */
    WARP_M   = 64,
    WARP_N   = 32,
    ACROSS   = TILE / WARP_N, /* warps */
    DOWN_16  = WARP_M / 16,
    ACROSS_8 = WARP_N / 8
};

typedef uint32_t tensor_tile[TILE][PITCH];

/* Four elements of a line, rounded. */
template <int DTYPE> DEVICE void store_run(uint32_t *to, const float run[4])
{
    if (DTYPE == F32)
        *reinterpret_cast<uint4 *>(to) =
            make_uint4(f32_to_tf32(run[0]), f32_to_tf32(run[1]), f32_to_tf32(run[2]), f32_to_tf32(run[3]));
    else if (DTYPE == F16)
        *reinterpret_cast<uint2 *>(to) = make_uint2(pack_f16(run[0], run[1]), pack_f16(run[2], run[3]));
    else
        *reinterpret_cast<uint2 *>(to) = make_uint2(pack_bf16(run[0], run[1]), pack_bf16(run[2], run[3]));
}

template <int DTYPE> DEVICE void multiply(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    if (DTYPE == F32)
        multiply_tf32(d, a, b);
    else if (DTYPE == F16)
        multiply_f16(d, a, b);
    else
        multiply_bf16(d, a, b);
}

/* The products of one round of a warp, whose rows and columns begin at those of its tiles. */
template <int DTYPE>
DEVICE void multiply_round(float sums[DOWN_16][ACROSS_8][4], const tensor_tile &a_tile, const tensor_tile &b_tile,
                           int row, int column, int lane)
{
#pragma unroll
    for (int word = 0; word < WORDS; word += 8) {
        uint32_t a[DOWN_16][4], b[ACROSS_8 / 2][4]; /* of b, two times 8 columns at once */
#pragma unroll
        for (int i = 0; i < DOWN_16; i++)
            load_matrices(a[i], address_of(&a_tile[row + i * 16 + lane % 16][word + lane / 16 * 4]));
#pragma unroll
        for (int j = 0; j < ACROSS_8 / 2; j++)
            load_matrices(b[j],
                          address_of(&b_tile[column + j * 16 + lane / 16 * 8 + lane % 8][word + lane / 8 % 2 * 4]));
#pragma unroll
        for (int i = 0; i < DOWN_16; i++)
#pragma unroll
            for (int j = 0; j < ACROSS_8; j++) multiply<DTYPE>(sums[i][j], a[i], &b[j / 2][j % 2 * 2]);
    }
}

/* What a thread fetches for each round: a block of each matrix, or of one of them where blocks are half as many. */
template <int DTYPE> struct tensor_fetch {
    enum { PER_WORD = DTYPE == F32 ? 1 : 2, STEPS = WORDS * PER_WORD, BLOCKS = TILE / 4 * (STEPS / 4) };
    enum { SHARES = 2 * BLOCKS / THREADS };
    matmul_source source[SHARES];
    float         block[SHARES][4][4];
    int           line[SHARES], step[SHARES], of_b[SHARES];
};

template <int DTYPE>
DEVICE void begin_fetch(tensor_fetch<DTYPE> *fetch, const cuda_product &p, const matmul_work &work, int thread)
{
    enum { STEPS = tensor_fetch<DTYPE>::STEPS, BLOCKS = tensor_fetch<DTYPE>::BLOCKS };
#pragma unroll
    for (int i = 0; i < tensor_fetch<DTYPE>::SHARES; i++) {
        const int place  = (thread + i * THREADS) % BLOCKS;
        const int of_b   = (thread + i * THREADS) / BLOCKS;
        fetch->of_b[i]   = of_b;
        fetch->source[i] = of_b ? columns_of_b(p, work) : rows_of_a(p, work);
        /* Neighbours go along what lies side by side. */
        const bool along_k = fetch->source[i].along_k;
        fetch->line[i]     = (along_k ? place / (STEPS / 4) : place % (TILE / 4)) * 4;
        fetch->step[i]     = (along_k ? place % (STEPS / 4) : place / (TILE / 4)) * 4;
    }
}

template <int DTYPE> DEVICE void fetch_round(tensor_fetch<DTYPE> *fetch)
{
#pragma unroll
    for (int i = 0; i < tensor_fetch<DTYPE>::SHARES; i++) {
        load_block(fetch->block[i], &fetch->source[i], fetch->line[i], fetch->step[i]);
        skip_steps(&fetch->source[i], tensor_fetch<DTYPE>::STEPS);
    }
}

template <int DTYPE> DEVICE void store_round(tensor_tile tiles[2], const tensor_fetch<DTYPE> *fetch)
{
#pragma unroll
    for (int i = 0; i < tensor_fetch<DTYPE>::SHARES; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
            store_run<DTYPE>(&tiles[fetch->of_b[i]][fetch->line[i] + j][fetch->step[i] / tensor_fetch<DTYPE>::PER_WORD],
                             fetch->block[i][j]);
}

template <int DTYPE> DEVICE void multiply_tensor(const cuda_product &p, int64_t number)
{
    __align__(16) __shared__ uint32_t tiles[2][2][TILE][PITCH]; /* two buffers; A and B */

    enum { STEPS = tensor_fetch<DTYPE>::STEPS };
    const matmul_work   work   = work_of(p, number, TILE, TILE);
    const int           thread = (int)threadIdx.x, lane = thread % WARP, warp = thread / WARP;
    const int           row = warp / ACROSS * WARP_M, column = warp % ACROSS * WARP_N;
    tensor_fetch<DTYPE> fetch;
    float               sums[DOWN_16][ACROSS_8][4] = {};
    int                 buffer                     = 0;

    begin_fetch(&fetch, p, work, thread);
    fetch_round(&fetch);
    store_round(tiles[0], &fetch);
    __syncthreads();
    for (int64_t left = work.steps - work.step; left > 0; left -= STEPS) {
        if (left > STEPS) fetch_round(&fetch);
        multiply_round<DTYPE>(sums, tiles[buffer][0], tiles[buffer][1], row, column, lane);
        buffer ^= 1;
        if (left > STEPS) store_round(tiles[buffer], &fetch);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < DOWN_16; i++)
#pragma unroll
        for (int j = 0; j < ACROSS_8; j++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                leave<2>(p, work, work.row + row + i * 16 + half * 8 + lane / 4,
                         work.column + column + j * 8 + lane % 4 * 2, &sums[i][j][half * 2]);
}

CUDA_KERNEL(matmul_tensor_tf32, cuda_product, CUDA_TENSOR_THREADS)
{
    multiply_tensor<F32>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(matmul_tensor_f16, cuda_product, CUDA_TENSOR_THREADS)
{
    multiply_tensor<F16>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(matmul_tensor_bf16, cuda_product, CUDA_TENSOR_THREADS)
{
    multiply_tensor<BF16>(p, BLOCK_NUMBER);
}
