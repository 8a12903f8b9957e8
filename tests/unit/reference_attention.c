/* The oracle's attention against its definition written out once more: the whole T x T matrix in long double, sums of
 * exp without shifting by the maximum, top keys by sorting; and facts that need no second program. */
#include "unit/trial.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    B      = 2,
    H      = 4,
    G      = 2,
    Q      = 11,
    K      = 19,
    D      = 6,
    E      = 5,
    TOP    = 4,
    FAR    = 7,
    OFFSET = 8,
    WINDOW = 9,
    PREFIX = 2,
    KEY    = 10
};

static const int32_t key_begin[B] = {1, 0}, key_end[B] = {19, 16};

static float q[B][Q][H][D], k[B][K][G][D], v[B][K][G][E], additive[B][H][Q][K];

struct results {
    float   out[B][Q][H][E], p[B][H][Q][K], scores[B][H][Q][K];
    float   lse[B][H][Q], entropy[B][H][Q], max[B][H][Q], previous[B][H][Q], self[B][H][Q], first[B][H][Q];
    float   key_mass[B][H][Q], received[B][H][K], distance[B][H][FAR], top[B][H][Q][TOP];
    int32_t argmax[B][H][Q], top_key[B][H][Q][TOP];
};

static void fill_inputs(void)
{
    trial_normal(&q[0][0][0][0], B * Q * H * D, 11);
    trial_normal(&k[0][0][0][0], B * K * G * D, 12);
    trial_normal(&v[0][0][0][0], B * K * G * E, 13);
    trial_normal(&additive[0][0][0][0], B * H * Q * K, 14);
    for (int j = 0; j < K; j++) additive[1][2][3][j] = -INFINITY; /* a row without any key */
    additive[0][1][5][7] = -INFINITY;
}

static void run_all(struct results *r, float softcap)
{
    trial t;
    trial_open(&t, "reference");
    const int64_t  *rows = TRIAL_SHAPE(B, H, Q), *tile = TRIAL_SHAPE(B, H, Q, K), *top = TRIAL_SHAPE(B, H, Q, TOP);
    scry_op         op        = {.kind = SCRY_OP_ATTENTION, .attention = {.scale = 0.37f, .softcap = softcap}};
    scry_attention *a         = &op.attention;
    scry_attention_capture *c = &a->capture;
    a->q                      = trial_f32(&t, 4, TRIAL_SHAPE(B, Q, H, D), &q[0][0][0][0]);
    a->k                      = trial_f32(&t, 4, TRIAL_SHAPE(B, K, G, D), &k[0][0][0][0]);
    a->v                      = trial_f32(&t, 4, TRIAL_SHAPE(B, K, G, E), &v[0][0][0][0]);
    a->out                    = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(B, Q, H, E));
    a->mask                   = (scry_mask){.causal = true, .window = WINDOW, .prefix = PREFIX, .query_offset = OFFSET};
    a->mask.key_begin         = trial_i32(&t, 1, TRIAL_SHAPE(B), key_begin);
    a->mask.key_end           = trial_i32(&t, 1, TRIAL_SHAPE(B), key_end);
    a->mask.additive          = trial_f32(&t, 4, tile, &additive[0][0][0][0]);
    c->rows.key               = KEY;
    struct {
        scry_tensor   *tensor;
        scry_dtype     dtype;
        int            rank;
        const int64_t *shape;
        void          *into;
    } outputs[] = {
        {&a->out, SCRY_F32, 4, TRIAL_SHAPE(B, Q, H, E), r->out},
        {&c->probabilities, SCRY_F32, 4, tile, r->p},
        {&c->scores, SCRY_F32, 4, tile, r->scores},
        {&c->rows.lse, SCRY_F32, 3, rows, r->lse},
        {&c->rows.entropy, SCRY_F32, 3, rows, r->entropy},
        {&c->rows.max, SCRY_F32, 3, rows, r->max},
        {&c->rows.argmax, SCRY_I32, 3, rows, r->argmax},
        {&c->rows.previous, SCRY_F32, 3, rows, r->previous},
        {&c->rows.self, SCRY_F32, 3, rows, r->self},
        {&c->rows.first, SCRY_F32, 3, rows, r->first},
        {&c->rows.key_mass, SCRY_F32, 3, rows, r->key_mass},
        {&c->received, SCRY_F32, 3, TRIAL_SHAPE(B, H, K), r->received},
        {&c->distance, SCRY_F32, 3, TRIAL_SHAPE(B, H, FAR), r->distance},
        {&c->top_probability, SCRY_F32, 4, top, r->top},
        {&c->top_key, SCRY_I32, 4, top, r->top_key},
    };
    enum { OUTPUTS = sizeof outputs / sizeof *outputs };
    for (int i = 0; i < OUTPUTS; i++)
        *outputs[i].tensor = trial_out(&t, outputs[i].dtype, outputs[i].rank, outputs[i].shape);
    trial_run(&t, &op);
    for (int i = 0; i < OUTPUTS; i++) trial_read(&t, outputs[i].tensor, outputs[i].into);
    trial_close(&t);
}

