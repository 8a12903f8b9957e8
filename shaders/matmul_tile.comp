// matmul "row", "tile32", "tile64", "tile128" and "split", for devices with many thin items and shared memory.
//
// A group makes TILE_M x TILE_N elements of C, STEPS of k at a time through shared memory (matmul_fetch.glsl), an item
// ITEM_M x ITEM_N of them in registers: rows in fours (or one), columns in fours. With BUFFERS 2 a round takes one
// barrier, else two.
//
// With PARTS, a group makes one stretch of k, and its sums are stored as they are: C is [stretch, B0 * B1, m, n], for
// matmul_merge.comp. Without, a group makes all of k.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#define OPERANDS view a_view, b_view;
#include "matmul.glsl"
#include "matmul_operands.glsl"

layout(constant_id = 11) const uint BUFFERS = 2;
layout(constant_id = 12) const uint ITEM_M  = 8;
layout(constant_id = 13) const uint ITEM_N  = 4;
layout(constant_id = 14) const bool PARTS   = false;

#define FOUR vec4
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
            for (uint s = 0; s < STEPS && computes; s++) {
                const uint at = (turn * STEPS + s) * FOURS;
                vec4       b_part[QUADS];
                for (uint j = 0; j < QUADS; j++) b_part[j] = tile[at + FOURS_M + j * ACROSS + x];
                for (uint i = 0; i < ITEM_M; i++) {
                    const uint  r      = row_of(y, i);
                    const float a_part = tile[at + r / 4][r % 4];
                    for (uint j = 0; j < QUADS; j++) sums[i][j] = fma(vec4(a_part), b_part[j], sums[i][j]);
                }
            }
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
