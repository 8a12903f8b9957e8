// attention for devices of GPU type: column sums of the probabilities (attention_group.glsl).
//
// received [B, H, K]. Launched over blocks of 32 keys x heads x sequences; a block goes through those queries of a
// piece that see it.
#version 450
#extension GL_GOOGLE_include_directive : require

#define OWN_PARAMETERS                                                                                                 \
    view received_view;                                                                                                \
    uint blocks;
#include "attention_group.glsl"

SOFTMAXES(6, readonly)
layout(std430, set = 0, binding = 7) buffer received_block { float received[]; };

void main()
{
    const place       at   = place_of(group_number(), p.blocks);
    const int         key  = int(at.block) * TILE;
    const query_range seen = queries_of_piece(queries_seeing(at.b, key, min(int(size.keys) - key, TILE)));
    float             scores[EACH][EACH], sums[EACH];

    for (int j = 0; j < EACH; j++) sums[j] = 0.0;
    for (int query = seen.begin; query < seen.end; query += TILE) {
        const query_block block = query_block_at(at.b, at.h, query, seen.end);
        score_tile(scores, block, key, int(size.head_size));
        TO_PROBABILITIES(scores, block, row_number(at.b, at.h, uint(query)))
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++) sums[j] = sums[j] + scores[i][j];
    }
    for (int j = 0; j < EACH; j++) a_tile[ME / ROW * TILE + key_at(j)] = sums[j];
    barrier();
    if (ME >= TILE || key + ME >= int(size.keys)) return;
    const uint to  = index_of(p.received_view, at.b, at.h, uint(key + ME), 0);
    float      sum = begins_sums() ? 0.0 : received[to];
    for (int row = 0; row < GROUP / ROW; row++) sum = sum + a_tile[row * TILE + ME];
    received[to] = sum;
}
