// matmul "split": the sums of the stretches of k, put together in their order.
//
// sums [stretch, B0 * B1, m, n], stretch by stretch as matmul_tile.comp leaves them. An item makes 4 columns of a row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#define OPERANDS
#include "matmul.glsl"

layout(std430, set = 0, binding = 1) readonly buffer sums_block { float sums[]; };

void main()
{
    const uint across = (p.n + 3) / 4, unit = group_number() * ITEMS + ITEM, line = unit / across;
    const uint column = unit % across * 4, batch = line / p.m, row = line % p.m, count = p.n - column;
    if (batch >= p.batches) return;
    const uint to  = matrix_of(c_view, batch) + row * c_view.stride[2] + column, k = p.k;
    const vec4 add = bias_at(column);
    for (uint begin = 0; begin < k; begin += STRETCH) {
        const uint from = (begin / STRETCH * p.batches * p.m + line) * p.n + column;
        vec4       sum  = vec4(0);
        for (uint i = 0; i < 4; i++)
            if (i < count) sum[i] = sums[from + i];
        put(to, count, sum, add, begin + p.continues == 0);
    }
}
