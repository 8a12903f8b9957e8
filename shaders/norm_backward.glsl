// What norm_backward_block.comp and norm_backward_group.comp share.
//
// With r = 1 / sqrt(.. + epsilon), n = (x - mean) r and g = d_out * (weight + weight_offset): layer: d_x = r (g -
// mean(g) - n mean(g n)); rms: without mean(g); none: d_x = d_out. Where ACCUMULATE, d_x is added to. x, d_out, d_x f32
// [i, j, k, d], weight f32, f16 or bf16 [d] or absent; d_x may be absent. Each row's mean and r are left in scratch,
// [rows, 2], for norm_backward_sums. Sums go as in norm_sums.glsl. Errors: those of norm for n and r, the means
// gamma(d + 4) of their terms, d_x 6 u more.

#include "norm_kinds.glsl"

layout(constant_id = 4) const bool HAS_D_X    = false;
layout(constant_id = 5) const bool ACCUMULATE = false;

struct parameters {
    view  x_view, d_out_view, weight_view, d_x_view;
    uint  shape[4];
    float epsilon, weight_offset, per_entry; // 1 / d
    uint  rows;
};
PARAMETERS
INPUT(1, x)
INPUT(2, d_out)
INPUT(3, weight)
UPDATED(4, d_x)
layout(std430, set = 0, binding = 5) writeonly buffer statistics_block { float statistics[]; };

#include "norm_sums.glsl"

// A row, and what its entries are made with.
struct norm_row {
    uint  x, d_out;
    float centre, factor, mean, products; // the mean of g, and of g n
};

// Entries i .. of g, and of n; g is 0 behind the row's end.
vec4 weighed_at(norm_row row, uint i, uint count)
{
    const uint step = p.d_out_view.stride[3];
    LOAD_FOUR(g, d_out, row.d_out + i * step, step, count, F32)
    if (KIND != NONE && WEIGHT != ABSENT) {
        const uint along = p.weight_view.stride[0];
        LOAD_FOUR(by, weight, p.weight_view.offset + i * along, along, count, WEIGHT)
        g *= by + p.weight_offset;
    }
    return g;
}

vec4 normalised_at(norm_row row, uint i, uint count)
{
    const uint step = p.x_view.stride[3];
    LOAD_FOUR(value, x, row.x + i * step, step, count, F32)
    return (value - row.centre) * row.factor;
}

float sum_of_lanes(vec4 sum)
{
    return (sum.x + sum.z) + (sum.y + sum.w);
}

// An item's share of the sums of g and of g n.
vec2 sums_of_gradient(norm_row row, uint first, uint step)
{
    const uint d = p.shape[3];
    vec4       sum = vec4(0), products = vec4(0);
    for (uint i = first; i < d; i += step) {
        const uint count = FOURS ? 4 : min(d - i, 4u);
        const vec4 g     = weighed_at(row, i, count);
        sum += g;
        products += g * normalised_at(row, i, count);
    }
    return vec2(sum_of_lanes(sum), sum_of_lanes(products));
}

void write_gradient(norm_row row, uint index, uint first, uint step)
{
    const uint d = p.shape[3], to = row_index(index, p.d_x_view), along = p.d_x_view.stride[3];
    for (uint i = first; i < d; i += step) {
        const uint count = FOURS ? 4 : min(d - i, 4u);
        vec4       made  = weighed_at(row, i, count);
        if (KIND != NONE) made = row.factor * (made - row.mean - normalised_at(row, i, count) * row.products);
        if (ACCUMULATE) {
            LOAD_UPDATED(before, d_x, to + i * along, along, count)
            made += before;
        }
        STORE_FOUR(d_x, to + i * along, along, count, made)
    }
}
