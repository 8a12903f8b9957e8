/* attention: what the kernels of both families share: attention_block.cl for devices of CPU type, attention_group.cl
 * for others, and the captures behind each.
 *
 * out[b, i, h] = sum_j p[b, h, i, j] v[b, j, g],  p = softmax_j(cap(scale q[b, i, h] . k[b, j, g]) + additive) over the
 * keys that query i sees, g = h / (H / G)
 *
 * q [B, Q, H, D], k [B, K, G, D], v [B, K, G, Dv], out [B, Q, H, Dv]; last strides 1
 *
 * Each family has the same kernels:
 *     attention    online softmax over tiles of keys: out, the rows' records (rows.cl), and their softmax
 *     received     column sums of the probabilities
 *     distances    their diagonal sums, in parts that `merge` adds up
 *     tile         probabilities and scores of a tile
 *     top          largest keys
 * The last four compute the scores again. In all of them a score is one chain of products over d, then scaled, capped,
 * biased and masked alike, and p = exp(score - centre) * factor with the row's softmax as the first kernel left it: so
 * what one shows does not depend on what else is asked for, nor on where a tile begins. A tile of keys that no query of
 * a block sees is left out; going through it would multiply by exp(0) = 1 and add 0, so that leaving it out shows
 * nowhere either.
 *
 * Scratch: records [B, H, Q, RECORD], then {centre, factor} [B, H, Q], then parts of the distances.
 *
 * Error: of a score gamma(D + 1) scale sum |q k|; exp_negative's 2 ulp; sums over keys rescaled once in each run of at
 * least 32 keys. */

typedef struct {
    long  batches, queries, keys, heads, groups, head_size, value_size, first; /* first: this launch begins with it */
    float scale, softcap;
} sizes;

#define TENSOR(name)         __global const float *name, view name##_view
#define OUTPUT(type, name)   __global type *name, view name##_view
#define ATTENTION_PARAMETERS sizes size, TENSOR(q), TENSOR(k), MASK_PARAMETERS, __global float *scratch, long scratch_at
#define ATTENTION_ARGUMENTS  size, q, q_view, k, k_view, MASK_ARGUMENTS, scratch, scratch_at

/* A head's queries, keys or values: entry d of vector n is at base[n * stride + d]. */
typedef struct {
    __global const float *base;
    long                  stride;
} vectors;

static inline vectors vectors_of(__global const float *x, view at, long b, long head)
{
    vectors of = {x + at.offset + b * at.stride[0] + head * at.stride[2], at.stride[1]};
    return of;
}

static inline vectors vectors_from(vectors all, long first)
{
    all.base += first * all.stride;
    return all;
}

/* A mask's additive part from query i and key j on; NULL where there is none. */
static inline __global const float *bias_of(__global const float *additive, view at, long b, long h, long i, long j)
{
    if (!additive) return additive;
    return additive + at.offset + b * at.stride[0] + h * at.stride[1] + i * at.stride[2] + j * at.stride[3];
}

/* Row i of head h of sequence b among all rows. */
static inline long row_number(sizes size, long b, long h, long i)
{
    return (b * size.heads + h) * size.queries + i;
}

/* A row's {centre, factor}. */
static inline __global float *softmax_of(sizes size, __global float *scratch, long scratch_at, long row)
{
    return scratch + scratch_at + size.batches * size.heads * size.queries * RECORD + 2 * row;
}

/* Work is cut into tiles of 32 keys, which begin at multiples of 32 whatever the mask, and blocks of 32 queries. */
enum { TILE = 32 };

#define GROUP_NUMBER (size.first + (long)get_group_id(0))

/* The first query of the group's block of `attention`: where queries are masked causally, the last ones have the most
 * keys, and small blocks finish last. */
static inline long last_block_first(sizes size)
{
    return ((size.queries - 1) / TILE - GROUP_NUMBER) * TILE;
}

/* Leaves tiles out that have no key at a distance below `count` from the 32 queries from `position` on. */
static inline void near_only(key_range *seen, long position, long count)
{
    int begin = within(position - count + 1, seen->end) / TILE * TILE;
    seen->end = within(position + TILE, seen->end);
    if (begin >= seen->split) seen->split = seen->begin;
    seen->begin  = max(seen->begin, begin);
    seen->resume = max(seen->resume, begin);
}

