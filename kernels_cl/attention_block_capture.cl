/* The captures of attention for CPU-type devices; behind attention_block.cl in its program. A capture computes the
 * scores again, with lanes for queries (distances, top) or for keys (received, tile), whichever leaves nothing to do
 * across lanes. Launched in groups of one item over received     blocks of 32 keys x heads x sequences distances parts
 * x heads x sequences tile         blocks of 32 keys x blocks of 128 queries x (sequences * selected heads) top blocks
 * of 32 queries x heads x sequences */

enum { ROWS = 128 }; /* queries of one item of `tile` */

/* --- Lanes that are queries --- */

/* The softmax of the block's rows, as the first kernel left it. */
static inline void load_softmaxes(lanes *centre, lanes *factor, const query_block *at, __global const float *softmaxes)
{
    float centres[WIDTH], factors[WIDTH];
    for (int lane = 0; lane < WIDTH; lane++) {
        int real      = min(lane, at->queries.count - 1);
        centres[lane] = softmaxes[2 * real];
        factors[lane] = softmaxes[2 * real + 1];
    }
    *centre = lanes_from(centres);
    *factor = lanes_from(factors);
}

/* Key j lies at distance (position of lane 0) - j of lane 0, and one more for each lane: its probabilities are added to
 * as many neighbouring sums. A margin of WIDTH sums on both sides takes what lies outside. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void distances(ATTENTION_PARAMETERS, long count, long parts,
                                                                       long parts_at)
{
    long            part = GROUP_NUMBER;
    long            h = (long)get_group_id(1), b = (long)get_group_id(2), part_size = count + 2 * WIDTH;
    __global float *sums = scratch + scratch_at + parts_at + ((b * size.heads + h) * parts + part) * part_size;
    lanes           scores[TILE], centre, factor;
    query_block     block;

    for (long n = 0; n < part_size; n++) sums[n] = 0;
    for (long query = part * WIDTH; query < size.queries; query += parts * WIDTH) {
        long position = masked.query_offset + query;
        query_block_set(&block, ATTENTION_ARGUMENTS, b, h, query);
        load_softmaxes(&centre, &factor, &block, softmax_of(size, scratch, scratch_at, row_number(size, b, h, query)));
        near_only(&block.seen, position, count);
        for (int j = tile_from(block.seen, block.seen.begin); j < block.seen.end; j = tile_from(block.seen, j + TILE)) {
            query_block_score(scores, &block, additive_view, j, size);
            for (int n = 0; n < TILE; n++) {
                long nearest = position - (j + n);
                if (nearest <= -WIDTH || nearest >= count) continue;
                lanes p = probability(scores[n], centre, factor);
#pragma unroll
                for (int s = 0; s < HALVES; s++) {
                    int16   real = LANE_NUMBERS + 16 * s < block.queries.count;
                    float16 sum  = vload16(s, sums + WIDTH + nearest);
                    vstore16(select(sum, sum + p.part[s], real), s, sums + WIDTH + nearest);
                }
            }
        }
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void top(ATTENTION_PARAMETERS, OUTPUT(float, top_probability),
                                                                 OUTPUT(int, top_key), int count)
{
    long        query = GROUP_NUMBER * WIDTH, h = (long)get_group_id(1), b = (long)get_group_id(2);
    float       value[WIDTH][MOST_TOP], least[WIDTH], score[WIDTH];
    int         key[WIDTH][MOST_TOP];
    lanes       scores[TILE];
    query_block block;

    query_block_set(&block, ATTENTION_ARGUMENTS, b, h, query);
    for (int lane = 0; lane < WIDTH; lane++) top_begin(value[lane], key[lane], count);
    lanes_to(least, lanes_of(-INFINITY));
    for (int j = tile_from(block.seen, block.seen.begin); j < block.seen.end; j = tile_from(block.seen, j + TILE)) {
        query_block_score(scores, &block, additive_view, j, size);
        for (int n = 0; n < TILE; n++) {
            lanes bound = lanes_from(least);
            if (!any(scores[n].part[0] > bound.part[0]) && !any(scores[n].part[1] > bound.part[1])) continue;
            lanes_to(score, scores[n]);
            for (int lane = 0; lane < block.queries.count; lane++) {
                if (!(score[lane] > least[lane])) continue;
                top_insert(value[lane], key[lane], count, score[lane], j + n);
                least[lane] = value[lane][count - 1];
            }
        }
    }
    for (int lane = 0; lane < block.queries.count; lane++) {
        long row = row_number(size, b, h, query + lane);
        top_finish(value[lane], key[lane], count, softmax_of(size, scratch, scratch_at, row));
        top_store(value[lane], key[lane], count, top_probability, top_probability_view, top_key, top_key_view, b, h,
                  query + lane);
    }
}

/* --- Lanes that are keys --- */

typedef struct {
    side                  keys;
    vectors               queries;
    __global const float *additive; /* of query 0 and lane 0 */
    int                   key;      /* of lane 0 */
} key_block;

