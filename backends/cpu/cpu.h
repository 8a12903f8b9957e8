/* What the files of the cpu backend share: the open device's state, access to operands, and each op's two functions
 * (the scratch that it needs, and the op itself). */
#ifndef SCRY_CPU_H
#define SCRY_CPU_H

#include "kernels.h"
#include "scry/backend.h"
#include "threads.h"

enum { SCRY__CPU_MAX_THREADS = 256 };

/* An open device. */
struct scry__cpu {
    int                             threads;
    struct scry__cpu_pool          *pool; /* NULL for one thread */
    const struct scry__cpu_kernels *kernels;
    const char *const              *asked; /* device->kernel: for each op the kernel asked for, or NULL */
};

extern const struct scry_host     *scry__cpu_host;
extern scry_backend_entry_function scry_cpu_entry; /* device.c */

/* memory.c */
__typeof__(scry_buffer_create)  scry__cpu_buffer_create;
__typeof__(scry_buffer_wrap)    scry__cpu_buffer_wrap;
__typeof__(scry_buffer_destroy) scry__cpu_buffer_destroy;
__typeof__(scry_buffer_write)   scry__cpu_buffer_write;
__typeof__(scry_buffer_read)    scry__cpu_buffer_read;

/* ops.c */
__typeof__(scry_device_query)   scry__cpu_query;
__typeof__(scry_device_run)     scry__cpu_run;
__typeof__(scry_device_kernels) scry__cpu_kernel_names;

/* One pair for each op. The first returns the bytes of scratch that the op needs; the second gets that much, 64-byte
 * aligned. */
#define SCRY__CPU_OP(name, type)                                                                                       \
    size_t scry__cpu_##name##_scratch(const struct scry__cpu *cpu, const type *op);                                    \
    void   scry__cpu_##name(const struct scry__cpu *cpu, const type *op, void *scratch);
SCRY__CPU_OP(matmul, scry_matmul)
SCRY__CPU_OP(softmax_capture, scry_softmax)
SCRY__CPU_OP(attention, scry_attention)
SCRY__CPU_OP(rope, scry_rope)
SCRY__CPU_OP(norm, scry_norm)
SCRY__CPU_OP(lens, scry_lens_op)
SCRY__CPU_OP(embed, scry_embed)
SCRY__CPU_OP(add, scry_add)
SCRY__CPU_OP(scale, scry_scale)
SCRY__CPU_OP(activation, scry_activation)
SCRY__CPU_OP(copy, scry_copy)
SCRY__CPU_OP(fill, scry_fill)
SCRY__CPU_OP(sum, scry_sum)
SCRY__CPU_OP(activation_backward, scry_activation_backward)
SCRY__CPU_OP(norm_backward, scry_norm_backward)
SCRY__CPU_OP(embed_backward, scry_embed_backward)
SCRY__CPU_OP(attention_backward, scry_attention_backward)
SCRY__CPU_OP(loss, scry_loss)
SCRY__CPU_OP(adamw, scry_adamw)
SCRY__CPU_OP(sgd, scry_sgd)
#undef SCRY__CPU_OP

/* The first of the pair for an op that needs none. */
#define SCRY__CPU_NO_SCRATCH(name, type)                                                                               \
    size_t scry__cpu_##name##_scratch(const struct scry__cpu *cpu, const type *op)                                     \
    {                                                                                                                  \
        (void)cpu, (void)op;                                                                                           \
        return 0;                                                                                                      \
    }

/* matmul has several kernels: their names, and what there is to say about the one that would run. */
const char *const *scry__cpu_matmul_kernels(void);
void               scry__cpu_matmul_describe(const struct scry__cpu *cpu, const scry_matmul *op, scry_op_info *info);

static inline bool present(const scry_tensor *x)
{
    return x->buffer != NULL;
}

static inline size_t element_bytes(const scry_tensor *x)
{
    return x->dtype == SCRY_F16 || x->dtype == SCRY_BF16 ? 2 : 4;
}

/* Address of the element that lies `index` elements behind the view's first one. */
static inline void *element(const scry_tensor *x, int64_t index)
{
    return (char *)x->buffer->host + x->offset + (size_t)index * element_bytes(x);
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

/* Element `i` of an i32 vector. */
static inline int32_t index_at(const scry_tensor *x, int64_t i)
{
    return *(const int32_t *)element(x, i * x->stride[0]);
}

#endif
