/* Cases of softmax_capture. Scores are given, so only an additive mask puts an error (of its addition) into them. */
#include "base/alloc.h"
#include "cases/bounds.h"
#include "cases/masks.h"

#include <math.h>

enum { P = SCRY__PADDED };

/* Kinds of scores besides normal ones. */
enum {
    TAIL = 1, /* one key of probability 0.7, all others near 0.3 / K */
    LOW,      /* near -76,800, below what a careless mask takes for minus infinity */
    WIDE,     /* near 10^5 */
    BARE,     /* each row sees one key: its lse is the score */
    BEHIND,   /* infinite or NaN where the additive mask is -inf */
};

static const struct row {
    const char       *name;
    scry__score_shape shape;
    scry__mask_row    mask;
    double            deviation; /* of the scores; 0: 2 */
    bool              exact, in_place, no_probabilities, no_statistics, special;
    int               data;
    int64_t           key;
    unsigned          scores, probabilities;
    scry__tier        tier;
    bool              benchmark;
} rows[] = {
    {.name = "softmax/plain", .shape = {2, 3, 17, 33}},
    {.name = "softmax/one", .shape = {1, 1, 1, 1}},
    {.name = "softmax/no-rows", .shape = {1, 2, 0, 5}},
    {.name = "softmax/no-keys", .shape = {1, 2, 5, 0}},
    {.name = "softmax/long", .shape = {1, 1, 3, 1025}},
    {.name = "softmax/sharp", .shape = {1, 2, 31, 65}, .deviation = 50},
    {.name = "softmax/sharper", .shape = {1, 2, 31, 65}, .deviation = 3000},
    {.name = "softmax/flat", .shape = {1, 2, 31, 65}, .deviation = 1e-6},
    {.name = "softmax/causal", .shape = {2, 2, 33, 33}, .mask = {.causal = true}, .key = 5},
    {.name = "softmax/causal-offset", .shape = {1, 2, 7, 40}, .mask = {.causal = true, .offset = 33}, .key = 39},
    {.name = "softmax/causal-before", .shape = {1, 2, 40, 7}, .mask = {.causal = true}},
    {.name = "softmax/window", .shape = {1, 2, 33, 33}, .mask = {.causal = true, .window = 3}},
    {.name = "softmax/window-of-1", .shape = {1, 2, 33, 33}, .mask = {.causal = true, .window = 1}},
    {.name = "softmax/window-both-sides", .shape = {1, 2, 33, 33}, .mask = {.window = 5}},
    {.name = "softmax/window-past-keys", .shape = {1, 2, 33, 9}, .mask = {.causal = true, .window = 4}},
    {.name = "softmax/prefix", .shape = {1, 2, 33, 33}, .mask = {.causal = true, .prefix = 7}},
    {.name = "softmax/prefix-window", .shape = {1, 2, 33, 33}, .mask = {.causal = true, .window = 2, .prefix = 4}},
    {.name = "softmax/pad-left", .shape = {4, 2, 17, 17}, .mask = {.causal = true, .pad = SCRY__PAD_LEFT}, .key = 3},
    {.name = "softmax/pad-right", .shape = {4, 2, 17, 17}, .mask = {.pad = SCRY__PAD_RIGHT}},
    {.name  = "softmax/pad-both-prefix",
     .shape = {4, 1, 17, 17},
     .mask  = {.causal = true, .prefix = 5, .pad = SCRY__PAD_BOTH}},
    {.name = "softmax/pad-all", .shape = {3, 2, 9, 9}, .mask = {.pad = SCRY__PAD_ALL}},
    {.name = "softmax/pad-wild", .shape = {4, 2, 9, 9}, .mask = {.prefix = 3, .pad = SCRY__PAD_WILD}},
    {.name = "softmax/additive", .shape = {2, 3, 17, 33}, .mask = {.additive = SCRY__ADD_BIAS}},
    {.name = "softmax/additive-mask", .shape = {2, 3, 17, 33}, .mask = {.additive = SCRY__ADD_MASK}},
    {.name  = "softmax/additive-over-nan",
     .shape = {1, 2, 17, 33},
     .mask  = {.additive = SCRY__ADD_MASK},
     .data  = BEHIND},
    {.name  = "softmax/additive-shared",
     .shape = {2, 3, 17, 33},
     .mask  = {.causal = true, .additive = SCRY__ADD_SHARED}},
    {.name = "softmax/additive-dead-rows", .shape = {1, 3, 17, 33}, .mask = {.additive = SCRY__ADD_DEAD}},
    {.name = "softmax/in-place", .shape = {2, 3, 17, 33}, .mask = {.causal = true}, .in_place = true},
    {.name = "softmax/in-place-long", .shape = {1, 2, 3, 600}, .in_place = true, .key = 300},
    {.name = "softmax/statistics-only", .shape = {2, 3, 17, 33}, .mask = {.causal = true}, .no_probabilities = true},
    {.name = "softmax/probabilities-only", .shape = {2, 3, 17, 33}, .no_statistics = true},
    {.name = "softmax/padded", .shape = {2, 3, 9, 17}, .mask = {.causal = true}, .scores = P, .probabilities = P},
    {.name = "softmax/ties", .shape = {1, 3, 31, 33}, .mask = {.causal = true}, .exact = true},
    {.name = "softmax/ties-additive", .shape = {1, 3, 31, 33}, .mask = {.additive = SCRY__ADD_MASK}, .exact = true},
    {.name = "softmax/infinite-scores", .shape = {1, 2, 12, 9}, .special = true},
    {.name = "softmax/32", .shape = {1, 2, 31, 32}},
    {.name = "softmax/257", .shape = {1, 2, 3, 257}, .mask = {.causal = true, .offset = 254}},
    {.name = "softmax/1023", .shape = {1, 2, 3, 1023}},
    {.name = "softmax/1024", .shape = {1, 2, 3, 1024}, .mask = {.causal = true, .offset = 1021}},
    {.name = "softmax/tail", .shape = {1, 2, 3, 4097}, .data = TAIL},
    {.name = "softmax/tail-20001", .shape = {1, 1, 3, 20001}, .deviation = 1e-3},
    {.name  = "softmax/low",
     .shape = {2, 2, 33, 33},
     .mask  = {.causal = true, .window = 9, .pad = SCRY__PAD_LEFT},
     .data  = LOW},
    {.name = "softmax/low-additive", .shape = {1, 2, 33, 33}, .mask = {.additive = SCRY__ADD_MASK}, .data = LOW},
    {.name  = "softmax/low-sentinel",
     .shape = {1, 2, 33, 33},
     .mask  = {.causal = true, .additive = SCRY__ADD_SENTINEL},
     .data  = LOW},
    {.name = "softmax/additive-early", .shape = {1, 2, 9, 300}, .mask = {.additive = SCRY__ADD_EARLY}},
    {.name  = "softmax/additive-late",
     .shape = {1, 2, 9, 300},
     .mask  = {.causal = true, .offset = 295, .additive = SCRY__ADD_LATE}},
    {.name  = "softmax/prefix-window-offset",
     .shape = {1, 2, 9, 41},
     .mask  = {.causal = true, .window = 8, .prefix = 5, .offset = 32},
     .key   = 4},
    {.name = "softmax/wide", .shape = {1, 2, 17, 33}, .data = WIDE},
    {.name             = "softmax/bare",
     .shape            = {1, 2, 65, 65},
     .mask             = {.causal = true, .window = 1},
     .data             = BARE,
     .no_probabilities = true,
     .no_statistics    = true},
    {.name = "softmax/past-65535-rows", .shape = {1, 2, 70001, 3}, .tier = SCRY__TIER_FULL},
    {.name = "softmax/past-65535-heads", .shape = {3, 23339, 1, 3}, .tier = SCRY__TIER_FULL},
    {.name = "softmax/past-1000000-keys", .shape = {1, 1, 2, 1000003}, .tier = SCRY__TIER_FULL},
    {.name          = "softmax/past-128-MiB",
     .shape         = {1, 12, 2048, 1500},
     .mask          = {.causal = true},
     .no_statistics = true,
     .tier          = SCRY__TIER_FULL},
    {.name      = "softmax/gpt2",
     .shape     = {1, 12, 1024, 1024},
     .mask      = {.causal = true},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name = "softmax/gpt2-short", .shape = {1, 12, 128, 128}, .mask = {.causal = true}, .tier = SCRY__TIER_FULL},
};

