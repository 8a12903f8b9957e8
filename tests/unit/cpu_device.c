/* What is the cpu backend's own: every variant of its kernels and any number of threads pass the op cases; equal rows
 * of a lens have divergence 0; products of few rows and of many agree; values behind the mask never reach a result. */
#include "backends/cpu/cpu.h"
#include "cases/cases.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static scry_device *open_device(const char *name, int threads)
{
    scry_device *device = NULL;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = name, .threads = threads}), SCRY_OK, "%s",
                 scry_last_error());
    return device;
}

static void run_cases(scry_device *cpu, const char *what)
{
    scry_device *reference = open_device("reference", 0);
    for (int i = 0; i < scry__case_count(); i++) {
        scry__case_result result;
        if (scry__case_at(i).tier > SCRY__TIER_QUICK) continue;
        cr_assert_eq(scry__case_run(&result, i, 0, reference, cpu), SCRY_OK);
        cr_expect(result.passed, "%s: %s: %s", what, scry__case_at(i).name, result.detail);
    }
    for (int i = 0; i < scry__relation_count(); i++) {
        scry__case_result result;
        cr_assert_eq(scry__relation_run(&result, i, 0, cpu), SCRY_OK);
        cr_expect(result.passed, "%s: %s: %s", what, scry__relation_at(i).name, result.detail);
    }
    scry_device_destroy(&reference);
}

/* Each variant and each number of threads, not each pair: where work is divided, a variant has no say. */
Test(cpu_device, variants_and_thread_counts__pass_every_case)
{
    static const int                counts[] = {1, 7, 3, 2};
    const struct scry__cpu_kernels *kernels;
    int                             variants = 0;
    while (scry__cpu_kernels_usable(variants)) variants++;
    for (int i = 0; i < 4 || i < variants; i++) {
        char         what[64];
        scry_device *device                         = open_device("cpu", counts[i % 4]);
        kernels                                     = scry__cpu_kernels_usable(i % variants);
        ((struct scry__cpu *)device->impl)->kernels = kernels;
        snprintf(what, sizeof what, "%s, %d threads", kernels->name, counts[i % 4]);
        run_cases(device, what);
        scry_device_destroy(&device);
    }
}

/* --- larger than the cases, so that work is shared --- */

