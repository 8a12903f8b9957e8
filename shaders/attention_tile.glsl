// What both families' kernels of a tile have besides: which tile of which heads, and where it goes. With BLOCK defined
// it brings in attention_block.glsl, else attention_group.glsl.
//
// probabilities, scores [B, slots, tile_queries, tile_keys]: the tile from (tile_query, tile_key) of the heads whose bit
// is set, in their order; of all heads where none is.

#define OWN_PARAMETERS                                                                                                 \
    uint selected[8];                                                                                                  \
    int  tile_query, tile_key, tile_queries, tile_keys;                                                                \
    uint slots, across, down;                                                                                          \
    view probabilities_view, scores_view;
#ifdef BLOCK
#include "attention_block.glsl"
#else
#include "attention_group.glsl"
#endif

SOFTMAXES(6, readonly)
layout(std430, set = 0, binding = 7) writeonly buffer probabilities_block { float probabilities[]; };
layout(std430, set = 0, binding = 8) writeonly buffer scores_block { float scores[]; };

// Head number `slot` of those selected.
uint head_of(uint slot)
{
    uint any = 0u, head = slot;
    for (uint i = 0u; i < 8u; i++) any |= p.selected[i];
    for (uint i = 0u, left = slot; any != 0u && i < 256u; i++)
        if ((p.selected[i / 32u] >> i % 32u & 1u) != 0u && left-- == 0u) head = i;
    return head;
}

// What a work group has: a block of the tile, `across` x `down` of them in each head.
struct tile_place {
    int  query, key; // in the tile
    uint slot, b;
};

tile_place tile_place_of(uint number, int rows, int columns)
{
    const uint row = number / p.across, head = row / p.down;
    return tile_place(int(row % p.down) * rows, int(number % p.across) * columns, head % p.slots, head / p.slots);
}

// Puts one element of the tile where it is wanted.
void put_element(uint b, uint slot, uint query, uint key, float score, float probability)
{
    if (p.scores_view.present != 0u) scores[index_of(p.scores_view, b, slot, query, key)] = score;
    if (p.probabilities_view.present != 0u)
        probabilities[index_of(p.probabilities_view, b, slot, query, key)] = probability;
}