static scry__case describe(int row)
{
    return (scry__case){.name = rows[row].name, .tier = rows[row].tier, .benchmark = rows[row].benchmark};
}

/* Rows of scores that are -inf in part, wholly, but for one key, or near the largest negative number. */
static void make_special(scry__array *scores)
{
    int64_t K = scores->view.shape[3];
    for (int64_t e = 0; e < scry__array_count(scores); e++) {
        int64_t i = e / K % 4, j = e % K;
        if ((i == 0 && j % 2) || i == 1) scry__array_set(scores, e, -INFINITY);
        if (i == 2 && j != 4) scry__array_set(scores, e, -INFINITY);
        if (i == 3) scry__array_set(scores, e, j == 2 ? -3e38 : -2.9e38);
    }
}

static void shift_scores(scry__array *scores, int data)
{
    int64_t K = scores->view.shape[3];
    for (int64_t e = 0; data && e < scry__array_count(scores); e++) {
        double score = scry__array_get(scores, e);
        if (data == TAIL) score = score / 8 + (e % K == K / 3 ? log(0.7 / 0.3 * (double)K) : 0);
        if (data == LOW) score -= 76800;
        if (data == WIDE) score += 1e5;
        scry__array_set(scores, e, score);
    }
}

static void spoil_masked(const scry__plan *plan, scry__array *scores)
{
    for (int64_t e = 0; e < scry__array_count(scores); e++)
        if (scry__mask_additive(plan, &plan->op.softmax.mask, e) == -INFINITY)
            scry__array_set(scores, e, e % 3 ? INFINITY : (double)NAN);
}

