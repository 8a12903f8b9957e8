/* What queries, keys and values hold in the cases of attention. */
#ifndef SCRY_CASES_ATTENTION_DATA_H
#define SCRY_CASES_ATTENTION_DATA_H

#include "cases/plan.h"

/* Kinds of data. */
typedef enum scry__attention_data {
    SCRY__DATA_NORMAL,
    SCRY__DATA_SHARP,        /* queries ten times as large: most rows choose one key */
    SCRY__DATA_UNIFORM,      /* queries 0: every visible key alike, all ties */
    SCRY__DATA_NEAR_TIES,    /* queries of 2^-40: scores differ, and the probabilities are the same number in f32 */
    SCRY__DATA_LATTICE,      /* small integers: scores are exact, with many ties */
    SCRY__DATA_LOW,          /* every score near -76,800, below what a careless mask uses for minus infinity */
    SCRY__DATA_NANS,         /* one key is NaN: rows that see it are NaN, all others are not */
    SCRY__DATA_LOWEST,       /* every score is -10^35: all alike, below any number that stands for minus infinity */
    SCRY__DATA_TAIL,         /* one key of probability 0.7, all others near 0.3 / K, values near 1 */
    SCRY__DATA_GROWING,      /* values grow with their key, so that the first unseen key would show in any row */
    SCRY__DATA_WIDE,         /* products of queries and keys, and values, past the range of f16 */
    SCRY__DATA_BARE_VALUES,  /* for rows that see one key: the output is its value */
    SCRY__DATA_BARE_SCORES,  /* keys have one entry, a power of two: each score is an entry of the query */
    SCRY__DATA_BARE_WEIGHTS, /* values do not depend on the key: the output is the value, whatever the weights */
} scry__attention_data;

typedef enum scry__attention_part { SCRY__QUERIES, SCRY__KEYS, SCRY__VALUES } scry__attention_part;

void scry__attention_fill(scry__plan *plan, scry__array *operand, scry__attention_data data, scry__attention_part part);

#endif
