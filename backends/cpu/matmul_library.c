/* matmul by OpenBLAS: the kernel "library", the yardstick of our own. It is loaded when somebody first asks which
 * kernels there are, and never otherwise; where it is not installed, there is no such kernel. It multiplies f32 only.
 */
#include "matmul_library.h"

#include "operand.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Of cblas.h, which need not be installed. */
enum { CBLAS_ROW_MAJOR = 101, CBLAS_NO_TRANSPOSE = 111, CBLAS_TRANSPOSE = 112 };

static struct {
    void (*sgemm)(int order, int a_transposed, int b_transposed, int m, int n, int k, float alpha, const float *a,
                  int lda, const float *b, int ldb, float beta, float *c, int ldc);
    void (*sgemv)(int order, int transposed, int m, int n, float alpha, const float *a, int lda, const float *x,
                  int x_step, float beta, float *y, int y_step);
    int (*get_threads)(void);
    void (*set_threads)(int threads);
    bool usable;
    char name[48];
} library;

/* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." and the name of the processor that its kernels are for. */
static void name_library(const char *config, const char *core)
{
    int version = (int)strcspn(config, " ");
    if (config[version]) version += 1 + (int)strcspn(config + version + 1, " ");
    snprintf(library.name, sizeof library.name, "%.*s %s", version, config, core);
}

static void load_library(void)
{
    void *handle = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!handle) return;
    const char *(*config)(void), *(*core)(void);
    *(void **)&library.sgemm       = dlsym(handle, "cblas_sgemm");
    *(void **)&library.sgemv       = dlsym(handle, "cblas_sgemv");
    *(void **)&library.get_threads = dlsym(handle, "openblas_get_num_threads");
    *(void **)&library.set_threads = dlsym(handle, "openblas_set_num_threads");
    *(void **)&config              = dlsym(handle, "openblas_get_config");
    *(void **)&core                = dlsym(handle, "openblas_get_corename");
    library.usable = library.sgemm && library.sgemv && library.get_threads && library.set_threads && config && core;
    if (library.usable) name_library(config(), core());
}

bool scry__cpu_library_usable(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_library);
    return library.usable;
}

const char *scry__cpu_library_name(void)
{
    return library.name;
}

/* --- one product --- */

/* A matrix as the library takes it: rows of elements side by side, or, where those of a column are, its transpose. */
struct matrix {
    const float *first;
    int64_t      leading; /* from row to row, or from column to column */
    bool         transposed;
};

static struct matrix matrix_of(const scry_tensor *x, int64_t batch)
{
    int     last = x->rank - 1;
    int64_t rows = x->shape[last - 1], columns = x->shape[last];
    int64_t row = x->stride[last - 1], column = x->stride[last];
    bool    transposed = column != 1 && columns != 1;
    /* The stride of an axis of size 1 may be anything; the library wants it large enough. */
    return (struct matrix){.first      = element(x, scry__cpu_row_index(x, last - 1, batch)),
                           .leading    = transposed ? most(column, rows) : most(row, columns),
                           .transposed = transposed};
}

const char *scry__cpu_library_refuses(const scry_matmul *op)
{
    const scry_tensor *operands[] = {&op->a, &op->b, &op->c};
    if (op->b.dtype != SCRY_F32) return "OpenBLAS multiplies f32 only";
    for (int i = 0; i < 3; i++)
        for (int axis = operands[i]->rank - 2; axis < operands[i]->rank; axis++)
            if (operands[i]->shape[axis] > INT_MAX || operands[i]->stride[axis] > INT_MAX)
                return "OpenBLAS takes sizes and strides below 2^31";
    return NULL;
}

static void multiply_row(const scry_matmul *op, const struct matrix *a, const struct matrix *b, float *c)
{
    int   last = op->b.rank - 1, k = (int)op->b.shape[last - 1], n = (int)op->b.shape[last];
    int   step = a->transposed || k == 1 ? (int)most(1, op->a.stride[last]) : 1;
    float beta = op->beta;
    if (beta == 0) { /* some versions multiply by it what they find */
        memset(c, 0, (size_t)n * sizeof *c);
        beta = 1;
    }
    if (k == 0) {
        for (int i = 0; i < n; i++) c[i] *= beta;
        return;
    }
    library.sgemv(CBLAS_ROW_MAJOR, b->transposed ? CBLAS_NO_TRANSPOSE : CBLAS_TRANSPOSE, b->transposed ? n : k,
                  b->transposed ? k : n, op->alpha, b->first, (int)b->leading, a->first, step, beta, c, 1);
}

static void multiply(const scry_matmul *op, int64_t batch)
{
    struct matrix a = matrix_of(&op->a, batch), b = matrix_of(&op->b, batch), c = matrix_of(&op->c, batch);
    int           last = op->c.rank - 1, m = (int)op->c.shape[last - 1], n = (int)op->c.shape[last];
    float        *out = element(&op->c, scry__cpu_row_index(&op->c, last - 1, batch));
    if (m == 1) {
        multiply_row(op, &a, &b, out);
        return;
    }
    library.sgemm(CBLAS_ROW_MAJOR, a.transposed ? CBLAS_TRANSPOSE : CBLAS_NO_TRANSPOSE,
                  b.transposed ? CBLAS_TRANSPOSE : CBLAS_NO_TRANSPOSE, m, n, (int)op->a.shape[last], op->alpha, a.first,
                  (int)a.leading, b.first, (int)b.leading, op->beta, out, (int)c.leading);
}

/* --- the bias, which it does not know --- */

struct bias_job {
    const struct scry__cpu *cpu;
    const scry_tensor      *c;
    const float            *bias;
};

static void add_bias(const void *state, int part, int parts)
{
    const struct bias_job *job  = state;
    const scry_tensor     *c    = job->c;
    int                    last = c->rank - 1;
    int64_t                begin, end;
    scry__cpu_share(scry__cpu_row_count(c, last), 1, part, parts, &begin, &end);
    for (; begin < end; begin++) {
        float *row = element(c, scry__cpu_row_index(c, last, begin));
        job->cpu->kernels->add(row, row, job->bias, c->shape[last]);
    }
}

size_t scry__cpu_library_scratch(const scry_matmul *op)
{
    return present(&op->bias) ? (size_t)op->bias.shape[0] * sizeof(float) : 0;
}

void scry__cpu_library_multiply(const struct scry__cpu *cpu, const scry_matmul *op, void *scratch)
{
    int64_t batches = scry__cpu_row_count(&op->c, op->c.rank - 2);
    if (library.get_threads() != cpu->threads) library.set_threads(cpu->threads);
    for (int64_t batch = 0; batch < batches; batch++) multiply(op, batch);
    if (!present(&op->bias)) return;
    int64_t         n   = op->bias.shape[0];
    struct bias_job job = {.cpu = cpu, .c = &op->c};
    job.bias            = scry__cpu_gather(cpu, &op->bias, 0, op->bias.stride[0], n, scratch);
    double elements     = (double)n * (double)scry__cpu_row_count(&op->c, op->c.rank - 1);
    scry__cpu_parallel(cpu->pool, scry__cpu_parts(cpu->threads, elements), add_bias, &job);
}
