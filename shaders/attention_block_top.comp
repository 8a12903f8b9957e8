// attention for devices of CPU type: the largest keys of each row (attention_block.glsl, attention_top.glsl).
//
// Launched over blocks of ITEMS * ROWS queries x heads x sequences.
#version 450
#extension GL_GOOGLE_include_directive : require
#define BLOCK
#include "attention_top.glsl"

void main()
{
    const place       at    = place_of(group_number(), p.blocks);
    const int         query = int(at.block) * group_rows();
    const query_block block = query_block_at(at.b, at.h, query, int(size.queries));
    key_range         seen  = keys_seen(block.first, block.last);

    keys_only(seen, part.key_begin, part.key_end);
    top_begin();
    for (int i = 0; i < int(ROWS) && !begins_rows(); i++)
        top_resume(i * int(ROOM), row_number(at.b, at.h, uint(query + min(row_at(i), block.count - 1))));
    for (int j = tile_from(seen, seen.begin); j < seen.end; j = tile_from(seen, j + TILE)) {
        score_tile(block, j);
        for (int n = 0; n < TILE; n++)
            for (int i = 0; i < int(ROWS); i++) top_insert(i * int(ROOM), tile[n * int(ROWS) + i], j + n);
    }
    for (int i = 0; i < int(ROWS) && row_at(i) < block.count; i++) {
        const uint i_query = uint(query + row_at(i)), row = row_number(at.b, at.h, i_query);
        if (finishes_rows()) {
            top_finish(i * int(ROOM), softmaxes[row]);
            top_store(i * int(ROOM), at.b, at.h, i_query);
        } else
            top_pause(i * int(ROOM), row);
    }
}
