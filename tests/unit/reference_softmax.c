/* The oracle's softmax_capture: masks against pictures drawn by hand, statistics against examples by hand. */
#include "unit/trial.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* Rows of a picture are separated by spaces: 'x' sees the key, '.' does not. */
static const struct {
    const char *name, *picture;
    int64_t     window, prefix, offset;
    bool        causal, padded;
    int32_t     begin, end; /* where padded */
} pictures[] = {
    {.name = "everything", .picture = "xxxx xxxx xxxx"},
    {.name = "causal", .picture = "x... xx.. xxx. xxxx", .causal = true},
    {.name = "causal, more queries than keys", .picture = "x. xx xx xx", .causal = true},
    {.name = "causal, after 2 cached", .picture = "xxx.. xxxx. xxxxx", .causal = true, .offset = 2},
    {.name = "window of 2", .picture = "x.... xx... .xx.. ..xx. ...xx", .causal = true, .window = 2},
    {.name = "window of 1", .picture = "x.. .x. ..x", .causal = true, .window = 1},
    {.name = "window of 2, not causal", .picture = "xxxx xxxx .xxx ..xx", .window = 2},
    {.name = "window of 2, after 3 cached", .picture = "..xx. ...xx", .causal = true, .window = 2, .offset = 3},
    {.name = "window past all keys", .picture = "x. xx .x .. ..", .causal = true, .window = 2},
    {.name = "prefix of 2", .picture = "xx.. xx.. xxx. xxxx", .causal = true, .prefix = 2},
    {.name    = "prefix of 2, window of 2",
     .picture = "xx... xx... xxx.. xxxx. xx.xx",
     .causal  = true,
     .prefix  = 2,
     .window  = 2},
    {.name = "left padding", .picture = ".... .... ..x. ..xx", .causal = true, .padded = true, .begin = 2, .end = 4},
    {.name = "right padding", .picture = "xxx. xxx.", .padded = true, .begin = 0, .end = 3},
    {.name    = "padding in the prefix",
     .picture = ".x.. .x.. .xx. .xx.",
     .causal  = true,
     .prefix  = 2,
     .padded  = true,
     .begin   = 1,
     .end     = 3},
    {.name = "nothing but padding", .picture = "... ...", .padded = true, .begin = 2, .end = 2},
};

static void expect_picture(int n)
{
    enum { MOST = 8 };
    const char *picture = pictures[n].picture;
    int         keys = (int)strcspn(picture, " "), queries = (int)(strlen(picture) + 1) / (keys + 1);
    float       scores[MOST * MOST], p[MOST * MOST], lse[MOST], entropy[MOST];
    int32_t     argmax[MOST];
    trial       t;
    trial_open(&t, "reference");
    for (int i = 0; i < queries * keys; i++) scores[i] = 3; /* all alike: p is one over the number of keys seen */
    scry_op       op = {.kind = SCRY_OP_SOFTMAX_CAPTURE};
    scry_softmax *s  = &op.softmax;
    s->mask          = (scry_mask){.causal       = pictures[n].causal,
                                   .window       = pictures[n].window,
                                   .prefix       = pictures[n].prefix,
                                   .query_offset = pictures[n].offset};
    if (pictures[n].padded) s->mask.key_begin = trial_i32(&t, 1, TRIAL_SHAPE(1), &pictures[n].begin);
    if (pictures[n].padded) s->mask.key_end = trial_i32(&t, 1, TRIAL_SHAPE(1), &pictures[n].end);
    s->scores        = trial_f32(&t, 4, TRIAL_SHAPE(1, 1, queries, keys), scores);
    s->probabilities = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(1, 1, queries, keys));
    s->rows.lse      = trial_out(&t, SCRY_F32, 3, TRIAL_SHAPE(1, 1, queries));
    s->rows.entropy  = trial_out(&t, SCRY_F32, 3, TRIAL_SHAPE(1, 1, queries));
    s->rows.argmax   = trial_out(&t, SCRY_I32, 3, TRIAL_SHAPE(1, 1, queries));
    trial_run(&t, &op);
    trial_read(&t, &s->probabilities, p);
    trial_read(&t, &s->rows.lse, lse);
    trial_read(&t, &s->rows.entropy, entropy);
    trial_read(&t, &s->rows.argmax, argmax);
    for (int i = 0; i < queries; i++) {
        const char *row  = picture + i * (keys + 1);
        int         seen = 0, first = -1;
        for (int j = keys - 1; j >= 0; j--)
            if (row[j] == 'x') seen++, first = j;
        for (int j = 0; j < keys; j++)
            cr_expect(p[i * keys + j] == (row[j] == 'x' ? 1.f / (float)seen : 0), "%s: row %d, key %d: %g",
                      pictures[n].name, i, j, (double)p[i * keys + j]);
        cr_expect(trial_is_rounded(lse[i], seen ? 3 + logl(seen) : -INFINITY), "%s: row %d", pictures[n].name, i);
        cr_expect(trial_is_rounded(entropy[i], seen ? logl(seen) : 0), "%s: row %d", pictures[n].name, i);
        cr_expect_eq(argmax[i], first, "%s: row %d", pictures[n].name, i);
    }
    trial_close(&t);
}

