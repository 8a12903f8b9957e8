/* Small floating-point formats, written from their definitions rather than by bit tricks: a value is sign * mantissa *
 * 2^exponent, and rounding goes to the nearest multiple of the unit in the last place, ties to even. */
#include "access.h"

#include <math.h>

double scry__reference_f16_value(uint16_t bits)
{
    int    exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double sign = bits >> 15 ? -1 : 1;
    if (exponent == 31) return mantissa ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0) return sign * mantissa * 0x1p-24;
    return sign * ldexp(1024 + mantissa, exponent - 25);
}

/* Encodes in a format of 1 sign bit, `exponent_bits` and `mantissa_bits`, laid out as IEEE 754 does. */
static uint16_t encode(double value, int exponent_bits, int mantissa_bits)
{
    int      bias     = (1 << (exponent_bits - 1)) - 1;
    uint16_t sign     = signbit(value) ? 0x8000 : 0;
    uint16_t infinity = (uint16_t)(((1 << exponent_bits) - 1) << mantissa_bits);
    double   size     = fabs(value);
    if (isnan(value)) return sign | infinity | (uint16_t)(1 << (mantissa_bits - 1));

    int exponent = size > 0 && !isinf(size) ? ilogb(size) : 0;
    if (exponent < 1 - bias || size == 0) exponent = 1 - bias; /* subnormals share the smallest exponent's unit */
    double units = rint(ldexp(size, mantissa_bits - exponent));
    if (isinf(size) || ldexp(units, exponent - mantissa_bits) >= ldexp(1, bias + 1)) return sign | infinity;
    /* A subnormal's field is its units; otherwise the leading 1 of `units` adds one to the exponent field, and so does
     * a mantissa that was rounded up to the next power of two. */
    return sign | (uint16_t)(((exponent - (1 - bias)) << mantissa_bits) + (int)units);
}

uint16_t scry__reference_f16_bits(double value)
{
    return encode(value, 5, 10);
}

uint16_t scry__reference_bf16_bits(double value)
{
    return encode(value, 8, 7);
}

int32_t scry__reference_i32(double value)
{
    if (isnan(value)) return 0;
    if (value <= INT32_MIN) return INT32_MIN;
    if (value >= INT32_MAX) return INT32_MAX;
    return (int32_t)rint(value);
}
