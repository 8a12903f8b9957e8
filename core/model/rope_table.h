/* Cosine and sine tables of rotary embeddings, computed in f64 on the host.
 *
 * Frequency i of R/2 is theta^(-2i/R), changed by kind (R, factor, ... are the fields of scry__rope):
 *   linear    divided by factor;
 *   dynamic   theta grows with the length n once n > max_position: theta (factor n / max_position - factor +
 * 1)^(R/(R-2)); yarn      between frequency and frequency / factor, by a ramp over i from the dimension that turns
 * beta_fast times over `original` positions to the one that turns beta_slow times (Peng et al. 2023); llama3
 * wavelengths above original / low_frequency_factor are divided by factor, those below original / high_frequency_factor
 * stay, with a blend between; longrope  divided by long_factor[i] where n > original, else by short_factor[i]. Cosine
 * and sine are multiplied by attention_factor. */
#ifndef SCRY_MODEL_ROPE_TABLE_H
#define SCRY_MODEL_ROPE_TABLE_H

#include "model/arch.h"

/* The R/2 frequencies, in radians per position, for sequences of `length`. `round` rounds them to f32. */
void scry__rope_frequencies(double *frequencies, const scry__rope *rope, int64_t length, bool round);

/* The length that decides the frequencies of a pass over `length` positions: equal for two lengths whose tables are
 * the same. */
int64_t scry__rope_regime(const scry__rope *rope, int64_t length);

/* Rows of positions [begin, begin + count): cosine and sine are [count, R/2]. */
void scry__rope_rows(float *cosine, float *sine, const scry__rope *rope, const double *frequencies, int64_t begin,
                     int64_t count);

#endif
