// A matrix of matmul as it is stored, read in blocks of 4 lines by 4 steps. Lines are the rows of A or the columns of
// B, steps go along k. Before it is included, SOURCE is its binding.

layout(constant_id = 3) const uint DTYPE   = 0;     // f32, f16 or bf16
layout(constant_id = 4) const bool ALONG_K = false; // the axis that is contiguous
layout(constant_id = 5) const bool ALIGNED = false; // runs of 4 from a multiple of 4 on lie at multiples of 4

layout(std430, set = 0, binding = SOURCE) readonly buffer source_block { uint source[]; };
layout(std430, set = 0, binding = SOURCE) readonly buffer source_pairs_block { uvec2 source_pairs[]; };
layout(std430, set = 0, binding = SOURCE) readonly buffer source_fours_block { uvec4 source_fours[]; };

// Where a matrix lies: its first element, the strides, how many lines it has.
struct matrix {
    uint first, line, step, lines;
};

// 4 elements from element `index` on, a multiple of 4.
vec4 run_at(uint index)
{
    if (DTYPE == F32) return uintBitsToFloat(source_fours[index >> 2]);
    const uvec2 pair = source_pairs[index >> 2];
    const uvec4 bits = uvec4(pair.x & 0xffffu, pair.x >> 16, pair.y & 0xffffu, pair.y >> 16);
    if (DTYPE == BF16) return uintBitsToFloat(bits << 16);
    return vec4(float_of_half(bits.x), float_of_half(bits.y), float_of_half(bits.z), float_of_half(bits.w));
}

// One step of 4 lines; beyond the last line, of that.
vec4 load_step(matrix x, uint line, uint step)
{
    vec4 values;
    for (uint i = 0; i < 4; i++) {
        const uint at = x.first + min(line + i, x.lines - 1) * x.line + step * x.step;
        values[i]     = LOAD_AS(source, at, DTYPE);
    }
    return values;
}

// block[i]: step `step` + i of 4 lines; beyond the last line, of any. `line` and `step` are multiples of 4.
void load_block(out vec4 block[4], matrix x, uint line, uint step)
{
    if (!ALIGNED) {
        for (uint i = 0; i < 4; i++) block[i] = load_step(x, line, step + i);
    } else if (!ALONG_K) { // a multiple of 4 of lines
        const uint at = x.first + min(line, x.lines - 4);
        for (uint i = 0; i < 4; i++) block[i] = run_at(at + (step + i) * x.step);
    } else {
        vec4 along[4];
        for (uint i = 0; i < 4; i++) along[i] = run_at(x.first + min(line + i, x.lines - 1) * x.line + step);
        for (uint i = 0; i < 4; i++) block[i] = vec4(along[0][i], along[1][i], along[2][i], along[3][i]);
    }
}
