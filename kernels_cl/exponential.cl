/* The exponential that softmax.cl, attention.cl and activation.cl share. In front of them in their programs. */

/* exp(x) for x <= 0, -inf or NaN, and in *bounded x itself, at least -88.03: for products with the result, which are
 * NaN for 0 and an infinite x.
 *
 * x = n ln 2 + r with ln 2 in two parts, the first of so few bits that n times it is exact; exp(r) is a minimax
 * polynomial on |r| <= ln 2 / 2, its relative error 0.05 * 2^-24. With the roundings of its last two steps and of r the
 * result is within 2 ulp down to 2^-126. From 2^-126.5 on it is 0, since 2^-127 put together from its bits is 0: so
 * exp(-inf) = 0; exp(0) = 1 exactly. Unlike the built-in function it is the same on every device that rounds products
 * alike, and of adds and multiplies only. */
#define EXP_NEGATIVE(name, floats, as_floats, as_bits)                                                                 \
    static INLINE floats name(floats x, floats *bounded)                                                               \
    {                                                                                                                  \
        *bounded       = select(x, (floats)(-0x1.602p6f), x < -0x1.602p6f);                                            \
        floats shifted = *bounded * 0x1.715476p0f + 0x1.8p23f, n = shifted - 0x1.8p23f;                                \
        floats r = *bounded - n * 0x1.63p-1f;                                                                          \
        r        = r + n * 0x1.bd0106p-13f;                                                                            \
        floats p = (floats)(0x1.6a234ep-10f);                                                                          \
        p        = p * r + 0x1.123a6cp-7f;                                                                             \
        p        = p * r + 0x1.5558f4p-5f;                                                                             \
        p        = p * r + 0x1.55549p-3f;                                                                              \
        p        = p * r + 0x1.fffffcp-2f;                                                                             \
        p        = (p * (r * r) + r) + 1.0f;                                                                           \
        return p * as_floats((as_bits(shifted) << 23) + 0x3f800000u);                                                  \
    }
EXP_NEGATIVE(exp_negative, float, as_float, as_uint)
EXP_NEGATIVE(exp_negative16, float16, as_float16, as_uint16)
#ifdef LANES
EXP_NEGATIVE(exp_negative_lanes, lanes, JOIN(as_float, LANES), JOIN(as_uint, LANES))
#endif
