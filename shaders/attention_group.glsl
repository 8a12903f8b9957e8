// attention for devices of GPU type: a work group of 64 items works on 32 queries and tiles of 32 keys. What is common
// to both families is in attention.glsl.
//
// Both sides' vectors pass through shared memory, 32 entries at a time and transposed. An item has the products of 4
// queries that lie side by side, which it reads at once, and of 4 keys that lie 8 apart, so that neighbours read
// neighbouring places; a pitch of 36 floats keeps both that and its stores free of bank conflicts. Of each row of the
// softmax one item of the first 32 has the even keys and one of the other 32 the odd ones.
//
// Every item of a group goes through the same barriers: loops end where all of them end, and nobody returns early.
// Shared memory: 14 KiB. Nothing here knows the size of a subgroup.
#include "attention.glsl"

const int ROW   = 8; // items that lie side by side in a tile
const int EACH  = 4; // queries, and keys, of an item
const int PITCH = TILE + 4;
const int GROUP = 64;

shared float a_tile[TILE * PITCH], b_tile[TILE * PITCH];

#define ME int(ITEM)

// Which query, or key, of the tile is the item's i-th.
int query_at(int i)
{
    return ME / ROW * EACH + i;
}

int key_at(int i)
{
    return ME % ROW + ROW * i;
}

// --- Products ---

// to[d * PITCH + n]: entries [begin, begin + TILE) of vectors 0 to 31, 0 where there is none of the `count` vectors or
// `end` entries. 32 neighbours take 8 entries of 4 vectors: whole sectors of memory, and each bank once.
#define LOAD_TRANSPOSED(to, from, first, stride, count, begin, end)                                                    \
    for (int e = ME; e < TILE * TILE; e += GROUP) {                                                                    \
        const int  d = e % 8 + e / 32 % 4 * 8, n = e / 8 % 4 + e / 128 * 4;                                            \
        const bool real   = n < (count) && (begin) + d < (end);                                                        \
        to[d * PITCH + n] = real ? from[(first) + uint(n) * (stride) + uint((begin) + d)] : 0.0;                       \
    }

// The same, to[n * PITCH + d].
#define LOAD_STRAIGHT(to, from, first, stride, count, begin, end)                                                      \
    for (int e = ME; e < TILE * TILE; e += GROUP) {                                                                    \
        const int  n = e / TILE, d = e % TILE;                                                                         \
        const bool real   = n < (count) && (begin) + d < (end);                                                        \
        to[n * PITCH + d] = real ? from[(first) + uint(n) * (stride) + uint((begin) + d)] : 0.0;                       \
    }

// sums[i][j] += the sum over d of a[d][query i] * b[d][key j].
#define MULTIPLY(sums, a, b)                                                                                           \
    for (int d = 0; d < TILE; d++) {                                                                                   \
        float x[EACH], y[EACH];                                                                                        \
        for (int i = 0; i < EACH; i++) {                                                                               \
            x[i] = a[d * PITCH + query_at(i)];                                                                         \
            y[i] = b[d * PITCH + key_at(i)];                                                                           \
        }                                                                                                              \
        for (int i = 0; i < EACH; i++)                                                                                 \
            for (int j = 0; j < EACH; j++) {                                                                           \
                precise float sum = fma(x[i], y[j], sums[i][j]);                                                       \
                sums[i][j]        = sum;                                                                               \
            }                                                                                                          \
    }

// --- Scores ---

// A head's queries from one of them on, and its keys.
struct query_block {
    uint  queries, keys, additive; // where the first of them, key 0, and what is added to both lie
    int   query, count;            // the first, and how many of 32
    sight first, last;             // what the first and the last of them see
    int   low[EACH], high[EACH];   // of the item's own
};

query_block query_block_at(uint b, uint h, int query, int end)
{
    query_block at;
    at.query    = query;
    at.count    = min(end - query, TILE);
    at.queries  = head_offset(q_view, b, h) + uint(query) * q_view.stride[1];
    at.keys     = head_offset(k_view, b, key_head(h));
    at.additive = bias_offset(b, h) + uint(query) * additive_view.stride[2];
    at.first    = SIGHT_OF(b, query, size.keys);
    at.last     = SIGHT_OF(b, query + at.count - 1, size.keys);
    for (int i = 0; i < EACH; i++) {
        const sight own = SIGHT_OF(b, query + query_at(i), size.keys);
        at.low[i]       = own.low;
        at.high[i]      = own.high;
    }
    return at;
}

float finished_score(float product, query_block at, int i, int key)
{
    const bool real    = query_at(i) < at.count && key >= at.first.begin && key < at.first.end;
    const bool reached = key < at.first.prefix || (key >= at.low[i] && key < at.high[i]);
    if (!real || !reached) return -INFINITE;
    const float score = scaled_score(product);
    if (additive_view.present == 0u) return score;
    return with_bias(score, additive[at.additive + uint(query_at(i)) * additive_view.stride[2] +
                                     uint(key) * additive_view.stride[3]]);
}

// Scores of the item's queries and the keys from `key` on; -inf where masked. head_size 0: of nothing but masks.
void score_tile(out float scores[EACH][EACH], query_block at, int key, int head_size)
{
    for (int i = 0; i < EACH; i++)
        for (int j = 0; j < EACH; j++) scores[i][j] = 0.0;
    for (int begin = 0; begin < head_size; begin += TILE) {
        LOAD_TRANSPOSED(a_tile, q, at.queries, q_view.stride[1], at.count, begin, head_size)
        LOAD_TRANSPOSED(b_tile, k, at.keys + uint(key) * k_view.stride[1], k_view.stride[1], int(size.keys) - key,
                        begin, head_size)
        barrier();
        MULTIPLY(scores, a_tile, b_tile)
        barrier();
    }
    for (int i = 0; i < EACH; i++)
        for (int j = 0; j < EACH; j++) scores[i][j] = finished_score(scores[i][j], at, i, key + key_at(j));
}

// The tile to[key * PITCH + query].
#define PUT_TILE(to, values)                                                                                           \
    for (int j = 0; j < EACH; j++)                                                                                     \
        for (int i = 0; i < EACH; i++) to[key_at(j) * PITCH + query_at(i)] = values[i][j];

// --- For the captures ---

// Scores become probabilities of the rows from number `row` on.
#define TO_PROBABILITIES(scores, at, row)                                                                              \
    for (int i = 0; i < EACH; i++) {                                                                                   \
        const vec2 softmax = softmaxes[(row) + uint(min(query_at(i), at.count - 1))];                                  \
        for (int j = 0; j < EACH; j++) scores[i][j] = probability_of(scores[i][j], softmax.x, softmax.y);              \
    }