/* The matrix of scores and of probabilities, from the definition: a key is seen where every one of these holds. */
static long double s[B][H][Q][K], p[B][H][Q][K], z[B][H][Q];

static bool seen(int b, int h, int i, int j)
{
    int  at      = OFFSET + i;
    bool padding = j < key_begin[b] || j >= key_end[b], exempt = j < PREFIX;
    bool too_new = j > at && !exempt, too_old = at - j >= WINDOW && !exempt;
    return !padding && !too_new && !too_old && additive[b][h][i][j] != -INFINITY;
}

static void define(long double softcap)
{
    for (int b = 0; b < B; b++)
        for (int h = 0; h < H; h++)
            for (int i = 0; i < Q; i++) {
                z[b][h][i] = 0;
                for (int j = 0; j < K; j++) {
                    long double dot = 0;
                    for (int d = D - 1; d >= 0; d--) dot += (long double)q[b][i][h][d] * k[b][j][h * G / H][d];
                    dot *= 0.37f;
                    if (softcap > 0) dot = softcap * tanhl(dot / softcap);
                    s[b][h][i][j] = seen(b, h, i, j) ? dot + additive[b][h][i][j] : -INFINITY;
                    z[b][h][i] += expl(s[b][h][i][j]);
                }
                for (int j = 0; j < K; j++) p[b][h][i][j] = z[b][h][i] > 0 ? expl(s[b][h][i][j]) / z[b][h][i] : 0;
            }
}

#define EXPECT_ROUNDED(got, exact, ...) cr_expect(trial_is_rounded(got, exact), __VA_ARGS__)

static void expect_row(const struct results *r, int b, int h, int i)
{
    int         at = OFFSET + i, best = -1;
    long double entropy = 0, mixed[E] = {0};
    for (int j = 0; j < K; j++) {
        EXPECT_ROUNDED(r->scores[b][h][i][j], s[b][h][i][j], "score %d %d %d %d", b, h, i, j);
        EXPECT_ROUNDED(r->p[b][h][i][j], p[b][h][i][j], "p %d %d %d %d", b, h, i, j);
        if (p[b][h][i][j] > 0) entropy -= p[b][h][i][j] * logl(p[b][h][i][j]);
        if (p[b][h][i][j] > (best < 0 ? 0 : p[b][h][i][best])) best = j;
        for (int e = 0; e < E; e++) mixed[e] += p[b][h][i][j] * v[b][j][h * G / H][e];
    }
    for (int e = 0; e < E; e++) EXPECT_ROUNDED(r->out[b][i][h][e], mixed[e], "out %d %d %d %d", b, h, i, e);
    EXPECT_ROUNDED(r->lse[b][h][i], logl(z[b][h][i]), "lse %d %d %d", b, h, i);
    EXPECT_ROUNDED(r->entropy[b][h][i], entropy, "entropy %d %d %d", b, h, i);
    EXPECT_ROUNDED(r->max[b][h][i], best < 0 ? 0 : p[b][h][i][best], "max %d %d %d", b, h, i);
    cr_expect_eq(r->argmax[b][h][i], best);
    EXPECT_ROUNDED(r->previous[b][h][i], at - 1 < K ? p[b][h][i][at - 1] : 0, "previous %d %d %d", b, h, i);
    EXPECT_ROUNDED(r->self[b][h][i], at < K ? p[b][h][i][at] : 0, "self %d %d %d", b, h, i);
    EXPECT_ROUNDED(r->first[b][h][i], p[b][h][i][key_begin[b]], "first %d %d %d", b, h, i);
    EXPECT_ROUNDED(r->key_mass[b][h][i], p[b][h][i][KEY], "key mass %d %d %d", b, h, i);
}

static const long double *sorted_row;

static int by_probability(const void *a, const void *b)
{
    int         left = *(const int *)a, right = *(const int *)b;
    long double difference = sorted_row[right] - sorted_row[left];
    return difference > 0 ? 1 : difference < 0 ? -1 : left - right;
}

