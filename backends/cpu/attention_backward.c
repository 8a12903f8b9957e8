/* attention_backward: the gradients of attention in q, k and v, by tiles of keys and queries.
 *
 * A tile holds keys in its rows and a block of queries in its columns: scores and what d_out makes of the values come
 * out of two products, become probabilities and d_score in place, and go into three more: d_v, d_k and, by the tile's
 * transpose, d_q. Memory for each part is one tile, and a key/value head with its gradients: it grows with the length,
 * never with its square. Tiles that no query of a block sees are skipped.
 *
 * Where there are enough key/value heads for the threads, a part takes whole ones. Otherwise d_q is worked out by
 * blocks of queries, and d_k and d_v after it by blocks of keys, which makes each tile twice. Either way the sums run
 * over the same blocks in ascending order: the results do not depend on the threads, to the bit. */
#include "operand.h"
#include "rows.h"

#include <math.h>
#include <string.h>

enum { QUERIES = 64, KEYS = 96, LINE = 64 };

/* --- plan --- */

struct plan {
    const struct scry__cpu        *cpu;
    const scry_attention_backward *op;
    int64_t                        batches, heads, groups, per_group, queries, keys, size, value_size;
    int64_t                        width, rows, blocks;     /* of a panel; queries of a block; blocks of a head */
    int64_t                        size_width, value_width; /* head sizes in whole panels */
    bool                           for_queries, for_keys;   /* whether d_q, and d_k or d_v are wanted */
    bool                           whole;                   /* a part takes key/value heads as a whole */
    size_t                         part_bytes;
    char                          *scratch;
};

/* One part's workspace, carved out of scratch. */
struct space {
    float   *keys;                     /* panels of a key/value head's keys */
    float   *d_keys, *d_values;        /* [keys, size_width], [keys, value_width]: sums */
    float   *columns, *d_out_columns;  /* panels of the block's queries and d_out, a column for each query */
    float   *queries, *d_out;          /* panels of the same, a row for each query */
    float   *d_queries;                /* [rows, size_width]: sums */
    float   *scores, *mixed, *added;   /* [KEYS, rows] */
    float   *lse, *mean;               /* [rows] */
    int32_t *begin[2], *end[2];        /* [rows] */
    int64_t  packed;                   /* the key/value head in `keys`, or -1 */
    bool     keys_finite, rows_finite; /* `keys`; `queries` and `d_out`: they hold no infinity or NaN */
};

/* The next `floats` of a part's scratch; NULL while only measuring, without a base. */
static void *carve(char *base, size_t *used, int64_t floats)
{
    void *start = base ? base + *used : NULL;
    *used += (size_t)round_up(floats * 4, LINE);
    return start;
}

/* Returns the bytes used. */
static size_t lay_out(const struct plan *plan, struct space *space, char *base)
{
    size_t  used = 0;
    int64_t tile = KEYS * plan->rows, held = plan->whole ? plan->keys : least(KEYS, plan->keys);
    space->keys          = carve(base, &used, plan->for_queries ? plan->keys * plan->size_width : 0);
    space->d_keys        = carve(base, &used, plan->for_keys ? held * plan->size_width : 0);
    space->d_values      = carve(base, &used, plan->for_keys ? held * plan->value_width : 0);
    space->columns       = carve(base, &used, plan->rows * plan->size);
    space->d_out_columns = carve(base, &used, plan->rows * plan->value_size);
    space->queries       = carve(base, &used, plan->rows * plan->size_width);
    space->d_out         = carve(base, &used, plan->rows * plan->value_width);
    space->d_queries     = carve(base, &used, plan->rows * plan->size_width);
    space->scores        = carve(base, &used, tile);
    space->mixed         = carve(base, &used, tile);
    space->added         = carve(base, &used, present(&plan->op->mask.additive) ? tile : 0);
    space->lse           = carve(base, &used, plan->rows);
    space->mean          = carve(base, &used, plan->rows);
    for (int i = 0; i < 2; i++) {
        space->begin[i] = carve(base, &used, plan->rows);
        space->end[i]   = carve(base, &used, plan->rows);
    }
    space->packed = -1;
    return used;
}