Test(reference_softmax, masks__look_as_drawn)
{
    for (size_t n = 0; n < sizeof pictures / sizeof *pictures; n++) expect_picture((int)n);
}

Test(reference_softmax, statistics__by_hand)
{
    /* Scores ln 1, ln 2, ln 1, ln 4 of the query at position 2; the additive mask takes key 2 away: 1/7, 2/7, 0, 4/7.
     */
    const float          ln2 = (float)M_LN2, scores[] = {0, ln2, 0, 2 * ln2}, additive[] = {0, 0, -INFINITY, 0};
    static const double  p[]   = {1 / 7., 2 / 7., 0, 4 / 7.};
    static const int32_t begin = 1;
    float                got[4], lse, previous, self, first, key_mass, max, entropy;
    trial                t;
    trial_open(&t, "reference");
    scry_op       op = {.kind = SCRY_OP_SOFTMAX_CAPTURE};
    scry_softmax *s  = &op.softmax;
    s->mask          = (scry_mask){.query_offset = 2};
    s->mask.additive = trial_f32(&t, 4, TRIAL_SHAPE(1, 1, 1, 4), additive);
    s->scores        = trial_f32(&t, 4, TRIAL_SHAPE(1, 1, 1, 4), scores);
    s->probabilities = s->scores; /* in place */
    s->rows.key      = 3;
    struct {
        scry_tensor *tensor;
        float       *into;
    } outputs[] = {{&s->rows.lse, &lse},        {&s->rows.previous, &previous}, {&s->rows.self, &self},
                   {&s->rows.first, &first},    {&s->rows.key_mass, &key_mass}, {&s->rows.max, &max},
                   {&s->rows.entropy, &entropy}};
    for (int i = 0; i < 7; i++) *outputs[i].tensor = trial_out(&t, SCRY_F32, 3, TRIAL_SHAPE(1, 1, 1));
    trial_run(&t, &op);
    trial_read(&t, &s->probabilities, got);
    for (int i = 0; i < 7; i++) trial_read(&t, outputs[i].tensor, outputs[i].into);
    for (int j = 0; j < 4; j++) cr_expect_float_eq(got[j], p[j], 1e-7, "key %d", j);
    cr_expect_float_eq(lse, log(7), 1e-6);
    cr_expect_float_eq(previous, p[1], 1e-7);
    cr_expect(self == 0);
    cr_expect_float_eq(first, p[0], 1e-7);
    cr_expect_float_eq(key_mass, p[3], 1e-7);
    cr_expect_float_eq(max, p[3], 1e-7);
    /* (ln 7 + 2 (ln 7 - ln 2) + 4 (ln 7 - ln 4)) / 7 = ln 7 - 10/7 ln 2 */
    cr_expect_float_eq(entropy, log(7) - 10 / 7. * M_LN2, 1e-6);

    /* With key 0 as padding, the first key is key 1: 1/3 of what is left. */
    s->mask.key_begin = trial_i32(&t, 1, TRIAL_SHAPE(1), &begin);
    s->scores         = trial_f32(&t, 4, TRIAL_SHAPE(1, 1, 1, 4), scores);
    s->probabilities  = (scry_tensor){0};
    trial_run(&t, &op);
    trial_read(&t, &s->rows.first, &first);
    cr_expect_float_eq(first, 1 / 3., 1e-7);
    trial_close(&t);
}

Test(reference_softmax, nan__stays_in_rows_that_see_it)
{
    static const float scores[] = {1, (float)NAN, 3, 1, (float)NAN, 3};
    float              p[6], lse[2];
    trial              t;
    trial_open(&t, "reference");
    scry_op op               = {.kind = SCRY_OP_SOFTMAX_CAPTURE, .softmax.mask = {.causal = true}};
    op.softmax.scores        = trial_f32(&t, 4, TRIAL_SHAPE(1, 1, 2, 3), scores);
    op.softmax.probabilities = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(1, 1, 2, 3));
    op.softmax.rows.lse      = trial_out(&t, SCRY_F32, 3, TRIAL_SHAPE(1, 1, 2));
    trial_run(&t, &op);
    trial_read(&t, &op.softmax.probabilities, p);
    trial_read(&t, &op.softmax.rows.lse, lse);
    cr_expect(p[0] == 1 && p[1] == 0 && p[2] == 0 && lse[0] == 1);
    cr_expect(isnan(p[3]) && isnan(p[4]) && p[5] == 0 && isnan(lse[1]));
    trial_close(&t);
}
