/* The oracle's norm against Welford's running variance in long double, an example by hand, and invariances. */
#include "unit/trial.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { ROWS = 5, SIZE = 77 };

static float x[ROWS * SIZE], weight[SIZE], bias[SIZE], out[ROWS * SIZE], scale[ROWS];

static void run(const float *input, scry_norm_kind kind, float epsilon, float weight_offset)
{
    trial t;
    trial_open(&t, "reference");
    scry_op op                       = {.kind = SCRY_OP_NORM, .norm.parameters = {.kind = kind, .epsilon = epsilon}};
    op.norm.parameters.weight_offset = weight_offset;
    op.norm.parameters.weight        = trial_f32(&t, 1, TRIAL_SHAPE(SIZE), weight);
    if (kind == SCRY_NORM_LAYER) op.norm.parameters.bias = trial_f32(&t, 1, TRIAL_SHAPE(SIZE), bias);
    op.norm.x     = trial_f32(&t, 2, TRIAL_SHAPE(ROWS, SIZE), input);
    op.norm.out   = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(ROWS, SIZE));
    op.norm.scale = trial_out(&t, SCRY_F32, 1, TRIAL_SHAPE(ROWS));
    trial_run(&t, &op);
    trial_read(&t, &op.norm.out, out);
    trial_read(&t, &op.norm.scale, scale);
    trial_close(&t);
}

static void fill_inputs(void)
{
    trial_normal(x, ROWS * SIZE, 31);
    trial_normal(weight, SIZE, 32);
    trial_normal(bias, SIZE, 33);
    for (int i = 0; i < SIZE; i++) x[2 * SIZE + i] += 1000; /* a row far from zero */
}

Test(reference_norm, layer__equals_welford)
{
    fill_inputs();
    run(x, SCRY_NORM_LAYER, 1e-5f, 0);
    for (int row = 0; row < ROWS; row++) {
        long double mean = 0, squares = 0;
        for (int i = 0; i < SIZE; i++) {
            long double delta = x[row * SIZE + i] - mean;
            mean += delta / (i + 1);
            squares += delta * (x[row * SIZE + i] - mean);
        }
        long double denominator = sqrtl(squares / SIZE + (long double)1e-5f);
        cr_expect(trial_is_rounded(scale[row], denominator), "row %d", row);
        for (int i = 0; i < SIZE; i++) {
            long double exact = (x[row * SIZE + i] - mean) / denominator * weight[i] + bias[i];
            cr_expect(trial_is_rounded(out[row * SIZE + i], exact), "row %d, entry %d", row, i);
        }
    }
}

Test(reference_norm, rms__equals_its_formula)
{
    fill_inputs();
    run(x, SCRY_NORM_RMS, 1e-6f, 1);
    for (int row = 0; row < ROWS; row++) {
        long double squares = 0;
        for (int i = SIZE - 1; i >= 0; i--) squares += (long double)x[row * SIZE + i] * x[row * SIZE + i] / SIZE;
        long double denominator = sqrtl(squares + (long double)1e-6f);
        cr_expect(trial_is_rounded(scale[row], denominator), "row %d", row);
        for (int i = 0; i < SIZE; i++) {
            long double exact = x[row * SIZE + i] / denominator * ((long double)weight[i] + 1);
            cr_expect(trial_is_rounded(out[row * SIZE + i], exact), "row %d, entry %d", row, i);
        }
    }
}

Test(reference_norm, small__by_hand)
{
    /* layer of (1, 3), epsilon 3: mean 2, variance 1, denominator 2; rms of (6, 8), epsilon 14: mean square 50 */
    static const float pairs[] = {1, 3, 6, 8};
    float              got[4], denominators[2];
    trial              t;
    trial_open(&t, "reference");
    scry_op op    = {.kind = SCRY_OP_NORM, .norm.parameters = {.kind = SCRY_NORM_LAYER, .epsilon = 3}};
    op.norm.x     = trial_f32(&t, 2, TRIAL_SHAPE(2, 2), pairs);
    op.norm.out   = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(2, 2));
    op.norm.scale = trial_out(&t, SCRY_F32, 1, TRIAL_SHAPE(2));
    trial_run(&t, &op);
    trial_read(&t, &op.norm.out, got);
    trial_read(&t, &op.norm.scale, denominators);
    cr_expect(got[0] == -0.5f && got[1] == 0.5f && got[2] == -0.5f && got[3] == 0.5f);
    cr_expect(denominators[0] == 2 && denominators[1] == 2);
    op.norm.parameters = (scry_norm_parameters){.kind = SCRY_NORM_RMS, .epsilon = 14};
    trial_run(&t, &op);
    trial_read(&t, &op.norm.out, got);
    cr_expect(got[2] == 0.75f && got[3] == 1, "%g %g", (double)got[2], (double)got[3]);
    op.norm.parameters = (scry_norm_parameters){.kind = SCRY_NORM_NONE, .epsilon = 14};
    trial_run(&t, &op);
    trial_read(&t, &op.norm.out, got);
    trial_read(&t, &op.norm.scale, denominators);
    cr_expect_eq(memcmp(got, pairs, sizeof pairs), 0);
    cr_expect(denominators[0] == 1);
    trial_close(&t);
}

Test(reference_norm, scaling_the_input_by_a_power_of_two__changes_no_bit_without_epsilon)
{
    static float larger[ROWS * SIZE], kept[ROWS * SIZE];
    fill_inputs();
    for (int i = 0; i < ROWS * SIZE; i++) larger[i] = x[i] * 0x1p20f;
    for (int kind = SCRY_NORM_LAYER; kind <= SCRY_NORM_RMS; kind++) {
        run(x, (scry_norm_kind)kind, 0, 0);
        memcpy(kept, out, sizeof kept);
        run(larger, (scry_norm_kind)kind, 0, 0);
        cr_expect_eq(memcmp(kept, out, sizeof kept), 0, "kind %d", kind);
    }
}

Test(reference_norm, nan__stays_in_its_row)
{
    fill_inputs();
    x[SIZE + 3] = (float)NAN;
    run(x, SCRY_NORM_LAYER, 1e-5f, 0);
    for (int i = 0; i < ROWS * SIZE; i++) cr_expect_eq(isnan(out[i]) != 0, i / SIZE == 1, "entry %d", i);
}
