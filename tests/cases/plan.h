/* A case in the making: an op whose tensors lie in host images, with the layout that the case asks for.
 *
 * An image is the whole content of one buffer: guard, elements with the gaps that the strides leave, guard. Builders
 * add operands and fill them; run.c copies the images to a device and back; judges read elements. */
#ifndef SCRY_CASES_PLAN_H
#define SCRY_CASES_PLAN_H

#include "base/number.h"
#include "cases/cases.h"

enum { SCRY__GUARD_BYTES = 64, SCRY__MAX_OPERANDS = 48 };

/* UPDATED outputs are read before they are written. */
typedef enum scry__role { SCRY__INPUT, SCRY__OUTPUT, SCRY__UPDATED } scry__role;

/* How an operand lies in memory; flags combine. */
enum {
    SCRY__PLAIN      = 0,
    SCRY__PADDED     = 1,  /* an odd offset, and every row, plane, ... longer than needed */
    SCRY__TRANSPOSED = 2,  /* the last two axes exchanged in memory */
    SCRY__SWAPPED    = 4,  /* axes 1 and 2 exchanged in memory */
    SCRY__SPACED     = 8,  /* a gap behind every element */
    SCRY__REPEAT0    = 16, /* stride 0 along axis 0, 1, 2, 3 */
    SCRY__REPEAT1    = 32,
    SCRY__REPEAT2    = 64,
    SCRY__REPEAT3    = 128,
};

typedef struct scry__array {
    const char *name;
    scry__role  role;
    size_t      place;                 /* of its tensor inside scry_op */
    scry_tensor view;                  /* inside the image; buffer NULL */
    int64_t     origin[SCRY_MAX_RANK]; /* of the view, where it was narrowed */
    bool        contiguous, dropped;   /* dropped: no longer part of the op */
    int         storage;               /* the operand whose image it uses: its own index, or in place another's */
    size_t      bytes;                 /* of the image */
    uint8_t    *image;                 /* before the op */
    uint8_t    *expected;              /* after it, on the reference; NULL before a run, as are those that follow */
    uint8_t    *got;                   /* after it, on the device under test; NULL where it may only be read */
    size_t      changed;               /* of what may only be read: 1 + the first byte that the device changed */
    uint8_t    *again;                 /* after it once more */
} scry__array;

typedef struct scry__plan {
    scry_op      op;
    scry__random random;
    bool         bare;  /* each output is one input, or one term of full significand: see scry__verdict */
    bool         wide;  /* finite values past the range of f16 take part */
    bool         mute;  /* meant to have nothing but 0, infinities or NaN in its outputs */
    bool         exact; /* products and sums of the inputs are exact in f32: no rounding may show */
    int          count;
    scry__array  operands[SCRY__MAX_OPERANDS];
    scry_status  status; /* the first failure; later additions do nothing */
} scry__plan;

/* Adds an operand for `tensor`, a field of plan->op, which gets its view. Images start as all-ones bytes: NaN in every
 * float type, -1 in i32. Never NULL. */
scry__array *scry__plan_add(scry__plan *plan, scry_tensor *tensor, const char *name, scry__role role, scry_dtype dtype,
                            unsigned layout, int rank, const int64_t *shape);
/* An output that lies on an operand already added, element for element. */
scry__array *scry__plan_add_in_place(scry__plan *plan, scry_tensor *tensor, const char *name, const scry__array *on);
/* An input that is entry `index` along axis 0 of an input already added, in the same memory. */
scry__array *scry__plan_add_entry(scry__plan *plan, scry_tensor *tensor, const char *name, const scry__array *of,
                                  int64_t index);
/* The operand of a field of plan->op; NULL where the case has none. */
const scry__array *scry__plan_find(const scry__plan *plan, const scry_tensor *tensor);
/* The field of an op that an operand belongs to. */
scry_tensor *scry__plan_tensor(scry_op *op, const scry__array *array);
/* Does the op write to the image of operand `storage`? */
bool scry__plan_is_written(const scry__plan *plan, int storage);
/* Takes an optional operand away again. */
void scry__plan_drop(scry__plan *plan, scry__array *array);
/* Narrows an operand to [begin, begin + count) along an axis; its image stays. */
void scry__plan_slice(scry__plan *plan, scry__array *array, int axis, int64_t begin, int64_t count);
void scry__plan_finish(scry__plan *plan);

/* Elements are numbered in row-major order of the shape. */
int64_t scry__array_count(const scry__array *operand);
size_t  scry__array_place(const scry__array *operand, int64_t index); /* byte of the image */
double  scry__array_read(const scry__array *operand, const uint8_t *image, int64_t index);
double  scry__array_get(const scry__array *operand, int64_t index); /* before the op */
void    scry__array_set(scry__array *operand, int64_t index, double value);
void    scry__array_fill(scry__array *operand, double value);
void    scry__array_fill_normal(scry__plan *plan, scry__array *operand, double mean, double deviation);
void    scry__array_fill_integers(scry__plan *plan, scry__array *operand, int low, int high);
/* Puts one of NaN, inf, -inf at every `period`-th element. */
void scry__array_fill_specials(scry__array *operand, int64_t period);
/* Integers of [-4, 4] where the plan is exact, else standard normal numbers: what most inputs are. */
void scry__array_fill_usual(scry__plan *plan, scry__array *operand);

/* The op with its operands on a device, outputs that are not read first filled with `canary` bytes. */
typedef struct scry__loaded {
    scry_op      op;
    scry_buffer *buffers[SCRY__MAX_OPERANDS];
} scry__loaded;
scry_status scry__plan_load(scry__loaded *loaded, const scry__plan *plan, scry_device *device, int canary);
void        scry__plan_unload(scry__loaded *loaded);

/* Runs the op on a device so and brings the images back into that member of each operand; `info`, which may be NULL, is
 * what the device says of the op. */
typedef enum scry__image { SCRY__IMAGE_EXPECTED, SCRY__IMAGE_GOT, SCRY__IMAGE_AGAIN } scry__image;
scry_status scry__plan_run(scry__plan *plan, scry_device *device, int canary, scry__image into, scry_op_info *info);

/* Sets *plan to the part number `sample` of a case of so many flops that is to be judged: the case itself where it is
 * not large. False where there is no such part. The images stay those of `whole`. */
bool scry__plan_sample(scry__plan *plan, const scry__plan *whole, int sample, double flops);

/* A family of rows for one op. */
typedef struct scry__case_table {
    scry_op_kind kind;
    int          count;
    scry__case (*describe)(int row); /* all but kind and seed */
    void (*build)(scry__plan *plan, int row);
} scry__case_table;

extern const scry__case_table scry__matmul_table, scry__softmax_table, scry__attention_table, scry__rope_table,
    scry__norm_table, scry__lens_table, scry__embed_table, scry__add_table, scry__scale_table, scry__activation_table,
    scry__copy_table, scry__fill_table, scry__sum_table, scry__activation_backward_table, scry__norm_backward_table,
    scry__embed_backward_table, scry__attention_backward_table, scry__loss_table, scry__adamw_table, scry__sgd_table;

/* Makes the case of a row of the whole table, with data from `seed` (0: its own). */
scry_status scry__plan_build(scry__plan *plan, int index, uint64_t seed);

#define SCRY__SHAPE(...) ((const int64_t[SCRY_MAX_RANK]){__VA_ARGS__})

#endif
