/* Cases of embed, add, scale, copy and fill. Bounds: as many roundings as the formula has operations, times the
 * magnitudes of what is added; none where a result is an input or its conversion. */
#include "cases/bounds.h"
#include "cases/judge.h"

enum { T = SCRY__TRANSPOSED, P = SCRY__PADDED, X = SCRY__SPACED, IN_PLACE = 1 << 16, IN_PLACE_B = 1 << 17 };

/* One table serves all: what an op has no use for stays 0. */
struct row {
    const char *name;
    int         rank;
    int64_t     shape[SCRY_MAX_RANK];
    scry_dtype  from, to;                  /* of the second (or only) input, and of the output */
    unsigned    first, second, out;        /* layouts; out may be IN_PLACE (on the first input) or IN_PLACE_B */
    double      factor, offset, deviation; /* deviation of the inputs; 0: as usual */
    bool        exact, special, bare;      /* bare: the output is the input, or a power of two times it */
    scry__tier  tier;
    bool        benchmark;
};

/* --- Shared by the ops of one shape --- */

static scry__array *add_input(scry__plan *plan, scry_tensor *tensor, const char *label, scry_dtype dtype,
                              unsigned layout, const struct row *row)
{
    scry__array *input = scry__plan_add(plan, tensor, label, SCRY__INPUT, dtype, layout, row->rank, row->shape);
    if (row->deviation > 0)
        scry__array_fill_normal(plan, input, 0, row->deviation);
    else
        scry__array_fill_usual(plan, input);
    plan->wide = row->special || row->deviation >= 1e6;
    plan->bare = row->bare;
    /* Zeros of both signs, infinities, NaN (one of them all ones, which rounding would carry into the sign),
     * subnormals, and the largest values of f16 and f32. */
    static const double specials[] = {
        0.,       -0.,         INFINITY,   -INFINITY,    (double)NAN,
        0x1p-149, -0x1p-140,   0x1p-24,    0x1p-25,      65504.,
        65519.,   65520.,      -65536.,    3.4e38,       -3.4e38,
        0x1p-14f, 1 + 0x1p-11, 1 + 0x1p-8, 1 + 0x1.8p-7, 2049.,
        -100.,    100.,        88.5,       -87.5,        __builtin_nan("0xfffffffffffff")};
    if (row->special)
        for (int64_t i = 0; i < scry__array_count(input); i++)
            scry__array_set(input, i, specials[(size_t)i % (sizeof specials / sizeof *specials)]);
    return input;
}

static void add_output(scry__plan *plan, scry_tensor *tensor, const struct row *row, const scry__array *first,
                       const scry__array *second)
{
    if (row->out & IN_PLACE)
        scry__plan_add_in_place(plan, tensor, "out", first);
    else if (row->out & IN_PLACE_B)
        scry__plan_add_in_place(plan, tensor, "out", second);
    else
        scry__plan_add(plan, tensor, "out", SCRY__OUTPUT, row->to, row->out, row->rank, row->shape);
}

/* --- embed --- */

