/* matmul "tile": C = alpha A B + beta C + bias in f32, for any layout of A and B.
 *
 * a [.., m, k] f32, b [.., k, n] f32, f16 or bf16, bias [n], c [.., m, n]. A block makes TILE x TILE elements of C (128
 * by 256 threads or 64 by 128), STEPS of k at a time through shared memory, where lines lie side by side: rows TILE + 4
 * floats apart, so that blocks of 4 x 4 are stored to different banks. While a step's tiles are multiplied, half of the
 * threads fetch the rows of A, half the columns of B, that come next, each 4 x 4 elements, into registers; then into
 * the other of two buffers, so that threads meet once in a round. A thread keeps 8 x 8 (8 x 4) sums: two groups of 4
 * rows, TILE / 2 apart, by TILE / 64 groups of 4 columns, 64 apart; a warp's threads lie 4 down and 8 across, so that
 * both reads from shared memory are of distinct banks or the same word.
 *
 * Each element of C (or of a part of it) is one chain of multiply-adds in the order of k: it does not depend on how
 * many rows there are, nor on the tile. Error: gamma(k + 3) times the sum of magnitudes. Launched over parts x batches
 * x tiles blocks. */
#include "matmul_tile.cuh"

template <int TILE> DEVICE void multiply_tile(const cuda_product &p, int64_t number)
{
    __align__(16) __shared__ float tiles[2][2][STEPS][TILE + 4]; /* two buffers; A and B */

    enum { THREADS = TILE * 2, BLOCKS = TILE / 4 }; /* blocks of 4 x 4 across a tile's lines */
    const matmul_work work   = work_of(p, number, TILE, TILE);
    const int         thread = (int)threadIdx.x, lane = thread % WARP, warp = thread / WARP;
    const int         x = lane % 8 + warp % 2 * 8, y = lane / 8 + warp / 2 * 4;
    /* What the thread fetches: neighbours go along what lies side by side. */
    const int     of_b = thread >= THREADS / 2, place = thread % (THREADS / 2);
    matmul_source source             = of_b ? columns_of_b(p, work) : rows_of_a(p, work);
    const int     line               = (source.along_k ? place / (STEPS / 4) : place % BLOCKS) * 4;
    const int     step               = (source.along_k ? place % (STEPS / 4) : place / BLOCKS) * 4;
    float         sums[8][TILE / 16] = {}, fetched[4][4];
    int           buffer             = 0;

    load_block(fetched, &source, line, step);
    store_block<TILE>(tiles[0][of_b], fetched, line, step);
    __syncthreads();
    for (int64_t left = work.steps - work.step; left > 0; left -= STEPS) {
        skip_steps(&source, STEPS);
        if (left > STEPS) load_block(fetched, &source, line, step);
        multiply_round<TILE>(sums, tiles[buffer][0], tiles[buffer][1], x, y);
        buffer ^= 1;
        if (left > STEPS) store_block<TILE>(tiles[buffer][of_b], fetched, line, step);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < TILE / 64; j++)
            leave<4>(p, work, work.row + i / 4 * (TILE / 2) + y * 4 + i % 4, work.column + j * 64 + x * 4,
                     &sums[i][j * 4]);
}

CUDA_KERNEL(matmul_tile_128, cuda_product, 256, 2)
{
    multiply_tile<128>(p, BLOCK_NUMBER);
}

CUDA_KERNEL(matmul_tile_64, cuda_product, 128, 4)
{
    multiply_tile<64>(p, BLOCK_NUMBER);
}
