/* The cpu backend's kernels, each variant that this processor runs, against the same formulas in f64. */
#include "backends/cpu/kernels.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 1 << 16 };

/* Distance from `found` to the exact value in units of f32's last place there. */
static double ulps(double found, double exact)
{
    int exponent;
    frexp(exact, &exponent);
    return fabs(found - exact) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

static float *fill(float *x, float low, float high)
{
    for (int i = 0; i < COUNT; i++) x[i] = low + (high - low) * (float)i / (COUNT - 1);
    return x;
}

static float x[COUNT], y[COUNT];

Test(cpu_kernels, exponential__is_within_2_ulp)
{
    const struct scry__cpu_kernels *kernels;
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++) {
        fill(x, 0, -87.3f);
        memcpy(y, x, sizeof y);
        kernels->exponentiate_row(y, COUNT, 1);
        for (int i = 0; i < COUNT; i++)
            cr_assert(ulps((double)y[i], exp((double)x[i])) <= 2, "%s: exp(%g) is %g", kernels->name, (double)x[i],
                      (double)y[i]);
    }
}

Test(cpu_kernels, exponential__underflows_to_0_and_keeps_nan)
{
    const struct scry__cpu_kernels *kernels;
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++) {
        float row[16] = {0, -INFINITY, -88, -1e30f, -87.5f, -FLT_MAX, -0.0f, -100};
        for (int i = 8; i < 16; i++) row[i] = -INFINITY;
        struct scry__cpu_row sums = kernels->exponentiate_row(row, 16, 1);
        cr_expect(row[0] == 1 && row[6] == 1 && sums.max == 0, "%s", kernels->name);
        for (int i = 1; i < 16; i++)
            if (i != 4 && i != 6) cr_expect(row[i] == 0, "%s: entry %d is %g", kernels->name, i, (double)row[i]);
        cr_expect(fabs((double)row[4] - exp(-87.5)) <= (double)FLT_MIN * 0x1p-20, "%s: a subnormal result",
                  kernels->name);
        cr_expect(sums.sum == 2 && sums.entropy >= 0 && sums.entropy < 1e-30f, "%s", kernels->name);
        row[3] = NAN;
        cr_expect(isnan(kernels->exponentiate_row(row, 16, 1).sum) && isnan(row[3]), "%s: NaN", kernels->name);
    }
}

Test(cpu_kernels, row_without_keys__has_no_maximum)
{
    const struct scry__cpu_kernels *kernels;
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++) {
        float row[16];
        for (int i = 0; i < 16; i++) row[i] = -INFINITY;
        struct scry__cpu_row sums = kernels->exponentiate_row(row, 16, 1);
        cr_expect(sums.max == -INFINITY && sums.sum == 0 && row[0] == 0 && row[15] == 0, "%s", kernels->name);
        for (int i = 0; i < 16; i++) row[i] = NAN;
        cr_expect(isnan(kernels->exponentiate_row(row, 16, 1).sum), "%s: nothing but NaN", kernels->name);
    }
}

/* With cap 1 and scale 1, a score becomes its tanh. */
Test(cpu_kernels, tanh__is_within_3_ulp)
{
    const struct scry__cpu_kernels *kernels;
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++) {
        fill(x, -12, 12);
        memcpy(y, x, sizeof y);
        kernels->score_row(y, COUNT, 1, 1);
        for (int i = 0; i < COUNT; i++)
            cr_assert(ulps((double)y[i], tanh((double)x[i])) <= 3, "%s: tanh(%g) is %g", kernels->name, (double)x[i],
                      (double)y[i]);
        float ends[16] = {INFINITY, -INFINITY, NAN, 1e-30f};
        kernels->score_row(ends, 16, 1, 1);
        cr_expect(ends[0] == 1 && ends[1] == -1 && isnan(ends[2]) && ends[3] == 1e-30f, "%s", kernels->name);
    }
}

static double exact_activation(double value, scry_activation_kind function)
{
    switch (function) {
    case SCRY_GELU_ERF:
        return value / 2 * erfc(-value / sqrt(2));
    case SCRY_GELU_TANH:
        return value / (1 + exp(-2 * sqrt(2 / M_PI) * (value + 0.044715 * value * value * value)));
    case SCRY_SILU:
        return value / (1 + exp(-value));
    default:
        return value > 0 ? value : 0;
    }
}