static const struct embed_row {
    const char *name;
    int64_t     rows, vocabulary, size;
    scry_dtype  dtype;
    unsigned    table, out;
    float       scale;
    bool        accumulate, outside, wide;
    scry__tier  tier;
    bool        benchmark;
} embed_rows[] = {
    {.name = "embed/plain", .rows = 33, .vocabulary = 100, .size = 65},
    {.name = "embed/one", .rows = 1, .vocabulary = 1, .size = 1},
    {.name = "embed/no-rows", .rows = 0, .vocabulary = 5, .size = 4},
    {.name = "embed/scaled", .rows = 31, .vocabulary = 40, .size = 33, .scale = 11.3f},
    {.name = "embed/accumulate", .rows = 31, .vocabulary = 40, .size = 33, .accumulate = true},
    {.name = "embed/accumulate-scaled", .rows = 9, .vocabulary = 40, .size = 257, .scale = -0.3f, .accumulate = true},
    {.name = "embed/f16", .rows = 31, .vocabulary = 40, .size = 33, .dtype = SCRY_F16},
    {.name = "embed/bf16-scaled", .rows = 31, .vocabulary = 40, .size = 33, .dtype = SCRY_BF16, .scale = 8.f},
    {.name = "embed/f16-64", .rows = 31, .vocabulary = 40, .size = 64, .dtype = SCRY_F16},
    {.name = "embed/padded", .rows = 31, .vocabulary = 40, .size = 33, .table = P, .out = P},
    {.name = "embed/outside", .rows = 31, .vocabulary = 40, .size = 33, .outside = true},
    {.name = "embed/wide", .rows = 31, .vocabulary = 40, .size = 33, .wide = true},
    {.name = "embed/32x1024", .rows = 32, .vocabulary = 33, .size = 1024},
    {.name = "embed/past-65535-rows", .rows = 70001, .vocabulary = 257, .size = 5, .tier = SCRY__TIER_FULL},
    {.name       = "embed/past-65535-ids",
     .rows       = 257,
     .vocabulary = 200003,
     .size       = 33,
     .dtype      = SCRY_BF16,
     .tier       = SCRY__TIER_FULL},
    {.name = "embed/past-128-MiB", .rows = 50021, .vocabulary = 1000, .size = 768, .tier = SCRY__TIER_FULL},
    {.name = "embed/past-2-GiB", .rows = 1025, .vocabulary = 530001, .size = 1024, .tier = SCRY__TIER_FULL},
    {.name = "embed/large", .rows = 31, .vocabulary = 9001, .size = 65, .outside = true, .tier = SCRY__TIER_QUICK},
    {.name = "embed/gpt2", .rows = 1024, .vocabulary = 50257, .size = 768, .tier = SCRY__TIER_FULL, .benchmark = true},
};

static scry__case describe_embed(int row)
{
    return (scry__case){
        .name = embed_rows[row].name, .tier = embed_rows[row].tier, .benchmark = embed_rows[row].benchmark};
}

static void build_embed(scry__plan *plan, int index)
{
    const struct embed_row *row = &embed_rows[index];
    scry_embed             *op  = &plan->op.embed;
    scry__array *ids   = scry__plan_add(plan, &op->ids, "ids", SCRY__INPUT, SCRY_I32, 0, 1, SCRY__SHAPE(row->rows));
    scry__array *table = scry__plan_add(plan, &op->table, "table", SCRY__INPUT, row->dtype, row->table, 2,
                                        SCRY__SHAPE(row->vocabulary, row->size));
    scry__array *out   = scry__plan_add(plan, &op->out, "out", row->accumulate ? SCRY__UPDATED : SCRY__OUTPUT, SCRY_F32,
                                        row->out, 2, SCRY__SHAPE(row->rows, row->size));
    scry__array_fill_integers(plan, ids, 0, (int)row->vocabulary - 1);
    scry__array_fill_normal(plan, table, 0, row->wide ? 1e6 : 1);
    if (row->accumulate) scry__array_fill_usual(plan, out);
    if (row->outside) {
        scry__array_set(ids, 1, (double)row->vocabulary);
        scry__array_set(ids, 2, -1);
        scry__array_set(ids, 3, INT32_MAX);
        scry__array_set(ids, 4, INT32_MIN);
    }
    op->scale      = row->scale;
    op->accumulate = row->accumulate;
    plan->wide     = row->wide;
    plan->bare     = row->scale == 0 && !row->accumulate && !row->outside;
}

void scry__judge_embed(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_embed  *op  = &plan->op.embed;
    const scry__array *ids = scry__plan_find(plan, &op->ids), *table = scry__plan_find(plan, &op->table);
    const scry__array *out  = scry__plan_find(plan, &op->out);
    int64_t            size = op->out.shape[1];
    for (int64_t e = 0; e < scry__array_count(out); e++) {
        double id = scry__array_get(ids, e / size), old = op->accumulate ? scry__array_get(out, e) : 0;
        bool   exact  = (op->scale == 0 || op->scale == 1) && !op->accumulate;
        bool   inside = id >= 0 && id < (double)op->table.shape[0];
        double entry  = inside ? scry__array_get(table, (int64_t)id * size + e % size) : 0;
        double scaled = entry * (op->scale != 0 ? op->scale : 1);
        scry__verdict_value(verdict, out, e,
                            exact ? 0 : gamma_of(2, verdict->unit) * (fabs(old) + fabs(scaled)) + SCRY__TINY);
    }
}

/* --- add --- */

