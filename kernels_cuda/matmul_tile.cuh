/* A tile of products in shared memory, where lines lie side by side: blocks of 4 x 4 elements are put in, and each
 * thread multiplies 8 lines of the first matrix with TILE / 16 of the second. See matmul_tile.cu; lens_group.cu does
 * the same. */
#ifndef SCRY_CUDA_MATMUL_TILE_CUH
#define SCRY_CUDA_MATMUL_TILE_CUH

#include "matmul.cuh"

enum { STEPS = CUDA_TILE_STEPS };

template <int TILE> DEVICE void store_block(float (*tile)[TILE + 4], const float block[4][4], int line, int step)
{
#pragma unroll
    for (int j = 0; j < 4; j++)
        *reinterpret_cast<float4 *>(&tile[step + j][line]) =
            make_float4(block[0][j], block[1][j], block[2][j], block[3][j]);
}

DEVICE void load_four(float four[4], const float *from)
{
    const float4 x = *reinterpret_cast<const float4 *>(from);
    four[0] = x.x, four[1] = x.y, four[2] = x.z, four[3] = x.w;
}

/* The products of one round. x and y: the thread's place in its tile. */
template <int TILE>
DEVICE void multiply_round(float sums[8][TILE / 16], const float (*a)[TILE + 4], const float (*b)[TILE + 4], int x,
                           int y)
{
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
        float rows[8], columns[TILE / 16];
#pragma unroll
        for (int i = 0; i < 2; i++) load_four(&rows[i * 4], &a[step][i * TILE / 2 + y * 4]);
#pragma unroll
        for (int j = 0; j < TILE / 64; j++) load_four(&columns[j * 4], &b[step][j * 64 + x * 4]);
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll
            for (int j = 0; j < TILE / 16; j++) sums[i][j] = multiply_add(rows[i], columns[j], sums[i][j]);
    }
}

#endif
