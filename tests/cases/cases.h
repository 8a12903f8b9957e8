/* Op cases: one table that every backend must pass.
 *
 * Each case is one op with its data. It runs on the reference and on the device under test; the results are compared
 * element by element, within bounds derived from the arithmetic of the op (bounds.h), never tuned. Around each operand
 * lie guard bytes, and between its elements gaps, that must come back untouched; inputs must come back unchanged; a
 * second run over differently filled outputs must give the same bits, so that an element left unwritten shows. Cases of
 * small integers must be equal to the bit. The rest of this folder is private to it. No test framework stands under it.
 */
#ifndef SCRY_CASES_H
#define SCRY_CASES_H

#include "scry/device.h"

/* Each tier holds the one before. */
typedef enum scry__tier {
    SCRY__TIER_TINY,  /* for simulators that run a million operations a second */
    SCRY__TIER_QUICK, /* under a minute on a software device */
    SCRY__TIER_FULL,  /* and operands past 128 MiB, launches past 65,535 groups, the sizes that are benchmarked */
} scry__tier;

/* A row of the table. The name reproduces it: the data follow from the seed, and the seed from the name. */
typedef struct scry__case {
    const char    *name; /* "attention/window-of-3" */
    scry_op_kind   kind;
    uint64_t       seed;
    scry__tier     tier; /* the first that holds it */
    bool           benchmark;
    scry_precision precision; /* that the op asks for */
} scry__case;

int        scry__case_count(void);
scry__case scry__case_at(int index);
int        scry__case_find(const char *name); /* -1: there is none */

/* The row that stands for a class of shapes (device/shape_class.h) of an op; -1: the op has no such class. */
int scry__case_of_class(scry_op_kind kind, const char *class);

typedef struct scry__case_result {
    scry_status status;      /* of the run: OK, or why there is nothing to compare (SCRY_UNSUPPORTED, ...) */
    bool        passed;      /* status OK and nothing wrong */
    int64_t     compared;    /* output elements */
    double      worst;       /* largest error / bound among them; infinite where an exact value was missed */
    double      delivered;   /* the unit roundoff that would just explain the largest error */
    bool        bare;        /* a row of which `delivered` says all: each output is one input, or one term */
    bool        wide;        /* finite values past the range of f16 took part */
    bool        overflowed;  /* and came back as none */
    char        kernel[48];  /* that ran, where the device names it */
    char        output[32];  /* the output with the largest */
    char        detail[384]; /* the first thing wrong, or the run's error; "" if none */
} scry__case_result;

/* Runs row `index`, with the row's own seed where `seed` is 0. Fails (rather than filling `result`) only where the case
 * itself cannot be made or the reference cannot run it. */
scry_status scry__case_run(scry__case_result *result, int index, uint64_t seed, scry_device *reference,
                           scry_device *device);

/* A row's op with its operands on a device, to be run as often as one likes; the op's own outputs are overwritten. */
typedef struct scry__case_load scry__case_load;
scry_status                    scry__case_load_create(scry__case_load **out, int index, scry_device *device);
const scry_op                 *scry__case_load_op(const scry__case_load *load);
void                           scry__case_load_destroy(scry__case_load **load);

/* Relations: facts between two runs on one device that hold whatever its rounding is. A future token changes no earlier
 * row; a capture changes nothing else; a tile, a head, a sequence, a layer alone is what it is among others; strides
 * and repeated key heads change nothing: equalities of bits. And queries and keys that turn by as many positions more
 * have the same dot product, within a bound. */
int         scry__relation_count(void);
scry__case  scry__relation_at(int index); /* "a future token changes no earlier row: attention/causal" */
scry_status scry__relation_run(scry__case_result *result, int index, uint64_t seed, scry_device *device);

#endif