static const struct row add_rows[] = {
    {.name = "add/plain", .rank = 1, .shape = {257}},
    {.name = "add/one", .rank = 1, .shape = {1}},
    {.name = "add/none", .rank = 2, .shape = {3, 0}},
    {.name = "add/rank-4", .rank = 4, .shape = {2, 3, 5, 33}},
    {.name = "add/padded", .rank = 3, .shape = {3, 31, 33}, .first = P, .second = P, .out = P},
    {.name = "add/spaced", .rank = 2, .shape = {31, 33}, .first = X, .second = P, .out = X},
    {.name = "add/transposed", .rank = 2, .shape = {31, 33}, .first = T, .second = P, .out = 0},
    {.name = "add/row-repeated", .rank = 2, .shape = {31, 65}, .second = SCRY__REPEAT0},
    {.name = "add/column-repeated", .rank = 2, .shape = {31, 65}, .second = SCRY__REPEAT1},
    {.name = "add/first-repeated", .rank = 3, .shape = {3, 5, 65}, .first = SCRY__REPEAT0 | SCRY__REPEAT1},
    {.name = "add/in-place", .rank = 2, .shape = {33, 65}, .out = IN_PLACE},
    {.name = "add/in-place-on-b", .rank = 2, .shape = {33, 65}, .out = IN_PLACE_B},
    {.name   = "add/in-place-bias-f16",
     .rank   = 2,
     .shape  = {33, 65},
     .from   = SCRY_F16,
     .second = SCRY__REPEAT0,
     .out    = IN_PLACE},
    {.name = "add/bf16", .rank = 2, .shape = {33, 65}, .from = SCRY_BF16},
    {.name = "add/bf16-64", .rank = 2, .shape = {33, 64}, .from = SCRY_BF16},
    {.name = "add/bias-f16-64", .rank = 2, .shape = {33, 64}, .from = SCRY_F16, .second = SCRY__REPEAT0},
    {.name = "add/special", .rank = 2, .shape = {31, 65}, .second = SCRY__REPEAT0, .special = true},
    {.name = "add/special-f16", .rank = 2, .shape = {31, 65}, .from = SCRY_F16, .special = true},
    {.name = "add/1031-rows", .rank = 2, .shape = {1031, 36}, .second = SCRY__REPEAT0},
    {.name = "add/1031-rows-padded", .rank = 2, .shape = {1031, 33}, .first = P, .second = P, .out = P},
    {.name = "add/lattice", .rank = 2, .shape = {33, 1025}, .exact = true},
    {.name = "add/bare", .rank = 2, .shape = {33, 65}, .bare = true},
    {.name = "add/32", .rank = 1, .shape = {32}},
    {.name = "add/1023", .rank = 1, .shape = {1023}},
    {.name = "add/1025", .rank = 2, .shape = {1, 1025}},
    {.name = "add/wide", .rank = 2, .shape = {33, 65}, .deviation = 1e6},
    {.name = "add/past-65535-rows", .rank = 2, .shape = {70001, 3}, .second = SCRY__REPEAT0, .tier = SCRY__TIER_FULL},
    {.name   = "add/past-65535-planes",
     .rank   = 4,
     .shape  = {3, 30011, 2, 1},
     .first  = P,
     .second = P,
     .out    = P,
     .tier   = SCRY__TIER_FULL},
    {.name = "add/past-128-MiB", .rank = 2, .shape = {34003, 1009}, .tier = SCRY__TIER_FULL},
    {.name = "add/1024x768", .rank = 2, .shape = {1024, 768}, .tier = SCRY__TIER_FULL, .benchmark = true},
    {.name = "add/1024x768-turned", .rank = 2, .shape = {1024, 768}, .second = T, .tier = SCRY__TIER_FULL},
};

static scry__case describe_add(int row)
{
    return (scry__case){.name = add_rows[row].name, .tier = add_rows[row].tier, .benchmark = add_rows[row].benchmark};
}

static void build_add(scry__plan *plan, int index)
{
    const struct row *row = &add_rows[index];
    plan->exact           = row->exact;
    scry__array *a        = add_input(plan, &plan->op.add.a, "a", SCRY_F32, row->first, row);
    scry__array *b        = add_input(plan, &plan->op.add.b, "b", row->from, row->second, row);
    if (row->bare) scry__array_fill(b, 0);
    add_output(plan, &plan->op.add.out, row, a, b);
}

