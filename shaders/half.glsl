// From f32 to f16 and bf16, rounded to nearest even, and storing them: two share a word, of which an item that has only
// one of them changes only its half.

uint bfloat_of_float(float value)
{
    const uint bits = floatBitsToUint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return bits >> 16 | 0x40u; // NaN stays one
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

uint half_of_float(float value)
{
    const uint bits = floatBitsToUint(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return sign | 0x7e00u;  // NaN
    if (magnitude >= 0x477ff000u) return sign | 0x7c00u; // rounds to 2^16 or is beyond
    if (magnitude >= 0x38800000u) // normal as f16: exponents move down by 112
        return sign | (magnitude + 0xfffu + (magnitude >> 13 & 1u)) - 0x38000000u >> 13;
    // Subnormal as f16, in units of 2^-24.
    const uint exponent = magnitude >> 23;
    if (exponent < 102u) return sign; // below 2^-25
    const uint mantissa = magnitude & 0x7fffffu | 0x800000u, shift = 126u - exponent;
    const uint whole = mantissa >> shift, rest = mantissa & (1u << shift) - 1u, tie = 1u << shift - 1u;
    return sign | whole + uint(rest > tie || rest == tie && (whole & 1u) == 1u);
}

bool is_short(uint dtype)
{
    return dtype == F16 || dtype == BF16;
}

// The 16 bits of an f32 as `dtype`, F16 or BF16.
uint short_of_float(float value, uint dtype)
{
    return dtype == BF16 ? bfloat_of_float(value) : half_of_float(value);
}

// Element `index`, of 2 bytes, of a binding of uint that is neither readonly nor writeonly.
#define STORE_SHORT(to, index, bits)                                                                                   \
    {                                                                                                                  \
        const uint low_ = ((index) & 1u) * 16u;                                                                        \
        atomicAnd(to[(index) >> 1], 0xffff0000u >> low_);                                                              \
        atomicOr(to[(index) >> 1], (bits) << low_);                                                                    \
    }
