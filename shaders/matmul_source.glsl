// A matrix of matmul as it is stored, read in blocks of 4 lines by 4 steps. Lines are the rows of A or the columns of
// B, steps go along k. A kernel that reads both includes it twice.
//
// Before each time: SOURCE, the matrix' name, is put in front of what is defined here; SOURCE_BINDING is its
// binding, and SOURCE_DTYPE, SOURCE_ALONG_K and SOURCE_RUNS are constants of the kernel: its dtype, whether k is the
// contiguous axis, and whether runs of 4 along that axis, from multiples of 4 on, lie at multiples of 4, and are
// whole where it is not k.

#ifndef SOURCE_NAME
#define SOURCE_JOIN(a, b) a##_##b
#define SOURCE_PASTE(a, b) SOURCE_JOIN(a, b)
#define SOURCE_NAME(x) SOURCE_PASTE(SOURCE, x)

// Where a matrix lies: its first element, the strides, how many lines and steps it has.
struct matrix {
    uint first, line, step, lines, steps;
};
#endif

layout(std430, set = 0, binding = SOURCE_BINDING) readonly buffer SOURCE_NAME(block) { uint SOURCE_NAME(words)[]; };
layout(std430, set = 0, binding = SOURCE_BINDING) readonly buffer SOURCE_NAME(pairs_block)
{
    uvec2 SOURCE_NAME(pairs)[];
};
layout(std430, set = 0, binding = SOURCE_BINDING) readonly buffer SOURCE_NAME(fours_block)
{
    uvec4 SOURCE_NAME(fours)[];
};

// 4 elements from element `index` on, a multiple of 4.
vec4 SOURCE_NAME(run_at)(uint index)
{
    if (SOURCE_DTYPE == F32) return uintBitsToFloat(SOURCE_NAME(fours)[index >> 2]);
    const uvec2 pair = SOURCE_NAME(pairs)[index >> 2];
    const uvec4 bits = uvec4(pair.x & 0xffffu, pair.x >> 16, pair.y & 0xffffu, pair.y >> 16);
    if (SOURCE_DTYPE == BF16) return uintBitsToFloat(bits << 16);
    return vec4(float_of_half(bits.x), float_of_half(bits.y), float_of_half(bits.z), float_of_half(bits.w));
}

// One step of 4 lines; beyond the last line, of that.
vec4 SOURCE_NAME(step_at)(matrix x, uint line, uint step)
{
    vec4 values;
    for (uint i = 0; i < 4; i++) {
        const uint at = x.first + min(line + i, x.lines - 1) * x.line + step * x.step;
        values[i]     = LOAD_AS(SOURCE_NAME(words), at, SOURCE_DTYPE);
    }
    return values;
}

// block[i]: step `step` + i of 4 lines, all of which are there; beyond the last line, of any. `line` and `step` are
// multiples of 4.
void SOURCE_NAME(block_at)(out vec4 block[4], matrix x, uint line, uint step)
{
    if (!SOURCE_RUNS) {
        for (uint i = 0; i < 4; i++) block[i] = SOURCE_NAME(step_at)(x, line, step + i);
    } else if (!SOURCE_ALONG_K) {
        const uint at = x.first + min(line, x.lines - 4);
        for (uint i = 0; i < 4; i++) block[i] = SOURCE_NAME(run_at)(at + (step + i) * x.step);
    } else {
        vec4 along[4];
        for (uint i = 0; i < 4; i++)
            along[i] = SOURCE_NAME(run_at)(x.first + min(line + i, x.lines - 1) * x.line + step);
        for (uint i = 0; i < 4; i++) block[i] = vec4(along[0][i], along[1][i], along[2][i], along[3][i]);
    }
}
