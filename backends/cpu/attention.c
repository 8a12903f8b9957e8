/* attention: out = softmax(cap(scale q k^T) + mask) v, with capture, by blocks of query rows.
 *
 * A head's keys and values are packed into panels once. A block of query rows then gets its scores against all keys
 * that it may see in one tile [rows, keys] that fits the second cache for usual lengths: row statistics, probabilities
 * and column sums are read off the tile while it is there, and the product with the values follows. Memory is rows x
 * keys for each part, with fewer rows where there are more keys: it grows with the length, never with its square. Tiles
 * that no query of a group of rows can see are skipped. */
#include "attention.h"

#include <math.h>
#include <string.h>

enum { TILE_BYTES = 512 << 10, LINE = 64 };

/* --- plan --- */

/* The next `floats` of a part's scratch; NULL while only measuring, without a base. */
static float *carve(char *base, size_t *used, int64_t floats)
{
    float *start = base ? (float *)(base + *used) : NULL;
    *used += (size_t)round_up(floats * 4, LINE);
    return start;
}

/* The workspace stands at the start of its part's scratch. Returns the bytes used. */
static size_t lay_out(const struct scry__cpu_attention *plan, struct scry__cpu_attention_space *space, char *base)
{
    bool   sums     = present(&plan->op->capture.received);
    size_t used     = (size_t)round_up(sizeof *space, LINE);
    space->keys     = carve(base, &used, plan->key_panels * plan->width * plan->head_size);
    space->values   = carve(base, &used, plan->value_panels * plan->width * plan->keys);
    space->queries  = carve(base, &used, plan->rows * plan->head_size);
    space->tile     = carve(base, &used, plan->rows * plan->tile_stride);
    space->mixed    = carve(base, &used, plan->cpu->kernels->tile_rows * plan->value_panels * plan->width);
    space->received = carve(base, &used, plan->key_panels * plan->width);
    space->distance = carve(base, &used, plan->distances);
    for (int i = 0; i < 2; i++) {
        space->shared[i].received = carve(base, &used, sums ? plan->keys : 0);
        space->shared[i].distance = carve(base, &used, plan->distances);
    }
    return used;
}

struct scry__cpu_attention scry__cpu_attention_plan(const struct scry__cpu *cpu, const scry_attention *op,
                                                    void *scratch)
{
    const scry_attention_capture *capture = &op->capture;
    int64_t                       height  = cpu->kernels->tile_rows;
    struct scry__cpu_attention plan = {.cpu = cpu, .op = op, .scratch = scratch, .width = cpu->kernels->tile_columns};
    plan.queries = op->q.shape[1], plan.heads = op->q.shape[2], plan.head_size = op->q.shape[3];
    plan.keys = op->k.shape[1], plan.value_size = op->v.shape[3];
    plan.key_panels   = (plan.keys + plan.width - 1) / plan.width;
    plan.value_panels = (plan.value_size + plan.width - 1) / plan.width;
    /* A stride that is no power of two spreads the rows over the cache's sets. */
    plan.tile_stride = plan.key_panels * plan.width + SCRY__CPU_LANES;
    plan.rows        = least(SCRY__CPU_ATTENTION_ROWS, TILE_BYTES / 4 / plan.tile_stride);
    plan.rows        = most(height, least(plan.rows, round_up(plan.queries, height)) / height * height);
    plan.blocks      = (plan.queries + plan.rows - 1) / plan.rows;
    if (present(&capture->distance)) plan.distances = capture->distance.shape[2];
    if (present(&capture->top_key)) plan.top = capture->top_key.shape[3];
    if (present(&capture->top_probability)) plan.top = capture->top_probability.shape[3];
    for (int word = 0; word < SCRY_MAX_HEADS / 64; word++)
        if (capture->heads[word]) plan.selected = true;
    struct scry__cpu_attention_space measure;
    plan.part_bytes = lay_out(&plan, &measure, NULL);
    return plan;
}

