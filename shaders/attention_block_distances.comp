// attention for devices of CPU type: diagonal sums of the probabilities (attention_block.glsl). Lanes are distances: an
// item has ROWS of them, one after another, and goes through the queries of a piece, so that it adds up each diagonal by
// itself.
//
// distance [B, H, count]. Launched over blocks of ITEMS * ROWS distances x heads x sequences.
#version 450
#extension GL_GOOGLE_include_directive : require

#define OWN_PARAMETERS                                                                                                 \
    view distance_view;                                                                                                \
    uint blocks;                                                                                                       \
    int  count;
#include "attention_block.glsl"

SOFTMAXES(6, readonly)
layout(std430, set = 0, binding = 7) buffer distance_block { float distances[]; };

const int QUERIES = TILE / 2; // at a time

// Of QUERIES queries from `query` on, and the keys at the item's distances from `n` on: query j is at distance n + i of
// key j - i of the QUERIES + ROWS - 1 that are concerned, where key 0 is that of query 0 and distance n.
void score_diagonals(uint b, uint h, int query, int n)
{
    const uint keys = head_offset(k_view, b, key_head(h)), queries = head_offset(q_view, b, h);
    const int  zero = masked.position + query - n, last = int(size.keys) - 1, last_query = int(size.queries) - 1;
    const uint key_stride = k_view.stride[1], query_stride = q_view.stride[1], length = size.head_size;
    float      sums[QUERIES][ROWS];
    uint       from[QUERIES + ROWS - 1], to[QUERIES];
    EACH(m, QUERIES + ROWS - 1)
        from[m] = keys + uint(within(zero + m - int(ROWS) + 1, last)) * key_stride;
    EACH(j, QUERIES) to[j] = queries + uint(min(query + j, last_query)) * query_stride;
    EACH(j, QUERIES) EACH(i, ROWS) sums[j][i] = 0.0;
    for (uint d = 0u; d < length; d++) {
        float x[QUERIES + ROWS - 1];
        EACH(m, QUERIES + ROWS - 1) x[m] = k[from[m] + d];
        EACH(j, QUERIES)
        {
            const float y = q[to[j] + d];
            EACH(i, ROWS)
            {
                precise float sum = fma(x[j - i + int(ROWS) - 1], y, sums[j][i]);
                sums[j][i]        = sum;
            }
        }
    }
    EACH(j, QUERIES) EACH(i, ROWS) tile[j * int(ROWS) + i] = sums[j][i];
}

// The finished score of a query and a key, which may be none; -inf where masked.
float finished_score(float product, uint b, uint h, int query, int key)
{
    const bool real = key >= 0 && is_seen(SIGHT_OF(b, query, size.keys), key);
    if (!real) return -INFINITE;
    const float score = scaled_score(product);
    if (additive_view.present == 0u) return score;
    return with_bias(score, additive[bias_offset(b, h) + uint(query) * additive_view.stride[2] +
                                     uint(key) * additive_view.stride[3]]);
}

void main()
{
    const place at    = place_of(group_number(), p.blocks);
    const int   first = int(at.block) * group_rows(), n = first + int(ITEM * ROWS);
    // Queries have keys at these distances from the first to the last that does.
    const int         behind = int(size.keys) + first + group_rows() - 1 - masked.position;
    const query_range having = queries_of_piece(query_range(max(first - masked.position, 0), behind));
    const int last = p.count;
    float     sum[ROWS];

    for (int i = 0; i < int(ROWS); i++)
        sum[i] = begins_sums() || n + i >= last
                     ? 0.0
                     : distances[index_of(p.distance_view, at.b, at.h, uint(n + i), 0)];
    for (int query = having.begin; query < having.end; query += QUERIES) {
        score_diagonals(at.b, at.h, query, n);
        for (int j = 0; j < min(having.end - query, QUERIES); j++) {
            const vec2 softmax = softmaxes[row_number(at.b, at.h, uint(query + j))];
            for (int i = 0; i < int(ROWS); i++) {
                const int   key   = masked.position + query + j - n - i;
                const float score = finished_score(tile[j * int(ROWS) + i], at.b, at.h, query + j, key);
                sum[i]            = sum[i] + probability_of(score, softmax.x, softmax.y);
            }
        }
    }
    for (int i = 0; i < int(ROWS) && n + i < last; i++)
        distances[index_of(p.distance_view, at.b, at.h, uint(n + i), 0)] = sum[i];
}
