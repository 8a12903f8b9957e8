// attention for devices of GPU type: diagonal sums of the probabilities, of every parts-th block of 32 queries
// (attention_group.glsl); attention_merge.comp adds the parts up.
//
// sums [B, H, parts, count]. Launched over parts x heads x sequences, for each piece of the queries, which begins at a
// multiple of parts blocks, and of the keys.
#version 450
#extension GL_GOOGLE_include_directive : require

#define OWN_PARAMETERS uint parts, count;
#include "attention_group.glsl"

SOFTMAXES(6, readonly)
layout(std430, set = 0, binding = 7) buffer sums_block { float sums[]; };

shared float tile[TILE * PITCH];

// The tile's probabilities on the diagonal where query - key = number - 31, of the tile's 63.
float diagonal(int number)
{
    float sum = 0.0;
    for (int key = max(0, TILE - 1 - number); key < min(TILE, 2 * TILE - 1 - number); key++)
        sum = sum + tile[key * PITCH + key + number - (TILE - 1)];
    return sum;
}

void main()
{
    const place at = place_of(group_number(), p.parts);
    const uint  to = ((at.b * size.heads + at.h) * p.parts + at.block) * p.count;
    const uint  distances = p.count;
    const int   end = part.query_end, step = int(p.parts) * TILE;
    float       scores[EACH][EACH];

    // The sum of distance n is touched by item n % 64 only.
    for (uint n = ITEM; begins_sums() && n < distances; n += uint(GROUP)) sums[to + n] = 0.0;
    for (int query = part.query_begin + int(at.block) * TILE; query < end; query += step) {
        const int         position = masked.position + query;
        const query_block block    = query_block_at(at.b, at.h, query, int(size.queries));
        key_range         seen     = keys_seen(block.first, block.last);
        near_only(seen, position, int(p.count), TILE);
        keys_only(seen, part.key_begin, part.key_end);
        for (int j = tile_from(seen, seen.begin); j < seen.end; j = tile_from(seen, j + TILE)) {
            score_tile(scores, block, j, int(size.head_size));
            TO_PROBABILITIES(scores, block, row_number(at.b, at.h, uint(query)))
            PUT_TILE(tile, scores)
            barrier();
            const int nearest = position - j - (TILE - 1), number = (ME - nearest) & (GROUP - 1), n = nearest + number;
            if (number < 2 * TILE - 1 && n >= 0 && n < int(p.count)) sums[to + uint(n)] += diagonal(number);
            barrier();
        }
    }
}