/* The error of the inner argument z, a few roundings, is multiplied by |z| in the exponential: bounds in ulp grow with
 * it. For the erf form z is x^2 / 2, whose square is exact only where products are fused. */
static double activation_ulps(double value, scry_activation_kind function)
{
    double z = function == SCRY_GELU_ERF ? value * value / 2
                                         : 2 * sqrt(2 / M_PI) * fabs(value + 0.044715 * value * value * value);
    if (function == SCRY_RELU) return 0;
    if (function == SCRY_SILU || value > 0) return 8;
    return 10 + (function == SCRY_GELU_ERF ? 1 : 4) * z;
}

Test(cpu_kernels, activations__have_small_relative_errors_in_the_tails_too)
{
    const struct scry__cpu_kernels *kernels;
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++)
        for (int function = SCRY_GELU_ERF; function <= SCRY_RELU; function++) {
            kernels->activate(y, fill(x, -8, 12), NULL, COUNT, (scry_activation_kind)function);
            for (int i = 0; i < COUNT; i++) {
                double exact = exact_activation((double)x[i], (scry_activation_kind)function);
                cr_assert(ulps((double)y[i], exact) <= activation_ulps((double)x[i], (scry_activation_kind)function),
                          "%s: activation %d of %g is %g, not %g", kernels->name, function, (double)x[i], (double)y[i],
                          exact);
            }
        }
}

/* f'(x), and the sum of its terms' sizes: near -0.75 they cancel. */
static double exact_slope(double value, scry_activation_kind function, double *size)
{
    double share, other;
    if (function == SCRY_GELU_ERF) {
        share = erfc(-value / sqrt(2)) / 2;
        other = value * exp(-value * value / 2) / sqrt(2 * M_PI);
    } else {
        double bend = function == SCRY_SILU ? 1 : 2 * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * value * value);
        double z    = function == SCRY_SILU ? value : 2 * sqrt(2 / M_PI) * (value + 0.044715 * value * value * value);
        share       = 1 / (1 + exp(-z));
        other       = value * bend * share / (1 + exp(z));
    }
    *size = fabs(share) + fabs(other);
    return share + other;
}

Test(cpu_kernels, slopes__have_small_errors_in_the_tails_too)
{
    const struct scry__cpu_kernels *kernels;
    static float                    ones[COUNT];
    for (int i = 0; i < COUNT; i++) ones[i] = 1;
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++)
        for (int function = SCRY_GELU_ERF; function < SCRY_RELU; function++) {
            kernels->activate_backward(y, NULL, fill(x, -8, 12), NULL, ones, COUNT, (scry_activation_kind)function);
            for (int i = 0; i < COUNT; i++) {
                double size, exact = exact_slope((double)x[i], (scry_activation_kind)function, &size);
                double ulp = activation_ulps(-fabs((double)x[i]), (scry_activation_kind)function);
                cr_assert(fabs((double)y[i] - exact) <= ulp * 0x1p-24 * size + (double)FLT_MIN,
                          "%s: slope %d at %g is %g, not %g", kernels->name, function, (double)x[i], (double)y[i],
                          exact);
            }
        }
}

/* 0 and 1 far away, 0 for relu at 0, and NaN stays NaN. */
Test(cpu_kernels, slopes__end_in_0_and_1)
{
    static const float              at[] = {-INFINITY, -FLT_MAX, -1000, 1000, FLT_MAX, INFINITY, NAN};
    const struct scry__cpu_kernels *kernels;
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++)
        for (int function = SCRY_GELU_ERF; function <= SCRY_RELU; function++) {
            float slope[7], ones[7] = {1, 1, 1, 1, 1, 1, 1}, zero = 0;
            kernels->activate_backward(slope, NULL, at, NULL, ones, 7, (scry_activation_kind)function);
            for (int i = 0; i < 6; i++)
                cr_expect(slope[i] == (i < 3 ? 0 : 1), "%s: slope %d at %g is %g", kernels->name, function,
                          (double)at[i], (double)slope[i]);
            cr_expect(isnan(slope[6]), "%s: slope %d at NaN", kernels->name, function);
            kernels->activate_backward(slope, NULL, &zero, NULL, ones, 1, (scry_activation_kind)function);
            cr_expect(slope[0] == (function == SCRY_RELU ? 0 : 0.5f), "%s: slope %d at 0", kernels->name, function);
        }
}

