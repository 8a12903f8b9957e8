/* What the files of the OpenCL backend share: the open device, launching kernels, and each op's two functions.
 *
 * Kernels are OpenCL C 1.2, one op per file in kernels_cl/, each built with kernels_cl/common.cl in front of it. */
#ifndef SCRY_OPENCL_H
#define SCRY_OPENCL_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "scry/backend.h"

extern const struct scry_host *scry__cl_host;

struct scry__cl_program; /* program.c: built programs and their kernels */

/* An open device. */
struct scry__cl {
    cl_platform_id           platform;
    cl_device_id             device;
    cl_context               context;
    cl_command_queue         queue; /* in order */
    scry_device             *front;
    struct scry__cl_program *programs;
    scry_device_statistics   statistics;
    bool                     is_cpu;        /* items are threads with wide vectors: blocks of work, no local memory */
    bool                     shares_memory; /* the host's memory can be used in place */
    uint32_t                 compute_units;
    size_t                   most_items; /* of one work group */
    size_t                   local_bytes;
    size_t                   most_allocated; /* bytes of one cl_mem */
    cl_mem                   staging; /* SCRY__CL_STAGED ranges of SCRY_REACHABLE_BYTES, for what lies across parts */
    bool                     lost;
};

/* --- Memory (memory.c) ---
 * A buffer larger than the device allocates at once is several cl_mem, its parts. A range across two parts is staged:
 * copied together before the kernel, and apart again behind it. */

enum { SCRY__CL_STAGED = 8 };

struct scry__cl_memory {
    size_t part_bytes; /* of each part but the last */
    int    count;
    cl_mem parts[];
};

__typeof__(scry_buffer_create)  scry__cl_buffer_create;
__typeof__(scry_buffer_wrap)    scry__cl_buffer_wrap;
__typeof__(scry_buffer_destroy) scry__cl_buffer_destroy;
__typeof__(scry_buffer_write)   scry__cl_buffer_write;
__typeof__(scry_buffer_read)    scry__cl_buffer_read;
bool                            scry__cl_reaches(const scry_buffer *buffer, size_t offset, size_t bytes);

/* --- Errors (error.c) --- */

/* SCRY_OK for CL_SUCCESS; else the status that `code` means, with "opencl: WHAT: CL_..." as detail. A lost device marks
 * `cl` (which may be NULL). */
scry_status scry__cl_check(struct scry__cl *cl, cl_int code, const char *what);

/* --- Launching (launch.c) --- */

/* One launch of a kernel. Arguments are added in the order of the kernel's parameters; the first failure is kept and
 * given by scry__cl_launch, so that nothing needs checking in between. */
struct scry__cl_call {
    struct scry__cl *cl;
    cl_kernel        kernel;
    cl_uint          arguments;
    scry_status      status;
    struct {
        scry_tensor tensor; /* what was staged; written ones are copied apart behind the kernel */
        bool        written;
    } staged[SCRY__CL_STAGED];
    int staged_count;
};

/* Kernel `name` of kernels_cl/FILE.cl, built (once for each `options`; later calls are cheap) with `options` such as
 * "-DWEIGHT=2 -DHEAD=64". */
struct scry__cl_call scry__cl_call(struct scry__cl *cl, const char *file, const char *name, const char *options);

enum scry__cl_access { SCRY__CL_READ = 1, SCRY__CL_WRITE = 2 };

/* Two parameters: `__global T *name, view name_view`. An absent tensor gives a null pointer. access: READ, WRITE or
 * both. */
void scry__cl_tensor(struct scry__cl_call *call, const scry_tensor *tensor, unsigned access);
/* One parameter `__global T *`: the device's scratch, from byte `offset` (a multiple of 4) on, which is passed as a
 * second parameter, `long`, in elements of 4 bytes. */
void scry__cl_scratch(struct scry__cl_call *call, size_t offset);
void scry__cl_long(struct scry__cl_call *call, int64_t value); /* long */
void scry__cl_int(struct scry__cl_call *call, int32_t value);  /* int */
void scry__cl_float(struct scry__cl_call *call, float value);  /* float */
void scry__cl_local(struct scry__cl_call *call, size_t bytes); /* __local T * */
/* Any plain struct that both sides lay out alike: 8-byte members first, no implicit padding. */
void scry__cl_bytes(struct scry__cl_call *call, const void *value, size_t bytes);

/* A kernel's parameters together may take 1,024 bytes (CL_DEVICE_MAX_PARAMETER_SIZE); a tensor takes 56.
 *
 * Enqueues over `global` items in groups of `local` (NULL: the driver's choice; else global is rounded up to it, so the
 * kernel checks its range). dimensions: 1 to 3. */
scry_status scry__cl_launch(struct scry__cl_call *call, int dimensions, const size_t *global, const size_t *local);

/* --- Ops --- */

/* Each op has: what query says besides "supported in strict f32" (scratch bytes, the kernel's name, a reason against),
 * and the op itself, which enqueues. */
#define SCRY__CL_OP_LIST(X)                                                                                            \
    X(COPY, copy, scry_copy)                                                                                           \
    X(FILL, fill, scry_fill)

#define SCRY__CL_OP(KIND, name, type)                                                                                  \
    void        scry__cl_##name##_query(const struct scry__cl *cl, const type *op, scry_op_info *info);                \
    scry_status scry__cl_##name(struct scry__cl *cl, const type *op);
SCRY__CL_OP_LIST(SCRY__CL_OP)
#undef SCRY__CL_OP

/* The kernels of an op, by the name that the device was opened with or the backend's own choice: NULL-terminated. */
extern const char *const scry__cl_matmul_kernels[], *const scry__cl_attention_kernels[], *const scry__cl_lens_kernels[];

/* A mask as MASK_PARAMETERS of common.cl take it (mask.c). */
void scry__cl_mask(struct scry__cl_call *call, const scry_mask *mask);

/* Kernels leave the statistics of row r of [B, H, Q] as a record in scratch: lse, entropy, max, argmax (the bits of an
 * int), previous, self, first, key_mass, all f32. This writes those that are wanted to their tensors, from the records
 * at byte `offset` of the scratch (mask.c, kernels_cl/rows.cl). */
enum { SCRY__CL_RECORD = 8 };
scry_status scry__cl_rows(struct scry__cl *cl, const scry_row_statistics *rows, const int64_t shape[3], size_t offset);

static inline bool present(const scry_tensor *x)
{
    return x->buffer != NULL;
}

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t round_up(int64_t count, int64_t unit)
{
    return (count + unit - 1) / unit * unit;
}

#endif
