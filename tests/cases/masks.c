/* Masks and row statistics of a case. See masks.h. The rule of visibility is written here once more, apart from any
 * backend: position of query i is offset + i, of key j is j. */
#include "cases/masks.h"

#include <math.h>

/* Each sequence its own range. ALL leaves the first one nothing; WILD goes past both ends of the keys. */
static int64_t pad_begin(int pad, int64_t b, int64_t keys)
{
    static const int64_t wild[] = {-5, INT32_MIN, 3, INT32_MAX};
    if (pad == SCRY__PAD_WILD) return wild[b % 4];
    return pad == SCRY__PAD_ALL && b == 0 ? keys : 3 * b % keys;
}

static int64_t pad_end(int pad, int64_t b, int64_t keys)
{
    static const int64_t wild[] = {INT32_MAX, 7, -2, 9};
    if (pad == SCRY__PAD_WILD) return wild[b % 4];
    return pad == SCRY__PAD_ALL && b == 0 ? 0 : keys - 2 * b % keys;
}

static void add_padding(scry__plan *plan, scry_mask *mask, int pad, int64_t batches, int64_t keys)
{
    const int64_t *shape = SCRY__SHAPE(batches);
    scry__array   *begin = NULL, *end = NULL;
    if (pad != SCRY__PAD_NONE && pad != SCRY__PAD_RIGHT)
        begin = scry__plan_add(plan, &mask->key_begin, "key_begin", SCRY__INPUT, SCRY_I32, 0, 1, shape);
    if (pad != SCRY__PAD_NONE && pad != SCRY__PAD_LEFT)
        end = scry__plan_add(plan, &mask->key_end, "key_end", SCRY__INPUT, SCRY_I32, 0, 1, shape);
    for (int64_t b = 0; b < batches; b++) {
        if (begin) scry__array_set(begin, b, (double)pad_begin(pad, b, keys));
        if (end) scry__array_set(end, b, (double)pad_end(pad, b, keys));
    }
}

static double additive_value(scry__plan *plan, int kind, int64_t i, int64_t j, int64_t keys)
{
    double bias = scry__random_normal(&plan->random);
    if (plan->exact) bias = (double)(int)bias;
    if (kind == SCRY__ADD_BIAS) return bias;
    if (kind == SCRY__ADD_DEAD) return i % 3 == 1 ? -INFINITY : 0;
    if (kind == SCRY__ADD_EARLY) return 4 * j < keys ? bias : -INFINITY;
    if (kind == SCRY__ADD_LATE) return 4 * j >= 3 * keys ? bias : -INFINITY;
    if (kind == SCRY__ADD_SENTINEL) return (i + j) % 3 ? 0 : -5e4;
    bool in_block = (i / 8 + j / 8) % 5 == 0;
    return in_block || scry__random_below(&plan->random, 8) == 0 ? -INFINITY : bias;
}

static void add_additive(scry__plan *plan, scry_mask *mask, int kind, scry__score_shape shape)
{
    unsigned     shared  = kind == SCRY__ADD_SHARED ? SCRY__REPEAT0 | SCRY__REPEAT1 : 0;
    scry__array *operand = scry__plan_add(plan, &mask->additive, "additive", SCRY__INPUT, SCRY_F32, shared, 4,
                                          SCRY__SHAPE(shape.B, shape.H, shape.Q, shape.K));
    for (int64_t e = 0; e < scry__array_count(operand); e++)
        scry__array_set(operand, e, additive_value(plan, kind, e / shape.K % shape.Q, e % shape.K, shape.K));
}

void scry__mask_add(scry__plan *plan, scry_mask *mask, const scry__mask_row *row, scry__score_shape shape)
{
    mask->causal       = row->causal;
    mask->window       = row->window;
    mask->prefix       = row->prefix;
    mask->query_offset = row->offset;
    add_padding(plan, mask, row->pad, shape.B, shape.K);
    if (row->additive) add_additive(plan, mask, row->additive, shape);
}

