/* Mutants: the reference with one bug planted, to see that the case table notices. */
#ifndef SCRY_CONFORM_MUTANTS_H
#define SCRY_CONFORM_MUTANTS_H

#include "scry/backend.h"

typedef void scry__mutant_before(scry_op *op);
typedef void scry__mutant_after(const scry_op *op);

typedef struct scry__mutant {
    const char          *name;
    scry_op_kind         kind;
    scry__mutant_before *before; /* changes the descriptor that runs */
    scry__mutant_after  *after;  /* changes the results */
} scry__mutant;

/* A NULL name ends each. */
extern const scry__mutant scry__attention_mutants[], scry__other_mutants[], scry__training_mutants[];

/* Elements of the reference's buffers: f32, and i32 for ids, in row-major order of the shape. */
char   *scry__mutant_address(const scry_tensor *x, int64_t index);
float   scry__mutant_get(const scry_tensor *x, int64_t index);
void    scry__mutant_put(const scry_tensor *x, int64_t index, double value);
int32_t scry__mutant_get_id(const scry_tensor *x, int64_t index);
void    scry__mutant_put_id(const scry_tensor *x, int64_t index, int32_t value);
void    scry__mutant_map(const scry_tensor *x, double (*f)(double));

/* Rounds to 11 significant bits, as f16 and TF32 do. */
double scry__mutant_to_half(double value);

/* Rounds an input so, and puts it back: all that the op may see of such a bug is its result. */
void scry__mutant_stage(const scry_tensor *x);
void scry__mutant_unstage(const scry_tensor *x);

/* Bugs that any op can have. */
scry__mutant_after scry__mutant_leave_last, scry__mutant_write_past_end, scry__mutant_write_before_start,
    scry__mutant_vary, scry__mutant_give_half;

#endif
