// embed_backward: for each token of a piece the next one of the same id, as its number in the piece, `count` where there
// is none; and whether it is its id's first.
//
// ids i32 [count], next and first u32 [count] in scratch. An item takes a token.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

struct parameters {
    view ids_view;
    uint count;
};
PARAMETERS
layout(std430, set = 0, binding = 1) readonly buffer ids_block { int ids[]; };
layout(std430, set = 0, binding = 2) writeonly buffer next_block { uint next[]; };
layout(std430, set = 0, binding = 3) writeonly buffer first_block { uint first[]; };

int id_at(uint t)
{
    return ids[p.ids_view.offset + t * p.ids_view.stride[0]];
}

void main()
{
    const uint t = item_number();
    if (t >= p.count) return;
    const int id       = id_at(t);
    uint      later    = p.count;
    bool      is_first = true;
    for (uint other = 0; other < t && is_first; other++) is_first = id_at(other) != id;
    for (uint other = t + 1; other < later; other++)
        if (id_at(other) == id) later = other;
    next[t]  = later;
    first[t] = is_first ? 1 : 0;
}