static void build(scry__plan *plan, int index)
{
    const struct row *row   = &rows[index];
    scry_softmax     *op    = &plan->op.softmax;
    scry__score_shape s     = row->shape;
    const int64_t    *shape = SCRY__SHAPE(s.B, s.H, s.Q, s.K);
    plan->exact             = row->exact;
    plan->bare              = row->data == BARE;
    plan->wide              = row->data == WIDE;
    scry__array *scores     = scry__plan_add(plan, &op->scores, "scores", SCRY__INPUT, SCRY_F32, row->scores, 4, shape);
    if (row->exact)
        scry__array_fill_integers(plan, scores, -3, 3);
    else
        scry__array_fill_normal(plan, scores, 0, row->deviation > 0 ? row->deviation : 2);
    if (row->special) make_special(scores);
    shift_scores(scores, row->data);
    scry__mask_add(plan, &op->mask, &row->mask, s);
    if (row->data == BEHIND) spoil_masked(plan, scores);
    if (row->in_place)
        scry__plan_add_in_place(plan, &op->probabilities, "probabilities", scores);
    else if (!row->no_probabilities)
        scry__plan_add(plan, &op->probabilities, "probabilities", SCRY__OUTPUT, SCRY_F32, row->probabilities, 4, shape);
    if (row->data == BARE) scry__plan_add(plan, &op->rows.lse, "lse", SCRY__OUTPUT, SCRY_F32, 0, 3, shape);
    if (!row->no_statistics) scry__row_statistics_add(plan, &op->rows, row->key, s);
}

const scry__case_table scry__softmax_table = {SCRY_OP_SOFTMAX_CAPTURE, sizeof rows / sizeof *rows, describe, build};

void scry__judge_softmax(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_softmax *op     = &plan->op.softmax;
    const scry__array  *scores = scry__plan_find(plan, &op->scores);
    const scry__array  *output = scry__plan_find(plan, &op->probabilities);
    int64_t             H = op->scores.shape[1], Q = op->scores.shape[2], K = op->scores.shape[3];
    double             *work = scry__alloc((size_t)K * 5, sizeof *work);
    if (!work) {
        scry__verdict_fail(verdict, "no memory to judge with");
        return;
    }
    for (int64_t r = 0; r < op->scores.shape[0] * H * Q; r++) {
        int64_t b = r / (H * Q), i = r % Q;
        for (int64_t j = 0; j < K; j++) {
            double additive = scry__mask_additive(plan, &op->mask, r * K + j);
            double score    = scry__array_get(scores, r * K + j) + additive;
            bool   seen     = scry__mask_visible(plan, &op->mask, b, i, j) && additive != -INFINITY;
            bool   exact    = plan->exact || !op->mask.additive.rank;
            work[j]         = seen ? score : -INFINITY;
            work[K + j]     = exact || work[j] == -INFINITY ? 0 : 2 * verdict->unit * (fabs(score) + fabs(additive));
        }
        scry__softmax_row row = {.count         = K,
                                 .scores        = work,
                                 .score_errors  = work + K,
                                 .probabilities = work + 2 * K,
                                 .errors        = work + 3 * K,
                                 .log_errors    = work + 4 * K};
        scry__softmax_row_bounds(&row, verdict->unit);
        for (int64_t j = 0; j < K; j++)
            scry__verdict_result(verdict, output, r * K + j, row.probabilities[j], row.errors[j]);
        scry__row_statistics_judge(plan, verdict, &op->rows, &op->mask, &row, r, b, i);
    }
    scry__free(work);
}
