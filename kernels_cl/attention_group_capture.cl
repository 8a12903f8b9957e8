/* The captures of attention for GPU-type devices; behind attention_group.cl in its program. Each computes the scores
 * again. Launched in groups of 64 items over
 *     received     blocks of 32 keys x heads x sequences
 *     distances    parts x heads x sequences
 *     tile         blocks of 32 keys x blocks of 32 queries x (sequences * selected heads)
 *     top          blocks of 32 queries x heads x sequences
 * Local memory: 12.5 KiB. */

__kernel GROUP void received(ATTENTION_PARAMETERS, OUTPUT(float, received))
{
    __local float a[TILE * PITCH], b_of[TILE * PITCH];

    long        key = GROUP_NUMBER * TILE, h = (long)get_group_id(1), b = (long)get_group_id(2);
    int         id = (int)get_local_id(0);
    float       scores[EACH][EACH], sums[EACH] = {0};
    query_block block;

    query_range seen = queries_seeing(MASK_ARGUMENTS, size, b, key, min(size.keys - key, (long)TILE));
    for (long query = seen.begin; query < seen.end; query += TILE) {
        query_block_set(&block, ATTENTION_ARGUMENTS, b, h, query, seen.end);
        score(scores, &block, additive_view, key, size, size.head_size, a, b_of);
        to_probabilities(scores, &block, softmax_of(size, scratch, scratch_at, row_number(size, b, h, query)));
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++) sums[j] = sums[j] + scores[i][j];
    }
    for (int j = 0; j < EACH; j++) a[id / ROW * TILE + key_at(j)] = sums[j];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (id < TILE && key + id < size.keys) {
        float sum = 0;
        for (int row = 0; row < ITEMS / ROW; row++) sum += a[row * TILE + id];
        received[received_view.offset + b * received_view.stride[0] + h * received_view.stride[1] +
                 (key + id) * received_view.stride[2]] = sum;
    }
}

/* The tile's probabilities on the diagonal where query - key = id - 31, of the tile's 63. */
static inline float diagonal(__local const float *tile, int id)
{
    float sum = 0;
    for (int key = max(0, TILE - 1 - id); key < min(TILE, 2 * TILE - 1 - id); key++)
        sum += tile[key * PITCH + key + id - (TILE - 1)];
    return sum;
}

/* A margin of TILE sums on both sides of a part's, as the host lays them out, stays unused. */
__kernel GROUP void distances(ATTENTION_PARAMETERS, long count, long parts, long parts_at)
{
    __local float a[TILE * PITCH], b_of[TILE * PITCH], tile[TILE * PITCH];

    long            part = GROUP_NUMBER, part_size = count + 2 * TILE;
    long            h = (long)get_group_id(1), b = (long)get_group_id(2);
    int             id   = (int)get_local_id(0);
    __global float *sums = scratch + scratch_at + parts_at + ((b * size.heads + h) * parts + part) * part_size + TILE;
    float           scores[EACH][EACH];
    query_block     block;

    for (long n = id; n < count; n += ITEMS) sums[n] = 0;
    barrier(CLK_GLOBAL_MEM_FENCE);
    for (long query = part * TILE; query < size.queries; query += parts * TILE) {
        long position = masked.query_offset + query;
        query_block_set(&block, ATTENTION_ARGUMENTS, b, h, query, size.queries);
        key_range seen = block_range(MASK_ARGUMENTS, size, b, &block);
        near_only(&seen, position, count);
        for (int j = tile_from(seen, seen.begin); j < seen.end; j = tile_from(seen, j + TILE)) {
            score(scores, &block, additive_view, j, size, size.head_size, a, b_of);
            to_probabilities(scores, &block, softmax_of(size, scratch, scratch_at, row_number(size, b, h, query)));
            put_tile(tile, scores);
            barrier(CLK_LOCAL_MEM_FENCE);
            long n = position - j + id - (TILE - 1);
            if (id < 2 * TILE - 1 && n >= 0 && n < count) sums[n] += diagonal(tile, id);
            barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
        }
    }
}

__kernel GROUP void tile(ATTENTION_PARAMETERS, selection heads, tile_of part, OUTPUT(float, probabilities),
                         OUTPUT(float, scores))
{
    __local float a[TILE * PITCH], b_of[TILE * PITCH];

    long  key = GROUP_NUMBER * TILE, query = (long)get_group_id(1) * TILE;
    long  slot = (long)get_group_id(2) % part.slots, b = (long)get_group_id(2) / part.slots;
    long  h = head_of(heads, slot), i = part.query_begin + query, j = part.key_begin + key;
    float values[EACH][EACH];

    query_block block;
    query_block_set(&block, ATTENTION_ARGUMENTS, b, h, i, part.query_begin + part.queries);
    query_range seen   = queries_seeing(MASK_ARGUMENTS, size, b, j, min(size.keys - j, (long)TILE));
    bool        any    = i < seen.end && i + block.count > seen.begin;
    int         across = (int)min(part.keys - key, (long)TILE);
    score(values, &block, additive_view, j, size, any ? size.head_size : 0, a, b_of);
    for (int m = 0; m < EACH; m++)
        for (int n = 0; n < EACH; n++)
            if (scores && query_at(m) < block.count && key_at(n) < across)
                scores[tile_index(scores_view, b, slot, query + query_at(m), key + key_at(n))] = values[m][n];
    to_probabilities(values, &block, softmax_of(size, scratch, scratch_at, row_number(size, b, h, i)));
    for (int m = 0; m < EACH; m++)
        for (int n = 0; n < EACH; n++)
            if (probabilities && query_at(m) < block.count && key_at(n) < across)
                probabilities[tile_index(probabilities_view, b, slot, query + query_at(m), key + key_at(n))] =
                    values[m][n];
}

__kernel GROUP void top(ATTENTION_PARAMETERS, OUTPUT(float, top_probability), OUTPUT(int, top_key), int count)
{
    __local float a[TILE * PITCH], b_of[TILE * PITCH], tile[TILE * PITCH];

    long  query = GROUP_NUMBER * TILE, h = (long)get_group_id(1), b = (long)get_group_id(2);
    int   id = (int)get_local_id(0), key[MOST_TOP];
    float scores[EACH][EACH], value[MOST_TOP];

    query_block block;
    query_block_set(&block, ATTENTION_ARGUMENTS, b, h, query, size.queries);
    top_begin(value, key, count);
    key_range seen = block_range(MASK_ARGUMENTS, size, b, &block);
    for (int j = tile_from(seen, seen.begin); j < seen.end; j = tile_from(seen, j + TILE)) {
        score(scores, &block, additive_view, j, size, size.head_size, a, b_of);
        put_tile(tile, scores);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int n = 0; id < block.count && n < TILE; n++)
            if (tile[n * PITCH + id] > value[count - 1]) top_insert(value, key, count, tile[n * PITCH + id], j + n);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (id < block.count) {
        top_finish(value, key, count, softmax_of(size, scratch, scratch_at, row_number(size, b, h, query + id)));
        top_store(value, key, count, top_probability, top_probability_view, top_key, top_key_view, b, h, query + id);
    }
}
