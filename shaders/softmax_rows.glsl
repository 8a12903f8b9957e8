// softmax_capture for devices of GPU type (softmax.glsl): a work group takes one row, three times: for the largest
// score, for the sums, for the probabilities. Its items take keys that lie side by side in memory. How they put together
// what they found is reduce.glsl's matter.
//
// Launched over B * H * Q groups.
#include "softmax.glsl"
#define REDUCE_CONSTANT 1
#include "reduce.glsl"

void main()
{
    const uint   number = group_number();
    const source row    = source_of(number);
    const uint   end    = p.keys;

    float largest = -INFINITE;
    int   argmax  = 0x7fffffff;
    for (uint j = ITEM; j < end; j += ITEMS) {
        const float score = score_of(row, int(j));
        if (score > largest) {
            largest = score;
            argmax  = int(j);
        }
    }
    largest = reduce_best(largest, argmax);
    if (largest == -INFINITE) argmax = -1;

    const float centre = centre_of(largest);
    float       sum = 0.0, weighted = 0.0;
    for (uint j = ITEM; j < end; j += ITEMS) {
        float       below;
        const float e = exp_bounded(score_of(row, int(j)) - centre, below);
        sum           = sum + e;
        weighted      = weighted + e * below;
    }
    sum      = reduce_sum(sum);
    weighted = reduce_sum(weighted);

    if (ITEM == 0u) put_record(row, number, centre, sum, weighted, argmax);
    // In place, the first item must have read the scores that it needed.
    memoryBarrierBuffer();
    barrier();
    if (p.probabilities_view.present == 0u) return;
    const float factor = factor_of(sum);
    for (uint j = ITEM; j < end; j += ITEMS) put_probability(row, int(j), centre, factor);
}
