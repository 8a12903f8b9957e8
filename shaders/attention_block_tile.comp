// attention for devices of CPU type: probabilities and scores of a tile (attention_block.glsl, attention_tile.glsl).
//
// Launched over blocks of 32 keys x blocks of ITEMS * ROWS queries x selected heads x sequences.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BLOCK
#include "attention_tile.glsl"

void main()
{
    const tile_place  at = tile_place_of(group_number(), group_rows(), TILE);
    const int         query = p.tile_query + at.query, key = p.tile_key + at.key;
    const int         count = min(p.tile_keys - at.key, TILE);
    const uint        h     = head_of(at.slot);
    const query_block block = query_block_at(at.b, h, query, p.tile_query + p.tile_queries);
    const query_range seen  = queries_seeing(at.b, key, min(int(size.keys) - key, TILE));

    if (query < seen.end && query + block.count > seen.begin)
        score_tile(block, key);
    else
        for (int e = 0; e < TILE * int(ROWS); e++) tile[e] = -INFINITE;
    for (int i = 0; i < int(ROWS) && row_at(i) < block.count; i++) {
        const vec2 softmax = softmaxes[row_number(at.b, h, uint(query + row_at(i)))];
        for (int n = 0; n < count; n++) {
            const float score = tile[n * int(ROWS) + i];
            put_element(at.b, at.slot, uint(at.query + row_at(i)), uint(at.key + n), score,
                        probability_of(score, softmax.x, softmax.y));
        }
    }
}