static struct plan plan_of(const struct scry__cpu *cpu, const scry_attention_backward *op, void *scratch)
{
    struct plan plan = {.cpu = cpu, .op = op, .scratch = scratch, .width = cpu->kernels->tile_columns};
    plan.batches = op->q.shape[0], plan.queries = op->q.shape[1], plan.heads = op->q.shape[2];
    plan.keys = op->k.shape[1], plan.groups = op->k.shape[2];
    plan.size = op->q.shape[3], plan.value_size = op->v.shape[3];
    plan.per_group   = plan.heads / most(1, plan.groups);
    plan.size_width  = round_up(plan.size, plan.width);
    plan.value_width = round_up(plan.value_size, plan.width);
    plan.rows        = round_up(least(QUERIES, most(1, plan.queries)), plan.width);
    plan.blocks      = (plan.queries + plan.rows - 1) / plan.rows;
    plan.for_queries = present(&op->d_q);
    plan.for_keys    = present(&op->d_k) || present(&op->d_v);
    /* Five products for each tile of whole heads, against seven that are shared evenly. */
    int64_t whole = plan.batches * plan.groups, turns = (whole + cpu->threads - 1) / cpu->threads;
    plan.whole = 5 * turns * cpu->threads <= 7 * whole;
    struct space measure;
    plan.part_bytes = lay_out(&plan, &measure, NULL);
    return plan;
}

size_t scry__cpu_attention_backward_scratch(const struct scry__cpu *cpu, const scry_attention_backward *op)
{
    return plan_of(cpu, op, NULL).part_bytes * (size_t)cpu->threads;
}

static struct space space_of(const struct plan *plan, int part)
{
    struct space space;
    lay_out(plan, &space, plan->scratch + (size_t)part * plan->part_bytes);
    return space;
}

/* Where a head's vector at a position begins: x is [B, positions, heads, size]. */
static float *vector(const scry_tensor *x, int64_t batch, int64_t position, int64_t head)
{
    return element(x, batch * x->stride[0] + position * x->stride[1] + head * x->stride[2]);
}

/* --- a block of queries --- */

struct block {
    int64_t batch, head, first, count; /* queries [first, first + count) of a head */
    int64_t begin, end;                /* keys that some of them see */
};

static bool is_finite(const struct plan *plan, const float *panels, int64_t rows, int64_t leading, int64_t size)
{
    double mass = 0;
    for (int64_t i = 0; i < size; i += plan->width)
        mass += plan->cpu->kernels->moment(panels + i * leading, rows * plan->width, 0, 1);
    return isfinite(mass);
}

/* Panels of x's rows [first, first + count): [size, width] with a column for each row, and [count, width] with the rows
 * as they are, one behind the other, 0 for rows without keys. Returns whether the latter are finite. */
static bool pack_rows(const struct plan *plan, const struct space *space, const struct block *block,
                      const scry_tensor *x, float *columns, float *rows)
{
    const struct scry__cpu_kernels *kernels = plan->cpu->kernels;
    int64_t                         width = plan->width, size = x->shape[3];
    for (int64_t i = 0; i < plan->rows; i += width) {
        int64_t count = most(0, least(width, block->count - i));
        /* A panel of no columns becomes zeros; where it points does not matter. */
        int64_t first = block->first + (count ? i : 0);
        kernels->pack(columns + i * size, vector(x, block->batch, first, block->head), SCRY_F32, size, count, 1,
                      x->stride[1]);
    }
    for (int64_t i = 0; i < size; i += width) {
        float *panel = rows + i * plan->rows;
        kernels->pack(panel, vector(x, block->batch, block->first, block->head) + i, SCRY_F32, block->count,
                      least(width, size - i), x->stride[1], 1);
        for (int64_t row = 0; row < block->count; row++)
            if (space->end[0][row] == 0 && space->end[1][row] == 0)
                memset(panel + row * width, 0, (size_t)width * sizeof *panel);
    }
    return is_finite(plan, rows, block->count, plan->rows, size);
}

