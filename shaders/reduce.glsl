// Sums, largest and least over the items of a work group: each item gives one value, and each gets the result. All
// items of the group come here together. In two forms with the same functions:
//
//     by default             through shared memory, as if LANES items (4 to 64, a power of two that divides the work
//                            group) were a subgroup; constant REDUCE_CONSTANT
//     #define SUBGROUPS      with the device's subgroups, of whatever size they are
//
// In both, the items of a subgroup are reduced first, and then the subgroups, in their order: a device gives the same
// bits each time. A NaN reaches a sum, and is not to be given to reduce_max.

#ifdef SUBGROUPS
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

#define REDUCE_SUBGROUP  gl_SubgroupID
#define REDUCE_COUNT     gl_NumSubgroups
#define REDUCE_IS_LEADER (gl_SubgroupInvocationID == 0u)

#define REDUCE_LANES(type, name, line, operation, JOIN)                                                                \
    type name##_lanes(type x)                                                                                          \
    {                                                                                                                  \
        return operation(x);                                                                                           \
    }
#else
layout(constant_id = REDUCE_CONSTANT) const uint LANES = 8;

#define REDUCE_SUBGROUP  (ITEM / LANES)
#define REDUCE_COUNT     (ITEMS / LANES)
#define REDUCE_IS_LEADER (ITEM % LANES == 0u)

// Pairs of items exchange what they have, ever nearer ones: each has the same sum of the same terms.
#define REDUCE_LANES(type, name, line, operation, JOIN)                                                                \
    type name##_lanes(type x)                                                                                          \
    {                                                                                                                  \
        for (uint distance = LANES / 2u; distance > 0u; distance /= 2u) {                                              \
            line[ITEM] = x;                                                                                            \
            barrier();                                                                                                 \
            x = JOIN(x, line[ITEM ^ distance]);                                                                        \
            barrier();                                                                                                 \
        }                                                                                                              \
        return x;                                                                                                      \
    }
#endif

#define REDUCE(type, name, line, operation, JOIN)                                                                      \
    REDUCE_LANES(type, name, line, operation, JOIN)                                                                    \
    type name(type x)                                                                                                  \
    {                                                                                                                  \
        x = name##_lanes(x);                                                                                           \
        if (REDUCE_IS_LEADER) line[REDUCE_SUBGROUP] = x;                                                               \
        barrier();                                                                                                     \
        x = line[0];                                                                                                   \
        for (uint i = 1u; i < REDUCE_COUNT; i++) x = JOIN(x, line[i]);                                                 \
        barrier();                                                                                                     \
        return x;                                                                                                      \
    }

shared float reduce_floats[gl_WorkGroupSize.x];
shared int   reduce_ints[gl_WorkGroupSize.x];

#define REDUCE_ADD(a, b) ((a) + (b))
REDUCE(float, reduce_sum, reduce_floats, subgroupAdd, REDUCE_ADD)
REDUCE(float, reduce_max, reduce_floats, subgroupMax, max)
REDUCE(int, reduce_least, reduce_ints, subgroupMin, min)
REDUCE(int, reduce_count, reduce_ints, subgroupAdd, REDUCE_ADD)

// The lowest of the keys whose items have the largest value, which is returned; key is INT_MAX for items without one.
float reduce_best(float value, inout int key)
{
    const float largest = reduce_max(value);
    key                 = reduce_least(value == largest ? key : 0x7fffffff);
    return largest;
}
