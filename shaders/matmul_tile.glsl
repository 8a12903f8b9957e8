// The kernels of matmul for devices with many thin items and shared memory (matmul_tile.comp, matmul_half.comp).
//
// A group makes TILE_M x TILE_N elements of C, STEPS of k at a time through shared memory (matmul_fetch.glsl), an item
// ITEM_M x ITEM_N of them in registers: rows in fours (or one), columns in fours. With BUFFERS 2 a round takes one
// barrier, else two.
//
// With HALVES defined, shared memory holds elements of A and B rounded to f16, the sum over STEPS is a chain of
// multiply-adds in f16, and these sums are added up in f32. Error: a term is rounded with its two factors, once as a
// product and at most STEPS - 1 times, or k - 1, as part of a chain: gamma(min(k, STEPS) + 2) times the sum of magnitudes
// in the unit roundoff of f16, 2^-11, and gamma(k / STEPS + 4) in that of f32, which is less than one such rounding
// more. It holds where no factor, product or chain is beyond the range of f16.
//
// With PARTS, a group makes one stretch of k, and its sums are stored as they are: C is [stretch, B0 * B1, m, n], for
// matmul_merge.comp. Without, a group makes all of k.

#define OPERANDS view a_view, b_view;
#include "matmul.glsl"
#include "matmul_operands.glsl"

layout(constant_id = 11) const uint BUFFERS = 2;
layout(constant_id = 12) const uint ITEM_M  = 8;
layout(constant_id = 13) const uint ITEM_N  = 4;
layout(constant_id = 14) const bool PARTS   = false;

#ifdef HALVES
#define FOUR  f16vec4
#define CHAIN chain
#else
#define FOUR  vec4
#define CHAIN sums
#endif
#include "matmul_fetch.glsl"

const uint ACROSS = TILE_N / ITEM_N, DOWN = TILE_M / ITEM_M; // items that compute
const uint QUADS = ITEM_N / 4;

// Row `i` of an item's, in the tile.
uint row_of(uint y, uint i)
{
    return ITEM_M < 4 ? y : i / 4 * 4 * DOWN + y * 4 + i % 4;
}

void main()
{
    const uint down = (p.m + TILE_M - 1) / TILE_M, across = (p.n + TILE_N - 1) / TILE_N, unit = group_number();
    const uint row = unit % down * TILE_M, column = unit / down % across * TILE_N, rest = unit / down / across;
    const uint batch = rest % p.batches, part = rest / p.batches; // 0 without PARTS
    const uint first = part * STRETCH, last = PARTS ? min(p.k, first + STRETCH) : p.k;
    const uint x = ITEM % ACROSS, y = ITEM / ACROSS;
    const bool computes = ACROSS * DOWN >= ITEMS || y < DOWN;
    const matrix a_from = a_of(batch), b_from = b_of(batch);
    const share  mine   = share_of(ITEM);
    const uint   to     = PARTS ? c_view.offset + (part * p.batches + batch) * p.m * p.n : matrix_of(c_view, batch);
    const uint   pitch  = PARTS ? p.n : c_view.stride[2];
    vec4         block[4];
    uint         turn = 0;
    fetch(block, mine, a_from, b_from, row, column, first);
    for (uint begin = first; begin == first || begin < last; begin += STRETCH) {
        const uint   end = min(last, begin + STRETCH);
        precise vec4 sums[ITEM_M][QUADS];
        for (uint i = 0; i < ITEM_M; i++)
            for (uint j = 0; j < QUADS; j++) sums[i][j] = vec4(0);
        for (uint step = begin; step < end; step += STEPS) {
            put_down(block, mine, turn);
            barrier();
            if (step + STEPS < last) fetch(block, mine, a_from, b_from, row, column, step + STEPS);
#ifdef HALVES
            precise f16vec4 chain[ITEM_M][QUADS];
            for (uint i = 0; i < ITEM_M; i++)
                for (uint j = 0; j < QUADS; j++) chain[i][j] = f16vec4(0);
#endif
            for (uint s = 0; s < STEPS && computes; s++) {
                const uint at = (turn * STEPS + s) * FOURS;
                FOUR       b_part[QUADS];
                for (uint j = 0; j < QUADS; j++) b_part[j] = tile[at + FOURS_M + j * ACROSS + x];
                for (uint i = 0; i < ITEM_M; i++) {
                    const uint r      = row_of(y, i);
                    const FOUR a_part = FOUR(tile[at + r / 4][r % 4]);
                    for (uint j = 0; j < QUADS; j++) CHAIN[i][j] = fma(a_part, b_part[j], CHAIN[i][j]);
                }
            }
#ifdef HALVES
            for (uint i = 0; i < ITEM_M; i++)
                for (uint j = 0; j < QUADS; j++) sums[i][j] += vec4(chain[i][j]);
#endif
            if (BUFFERS == 1) barrier();
            turn = BUFFERS - 1 - turn;
        }
        for (uint j = 0; j < QUADS && computes; j++) {
            const uint at  = column + (j * ACROSS + x) * 4;
            const vec4 add = bias_at(at);
            for (uint i = 0; i < ITEM_M; i++) {
                const uint r = row + row_of(y, i), count = r < p.m && at < p.n ? p.n - at : 0;
                if (PARTS)
                    store(to + r * pitch + at, count, sums[i][j]);
                else
                    put(to + r * pitch + at, count, sums[i][j], add, begin + p.continues == 0);
            }
        }
    }
}
