// What every kernel begins with. A kernel is
//
//     #version 450
//     #extension GL_GOOGLE_include_directive : require
//     #include "common.glsl"
//
//     struct parameters {
//         view  x_view, out_view; // in the order of the host's calls (backends/vulkan/vk.h)
//         uint  rows;
//         float factor;
//     };
//     PARAMETERS                  // p.x_view, ...
//     layout(std430, set = 0, binding = 1) readonly buffer x_block { float x[]; };
//     layout(std430, set = 0, binding = 2) writeonly buffer out_block { float out_[]; };
//
// Every binding is readonly or writeonly where that is true, so that validation sees hazards.
//
// A binding holds at most maxStorageBufferRange bytes (128 MiB at least), so an index of it fits 32 bits; nothing here
// needs 64-bit integers. Groups are 32-bit numbers too.
//
// NaN and infinities are kept: masks are -inf. What must not be contracted or reordered is `precise`.
//
// lavapipe leaves every loop of an item, without a word, once its loops have turned 65535 times in all, nested ones
// counted too. A kernel whose work may take more turns is launched over pieces of it.
//
// GPU-assisted validation puts code around each access of a binding, of which lavapipe compiles seconds' worth where
// there are dozens. So parameters are copied at first, and data are read in few places.
//
// A loop whose condition alone reads a binding cannot be instrumented by GPU-assisted validation, and then the
// pipeline is not made: such a bound is copied first.

#extension GL_EXT_spirv_intrinsics : require

spirv_execution_mode(extensions = ["SPV_KHR_float_controls"], capabilities = [4466], 4461, 32); // SignedZeroInfNanPreserve

layout(local_size_x_id = 0) in;

// The first group of this dispatch: a launch may be several.
layout(push_constant) uniform launch_block { uint first_group; };

uint group_number()
{
    return first_group + gl_WorkGroupID.x;
}

#define ITEMS gl_WorkGroupSize.x
#define ITEM  gl_LocalInvocationID.x

// This item among those of all groups.
uint item_number()
{
    return group_number() * ITEMS + ITEM;
}

// scry_dtype
const uint F32 = 0, F16 = 1, BF16 = 2, I32 = 3;

// Where a tensor lies in its binding: element [i, j, ..] is at offset + i * stride[0] + j * stride[1] + ..., in elements
// of its dtype. Axes of size 1 have stride 0.
struct view {
    uint offset, dtype, present, unused;
    uint stride[4];
};

// Binding 0, copied by a single access.
#define PARAMETERS                                                                                                     \
    layout(std430, set = 0, binding = 0) readonly buffer parameters_block { parameters given; };                       \
    parameters p = given;

// Element `index` of a binding of uint that holds f32, f16 or bf16: exact, also subnormal f16, infinities and NaN.
float float_of_half(uint bits)
{
    const uint magnitude = bits & 0x7fffu, sign = (bits & 0x8000u) << 16;
    // Exponents move up by 112; the largest becomes the largest.
    const float normal = uintBitsToFloat((magnitude << 13) + (magnitude >= 0x7c00u ? 0x70000000u : 0x38000000u));
    const float small  = float(magnitude) * 5.9604644775390625e-8;
    return uintBitsToFloat(floatBitsToUint(magnitude < 0x0400u ? small : normal) | sign);
}

// `word` is word index / 2 of the binding for f16 and bf16, word `index` for f32.
float float_of_word(uint word, uint index, uint dtype)
{
    if (dtype == F32) return uintBitsToFloat(word);
    const uint bits = (index & 1u) == 0u ? word & 0xffffu : word >> 16;
    return dtype == BF16 ? uintBitsToFloat(bits << 16) : float_of_half(bits);
}

// Element `index` of a binding `uint from[]` that holds f32, f16 or bf16.
#define LOAD_AS(from, index, dtype) float_of_word(from[(dtype) == F32 ? (index) : (index) >> 1], (index), (dtype))
