// Rows of elements, four at a time. Host side: `uneven` of a call (backends/vulkan/vk.h).

// Every four of a row is whole and lies at a multiple of four.
layout(constant_id = 1) const bool FOURS = false;

vec4 four_of_words(uint low, uint high, uint dtype)
{
    return vec4(float_of_word(low, 0u, dtype), float_of_word(low, 1u, dtype), float_of_word(high, 0u, dtype),
                float_of_word(high, 1u, dtype));
}

// Binding NUMBER as words and as fours of them; the latter are read where FOURS.
#define INPUT(number, name)                                                                                            \
    layout(std430, set = 0, binding = number) readonly buffer name##_block { uint name[]; };                           \
    layout(std430, set = 0, binding = number) readonly buffer name##_fours_block { uvec4 name##_fours[]; };

// Floats that are read, by LOAD_UPDATED, and written.
#define UPDATED(number, name)                                                                                          \
    layout(std430, set = 0, binding = number) buffer name##_block { float name[]; };                                   \
    layout(std430, set = 0, binding = number) buffer name##_fours_block { vec4 name##_fours[]; };

#define OUTPUT(number, name)                                                                                           \
    layout(std430, set = 0, binding = number) writeonly buffer name##_block { float name[]; };                         \
    layout(std430, set = 0, binding = number) writeonly buffer name##_fours_block { vec4 name##_fours[]; };

// vec4 `value`: `count` elements from element `index` on, `step` apart; 0 behind them.
#define LOAD_FOUR(value, name, index, step, count, dtype)                                                              \
    vec4 value = vec4(0);                                                                                              \
    if (FOURS && dtype == F32) {                                                                                       \
        value = uintBitsToFloat(name##_fours[(index) >> 2]);                                                           \
    } else if (FOURS) {                                                                                                \
        value = four_of_words(name[(index) >> 1], name[((index) >> 1) + 1], dtype);                                    \
    } else {                                                                                                           \
        for (uint i_ = 0, at_ = index; i_ < 4; i_++, at_ += step)                                                      \
            if (i_ < count) value[i_] = LOAD_AS(name, at_, dtype);                                                     \
    }

#define LOAD_UPDATED(value, name, index, step, count)                                                                  \
    vec4 value = vec4(0);                                                                                              \
    if (FOURS) {                                                                                                       \
        value = name##_fours[(index) >> 2];                                                                            \
    } else {                                                                                                           \
        for (uint i_ = 0, at_ = index; i_ < 4; i_++, at_ += step)                                                      \
            if (i_ < count) value[i_] = name[at_];                                                                     \
    }

#define STORE_FOUR(name, index, step, count, value)                                                                    \
    if (FOURS) {                                                                                                       \
        name##_fours[(index) >> 2] = value;                                                                            \
    } else {                                                                                                           \
        for (uint i_ = 0, at_ = index; i_ < 4; i_++, at_ += step)                                                      \
            if (i_ < count) name[at_] = value[i_];                                                                     \
    }
