// What matmul's kernels share: their sizes, bias and C, and what becomes of a sum.
//
//     C = alpha A B + beta C + bias
//
// a [B0, B1, m, k], b (w) [B0, B1, k, n], bias (w) [n], c [B0, B1, m, n]; axes that are not there have size 1.
//
// Every kernel adds up an element of C in the same way, so that its bits depend on its row and its column alone: k is
// taken in stretches of STRETCH steps; each is one chain of multiply-adds in the order of k; the first stretch's sum
// makes the element (times alpha, with the old element and bias), those of later ones are added to it in their order,
// times alpha. Error: gamma(k + 3) times the sum of magnitudes.
//
// Before it is included, OPERANDS declares the views in front of bias and c. Bindings 3 and 4 are bias and c.

const uint STRETCH = 512;

layout(constant_id = 1) const bool READS  = true;  // C, for beta or because sums are added to it
layout(constant_id = 2) const bool C_RUNS = false; // runs of 4 in C lie at multiples of 4, and are whole

struct product {
    uint  m, n, k;        // of this launch
    uint  batches, inner; // batch i is (i / inner, i % inner)
    uint  continues;      // 1: k begins where an earlier launch ended
    float alpha, beta;
};

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    OPERANDS
    view    bias_view, c_view;
    product given;
};
product p = given;
layout(std430, set = 0, binding = 3) readonly buffer bias_block { uint bias[]; };
layout(std430, set = 0, binding = 4) buffer c_block { float c[]; };
layout(std430, set = 0, binding = 4) buffer c_fours_block { vec4 c_fours[]; };

// The first element of a batch's matrix.
uint matrix_of(view x, uint batch)
{
    return x.offset + batch / p.inner * x.stride[0] + batch % p.inner * x.stride[1];
}

// What is added to 4 columns; beyond the last column anything.
vec4 bias_at(uint column)
{
    const view row    = bias_view;
    vec4       values = vec4(0);
    if (row.present == 0u) return values;
    for (uint i = 0; i < 4; i++) {
        const uint at = row.offset + min(column + i, p.n - 1) * row.stride[0];
        values[i]     = LOAD_AS(bias, at, row.dtype);
    }
    return values;
}

// 4 elements of C from element `at` on, of which `count` are there.
vec4 load(uint at, uint count)
{
    vec4 value = vec4(0);
    if (C_RUNS) {
        if (count > 0u) value = c_fours[at >> 2];
    } else {
        for (uint i = 0; i < 4; i++)
            if (i < count) value[i] = c[at + i];
    }
    return value;
}

void store(uint at, uint count, vec4 value)
{
    if (C_RUNS) {
        if (count > 0u) c_fours[at >> 2] = value;
    } else {
        for (uint i = 0; i < 4; i++)
            if (i < count) c[at + i] = value[i];
    }
}

// Puts the sums of one stretch into these elements.
void put(uint at, uint count, vec4 sum, vec4 add, bool is_first)
{
    precise vec4 value = p.alpha * sum;
    if (READS && !is_first)
        value = load(at, count) + value;
    else if (READS && p.beta != 0.0)
        value = fma(vec4(p.beta), load(at, count), value);
    if (is_first) value = value + add;
    store(at, count, value);
}
