// matmul "block", for devices whose items are lanes of a processor's vectors: no barriers, no shared memory.
//
// A and B lie in panels (matmul_pack.comp): a [batch, panel, k, PANEL rows], b [batch, panel, k, PANEL columns]. A
// group of 8 items makes ROWS rows (16 or 32) of one panel of columns, an item 4 of these columns. Memory is read by
// one address for each item and 4 floats, which costs such devices more than to compute with it; so each item holds
// ROWS x 4 sums, and of the rows' elements each loads 4, which the others get from it by shuffles where SHUFFLED is
// defined; else all of them load all. Sums pass through shared memory so that a loop can go through them: only where
// it is written out they are in registers, and to put each of them into C in code of its own takes long to compile.

#define OPERANDS
#include "matmul.glsl"

layout(constant_id = 3) const uint ROWS = 32;

const uint PANEL = 32, FOURS = PANEL / 4;

layout(std430, set = 0, binding = 1) readonly buffer a_block { vec4 a[]; };
layout(std430, set = 0, binding = 2) readonly buffer b_block { vec4 b[]; };

shared vec4 staged[ROWS * FOURS]; // each item reads what it wrote itself

#ifdef SHUFFLED
#define LANE gl_SubgroupInvocationID
#else
#define LANE ITEM
#endif

void main()
{
    const uint down = (p.m + ROWS - 1) / ROWS, across = (p.n + PANEL - 1) / PANEL, unit = group_number();
    const uint batch = unit / down / across, panel = unit / down % across, row = unit % down * ROWS;
    const uint column = panel * PANEL + LANE * 4, a_panels = (p.m + PANEL - 1) / PANEL;
    const uint pitch  = c_view.stride[2], to = matrix_of(c_view, batch) + row * pitch + column;
    const uint rows   = (batch * a_panels + row / PANEL) * p.k * FOURS + row % PANEL / 4;
    const uint from   = (batch * across + panel) * p.k * FOURS + LANE;
    const vec4 add    = bias_at(column);
    for (uint begin = 0; begin == 0 || begin < p.k; begin += STRETCH) {
        const uint   end = min(p.k, begin + STRETCH);
        precise vec4 sums[ROWS];
        for (uint i = 0; i < ROWS; i++) sums[i] = vec4(0);
        for (uint step = begin; step < end; step++) {
            const uint at = rows + step * FOURS;
            const vec4 y  = b[from + step * FOURS];
#ifdef SHUFFLED
            const vec4 mine = a[at + LANE % (ROWS / 4)];
#endif
            for (uint i = 0; i < ROWS / 4; i++) {
#ifdef SHUFFLED
                const vec4 x = vec4(subgroupShuffle(mine.x, i), subgroupShuffle(mine.y, i), subgroupShuffle(mine.z, i),
                                    subgroupShuffle(mine.w, i));
#else
                const vec4 x = a[at + i];
#endif
                for (uint j = 0; j < 4; j++) sums[i * 4 + j] = fma(vec4(x[j]), y, sums[i * 4 + j]);
            }
        }
        for (uint i = 0; i < ROWS; i++) staged[i * FOURS + ITEM] = sums[i];
        [[dont_unroll]] for (uint i = 0; i < ROWS; i++) {
            const uint count = row + i < p.m && column < p.n ? p.n - column : 0;
            put(to + i * pitch, count, staged[i * FOURS + ITEM], add, begin + p.continues == 0);
        }
    }
}
