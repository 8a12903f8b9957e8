/* Numbers: checked size arithmetic, half and bfloat conversion, and a seeded generator. */
#ifndef SCRY_BASE_NUMBER_H
#define SCRY_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b (or a + b); false where it overflows. */
bool scry__multiply(size_t a, size_t b, size_t *out);
bool scry__plus(size_t a, size_t b, size_t *out);

/* IEEE half and bfloat16, round to nearest even; NaN stays NaN. */
float    scry__f16_to_f32(uint16_t half);
uint16_t scry__f32_to_f16(float value);
float    scry__bf16_to_f32(uint16_t bits);
uint16_t scry__f32_to_bf16(float value);

/* xoshiro256** seeded by splitmix64 (Blackman and Vigna): the same sequence everywhere. */
typedef struct scry__random {
    uint64_t state[4];
} scry__random;
void     scry__random_seed(scry__random *random, uint64_t seed);
uint64_t scry__random_bits(scry__random *random);
double   scry__random_uniform(scry__random *random);               /* [0, 1) with 53 bits */
uint64_t scry__random_below(scry__random *random, uint64_t bound); /* unbiased, [0, bound) */
double   scry__random_normal(scry__random *random);                /* mean 0, variance 1 */

#endif
