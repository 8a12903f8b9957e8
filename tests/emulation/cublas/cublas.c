/* Stands in for cuBLAS beside the emulated CUDA runtime: plain loops, enqueued on the handle's stream, with operands
 * rounded as the compute type allows it. Calls are counted and may be told to fail (tests/plugins/faults.h). */
#include "cublas_v2.h"
#include "emulation.h"

#include <math.h>
#include <stdint.h>

#define SEEN __attribute__((visibility("default")))

#define FAULTS_LIST(X)                                                                                                 \
    X(cublasCreate_v2)                                                                                                 \
    X(cublasDestroy_v2) X(cublasSetStream_v2) X(cublasSetWorkspace_v2) X(cublasGemmEx) X(cublasGemmStridedBatchedEx)
#include "plugins/faults.h"

struct cublasContext {
    cudaStream_t stream;
};

/* What is enqueued. */
struct product {
    bool                a_turned, b_turned;
    int64_t             m, n, k, batches, lda, ldb, ldc, a_stride, b_stride, c_stride;
    const void         *a, *b;
    float              *c, alpha, beta;
    cudaDataType        type;
    cublasComputeType_t compute;
};

static void drain(void)
{
}

/* To so many bits after the first, to nearest even; f16 has an exponent of its own. */
static float rounded(float x, int bits, bool is_half)
{
    int exponent;
    if (!isfinite(x) || x == 0) return x;
    frexpf(x, &exponent);
    if (is_half && exponent < -13) exponent = -13;
    double unit = ldexp(1, exponent - 1 - bits), y = nearbyint((double)x / unit) * unit;
    return is_half && fabs(y) > 65504 ? copysignf(INFINITY, x) : (float)y;
}

static float element(const struct product *p, const void *x, int64_t index)
{
    float value;
    if (p->type == CUDA_R_32F) {
        value = ((const float *)x)[index];
    } else {
        uint16_t bits = ((const uint16_t *)x)[index];
        if (p->type == CUDA_R_16BF) {
            uint32_t wide = (uint32_t)bits << 16;
            memcpy(&value, &wide, sizeof value);
        } else {
            int exponent = bits >> 10 & 31, mantissa = bits & 1023;
            value = exponent == 31 ? (mantissa ? NAN : INFINITY)
                                   : ldexpf((float)(mantissa + (exponent ? 1024 : 0)), (exponent ? exponent : 1) - 25);
            if (bits >> 15) value = -value;
        }
    }
    switch ((int)p->compute) {
    case CUBLAS_COMPUTE_32F_FAST_TF32:
        return rounded(value, 10, false);
    case CUBLAS_COMPUTE_32F_FAST_16F:
        return rounded(value, 10, true);
    case CUBLAS_COMPUTE_32F_FAST_16BF:
        return rounded(value, 7, false);
    default:
        return value;
    }
}

/* op(x) [rows, columns], column by column. */
static float *widen(const struct product *p, const void *x, int64_t first, int64_t rows, int64_t columns,
                    int64_t leading, bool turned)
{
    float *wide = malloc((size_t)(rows * columns + 1) * sizeof *wide);
    for (int64_t j = 0; wide && j < columns; j++)
        for (int64_t i = 0; i < rows; i++)
            wide[j * rows + i] = element(p, x, first + (turned ? i * leading + j : j * leading + i));
    return wide;
}

static void multiply(void *context)
{
    struct product *p    = context;
    float          *sums = malloc((size_t)(p->m + 1) * sizeof *sums);
    for (int64_t batch = 0; sums && batch < p->batches; batch++) {
        float *a = widen(p, p->a, batch * p->a_stride, p->m, p->k, p->lda, p->a_turned);
        float *b = widen(p, p->b, batch * p->b_stride, p->k, p->n, p->ldb, p->b_turned);
        for (int64_t j = 0; a && b && j < p->n; j++) {
            float *c = p->c + batch * p->c_stride + j * p->ldc;
            for (int64_t i = 0; i < p->m; i++) sums[i] = 0;
            for (int64_t l = 0; l < p->k; l++)
                for (int64_t i = 0; i < p->m; i++) sums[i] += a[l * p->m + i] * b[j * p->k + l];
            for (int64_t i = 0; i < p->m; i++)
                c[i] = p->beta == 0 ? p->alpha * sums[i] : p->alpha * sums[i] + p->beta * c[i];
        }
        free(a);
        free(b);
    }
    free(sums);
    free(p);
}

