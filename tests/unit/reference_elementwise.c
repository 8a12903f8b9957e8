/* The oracle's elementwise ops: conversions against core/base over all of f16 and many of f32, activations in long
 * double by another form of each formula, and examples by hand. */
#include "unit/trial.h"

#include "base/number.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void copy(const void *from, scry_dtype from_type, void *to, scry_dtype to_type, int64_t count)
{
    trial t;
    trial_open(&t, "reference");
    scry_op op   = {.kind = SCRY_OP_COPY};
    op.copy.x    = trial_out(&t, from_type, 1, TRIAL_SHAPE(count));
    op.copy.out  = trial_out(&t, to_type, 1, TRIAL_SHAPE(count));
    size_t bytes = (size_t)count * scry_dtype_size(from_type);
    cr_assert_eq(scry_buffer_write(op.copy.x.buffer, 0, from, bytes), SCRY_OK, "%s", scry_last_error());
    trial_run(&t, &op);
    trial_read(&t, &op.copy.out, to);
    trial_close(&t);
}

static bool is_nan_of(uint16_t bits, scry_dtype dtype)
{
    return dtype == SCRY_F16 ? (bits & 0x7fff) > 0x7c00 : (bits & 0x7fff) > 0x7f80;
}

static void expect_widening(scry_dtype dtype, float (*widen)(uint16_t))
{
    enum { ALL = 0x10000 };
    uint16_t *bits = malloc(ALL * sizeof *bits);
    float    *wide = malloc(ALL * sizeof *wide);
    for (int i = 0; i < ALL; i++) bits[i] = (uint16_t)i;
    copy(bits, dtype, wide, SCRY_F32, ALL);
    for (int i = 0; i < ALL; i++) {
        float expected = widen((uint16_t)i);
        bool  same     = is_nan_of((uint16_t)i, dtype) ? isnan(wide[i]) : !memcmp(&expected, &wide[i], sizeof expected);
        cr_expect(same, "0x%04x became %a", (unsigned)i, (double)wide[i]);
    }
    free(bits);
    free(wide);
}

Test(reference_elementwise, f16_and_bf16__widen_exactly)
{
    expect_widening(SCRY_F16, scry__f16_to_f32);
    expect_widening(SCRY_BF16, scry__bf16_to_f32);
}

/* Every f16 and bf16 value, its neighbours in f32, the middle to the next, and that middle's neighbours. */
static void expect_narrowing(scry_dtype dtype, float (*widen)(uint16_t), uint16_t (*narrow)(float))
{
    enum { EACH = 6, COUNT = 0x10000 * EACH };
    float    *values = malloc(COUNT * sizeof *values);
    uint16_t *bits   = malloc(COUNT * sizeof *bits);
    for (int i = 0; i < 0x10000; i++) {
        float value = widen((uint16_t)i), next = widen((uint16_t)(i + 1)), middle = (value + next) / 2;
        float near[EACH] = {value,  nextafterf(value, INFINITY),  nextafterf(value, -INFINITY),
                            middle, nextafterf(middle, INFINITY), nextafterf(middle, -INFINITY)};
        memcpy(values + i * EACH, near, sizeof near);
    }
    copy(values, SCRY_F32, bits, dtype, COUNT);
    for (int i = 0; i < COUNT; i++) {
        bool same = isnan(values[i]) ? is_nan_of(bits[i], dtype) : bits[i] == narrow(values[i]);
        cr_expect(same, "%a became 0x%04x", (double)values[i], (unsigned)bits[i]);
    }
    free(values);
    free(bits);
}

Test(reference_elementwise, f16_and_bf16__round_to_nearest_even)
{
    expect_narrowing(SCRY_F16, scry__f16_to_f32, scry__f32_to_f16);
    expect_narrowing(SCRY_BF16, scry__bf16_to_f32, scry__f32_to_bf16);
}

/* Other forms of the formulas in op.h. */
static long double activate(scry_activation_kind function, long double x)
{
    const long double root_2_over_pi = sqrtl(2 / acosl(-1));
    switch (function) {
    case SCRY_GELU_ERF:
        return x * erfcl(-x * sqrtl(0.5L)) / 2;
    case SCRY_GELU_TANH: {
        long double y = expl(2 * root_2_over_pi * x * (1 + 0.044715L * x * x));
        return isinf(y) ? x : x * (y / (1 + y));
    }
    case SCRY_SILU:
        return x / 2 * (1 + tanhl(x / 2));
    default:
        return x < 0 ? 0 : x;
    }
}

