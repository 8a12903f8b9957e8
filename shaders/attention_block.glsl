// attention for devices of CPU type, where an item is a lane of a vector: no barriers and nothing in shared memory. What
// is common to both families is in attention.glsl.
//
// An item holds ROWS vectors of one side, ITEMS apart, and multiplies them with TILE of the other side, which are the
// same for all items. A load costs as much as twenty products here, so each serves ROWS or TILE. Sums over keys stay
// in one item, and so do those over queries where the lanes are keys.
//
// Drivers of such devices compile slowly where there are many loads and stores, parameters among them, and slower where
// an array is indexed by what is not known before: only products and exponentials are unrolled, and parameters are read
// in front of loops.
#extension GL_EXT_control_flow_attributes : require
#include "attention.glsl"

layout(constant_id = 1) const uint ROWS = 4;

#define EACH(i, count) [[unroll]] for (int i = 0; i < int(count); i++)

// Rows of a work group.
int group_rows()
{
    return int(ITEMS * ROWS);
}

// The item's row i among the group's.
int row_at(int i)
{
    return int(ITEM) + i * int(ITEMS);
}

uint own[ROWS]; // where the item's vectors begin

// Scores of TILE vectors of the other side: that of the item's row i and vector n is at n * ROWS + i. In the end it
// holds what becomes of rows, which is more than a small tile (attention_block.comp).
const int ENDING = int(RECORD) + 2;
float     tile[(TILE > ENDING ? TILE : ENDING) * ROWS];

// Fills the tile with scaled products. Vector n of the other side is at base + (first + n) * stride; those past number
// `last` repeat it.
#define FILL_TILE(own_from, other_from, base, stride, first, last)                                                     \
    {                                                                                                                  \
        const uint  step = (stride), length = size.head_size;                                                          \
        const float scale = size.scale;                                                                                \
        float       sums[TILE][ROWS];                                                                                  \
        uint        other[TILE];                                                                                       \
        EACH(n, TILE) other[n] = (base) + uint(min((first) + n, (last))) * step;                                       \
        EACH(n, TILE) EACH(i, ROWS) sums[n][i] = 0.0;                                                                  \
        for (uint d = 0u; d < length; d++) {                                                                           \
            float x[ROWS];                                                                                             \
            EACH(i, ROWS) x[i] = own_from[own[i] + d];                                                                 \
            EACH(n, TILE)                                                                                              \
            {                                                                                                          \
                const float y = other_from[other[n] + d];                                                              \
                EACH(i, ROWS)                                                                                          \
                {                                                                                                      \
                    precise float sum = fma(x[i], y, sums[n][i]);                                                      \
                    sums[n][i]        = sum;                                                                           \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        EACH(n, TILE) EACH(i, ROWS) tile[n * int(ROWS) + i] = scale * sums[n][i];                                      \
    }

// Caps the tile's scores and adds what the mask adds: that of own number r and other number n is at base + r *
// own_stride + n * other_stride, with own numbers from `row` on.
void finish_tile(uint base, uint own_stride, int row, int last_row, uint other_stride, int first, int last)
{
    const float softcap = size.softcap;
    if (softcap > 0.0)
        for (int e = 0; e < TILE * int(ROWS); e++) tile[e] = softcap * tanh_of(tile[e] / softcap);
    if (additive_view.present == 0u) return;
    for (int n = 0; n < TILE; n++) {
        const uint bias = base + uint(min(first + n, last)) * other_stride;
        for (int i = 0; i < int(ROWS); i++) {
            const uint at           = bias + uint(min(row + row_at(i), last_row)) * own_stride;
            tile[n * int(ROWS) + i] = with_bias(tile[n * int(ROWS) + i], additive[at]);
        }
    }
}

// --- Lanes that are queries ---

// A block of a head's queries. Rows past `count` repeat the last.
struct query_block {
    uint  keys;         // where key 0 begins
    uint  additive;     // what is added to query 0 and key 0
    int   query, count; // the first, and how many
    sight first, last;  // what the first and the last of them see
};

query_block query_block_at(uint b, uint h, int query, int end)
{
    query_block at;
    const uint  base = head_offset(q_view, b, h), stride = q_view.stride[1];
    at.query    = query;
    at.count    = min(end - query, group_rows());
    at.keys     = head_offset(k_view, b, key_head(h));
    at.additive = bias_offset(b, h);
    at.first    = SIGHT_OF(b, query, size.keys);
    at.last     = SIGHT_OF(b, query + at.count - 1, size.keys);
    EACH(i, ROWS) own[i] = base + uint(query + min(row_at(i), at.count - 1)) * stride;
    return at;
}

// Scores of the block's queries and the keys from `key` on; -inf where masked.
void score_tile(query_block at, int key)
{
    FILL_TILE(q, k, at.keys, k_view.stride[1], key, int(size.keys) - 1)
    finish_tile(at.additive, additive_view.stride[2], at.query, at.query + at.count - 1, additive_view.stride[3], key,
                int(size.keys) - 1);
    if (all_seen(at.first, at.last, key, key + TILE)) return;
    const int low = masked.tail + at.query, high = masked.causal == 0 ? int(size.keys) : masked.position + at.query;
    for (int n = 0; n < TILE; n++) {
        const int  j    = key + n;
        const bool real = j >= at.first.begin && j < at.first.end, exempt = j < at.first.prefix;
        EACH(i, ROWS)
        {
            const bool seen = exempt || (j >= low + row_at(i) && j <= high + row_at(i));
            if (!real || !seen) tile[n * int(ROWS) + i] = -INFINITE;
        }
    }
}
