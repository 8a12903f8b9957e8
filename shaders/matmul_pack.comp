// A matrix of matmul, put into panels of f32 for matmul "block".
//
// from: a or b, lines by steps as in matmul_source.glsl, for each batch. panels [batch, panel, step, PANEL lines]; what
// the last panel holds beyond the last line is of no use. An item moves 4 lines by 4 steps, exactly.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 1) const uint DTYPE   = 0;
layout(constant_id = 2) const bool ALONG_K = false;
layout(constant_id = 3) const bool RUNS    = false;

#define SOURCE         from
#define SOURCE_BINDING 1
#define SOURCE_DTYPE   DTYPE
#define SOURCE_ALONG_K ALONG_K
#define SOURCE_RUNS    RUNS
#include "matmul_source.glsl"

const uint PANEL = 32, FOURS = PANEL / 4;

struct parameters {
    view from_view;
    uint line_axis, lines, steps, batches, inner;
};
PARAMETERS
layout(std430, set = 0, binding = 2) writeonly buffer panels_block { vec4 panels[]; };

void main()
{
    const uint across = (p.lines + PANEL - 1) / PANEL, down = (p.steps + 3) / 4;
    const uint quads = across * FOURS, unit = group_number() * ITEMS + ITEM, rest = unit % (quads * down);
    const uint batch = unit / (quads * down);
    if (batch >= p.batches) return;
    // In the order in which the matrix lies in memory.
    const uint panel = ALONG_K ? rest / FOURS / down : rest % quads / FOURS, quad = rest % FOURS;
    const uint step  = (ALONG_K ? rest / FOURS % down : rest / quads) * 4;
    const uint first =
        p.from_view.offset + batch / p.inner * p.from_view.stride[0] + batch % p.inner * p.from_view.stride[1];
    const matrix from = {first, p.from_view.stride[p.line_axis], p.from_view.stride[5 - p.line_axis], p.lines, p.steps};
    const uint   line = panel * PANEL + quad * 4, to = ((batch * across + panel) * p.steps + step) * FOURS + quad;
    if (step + 4 <= p.steps) {
        vec4 block[4];
        from_block_at(block, from, line, step);
        for (uint i = 0; i < 4; i++) panels[to + i * FOURS] = block[i];
    } else {
        for (uint i = 0; i < 3; i++)
            if (step + i < p.steps) panels[to + i * FOURS] = from_step_at(from, line, step + i);
    }
}
