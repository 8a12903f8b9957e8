/* attention for GPU-type devices: a work group of 64 items works on 32 queries and tiles of 32 keys.
 *
 * Both sides' vectors pass through local memory, 32 entries at a time and transposed; an item has the products of 4
 * queries and 4 keys, 8 apart, so that neighbours read neighbouring places. Two items share a row of the softmax, each
 * with every other key. Formulas, operands and scratch are in attention.cl. The captures are in
 * attention_group_capture.cl.
 *
 * Launched in groups of 64 items over
 *     attention    blocks of 32 queries x heads x (sequences * stretches of 32 * CHUNKS values)
 * Every item of a group goes through the same barriers: loops end where all of them end, and nobody returns early.
 *
 * Built with -DCHUNKS, the number of 32 values that a group of `attention` has: 1 to 4. Local memory: 14 KiB. */

enum {
    ITEMS = 64,
    ROW   = 8, /* items that lie side by side in a tile */
    EACH  = 4, /* queries, and keys, of an item */
    PITCH = TILE + 1,
    PAIR  = 2, /* items that share a row of the softmax */
};

#define GROUP __attribute__((reqd_work_group_size(ITEMS, 1, 1)))

/* --- Products --- */

/* Which query, or key, of the tile is the item's i-th. */
static inline int query_at(int i)
{
    return (int)get_local_id(0) / ROW + ROW * i;
}

static inline int key_at(int i)
{
    return (int)get_local_id(0) % ROW + ROW * i;
}

/* to[d * PITCH + n]: entries [begin, begin + TILE) of vectors 0 to 31, 0 where there is none of the `count` vectors or
 * `end` entries. */
static inline void load_transposed(__local float *to, vectors from, long count, long begin, long end)
{
    for (int e = (int)get_local_id(0); e < TILE * TILE; e += ITEMS) {
        int n = e / TILE, d = e % TILE;
        to[d * PITCH + n] = n < count && begin + d < end ? from.base[n * from.stride + begin + d] : 0;
    }
}

/* The same, to[n * PITCH + d]. */
static inline void load_straight(__local float *to, vectors from, long count, long begin, long end)
{
    for (int e = (int)get_local_id(0); e < TILE * TILE; e += ITEMS) {
        int n = e / TILE, d = e % TILE;
        to[n * PITCH + d] = n < count && begin + d < end ? from.base[n * from.stride + begin + d] : 0;
    }
}

/* sums[i][j] += the sum over d of a[d][query i] * b[d][key j]. */
static inline void multiply(float (*sums)[EACH], __local const float *a, __local const float *b)
{
    for (int d = 0; d < TILE; d++) {
        float x[EACH], y[EACH];
        for (int i = 0; i < EACH; i++) {
            x[i] = a[d * PITCH + query_at(i)];
            y[i] = b[d * PITCH + key_at(i)];
        }
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++) sums[i][j] = sums[i][j] + x[i] * y[j];
    }
}

/* --- Scores --- */

/* A head's queries from one of them on, and its keys. */
typedef struct {
    vectors               queries, keys;
    __global const float *additive; /* of the first query and key 0 */
    long                  query;    /* the first */
    int                   count;    /* of 32 queries */
    sight                 sees[EACH];
} query_block;

static inline void query_block_set(query_block *at, ATTENTION_PARAMETERS, long b, long h, long query, long end)
{
    at->query    = query;
    at->count    = (int)min(end - query, (long)TILE);
    at->queries  = vectors_from(vectors_of(q, q_view, b, h), query);
    at->keys     = vectors_of(k, k_view, b, h / (size.heads / size.groups));
    at->additive = bias_of(additive, additive_view, b, h, query, 0);
    for (int i = 0; i < EACH; i++)
        at->sees[i] = sight_of(MASK_ARGUMENTS, (int)b, query + min(query_at(i), at->count - 1), (int)size.keys);
}

static inline key_range block_range(MASK_PARAMETERS, sizes size, long b, const query_block *at)
{
    return keys_seen(sight_of(MASK_ARGUMENTS, (int)b, at->query, (int)size.keys),
                     sight_of(MASK_ARGUMENTS, (int)b, at->query + at->count - 1, (int)size.keys), TILE);
}

static inline float finish_score(float x, const query_block *at, view additive_view, int i, long key, sizes size)
{
    float bias = 0;
    if (query_at(i) >= at->count || key >= size.keys || !is_seen(at->sees[i], (int)key)) return -INFINITY;
    x = size.scale * x;
    if (size.softcap > 0) x = size.softcap * tanh(x / size.softcap);
    if (at->additive) bias = at->additive[query_at(i) * additive_view.stride[2] + key * additive_view.stride[3]];
    return bias == -INFINITY ? -INFINITY : x + bias;
}