void scry__row_statistics_add(scry__plan *plan, scry_row_statistics *rows, int64_t key, scry__score_shape shape)
{
    struct {
        scry_tensor *tensor;
        const char  *name;
    } outputs[] = {
        {&rows->lse, "lse"},       {&rows->entropy, "entropy"},   {&rows->max, "max"},
        {&rows->argmax, "argmax"}, {&rows->previous, "previous"}, {&rows->self, "self"},
        {&rows->first, "first"},   {&rows->key_mass, "key_mass"},
    };
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        if (outputs[i].tensor == &rows->key_mass && shape.K == 0) continue; /* there is no key to ask for */
        scry__plan_add(plan, outputs[i].tensor, outputs[i].name, SCRY__OUTPUT,
                       outputs[i].tensor == &rows->argmax ? SCRY_I32 : SCRY_F32, 0, 3,
                       SCRY__SHAPE(shape.B, shape.H, shape.Q));
    }
    rows->key = key;
}

bool scry__mask_visible(const scry__plan *plan, const scry_mask *mask, int64_t b, int64_t i, int64_t j)
{
    const scry__array *begin = scry__plan_find(plan, &mask->key_begin);
    const scry__array *end   = scry__plan_find(plan, &mask->key_end);
    int64_t            ahead = mask->query_offset + i - j; /* of the key */
    bool real    = (!begin || (double)j >= scry__array_get(begin, b)) && (!end || (double)j < scry__array_get(end, b));
    bool reached = (!mask->causal || ahead >= 0) && (mask->window <= 0 || ahead < mask->window);
    return real && (reached || j < mask->prefix);
}

double scry__mask_additive(const scry__plan *plan, const scry_mask *mask, int64_t e)
{
    const scry__array *additive = scry__plan_find(plan, &mask->additive);
    return additive ? scry__array_get(additive, e) : 0;
}

scry__ranking scry__ranking_of(const scry__softmax_row *row, bool exact)
{
    return (scry__ranking){.scores     = row->scores,
                           .values     = row->probabilities,
                           .tolerances = row->errors,
                           .count      = row->count,
                           .exact      = exact};
}

/* A statistic that is the probability of one key, which may lie outside. */
static void judge_mass(const scry__plan *plan, scry__verdict *verdict, const scry_tensor *tensor,
                       const scry__softmax_row *row, int64_t index, int64_t key)
{
    bool inside = key >= 0 && key < row->count;
    scry__verdict_result(verdict, scry__plan_find(plan, tensor), index, inside ? row->probabilities[key] : 0,
                         inside ? row->errors[key] : 0);
}

void scry__row_statistics_judge(const scry__plan *plan, scry__verdict *verdict, const scry_row_statistics *rows,
                                const scry_mask *mask, const scry__softmax_row *row, int64_t index, int64_t b,
                                int64_t i)
{
    const scry__array *begin  = scry__plan_find(plan, &mask->key_begin);
    const scry__array *argmax = scry__plan_find(plan, &rows->argmax);
    int64_t            at     = mask->query_offset + i;
    scry__verdict_result(verdict, scry__plan_find(plan, &rows->lse), index, row->lse, row->lse_error);
    scry__verdict_result(verdict, scry__plan_find(plan, &rows->entropy), index, row->entropy, row->entropy_error);
    scry__verdict_result(verdict, scry__plan_find(plan, &rows->max), index, row->largest, row->largest_error);
    judge_mass(plan, verdict, &rows->previous, row, index, at - 1);
    judge_mass(plan, verdict, &rows->self, row, index, at);
    judge_mass(plan, verdict, &rows->first, row, index, begin ? (int64_t)fmax(0, scry__array_get(begin, b)) : 0);
    judge_mass(plan, verdict, &rows->key_mass, row, index, rows->key);
    if (!argmax) return;
    scry__ranking ranking = scry__ranking_of(row, plan->exact);
    scry__verdict_ranking(verdict, &ranking, argmax, NULL, index, 1);
}
