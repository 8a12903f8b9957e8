/* cuBLAS: loaded when it is first asked for, which is after a device was found, as it takes hundreds of megabytes and
 * most of a second. Each device has a handle of its own, made with its first product, and a workspace, so that products
 * allocate nothing. One stream and no atomics: the same bits each time. */
#include "cuda.h"
#include "shared/codes.h"

#include <cublas_v2.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#ifdef SCRY_CUDA_EMULATED
static const char *const names[] = {"libcublas-emulated.so"};
#else
static const char *const names[] = {"libcublas.so.13", "libcublas.so.12"};
#endif

/* What cuBLAS recommends for its workspace. */
enum { WORKSPACE = 4 << 20, WORKSPACE_HOPPER = 32 << 20, HOPPER = 90 };

#define FUNCTION_LIST(X)                                                                                               \
    X(cublasCreate_v2)                                                                                                 \
    X(cublasDestroy_v2)                                                                                                \
    X(cublasSetStream_v2)                                                                                              \
    X(cublasSetWorkspace_v2)                                                                                           \
    X(cublasGemmEx)                                                                                                    \
    X(cublasGemmStridedBatchedEx)

static struct {
#define FUNCTION_MEMBER(name) __typeof__(name) *name;
    FUNCTION_LIST(FUNCTION_MEMBER)
#undef FUNCTION_MEMBER
    bool usable;
    char reason[128]; /* why not */
} library;

struct scry__cuda_library {
    cublasHandle_t handle;
    void          *workspace;
};

#define CODE(name, status)                                                                                             \
    {                                                                                                                  \
        name, #name, status                                                                                            \
    }
static const struct scry__code list[] = {
    CODE(CUBLAS_STATUS_NOT_INITIALIZED, SCRY_UNSUPPORTED), CODE(CUBLAS_STATUS_ALLOC_FAILED, SCRY_OUT_OF_MEMORY),
    CODE(CUBLAS_STATUS_INVALID_VALUE, SCRY_UNSUPPORTED),   CODE(CUBLAS_STATUS_ARCH_MISMATCH, SCRY_UNSUPPORTED),
    CODE(CUBLAS_STATUS_MAPPING_ERROR, SCRY_UNSUPPORTED),   CODE(CUBLAS_STATUS_EXECUTION_FAILED, SCRY_DEVICE_LOST),
    CODE(CUBLAS_STATUS_INTERNAL_ERROR, SCRY_UNSUPPORTED),  CODE(CUBLAS_STATUS_NOT_SUPPORTED, SCRY_UNSUPPORTED),
};
#undef CODE
static const struct scry__codes codes = {
    .api     = "cuda",
    .unnamed = "a status that is not known here",
    .list    = list,
    .count   = sizeof list / sizeof *list,
};

static scry_status check(struct scry__cuda *cuda, cublasStatus_t code, const char *what)
{
    return code == CUBLAS_STATUS_SUCCESS ? SCRY_OK : scry__codes_fail(&codes, scry__cuda_host, code, what, &cuda->lost);
}

static void load_library(void)
{
    void *handle = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !handle; i++)
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(library.reason, sizeof library.reason, "%s", dlerror());
        return;
    }
#define FUNCTION_LOAD(name)                                                                                            \
    *(void **)&library.name = dlsym(handle, #name);                                                                    \
    if (!library.name) snprintf(library.reason, sizeof library.reason, "it has no %s", #name);
    FUNCTION_LIST(FUNCTION_LOAD)
#undef FUNCTION_LOAD
    library.usable = !*library.reason;
}

bool scry__cuda_library_usable(const struct scry__cuda *cuda)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)cuda;
    pthread_once(&once, load_library);
    return library.usable;
}

const char *scry__cuda_library_reason(const struct scry__cuda *cuda)
{
    return scry__cuda_library_usable(cuda) ? "" : library.reason;
}