/* Scores of the item's queries and the keys from `key` on; -inf where masked. head_size 0: of nothing but masks. */
static inline void score(float (*scores)[EACH], const query_block *at, view additive_view, long key, sizes size,
                         long head_size, __local float *a, __local float *b)
{
    vectors keys = vectors_from(at->keys, key);
    for (int i = 0; i < EACH; i++)
        for (int j = 0; j < EACH; j++) scores[i][j] = 0;
    for (long d = 0; d < head_size; d += TILE) {
        load_transposed(a, at->queries, at->count, d, head_size);
        load_transposed(b, keys, size.keys - key, d, head_size);
        barrier(CLK_LOCAL_MEM_FENCE);
        multiply(scores, a, b);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    for (int i = 0; i < EACH; i++)
        for (int j = 0; j < EACH; j++)
            scores[i][j] = finish_score(scores[i][j], at, additive_view, i, key + key_at(j), size);
}

/* The tile to[key * PITCH + query]. */
static inline void put_tile(__local float *to, float (*values)[EACH])
{
    for (int i = 0; i < EACH; i++)
        for (int j = 0; j < EACH; j++) to[key_at(j) * PITCH + query_at(i)] = values[i][j];
}

/* 0 where masked, in a row that is NaN too. */
static inline float probability(float score, float centre, float factor)
{
    float bounded, p = exp_negative(score - centre, &bounded) * factor;
    return score == -INFINITY ? 0 : p;
}

/* Scores become probabilities; `softmaxes` are those of the block's rows. */
static inline void to_probabilities(float (*scores)[EACH], const query_block *at, __global const float *softmaxes)
{
    for (int i = 0; i < EACH; i++) {
        __global const float *softmax = softmaxes + 2 * min(query_at(i), at->count - 1);
        for (int j = 0; j < EACH; j++) scores[i][j] = probability(scores[i][j], softmax[0], softmax[1]);
    }
}

/* --- Output and row statistics --- */

enum { PICKED = RECORD - PREVIOUS }; /* keys whose probability is a statistic */

/* A row on its way through the keys; sum, weighted, best and picked are of the item's own keys. `weighted` is the sum
 * of exp(s - largest) * (s - largest). */
typedef struct {
    float largest, sum, weighted, best_score;
    int   best;
    float picked[PICKED]; /* scores, -inf until their key has come */
} running;

/* The largest score of the item's keys of a tile; remembers what is wanted of them. */
static inline float look_through(running *row, __local const float *scores, int key, const long *wanted)
{
    float largest = -INFINITY;
    for (int n = (int)get_local_id(0) % PAIR; n < TILE; n += PAIR) {
        float score = scores[n * PITCH + (int)get_local_id(0) / PAIR];
        if (score > largest) largest = score;
        if (score > row->best_score) row->best_score = score, row->best = key + n;
        for (int kind = 0; kind < PICKED; kind++)
            if (wanted[kind] == key + n) row->picked[kind] = score;
    }
    return largest;
}

/* Scores become exponentials. Returns what all sums so far are to be multiplied with. */
static inline float advance(running *row, __local float *scores, float largest)
{
    /* A row of nothing but -inf (or NaN, which must reach the sums) has no maximum to subtract. */
    float centre  = largest == -INFINITY ? 0 : largest, bounded;
    float shrink  = exp_negative(row->largest - centre, &bounded);
    row->weighted = (row->weighted + row->sum * bounded) * shrink;
    row->sum      = row->sum * shrink;
    row->largest  = largest;
    for (int n = (int)get_local_id(0) % PAIR; n < TILE; n += PAIR) {
        __local float *score = &scores[n * PITCH + (int)get_local_id(0) / PAIR];
        float          e     = exp_negative(*score - centre, &bounded);
        row->weighted        = row->weighted + e * bounded;
        row->sum             = row->sum + e;
        *score               = e;
    }
    return shrink;
}

/* A row's probabilities are exp(score - centre) * factor. A row of nothing but -inf (or NaN, which must reach the sums)
 * has no maximum to subtract; the sum of one without any key is 0. */
static inline float centre_of(running row)
{
    return row.largest == -INFINITY ? 0 : row.largest;
}

static inline float factor_of(running row)
{
    return row.sum == 0 ? 0 : 1 / row.sum;
}

/* What the two items of a row have, put together. */
static inline running join(running a, running b)
{
    bool later = b.best_score > a.best_score || (b.best_score == a.best_score && b.best < a.best);
    a.sum      = a.sum + b.sum;
    a.weighted = a.weighted + b.weighted;
    if (b.best >= 0 && later) a.best = b.best;
    for (int kind = 0; kind < PICKED; kind++)
        if (a.picked[kind] == -INFINITY) a.picked[kind] = b.picked[kind];
    return a;
}

/* A row that is done: its softmax, and its record where `record` is set. */
static inline void finish_row(running row, __global float *softmax, __global float *record)
{
    float logarithm = row.sum == 0 ? 0 : log(row.sum);
    float centre = centre_of(row), factor = factor_of(row);
    softmax[0] = centre;
    softmax[1] = factor;
    if (!record) return;
    record[LSE]     = row.sum == 0 ? -INFINITY : centre + logarithm;
    record[ENTROPY] = row.sum == 0 ? 0 : logarithm - row.weighted * factor;
    record[MAX]     = factor; /* of the largest score, exp is 1 */
    record[ARGMAX]  = as_float(row.best);
    for (int kind = 0; kind < PICKED; kind++) record[PREVIOUS + kind] = probability(row.picked[kind], centre, factor);
}

/* mixed = mixed * shrink + the tile's exponentials times its values, 32 values at a time. */
static inline void mix(float (*mixed)[EACH][EACH], __local const float *e, __local const float *shrink, vectors values,
                       long count, long size, __local float *b)
{
    for (int c = 0; c < CHUNKS; c++) {
        load_straight(b, values, count, c * TILE, size);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++) mixed[c][i][j] = mixed[c][i][j] * shrink[query_at(i)];
        multiply(mixed[c], e, b);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

static inline void store_out(__global float *out, long stride, float (*mixed)[EACH][EACH], __local const float *factor,
                             int count, long size)
{
    for (int c = 0; c < CHUNKS; c++)
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++) {
                long value = c * TILE + key_at(j);
                if (query_at(i) < count && value < size)
                    out[query_at(i) * stride + value] = mixed[c][i][j] * factor[query_at(i)];
            }
}

__kernel GROUP void attention(ATTENTION_PARAMETERS, TENSOR(v), OUTPUT(float, out), int wants_rows, long key)
{
    __local float   a[TILE * PITCH], b_of[TILE * PITCH], tile[TILE * PITCH];
    __local float   largest_of[ITEMS], factor[TILE];
    __local running others[TILE];

    long  h = (long)get_group_id(1), b = (long)get_group_id(2) % size.batches;
    long  query = last_block_first(size);
    long  value = (long)get_group_id(2) / size.batches * CHUNKS * TILE, values_left = size.value_size - value;
    int   id = (int)get_local_id(0), line = id / PAIR; /* of the softmax */
    long  position   = masked.query_offset + query + line;
    long  at[PICKED] = {position - 1, position, first_key(key_begin, key_begin_view, (int)b), key};
    float scores[EACH][EACH], mixed[CHUNKS][EACH][EACH];

    query_block block;
    query_block_set(&block, ATTENTION_ARGUMENTS, b, h, query, size.queries);
    vectors values = vectors_of(v, v_view, b, h / (size.heads / size.groups));
    values.base += value;
    running row = {-INFINITY, 0, 0, -INFINITY, -1, {-INFINITY, -INFINITY, -INFINITY, -INFINITY}};
    for (int c = 0; c < CHUNKS; c++)
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++) mixed[c][i][j] = 0;

    key_range seen = block_range(MASK_ARGUMENTS, size, b, &block);
    for (int j = tile_from(seen, seen.begin); j < seen.end; j = tile_from(seen, j + TILE)) {
        score(scores, &block, additive_view, j, size, size.head_size, a, b_of);
        put_tile(tile, scores);
        barrier(CLK_LOCAL_MEM_FENCE);
        largest_of[id] = look_through(&row, tile, j, at);
        barrier(CLK_LOCAL_MEM_FENCE);
        float shrink = advance(&row, tile, fmax(row.largest, fmax(largest_of[id], largest_of[id ^ 1])));
        if (id % PAIR == 0) factor[line] = shrink;
        barrier(CLK_LOCAL_MEM_FENCE);
        mix(mixed, tile, factor, vectors_from(values, j), size.keys - j, values_left, b_of);
    }

    if (id % PAIR == 1) others[line] = row;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (id % PAIR == 0) {
        long number  = row_number(size, b, h, query + line);
        row          = join(row, others[line]);
        factor[line] = factor_of(row);
        /* Of the groups that have the same queries' other values, one tells. */
        if (line < block.count && value == 0)
            finish_row(row, softmax_of(size, scratch, scratch_at, number),
                       wants_rows ? scratch + scratch_at + number * RECORD : NULL);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    store_out(out + out_view.offset + b * out_view.stride[0] + query * out_view.stride[1] + h * out_view.stride[2] +
                  value,
              out_view.stride[1], mixed, factor, block.count, values_left);
}
