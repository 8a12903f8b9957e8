/* What the files of the CUDA backend share: the open device, its memory, launching kernels, and each op's two
 * functions.
 *
 * Kernels are in kernels_cuda/, one op per file. The backend is built twice: against the CUDA runtime as the plugin
 * "cuda", and, for tests, against tests/emulation as the plugin "cuda-emulated", which runs the same kernels on the
 * processor. */
#ifndef SCRY_CUDA_H
#define SCRY_CUDA_H

#include <cuda_runtime_api.h>

#include "kernels_cuda/view.h"
#include "scry/backend.h"
#include "shared/operands.h"

extern const struct scry_host *scry__cuda_host;

struct scry__cuda_library; /* library.c: cuBLAS, loaded */

/* What a device can do, asked once. */
struct scry__cuda_limits {
    int    compute;      /* compute capability, 90 for 9.0 */
    int    processors;   /* streaming multiprocessors */
    size_t shared_bytes; /* of one block, what must be asked for included */
    size_t l2_bytes;
    bool   is_integrated; /* shares its memory with the processor */
    bool   is_watched;    /* launches of seconds are ended by the system, as it shows a screen */
    bool   has_pools;     /* memory can be allocated in the order of a stream */
    bool   shares_memory; /* host memory can be used in place, unregistered */
    bool   is_emulated;   /* no GPU at all: kernels choose what is quick to emulate */
};

enum { SCRY__CUDA_MARKS = 8 };

/* A place in the ops' stream for the copies' stream to wait for. */
struct scry__cuda_mark {
    cudaEvent_t event;
    uint64_t    covers; /* it stands behind so much of what was given; 0: nowhere */
};

/* An open device. */
struct scry__cuda {
    int                        index; /* as CUDA numbers devices */
    struct scry__cuda_limits   limits;
    cudaStream_t               stream; /* ops, in order */
    cudaStream_t               copies; /* uploads, which ops that need them wait for */
    cudaMemPool_t              pool;   /* NULL where the device has none */
    scry_device               *front;
    struct scry__cuda_library *library; /* NULL before it is needed, or where it cannot be had */
    struct scry__cuda_ring    *ring;    /* ring.c: pinned memory that uploads and readbacks pass through */
    struct scry__cuda_mark     marks[SCRY__CUDA_MARKS];
    int                        next_mark;
    uint64_t                   given; /* to the ops' stream: ops, and writes in their order */
    scry_device_statistics     statistics;
    scry_status                failed; /* of scry__cuda_address in the running op */
    bool                       lost;
};

/* Makes it the calling thread's device: before any other call of the runtime. */
scry_status scry__cuda_enter(struct scry__cuda *cuda);

/* --- Errors (error.c) --- */

/* SCRY_OK for cudaSuccess; else the status that `code` means, with "cuda: WHAT: cudaErrorName: text" as detail. An
 * error that CUDA calls sticky marks `cuda` (which may be NULL) as lost. */
scry_status scry__cuda_check(struct scry__cuda *cuda, cudaError_t code, const char *what);

/* --- Memory (memory.c) --- */

struct scry__cuda_memory {
    void       *data;       /* on the device */
    cudaEvent_t written;    /* by the copies' stream */
    bool        is_pending; /* ops still have to wait for that */
    bool        is_borrowed;
    uint64_t    used; /* by what the ops' stream was given, up to this, behind which it is to be written; 0: nothing */
};

/* The device's address of a tensor's first element, for kernels that are launched next; NULL for an absent one. A
 * failure to wait for uploads is kept, and given by the next launch. */
void *scry__cuda_address(struct scry__cuda *cuda, const scry_tensor *tensor);
/* The address of the device's scratch, from byte `offset` on. */
void *scry__cuda_scratch(struct scry__cuda *cuda, size_t offset);

__typeof__(scry_buffer_create)  scry__cuda_buffer_create;
__typeof__(scry_buffer_wrap)    scry__cuda_buffer_wrap;
__typeof__(scry_buffer_destroy) scry__cuda_buffer_destroy;
__typeof__(scry_buffer_write)   scry__cuda_buffer_write;
__typeof__(scry_buffer_read)    scry__cuda_buffer_read;

/* --- Launching (launch.c) --- */

/* A tensor as a kernel sees it. */
struct cuda_view scry__cuda_view(struct scry__cuda *cuda, const scry_tensor *tensor);

/* One launch of a kernel over a line of blocks. */
struct scry__cuda_call {
    const void *kernel; /* SCRY__CUDA_CALL gives kernel and name */
    const char *name;
    int64_t     blocks;       /* 0: nothing is launched */
    int         threads;      /* of a block */
    size_t      shared_bytes; /* of BLOCK_MEMORY */
    double      operations;   /* of the whole launch, roughly: what would take too long on a watched device is cut */
};

#define SCRY__CUDA_CALL(kernel_name) .kernel = (const void *)scry__cuda_kernel_##kernel_name, .name = #kernel_name

/* Enqueues it; `parameters` is copied. */
scry_status scry__cuda_launch(struct scry__cuda *cuda, const struct scry__cuda_call *call, const void *parameters);

/* --- cuBLAS (library.c) --- */

/* Whether it can be loaded, which is tried when this is first asked; why not goes to the device's properties. */
bool        scry__cuda_library_usable(const struct scry__cuda *cuda);
const char *scry__cuda_library_reason(const struct scry__cuda *cuda);
void        scry__cuda_library_destroy(struct scry__cuda *cuda);

/* C = alpha op(A) op(B) + beta C in the library's order, column by column: op(A) [m, k], op(B) [k, n], C f32 [m, n],
 * and as many more as there are batches, each so many elements behind the one before. */
struct scry__cuda_gemm {
    const void    *a, *b;
    float         *c;
    scry_dtype     dtype; /* of A and of B; f16 and bf16 are multiplied as they are, whatever `precision` */
    bool           a_turned, b_turned;              /* stored as the transpose */
    int64_t        m, n, k, batches;                /* at most INT_MAX each, and so are: */
    int64_t        a_leading, b_leading, c_leading; /* from one stored column to the next */
    int64_t        a_apart, b_apart, c_apart;
    float          alpha, beta;
    scry_precision precision; /* that f32 operands may be rounded to; strict: pedantic */
};

/* Enqueues it. */
scry_status scry__cuda_library_multiply(struct scry__cuda *cuda, const struct scry__cuda_gemm *gemm);

/* --- Ops --- */

/* Each one's two functions. */
#define SCRY__PLUGIN     scry__cuda
#define SCRY__TRAINED(X) SCRY_TRAINING_OP_LIST(X)
#include "shared/ops.h"

__typeof__(scry_device_query)   scry__cuda_query;
__typeof__(scry_device_run)     scry__cuda_run;
__typeof__(scry_device_kernels) scry__cuda_kernels;

/* Fills scry_backend.properties (properties.c). */
int scry__cuda_properties(const scry_device *device, scry_device_property *out, int capacity);

/* The NULL-terminated names of the kernels of ops that have more than one. The name that was asked for is in
 * cuda->front->kernel; NULL there leaves the choice to the op. */
const char *const       *scry__cuda_matmul_kernels(const struct scry__cuda *cuda);
extern const char *const scry__cuda_attention_kernels[], *const scry__cuda_norm_kernels[],
                                                             *const scry__cuda_lens_kernels[];

#endif
