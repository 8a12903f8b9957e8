// rope: turns pairs of entries of each head, (x1, x2) -> (x1 c - x2 s, x2 c + x1 s).
//
// x and out f32 [B, T, H, D] (may be the same), cosine and sine f32 [P, pairs], positions i32 [B, T] or absent. Row t
// of sequence b takes row positions[b, t] of the tables, or position_offset + t; outside of them its pairs are NaN.
// Pairs are (2i, 2i + 1) where interleaved, else (i, i + pairs). `direction` -1 turns back. Entries from 2 * pairs on
// are copied.
//
// The shape that is walked is [B, T, H, turned + copied]: `turned`, a multiple of 4, has a place for each pair, what is
// behind it one for each entry to copy. Launch: items with `each` runs of places. Error: gamma(3) (|x1 c| + |x2 s|).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "runs.glsl"

layout(constant_id = 3) const bool INTERLEAVED = false;
layout(constant_id = 4) const bool COPIES      = false; // whether entries are copied
layout(constant_id = 5) const bool POSITIONS   = false; // whether they are given

struct parameters {
    view  x_view, out_view, cosine_view, sine_view, positions_view;
    uint  table_rows, pairs, turned, position_offset;
    float direction;
    walk  all;
};
PARAMETERS
INPUT(1, x)
OUTPUT(2, out_)
INPUT(3, cosine)
INPUT(4, sine)
layout(std430, set = 0, binding = 5) readonly buffer positions_block { int positions[]; };

// Where the head of a run begins.
uint head_index(run r, view v)
{
    return v.offset + r.i0 * v.stride[0] + r.i1 * v.stride[1] + r.i2 * v.stride[2];
}

void copy_entries(run r)
{
    const uint i = r.i3 - p.turned + 2 * p.pairs, from = head_index(r, p.x_view) + i * p.x_view.stride[3];
    const uint to = head_index(r, p.out_view) + i * p.out_view.stride[3];
    LOAD_FOUR(rest, x, from, p.x_view.stride[3], r.count, F32)
    STORE_FOUR(out_, to, p.out_view.stride[3], r.count, rest)
}

// The run's pairs, `count` of them; an element of the second half lies `far` behind that of the first, and the next
// pair `next` behind that. Where fours of interleaved pairs are whole, they are two fours of entries.
void turn(run r, uint count, vec4 c, vec4 s)
{
    const uint next = INTERLEAVED ? 2 : 1, from = head_index(r, p.x_view) + next * r.i3 * p.x_view.stride[3];
    const uint far = INTERLEAVED ? 1 : p.pairs, to = head_index(r, p.out_view) + next * r.i3 * p.out_view.stride[3];
    if (FOURS && INTERLEAVED) {
        LOAD_FOUR(a, x, from, 1, 4, F32)
        LOAD_FOUR(b, x, from + 4, 1, 4, F32)
        const vec4 x1 = vec4(a.xz, b.xz), x2 = vec4(a.yw, b.yw), y1 = x1 * c - x2 * s, y2 = x2 * c + x1 * s;
        STORE_FOUR(out_, to, 1, 4, (vec4(y1.x, y2.x, y1.y, y2.y)))
        STORE_FOUR(out_, to + 4, 1, 4, (vec4(y1.z, y2.z, y1.w, y2.w)))
    } else {
        LOAD_FOUR(x1, x, from, next * p.x_view.stride[3], count, F32)
        LOAD_FOUR(x2, x, from + far * p.x_view.stride[3], next * p.x_view.stride[3], count, F32)
        STORE_FOUR(out_, to, next * p.out_view.stride[3], count, (x1 * c - x2 * s))
        STORE_FOUR(out_, to + far * p.out_view.stride[3], next * p.out_view.stride[3], count, (x2 * c + x1 * s))
    }
}

void main()
{
    for (run r = first_run(p.all); r.left > 0; r = next_run(r, p.all)) {
        if (COPIES && r.i3 >= p.turned) {
            copy_entries(r);
            continue;
        }
        // Negative positions are large numbers.
        uint position = p.position_offset + r.i1;
        if (POSITIONS)
            position = uint(positions[p.positions_view.offset + r.i0 * p.positions_view.stride[0] +
                                      r.i1 * p.positions_view.stride[1]]);
        const uint count = FOURS ? 4 : min(r.count, p.pairs - r.i3);
        vec4 c = vec4(uintBitsToFloat(0x7fc00000u)), s = c;
        if (position < p.table_rows) {
            const uint by = p.cosine_view.offset + position * p.cosine_view.stride[0] + r.i3;
            const uint to = p.sine_view.offset + position * p.sine_view.stride[0] + r.i3;
            LOAD_FOUR(turned_by, cosine, by, 1, count, F32)
            LOAD_FOUR(turned_to, sine, to, 1, count, F32)
            c = turned_by;
            s = p.direction * turned_to;
        }
        turn(r, count, c, s);
    }
}
