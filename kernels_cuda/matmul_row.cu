/* matmul "row", for few rows, whose time is that of reading B once; and the merging of products that were made in
 * parts.
 *
 * a [.., m, k] f32, b [.., k, n] f32, f16 or bf16, bias [n], c [.., m, n], of any layout. A block of 256 threads makes
 * ROWS (1 or 4) x 32 elements of C, 128 steps of k in a round: a thread takes 4 columns by 4 steps, read as they lie in
 * memory, 4 elements at a time. Along k a warp has all of the 128 steps of 4 columns; along n 16 steps of all of
 * the 32.
 *
 * An element is the sum, in their order, of 32 chains: chain s takes steps 4s to 4s + 3 of each 128. So its bits depend
 * neither on the layout nor on how many rows there are; on parts they do, which the host chooses by n and k. Error:
 * gamma(k + 3) times the sum of magnitudes. Launched over parts x batches x tiles blocks.
 *
 * matmul_merge adds up the sums of all parts, in their order, and finishes the elements of C: one to a thread. */
#include "matmul.cuh"

enum { COLUMNS = CUDA_ROW_COLUMNS, CHAINS = 32, ROUND = CHAINS * 4 };

template <int ROWS> DEVICE void multiply_rows(const cuda_product &p, int64_t number)
{
    __shared__ float partial[CHAINS][ROWS * COLUMNS + 1];

    const matmul_work work   = work_of(p, number, ROWS, COLUMNS);
    const int         thread = (int)threadIdx.x, lane = thread % WARP, warp = thread / WARP;
    matmul_source     rows = rows_of_a(p, work), columns = columns_of_b(p, work);
    const int         column        = (columns.along_k ? warp : lane % 8) * 4;
    const int         chain         = columns.along_k ? lane : warp * 4 + lane / 8;
    float             sums[ROWS][4] = {};

    for (; columns.steps > 0; skip_steps(&columns, ROUND), skip_steps(&rows, ROUND)) {
        float weights[4][4], x[4];
        load_block(weights, &columns, column, chain * 4);
#pragma unroll
        for (int row = 0; row < ROWS; row++) {
            load_line(x, &rows, row, chain * 4);
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) sums[row][i] = multiply_add(x[j], weights[i][j], sums[row][i]);
        }
    }
#pragma unroll
    for (int row = 0; row < ROWS; row++)
#pragma unroll
        for (int i = 0; i < 4; i++) partial[chain][row * COLUMNS + column + i] = sums[row][i];
    __syncthreads();
    if (thread >= ROWS * COLUMNS) return;
    float sum = 0;
    for (int i = 0; i < CHAINS; i++) sum += partial[i][thread];
    leave<1>(p, work, work.row + thread / COLUMNS, work.column + thread % COLUMNS, &sum);
}

CUDA_KERNEL(matmul_row_1, cuda_product, CUDA_ROW_THREADS)
{
    multiply_rows<1>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(matmul_row_4, cuda_product, CUDA_ROW_THREADS)
{
    multiply_rows<4>(p, BLOCK_NUMBER);
}

CUDA_FLAT_KERNEL(matmul_merge, cuda_product, CUDA_MERGE_THREADS)
{
    const int64_t element = BLOCK_NUMBER * CUDA_MERGE_THREADS + threadIdx.x, count = p.batches * p.m * p.n;
    if (element >= count) return;
    const int64_t line = element / p.n, column = element % p.n;
    float         sum = 0;
    for (int64_t part = 0; part < p.parts; part++) sum += p.sums[part * count + element];
    float *c = static_cast<float *>(p.c.data) + matrix_of(p.c, p, line / p.m) + line % p.m * p.c.stride[2] + column;
    *c       = finished(p, c, column, sum);
}
