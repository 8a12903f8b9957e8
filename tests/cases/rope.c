/* Cases of rope. Bound: x1 c - x2 s is two products and a sum, gamma(3) of their magnitudes; what is not turned is
 * equal. */
#include "cases/rope.h"

#include "cases/bounds.h"

enum { P = SCRY__PADDED, S = SCRY__SWAPPED, X = SCRY__SPACED };

/* Kinds of data besides normal numbers. */
enum {
    BARE_X = 1,  /* no row turns: out is x */
    BARE_TABLES, /* x is a power of two and 0 by turns: out is the tables' entries */
    WIDE,        /* x near 10^6 */
};

static const struct row {
    const char *name;
    int64_t     shape[4]; /* B, T, H, D */
    int64_t     turned;   /* R; 0: D */
    int64_t     first;    /* position_offset */
    bool        interleaved, inverse, in_place, positions, outside, special;
    bool        whole; /* the table begins at position 0 however far the rows are */
    int         data;
    unsigned    x, out;
    scry__tier  tier;
    bool        benchmark;
} rows[] = {
    {.name = "rope/half-split", .shape = {2, 33, 3, 16}},
    {.name = "rope/interleaved", .shape = {2, 33, 3, 16}, .interleaved = true},
    {.name = "rope/one", .shape = {1, 1, 1, 2}},
    {.name = "rope/no-rows", .shape = {1, 0, 3, 16}},
    {.name = "rope/partial", .shape = {1, 31, 2, 24}, .turned = 6},
    {.name = "rope/partial-interleaved", .shape = {1, 31, 2, 24}, .turned = 6, .interleaved = true},
    {.name = "rope/partial-odd-head", .shape = {1, 31, 2, 25}, .turned = 10},
    {.name = "rope/inverse", .shape = {2, 17, 2, 32}, .inverse = true},
    {.name = "rope/inverse-interleaved", .shape = {2, 17, 2, 32}, .inverse = true, .interleaved = true},
    {.name = "rope/in-place", .shape = {2, 17, 2, 64}, .in_place = true},
    {.name        = "rope/in-place-interleaved-partial",
     .shape       = {2, 17, 2, 64},
     .turned      = 32,
     .interleaved = true,
     .in_place    = true},
    {.name = "rope/offset", .shape = {2, 9, 2, 16}, .first = 37},
    {.name = "rope/positions", .shape = {3, 19, 2, 16}, .positions = true},
    {.name = "rope/positions-far", .shape = {1, 5, 2, 16}, .first = 131067},
    {.name = "rope/outside", .shape = {2, 19, 2, 16}, .turned = 8, .positions = true, .outside = true},
    {.name = "rope/special", .shape = {1, 9, 3, 24}, .turned = 10, .special = true},
    {.name = "rope/padded", .shape = {2, 9, 3, 16}, .x = P, .out = P},
    {.name = "rope/spaced", .shape = {2, 9, 3, 16}, .x = X, .out = X},
    {.name = "rope/padded-in-place", .shape = {2, 9, 3, 16}, .in_place = true, .x = P},
    {.name = "rope/heads-first", .shape = {2, 9, 3, 16}, .x = S, .out = S | P},
    {.name = "rope/many-heads", .shape = {1, 3, 37, 8}},
    {.name = "rope/32", .shape = {1, 32, 1, 32}},
    {.name = "rope/257", .shape = {1, 257, 1, 6}},
    {.name = "rope/head-of-257", .shape = {1, 3, 2, 257}, .turned = 256},
    {.name = "rope/whole-table", .shape = {1, 7, 2, 8}, .first = 131066, .whole = true},
    {.name = "rope/whole-table-positions", .shape = {2, 9, 2, 8}, .first = 131062, .whole = true, .positions = true},
    {.name = "rope/bare-x", .shape = {1, 17, 3, 16}, .data = BARE_X},
    {.name = "rope/bare-tables", .shape = {1, 17, 3, 16}, .data = BARE_TABLES},
    {.name = "rope/wide", .shape = {1, 17, 3, 16}, .data = WIDE},
    {.name = "rope/past-65535-rows", .shape = {1, 70001, 1, 4}, .tier = SCRY__TIER_FULL},
    {.name = "rope/past-65535-sequences", .shape = {70001, 1, 1, 4}, .in_place = true, .tier = SCRY__TIER_FULL},
    {.name = "rope/past-65535-heads", .shape = {1, 1, 70001, 4}, .interleaved = true, .tier = SCRY__TIER_FULL},
    {.name = "rope/past-128-MiB", .shape = {1, 9001, 16, 256}, .tier = SCRY__TIER_FULL},
    {.name = "rope/1024x12x64", .shape = {1, 1024, 12, 64}, .tier = SCRY__TIER_FULL, .benchmark = true},
};