static cublasStatus_t enqueue(cublasHandle_t handle, struct product product)
{
    const struct scry__emulated_calls *stream = (const void *)handle->stream;
    if (product.m < 0 || product.n < 0 || product.k < 0 || product.lda < (product.a_turned ? product.k : product.m) ||
        product.ldb < (product.b_turned ? product.n : product.k) || product.ldc < product.m)
        return CUBLAS_STATUS_INVALID_VALUE;
    struct product *kept = malloc(sizeof *kept);
    if (!kept) return CUBLAS_STATUS_ALLOC_FAILED;
    *kept = product;
    if (!stream->enqueue(handle->stream, multiply, kept)) return CUBLAS_STATUS_SUCCESS;
    free(kept);
    return CUBLAS_STATUS_EXECUTION_FAILED;
}

/* A fault of this function is what it returns. */
#define MAY_FAIL(name)                                                                                                 \
    int fault;                                                                                                         \
    if (fails(CALL_##name, false, &fault)) return (cublasStatus_t)fault

SEEN cublasStatus_t cublasCreate_v2(cublasHandle_t *out)
{
    MAY_FAIL(cublasCreate_v2);
    *out = calloc(1, sizeof **out);
    if (!*out) return CUBLAS_STATUS_ALLOC_FAILED;
    left++;
    return CUBLAS_STATUS_SUCCESS;
}

SEEN cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
    int  fault;
    bool complains = fails(CALL_cublasDestroy_v2, true, &fault);
    free(handle);
    left--;
    return complains ? (cublasStatus_t)fault : CUBLAS_STATUS_SUCCESS;
}

SEEN cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
    MAY_FAIL(cublasSetStream_v2);
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

SEEN cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes)
{
    MAY_FAIL(cublasSetWorkspace_v2);
    (void)handle, (void)workspace, (void)bytes;
    return CUBLAS_STATUS_SUCCESS;
}

#define GEMM_PARAMETERS_A                                                                                              \
    cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n, int k, const void *alpha, \
        const void *a, cudaDataType a_type, int lda

/* Both products, the plain one being a single batch. */
static cublasStatus_t gemm(GEMM_PARAMETERS_A, long long a_stride, const void *b, cudaDataType b_type, int ldb,
                           long long b_stride, const void *beta, void *c, cudaDataType c_type, int ldc,
                           long long c_stride, int batches, cublasComputeType_t compute)
{
    if (a_type != b_type || c_type != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
    return enqueue(handle, (struct product){.a_turned = transa == CUBLAS_OP_T,
                                            .b_turned = transb == CUBLAS_OP_T,
                                            .m        = m,
                                            .n        = n,
                                            .k        = k,
                                            .batches  = batches,
                                            .lda      = lda,
                                            .ldb      = ldb,
                                            .ldc      = ldc,
                                            .a_stride = a_stride,
                                            .b_stride = b_stride,
                                            .c_stride = c_stride,
                                            .a        = a,
                                            .b        = b,
                                            .c        = c,
                                            .alpha    = *(const float *)alpha,
                                            .beta     = *(const float *)beta,
                                            .type     = a_type,
                                            .compute  = compute});
}

SEEN cublasStatus_t cublasGemmStridedBatchedEx(GEMM_PARAMETERS_A, long long a_stride, const void *b,
                                               cudaDataType b_type, int ldb, long long b_stride, const void *beta,
                                               void *c, cudaDataType c_type, int ldc, long long c_stride, int batches,
                                               cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
{
    MAY_FAIL(cublasGemmStridedBatchedEx);
    (void)algorithm;
    return gemm(handle, transa, transb, m, n, k, alpha, a, a_type, lda, a_stride, b, b_type, ldb, b_stride, beta, c,
                c_type, ldc, c_stride, batches, compute);
}

SEEN cublasStatus_t cublasGemmEx(GEMM_PARAMETERS_A, const void *b, cudaDataType b_type, int ldb, const void *beta,
                                 void *c, cudaDataType c_type, int ldc, cublasComputeType_t compute,
                                 cublasGemmAlgo_t algorithm)
{
    MAY_FAIL(cublasGemmEx);
    (void)algorithm;
    return gemm(handle, transa, transb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta, c, c_type, ldc, 0,
                1, compute);
}