/* All 65,536 half and bfloat values come back; between two neighbours the nearer wins, the even one at the middle. */
Test(cpu_kernels, narrowing__rounds_to_nearest_even)
{
    static uint16_t halves[1 << 16], back[1 << 16];
    static float    wide[1 << 16];
    for (int i = 0; i < 1 << 16; i++) halves[i] = (uint16_t)i;
    const struct scry__cpu_kernels *kernels;
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++)
        for (scry_dtype dtype = SCRY_F16; dtype <= SCRY_BF16; dtype++) {
            kernels->widen(wide, halves, dtype, 1 << 16);
            kernels->narrow(back, dtype, wide, 1 << 16);
            for (int i = 0; i < 1 << 16; i++)
                cr_assert(isnan(wide[i]) || back[i] == i, "%s: %04x came back as %04x", kernels->name, i, back[i]);
            for (int i = 0; i < (1 << 15) - 1; i++) {
                if (!isfinite(wide[i]) || !isfinite(wide[i + 1])) continue;
                float    middle   = (float)(((double)wide[i] + (double)wide[i + 1]) / 2);
                float    three[3] = {nextafterf(middle, 0), middle, nextafterf(middle, INFINITY)};
                uint16_t got[3];
                kernels->narrow(got, dtype, three, 3);
                cr_assert(got[0] == i && got[1] == (i + 1) / 2 * 2 && got[2] == i + 1, "%s: around %g", kernels->name,
                          (double)middle);
            }
        }
}

/* A tile's element is one chain of multiply-adds: the same bits whatever the rows and columns beside it. */
Test(cpu_kernels, multiply__gives_equal_bits_anywhere_in_a_tile)
{
    enum { K = 77, ROWS = 29 };
    static float                    panel[K * 2 * SCRY__CPU_LANES], a[ROWS * K], c[ROWS * 2 * SCRY__CPU_LANES];
    const struct scry__cpu_kernels *kernels;
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++) {
        int width = kernels->tile_columns;
        for (int k = 0; k < K; k++) {
            for (int row = 0; row < ROWS; row++) a[row * K + k] = sinf((float)k);
            for (int j = 0; j < width; j++) panel[k * width + j] = cosf((float)(3 * k));
        }
        kernels->multiply(c, width, a, K, panel, ROWS, K, false, NULL);
        for (int i = 1; i < ROWS * width; i++) cr_assert(c[i] == c[0], "%s: element %d", kernels->name, i);
        float whole = c[0];
        memset(c, 0, sizeof c);
        kernels->multiply_half(c, width, a, K, panel, ROWS, K);
        for (int i = 0; i < ROWS * width; i++)
            cr_assert(c[i] == (i % width < width / 2 ? whole : 0), "%s: element %d of a half", kernels->name, i);
    }
}

/* A left side that lies transposed, packed or not, gives the bits that its rows give. */
Test(cpu_kernels, multiply_turned__gives_the_bits_of_multiply)
{
    enum { K = 43, ROWS = 29, WIDTH = 2 * SCRY__CPU_LANES };
    static float                    panel[K * WIDTH], a[ROWS * K], turned[K * ROWS], packed[K * ROWS], bias[WIDTH];
    static float                    expected[ROWS * WIDTH], found[ROWS * WIDTH];
    const struct scry__cpu_kernels *kernels;
    for (int i = 0; i < K * WIDTH; i++) panel[i] = cosf((float)(3 * i));
    for (int i = 0; i < WIDTH; i++) bias[i] = sinf((float)(7 * i));
    for (int i = 0; i < ROWS * K; i++) turned[i % K * ROWS + i / K] = a[i] = sinf((float)i);
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++) {
        int    width = kernels->tile_columns, height = kernels->tile_rows;
        size_t bytes = sizeof(float) * ROWS * (size_t)width;
        for (int i = 0; i < ROWS * width; i++) expected[i] = found[i] = sinf((float)(5 * i));
        kernels->multiply(expected, width, a, K, panel, ROWS, K, true, bias);
        kernels->multiply_turned(found, width, turned, ROWS, panel, ROWS, K, true, bias);
        cr_expect(!memcmp(found, expected, bytes), "%s: as it lies", kernels->name);
        kernels->multiply(expected, width, a, K, panel, ROWS, K, false, NULL);
        for (int row = 0; row < ROWS; row += height) {
            int rows = ROWS - row < height ? ROWS - row : height;
            kernels->pack_turned(packed, turned + row, ROWS, rows, K);
            kernels->multiply_turned(found + row * width, width, packed, height, panel, rows, K, false, NULL);
        }
        cr_expect(!memcmp(found, expected, bytes), "%s: packed", kernels->name);
    }
}