void scry__judge_add(const scry__plan *plan, scry__verdict *verdict)
{
    const scry__array *a   = scry__plan_find(plan, &plan->op.add.a);
    const scry__array *b   = scry__plan_find(plan, &plan->op.add.b);
    const scry__array *out = scry__plan_find(plan, &plan->op.add.out);
    for (int64_t e = 0; e < scry__array_count(out); e++) {
        double sum = fabs(scry__array_get(a, e) + scry__array_get(b, e));
        scry__verdict_value(verdict, out, e, plan->exact ? 0 : gamma_of(1, verdict->unit) * sum + SCRY__TINY);
    }
}

/* --- scale --- */

static const struct row scale_rows[] = {
    {.name = "scale/plain", .rank = 2, .shape = {33, 65}, .factor = 1.7, .offset = -0.3},
    {.name = "scale/none", .rank = 1, .shape = {0}, .factor = 2},
    {.name = "scale/zero", .rank = 1, .shape = {33}, .factor = 0, .offset = 0, .exact = true},
    {.name = "scale/in-place", .rank = 2, .shape = {33, 65}, .factor = 0.125, .out = IN_PLACE},
    {.name = "scale/padded", .rank = 3, .shape = {3, 31, 33}, .factor = -2.5, .offset = 1, .first = P, .out = P},
    {.name = "scale/strided", .rank = 4, .shape = {2, 3, 5, 7}, .factor = -2.5, .first = X | T, .out = X},
    {.name = "scale/special", .rank = 1, .shape = {96}, .factor = 0.5, .offset = 1, .special = true},
    {.name = "scale/lattice", .rank = 2, .shape = {33, 1025}, .factor = 3, .offset = -5, .exact = true},
    {.name = "scale/bare", .rank = 2, .shape = {33, 65}, .factor = 0.25, .bare = true},
    {.name = "scale/1025", .rank = 1, .shape = {1025}, .factor = 0.7},
    {.name = "scale/wide", .rank = 2, .shape = {33, 65}, .factor = 0.3, .offset = 1e5, .deviation = 1e6},
    {.name   = "scale/past-65535-rows",
     .rank   = 2,
     .shape  = {70001, 3},
     .factor = 0.7,
     .first  = P,
     .tier   = SCRY__TIER_FULL},
    {.name   = "scale/past-128-MiB",
     .rank   = 2,
     .shape  = {34003, 1009},
     .factor = 0.7,
     .out    = IN_PLACE,
     .tier   = SCRY__TIER_FULL},
    {.name      = "scale/1024x3072",
     .rank      = 2,
     .shape     = {1024, 3072},
     .factor    = 0.125,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name   = "scale/1024x768-turned",
     .rank   = 2,
     .shape  = {1024, 768},
     .factor = 0.7,
     .first  = T,
     .tier   = SCRY__TIER_FULL},
};

static scry__case describe_scale(int row)
{
    return (scry__case){
        .name = scale_rows[row].name, .tier = scale_rows[row].tier, .benchmark = scale_rows[row].benchmark};
}

static void build_scale(scry__plan *plan, int index)
{
    const struct row *row = &scale_rows[index];
    plan->exact           = row->exact;
    plan->mute            = row->factor == 0 && row->offset == 0;
    plan->op.scale.factor = (float)row->factor;
    plan->op.scale.offset = (float)row->offset;
    add_output(plan, &plan->op.scale.out, row, add_input(plan, &plan->op.scale.x, "x", SCRY_F32, row->first, row),
               NULL);
}

void scry__judge_scale(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_scale  *op = &plan->op.scale;
    const scry__array *x = scry__plan_find(plan, &op->x), *out = scry__plan_find(plan, &op->out);
    for (int64_t e = 0; e < scry__array_count(out); e++) {
        double size = fabs(op->factor * scry__array_get(x, e)) + fabs(op->offset);
        scry__verdict_value(verdict, out, e, plan->exact ? 0 : gamma_of(2, verdict->unit) * size + SCRY__TINY);
    }
}

/* --- copy --- */