static void expect_top(const struct results *r, int b, int h, int i)
{
    int order[K];
    for (int j = 0; j < K; j++) order[j] = j;
    sorted_row = p[b][h][i];
    qsort(order, K, sizeof *order, by_probability);
    for (int n = 0; n < TOP; n++) {
        bool any = p[b][h][i][order[n]] > 0;
        cr_expect_eq(r->top_key[b][h][i][n], any ? order[n] : -1, "top %d %d %d %d", b, h, i, n);
        EXPECT_ROUNDED(r->top[b][h][i][n], p[b][h][i][order[n]], "top %d %d %d %d", b, h, i, n);
    }
}

static void expect_sums(const struct results *r, int b, int h)
{
    for (int j = 0; j < K; j++) {
        long double column = 0;
        for (int i = Q - 1; i >= 0; i--) column += p[b][h][i][j];
        EXPECT_ROUNDED(r->received[b][h][j], column, "received %d %d %d", b, h, j);
    }
    for (int n = 0; n < FAR; n++) {
        long double diagonal = 0;
        for (int i = 0; i < Q; i++)
            if (OFFSET + i - n >= 0 && OFFSET + i - n < K) diagonal += p[b][h][i][OFFSET + i - n];
        EXPECT_ROUNDED(r->distance[b][h][n], diagonal, "distance %d %d %d", b, h, n);
    }
}

static void expect_definition(float softcap)
{
    static struct results r;
    fill_inputs();
    run_all(&r, softcap);
    define(softcap);
    for (int b = 0; b < B; b++)
        for (int h = 0; h < H; h++) {
            for (int i = 0; i < Q; i++) expect_row(&r, b, h, i), expect_top(&r, b, h, i);
            expect_sums(&r, b, h);
        }
}

Test(reference_attention, random__equals_the_materialised_definition)
{
    expect_definition(0);
}

Test(reference_attention, softcap__equals_the_materialised_definition)
{
    expect_definition(1.5f);
}

/* --- Facts --- */

/* Uniform causal attention at T: mean entropy ln(T!)/T, and received mass of key j the sum of 1/(i + 1) for i >= j. */
static void expect_uniform(int T, double stated)
{
    float *zeros = calloc((size_t)T, sizeof *zeros), *entropy = calloc((size_t)T, sizeof *entropy);
    float *received = calloc((size_t)T, sizeof *received);
    double mean = 0, null = 0;
    trial  t;
    trial_open(&t, "reference");
    scry_op         op = {.kind = SCRY_OP_ATTENTION, .attention = {.scale = 1, .mask = {.causal = true}}};
    scry_attention *a  = &op.attention;
    a->q = a->k = a->v      = trial_f32(&t, 4, TRIAL_SHAPE(1, T, 1, 1), zeros);
    a->out                  = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(1, T, 1, 1));
    a->capture.rows.entropy = trial_out(&t, SCRY_F32, 3, TRIAL_SHAPE(1, 1, T));
    a->capture.received     = trial_out(&t, SCRY_F32, 3, TRIAL_SHAPE(1, 1, T));
    trial_run(&t, &op);
    trial_read(&t, &a->capture.rows.entropy, entropy);
    trial_read(&t, &a->capture.received, received);
    for (int i = 0; i < T; i++) mean += (double)entropy[i] / T;
    cr_expect_float_eq(mean, lgamma(T + 1.) / T, 1e-6, "T = %d: %.7f", T, mean);
    cr_expect_float_eq(mean, stated, 5e-5, "T = %d: %.7f", T, mean);
    for (int j = T - 1; j >= 0; j--) {
        null += 1. / (j + 1);
        cr_expect_float_eq(received[j], null, 1e-6 * null, "T = %d, key %d", T, j);
    }
    trial_close(&t);
    free(zeros);
    free(entropy);
    free(received);
}

Test(reference_attention, uniform__has_the_known_entropy_and_received_mass)
{
    expect_uniform(64, 3.2058);
    expect_uniform(256, 4.5596);
    expect_uniform(1024, 5.9358);
}