void scry__cuda_library_destroy(struct scry__cuda *cuda)
{
    struct scry__cuda_library *own = cuda->library;
    if (!own) return;
    if (own->handle) library.cublasDestroy_v2(own->handle);
    if (own->workspace) cudaFree(own->workspace);
    scry__cuda_host->release(own);
    cuda->library = NULL;
}

static scry_status create(struct scry__cuda *cuda)
{
    size_t                     bytes = cuda->limits.compute >= HOPPER ? WORKSPACE_HOPPER : WORKSPACE;
    struct scry__cuda_library *own = cuda->library = scry__cuda_host->allocate(1, sizeof *own);
    if (!own) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__cuda_check(cuda, cudaMalloc(&own->workspace, bytes), "cudaMalloc for cuBLAS");
    if (!status) status = check(cuda, library.cublasCreate_v2(&own->handle), "cublasCreate");
    if (!status) status = check(cuda, library.cublasSetStream_v2(own->handle, cuda->stream), "cublasSetStream");
    if (!status)
        status = check(cuda, library.cublasSetWorkspace_v2(own->handle, own->workspace, bytes), "cublasSetWorkspace");
    if (status) scry__cuda_library_destroy(cuda);
    return status;
}

/* Pedantic is strict: neither rounding of operands nor sums below f32. */
static cublasComputeType_t compute_type(const struct scry__cuda_gemm *gemm)
{
    static const cublasComputeType_t types[] = {
        [SCRY_STRICT_F32] = CUBLAS_COMPUTE_32F_PEDANTIC,
        [SCRY_ALLOW_TF32] = CUBLAS_COMPUTE_32F_FAST_TF32,
        [SCRY_ALLOW_F16]  = CUBLAS_COMPUTE_32F_FAST_16F,
        [SCRY_ALLOW_BF16] = CUBLAS_COMPUTE_32F_FAST_16BF,
    };
    if (gemm->dtype != SCRY_F32 && gemm->precision != SCRY_STRICT_F32) return CUBLAS_COMPUTE_32F;
    return types[gemm->precision];
}

scry_status scry__cuda_library_multiply(struct scry__cuda *cuda, const struct scry__cuda_gemm *gemm)
{
    static const cudaDataType_t types[] = {[SCRY_F32] = CUDA_R_32F, [SCRY_F16] = CUDA_R_16F, [SCRY_BF16] = CUDA_R_16BF};
    scry_status                 status  = cuda->failed;
    if (!status && !cuda->library) status = create(cuda);
    if (status) return status;
    cublasHandle_t      handle  = cuda->library->handle;
    cublasOperation_t   a_turn  = gemm->a_turned ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasOperation_t   b_turn  = gemm->b_turned ? CUBLAS_OP_T : CUBLAS_OP_N;
    cudaDataType_t      type    = types[gemm->dtype];
    cublasComputeType_t compute = compute_type(gemm);
    int                 m = (int)gemm->m, n = (int)gemm->n, k = (int)gemm->k;
    int a_leading = (int)gemm->a_leading, b_leading = (int)gemm->b_leading, c_leading = (int)gemm->c_leading;
    if (gemm->batches == 1)
        return check(cuda,
                     library.cublasGemmEx(handle, a_turn, b_turn, m, n, k, &gemm->alpha, gemm->a, type, a_leading,
                                          gemm->b, type, b_leading, &gemm->beta, gemm->c, CUDA_R_32F, c_leading,
                                          compute, CUBLAS_GEMM_DEFAULT),
                     "cublasGemmEx");
    return check(cuda,
                 library.cublasGemmStridedBatchedEx(handle, a_turn, b_turn, m, n, k, &gemm->alpha, gemm->a, type,
                                                    a_leading, gemm->a_apart, gemm->b, type, b_leading, gemm->b_apart,
                                                    &gemm->beta, gemm->c, CUDA_R_32F, c_leading, gemm->c_apart,
                                                    (int)gemm->batches, compute, CUBLAS_GEMM_DEFAULT),
                 "cublasGemmStridedBatchedEx");
}