static const struct row copy_rows[] = {
    {.name = "copy/f32", .rank = 2, .shape = {33, 65}, .bare = true},
    {.name = "copy/none", .rank = 2, .shape = {0, 65}},
    {.name = "copy/one", .rank = 1, .shape = {1}},
    {.name = "copy/i32", .rank = 2, .shape = {33, 65}, .from = SCRY_I32, .to = SCRY_I32, .exact = true},
    {.name  = "copy/i32-strided",
     .rank  = 3,
     .shape = {3, 5, 7},
     .from  = SCRY_I32,
     .to    = SCRY_I32,
     .exact = true,
     .first = T,
     .out   = P},
    {.name = "copy/f32-to-f16", .rank = 2, .shape = {33, 65}, .to = SCRY_F16},
    {.name = "copy/f32-to-bf16", .rank = 2, .shape = {33, 65}, .to = SCRY_BF16},
    {.name = "copy/f16-to-f32", .rank = 2, .shape = {33, 65}, .from = SCRY_F16, .bare = true},
    {.name = "copy/bf16-to-f32", .rank = 2, .shape = {33, 65}, .from = SCRY_BF16},
    {.name = "copy/f16-to-bf16", .rank = 2, .shape = {33, 65}, .from = SCRY_F16, .to = SCRY_BF16},
    {.name = "copy/bf16-to-f16", .rank = 2, .shape = {33, 65}, .from = SCRY_BF16, .to = SCRY_F16},
    {.name = "copy/f16", .rank = 2, .shape = {33, 65}, .from = SCRY_F16, .to = SCRY_F16},
    {.name = "copy/transposed", .rank = 2, .shape = {33, 65}, .first = T, .bare = true},
    {.name = "copy/heads", .rank = 4, .shape = {2, 5, 3, 16}, .first = SCRY__SWAPPED, .out = P},
    {.name = "copy/repeated", .rank = 3, .shape = {4, 5, 33}, .first = SCRY__REPEAT0},
    {.name = "copy/spaced", .rank = 2, .shape = {31, 33}, .first = X, .out = X | P},
    {.name  = "copy/transposed-f16",
     .rank  = 2,
     .shape = {33, 65},
     .from  = SCRY_F16,
     .to    = SCRY_F16,
     .exact = true,
     .first = T},
    {.name = "copy/spaced-f16", .rank = 2, .shape = {31, 33}, .from = SCRY_F16, .to = SCRY_F16, .out = X},
    {.name = "copy/padded-bf16", .rank = 3, .shape = {3, 5, 33}, .to = SCRY_BF16, .first = P, .out = P},
    {.name = "copy/special-f32", .rank = 1, .shape = {96}, .special = true},
    {.name = "copy/special-f32-to-f16", .rank = 1, .shape = {96}, .to = SCRY_F16, .special = true},
    {.name = "copy/special-f32-to-bf16", .rank = 1, .shape = {96}, .to = SCRY_BF16, .special = true},
    {.name = "copy/special-f16-to-f32", .rank = 1, .shape = {96}, .from = SCRY_F16, .special = true},
    {.name = "copy/1023", .rank = 1, .shape = {1023}},
    {.name = "copy/1025-to-bf16", .rank = 2, .shape = {1, 1025}, .to = SCRY_BF16},
    {.name = "copy/past-65535-rows", .rank = 2, .shape = {70001, 3}, .first = T, .tier = SCRY__TIER_FULL},
    {.name  = "copy/past-65535-planes",
     .rank  = 4,
     .shape = {3, 30011, 2, 1},
     .first = P,
     .out   = X,
     .tier  = SCRY__TIER_FULL},
    {.name = "copy/past-128-MiB", .rank = 2, .shape = {34003, 1009}, .first = T, .tier = SCRY__TIER_FULL},
    {.name = "copy/past-128-MiB-to-f16", .rank = 1, .shape = {34308001}, .to = SCRY_F16, .tier = SCRY__TIER_FULL},
    {.name = "copy/1024x3072", .rank = 2, .shape = {1024, 3072}, .tier = SCRY__TIER_FULL, .benchmark = true},
    {.name      = "copy/1024x3072-to-bf16",
     .rank      = 2,
     .shape     = {1024, 3072},
     .to        = SCRY_BF16,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name = "copy/1024x768-turned", .rank = 2, .shape = {1024, 768}, .first = T, .tier = SCRY__TIER_FULL},
};

