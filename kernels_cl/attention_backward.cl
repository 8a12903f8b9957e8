/* attention_backward: the gradients of attention, by tiles of queries.
 *
 * q, d_q f32 [B, Q, H, D], k, d_k [B, K, G, D], v, d_v [B, K, G, Dv], out, d_out [B, Q, H, Dv], lse [B, H, Q], last
 * strides 1. A tile is `batches` sequences from `batch` on, with all heads and `queries` rows from `query` on: its rows
 * r are [batches, H, queries]. Behind mask.cl in its program.
 *
 * attention_backward_rows leaves o = d_out . out of each row in scratch, attention_backward_scores p and d_s of each
 * row and key, [rows, K] each; p is -1 where the key is not seen, so that what such keys and rows hold reaches no sum.
 * The gradients are sums of these: d_q = scale * sum over keys of d_s k; d_k = scale * sum of d_s q and d_v = sum of p
 * d_out over the heads that read the key, in ascending order, and over the tile's queries. The latter add to those of
 * earlier tiles. Launch: rows; keys x rows; runs of LANES entries x rows, or x keys x key heads of all batches. Errors:
 * a score gamma(D + 2) of its terms, p the relative error of that and of exp, sums gamma(terms + 4). */

/* `backward_tile` of attention_backward.c. */
typedef struct {
    long  batch, batches, query, queries, keys, heads, groups, head_size, value_size;
    long  sums, scores; /* places in scratch */
    float scale, softcap;
} backward_tile;

/* A row of the tile. */
typedef struct {
    long batch, head, query;
} row_at;

inline row_at row_of(const backward_tile *tile, long r)
{
    row_at at = {tile->batch + r / tile->queries / tile->heads, r / tile->queries % tile->heads,
                 tile->query + r % tile->queries};
    return at;
}

/* Where a vector of [B, T, heads, size] begins. */
inline long vector_at(const view *x, long batch, long t, long head)
{
    return x->offset + batch * x->stride[0] + t * x->stride[1] + head * x->stride[2];
}

inline float dot_of(__global const float *a, __global const float *b, long count)
{
    lanes sums = 0;
    float one[LANES], sum = 0;
    for (long i = 0; i < count; i += LANES) {
        int some = (int)min(count - i, (long)LANES);
        sums += load_lanes(a, i, 1, some, F32) * load_lanes(b, i, 1, some, F32);
    }
    JOIN(vstore, LANES)(sums, 0, one);
    for (int i = 0; i < LANES; i++) sum += one[i];
    return sum;
}

__kernel void attention_backward_rows(__global const float *out, view out_view, __global const float *d_out,
                                      view d_out_view, __global float *scratch, long start, backward_tile tile)
{
    long r = get_global_id(0);
    if (r >= tile.batches * tile.heads * tile.queries) return;
    row_at at = row_of(&tile, r);
    scratch[start + tile.sums + r] =
        dot_of(out + vector_at(&out_view, at.batch, at.query, at.head),
               d_out + vector_at(&d_out_view, at.batch, at.query, at.head), tile.value_size);
}

__kernel void attention_backward_scores(__global const float *q, view q_view, __global const float *k, view k_view,
                                        __global const float *v, view v_view, __global const float *lse, view lse_view,
                                        __global const float *d_out, view d_out_view, MASK_PARAMETERS,
                                        __global float *scratch, long start, backward_tile tile)
{
    long key = get_global_id(0), r = get_global_id(1);
    if (key >= tile.keys) return;
    row_at at    = row_of(&tile, r);
    long   group = at.head / (tile.heads / tile.groups), place = start + tile.scores + r * tile.keys + key;
    long   other = tile.batches * tile.heads * tile.queries * tile.keys;
    float  whole = lse[lse_view.offset + at.batch * lse_view.stride[0] + at.head * lse_view.stride[1] +
                      at.query * lse_view.stride[2]];
    float  added = 0, slope = 1, p = -1, d_s = 0;
    if (additive)
        added = additive[additive_view.offset + at.batch * additive_view.stride[0] + at.head * additive_view.stride[1] +
                         at.query * additive_view.stride[2] + key * additive_view.stride[3]];
    sight sees = sight_of(MASK_ARGUMENTS, (int)at.batch, at.query, (int)tile.keys);
    if (whole != -INFINITY && is_seen(sees, (int)key) && added != -INFINITY) {
        float score = tile.scale * dot_of(q + vector_at(&q_view, at.batch, at.query, at.head),
                                          k + vector_at(&k_view, at.batch, key, group), tile.head_size);
        if (tile.softcap > 0) {
            float bent = tanh(score / tile.softcap);
            score      = tile.softcap * bent;
            slope      = 1 - bent * bent;
        }
        p   = exp(score + added - whole);
        d_s = p *
              (dot_of(d_out + vector_at(&d_out_view, at.batch, at.query, at.head),
                      v + vector_at(&v_view, at.batch, key, group), tile.value_size) -
               scratch[start + tile.sums + r]) *
              slope;
    }
    scratch[place]         = p;
    scratch[place + other] = d_s;
}

inline void add_lanes(__global float *x, long index, int count, lanes value, bool adds)
{
    if (adds) value += load_lanes(x, index, 1, count, F32);
    store_lanes(x, index, 1, count, value);
}

__kernel void attention_backward_queries(__global const float *k, view k_view, __global float *d_q, view d_q_view,
                                         __global const float *scratch, long start, backward_tile tile, int accumulate)
{
    long i = get_global_id(0) * LANES, r = get_global_id(1);
    if (i >= tile.head_size) return;
    row_at                at    = row_of(&tile, r);
    int                   count = (int)min(tile.head_size - i, (long)LANES);
    __global const float *p     = scratch + start + tile.scores + r * tile.keys;
    __global const float *d_s   = p + tile.batches * tile.heads * tile.queries * tile.keys;
    long                  group = at.head / (tile.heads / tile.groups);
    lanes                 sum   = 0;
    for (long key = 0; key < tile.keys; key++)
        if (!(p[key] < 0)) sum += d_s[key] * load_lanes(k, vector_at(&k_view, at.batch, key, group) + i, 1, count, F32);
    add_lanes(d_q, vector_at(&d_q_view, at.batch, at.query, at.head) + i, count, tile.scale * sum, accumulate);
}

/* Of keys (x is q, by d_s) or of values (x is d_out, by p): entries of d [B, K, G, size]. */
__kernel void attention_backward_keys(__global const float *x, view x_view, __global float *d, view d_view,
                                      __global const float *scratch, long start, backward_tile tile, long size,
                                      int is_values, int adds)
{
    long i = get_global_id(0) * LANES, key = get_global_id(1), pair = get_global_id(2);
    if (i >= size) return;
    int   count = (int)min(size - i, (long)LANES);
    long  batch = pair / tile.groups, group = pair % tile.groups, shared_by = tile.heads / tile.groups;
    long  other = is_values ? 0 : tile.batches * tile.heads * tile.queries * tile.keys;
    lanes sum   = 0;
    for (long head = group * shared_by; head < (group + 1) * shared_by; head++)
        for (long query = 0; query < tile.queries; query++) {
            long r     = (batch * tile.heads + head) * tile.queries + query;
            long place = start + tile.scores + r * tile.keys + key;
            if (scratch[place] < 0) continue;
            sum += scratch[place + other] *
                   load_lanes(x, vector_at(&x_view, tile.batch + batch, tile.query + query, head) + i, 1, count, F32);
        }
    add_lanes(d, vector_at(&d_view, tile.batch + batch, key, group) + i, count, is_values ? sum : tile.scale * sum,
              adds);
}