/* What the tiles need to know of each query. */
static void note_queries(const struct plan *plan, struct space *space, struct block *block)
{
    const scry_attention_backward *op = plan->op;
    block->begin = plan->keys, block->end = 0;
    for (int64_t i = 0; i < plan->rows; i++) {
        struct scry__cpu_view view = {{0}, {0}};
        int64_t               row  = block->first + i;
        space->lse[i] = space->mean[i] = 0;
        if (i < block->count) {
            float lse = *(float *)element(&op->lse, block->batch * op->lse.stride[0] + block->head * op->lse.stride[1] +
                                                        row * op->lse.stride[2]);
            /* A row without any key has no gradients. */
            if (lse != -INFINITY) view = scry__cpu_view_of(&op->mask, block->batch, row, plan->keys);
            space->lse[i] = lse;
            space->mean[i] =
                (float)plan->cpu->kernels->dot(vector(&op->d_out, block->batch, row, block->head),
                                               vector(&op->out, block->batch, row, block->head), plan->value_size);
        }
        for (int part = 0; part < 2; part++) {
            space->begin[part][i] = (int32_t)view.begin[part];
            space->end[part][i]   = (int32_t)view.end[part];
        }
        if (!scry__cpu_view_last(&view)) continue;
        block->begin = least(block->begin, scry__cpu_view_first(&view));
        block->end   = most(block->end, scry__cpu_view_last(&view));
    }
}

/* The mask's additive part in the tile's order. */
static void gather_added(const struct plan *plan, const struct space *space, const struct block *block, int64_t key,
                         int64_t keys)
{
    const scry_tensor *x     = &plan->op->mask.additive;
    int64_t            index = block->batch * x->stride[0] + block->head * x->stride[1] + block->first * x->stride[2];
    for (int64_t j = 0; j < keys; j++)
        for (int64_t i = 0; i < plan->rows; i++)
            space->added[j * plan->rows + i] =
                i < block->count ? *(float *)element(x, index + i * x->stride[2] + (key + j) * x->stride[3]) : 0;
}

/* --- a tile --- */

/* Keys [key, key + keys) and the block's queries [begin, end): panels outside see none of the keys. */
struct tile {
    int64_t key, keys, begin, end;
};

static struct tile tile_of(const struct plan *plan, const struct space *space, const struct block *block, int64_t key)
{
    struct tile tile = {.key = key, .keys = least(KEYS, plan->keys - key), .begin = plan->rows};
    for (int64_t i = 0; i < block->count; i++) {
        bool sees = false;
        for (int part = 0; part < 2; part++)
            if (space->begin[part][i] < key + tile.keys && space->end[part][i] > key) sees = true;
        if (!sees) continue;
        tile.begin = least(tile.begin, i / plan->width * plan->width);
        tile.end   = least(block->count, (i / plan->width + 1) * plan->width);
    }
    return tile;
}

/* Probabilities and d_score. */
static void make_tile(const struct plan *plan, const struct space *space, const struct block *block,
                      const struct tile *tile)
{
    const struct scry__cpu_kernels *kernels = plan->cpu->kernels;
    const scry_attention_backward  *op      = plan->op;
    int64_t                         group   = block->head / plan->per_group;
    const float                    *k       = vector(&op->k, block->batch, tile->key, group);
    const float                    *v       = vector(&op->v, block->batch, tile->key, group);
    for (int64_t i = tile->begin; i < tile->end; i += plan->width) {
        kernels->multiply(space->scores + i, plan->rows, k, op->k.stride[1], space->columns + i * plan->size,
                          tile->keys, plan->size, false, NULL);
        kernels->multiply(space->mixed + i, plan->rows, v, op->v.stride[1], space->d_out_columns + i * plan->value_size,
                          tile->keys, plan->value_size, false, NULL);
    }
    bool adds = present(&op->mask.additive);
    if (adds) gather_added(plan, space, block, tile->key, tile->keys);
    kernels->attention_backward(&(struct scry__cpu_attention_tile){
        .scores  = space->scores + tile->begin,
        .mixed   = space->mixed + tile->begin,
        .added   = adds ? space->added + tile->begin : NULL,
        .leading = plan->rows,
        .key     = tile->key,
        .keys    = tile->keys,
        .queries = round_up(tile->end - tile->begin, plan->width),
        .lse     = space->lse + tile->begin,
        .mean    = space->mean + tile->begin,
        .begin   = {space->begin[0] + tile->begin, space->begin[1] + tile->begin},
        .end     = {space->end[0] + tile->begin, space->end[1] + tile->begin},
        .scale   = op->scale,
        .softcap = op->softcap,
    });
}

/* A product of the tile, or of its transpose: c [rows, size] += weights panels, in whole panels `leading` rows long. */
struct product {
    float       *c;
    const float *weights; /* [rows, terms], or [terms, rows] where turned */
    const float *panels;  /* [terms, size] */
    int64_t      rows, terms, size, leading;
    bool         turned, finite;
};