Test(reference_elementwise, activations__equal_their_formulas)
{
    enum { COUNT = 400 };
    float x[COUNT], gated[COUNT], out[COUNT];
    trial t;
    trial_open(&t, "reference");
    trial_normal(gated, COUNT, 61);
    for (int i = 0; i < COUNT; i++) x[i] = (float)(i - COUNT / 2) / 20;
    scry_op op          = {.kind = SCRY_OP_ACTIVATION};
    op.activation.x     = trial_f32(&t, 1, TRIAL_SHAPE(COUNT), x);
    op.activation.out   = trial_out(&t, SCRY_F32, 1, TRIAL_SHAPE(COUNT));
    scry_tensor factors = trial_f32(&t, 1, TRIAL_SHAPE(COUNT), gated);
    for (int function = SCRY_GELU_ERF; function <= SCRY_RELU; function++)
        for (int with_gate = 0; with_gate < 2; with_gate++) {
            op.activation.function = (scry_activation_kind)function;
            op.activation.gated    = with_gate ? factors : (scry_tensor){0};
            trial_run(&t, &op);
            trial_read(&t, &op.activation.out, out);
            for (int i = 0; i < COUNT; i++) {
                long double exact = activate((scry_activation_kind)function, x[i]) * (with_gate ? gated[i] : 1);
                cr_expect(trial_is_rounded(out[i], exact), "function %d of %g: %.9g for %.12Lg", function, (double)x[i],
                          (double)out[i], exact);
            }
        }
    trial_close(&t);
}

Test(reference_elementwise, embed__by_hand)
{
    static const int32_t ids[]   = {2, 0, 5, -1};
    static const float   table[] = {1, 2, 3, 4, 5, 6}, old[] = {10, 10, 10, 10, 10, 10, 10, 10};
    float                out[8];
    trial                t;
    trial_open(&t, "reference");
    scry_op op     = {.kind = SCRY_OP_EMBED, .embed = {.scale = 3, .accumulate = true}};
    op.embed.ids   = trial_i32(&t, 1, TRIAL_SHAPE(4), ids);
    op.embed.table = trial_f32(&t, 2, TRIAL_SHAPE(3, 2), table);
    op.embed.out   = trial_f32(&t, 2, TRIAL_SHAPE(4, 2), old);
    trial_run(&t, &op);
    trial_read(&t, &op.embed.out, out);
    cr_expect(out[0] == 25 && out[1] == 28 && out[2] == 13 && out[3] == 16);
    for (int i = 4; i < 8; i++) cr_expect(isnan(out[i]), "entry %d", i);
    trial_close(&t);
}

Test(reference_elementwise, add_scale_fill__by_hand)
{
    static const float a[] = {1, 2, 3, 4, 5, 6}, row[] = {10, 20, 30};
    float              out[6];
    int32_t            filled[3];
    trial              t;
    trial_open(&t, "reference");
    scry_op op        = {.kind = SCRY_OP_ADD};
    op.add.a          = trial_f32(&t, 2, TRIAL_SHAPE(2, 3), a);
    op.add.b          = trial_f32(&t, 2, TRIAL_SHAPE(1, 3), row);
    op.add.b.shape[0] = 2, op.add.b.stride[0] = 0;
    op.add.out = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(2, 3));
    trial_run(&t, &op);
    trial_read(&t, &op.add.out, out);
    for (int i = 0; i < 6; i++) cr_expect(out[i] == a[i] + row[i % 3]);

    scry_op scale = {.kind = SCRY_OP_SCALE, .scale = {.x = op.add.out, .out = op.add.out, .factor = 2, .offset = -1}};
    trial_run(&t, &scale);
    trial_read(&t, &op.add.out, out);
    for (int i = 0; i < 6; i++) cr_expect(out[i] == 2 * (a[i] + row[i % 3]) - 1);

    scry_op fill  = {.kind = SCRY_OP_FILL, .fill.value = -2.5};
    fill.fill.out = trial_out(&t, SCRY_I32, 1, TRIAL_SHAPE(3));
    trial_run(&t, &fill);
    trial_read(&t, &fill.fill.out, filled);
    cr_expect(filled[0] == -2 && filled[1] == -2 && filled[2] == -2, "%d", (int)filled[0]);
    trial_close(&t);
}
