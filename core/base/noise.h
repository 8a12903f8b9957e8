/* Random numbers by their index: any number of a stream is had without those before it, and every machine gives the
 * same bits, normal numbers included. */
#ifndef SCRY_BASE_NOISE_H
#define SCRY_BASE_NOISE_H

#include <stdint.h>

/* The stream of a seed that goes by a name: each pair has its own. */
uint64_t scry__noise_stream(uint64_t seed, const char *name);

uint64_t scry__noise_bits(uint64_t stream, uint64_t index);

/* Of 0 < p < 1, the quantile of the standard normal distribution, within a relative 2e-7. */
double scry__normal_quantile(double p);

/* Mean 0, variance 1: the quantile that the number's bits stand for. */
double scry__noise_normal(uint64_t stream, uint64_t index);

#endif