/* Where the panels are not finite, what has no weight must not even be multiplied by 0. */
static void multiply_careful(const struct plan *plan, const struct product *p, int64_t column)
{
    for (int64_t row = 0; row < p->rows; row++)
        for (int64_t i = 0; i < p->terms; i++) {
            float weight = p->weights[p->turned ? i * plan->rows + row : row * plan->rows + i];
            if (weight != 0)
                plan->cpu->kernels->accumulate(p->c + row * p->size + column,
                                               p->panels + column * p->leading + i * plan->width, plan->width, weight);
        }
}

static void multiply(const struct plan *plan, const struct product *p)
{
    const struct scry__cpu_kernels *kernels = plan->cpu->kernels;
    for (int64_t column = 0; column < p->size; column += plan->width)
        if (p->finite)
            (p->turned ? kernels->multiply_turned : kernels->multiply)(p->c + column, p->size, p->weights, plan->rows,
                                                                       p->panels + column * p->leading, p->rows,
                                                                       p->terms, true, NULL);
        else
            multiply_careful(plan, p, column);
}

/* d_keys and d_values, whose first row is that of key `first`, += the tile times queries and d_out. */
static void add_to_keys(const struct plan *plan, const struct space *space, const struct tile *tile, int64_t first)
{
    int64_t        row      = tile->key - first;
    struct product d_values = {.c       = space->d_values + row * plan->value_width,
                               .weights = space->scores + tile->begin,
                               .panels  = space->d_out + tile->begin * plan->width,
                               .rows    = tile->keys,
                               .terms   = tile->end - tile->begin,
                               .size    = plan->value_width,
                               .leading = plan->rows,
                               .finite  = space->rows_finite};
    struct product d_keys   = d_values;
    d_keys.c                = space->d_keys + row * plan->size_width;
    d_keys.weights          = space->mixed + tile->begin;
    d_keys.panels           = space->queries + tile->begin * plan->width;
    d_keys.size             = plan->size_width;
    multiply(plan, &d_values);
    multiply(plan, &d_keys);
}

/* d_queries += the transposed tile times keys. */
static void add_to_queries(const struct plan *plan, const struct space *space, const struct tile *tile)
{
    multiply(plan, &(struct product){.c       = space->d_queries + tile->begin * plan->size_width,
                                     .weights = space->mixed + tile->begin,
                                     .panels  = space->keys + tile->key * plan->width,
                                     .rows    = tile->end - tile->begin,
                                     .terms   = tile->keys,
                                     .size    = plan->size_width,
                                     .leading = plan->keys,
                                     .turned  = true,
                                     .finite  = space->keys_finite});
}

/* --- blocks of a head --- */

/* Rows of sums go where they belong: x [B, positions, heads, size], from `first` on. */
static void store_rows(const struct plan *plan, const scry_tensor *x, int64_t batch, int64_t first, int64_t head,
                       const float *sums, int64_t leading, int64_t count, float factor)
{
    if (!present(x) || !count) return;
    plan->cpu->kernels->finish(vector(x, batch, first, head), x->stride[1], sums, leading, count, x->shape[3], factor,
                               plan->op->accumulate ? 1 : 0, NULL);
}

/* What the queries of a block have to do with the keys [first, last), both multiples of KEYS or the end. */
static void run_block(const struct plan *plan, struct space *space, struct block block, int64_t first, int64_t last,
                      bool to_queries, bool to_keys)
{
    note_queries(plan, space, &block);
    bool finite        = pack_rows(plan, space, &block, &plan->op->q, space->columns, space->queries);
    space->rows_finite = pack_rows(plan, space, &block, &plan->op->d_out, space->d_out_columns, space->d_out) && finite;
    if (to_queries) memset(space->d_queries, 0, (size_t)(plan->rows * plan->size_width) * sizeof(float));
    for (int64_t key = most(first, block.begin / KEYS * KEYS); key < least(last, block.end); key += KEYS) {
        struct tile tile = tile_of(plan, space, &block, key);
        if (tile.begin >= tile.end) continue;
        make_tile(plan, space, &block, &tile);
        if (to_keys) add_to_keys(plan, space, &tile, first);
        if (to_queries) add_to_queries(plan, space, &tile);
    }
    if (to_queries)
        store_rows(plan, &plan->op->d_q, block.batch, block.first, block.head, space->d_queries, plan->size_width,
                   block.count, plan->op->scale);
}