/* Causal self-attention of T rows with the capture of all probabilities; inputs [T, heads, D]. */
static void run_causal(const float *query, const float *key, const float *value, int T, int heads, int groups,
                       int offset, int rows, float *out, float *probabilities)
{
    trial t;
    trial_open(&t, "reference");
    scry_op         op       = {.kind = SCRY_OP_ATTENTION, .attention = {.scale = 0.5f}};
    scry_attention *a        = &op.attention;
    a->mask                  = (scry_mask){.causal = true, .query_offset = offset};
    a->q                     = trial_f32(&t, 4, TRIAL_SHAPE(1, rows, heads, D), query);
    a->k                     = trial_f32(&t, 4, TRIAL_SHAPE(1, T, groups, D), key);
    a->v                     = trial_f32(&t, 4, TRIAL_SHAPE(1, T, groups, D), value);
    a->out                   = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(1, rows, heads, D));
    a->capture.probabilities = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(1, heads, rows, T));
    trial_run(&t, &op);
    trial_read(&t, &a->out, out);
    trial_read(&t, &a->capture.probabilities, probabilities);
    trial_close(&t);
}

enum { T = 23 };
static float tq[T * H * D], tk[T * H * D], tv[T * H * D], out_1[T * H * D], out_2[T * H * D], p_1[H * T * T],
    p_2[H * T * T];

static void fill_square(void)
{
    trial_normal(tq, T * H * D, 21);
    trial_normal(tk, T * H * D, 22);
    trial_normal(tv, T * H * D, 23);
}

Test(reference_attention, rows__sum_to_one_and_see_no_future)
{
    fill_square();
    run_causal(tq, tk, tv, T, H, H, 0, T, out_1, p_1);
    for (int row = 0; row < H * T; row++) {
        double sum = 0;
        for (int j = 0; j < T; j++) {
            sum += (double)p_1[row * T + j];
            if (j > row % T) cr_expect(p_1[row * T + j] == 0);
        }
        cr_expect_float_eq(sum, 1, 1e-6);
    }
    /* Another last token changes no earlier row by a bit. */
    trial_normal(tk + (T - 1) * H * D, H * D, 99);
    trial_normal(tv + (T - 1) * H * D, H * D, 98);
    run_causal(tq, tk, tv, T, H, H, 0, T, out_2, p_2);
    cr_expect_eq(memcmp(out_1, out_2, sizeof(float) * (T - 1) * H * D), 0);
    cr_expect_neq(memcmp(out_1, out_2, sizeof out_1), 0);
}

Test(reference_attention, gqa__equals_repeated_keys_and_values)
{
    static float rk[T * H * D], rv[T * H * D];
    fill_square();
    for (int j = 0; j < T; j++)
        for (int h = 0; h < H; h++) {
            memcpy(rk + (j * H + h) * D, tk + (j * G + h / (H / G)) * D, D * sizeof(float));
            memcpy(rv + (j * H + h) * D, tv + (j * G + h / (H / G)) * D, D * sizeof(float));
        }
    run_causal(tq, tk, tv, T, H, G, 0, T, out_1, p_1);
    run_causal(tq, rk, rv, T, H, H, 0, T, out_2, p_2);
    cr_expect_eq(memcmp(out_1, out_2, sizeof out_1), 0);
    cr_expect_eq(memcmp(p_1, p_2, sizeof p_1), 0);
}

Test(reference_attention, cache__last_rows_alone_equal_the_whole)
{
    enum { OLD = 15 };
    fill_square();
    run_causal(tq, tk, tv, T, H, H, 0, T, out_1, p_1);
    run_causal(tq + OLD * H * D, tk, tv, T, H, H, OLD, T - OLD, out_2, p_2);
    cr_expect_eq(memcmp(out_1 + OLD * H * D, out_2, sizeof(float) * (T - OLD) * H * D), 0);
}

Test(reference_attention, keys__in_another_order_give_the_same_rows)
{
    enum { LAST = T - 1 };
    static float rk[T * H * D], rv[T * H * D];
    fill_square();
    /* One query that sees all keys: their order is of no account but for the rounding of sums. */
    for (int j = 0; j < T; j++) {
        memcpy(rk + j * H * D, tk + (LAST - j) * H * D, H * D * sizeof(float));
        memcpy(rv + j * H * D, tv + (LAST - j) * H * D, H * D * sizeof(float));
    }
    run_causal(tq, tk, tv, T, H, H, LAST, 1, out_1, p_1);
    run_causal(tq, rk, rv, T, H, H, LAST, 1, out_2, p_2);
    for (int h = 0; h < H; h++)
        for (int j = 0; j < T; j++) cr_expect_float_eq(p_1[h * T + j], p_2[h * T + LAST - j], 0x1p-24);
    for (int i = 0; i < H * D; i++) cr_expect_float_eq(out_1[i], out_2[i], 0x1p-22);
}
