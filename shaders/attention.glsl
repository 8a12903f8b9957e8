// attention: what its kernels share: those of "block" for devices of CPU type (attention_block.glsl) and those of
// "group" for others (attention_group.glsl).
//
// out[b, i, h] = sum_j p[b, h, i, j] v[b, j, g],  p = softmax_j(cap(scale q[b, i, h] . k[b, j, g]) + additive) over the
// keys that query i sees, g = h / (H / G)
//
// q [B, Q, H, D], k [B, K, G, D], v [B, K, G, Dv], out [B, Q, H, Dv]; last strides 1
//
// Each family has the same kernels:
//     attention_FAMILY              online softmax over tiles of keys: out, the rows' records (rows.comp), their softmax
//     attention_FAMILY_received     column sums of the probabilities
//     attention_FAMILY_distances    their diagonal sums, in parts that attention_merge adds up
//     attention_FAMILY_tile         probabilities and scores of a tile
//     attention_FAMILY_top          largest keys
// The last four compute the scores again. In all of them a score is one chain of products over d, then scaled, capped,
// biased and masked alike, and p = exp(score - centre) * factor with the row's softmax as the first kernel left it: so
// what one shows does not depend on what else is asked for, nor on where a tile begins. A tile of keys that no query of
// a block sees is left out; going through it would multiply by exp(0) = 1 and add 0, so that leaving it out shows
// nowhere either.
//
// A launch goes through a piece: some of the keys for each query, or some of the queries for each key, since lavapipe
// ends loops that turn too often (common.glsl). What is unfinished then waits in the outputs and in scratch for the
// launch of the next piece: `out` and the sums in the outputs, the state of rows where their records will be.
//
// Scratch: records [B, H, Q, RECORD]; softmaxes {centre, factor} [B, H, Q]; parts of the distances; largest keys of rows
// that are unfinished.
//
// Error: of a score gamma(D + 1) scale sum |q k|; exp_negative's 2 ulp; sums over keys rescaled once in each run of at
// least 32 keys.
//
// A kernel defines OWN_PARAMETERS, what it has besides, before it includes this; its bindings go on from 6.
#include "common.glsl"
#include "math.glsl"
#include "mask.glsl"

struct sizes {
    uint  batches, queries, keys, heads, groups, head_size, value_size;
    float scale, softcap;
};

// Of keys, queries and values. Keys and queries begin at multiples of TILE.
struct piece {
    int key_begin, key_end, query_begin, query_end, value_begin;
};

struct parameters {
    sizes size;
    piece part;
    view  q_view, k_view;
    MASK_PARAMETERS
    OWN_PARAMETERS
};
PARAMETERS

// Under short names, some of which the mask's macros know.
sizes size   = p.size;
piece part   = p.part;
mask  masked = p.masked;
view  q_view = p.q_view, k_view = p.k_view;
view  key_begin_view = p.key_begin_view, key_end_view = p.key_end_view, additive_view = p.additive_view;

layout(std430, set = 0, binding = 1) readonly buffer q_block { float q[]; };
layout(std430, set = 0, binding = 2) readonly buffer k_block { float k[]; };
MASK_BINDINGS(3)

#define SOFTMAXES(number, access)                                                                                      \
    layout(std430, set = 0, binding = number) access buffer softmaxes_block { vec2 softmaxes[]; };

// Keys go in tiles of 32, which begin at multiples of 32 whatever the mask. "block" has smaller ones where validation
// instruments its loads.
layout(constant_id = 3) const int TILE = 32;

// What a work group has: one block of many, of one head of one sequence.
struct place {
    uint block, h, b;
};

// Blocks are counted first, then heads, then sequences.
place place_of(uint number, uint blocks)
{
    const uint rest = number / blocks;
    return place(number - rest * blocks, rest % size.heads, rest / size.heads);
}

// The first element of a head's row 0, in a tensor [B, rows, heads, entries].
uint head_offset(view x, uint b, uint head)
{
    return x.offset + b * x.stride[0] + head * x.stride[2];
}

uint key_head(uint h)
{
    return h / (size.heads / size.groups);
}

uint bias_offset(uint b, uint h)
{
    return additive_view.offset + b * additive_view.stride[0] + h * additive_view.stride[1];
}

// Row i of head h of sequence b among all rows.
uint row_number(uint b, uint h, uint i)
{
    return (b * size.heads + h) * size.queries + i;
}

// A score from its sum of products, but for the mask.
float scaled_score(float product)
{
    const float score = size.scale * product;
    return size.softcap > 0.0 ? size.softcap * tanh_of(score / size.softcap) : score;
}

// The tiles that a block of queries sees any key of, from the queries that see `first` and `last`; what queries see
// moves on with them. They lie in [begin, split), the exempt prefix, and [resume, end); begin and resume are tiles.
struct key_range {
    int begin, split, resume, end;
};

key_range keys_seen(sight first, sight last)
{
    key_range seen;
    seen.begin  = first.begin / TILE * TILE;
    seen.split  = max(seen.begin, min(first.prefix, first.end));
    seen.resume = max(first.begin, first.low) / TILE * TILE;
    seen.end    = max(seen.split, min(first.end, last.high));
    return seen;
}

// The first of these tiles from `key` on; not below `end` where there is none.
int tile_from(key_range seen, int key)
{
    return key >= seen.split ? max(key, seen.resume) : key;
}

// Leaves tiles out that have none of the keys [begin, end); begin is a tile.
void keys_only(inout key_range seen, int begin, int end)
{
    seen.end = min(seen.end, end);
    if (begin >= seen.split) seen.split = seen.begin;
    seen.begin  = max(seen.begin, begin);
    seen.resume = max(seen.resume, begin);
}

// Leaves tiles out that have no key at a distance below `count` from the `rows` queries from `position` on.
void near_only(inout key_range seen, int position, int count, int rows)
{
    keys_only(seen, within(position - count + 1, seen.end) / TILE * TILE, within(position + rows, seen.end));
}

// Whether a row's first keys are in this piece, and its last.
bool begins_rows()
{
    return part.key_begin == 0;
}

bool finishes_rows()
{
    return part.key_end == int(size.keys);
}

// Does each query that sees from `first` to `last` see all of the keys [begin, end)?
bool all_seen(sight first, sight last, int begin, int end)
{
    const bool reached = end <= first.prefix || (begin >= last.low && end <= first.high);
    return begin >= first.begin && end <= first.end && reached;
}

// The queries that see any of `count` keys from `key` on: [begin, end).
struct query_range {
    int begin, end;
};

query_range queries_seeing(uint b, int key, int count)
{
    const sight sees = SIGHT_OF(b, 0, size.keys);
    query_range seen = query_range(0, int(size.queries));
    if (key >= sees.end || key + count <= sees.begin) seen.end = 0;
    if (key < sees.prefix) return seen;
    if (masked.causal != 0) seen.begin = max(key - masked.position, 0);
    // A query whose window begins behind the last of them no longer sees any.
    seen.end = min(seen.end, key + count - masked.tail);
    return seen;
}

query_range queries_of_piece(query_range seen)
{
    return query_range(max(seen.begin, part.query_begin), min(seen.end, part.query_end));
}

// Whether sums over queries begin with this piece; else what is added up so far is there.
bool begins_sums()
{
    return part.query_begin == 0 && part.key_begin == 0;
}

// A tile element's place in a tensor of rank 4.
uint index_of(view x, uint i0, uint i1, uint i2, uint i3)
{
    return x.offset + i0 * x.stride[0] + i1 * x.stride[1] + i2 * x.stride[2] + i3 * x.stride[3];
}