static scry_tensor tensor(scry_device *device, scry_dtype dtype, int rank, const int64_t *shape)
{
    static uint32_t state  = 1;
    scry_buffer    *buffer = NULL;
    size_t          count  = 1;
    for (int axis = 0; axis < rank; axis++) count *= (size_t)shape[axis];
    cr_assert_eq(scry_buffer_create(&buffer, device, count * 4), SCRY_OK);
    float *values = scry_buffer_host(buffer);
    for (size_t i = 0; i < count; i++) {
        state     = state * 1664525 + 1013904223;
        values[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return scry_tensor_of(buffer, 0, dtype, rank, shape);
}

static float *values_of(const scry_tensor *x)
{
    return scry_buffer_host(x->buffer);
}

static void release(scry_tensor *x, int count)
{
    for (int i = 0; i < count; i++) scry_buffer_destroy(&x[i].buffer);
}

static scry_op lens_op(const scry_tensor *x, const scry_tensor *reference)
{
    scry_op op   = {.kind = SCRY_OP_LENS};
    op.lens      = (scry_lens_op){.x = x[0], .unembedding = x[1], .kl = x[2], .reference = *reference};
    op.lens.norm = (scry_norm_parameters){.kind = SCRY_NORM_RMS, .epsilon = 1e-5f};
    return op;
}

/* Positions that fill the lanes, leave some free, and make groups of different sizes. The reference is a layer itself,
 * which is then not taken twice, or a copy of it, which must make no difference. */
Test(cpu_device, lens__has_divergence_0_where_rows_are_equal)
{
    static const int rows[] = {1, 5, 16, 17, 31, 40};
    enum { LAYERS = 5, SIZE = 48, VOCABULARY = 3001 };
    for (int trial = 0; trial < 2 * 6 * LAYERS; trial++) {
        int64_t      T = rows[trial / 2 % 6], layer = trial / 12;
        scry_device *device = open_device("cpu", 1 + trial % 2);
        scry_tensor  x[4]   = {tensor(device, SCRY_F32, 3, (int64_t[]){LAYERS, T, SIZE}),
                               tensor(device, SCRY_F32, 2, (int64_t[]){VOCABULARY, SIZE}),
                               tensor(device, SCRY_F32, 2, (int64_t[]){LAYERS, T}),
                               tensor(device, SCRY_F32, 2, (int64_t[]){T, SIZE})};
        scry_tensor  inside =
            scry_tensor_of(x[0].buffer, (size_t)(layer * T * SIZE) * 4, SCRY_F32, 2, (int64_t[]){T, SIZE});
        scry_op op = lens_op(x, &inside), copied = lens_op(x, &x[3]);
        float   kl[LAYERS * 40];
        memcpy(values_of(&x[3]), values_of(&x[0]) + layer * T * SIZE, (size_t)(T * SIZE) * sizeof(float));
        cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
        memcpy(kl, values_of(&x[2]), (size_t)(LAYERS * T) * sizeof(float));
        cr_assert_eq(scry_device_run(device, &copied), SCRY_OK, "%s", scry_last_error());
        for (int64_t i = 0; i < LAYERS * T; i++) {
            cr_assert(i / T == layer ? kl[i] == 0 : kl[i] > 0, "%d rows, layer %d: KL %d is %g", (int)T, (int)layer,
                      (int)i, (double)kl[i]);
            cr_assert(kl[i] == values_of(&x[2])[i], "%d rows, layer %d: KL %d with a copy", (int)T, (int)layer, (int)i);
        }
        release(x, 4);
        scry_device_destroy(&device);
    }
}

/* A row multiplied alone and among others: |difference| <= 2 gamma(k) sum |a||b|. */
Test(cpu_device, matmul__of_few_rows_agrees_with_many)
{
    enum { M = 9, N = 1200, K = 700 };
    static const scry_dtype dtypes[] = {SCRY_F32, SCRY_F16, SCRY_BF16};
    double                  u = 0x1p-24, gamma = K * u / (1 - K * u);
    scry_device            *device = open_device("cpu", 2);
    for (int d = 0; d < 3; d++)
        for (int turned = 0; turned < 2; turned++) {
            scry_tensor wide = tensor(device, SCRY_F32, 2, (int64_t[]){turned ? N : K, turned ? K : N});
            scry_tensor x[5] = {tensor(device, SCRY_F32, 2, (int64_t[]){M, K}),
                                tensor(device, dtypes[d], 2, (int64_t[]){turned ? N : K, turned ? K : N}),
                                tensor(device, SCRY_F32, 2, (int64_t[]){M, N}),
                                tensor(device, SCRY_F32, 2, (int64_t[]){M, N}), wide};
            scry_op     copy = {.kind = SCRY_OP_COPY, .copy = {.x = wide, .out = x[1]}};
            scry_op     op   = {.kind = SCRY_OP_MATMUL, .matmul = {.a = x[0], .b = x[1], .c = x[2], .alpha = 1}};
            cr_assert_eq(scry_device_run(device, &copy), SCRY_OK);
            if (turned) op.matmul.b = scry_tensor_swap(x[1], 0, 1);
            cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
            for (int row = 0; row < M; row += 3) {
                op.matmul.a = scry_tensor_slice(x[0], 0, row, row % 2 ? 1 : 3);
                op.matmul.c = scry_tensor_slice(x[3], 0, row, row % 2 ? 1 : 3);
                cr_assert_eq(scry_device_run(device, &op), SCRY_OK);
                for (int j = 0; j < N; j++)
                    cr_assert(fabs((double)values_of(&x[2])[row * N + j] - (double)values_of(&x[3])[row * N + j]) <=
                                  2 * gamma * K,
                              "%s: row %d, column %d", scry_dtype_text(dtypes[d]), row, j);
            }
            release(x, 5);
        }
    scry_device_destroy(&device);
}

static scry_op attention_op(scry_tensor *x, int64_t T)
{
    scry_op op                    = {.kind = SCRY_OP_ATTENTION};
    op.attention                  = (scry_attention){.q = x[0], .k = x[1], .v = x[2], .out = x[3], .scale = 0.3f};
    op.attention.mask             = (scry_mask){.causal = true, .query_offset = x[1].shape[1] - T};
    op.attention.capture.received = x[4];
    op.attention.capture.rows.lse = x[5];
    return op;
}

/* Infinity and NaN in the future, in keys and in values, change no bit of an earlier row. */
Test(cpu_device, attention__keeps_what_is_masked_out_of_the_rows)
{
    enum { T = 70, H = 2, D = 24 };
    scry_device *device = open_device("cpu", 2);
    scry_tensor  x[6]   = {
           tensor(device, SCRY_F32, 4, (int64_t[]){1, T, H, D}), tensor(device, SCRY_F32, 4, (int64_t[]){1, T, H, D}),
           tensor(device, SCRY_F32, 4, (int64_t[]){1, T, H, D}), tensor(device, SCRY_F32, 4, (int64_t[]){1, T, H, D}),
           tensor(device, SCRY_F32, 3, (int64_t[]){1, H, T}),    tensor(device, SCRY_F32, 3, (int64_t[]){1, H, T})};
    scry_op op = attention_op(x, T);
    float   before[T * H * D];
    cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
    memcpy(before, values_of(&x[3]), sizeof before);
    for (int i = (T - 1) * H * D; i < T * H * D; i++) {
        values_of(&x[1])[i] = NAN;
        values_of(&x[2])[i] = i % 2 ? INFINITY : NAN;
    }
    cr_assert_eq(scry_device_run(device, &op), SCRY_OK);
    for (int i = 0; i < T * H * D; i++) {
        float after = values_of(&x[3])[i];
        if (i >= (T - 1) * H * D)
            cr_assert(isnan(after), "element %d of the row that sees it", i);
        else /* the careful way adds in another order than the tile */
            cr_assert(fabs((double)after - (double)before[i]) <= 2 * T * 0x1p-23, "element %d", i);
    }
    release(x, 6);
    scry_device_destroy(&device);
}

/* Heads that two threads share, and a length at which a tile holds few rows: what one thread computes, within the
 * bounds of sums in another order. */
Test(cpu_device, attention__agrees_between_thread_counts)
{
    enum { Q = 90, K = 12000, H = 3, D = 16 };
    float *first[3] = {NULL};
    for (int threads = 1; threads <= 4; threads++) {
        scry_device *device = open_device("cpu", threads);
        float        seed   = 0.37f;
        scry_tensor  x[6]   = {
               tensor(device, SCRY_F32, 4, (int64_t[]){1, Q, H, D}), tensor(device, SCRY_F32, 4, (int64_t[]){1, K, 1, D}),
               tensor(device, SCRY_F32, 4, (int64_t[]){1, K, 1, D}), tensor(device, SCRY_F32, 4, (int64_t[]){1, Q, H, D}),
               tensor(device, SCRY_F32, 3, (int64_t[]){1, H, K}),    tensor(device, SCRY_F32, 3, (int64_t[]){1, H, Q})};
        for (int t = 0; t < 3; t++) /* the same numbers for every device */
            for (int64_t i = 0; i < scry_tensor_count(&x[t]); i++) {
                seed                = seed * 3.9f * (1 - seed);
                values_of(&x[t])[i] = seed - 0.5f;
            }
        scry_op op = attention_op(x, Q);
        cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
        for (int t = 0; t < 3; t++) {
            int64_t      count = scry_tensor_count(&x[3 + t]);
            const float *found = values_of(&x[3 + t]);
            if (threads == 1) {
                first[t] = malloc((size_t)count * sizeof(float));
                memcpy(first[t], found, (size_t)count * sizeof(float));
            }
            /* Rows do not know of threads; a column's sum over Q rows may be added in another order. */
            for (int64_t i = 0; i < count; i++)
                cr_assert(fabs((double)found[i] - (double)first[t][i]) <=
                              (t == 1 ? Q * 0x1p-23 * (double)first[t][i] : 0),
                          "%d threads: output %d, element %d", threads, t, (int)i);
        }
        release(x, 6);
        scry_device_destroy(&device);
    }
    for (int t = 0; t < 3; t++) free(first[t]);
}

Test(cpu_device, open__refuses_too_many_threads)
{
    scry_device *device = NULL;
    cr_expect_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu", .threads = 100000}), SCRY_NO_DEVICE);
    cr_expect(strstr(scry_last_error(), "100000 threads: expected"), "%s", scry_last_error());
    cr_expect_null(device);
}
