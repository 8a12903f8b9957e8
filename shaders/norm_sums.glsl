// Sums over a row of x, for norm and its gradient. The kernel has a binding x and the parameters x_view, shape, epsilon
// and per_entry.
//
// Lane l of a sum adds entries l, l + 4, ... of those that an item takes, every `step` / 4th four from four `first` / 4
// on.

#include "norm_rows.glsl"

// Of x - centre, or its square, over an item's share of the row that begins at `row`.
float sum_of_row(uint row, uint first, uint step, float centre, bool squares)
{
    const uint d = p.shape[3], stride = p.x_view.stride[3];
    vec4       sum = vec4(0);
    for (uint i = first; i < d; i += step) {
        const uint count = FOURS ? 4 : min(d - i, 4u);
        LOAD_FOUR(value, x, row + i * stride, stride, count, F32)
        value -= centre;
        if (!FOURS) value = mix(vec4(0), value, lessThan(uvec4(0, 1, 2, 3), uvec4(count)));
        sum += squares ? value * value : value;
    }
    return (sum.x + sum.z) + (sum.y + sum.w);
}

float squared_denominator(float squares)
{
    return squares * p.per_entry + p.epsilon;
}
