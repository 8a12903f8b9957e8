/* What the files of the OpenCL backend share: the open device, launching kernels, and each op's two functions.
 *
 * Kernels are OpenCL C 1.2, one op per file in kernels_cl/, each built with kernels_cl/common.cl in front of it. */
#ifndef SCRY_OPENCL_H
#define SCRY_OPENCL_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "scry/backend.h"
#include "shared/operands.h"
#include "shared/store.h"

extern const struct scry_host *scry__cl_host;

struct scry__cl_programs; /* program.c: built programs and their kernels */

/* Tensors of one kernel that can lie across the parts of their buffers: as many as its parameters have room for. */
enum { SCRY__CL_STAGED = 18 };

/* An open device. */
struct scry__cl {
    cl_platform_id            platform;
    cl_device_id              device;
    cl_context                context;
    cl_command_queue          queue; /* in order */
    scry_device              *front;
    struct scry__cl_programs *programs;
    scry_device_statistics    statistics;
    bool                      is_cpu;        /* items are threads with wide vectors: blocks of work, no local memory */
    bool                      shares_memory; /* the host's memory can be used in place */
    bool                      divides_right; /* division and square root can be had correctly rounded */
    uint32_t                  compute_units;
    uint32_t                  vector_floats; /* of the vectors that it has in hardware */
    size_t                    most_items;    /* of one work group */
    size_t                    local_bytes;
    size_t                    most_allocated;           /* bytes of one cl_mem */
    cl_mem                    staging[SCRY__CL_STAGED]; /* SCRY_REACHABLE_BYTES each, for what lies across parts */
    bool                      used_library;             /* CLBlast */
    bool                      lost;
    bool                      drained; /* lost, and what it still had to do was waited for */
    struct scry__store        store;   /* of built programs, on disk */
};

/* --- The device (device.c) --- */

/* A lost device is not waited for by the front door: what it may still do must not meet memory that is gone. */
void scry__cl_drain(struct scry__cl *cl);

/* --- Memory (memory.c) ---
 * A buffer larger than the device allocates at once is several cl_mem, its parts. A range across two parts is staged:
 * copied together before the kernel, and apart again behind it. */

struct scry__cl_memory {
    size_t part_bytes; /* of each part but the last */
    size_t skipped;    /* bytes of the first part before the buffer's own */
    int    count;
    cl_mem parts[];
};

/* Where byte `offset` of a buffer lies. */
struct scry__cl_place {
    cl_mem part;
    size_t offset;
    size_t left; /* bytes from there to the part's end */
};

struct scry__cl_place scry__cl_place(const scry_buffer *buffer, size_t offset);
/* Enqueues a copy of bytes between two ranges that do not overlap, wherever they lie. */
scry_status scry__cl_move(struct scry__cl *cl, scry_buffer *to, size_t to_offset, const scry_buffer *from,
                          size_t from_offset, size_t bytes);

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
/* The same for a call that waits for kernels: resources that run out there mean that a kernel crashed. */
scry_status scry__cl_check_wait(struct scry__cl *cl, cl_int code, const char *what);

/* --- Programs (program.c) --- */

/* The kernel, built where it was not yet; see scry__cl_call. */
scry_status scry__cl_kernel(cl_kernel *out, struct scry__cl *cl, const char *file, const char *name,
                            const char *options);
/* Releases every program and kernel. */
void scry__cl_programs_destroy(struct scry__cl *cl);

/* Seconds on a clock that only goes forward (program.c). */
double scry__cl_now(void);

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

/* Kernel `name` of kernels_cl/FILE.cl ("mask+softmax": of several such files, one after another), built (once for each
 * `options`; later calls are cheap) with `options` such as "-DWEIGHT=2 -DHEAD=64". */
struct scry__cl_call scry__cl_call(struct scry__cl *cl, const char *file, const char *name, const char *options);

enum scry__cl_access { SCRY__CL_READ = 1, SCRY__CL_WRITE = 2 };

/* Where a kernel finds a tensor: in its buffer, or staged (stage.c). */
scry_status scry__cl_stage(struct scry__cl_call *call, const scry_tensor *tensor, unsigned access,
                           struct scry__cl_place *place);
/* Copies what was staged and written back, behind the kernel. */
scry_status scry__cl_unstage(struct scry__cl_call *call);

/* Two parameters: `__global T *name, view name_view`. An absent tensor gives a null pointer. access: READ, WRITE or
 * both. */
void scry__cl_tensor(struct scry__cl_call *call, const scry_tensor *tensor, unsigned access);
/* One parameter `__global T *`: the device's scratch, from byte `offset` (a multiple of 4) on, which is passed as a
 * second parameter, `long`, in elements of 4 bytes. */
void scry__cl_scratch(struct scry__cl_call *call, size_t offset);
/* What scry__cl_tensor passes, one by one: a `__global T *`, and a `view` that begins at byte `offset` of it. */
void scry__cl_memory(struct scry__cl_call *call, cl_mem memory);
void scry__cl_view(struct scry__cl_call *call, const scry_tensor *tensor, size_t offset);
void scry__cl_long(struct scry__cl_call *call, int64_t value); /* long */
void scry__cl_int(struct scry__cl_call *call, int32_t value);  /* int */
void scry__cl_float(struct scry__cl_call *call, float value);  /* float */
void scry__cl_local(struct scry__cl_call *call, size_t bytes); /* __local T * */
/* Any plain struct that both sides lay out alike: 8-byte members first, no implicit padding. */
void scry__cl_bytes(struct scry__cl_call *call, const void *value, size_t bytes);

/* A kernel's parameters together may take 1,024 bytes (CL_DEVICE_MAX_PARAMETER_SIZE); a tensor takes 56.
 *
 * Enqueues over `global` items in groups of `local` (NULL: a size that divides it; else global is rounded up to it, so
 * the kernel checks its range). dimensions: 1 to 3. */
scry_status scry__cl_launch(struct scry__cl_call *call, int dimensions, const size_t *global, const size_t *local);

/* --- Ops --- */

/* Each one's two functions. */
#define SCRY__PLUGIN     scry__cl
#define SCRY__TRAINED(X) SCRY_TRAINING_OP_LIST(X)
#include "shared/ops.h"

__typeof__(scry_device_query)   scry__cl_query;
__typeof__(scry_device_run)     scry__cl_run;
__typeof__(scry_device_kernels) scry__cl_kernels;

/* The NULL-terminated names of the kernels of ops that have more than one. The name that the device was opened with is
 * in cl->front->kernel; NULL there leaves the choice to the op. */
const char *const       *scry__cl_matmul_kernels(void);
extern const char *const scry__cl_softmax_kernels[];
extern const char *const scry__cl_attention_kernels[];
extern const char *const scry__cl_runs_kernels[], *const scry__cl_norm_kernels[], *const scry__cl_lens_kernels[];

/* A mask as MASK_PARAMETERS of mask.cl take it (mask.c). */
void scry__cl_mask(struct scry__cl_call *call, const scry_mask *mask);

/* Kernels leave the statistics of row r of [B, H, Q] as a record in scratch (mask.cl): lse, entropy, max, argmax (the
 * bits of an int), previous, self, first, key_mass, all f32. This writes those that are wanted to their tensors, from
 * the records at byte `offset` of the scratch (mask.c, kernels_cl/rows.cl). */
enum { SCRY__CL_RECORD = 8 };
scry_status scry__cl_rows(struct scry__cl *cl, const scry_row_statistics *rows, const int64_t shape[3], size_t offset);

#endif
