// attention for devices of GPU type: the largest keys of each row (attention_group.glsl, attention_top.glsl).
//
// Launched over blocks of 32 queries x heads x sequences; of a group's items the first 32 have a row each.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_top.glsl"

shared float tile[TILE * PITCH];

void main()
{
    const place at    = place_of(group_number(), p.blocks);
    const int   query = int(at.block) * TILE;
    float       scores[EACH][EACH];

    const query_block block  = query_block_at(at.b, at.h, query, int(size.queries));
    const uint        number = row_number(at.b, at.h, uint(query + min(ME, block.count - 1)));
    key_range         seen   = keys_seen(block.first, block.last);

    keys_only(seen, part.key_begin, part.key_end);
    top_begin();
    if (!begins_rows() && ME < block.count) top_resume(0, number);
    for (int j = tile_from(seen, seen.begin); j < seen.end; j = tile_from(seen, j + TILE)) {
        score_tile(scores, block, j, int(size.head_size));
        PUT_TILE(tile, scores)
        barrier();
        for (int n = 0; ME < block.count && n < TILE; n++) top_insert(0, tile[n * PITCH + ME], j + n);
        barrier();
    }
    if (ME >= block.count) return;
    if (finishes_rows()) {
        top_finish(0, softmaxes[number]);
        top_store(0, at.b, at.h, uint(query + ME));
    } else
        top_pause(0, number);
}