static inline void key_block_set(key_block *at, ATTENTION_PARAMETERS, long b, long h, long key, long end)
{
    at->key      = (int)key;
    at->queries  = vectors_of(q, q_view, b, h);
    at->additive = bias_of(additive, additive_view, b, h, 0, key);
    side_set(&at->keys, vectors_from(vectors_of(k, k_view, b, h / (size.heads / size.groups)), key), end - key, size);
}

/* Scores of `count` queries from `query` on, -inf where masked. */
static inline void key_block_score(lanes *scores, key_block *at, ATTENTION_PARAMETERS, long b, long query, int count)
{
    int   key = at->key, end = key + at->keys.count;
    sight first = sight_of(MASK_ARGUMENTS, (int)b, query, (int)size.keys);
    sight last  = sight_of(MASK_ARGUMENTS, (int)b, query + count - 1, (int)size.keys);
    score(scores, &at->keys, vectors_from(at->queries, query), count, size);
    for (int n = 0; at->additive && n < count; n++)
        scores[n] = add_bias(scores[n], at->additive + (query + n) * additive_view.stride[2], additive_view.stride[3],
                             at->keys.count);
    if (all_seen(first, last, key, end)) return;
    for (int n = 0; n < count; n++) {
        sight sees = sight_of(MASK_ARGUMENTS, (int)b, query + n, (int)size.keys);
        for (int s = 0; s < HALVES; s++) {
            int16 seen        = is_seen16(sees, LANE_NUMBERS + (key + 16 * s));
            scores[n].part[s] = select((float16)(-INFINITY), scores[n].part[s], seen);
        }
    }
}

static inline lanes row_probability(lanes score, __global const float *softmax)
{
    return probability(score, lanes_of(softmax[0]), lanes_of(softmax[1]));
}

static inline void store_lanes(__global float *out, long stride, lanes x, int count)
{
    float value[WIDTH];
    if (stride == 1 && count == WIDTH) {
#pragma unroll
        for (int s = 0; s < HALVES; s++) vstore16(x.part[s], s, out);
        return;
    }
    lanes_to(value, x);
    for (int lane = 0; lane < count; lane++) out[lane * stride] = value[lane];
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void received(ATTENTION_PARAMETERS, OUTPUT(float, received))
{
    long      key = GROUP_NUMBER * WIDTH, h = (long)get_group_id(1), b = (long)get_group_id(2);
    lanes     scores[TILE], sum = lanes_of(0);
    key_block block;

    key_block_set(&block, ATTENTION_ARGUMENTS, b, h, key, size.keys);
    query_range seen = queries_seeing(MASK_ARGUMENTS, size, b, key, block.keys.count);
    for (long query = seen.begin; query < seen.end; query += TILE) {
        int count = (int)min(seen.end - query, (long)TILE);
        key_block_score(scores, &block, ATTENTION_ARGUMENTS, b, query, count);
        __global const float *softmaxes = softmax_of(size, scratch, scratch_at, row_number(size, b, h, query));
        for (int n = 0; n < count; n++) {
            lanes p = row_probability(scores[n], softmaxes + 2 * n);
#pragma unroll
            for (int s = 0; s < HALVES; s++) sum.part[s] = sum.part[s] + p.part[s];
        }
    }
    store_lanes(received + received_view.offset + b * received_view.stride[0] + h * received_view.stride[1] +
                    key * received_view.stride[2],
                received_view.stride[2], sum, block.keys.count);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void tile(ATTENTION_PARAMETERS, selection heads, tile_of part,
                                                                  OUTPUT(float, probabilities), OUTPUT(float, scores))
{
    long      key = GROUP_NUMBER * WIDTH, b = (long)get_group_id(2) / part.slots;
    long      slot = (long)get_group_id(2) % part.slots, h = head_of(heads, slot);
    long      begin = (long)get_group_id(1) * ROWS, end = min(begin + ROWS, part.queries);
    lanes     score[TILE];
    key_block block;

    key_block_set(&block, ATTENTION_ARGUMENTS, b, h, part.key_begin + key, part.key_begin + part.keys);
    query_range seen = queries_seeing(MASK_ARGUMENTS, size, b, block.key, block.keys.count);
    for (long query = begin; query < end; query += TILE) {
        long i     = part.query_begin + query;
        int  count = (int)min(end - query, (long)TILE);
        if (i < seen.end && i + count > seen.begin)
            key_block_score(score, &block, ATTENTION_ARGUMENTS, b, i, count);
        else
            for (int n = 0; n < count; n++) score[n] = lanes_of(-INFINITY);
        __global const float *softmaxes = softmax_of(size, scratch, scratch_at, row_number(size, b, h, i));
        for (int n = 0; n < count; n++) {
            if (scores)
                store_lanes(scores + tile_index(scores_view, b, slot, query + n, key), scores_view.stride[3], score[n],
                            block.keys.count);
            if (probabilities)
                store_lanes(probabilities + tile_index(probabilities_view, b, slot, query + n, key),
                            probabilities_view.stride[3], row_probability(score[n], softmaxes + 2 * n),
                            block.keys.count);
        }
    }
}