size_t scry__cpu_attention_scratch(const struct scry__cpu *cpu, const scry_attention *op)
{
    return scry__cpu_attention_plan(cpu, op, NULL).part_bytes * (size_t)cpu->threads;
}

struct scry__cpu_attention_space *scry__cpu_attention_space(const struct scry__cpu_attention *plan, int part)
{
    return (struct scry__cpu_attention_space *)(plan->scratch + (size_t)part * plan->part_bytes);
}

/* --- one block --- */

/* Rows that one register tile holds, and the keys that some of them see, in whole panels. */
struct group {
    int64_t query, rows, begin, end;
};

static struct group group_of(const struct scry__cpu_attention *plan, int64_t batch, int64_t query, int64_t rows)
{
    struct group group = {.query = query, .rows = rows, .begin = plan->key_panels * plan->width};
    for (int64_t i = 0; i < rows; i++) {
        struct scry__cpu_view view = scry__cpu_view_of(&plan->op->mask, batch, query + i, plan->keys);
        int64_t               last = scry__cpu_view_last(&view);
        if (!last) continue;
        group.begin = least(group.begin, scry__cpu_view_first(&view) / plan->width * plan->width);
        group.end   = most(group.end, round_up(last, plan->width));
    }
    if (!group.end) group.begin = 0;
    return group;
}

/* Panels of the key/value head's keys and values. Keys that the mask cuts off as padding are packed too, but never
 * reach a result. */
static void pack_head(const struct scry__cpu_attention *plan, struct scry__cpu_attention_space *space, int64_t batch,
                      int64_t head)
{
    const struct scry__cpu_kernels *kernels = plan->cpu->kernels;
    const scry_tensor              *k = &plan->op->k, *v = &plan->op->v;
    int64_t                         key_size = plan->width * plan->head_size, value_size = plan->width * plan->keys;
    double                          mass = 0;
    for (int64_t i = 0; i < plan->key_panels; i++) {
        int64_t key = i * plan->width;
        kernels->pack(space->keys + i * key_size,
                      element(k, batch * k->stride[0] + key * k->stride[1] + head * k->stride[2]), SCRY_F32,
                      plan->head_size, least(plan->width, plan->keys - key), 1, k->stride[1]);
    }
    for (int64_t i = 0; i < plan->value_panels; i++) {
        int64_t column = i * plan->width;
        kernels->pack(space->values + i * value_size, element(v, batch * v->stride[0] + head * v->stride[2] + column),
                      SCRY_F32, plan->keys, least(plan->width, plan->value_size - column), v->stride[1], 1);
        mass += kernels->moment(space->values + i * value_size, value_size, 0, 1);
    }
    space->finite = isfinite(mass);
}

static void fill_scores(const struct scry__cpu_attention *plan, const struct scry__cpu_attention_space *space,
                        const struct group *groups, int count)
{
    for (int64_t panel = 0; panel < plan->key_panels; panel++) {
        int64_t key = panel * plan->width;
        for (int i = 0; i < count; i++) {
            const struct group *group = &groups[i];
            int64_t             row   = group->query - groups[0].query;
            if (key < group->begin || key >= group->end) continue;
            plan->cpu->kernels->multiply(
                space->tile + row * plan->tile_stride + key, plan->tile_stride, space->queries + row * plan->head_size,
                plan->head_size, space->keys + key * plan->head_size, group->rows, plan->head_size, false, NULL);
        }
    }
}

