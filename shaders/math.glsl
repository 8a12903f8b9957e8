// Elementary functions of adds and multiplies, since Vulkan's own may be off by more than bounds allow. What they give
// depends on nothing but their argument, so that kernels which compute the same number agree to the bit.

#define INFINITE uintBitsToFloat(0x7f800000u)

// exp(x) for x <= 0, -inf or NaN, and in `bounded` x itself, at least -88.03: for products with the result, which are
// NaN for 0 and an infinite x.
//
// x = n ln 2 + r with ln 2 in two parts, the first of so few bits that n times it is exact; exp(r) is a minimax
// polynomial on |r| <= ln 2 / 2, its relative error 0.05 * 2^-24. With the roundings of its last two steps and of r the
// result is within 2 ulp down to 2^-126. From 2^-126.5 on it is 0, since 2^-127 put together from its bits is 0: so
// exp(-inf) = 0; exp(0) = 1 exactly.
float exp_bounded(float x, out float bounded)
{
    bounded               = x < -88.03125 ? -88.03125 : x;
    precise float shifted = bounded * 1.442695 + 12582912.0; // 1.5 * 2^23: its last bits are n
    precise float n       = shifted - 12582912.0;
    precise float r       = bounded - n * 6.933594e-01;
    r                     = r + n * 2.1219444e-04;
    precise float p       = 1.3814465e-03;
    p                     = p * r + 8.368781e-03;
    p                     = p * r + 4.1668393e-02;
    p                     = p * r + 1.666652e-01;
    p                     = p * r + 4.9999994e-01;
    p                     = (p * (r * r) + r) + 1.0;
    return p * uintBitsToFloat((floatBitsToUint(shifted) << 23) + 0x3f800000u);
}

float exp_negative(float x)
{
    float bounded;
    return exp_bounded(x, bounded);
}

// ln(x) for normal x > 0 or NaN, within 1 ulp; ln(1) = 0 exactly.
//
// x = 2^n (1 + f) with 1 + f from sqrt(1/2) to sqrt(2); ln(1 + f) = f - f^2/2 + f^3 p(f), p a minimax polynomial that
// makes a relative error of 0.1 * 2^-24. n times the first part of ln 2 is exact.
float log_positive(float x)
{
    const uint    bits   = floatBitsToUint(x) - 0x3f3504f3u; // sqrt(1/2)
    const float   n      = float(int(bits) >> 23);
    precise float f      = uintBitsToFloat((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0;
    precise float square = f * f;
    precise float p      = -7.634520e-02;
    p                    = p * f + 1.2761569e-01;
    p                    = p * f - 1.316017e-01;
    p                    = p * f + 1.4201759e-01;
    p                    = p * f - 1.6623358e-01;
    p                    = p * f + 2.0001227e-01;
    p                    = p * f - 2.500082e-01;
    p                    = p * f + 3.333333e-01;
    p                    = p * (f * square) - n * 2.1219444e-04;
    p                    = (p - 0.5 * square) + f;
    p                    = p + n * 6.933594e-01;
    return (floatBitsToUint(x) & 0x7fffffffu) >= 0x7f800000u ? x : p;
}

// tanh(x), within 2 ulp and what division lacks: a minimax polynomial for small arguments, and 1 - 2 e / (1 + e) with e = exp(-2 |x|) for others.
float tanh_of(float x)
{
    const float   size   = abs(x);
    precise float square = x * x;
    precise float p      = -5.7170433e-03;
    p                    = p * square + 2.0650586e-02;
    p                    = p * square - 5.3743497e-02;
    p                    = p * square + 1.3331491e-01;
    p                    = p * square - 3.3333284e-01;
    p                    = p * (square * x) + x;
    const float e        = exp_negative(-2.0 * size);
    const float far      = 1.0 - 2.0 * e / (1.0 + e);
    return size < 0.625 ? p : uintBitsToFloat(floatBitsToUint(far) | (floatBitsToUint(x) & 0x80000000u));
}
