/* The oracle's rope as multiplication of complex numbers, and what a rotation must keep. */
#include "unit/trial.h"

#include <complex.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#undef I /* the imaginary unit is written out; I is a poor name beside indices */

enum { T = 9, H = 2, D = 14, PAIRS = 5, ROWS = 64 };

static float x[T * H * D], out[T * H * D], back[T * H * D], cosine[ROWS * PAIRS], sine[ROWS * PAIRS];

static void fill_inputs(void)
{
    trial_normal(x, T * H * D, 41);
    for (int i = 0; i < ROWS * PAIRS; i++) {
        double angle = (double)(i / PAIRS) * pow(100, -(double)(i % PAIRS) / PAIRS);
        cosine[i]    = (float)cos(angle);
        sine[i]      = (float)sin(angle);
    }
}

static void run(const float *input, float *result, bool interleaved, bool inverse, const int32_t *positions,
                int64_t first)
{
    trial t;
    trial_open(&t, "reference");
    scry_op op              = {.kind = SCRY_OP_ROPE, .rope = {.interleaved = interleaved, .inverse = inverse}};
    op.rope.position_offset = first;
    op.rope.x               = trial_f32(&t, 4, TRIAL_SHAPE(1, T, H, D), input);
    op.rope.out             = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(1, T, H, D));
    op.rope.cosine          = trial_f32(&t, 2, TRIAL_SHAPE(ROWS, PAIRS), cosine);
    op.rope.sine            = trial_f32(&t, 2, TRIAL_SHAPE(ROWS, PAIRS), sine);
    if (positions) op.rope.positions = trial_i32(&t, 2, TRIAL_SHAPE(1, T), positions);
    trial_run(&t, &op);
    trial_read(&t, &op.rope.out, result);
    trial_close(&t);
}

/* Pair i of a head as a complex number. */
static long double complex pair_of(const float *head, int i, bool interleaved)
{
    return interleaved ? head[2 * i] + _Complex_I * head[2 * i + 1] : head[i] + _Complex_I * head[i + PAIRS];
}

static void expect_turned(bool interleaved, bool inverse, const int32_t *positions, int first)
{
    run(x, out, interleaved, inverse, positions, first);
    for (int row = 0; row < T * H; row++) {
        int          at   = positions ? positions[row / H] : first + row / H;
        const float *head = x + row * D, *turned = out + row * D;
        for (int i = 0; i < PAIRS; i++) {
            long double complex angle = cosine[at * PAIRS + i] + _Complex_I * sine[at * PAIRS + i];
            long double complex exact = pair_of(head, i, interleaved) * (inverse ? conjl(angle) : angle);
            long double complex got   = pair_of(turned, i, interleaved);
            cr_expect(trial_is_rounded((float)creall(got), creall(exact)), "row %d, pair %d", row, i);
            cr_expect(trial_is_rounded((float)cimagl(got), cimagl(exact)), "row %d, pair %d", row, i);
        }
        cr_expect_eq(memcmp(head + 2 * PAIRS, turned + 2 * PAIRS, sizeof(float) * (D - 2 * PAIRS)), 0, "row %d", row);
    }
}

Test(reference_rope, pairs__are_multiplied_as_complex_numbers)
{
    static const int32_t positions[T] = {3, 0, 63, 7, 7, 1, 20, 33, 50};
    fill_inputs();
    for (int form = 0; form < 4; form++) {
        expect_turned(form & 1, form & 2, NULL, 0);
        expect_turned(form & 1, form & 2, NULL, 31);
        expect_turned(form & 1, form & 2, positions, 0);
    }
}

Test(reference_rope, position_0__changes_nothing)
{
    static const int32_t zeros[T];
    fill_inputs();
    run(x, out, false, false, zeros, 0);
    cr_expect_eq(memcmp(x, out, sizeof x), 0);
}

Test(reference_rope, inverse__turns_back)
{
    fill_inputs();
    for (int form = 0; form < 2; form++) {
        run(x, out, form, false, NULL, 17);
        run(out, back, form, true, NULL, 17);
        for (int i = 0; i < T * H * D; i++) cr_expect_float_eq(back[i], x[i], 1e-6, "entry %d", i);
    }
}

/* The product of a query and a key depends on the distance of their positions alone. */
Test(reference_rope, products__depend_on_distance_alone)
{
    static float later[T * H * D];
    fill_inputs();
    for (int form = 0; form < 2; form++) {
        run(x, out, form, false, NULL, 0);
        run(x, later, form, false, NULL, 40);
        for (int i = 0; i < T; i++)
            for (int j = 0; j < T; j++) {
                double near = 0, far = 0;
                for (int d = 0; d < D; d++) {
                    near += (double)out[i * H * D + d] * (double)out[j * H * D + d];
                    far += (double)later[i * H * D + d] * (double)later[j * H * D + d];
                }
                cr_expect_float_eq(near, far, 1e-5, "rows %d and %d", i, j);
            }
    }
}

Test(reference_rope, positions_outside_the_tables__give_nan)
{
    static const int32_t positions[T] = {0, ROWS, -1, 1, 1, 1, 1, 1, 1};
    fill_inputs();
    run(x, out, false, false, positions, 0);
    for (int i = 0; i < T * H * D; i++) {
        bool outside = positions[i / (H * D)] < 0 || positions[i / (H * D)] >= ROWS;
        cr_expect_eq(isnan(out[i]) != 0, outside && i % D < 2 * PAIRS, "entry %d", i);
    }
}