/* What a tile adds at its end has the bits that finishing it in a second pass gives: edges of a product and its inner
 * tiles agree. */
Test(cpu_kernels, multiply__adds_as_finish_does)
{
    enum { K = 19, ROWS = 23, WIDTH = 2 * SCRY__CPU_LANES };
    static float                    panel[K * WIDTH], a[ROWS * K], bias[WIDTH], old[ROWS * WIDTH];
    static float                    tile[ROWS * WIDTH], direct[ROWS * WIDTH], finished[ROWS * WIDTH];
    const struct scry__cpu_kernels *kernels;
    for (int i = 0; i < ROWS * K; i++) a[i] = sinf((float)i);
    for (int i = 0; i < ROWS * WIDTH; i++) old[i] = 3 * cosf((float)(5 * i));
    for (int i = 0; i < K * WIDTH; i++) panel[i] = cosf((float)(3 * i));
    for (int i = 0; i < WIDTH; i++) bias[i] = sinf((float)(7 * i));
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++)
        for (int which = 0; which < 4; which++) {
            bool         add    = which & 1;
            const float *biases = which & 2 ? bias : NULL;
            int          width = kernels->tile_columns, count = ROWS * width;
            memcpy(direct, old, sizeof old);
            memcpy(finished, old, sizeof old);
            kernels->multiply(direct, width, a, K, panel, ROWS, K, add, biases);
            kernels->multiply(tile, width, a, K, panel, ROWS, K, false, NULL);
            kernels->finish(finished, width, tile, width, ROWS, width, 1, add, biases);
            cr_assert(!memcmp(direct, finished, (size_t)count * sizeof *direct), "%s: add %d, bias %d", kernels->name,
                      add, biases != NULL);
        }
}

/* Packing by transposition and packing by copying make the same panel, whatever the type. */
Test(cpu_kernels, pack__takes_any_order)
{
    enum { K = 37, COLUMNS = 2 * SCRY__CPU_LANES };
    static const scry_dtype         dtypes[] = {SCRY_F32, SCRY_F16, SCRY_BF16};
    static float                    wide[K * COLUMNS], panel[K * COLUMNS];
    static uint16_t                 halves[K * COLUMNS];
    const struct scry__cpu_kernels *kernels;
    for (int v = 0; (kernels = scry__cpu_kernels_usable(v)); v++)
        for (int d = 0; d < 3; d++)
            for (int columns = 1; columns <= kernels->tile_columns; columns++)
                for (int turned = 0; turned < 2; turned++) {
                    int         stride_k = turned ? 1 : columns, stride_column = turned ? K : 1;
                    const void *b = dtypes[d] == SCRY_F32 ? (const void *)wide : halves;
                    for (int i = 0; i < K * columns; i++) wide[i] = (float)(i % 251);
                    if (dtypes[d] != SCRY_F32) kernels->narrow(halves, dtypes[d], wide, K * columns);
                    kernels->pack(panel, b, dtypes[d], K, columns, stride_k, stride_column);
                    for (int k = 0; k < K; k++)
                        for (int j = 0; j < kernels->tile_columns; j++) {
                            float expected = j < columns ? wide[k * stride_k + j * stride_column] : 0;
                            cr_assert(panel[k * kernels->tile_columns + j] == expected, "%s: %s, %d columns, (%d, %d)",
                                      kernels->name, scry_dtype_text(dtypes[d]), columns, k, j);
                        }
                }
}
