// attention_backward: what a tile adds to the gradients of keys (x is q, by d_s) or of values (x is d_out, by p), d [B,
// K, G, size]. See attention_backward.glsl. An item takes a run of four entries of a key/value head's key.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "attention_backward.glsl"

struct parameters {
    view          x_view, d_view;
    backward_tile tile;
    uint          size;
    float         scale; // 1 for values
    uint          adds, items;
};
PARAMETERS
INPUT(1, x)
UPDATED(2, d)
layout(std430, set = 0, binding = 3) readonly buffer shares_block { float shares[]; };
layout(std430, set = 0, binding = 4) readonly buffer factors_block { float factors[]; }; // d_s, or p

void main()
{
    const uint item = item_number(), runs = (p.size + 3) / 4, vector = item / runs, i = (item - vector * runs) * 4;
    if (item >= p.items) return;
    const uint pair = vector / p.tile.keys, key = vector - pair * p.tile.keys;
    const uint batch = pair / p.tile.groups, group = pair - batch * p.tile.groups;
    const uint shared_by = p.tile.heads / p.tile.groups, count = min(p.size - i, 4u);
    const uint to  = vector_at(p.d_view, p.tile.batch + batch, key, group) + i;
    vec4       sum = vec4(0);
    for (uint head = group * shared_by; head < (group + 1) * shared_by; head++) {
        const uint row  = (batch * p.tile.heads + head) * p.tile.queries;
        const uint from = vector_at(p.x_view, p.tile.batch + batch, p.tile.query, head) + i;
        for (uint query = 0; query < p.tile.queries; query++) {
            const uint place = (row + query) * p.tile.keys + key;
            if (shares[place] < 0.0) continue;
            LOAD_FOUR(value, x, from + query * p.x_view.stride[1], 1, count, F32)
            sum += factors[place] * value;
        }
    }
    sum *= p.scale;
    if (p.adds != 0) {
        LOAD_UPDATED(before, d, to, 1, count)
        sum += before;
    }
    STORE_FOUR(d, to, 1, count, sum)
}
