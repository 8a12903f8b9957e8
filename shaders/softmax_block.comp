// softmax_capture for devices of CPU type (softmax.glsl): an item takes a row, so that nothing is reduced across items,
// and goes through its keys twice: for the largest score and the sums, and for the probabilities.
//
// Launched over B * H * Q items.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "softmax.glsl"

// Keys whose scores are held at a time; the sums are rescaled once for each run. backends/vulkan/softmax.c chooses.
layout(constant_id = 1) const int RUN = 32;

void main()
{
    const uint number = group_number() * ITEMS + ITEM;
    if (number >= p.rows) return;
    const source row    = source_of(number);
    const int    end    = int(p.keys);

    float largest = -INFINITE, sum = 0.0, weighted = 0.0, score[RUN];
    int   argmax = -1;
    for (int j = 0; j < end; j += RUN) {
        const float before = largest;
        for (int n = 0; n < RUN; n++) {
            score[n] = score_of(row, j + n);
            if (score[n] > largest) {
                largest = score[n];
                argmax  = j + n;
            }
        }
        const float centre = centre_of(largest);
        float       below;
        const float shrink = exp_bounded(before - centre, below);
        weighted           = (weighted + sum * below) * shrink;
        sum                = sum * shrink;
        for (int n = 0; n < RUN; n++) {
            const float e = exp_bounded(score[n] - centre, below);
            sum           = sum + e;
            weighted      = weighted + e * below;
        }
    }
    const float centre = centre_of(largest), factor = factor_of(sum);
    put_record(row, number, centre, sum, weighted, argmax);
    if (p.probabilities_view.present == 0u) return;
    for (int j = 0; j < end; j++) put_probability(row, j, centre, factor);
}