static scry__case describe_copy(int row)
{
    return (scry__case){
        .name = copy_rows[row].name, .tier = copy_rows[row].tier, .benchmark = copy_rows[row].benchmark};
}

static void build_copy(scry__plan *plan, int index)
{
    const struct row *row = &copy_rows[index];
    plan->exact           = row->exact;
    add_output(plan, &plan->op.copy.out, row, add_input(plan, &plan->op.copy.x, "x", row->from, row->first, row), NULL);
}

void scry__judge_copy(const scry__plan *plan, scry__verdict *verdict)
{
    const scry__array *out = scry__plan_find(plan, &plan->op.copy.out);
    for (int64_t e = 0; e < scry__array_count(out); e++) scry__verdict_value(verdict, out, e, 0);
}

/* --- fill --- */

static const struct row fill_rows[] = {
    {.name = "fill/f32", .rank = 2, .shape = {33, 65}, .factor = 0.1},
    {.name = "fill/zero", .rank = 4, .shape = {2, 3, 5, 7}},
    {.name = "fill/none", .rank = 1, .shape = {0}, .factor = 1},
    {.name = "fill/infinity", .rank = 1, .shape = {33}, .factor = -INFINITY},
    {.name = "fill/nan", .rank = 1, .shape = {33}, .factor = (double)NAN},
    {.name = "fill/f16", .rank = 2, .shape = {31, 33}, .to = SCRY_F16, .factor = 0.1, .out = P},
    {.name = "fill/bf16", .rank = 2, .shape = {31, 33}, .to = SCRY_BF16, .factor = 1e-3, .out = P},
    {.name = "fill/i32", .rank = 2, .shape = {31, 33}, .to = SCRY_I32, .factor = -2.5},
    {.name = "fill/i32-spaced", .rank = 2, .shape = {31, 33}, .to = SCRY_I32, .factor = 7, .out = X | T},
    {.name = "fill/i32-past-f32", .rank = 1, .shape = {33}, .to = SCRY_I32, .factor = 16777217},
    {.name = "fill/spaced", .rank = 2, .shape = {31, 33}, .factor = -7, .out = X | T},
    {.name = "fill/1025", .rank = 1, .shape = {1025}, .factor = 3},
    {.name = "fill/past-65535-rows", .rank = 2, .shape = {70001, 3}, .factor = 3, .out = P, .tier = SCRY__TIER_FULL},
    {.name = "fill/past-128-MiB", .rank = 1, .shape = {34308001}, .factor = 3, .tier = SCRY__TIER_FULL},
    {.name      = "fill/1024x3072",
     .rank      = 2,
     .shape     = {1024, 3072},
     .factor    = 0.5,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name = "fill/1024x768-spaced", .rank = 2, .shape = {1024, 768}, .factor = 0.5, .out = X, .tier = SCRY__TIER_FULL},
};

static scry__case describe_fill(int row)
{
    return (scry__case){
        .name = fill_rows[row].name, .tier = fill_rows[row].tier, .benchmark = fill_rows[row].benchmark};
}

static void build_fill(scry__plan *plan, int index)
{
    plan->op.fill.value = fill_rows[index].factor;
    plan->bare          = fill_rows[index].to == SCRY_F32;
    plan->mute          = fill_rows[index].factor == 0 || !isfinite(fill_rows[index].factor);
    add_output(plan, &plan->op.fill.out, &fill_rows[index], NULL, NULL);
}

void scry__judge_fill(const scry__plan *plan, scry__verdict *verdict)
{
    const scry__array *out = scry__plan_find(plan, &plan->op.fill.out);
    for (int64_t e = 0; e < scry__array_count(out); e++) scry__verdict_value(verdict, out, e, 0);
}

#define TABLE(kind, name)                                                                                              \
    const scry__case_table scry__##name##_table = {kind, sizeof name##_rows / sizeof *name##_rows, describe_##name,    \
                                                   build_##name}
TABLE(SCRY_OP_EMBED, embed);
TABLE(SCRY_OP_ADD, add);
TABLE(SCRY_OP_SCALE, scale);
TABLE(SCRY_OP_COPY, copy);
TABLE(SCRY_OP_FILL, fill);
