// matmul "cooperative": factors in f16, products and sums in f32 by cooperative matrices, for ops that allow f16.
//
// A group makes TILE_M x TILE_N elements of C, STEPS of k at a time through shared memory (matmul_fetch.glsl). Its
// subgroups lie DOWN x ACROSS over the tile; each makes ROWS x COLUMNS matrices of SHAPE_M x SHAPE_N elements, a shape
// that the device has for factors of SHAPE_K steps. A finished matrix passes through shared memory to get to C.
//
// Error: each factor is rounded once to f16, and an element is a sum of k exact products in f32: less than gamma(k + 3)
// times the sum of magnitudes in the unit roundoff of f16, 2^-11. It holds where no factor is beyond the range of f16.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#pragma use_vulkan_memory_model
#include "common.glsl"
#define OPERANDS view a_view, b_view;
#include "matmul.glsl"
#include "matmul_operands.glsl"

layout(constant_id = 11) const uint SHAPE_M = 16;
layout(constant_id = 12) const uint SHAPE_N = 16;
layout(constant_id = 13) const uint SHAPE_K = 16;
layout(constant_id = 14) const uint DOWN    = 2;
layout(constant_id = 15) const uint ACROSS  = 2;

const uint BUFFERS = 2;
#define FOUR f16vec4
#include "matmul_fetch.glsl"

const uint ROWS = TILE_M / DOWN / SHAPE_M, COLUMNS = TILE_N / ACROSS / SHAPE_N;
const uint SHAPE_FOURS = SHAPE_M * SHAPE_N / 4; // of a matrix of C

shared vec4 made[DOWN * ACROSS * SHAPE_FOURS]; // [subgroup, row, column]

#define ROWS_MATRIX    coopmat<float16_t, gl_ScopeSubgroup, SHAPE_M, SHAPE_K, gl_MatrixUseA>
#define COLUMNS_MATRIX coopmat<float16_t, gl_ScopeSubgroup, SHAPE_K, SHAPE_N, gl_MatrixUseB>
#define SUMS_MATRIX    coopmat<float, gl_ScopeSubgroup, SHAPE_M, SHAPE_N, gl_MatrixUseAccumulator>

void main()
{
    const uint down = (p.m + TILE_M - 1) / TILE_M, across = (p.n + TILE_N - 1) / TILE_N, unit = group_number();
    const uint row = unit % down * TILE_M, column = unit / down % across * TILE_N, batch = unit / down / across;
    const uint own_row = gl_SubgroupID / ACROSS * ROWS, own_column = gl_SubgroupID % ACROSS * COLUMNS; // in matrices
    const uint own     = gl_SubgroupID * SHAPE_FOURS;
    const matrix a_from = a_of(batch), b_from = b_of(batch);
    const share  mine   = share_of(ITEM);
    const uint   to     = matrix_of(c_view, batch);
    vec4         block[4];
    uint         turn = 0;
    SUMS_MATRIX  sums[ROWS][COLUMNS];
    for (uint i = 0; i < ROWS; i++)
        for (uint j = 0; j < COLUMNS; j++) sums[i][j] = SUMS_MATRIX(0.0);
    fetch(block, mine, a_from, b_from, row, column, 0);
    for (uint step = 0; step < p.k; step += STEPS) {
        put_down(block, mine, turn);
        barrier();
        if (step + STEPS < p.k) fetch(block, mine, a_from, b_from, row, column, step + STEPS);
        for (uint s = 0; s < STEPS; s += SHAPE_K) {
            const uint  at = (turn * STEPS + s) * FOURS;
            ROWS_MATRIX a_part[ROWS];
            for (uint i = 0; i < ROWS; i++)
                coopMatLoad(a_part[i], tile, at + (own_row + i) * SHAPE_M / 4, FOURS,
                            gl_CooperativeMatrixLayoutColumnMajor);
            for (uint j = 0; j < COLUMNS; j++) {
                COLUMNS_MATRIX b_part;
                coopMatLoad(b_part, tile, at + FOURS_M + (own_column + j) * SHAPE_N / 4, FOURS,
                            gl_CooperativeMatrixLayoutRowMajor);
                for (uint i = 0; i < ROWS; i++) sums[i][j] = coopMatMulAdd(a_part[i], b_part, sums[i][j]);
            }
        }
        turn = 1 - turn;
    }
    for (uint i = 0; i < ROWS; i++)
        for (uint j = 0; j < COLUMNS; j++) {
            coopMatStore(sums[i][j], made, own, SHAPE_N / 4, gl_CooperativeMatrixLayoutRowMajor);
            barrier();
            for (uint e = gl_SubgroupInvocationID; e < SHAPE_FOURS; e += gl_SubgroupSize) {
                const uint r  = row + (own_row + i) * SHAPE_M + e / (SHAPE_N / 4);
                const uint at = column + (own_column + j) * SHAPE_N + e % (SHAPE_N / 4) * 4;
                const uint count = r < p.m && at < p.n ? p.n - at : 0;
                put(to + r * c_view.stride[2] + at, count, made[own + e], bias_at(at), p.continues == 0);
            }
            barrier();
        }
}
