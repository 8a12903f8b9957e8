// attention for devices of CPU type: column sums of the probabilities (attention_block.glsl). Lanes are keys.
//
// received [B, H, K]. Launched over blocks of ITEMS * ROWS keys x heads x sequences; a block goes through those queries
// of a piece that see it.
#version 450
#extension GL_GOOGLE_include_directive : require

#define OWN_PARAMETERS                                                                                                 \
    view received_view;                                                                                                \
    uint blocks;
#include "attention_block.glsl"

SOFTMAXES(6, readonly)
layout(std430, set = 0, binding = 7) buffer received_block { float received[]; };

// Puts -inf where query `query` + n does not see the item's keys.
void mask_tile(sight all, int query, int key)
{
    const int low = masked.tail + query, high = masked.causal == 0 ? int(size.keys) : masked.position + query;
    for (int n = 0; n < TILE; n++) {
        EACH(i, ROWS)
        {
            const int  j    = key + row_at(i);
            const bool seen = j < all.prefix || (j >= low + n && j <= high + n);
            if (j < all.begin || j >= all.end || !seen) tile[n * int(ROWS) + i] = -INFINITE;
        }
    }
}

void main()
{
    const place       at   = place_of(group_number(), p.blocks);
    const int         key  = int(at.block) * group_rows(), last = min(key + group_rows(), int(size.keys)) - 1;
    const uint        keys = head_offset(k_view, at.b, key_head(at.h)), queries = head_offset(q_view, at.b, at.h);
    const sight       all  = SIGHT_OF(at.b, 0, size.keys);
    const query_range seen = queries_of_piece(queries_seeing(at.b, key, last + 1 - key));
    float             sum[ROWS];

    const uint stride = k_view.stride[1];
    for (int i = 0; i < int(ROWS); i++)
        tile[i] = begins_sums() ? 0.0
                                : received[index_of(p.received_view, at.b, at.h, uint(min(key + row_at(i), last)), 0)];
    EACH(i, ROWS)
    {
        own[i] = keys + uint(min(key + row_at(i), last)) * stride;
        sum[i] = tile[i];
    }
    for (int query = seen.begin; query < seen.end; query += TILE) {
        const uint row = row_number(at.b, at.h, uint(query));
        FILL_TILE(k, q, queries, q_view.stride[1], query, seen.end - 1)
        finish_tile(bias_offset(at.b, at.h), additive_view.stride[3], key, last, additive_view.stride[2], query,
                    seen.end - 1);
        mask_tile(all, query, key);
        for (int n = 0; n < min(seen.end - query, TILE); n++) {
            const vec2 softmax = softmaxes[row + uint(n)];
            EACH(i, ROWS)
            {
                const float p = probability_of(tile[n * int(ROWS) + i], softmax.x, softmax.y);
                sum[i]        = sum[i] + p;
            }
        }
    }
    EACH(i, ROWS) tile[i] = sum[i];
    for (int i = 0; i < int(ROWS) && key + row_at(i) <= last; i++)
        received[index_of(p.received_view, at.b, at.h, uint(key + row_at(i)), 0)] = tile[i];
}
