// attention_backward: p and d_s of each row of a tile and each key. See attention_backward.glsl. An item takes a row and
// a key.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "mask.glsl"
#include "attention_backward.glsl"

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view q_view, k_view, v_view, d_out_view, lse_view;
    MASK_PARAMETERS
    backward_tile given;
    uint          items;
};
INPUT(1, q)
INPUT(2, k)
INPUT(3, v)
INPUT(4, d_out)
layout(std430, set = 0, binding = 5) readonly buffer lse_block { float lse[]; };
MASK_BINDINGS(6)
layout(std430, set = 0, binding = 9) readonly buffer sums_block { float sums[]; };
layout(std430, set = 0, binding = 10) writeonly buffer shares_block { float shares[]; };
layout(std430, set = 0, binding = 11) writeonly buffer slopes_block { float slopes[]; };

// exp(x) where x may be above 0: lse is as given.
float exp_of(float x)
{
    return x > 88.0 ? INFINITE : exp_negative(x);
}

void main()
{
    const backward_tile tile = given;
    const uint          item = item_number(), r = item / tile.keys, key = item - r * tile.keys;
    if (item >= items) return;
    const row_at at    = row_of(tile, r);
    const uint   group = at.head / (tile.heads / tile.groups);
    const float  whole =
        lse[lse_view.offset + at.batch * lse_view.stride[0] + at.head * lse_view.stride[1] + at.query * lse_view.stride[2]];
    float added = 0.0, slope = 1.0, share = -1.0, d_s = 0.0;
    if (additive_view.present != 0)
        added = additive[vector_at(additive_view, at.batch, at.head, at.query) + key * additive_view.stride[3]];
    const sight sees = SIGHT_OF(at.batch, at.query, tile.keys);
    if (whole != -INFINITE && is_seen(sees, int(key)) && added != -INFINITE) {
        DOT(product, q, vector_at(q_view, at.batch, at.query, at.head), k, vector_at(k_view, at.batch, key, group),
            tile.head_size)
        float score = tile.scale * product;
        if (tile.softcap > 0.0) {
            const float bent = tanh_of(score / tile.softcap);
            score            = tile.softcap * bent;
            slope            = 1.0 - bent * bent;
        }
        DOT(weighed, d_out, vector_at(d_out_view, at.batch, at.query, at.head), v,
            vector_at(v_view, at.batch, key, group), tile.value_size)
        share = exp_of((score + added) - whole);
        d_s   = share * (weighed - sums[r]) * slope;
    }
    shares[item] = share;
    slopes[item] = d_s;
}