/* The queries that see any of `count` keys from `key` on. */
typedef struct {
    long begin, end;
} query_range;

static inline query_range queries_seeing(MASK_PARAMETERS, sizes size, long b, long key, long count)
{
    sight       sees = sight_of(MASK_ARGUMENTS, (int)b, 0, (int)size.keys);
    query_range seen = {0, size.queries};
    long        last = min(masked.window, 1l << 62) + key + count - 1; /* a query at it no longer sees the last key */
    if (key >= sees.end || key + count <= sees.begin) seen.end = 0;
    if (key < sees.prefix) return seen;
    if (masked.causal) seen.begin = max(key - masked.query_offset, 0l);
    if (masked.window > 0) seen.end = min(seen.end, last - masked.query_offset);
    return seen;
}

/* Head number `slot` of those whose bit is set; of all where none is. */
typedef struct {
    ulong bits[4];
} selection;

static inline long head_of(selection heads, long slot)
{
    if (!(heads.bits[0] | heads.bits[1] | heads.bits[2] | heads.bits[3])) return slot;
    long head = 0;
    for (;; head++)
        if (heads.bits[head / 64] >> head % 64 & 1 && slot-- == 0) return head;
}

/* The tile that is captured: its first query and key, its size, and how many heads are selected. */
typedef struct {
    long query_begin, key_begin, queries, keys, slots;
} tile_of;

static inline long tile_index(view at, long b, long slot, long query, long key)
{
    return at.offset + b * at.stride[0] + slot * at.stride[1] + query * at.stride[2] + key * at.stride[3];
}

/* --- Largest keys of a row: values and keys, largest first --- */

enum { MOST_TOP = 128 }; /* SCRY_MAX_TOP */

static inline void top_begin(float *values, int *keys, int count)
{
    for (int t = 0; t < count; t++) {
        values[t] = -INFINITY;
        keys[t]   = -1;
    }
}

/* Puts a key in, which must be larger than the last, behind all that are as large: those have lower keys. */
static inline void top_insert(float *values, int *keys, int count, float value, int key)
{
    int place = count - 1;
    for (; place > 0 && values[place - 1] < value; place--) {
        values[place] = values[place - 1];
        keys[place]   = keys[place - 1];
    }
    values[place] = value;
    keys[place]   = key;
}

/* Scores become probabilities. exp, a rounded function, may swap neighbours by an ulp: they are sorted again. */
static inline void top_finish(float *values, int *keys, int count, __global const float *softmax)
{
    for (int t = 0; t < count; t++) {
        int   place = t, key = keys[t];
        float bounded, p     = key < 0 ? 0 : exp_negative(values[t] - softmax[0], &bounded) * softmax[1];
        for (; key >= 0 && place > 0 && (values[place - 1] < p || (values[place - 1] == p && keys[place - 1] > key));
             place--) {
            values[place] = values[place - 1];
            keys[place]   = keys[place - 1];
        }
        values[place] = p;
        keys[place]   = key;
    }
}

static inline void top_store(const float *values, const int *keys, int count, OUTPUT(float, top_probability),
                             OUTPUT(int, top_key), long b, long h, long i)
{
    for (int t = 0; t < count; t++) {
        if (top_probability) top_probability[tile_index(top_probability_view, b, h, i, t)] = values[t];
        if (top_key) top_key[tile_index(top_key_view, b, h, i, t)] = keys[t];
    }
}

/* The parts of the distances, added up in their order. Launched over distances x heads x sequences. */
__kernel void merge(long parts, long part_size, long margin, OUTPUT(float, distance), long count,
                    __global const float *scratch, long scratch_at)
{
    long n = (long)get_global_id(0), h = (long)get_global_id(1), b = (long)get_global_id(2);
    if (n >= count) return;
    __global const float *part  = scratch + scratch_at + (b * (long)get_global_size(1) + h) * parts * part_size;
    float                 total = 0;
    for (long i = 0; i < parts; i++) total += part[i * part_size + margin + n];
    distance[distance_view.offset + b * distance_view.stride[0] + h * distance_view.stride[1] +
             n * distance_view.stride[2]] = total;
}