/* Scores of a row become exponentials, 0 up to the group's end; captures on the way. Returns the row's factor. */
static float softmax_row(const struct scry__cpu_attention *plan, struct scry__cpu_attention_space *space,
                         const struct group *group, int64_t head, int64_t i, float *tile)
{
    const scry_attention   *op    = plan->op;
    int64_t                 lanes = plan->cpu->kernels->lanes, top[SCRY_MAX_TOP];
    struct scry__cpu_scores row = {.batch = head / plan->heads, .head = head % plan->heads, .query = group->query + i};
    row.view                    = scry__cpu_view_of(&op->mask, row.batch, row.query, plan->keys);
    row.begin                   = scry__cpu_view_first(&row.view) / lanes * lanes;
    row.width                   = round_up(scry__cpu_view_last(&row.view) - row.begin, lanes);
    row.values                  = tile + row.begin;
    /* A positive scale is left to the exponential where nothing comes between. */
    row.scale = op->scale;
    if (op->softcap > 0 || present(&op->mask.additive) || !(op->scale > 0)) {
        plan->cpu->kernels->score_row(row.values, row.width, op->scale, op->softcap);
        row.scale = 1;
    }
    scry__cpu_scores_mask(&op->mask, &row);
    scry__cpu_capture_scores(plan, &row, top);
    float factor = scry__cpu_scores_softmax(plan->cpu, &op->mask, &op->capture.rows, &row);
    scry__cpu_capture_row(plan, space, &row, factor, top);
    if (row.begin > group->begin) memset(tile + group->begin, 0, (size_t)(row.begin - group->begin) * sizeof *tile);
    int64_t end = most(group->begin, row.begin + row.width);
    if (end < group->end) memset(tile + end, 0, (size_t)(group->end - end) * sizeof *tile);
    return factor;
}

/* Where a value is not finite, a key that a row does not see must not even be multiplied by 0. */
static void mix_careful(const struct scry__cpu_attention *plan, const struct scry__cpu_attention_space *space,
                        int64_t batch, int64_t query, const float *tile, float *out, int64_t panel)
{
    struct scry__cpu_view view = scry__cpu_view_of(&plan->op->mask, batch, query, plan->keys);
    memset(out, 0, (size_t)plan->width * sizeof *out);
    for (int part = 0; part < 2; part++)
        for (int64_t key = view.begin[part]; key < view.end[part]; key++)
            if (tile[key] != 0)
                plan->cpu->kernels->accumulate(out, space->values + (panel * plan->keys + key) * plan->width,
                                               plan->width, tile[key]);
}

static void mix_values(const struct scry__cpu_attention *plan, struct scry__cpu_attention_space *space,
                       const struct group *group, int64_t head, const float *tile, const float *factors)
{
    const struct scry__cpu_kernels *kernels = plan->cpu->kernels;
    const scry_tensor              *out     = &plan->op->out;
    int64_t                         batch = head / plan->heads, stride = plan->value_panels * plan->width;
    int64_t                         end = least(group->end, plan->keys);
    for (int64_t panel = 0; panel < plan->value_panels; panel++) {
        float *mixed = space->mixed + panel * plan->width;
        if (space->finite)
            kernels->multiply(mixed, stride, tile + group->begin, plan->tile_stride,
                              space->values + (panel * plan->keys + group->begin) * plan->width, group->rows,
                              most(0, end - group->begin), false, NULL);
        else
            for (int64_t i = 0; i < group->rows; i++)
                mix_careful(plan, space, batch, group->query + i, tile + i * plan->tile_stride, mixed + i * stride,
                            panel);
    }
    for (int64_t i = 0; i < group->rows; i++) {
        int64_t index =
            batch * out->stride[0] + (group->query + i) * out->stride[1] + head % plan->heads * out->stride[2];
        kernels->scale(element(out, index), space->mixed + i * stride, plan->value_size, factors[i], 0);
    }
}

