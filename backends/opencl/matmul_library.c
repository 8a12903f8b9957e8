/* matmul by CLBlast: the kernel "library", the ecosystem's yardstick of our own. It is loaded when somebody first asks
 * which kernels there are, and never otherwise; where it is not installed, there is no such kernel. It multiplies f32
 * only, allocates on the way, and promises no order of sums.
 *
 * Bias is added by our own add. CLBlast keeps the programs that it compiles for the life of the process. */
#include "matmul.h"

#include <dlfcn.h>
#include <pthread.h>

/* Of clblast_c.h, which need not be installed. */
enum { CLBLAST_SUCCESS = 0, CLBLAST_ROW_MAJOR = 101, CLBLAST_NO_TRANSPOSE = 111, CLBLAST_TRANSPOSE = 112 };

static struct {
    int (*sgemm)(int layout, int a_transposed, int b_transposed, size_t m, size_t n, size_t k, float alpha, cl_mem a,
                 size_t a_offset, size_t lda, cl_mem b, size_t b_offset, size_t ldb, float beta, cl_mem c,
                 size_t c_offset, size_t ldc, cl_command_queue *queue, cl_event *event);
    int (*sgemm_batched)(int layout, int a_transposed, int b_transposed, size_t m, size_t n, size_t k, float alpha,
                         cl_mem a, size_t a_offset, size_t lda, size_t a_stride, cl_mem b, size_t b_offset, size_t ldb,
                         size_t b_stride, float beta, cl_mem c, size_t c_offset, size_t ldc, size_t c_stride,
                         size_t batches, cl_command_queue *queue, cl_event *event);
    int (*clear_cache)(void);
    bool usable;
} library;

static void load_library(void)
{
    void *handle = dlopen("libclblast.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!handle) return;
    *(void **)&library.sgemm         = dlsym(handle, "CLBlastSgemm");
    *(void **)&library.sgemm_batched = dlsym(handle, "CLBlastSgemmStridedBatched");
    *(void **)&library.clear_cache   = dlsym(handle, "CLBlastClearCache");
    library.usable                   = library.sgemm && library.sgemm_batched && library.clear_cache;
}

bool scry__cl_library_usable(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_library);
    return library.usable;
}

void scry__cl_library_forget(const struct scry__cl *cl)
{
    if (cl->used_library) library.clear_cache();
}

/* Whether every element that the product touches lies in one cl_mem. */
static bool in_one_part(const scry_tensor *x)
{
    int64_t last = 0;
    for (int i = 0; i < x->rank; i++) last += (x->shape[i] - 1) * x->stride[i];
    size_t bytes = (size_t)(last + 1) * scry__element_bytes(x->dtype);
    return scry__cl_place(x->buffer, x->offset).left >= bytes;
}

const char *scry__cl_library_refuses(const struct scry__cl_product *product)
{
    if (product->b.dtype != SCRY_F32) return "CLBlast multiplies f32 only";
    if (!in_one_part(&product->a) || !in_one_part(&product->b) || !in_one_part(&product->c))
        return "CLBlast takes operands that lie in one allocation each";
    return NULL;
}

/* --- one product --- */

/* A matrix as the library takes it: rows of elements side by side, or, where those of a column are, its transpose. */
struct matrix {
    cl_mem memory;
    size_t offset, leading; /* in elements; leading: from row to row, or from column to column */
    int    transposed;
};

/* That of batch (outer, 0). */
static struct matrix matrix_of(const scry_tensor *x, int64_t outer)
{
    int64_t               rows = x->shape[2], columns = x->shape[3], row = x->stride[2], column = x->stride[3];
    bool                  transposed = column != 1 && columns != 1;
    struct scry__cl_place place      = scry__cl_place(x->buffer, x->offset);
    /* The stride of an axis of size 1 may be anything; the library wants it large enough. */
    return (struct matrix){.memory     = place.part,
                           .offset     = place.offset / sizeof(float) + (size_t)(outer * x->stride[0]),
                           .leading    = (size_t)(transposed ? most(column, rows) : most(row, columns)),
                           .transposed = transposed ? CLBLAST_TRANSPOSE : CLBLAST_NO_TRANSPOSE};
}

static int multiply(struct scry__cl *cl, const struct scry__cl_product *product, int64_t outer)
{
    const struct scry__cl_sizes *s = &product->sizes;
    struct matrix                a = matrix_of(&product->a, outer), b = matrix_of(&product->b, outer),
                  c = matrix_of(&product->c, outer);
    size_t m = (size_t)s->m, n = (size_t)s->n, k = (size_t)s->k;
    if (s->inner == 1)
        return library.sgemm(CLBLAST_ROW_MAJOR, a.transposed, b.transposed, m, n, k, s->alpha, a.memory, a.offset,
                             a.leading, b.memory, b.offset, b.leading, s->beta, c.memory, c.offset, c.leading,
                             &cl->queue, NULL);
    return library.sgemm_batched(CLBLAST_ROW_MAJOR, a.transposed, b.transposed, m, n, k, s->alpha, a.memory, a.offset,
                                 a.leading, (size_t)product->a.stride[1], b.memory, b.offset, b.leading,
                                 (size_t)product->b.stride[1], s->beta, c.memory, c.offset, c.leading,
                                 (size_t)product->c.stride[1], (size_t)s->inner, &cl->queue, NULL);
}

static scry_status add_bias(struct scry__cl *cl, const struct scry__cl_product *product)
{
    scry_tensor bias = product->op->bias;
    if (!present(&bias)) return SCRY_OK;
    int64_t stride = bias.stride[0];
    bias.rank      = SCRY_MAX_RANK;
    for (int i = 0; i < SCRY_MAX_RANK; i++) bias.shape[i] = product->c.shape[i], bias.stride[i] = 0;
    bias.stride[SCRY_MAX_RANK - 1] = stride;
    return scry__cl_add(cl, &(scry_add){.a = product->c, .b = bias, .out = product->c}, SCRY_STRICT_F32);
}

scry_status scry__cl_library_multiply(struct scry__cl *cl, const struct scry__cl_product *product)
{
    enum { OWN_CODES = -1007 }; /* CLBlast's own, from here down */
    double begin     = scry__cl_now();
    int    code      = CLBLAST_SUCCESS;
    cl->used_library = true;
    for (int64_t outer = 0; outer < product->c.shape[0] && code == CLBLAST_SUCCESS; outer++)
        code = multiply(cl, product, outer);
    /* To enqueue takes microseconds: what takes longer has compiled. */
    double seconds = scry__cl_now() - begin;
    if (seconds > 0.02) cl->statistics.build_seconds += seconds;
    if (code <= OWN_CODES) return scry__cl_host->fail(SCRY_UNSUPPORTED, "opencl: CLBlast refuses a product: %d", code);
    scry_status status = scry__cl_check(cl, code, "CLBlastSgemm");
    return status ? status : add_bias(cl, product);
}
