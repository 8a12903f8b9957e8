/* Tests of head scores against hand-made attention. */
#include "analysis/heads.h"

#include <criterion/criterion.h>
#include <math.h>

enum { COUNT = 64 };

Test(heads, scores__uniform_attention_gives_the_null)
{
    float weight[COUNT], entropy[COUNT], previous[COUNT] = {0};
    for (int i = 0; i < COUNT; i++) {
        weight[i]   = 1.0f / (float)(i + 1);
        previous[i] = i ? weight[i] : 0;
        entropy[i]  = logf((float)(i + 1));
    }
    scry__head_scores got  = scry__head_scores_of(COUNT, previous, weight, weight, entropy, weight);
    scry__head_scores null = scry__head_scores_uniform(COUNT);
    cr_expect_float_eq(got.previous, null.previous, 1e-6f);
    cr_expect_float_eq(got.self, null.self, 1e-6f);
    cr_expect_float_eq(got.first, null.first, 1e-6f);
    cr_expect_float_eq(got.entropy, null.entropy, 1e-6f);
    /* H(64) = 4.7438909, so the self null is H(T)/T and the others (H(T) - 1)/(T - 1). */
    cr_expect_float_eq(null.self, 4.7438909f / 64, 1e-6f);
    cr_expect_float_eq(null.first, 3.7438909f / 63, 1e-6f);
}

Test(heads, scores__a_previous_token_head_scores_one)
{
    float one[COUNT], zero[COUNT] = {0}, self[COUNT] = {1}, first[COUNT] = {1, 1};
    for (int i = 0; i < COUNT; i++) one[i] = 1;
    scry__head_scores got = scry__head_scores_of(COUNT, one, self, first, zero, one);
    cr_expect_float_eq(got.previous, 1, 1e-6f);
    cr_expect_float_eq(got.self, 1.0f / COUNT, 1e-6f);
    cr_expect_float_eq(got.first, 1.0f / (COUNT - 1), 1e-6f);
    cr_expect_float_eq(got.entropy, 0, 1e-6f);
}

Test(heads, scores__a_single_token_has_no_rows_to_average)
{
    float             one[1] = {1}, zero[1] = {0};
    scry__head_scores got = scry__head_scores_of(1, zero, one, one, zero, one);
    cr_expect_eq(got.previous, 0);
    cr_expect_eq(got.self, 1);
    cr_expect(isfinite(got.entropy));
}
