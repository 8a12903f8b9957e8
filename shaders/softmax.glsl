// softmax_capture: masked softmax of given scores, row by row, with the statistics of each row. What its kernels share:
// softmax_block.comp for devices of CPU type, softmax_group.comp and softmax_subgroup.comp for others.
//
// probabilities[b, h, i, j] = exp(s_j - max s) / sum over visible keys, s = scores + additive; exactly 0 where masked
//
// scores, probabilities    [B, H, Q, K], any strides, may be the same
// records                  [B, H, Q, RECORD] in scratch (rows.comp)
//
// Error: exp_negative's 2 ulp and the rounding of its argument for each exponential; a sum of K terms; in softmax_block
// its rescaling once in each run of 32 keys.
#include "common.glsl"
#include "math.glsl"
#include "mask.glsl"

struct parameters {
    uint rows, heads, queries, keys;
    int  key; // of key_mass; not a key of the row: none
    view scores_view;
    MASK_PARAMETERS
    view probabilities_view;
};
PARAMETERS
layout(std430, set = 0, binding = 1) readonly buffer scores_block { float scores[]; };
MASK_BINDINGS(2)
layout(std430, set = 0, binding = 5) writeonly buffer probabilities_block { float probabilities[]; };
layout(std430, set = 0, binding = 6) writeonly buffer records_block { uint records[]; };

// Where a row's scores begin, what is added to them, and where its probabilities go.
struct source {
    uint  scores, additive, probabilities;
    int   first, position; // the keys of the statistics `first` and `self`
    sight sees;
};

source source_of(uint number)
{
    // Under the names that the mask's macros know.
    const mask masked         = p.masked;
    const view key_begin_view = p.key_begin_view, key_end_view = p.key_end_view, additive_view = p.additive_view;
    const uint b = number / (p.heads * p.queries), h = number / p.queries % p.heads, i = number % p.queries;
    source     row;
    row.scores   = p.scores_view.offset + b * p.scores_view.stride[0] + h * p.scores_view.stride[1] +
                 i * p.scores_view.stride[2];
    row.additive = additive_view.offset + b * additive_view.stride[0] + h * additive_view.stride[1] +
                   i * additive_view.stride[2];
    row.probabilities = p.probabilities_view.offset + b * p.probabilities_view.stride[0] +
                        h * p.probabilities_view.stride[1] + i * p.probabilities_view.stride[2];
    row.first    = max(PADDING_BEGIN(b), 0);
    row.position = masked.position + int(i);
    row.sees     = SIGHT_OF(b, i, p.keys);
    return row;
}

// The score of a key that may lie outside the row; -inf where it is masked.
float score_of(source row, int at)
{
    if (at < 0 || at >= int(p.keys) || !is_seen(row.sees, at)) return -INFINITE;
    const float score = scores[row.scores + uint(at) * p.scores_view.stride[3]];
    if (p.additive_view.present == 0u) return score;
    return with_bias(score, additive[row.additive + uint(at) * p.additive_view.stride[3]]);
}

void put_probability(source row, int at, float centre, float factor)
{
    probabilities[row.probabilities + uint(at) * p.probabilities_view.stride[3]] =
        probability_of(score_of(row, at), centre, factor);
}

void put_record(source row, uint number, float centre, float sum, float weighted, int argmax)
{
    const int   picked[PICKED] = {row.position - 1, row.position, row.first, p.key};
    const float factor         = factor_of(sum);
    const uint  record         = number * RECORD;
    records[record + LSE]      = floatBitsToUint(lse_of(centre, sum));
    records[record + ENTROPY]  = floatBitsToUint(entropy_of(sum, weighted));
    records[record + MAX]      = floatBitsToUint(factor); // of the largest score, exp is 1
    records[record + ARGMAX]   = uint(argmax);
    [[dont_unroll]] for (uint kind = 0; kind < PICKED; kind++)
        records[record + PREVIOUS + kind] =
            floatBitsToUint(probability_of(score_of(row, picked[kind]), centre, factor));
}
