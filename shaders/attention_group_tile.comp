// attention for devices of GPU type: probabilities and scores of a tile (attention_group.glsl, attention_tile.glsl).
//
// Launched over blocks of 32 keys x blocks of 32 queries x selected heads x sequences.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_tile.glsl"

void main()
{
    const tile_place at = tile_place_of(group_number(), TILE, TILE);
    const int        i = p.tile_query + at.query, j = p.tile_key + at.key;
    const uint       h = head_of(at.slot);
    float            values[EACH][EACH];

    const query_block block = query_block_at(at.b, h, i, p.tile_query + p.tile_queries);
    const query_range seen  = queries_seeing(at.b, j, min(int(size.keys) - j, TILE));
    const bool        any   = i < seen.end && i + block.count > seen.begin;
    score_tile(values, block, j, any ? int(size.head_size) : 0);
    for (int m = 0; m < EACH; m++) {
        const vec2 softmax = softmaxes[row_number(at.b, h, uint(i + min(query_at(m), block.count - 1)))];
        for (int n = 0; n < EACH; n++)
            if (query_at(m) < block.count && at.key + key_at(n) < p.tile_keys)
                put_element(at.b, at.slot, uint(at.query + query_at(m)), uint(at.key + key_at(n)), values[m][n],
                            probability_of(values[m][n], softmax.x, softmax.y));
    }
}
