/* What queries, keys and values hold in the cases of attention. See attention_data.h. */
#include "cases/attention_data.h"

#include <math.h>

/* What a kind of data makes of entry `e`, which is a normal number. */
static double shaped(const scry__array *operand, scry__attention_data data, scry__attention_part part, int64_t e)
{
    const int64_t *shape = operand->view.shape; /* [B, tokens, heads, entries] */
    int64_t        d = e % shape[3], token = e / shape[3] / shape[2] % shape[1];
    double         entry = scry__array_get(operand, e);
    switch (data) {
    case SCRY__DATA_TAIL: /* entry 0 of query and key makes the score, the rest is noise */
        if (part == SCRY__QUERIES) return d == 0 ? 1 : entry / 16;
        if (part == SCRY__VALUES) return 1 + entry / 8;
        return d > 0 ? entry : token == shape[1] / 3 ? log(0.7 / 0.3 * (double)shape[1]) : 0;
    case SCRY__DATA_GROWING:
        return part == SCRY__VALUES ? entry * (double)(1 + token) : entry;
    case SCRY__DATA_BARE_SCORES:
        if (part != SCRY__KEYS) return entry;
        return d == (token * 5 + 3) % shape[3] ? ldexp(token % 2 ? -1 : 1, (int)(token % 4)) : 0;
    case SCRY__DATA_BARE_WEIGHTS:
        return part == SCRY__VALUES ? scry__array_get(operand, e % (shape[2] * shape[3])) : entry;
    default:
        return entry;
    }
}

/* q = (256, .., 256, 1), k = (-20, .., -20, small): q k = -76,800 + small, exactly. */
static void fill_low(scry__array *operand, scry__attention_part part)
{
    int64_t width = operand->view.shape[3];
    for (int64_t e = 0; e < scry__array_count(operand); e++) {
        bool last = e % width == width - 1;
        if (part == SCRY__QUERIES)
            scry__array_set(operand, e, last ? 1 : 256);
        else
            scry__array_set(operand, e, last ? (double)(e * 7 / width % 5) : -20);
    }
}

static double deviation_of(scry__attention_data data, scry__attention_part part)
{
    if (data == SCRY__DATA_NEAR_TIES) return part == SCRY__QUERIES ? 0x1p-40 : 1;
    if (data == SCRY__DATA_WIDE) return part == SCRY__VALUES ? 1e6 : 500;
    return data == SCRY__DATA_SHARP && part == SCRY__QUERIES ? 10 : 1;
}

void scry__attention_fill(scry__plan *plan, scry__array *operand, scry__attention_data data, scry__attention_part part)
{
    if (data == SCRY__DATA_LATTICE)
        scry__array_fill_integers(plan, operand, -2, 2);
    else if (data == SCRY__DATA_UNIFORM && part == SCRY__QUERIES)
        scry__array_fill(operand, 0);
    else if (data == SCRY__DATA_LOWEST && part != SCRY__VALUES)
        scry__array_fill(operand, part == SCRY__QUERIES ? 0x1p58 : -20 * 0x1p50);
    else if (data == SCRY__DATA_LOW && part != SCRY__VALUES)
        fill_low(operand, part);
    else
        scry__array_fill_normal(plan, operand, 0, deviation_of(data, part));
    for (int64_t e = 0; data >= SCRY__DATA_TAIL && e < scry__array_count(operand); e++)
        scry__array_set(operand, e, shaped(operand, data, part, e));
}