static void run_block(const struct scry__cpu_attention *plan, struct scry__cpu_attention_space *space, int64_t head,
                      int64_t block)
{
    const struct scry__cpu_kernels *kernels = plan->cpu->kernels;
    const scry_tensor              *q       = &plan->op->q;
    struct group                    groups[SCRY__CPU_ATTENTION_ROWS];
    int                             count = 0;
    int64_t batch = head / plan->heads, begin = block * plan->rows, end = least(begin + plan->rows, plan->queries);
    for (int64_t i = begin; i < end; i++)
        memcpy(space->queries + (i - begin) * plan->head_size,
               element(q, batch * q->stride[0] + i * q->stride[1] + head % plan->heads * q->stride[2]),
               (size_t)plan->head_size * sizeof(float));
    for (int64_t i = begin; i < end; i += kernels->tile_rows)
        groups[count++] = group_of(plan, batch, i, least(kernels->tile_rows, end - i));
    fill_scores(plan, space, groups, count);
    for (int g = 0; g < count; g++) {
        const struct group *group = &groups[g];
        float              *tile  = space->tile + (group->query - begin) * plan->tile_stride;
        float               factors[SCRY__CPU_ATTENTION_ROWS];
        for (int64_t i = 0; i < group->rows; i++)
            factors[i] = softmax_row(plan, space, group, head, i, tile + i * plan->tile_stride);
        if (present(&plan->op->capture.received))
            kernels->add_columns(space->received + group->begin, tile + group->begin, plan->tile_stride, factors,
                                 group->rows, group->end - group->begin);
        mix_values(plan, space, group, head, tile, factors);
    }
}

/* --- parts --- */

/* Keys that a block's rows see, as a measure of its cost. */
static int64_t cost_of(const struct scry__cpu_attention *plan, int64_t batch, int64_t block)
{
    struct group group = group_of(plan, batch, block * plan->rows, 1);
    int64_t      last  = least((block + 1) * plan->rows, plan->queries) - 1;
    struct group other = group_of(plan, batch, last, 1);
    return 1 + group.end - group.begin + other.end - other.begin;
}

static int64_t total_cost(const struct scry__cpu_attention *plan)
{
    int64_t total = 0;
    for (int64_t batch = 0; batch < plan->op->q.shape[0]; batch++)
        for (int64_t block = 0; block < plan->blocks; block++) total += cost_of(plan, batch, block) * plan->heads;
    return total;
}

/* Each part takes a run of blocks, head by head, of about the same cost. */
static void attention_part(const void *job, int part, int parts)
{
    const struct scry__cpu_attention *plan  = job;
    struct scry__cpu_attention_space *space = scry__cpu_attention_space(plan, part);
    int64_t                           heads = plan->op->q.shape[0] * plan->heads, before = 0;
    int64_t                           total = total_cost(plan), per_group = plan->heads / most(1, plan->op->k.shape[2]);
    lay_out(plan, space, (char *)space);
    space->group          = -1;
    space->shared[0].head = space->shared[1].head = -1;
    for (int64_t head = 0; head < heads; head++) {
        int64_t batch = head / plan->heads, done = 0;
        if (!plan->blocks && part == 0) { /* no rows: the sums are 0 */
            scry__cpu_sums_begin(plan, space);
            scry__cpu_sums_end(plan, space, head, true);
        }
        for (int64_t block = 0; block < plan->blocks; block++) {
            int64_t owner = before * parts / total;
            before += cost_of(plan, batch, block);
            if (owner != part) continue;
            if (space->group != head / per_group) pack_head(plan, space, batch, head % plan->heads / per_group);
            space->group = head / per_group;
            if (!done++) scry__cpu_sums_begin(plan, space);
            run_block(plan, space, head, block);
        }
        if (done) scry__cpu_sums_end(plan, space, head, done == plan->blocks);
    }
}

void scry__cpu_attention(const struct scry__cpu *cpu, const scry_attention *op, void *scratch)
{
    struct scry__cpu_attention plan = scry__cpu_attention_plan(cpu, op, scratch);
    double work  = (double)(op->q.shape[0] * plan.heads * plan.queries) * (double)(plan.keys * plan.head_size) / 16;
    int    parts = scry__cpu_parts(cpu->threads, work);
    scry__cpu_parallel(cpu->pool, parts, attention_part, &plan);
    scry__cpu_sums_merge(&plan, parts);
}
