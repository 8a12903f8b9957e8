// matmul "block" for few rows, on devices whose items are lanes of a processor's vectors: b is read once, as it is
// stored. No barriers, no scratch.
//
// An item makes ROWS rows (1, 4 or 8) by 4 columns; the items of a group have neighbouring columns.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#define OPERANDS view a_view, b_view;
#include "matmul.glsl"
#include "matmul_operands.glsl"

layout(constant_id = 8) const uint ROWS = 1;

shared vec4 staged[ROWS * ITEMS]; // for a loop to put into C, as in matmul_block.glsl

// Element `step` of the row of A whose first element is `first`, and that has one every `along`.
float factor_at(uint first, uint step, uint along)
{
    return uintBitsToFloat(a_words[first + step * along]);
}

// 4 of them.
vec4 factors_at(uint first, uint step, uint along)
{
    if (A_RUNS && A_ALONG_K) return a_run_at(first + step);
    return vec4(factor_at(first, step, along), factor_at(first, step + 1, along), factor_at(first, step + 2, along),
                factor_at(first, step + 3, along));
}

void main()
{
    const uint   across = (p.n + 4 * ITEMS - 1) / (4 * ITEMS), bands = (p.m + ROWS - 1) / ROWS, unit = group_number();
    const uint   batch = unit / across / bands, row = unit / across % bands * ROWS;
    const uint   column = (unit % across * ITEMS + ITEM) * 4;
    const uint   pitch = c_view.stride[2], to = matrix_of(c_view, batch) + row * pitch + column;
    const uint   along = a_view.stride[3], down = a_view.stride[2], a_first = matrix_of(a_view, batch);
    const matrix from   = b_of(batch);
    const vec4   add    = bias_at(column);
    uint         first[ROWS];
    for (uint i = 0; i < ROWS; i++) first[i] = a_first + min(row + i, p.m - 1) * down;
    for (uint begin = 0; begin == 0 || begin < p.k; begin += STRETCH) {
        const uint   end = min(p.k, begin + STRETCH), blocks_end = end & ~3u;
        precise vec4 sums[ROWS];
        for (uint i = 0; i < ROWS; i++) sums[i] = vec4(0);
        for (uint step = begin; step < blocks_end; step += 4) {
            vec4 block[4];
            b_block_at(block, from, column, step);
            for (uint i = 0; i < ROWS; i++) {
                const vec4 x = factors_at(first[i], step, along);
                for (uint j = 0; j < 4; j++) sums[i] = fma(vec4(x[j]), block[j], sums[i]);
            }
        }
        for (uint step = blocks_end; step < end; step++) {
            const vec4 y = b_step_at(from, column, step);
            for (uint i = 0; i < ROWS; i++) sums[i] = fma(vec4(factor_at(first[i], step, along)), y, sums[i]);
        }
        for (uint i = 0; i < ROWS; i++) staged[i * ITEMS + ITEM] = sums[i];
        [[dont_unroll]] for (uint i = 0; i < ROWS; i++) {
            const uint count = row + i < p.m && column < p.n ? p.n - column : 0;
            put(to + i * pitch, count, staged[i * ITEMS + ITEM], add, begin + p.continues == 0);
        }
    }
}
