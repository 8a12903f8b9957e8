/* The oracle's matmul against long double sums in another order of loops, and against examples done by hand. */
#include "unit/trial.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

Test(reference_matmul, small__by_hand)
{
    /* 2 [1 2 3; 4 5 6] [1 0; -1 2; 0.5 1] - [1 1; 1 1] + [10 20] */
    static const float a[] = {1, 2, 3, 4, 5, 6}, b[] = {1, 0, -1, 2, 0.5f, 1}, c[] = {1, 1, 1, 1}, bias[] = {10, 20};
    static const float expected[] = {10, 33, 13, 51};
    float              got[4];
    trial              t;
    trial_open(&t, "reference");
    scry_op op     = {.kind = SCRY_OP_MATMUL, .matmul = {.alpha = 2, .beta = -1}};
    op.matmul.a    = trial_f32(&t, 2, TRIAL_SHAPE(2, 3), a);
    op.matmul.b    = trial_f32(&t, 2, TRIAL_SHAPE(3, 2), b);
    op.matmul.c    = trial_f32(&t, 2, TRIAL_SHAPE(2, 2), c);
    op.matmul.bias = trial_f32(&t, 1, TRIAL_SHAPE(2), bias);
    trial_run(&t, &op);
    trial_read(&t, &op.matmul.c, got);
    for (int i = 0; i < 4; i++) cr_expect_float_eq(got[i], expected[i], 0, "[%d]: %g", i, (double)got[i]);
    trial_close(&t);
}

/* c += a column times a row, k times: no dot product anywhere. */
static void outer_products(const float *a, const float *b, long double *c, int m, int n, int k)
{
    for (int i = 0; i < m * n; i++) c[i] = 0;
    for (int p = k - 1; p >= 0; p--)
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) c[i * n + j] += (long double)a[i * k + p] * (long double)b[p * n + j];
}

Test(reference_matmul, random__equals_long_double_outer_products)
{
    enum { M = 13, N = 17, K = 301 };
    static float       a[M * K], b[K * N], got[M * N];
    static long double exact[M * N];
    trial              t;
    trial_normal(a, M * K, 1);
    trial_normal(b, K * N, 2);
    trial_open(&t, "reference");
    scry_op op  = {.kind = SCRY_OP_MATMUL, .matmul = {.alpha = 1}};
    op.matmul.a = trial_f32(&t, 2, TRIAL_SHAPE(M, K), a);
    op.matmul.b = trial_f32(&t, 2, TRIAL_SHAPE(K, N), b);
    op.matmul.c = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(M, N));
    trial_run(&t, &op);
    trial_read(&t, &op.matmul.c, got);
    outer_products(a, b, exact, M, N, K);
    for (int i = 0; i < M * N; i++)
        cr_expect(trial_is_rounded(got[i], exact[i]), "[%d]: %.9g for %.12Lg", i, (double)got[i], exact[i]);

    /* (AB)^T = B^T A^T, with nothing but strides exchanged */
    float   transposed[M * N];
    scry_op turned  = op;
    turned.matmul.a = scry_tensor_swap(op.matmul.b, 0, 1);
    turned.matmul.b = scry_tensor_swap(op.matmul.a, 0, 1);
    turned.matmul.c = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(N, M));
    trial_run(&t, &turned);
    trial_read(&t, &turned.matmul.c, transposed);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) cr_expect_float_eq(transposed[j * M + i], got[i * N + j], 0);
    trial_close(&t);
}

Test(reference_matmul, cancellation__keeps_what_double_would_lose)
{
    /* 2^60 + 1 - 2^60, and 1e30 + 1 - 1e30 by f32 values: a plain double sum gives 0 for both. */
    static const float a[] = {0x1p60f, 1, -0x1p60f, 1e30f, 1, -1e30f}, ones[] = {1, 1, 1};
    float              got[2];
    trial              t;
    trial_open(&t, "reference");
    scry_op op  = {.kind = SCRY_OP_MATMUL, .matmul = {.alpha = 1}};
    op.matmul.a = trial_f32(&t, 2, TRIAL_SHAPE(2, 3), a);
    op.matmul.b = trial_f32(&t, 2, TRIAL_SHAPE(3, 1), ones);
    op.matmul.c = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(2, 1));
    trial_run(&t, &op);
    trial_read(&t, &op.matmul.c, got);
    cr_expect_float_eq(got[0], 1, 0, "%g", (double)got[0]);
    cr_expect_float_eq(got[1], 1, 0, "%g", (double)got[1]);
    trial_close(&t);
}

Test(reference_matmul, special__nan_and_infinity_reach_only_their_own_results)
{
    static const float a[] = {1, 2, (float)NAN, 1, INFINITY, 1}, b[] = {1, 3, 5, 7};
    float              got[6];
    trial              t;
    trial_open(&t, "reference");
    scry_op op  = {.kind = SCRY_OP_MATMUL, .matmul = {.alpha = 1}};
    op.matmul.a = trial_f32(&t, 2, TRIAL_SHAPE(3, 2), a);
    op.matmul.b = trial_f32(&t, 2, TRIAL_SHAPE(2, 2), b);
    op.matmul.c = trial_out(&t, SCRY_F32, 2, TRIAL_SHAPE(3, 2));
    trial_run(&t, &op);
    trial_read(&t, &op.matmul.c, got);
    cr_expect(got[0] == 11 && got[1] == 17);
    cr_expect(isnan(got[2]) && isnan(got[3]));
    cr_expect(got[4] == INFINITY && got[5] == INFINITY);
    trial_close(&t);
}