static struct block block_of(const struct plan *plan, int64_t batch, int64_t head, int64_t number)
{
    struct block block = {.batch = batch, .head = head, .first = number * plan->rows};
    block.count        = least(plan->rows, plan->queries - block.first);
    return block;
}

/* Panels of the keys of key/value head `group`, the rows as they are. */
static void pack_keys(const struct plan *plan, struct space *space, int64_t batch, int64_t group)
{
    const scry_tensor *k = &plan->op->k;
    if (space->packed == batch * plan->groups + group) return;
    for (int64_t i = 0; i < plan->size && plan->keys; i += plan->width)
        plan->cpu->kernels->pack(space->keys + i * plan->keys, vector(k, batch, 0, group) + i, SCRY_F32, plan->keys,
                                 least(plan->width, plan->size - i), k->stride[1], 1);
    space->keys_finite = is_finite(plan, space->keys, plan->keys, plan->keys, plan->size);
    space->packed      = batch * plan->groups + group;
}

/* d_k and d_v of the keys [first, last) of a key/value head; d_q of all its queries too, where to_queries. */
static void run_keys(const struct plan *plan, struct space *space, int64_t batch, int64_t group, int64_t first,
                     int64_t last, bool to_queries)
{
    int64_t count = last - first;
    if (plan->for_keys) {
        memset(space->d_keys, 0, (size_t)(count * plan->size_width) * sizeof(float));
        memset(space->d_values, 0, (size_t)(count * plan->value_width) * sizeof(float));
    }
    for (int64_t head = group * plan->per_group; head < (group + 1) * plan->per_group; head++)
        for (int64_t i = 0; i < plan->blocks; i++)
            run_block(plan, space, block_of(plan, batch, head, i), first, last, to_queries, plan->for_keys);
    store_rows(plan, &plan->op->d_k, batch, first, group, space->d_keys, plan->size_width, count, plan->op->scale);
    store_rows(plan, &plan->op->d_v, batch, first, group, space->d_values, plan->value_width, count, 1);
}

/* --- parts: they take turns, as blocks of causal queries differ in their work --- */

static void groups_part(const void *job, int part, int parts)
{
    const struct plan *plan  = job;
    struct space       space = space_of(plan, part);
    for (int64_t unit = part; unit < plan->batches * plan->groups; unit += parts) {
        int64_t batch = unit / plan->groups, group = unit % plan->groups;
        if (plan->for_queries) pack_keys(plan, &space, batch, group);
        run_keys(plan, &space, batch, group, 0, plan->keys, plan->for_queries);
    }
}

static void queries_part(const void *job, int part, int parts)
{
    const struct plan *plan  = job;
    struct space       space = space_of(plan, part);
    for (int64_t unit = part; unit < plan->batches * plan->heads * plan->blocks; unit += parts) {
        int64_t head = unit / plan->blocks % plan->heads, batch = unit / plan->blocks / plan->heads;
        pack_keys(plan, &space, batch, head / plan->per_group);
        run_block(plan, &space, block_of(plan, batch, head, unit % plan->blocks), 0, plan->keys, true, false);
    }
}

static void keys_part(const void *job, int part, int parts)
{
    const struct plan *plan   = job;
    struct space       space  = space_of(plan, part);
    int64_t            chunks = (plan->keys + KEYS - 1) / KEYS;
    for (int64_t unit = part; unit < plan->batches * plan->groups * chunks; unit += parts) {
        int64_t first = unit % chunks * KEYS, head = unit / chunks;
        run_keys(plan, &space, head / plan->groups, head % plan->groups, first, least(plan->keys, first + KEYS), false);
    }
}

void scry__cpu_attention_backward(const struct scry__cpu *cpu, const scry_attention_backward *op, void *scratch)
{
    struct plan plan  = plan_of(cpu, op, scratch);
    double      work  = (double)(plan.batches * plan.heads * plan.queries) * (double)(plan.keys * plan.size) / 8;
    int         parts = scry__cpu_parts(cpu->threads, work);
    if (plan.whole) {
        scry__cpu_parallel(cpu->pool, parts, groups_part, &plan);
        return;
    }
    if (plan.for_queries) scry__cpu_parallel(cpu->pool, parts, queries_part, &plan);
    if (plan.for_keys) scry__cpu_parallel(cpu->pool, parts, keys_part, &plan);
}