static scry__case describe(int row)
{
    return (scry__case){.name = rows[row].name, .tier = rows[row].tier, .benchmark = rows[row].benchmark};
}

void scry__rope_tables_fill(scry__array *cosine, scry__array *sine, int64_t first)
{
    int64_t pairs = cosine->view.shape[1];
    for (int64_t i = 0; cosine->image && i < scry__array_count(cosine); i++) { /* none: the plan has failed */
        double angle = (double)(first + i / pairs) * pow(10000, -(double)(i % pairs) / (double)pairs);
        scry__array_set(cosine, i, cos(angle));
        scry__array_set(sine, i, sin(angle));
    }
}

/* Not every row needs a full table for far positions: where it does not, the table begins at table_first, and the op's
 * rows are shifted to match. */
static void build(scry__plan *plan, int index)
{
    const struct row *row = &rows[index];
    scry_rope        *op  = &plan->op.rope;
    int64_t           B = row->shape[0], T = row->shape[1], pairs = (row->turned ? row->turned : row->shape[3]) / 2;
    bool              far         = row->first > 100 && !row->whole;
    int64_t           table_first = far ? row->first - 3 : 0, table_rows = (far ? 3 : row->first) + T + 8;
    op->interleaved     = row->interleaved;
    op->inverse         = row->inverse;
    plan->bare          = row->data == BARE_X || row->data == BARE_TABLES;
    plan->wide          = row->data == WIDE;
    op->position_offset = row->first - table_first;
    scry__array *x      = scry__plan_add(plan, &op->x, "x", SCRY__INPUT, SCRY_F32, row->x, 4, row->shape);
    scry__array_fill_normal(plan, x, 0, row->data == WIDE ? 1e6 : 1);
    for (int64_t e = 0; row->data == BARE_TABLES && e < scry__array_count(x); e++)
        scry__array_set(x, e, e % row->shape[3] < row->shape[3] / 2 ? ldexp(1, (int)(e / row->shape[3] % 4)) : 0);
    if (row->special) scry__array_fill_specials(x, 17);
    scry__array *cosine =
        scry__plan_add(plan, &op->cosine, "cosine", SCRY__INPUT, SCRY_F32, 0, 2, SCRY__SHAPE(table_rows, pairs));
    scry__array *sine =
        scry__plan_add(plan, &op->sine, "sine", SCRY__INPUT, SCRY_F32, 0, 2, SCRY__SHAPE(table_rows, pairs));
    scry__rope_tables_fill(cosine, sine, table_first);
    if (row->data == BARE_X) {
        scry__array_fill(cosine, 1);
        scry__array_fill(sine, 0);
    }
    if (row->positions) {
        scry__array *positions =
            scry__plan_add(plan, &op->positions, "positions", SCRY__INPUT, SCRY_I32, 0, 2, SCRY__SHAPE(B, T));
        scry__array_fill_integers(plan, positions, 0, (int)table_rows - 1);
        if (row->outside) {
            scry__array_set(positions, 1, (double)table_rows);
            scry__array_set(positions, 3, -1);
        }
    }
    if (row->in_place)
        scry__plan_add_in_place(plan, &op->out, "out", x);
    else
        scry__plan_add(plan, &op->out, "out", SCRY__OUTPUT, SCRY_F32, row->out, 4, row->shape);
}

const scry__case_table scry__rope_table = {SCRY_OP_ROPE, sizeof rows / sizeof *rows, describe, build};

int64_t scry__rope_partner(const scry_rope *op, int64_t d)
{
    int64_t pairs = op->cosine.shape[1];
    if (op->interleaved) return d ^ 1;
    return d < pairs ? d + pairs : d - pairs;
}

void scry__judge_rope(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_rope   *op = &plan->op.rope;
    const scry__array *x = scry__plan_find(plan, &op->x), *out = scry__plan_find(plan, &op->out);
    int64_t            D = op->x.shape[3], turned = 2 * op->cosine.shape[1];
    for (int64_t e = 0; e < scry__array_count(out); e++) {
        int64_t d = e % D;
        /* |x1 c| + |x2 s| is at most |x1| + |x2|. */
        double size =
            d < turned ? fabs(scry__array_get(x, e)) + fabs(scry__array_get(x, e - d + scry__rope_partner(op, d))) : 0;
        scry__verdict_value(verdict, out, e, d < turned ? gamma_of(3, verdict->unit) * size + 2 * SCRY__TINY : 0);
    }
}
