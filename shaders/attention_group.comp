// attention for devices of GPU type: output, the rows' softmax and their records (attention_group.glsl).
//
// Launched over blocks of 32 queries x heads x sequences, for each piece of the keys and 32 * CHUNKS of the values.
#version 450
#extension GL_GOOGLE_include_directive : require

#define OWN_PARAMETERS                                                                                                 \
    view v_view, out_view;                                                                                             \
    uint blocks, wants_rows;                                                                                           \
    int  key;
#include "attention_group.glsl"

layout(constant_id = 2) const uint CHUNKS = 2; // 32 values each; 1 to 4

layout(std430, set = 0, binding = 6) readonly buffer v_block { float v[]; };
layout(std430, set = 0, binding = 7) buffer out_block { float out_[]; };
layout(std430, set = 0, binding = 8) buffer records_block { uint records[]; };
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

// A row that has met no key.
running begun()
{
    running row;
    row.largest = row.best_score = -INFINITE;
    row.sum = row.weighted = 0.0;
    row.best               = -1;
    for (uint kind = 0; kind < PICKED; kind++) row.picked[kind] = -INFINITE;
    return row;
}

// What of a row under way waits in its record, beside best (whose score is the largest) and picked.
const uint LARGEST = LSE, SUM = ENTROPY, WEIGHTED = MAX;

void pause_row(running row, uint number)
{
    records[number * RECORD + LARGEST]  = floatBitsToUint(row.largest);
    records[number * RECORD + SUM]      = floatBitsToUint(row.sum);
    records[number * RECORD + WEIGHTED] = floatBitsToUint(row.weighted);
    records[number * RECORD + ARGMAX]   = uint(row.best);
    for (uint kind = 0; kind < PICKED; kind++)
        records[number * RECORD + PREVIOUS + kind] = floatBitsToUint(row.picked[kind]);
}

// Goes on where the piece before left it; of its two items the first has the sums.
running resumed(uint number)
{
    running row;
    row.largest = row.best_score = uintBitsToFloat(records[number * RECORD + LARGEST]);
    row.sum                      = ME < TILE ? uintBitsToFloat(records[number * RECORD + SUM]) : 0.0;
    row.weighted                 = ME < TILE ? uintBitsToFloat(records[number * RECORD + WEIGHTED]) : 0.0;
    row.best                     = int(records[number * RECORD + ARGMAX]);
    for (uint kind = 0; kind < PICKED; kind++)
        row.picked[kind] = uintBitsToFloat(records[number * RECORD + PREVIOUS + kind]);
    return row;
}

void put_row(running row, uint number)
{
    const float centre = centre_of(row.largest), factor = factor_of(row.sum);
    softmaxes[number]  = vec2(centre, factor);
    if (p.wants_rows == 0u) return;
    records[number * RECORD + LSE]     = floatBitsToUint(lse_of(centre, row.sum));
    records[number * RECORD + ENTROPY] = floatBitsToUint(entropy_of(row.sum, row.weighted));
    records[number * RECORD + MAX]     = floatBitsToUint(factor); // of the largest score, exp is 1
    records[number * RECORD + ARGMAX]  = uint(row.best);
    for (uint kind = 0; kind < PICKED; kind++)
        records[number * RECORD + PREVIOUS + kind] = floatBitsToUint(probability_of(row.picked[kind], centre, factor));
}

void main()
{
    const place at          = place_of(group_number(), p.blocks);
    const int   values_left = int(size.value_size) - part.value_begin;
    // Where queries are masked causally the last blocks have the most keys: begun first, small ones finish last.
    const int         query    = int(p.blocks - 1u - at.block) * TILE;
    const query_block block    = query_block_at(at.b, at.h, query, int(size.queries));
    const int         position = masked.position + query + ME % TILE;
    const int         wanted[PICKED] = {position - 1, position, max(PADDING_BEGIN(at.b), 0), p.key};
    const uint        number         = row_number(at.b, at.h, uint(query + min(ME % TILE, block.count - 1)));
    const uint        down   = p.out_view.stride[1];
    const uint        base   = head_offset(p.out_view, at.b, at.h) + uint(query) * down + uint(part.value_begin);
    const uint        values = head_offset(p.v_view, at.b, key_head(at.h)) + uint(part.value_begin);
    float             scores[EACH][EACH], mixed[CHUNKS][EACH][EACH];
    running           row;

    if (begins_rows())
        row = begun();
    else
        row = resumed(number);
    for (uint c = 0; c < CHUNKS; c++)
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++) {
                const int  column = int(c) * TILE + key_at(j);
                const bool paused = !begins_rows() && query_at(i) < block.count && column < values_left;
                mixed[c][i][j]    = paused ? out_[base + uint(query_at(i)) * down + uint(column)] : 0.0;
            }

    key_range seen = keys_seen(block.first, block.last);
    keys_only(seen, part.key_begin, part.key_end);
    for (int first = tile_from(seen, seen.begin); first < seen.end; first = tile_from(seen, first + TILE)) {
        score_tile(scores, block, first, int(size.head_size));
        PUT_TILE(tile, scores)
        barrier();
        const float own    = look_through(row, first, wanted), other = of_partner(own);
        const float shrink = advance(row, max(row.largest, max(own, other)));
        if (ME < TILE) row_factor[ME] = shrink;
        barrier();
        for (uint c = 0; c < CHUNKS; c++) {
            LOAD_STRAIGHT(b_tile, v, values + uint(first) * p.v_view.stride[1], p.v_view.stride[1],
                          int(size.keys) - first, int(c) * TILE, values_left)
            barrier();
            for (int i = 0; i < EACH; i++)
                for (int j = 0; j < EACH; j++) mixed[c][i][j] = mixed[c][i][j] * row_factor[query_at(i)];
            MULTIPLY(mixed[c], tile, b_tile)
            barrier();
        }
    }

    row = joined(row);
    if (ME < TILE) row_factor[ME] = finishes_rows() ? factor_of(row.sum) : 1.0;
    if (ME < block.count) {
        if (finishes_rows())
            put_row(row, number);
        else
            pause_row(row, number);
    }
    barrier();
    for (uint c = 0; c < CHUNKS; c++)
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++) {
                const int column = int(c) * TILE + key_at(j);
                if (query_at(i) < block.count && column < values_left)
                    out_[base + uint(query_at(i)) * down + uint(column)] = mixed[c][i][j] * row_factor[query_at(i)];
            }
}
