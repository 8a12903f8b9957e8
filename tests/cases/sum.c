/* Cases of sum and of embed_backward, which adds up rows too. Bounds: gamma(n + 2) times the magnitudes of the n terms
 * of an element, for its sum, a square or a scale; none where it is one term as it stands. */
#include "base/alloc.h"
#include "cases/bounds.h"
#include "cases/gradients.h"

enum { T = SCRY__TRANSPOSED, P = SCRY__PADDED, X = SCRY__SPACED };

/* --- sum --- */

static const struct row {
    const char *name;
    int64_t     rows, columns;
    bool        squares, accumulate, exact, special, bare;
    bool        last;      /* the last row outweighs all others */
    double      deviation; /* 0: as usual */
    unsigned    x, out;
    scry__tier  tier;
    bool        benchmark;
} rows[] = {
    {.name = "sum/plain", .rows = 33, .columns = 65},
    {.name = "sum/one", .rows = 1, .columns = 1},
    {.name = "sum/no-rows", .rows = 0, .columns = 5},
    {.name = "sum/no-rows-accumulate", .rows = 0, .columns = 5, .accumulate = true},
    {.name = "sum/no-columns", .rows = 5, .columns = 0},
    {.name = "sum/squares", .rows = 33, .columns = 65, .squares = true},
    {.name = "sum/accumulate", .rows = 31, .columns = 257, .accumulate = true},
    {.name = "sum/squares-accumulate", .rows = 32, .columns = 64, .squares = true, .accumulate = true},
    {.name = "sum/padded", .rows = 31, .columns = 33, .x = P, .out = P},
    {.name = "sum/transposed", .rows = 31, .columns = 33, .x = T},
    {.name = "sum/spaced", .rows = 9, .columns = 33, .squares = true, .x = X, .out = X},
    {.name = "sum/lattice", .rows = 1023, .columns = 9, .exact = true},
    {.name = "sum/lattice-squares", .rows = 257, .columns = 33, .squares = true, .accumulate = true, .exact = true},
    {.name = "sum/special", .rows = 9, .columns = 65, .special = true},
    {.name = "sum/wide", .rows = 9, .columns = 65, .squares = true, .deviation = 1e6},
    {.name = "sum/small", .rows = 9, .columns = 65, .squares = true, .deviation = 1e-10},
    {.name = "sum/bare", .rows = 1, .columns = 1025, .bare = true},
    {.name = "sum/2-rows", .rows = 2, .columns = 257},
    {.name = "sum/column", .rows = 4099, .columns = 1},
    {.name = "sum/column-squares", .rows = 20011, .columns = 1, .squares = true, .tier = SCRY__TIER_QUICK},
    {.name = "sum/last-of-20011", .rows = 20011, .columns = 3, .last = true, .tier = SCRY__TIER_QUICK},
    {.name = "sum/past-65535-rows", .rows = 70001, .columns = 3, .tier = SCRY__TIER_QUICK},
    {.name = "sum/past-65535-columns", .rows = 3, .columns = 70001, .tier = SCRY__TIER_FULL},
    {.name = "sum/past-128-MiB", .rows = 9001, .columns = 4096, .tier = SCRY__TIER_FULL},
    {.name = "sum/column-past-128-MiB", .rows = 34000003, .columns = 1, .tier = SCRY__TIER_FULL},
    {.name = "sum/gpt2", .rows = 1024, .columns = 3072, .tier = SCRY__TIER_FULL, .benchmark = true},
    {.name      = "sum/gpt2-length",
     .rows      = 768 * 3072,
     .columns   = 1,
     .squares   = true,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
};

static scry__case describe(int row)
{
    return (scry__case){.name = rows[row].name, .tier = rows[row].tier, .benchmark = rows[row].benchmark};
}

static void build(scry__plan *plan, int index)
{
    const struct row *row = &rows[index];
    scry_sum         *op  = &plan->op.sum;
    plan->exact           = row->exact;
    plan->bare            = row->bare;
    plan->mute            = row->rows == 0 && !row->accumulate;
    plan->wide            = row->deviation >= 1e6;
    op->squares           = row->squares;
    op->accumulate        = row->accumulate;
    scry__array *x =
        scry__plan_add(plan, &op->x, "x", SCRY__INPUT, SCRY_F32, row->x, 2, SCRY__SHAPE(row->rows, row->columns));
    if (row->deviation > 0)
        scry__array_fill_normal(plan, x, 0, row->deviation);
    else
        scry__array_fill_usual(plan, x);
    if (row->special) scry__array_fill_specials(x, 41);
    for (int64_t e = 0; row->last && e < (row->rows - 1) * row->columns; e++)
        scry__array_set(x, e, scry__array_get(x, e) * 0x1p-10);
    scry__gradient_add(plan, &op->out, "out", row->accumulate, row->out, 1, SCRY__SHAPE(row->columns));
}

const scry__case_table scry__sum_table = {SCRY_OP_SUM, sizeof rows / sizeof *rows, describe, build};

void scry__judge_sum(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_sum    *op = &plan->op.sum;
    const scry__array *x = scry__plan_find(plan, &op->x), *out = scry__plan_find(plan, &op->out);
    int64_t            count = op->x.shape[0], columns = op->x.shape[1];
    for (int64_t i = 0; i < columns; i++) {
        double total = 0, size = 0;
        for (int64_t t = 0; t < count; t++) {
            double value = scry__array_get(x, t * columns + i);
            total += op->squares ? value * value : value;
            size += op->squares ? value * value : fabs(value);
        }
        bool one = count <= 1 && !op->squares;
        scry__gradient_judge(plan, verdict, out, i, total,
                             one ? 0 : gamma_of((double)count + 2, verdict->unit) * size + (double)count * SCRY__TINY);
    }
}

/* --- embed_backward --- */

static const struct embed_row {
    const char *name;
    int64_t     rows, vocabulary, size;
    int64_t     named; /* > 0: only so many ids are used; < 0: each once */
    unsigned    d_out, d_table;
    float       scale;
    bool        accumulate, outside, wide, exact, mute, special;
    scry__tier  tier;
    bool        benchmark;
} embed_rows[] = {
    {.name = "embed_backward/plain", .rows = 33, .vocabulary = 100, .size = 65},
    {.name = "embed_backward/one", .rows = 1, .vocabulary = 1, .size = 1},
    {.name = "embed_backward/no-rows", .rows = 0, .vocabulary = 5, .size = 4, .mute = true},
    {.name = "embed_backward/no-rows-accumulate", .rows = 0, .vocabulary = 5, .size = 4, .accumulate = true},
    {.name = "embed_backward/scaled", .rows = 31, .vocabulary = 40, .size = 33, .scale = 11.3f},
    {.name = "embed_backward/accumulate", .rows = 31, .vocabulary = 40, .size = 33, .accumulate = true},
    {.name       = "embed_backward/accumulate-scaled",
     .rows       = 9,
     .vocabulary = 40,
     .size       = 257,
     .scale      = -0.3f,
     .accumulate = true},
    {.name = "embed_backward/repeated", .rows = 129, .vocabulary = 9, .size = 64, .named = 3},
    {.name = "embed_backward/one-id", .rows = 65, .vocabulary = 3, .size = 31, .named = 1, .accumulate = true},
    {.name = "embed_backward/padded", .rows = 31, .vocabulary = 40, .size = 33, .d_out = P, .d_table = P},
    {.name = "embed_backward/transposed", .rows = 31, .vocabulary = 40, .size = 33, .d_out = T, .d_table = T},
    {.name = "embed_backward/outside", .rows = 31, .vocabulary = 40, .size = 33, .outside = true},
    {.name       = "embed_backward/outside-accumulate",
     .rows       = 31,
     .vocabulary = 40,
     .size       = 33,
     .outside    = true,
     .accumulate = true},
    {.name = "embed_backward/lattice", .rows = 257, .vocabulary = 16, .size = 32, .exact = true},
    {.name = "embed_backward/bare", .rows = 31, .vocabulary = 40, .size = 33, .named = -1},
    {.name = "embed_backward/wide", .rows = 31, .vocabulary = 40, .size = 33, .wide = true},
    {.name = "embed_backward/special", .rows = 31, .vocabulary = 20, .size = 33, .special = true},
    {.name = "embed_backward/1025", .rows = 5, .vocabulary = 7, .size = 1025},
    {.name       = "embed_backward/large",
     .rows       = 1023,
     .vocabulary = 2001,
     .size       = 65,
     .outside    = true,
     .tier       = SCRY__TIER_QUICK},
    {.name = "embed_backward/9001-rows", .rows = 9001, .vocabulary = 3, .size = 3, .tier = SCRY__TIER_QUICK},
    {.name       = "embed_backward/past-65535-ids",
     .rows       = 257,
     .vocabulary = 200003,
     .size       = 33,
     .mute       = true,
     .tier       = SCRY__TIER_FULL},
    {.name = "embed_backward/past-65535-rows", .rows = 70001, .vocabulary = 257, .size = 5, .tier = SCRY__TIER_FULL},
    {.name       = "embed_backward/gpt2",
     .rows       = 1024,
     .vocabulary = 50257,
     .size       = 768,
     .mute       = true,
     .tier       = SCRY__TIER_FULL,
     .benchmark  = true},
};

static scry__case describe_embed(int row)
{
    return (scry__case){
        .name = embed_rows[row].name, .tier = embed_rows[row].tier, .benchmark = embed_rows[row].benchmark};
}

static void build_embed(scry__plan *plan, int index)
{
    const struct embed_row *row = &embed_rows[index];
    scry_embed_backward    *op  = &plan->op.embed_backward;
    plan->exact                 = row->exact;
    plan->mute                  = row->mute;
    plan->wide                  = row->wide;
    plan->bare                  = row->named < 0;
    op->scale                   = row->scale;
    op->accumulate              = row->accumulate;
    scry__array *ids   = scry__plan_add(plan, &op->ids, "ids", SCRY__INPUT, SCRY_I32, 0, 1, SCRY__SHAPE(row->rows));
    scry__array *d_out = scry__plan_add(plan, &op->d_out, "d_out", SCRY__INPUT, SCRY_F32, row->d_out, 2,
                                        SCRY__SHAPE(row->rows, row->size));
    scry__array_fill_integers(plan, ids, 0, (int)(row->named > 0 ? row->named : row->vocabulary) - 1);
    for (int64_t t = 0; row->named < 0 && t < row->rows; t++)
        scry__array_set(ids, t, (double)(t * 7 % row->vocabulary));
    if (row->wide)
        scry__array_fill_normal(plan, d_out, 0, 1e6);
    else
        scry__array_fill_usual(plan, d_out);
    if (row->special) scry__array_fill_specials(d_out, 17);
    static const double outside[] = {-1, INT32_MAX, INT32_MIN};
    for (int i = 0; row->outside && i < 4; i++)
        scry__array_set(ids, 1 + 2 * i, i < 3 ? outside[i] : (double)row->vocabulary);
    scry__gradient_add(plan, &op->d_table, "d_table", row->accumulate, row->d_table, 2,
                       SCRY__SHAPE(row->vocabulary, row->size));
}

const scry__case_table scry__embed_backward_table = {SCRY_OP_EMBED_BACKWARD, sizeof embed_rows / sizeof *embed_rows,
                                                     describe_embed, build_embed};

/* Adds the rows of d_out up: sums and sums of magnitudes [V, d], and how many rows each entry has [V]. */
static void add_rows(const scry__plan *plan, double *sums, double *sizes, int64_t *counts)
{
    const scry_embed_backward *op  = &plan->op.embed_backward;
    const scry__array         *ids = scry__plan_find(plan, &op->ids), *d_out = scry__plan_find(plan, &op->d_out);
    int64_t                    d = op->d_out.shape[1];
    for (int64_t t = 0; t < op->d_out.shape[0]; t++) {
        int64_t id = (int64_t)scry__array_get(ids, t);
        if (id < 0 || id >= op->d_table.shape[0]) continue;
        counts[id]++;
        for (int64_t i = 0; i < d; i++) {
            double value = scry__array_get(d_out, t * d + i);
            sums[id * d + i] += value;
            sizes[id * d + i] += fabs(value);
        }
    }
}

void scry__judge_embed_backward(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_embed_backward *op      = &plan->op.embed_backward;
    const scry__array         *d_table = scry__plan_find(plan, &op->d_table);
    int64_t                    d = op->d_table.shape[1], count = scry__array_count(d_table);
    double                    *sums   = scry__alloc((size_t)count * 2 + 1, sizeof *sums);
    int64_t                   *counts = scry__alloc((size_t)op->d_table.shape[0] + 1, sizeof *counts);
    double                     scale  = op->scale != 0 ? op->scale : 1;
    if (!sums || !counts) {
        scry__verdict_fail(verdict, "no memory to judge with");
        count = 0;
    } else {
        add_rows(plan, sums, sums + count, counts);
    }
    for (int64_t e = 0; e < count; e++) {
        double terms = (double)counts[e / d];
        bool   as_is = terms == 0 || (terms == 1 && scale == 1);
        double error = gamma_of(terms + 2, verdict->unit) * fabs(scale) * sums[count + e] + SCRY__TINY;
        scry__gradient_judge(plan, verdict, d_table, e, scale * sums[e], as_is ? 0 : error);
    }
    scry__free(counts);
    scry__free(sums);
}
