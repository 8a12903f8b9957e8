// attention for devices of GPU type: output, the rows' softmax and their records (attention_group.glsl).
//
// Launched over blocks of 32 queries x heads x (sequences * stretches of 32 * CHUNKS values).
#version 450
#extension GL_GOOGLE_include_directive : require

#define OWN_PARAMETERS                                                                                                 \
    view v_view, out_view;                                                                                             \
    uint blocks, wants_rows;                                                                                           \
    int  key;
#include "attention_group.glsl"

layout(constant_id = 2) const uint CHUNKS = 2; // 32 values each; 1 to 4

layout(std430, set = 0, binding = 6) readonly buffer v_block { float v[]; };
layout(std430, set = 0, binding = 7) writeonly buffer out_block { float out_[]; };
layout(std430, set = 0, binding = 8) writeonly buffer records_block { uint records[]; };
SOFTMAXES(9, writeonly)

shared float tile[TILE * PITCH], row_factor[TILE];
shared uint  exchanged[GROUP];

// A row on its way through the keys; sum, weighted, best and picked are of the item's own keys. `weighted` is the sum
// of exp(s - largest) * (s - largest); `picked` are scores, -inf until their key has come.
struct running {
    float largest, sum, weighted, best_score;
    int   best;
    float picked[PICKED];
};

// What the item's partner of the same row gives.
uint of_partner(uint x)
{
    exchanged[ME] = x;
    barrier();
    x = exchanged[ME ^ TILE];
    barrier();
    return x;
}

float of_partner(float x)
{
    return uintBitsToFloat(of_partner(floatBitsToUint(x)));
}

// The largest score of the item's keys of a tile; remembers what is wanted of them.
float look_through(inout running row, int key, int wanted[PICKED])
{
    float largest = -INFINITE;
    for (int n = ME / TILE; n < TILE; n += 2) {
        const float score = tile[n * PITCH + ME % TILE];
        if (score > largest) largest = score;
        if (score > row.best_score) {
            row.best_score = score;
            row.best       = key + n;
        }
        for (uint kind = 0; kind < PICKED; kind++)
            if (wanted[kind] == key + n) row.picked[kind] = score;
    }
    return largest;
}

// Scores become exponentials. Returns what all sums so far are to be multiplied with.
float advance(inout running row, float largest)
{
    const float centre = centre_of(largest);
    float       below;
    const float shrink = exp_bounded(row.largest - centre, below);
    row.weighted       = (row.weighted + row.sum * below) * shrink;
    row.sum            = row.sum * shrink;
    row.largest        = largest;
    for (int n = ME / TILE; n < TILE; n += 2) {
        const int   place = n * PITCH + ME % TILE;
        const float e     = exp_bounded(tile[place] - centre, below);
        row.weighted      = row.weighted + e * below;
        row.sum           = row.sum + e;
        tile[place]       = e;
    }
    return shrink;
}

// What the two items of a row have, put together; both get the same.
running joined(running row)
{
    const float sum = of_partner(row.sum), weighted = of_partner(row.weighted), score = of_partner(row.best_score);
    const int   best = int(of_partner(uint(row.best)));
    row.sum          = row.sum + sum;
    row.weighted     = row.weighted + weighted;
    if (best >= 0 && (score > row.best_score || (score == row.best_score && best < row.best))) row.best = best;
    for (uint kind = 0; kind < PICKED; kind++) {
        const float picked = of_partner(row.picked[kind]);
        if (row.picked[kind] == -INFINITE) row.picked[kind] = picked;
    }
    return row;
}

void put_row(running row, uint number)
{
    const float centre = centre_of(row.largest), factor = factor_of(row.sum);
    softmaxes[number]  = vec2(centre, factor);
    if (wants_rows == 0u) return;
    records[number * RECORD + LSE]     = floatBitsToUint(lse_of(centre, row.sum));
    records[number * RECORD + ENTROPY] = floatBitsToUint(entropy_of(row.sum, row.weighted));
    records[number * RECORD + MAX]     = floatBitsToUint(factor); // of the largest score, exp is 1
    records[number * RECORD + ARGMAX]  = uint(row.best);
    for (uint kind = 0; kind < PICKED; kind++)
        records[number * RECORD + PREVIOUS + kind] = floatBitsToUint(probability_of(row.picked[kind], centre, factor));
}

void main()
{
    const place at    = place_of(group_number(), blocks);
    const uint  b     = at.b % size.batches;
    const int   value = int(at.b / size.batches * CHUNKS) * TILE, values_left = int(size.value_size) - value;
    // Where queries are masked causally the last blocks have the most keys: begun first, small ones finish last.
    const int         query = int(blocks - 1u - at.block) * TILE;
    const query_block block = query_block_at(b, at.h, query, int(size.queries));
    const int         position = masked.position + query + ME % TILE;
    const int         wanted[PICKED] = {position - 1, position, max(PADDING_BEGIN(b), 0), key};
    float             scores[EACH][EACH], mixed[CHUNKS][EACH][EACH];

    running row;
    row.largest = row.best_score = -INFINITE;
    row.sum = row.weighted = 0.0;
    row.best               = -1;
    for (uint kind = 0; kind < PICKED; kind++) row.picked[kind] = -INFINITE;
    for (uint c = 0; c < CHUNKS; c++)
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++) mixed[c][i][j] = 0.0;

    const key_range seen   = keys_seen(block.first, block.last);
    const uint      values = head_offset(v_view, b, key_head(at.h)) + uint(value);
    for (int first = tile_from(seen, seen.begin); first < seen.end; first = tile_from(seen, first + TILE)) {
        score_tile(scores, block, first, int(size.head_size));
        PUT_TILE(tile, scores)
        barrier();
        const float own    = look_through(row, first, wanted), other = of_partner(own);
        const float shrink = advance(row, max(row.largest, max(own, other)));
        if (ME < TILE) row_factor[ME] = shrink;
        barrier();
        for (uint c = 0; c < CHUNKS; c++) {
            LOAD_STRAIGHT(b_tile, v, values + uint(first) * v_view.stride[1], v_view.stride[1], int(size.keys) - first,
                          int(c) * TILE, values_left)
            barrier();
            for (int i = 0; i < EACH; i++)
                for (int j = 0; j < EACH; j++) mixed[c][i][j] = mixed[c][i][j] * row_factor[query_at(i)];
            MULTIPLY(mixed[c], tile, b_tile)
            barrier();
        }
    }

    row = joined(row);
    if (ME < TILE) row_factor[ME] = factor_of(row.sum);
    // Of the groups that have the same queries' other values, one tells.
    if (ME < block.count && value == 0) put_row(row, row_number(b, at.h, uint(query + ME)));
    barrier();
    const uint base = head_offset(out_view, b, at.h) + uint(value);
    for (uint c = 0; c < CHUNKS; c++)
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++) {
                const int column = int(c) * TILE + key_at(j);
                if (query_at(i) < block.count && column < values_left)
                    out_[base + uint(query + query_at(i)) * out_view.stride[1] + uint(column)] =
                        mixed[c][i][j] * row_factor[query_at(i)];
            }
}
