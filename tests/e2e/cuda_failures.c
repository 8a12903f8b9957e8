/* CUDA that fails, emulated: each call of the runtime and of cuBLAS that the plugin makes fails once, early and late,
 * and the program ends with the documented exit code and one line that says why, with every object released. */
#include "faults.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(cuda_failures, .init = make_folder, .fini = remove_folder, .timeout = 600);

/* cudaError_t */
enum {
    INVALID_VALUE   = 1,
    NO_ROOM         = 2,
    NOT_INITIALIZED = 3,
    STUB            = 34,
    OLD_DRIVER      = 35,
    BUSY            = 46,
    NONE_FOUND      = 100,
    INVALID_DEVICE  = 101,
    NO_IMAGE        = 209,
    INVALID_HANDLE  = 400,
    ILLEGAL_ADDRESS = 700,
    NO_RESOURCES    = 701,
    LAUNCH_TIMEOUT  = 702,
    LAUNCH_FAILURE  = 719,
    UNKNOWN         = 999,
};

static const struct fault faults[] = {
    {"cudaDriverGetVersion", INVALID_VALUE, NO_DEVICE},
    {"cudaRuntimeGetVersion", INVALID_VALUE, NO_DEVICE},
    {"cudaGetDeviceCount", NOT_INITIALIZED, NO_DEVICE},
    {"cudaGetDeviceCount", STUB, NO_DEVICE},
    {"cudaGetDeviceCount", OLD_DRIVER, NO_DEVICE},
    {"cudaGetDeviceCount", NONE_FOUND, NO_DEVICE},
    {"cudaGetDeviceProperties", INVALID_DEVICE, NO_DEVICE},
    {"cudaDeviceGetAttribute", INVALID_VALUE, NO_DEVICE},
    {"cudaSetDevice", BUSY, NO_DEVICE},
    {"cudaSetDevice", NO_ROOM, NO_MEMORY},
    {"cudaStreamCreateWithFlags", NO_ROOM, NO_MEMORY},
    {"cudaEventCreateWithFlags", NO_ROOM, NO_MEMORY},
    {"cudaMemPoolCreate", NO_ROOM, NO_MEMORY},
    {"cudaMemPoolSetAttribute", INVALID_VALUE, NO_DEVICE},
    {"cudaHostAlloc", NO_ROOM, NO_MEMORY},
    {"cudaMallocFromPoolAsync", NO_ROOM, NO_MEMORY},
    {"cudaMallocFromPoolAsync", ILLEGAL_ADDRESS, LOST},
    {"cudaMemcpyAsync", INVALID_VALUE, NO_DEVICE},
    {"cudaMemcpyAsync", ILLEGAL_ADDRESS, LOST},
    {"cudaFuncSetAttribute", INVALID_VALUE, NO_DEVICE},
    {"cudaLaunchKernel", NO_IMAGE, NO_DEVICE},
    {"cudaLaunchKernel", NO_RESOURCES, NO_DEVICE},
    {"cudaLaunchKernel", LAUNCH_FAILURE, LOST},
    {"cudaEventRecord", INVALID_HANDLE, NO_DEVICE},
    {"cudaEventRecord", UNKNOWN, LOST},
    {"cudaStreamWaitEvent", INVALID_HANDLE, NO_DEVICE},
    {"cudaStreamWaitEvent", LAUNCH_FAILURE, LOST},
    {"cudaEventSynchronize", LAUNCH_TIMEOUT, LOST},
    {"cudaStreamSynchronize", ILLEGAL_ADDRESS, LOST},
    {"cudaStreamSynchronize", LAUNCH_FAILURE, LOST},
    {"cudaStreamDestroy", INVALID_HANDLE, HARMLESS},
    {"cudaEventDestroy", INVALID_HANDLE, HARMLESS},
    {"cudaMemPoolDestroy", INVALID_VALUE, HARMLESS},
    {"cudaFreeAsync", INVALID_VALUE, HARMLESS},
    {"cudaFreeHost", INVALID_VALUE, HARMLESS},
};

/* cublasStatus_t, and what of the runtime serves cuBLAS alone. */
static const struct fault cublas_faults[] = {
    {"cudaMalloc", NO_ROOM, NO_MEMORY},
    {"cudaFree", INVALID_VALUE, HARMLESS},
    {"cublasCreate_v2", 1, NO_DEVICE},       /* not initialised */
    {"cublasCreate_v2", 3, NO_MEMORY},       /* no memory */
    {"cublasSetStream_v2", 1, NO_DEVICE},    /* not initialised */
    {"cublasSetWorkspace_v2", 7, NO_DEVICE}, /* invalid value */
    {"cublasGemmEx", 3, NO_MEMORY},
    {"cublasGemmEx", 8, NO_DEVICE},  /* not for this architecture */
    {"cublasGemmEx", 13, LOST},      /* execution failed */
    {"cublasGemmEx", 15, NO_DEVICE}, /* not supported */
    {"cublasDestroy_v2", 1, HARMLESS},
};

Test(cuda_failures, each_call_that_fails__ends_with_a_reason)
{
    need_driver(&cuda_driver);
    expect_rows(&cuda_driver, FEW_IDS, faults, COUNT(faults));
    expect_ends(&cuda_driver, FEW_IDS, faults, COUNT(faults), NO_CACHE);
}

Test(cuda_failures, each_call_of_cublas_that_fails__ends_with_a_reason)
{
    need_driver(&cuda_driver);
    expect_ends(&cublas_driver, FEW_IDS, cublas_faults, COUNT(cublas_faults), NO_CACHE);
}

/* From some call on the driver answers nothing but this code. */
Test(cuda_failures, device_that_is_gone__ends_the_program)
{
    static const struct {
        const char *rule;
        int         exit_code;
    } rows[] = {
        {"cudaLaunchKernel:3+:719", LOST},   {"cudaLaunchKernel:1+:999", LOST},
        {"cudaMemcpyAsync:2+:700", LOST},    {"cudaStreamSynchronize:9+:702", LOST},
        {"cudaEventRecord:5+:2", NO_MEMORY}, {"cudaGetDeviceCount:2+:100", NO_DEVICE},
    };
    need_driver(&cuda_driver);
    for (int i = 0; i < COUNT(rows); i++) expect_gone(&cuda_driver, rows[i].rule, rows[i].exit_code);
}

/* A forward pass of the program has no batch of products; rows of the case table have. */
Test(cuda_failures, batched_product_of_cublas_that_fails__fails_its_row)
{
    static const struct {
        int         code, exit_code;
        const char *said;
    } rows[] = {
        {3, 1, "CUBLAS_STATUS_ALLOC_FAILED"},
        {8, 1, "CUBLAS_STATUS_ARCH_MISMATCH"},
        {13, LOST, "CUBLAS_STATUS_EXECUTION_FAILED"},
        {15, 1, "CUBLAS_STATUS_NOT_SUPPORTED"},
    };
    need_driver(&cublas_driver);
    for (int i = 0; i < COUNT(rows); i++) {
        char rule[64];
        snprintf(rule, sizeof rule, "cublasGemmStridedBatchedEx:1:%d", rows[i].code);
        setenv("SCRY_FAULT", rule, 1);
        struct outcome outcome = SCRY("conform", "--device", cublas_driver.device, "--only", "matmul/batch",
                                      "--kernels", cublas_driver.kernels);
        cr_expect_eq(outcome.exit_code, rows[i].exit_code, "%s: exit code %d: %s", rule, outcome.exit_code,
                     outcome.err);
        cr_expect_neq(strstr(outcome.out, rows[i].said), NULL, "%s: %s", rule, outcome.out);
        outcome_free(&outcome);
    }
    unsetenv("SCRY_FAULT");
}

/* Nor has it anything to train. The launches of an op are those of its kernels, in this order. */
Test(cuda_failures, kernel_for_training_that_fails__fails_its_row_or_loses_the_device)
{
    static const struct {
        const char *row, *kernels[8];
    } rows[] = {
        {"adamw/decay", {"adamw"}},
        {"sgd/momentum", {"sgd"}},
        {"sum/plain", {"sum_rows", "sum_merge"}},
        {"activation_backward/silu", {"activation_backward"}},
        {"norm_backward/layer", {"norm_backward", "norm_backward_sums", "sum_merge", "sum_merge"}},
        {"embed_backward/plain", {"fill", "embed_chain", "embed_backward"}},
        {"loss/bias",
         {"matmul_tile_64", "loss_fold", "loss_rows", "matmul_tile_64", "loss_slopes", "loss_d_x", "loss_d_entries"}},
        {"attention_backward/gqa",
         {"attention_backward_rows", "attention_backward_queries", "attention_backward_keys",
          "attention_backward_keys"}},
    };
    static const struct {
        int         code, exit_code;
        const char *name;
    } errors[] = {{NO_RESOURCES, 1, "cudaErrorLaunchOutOfResources"}, {LAUNCH_FAILURE, LOST, "cudaErrorLaunchFailure"}};
    need_driver(&cuda_driver);
    for (int i = 0; i < COUNT(rows); i++)
        for (int launch = 0; rows[i].kernels[launch]; launch++)
            for (int e = 0; e < COUNT(errors); e++) {
                char rule[64], said[128];
                snprintf(rule, sizeof rule, "cudaLaunchKernel:%d:%d", launch + 1, errors[e].code);
                snprintf(said, sizeof said, "cuda: %s: %s", rows[i].kernels[launch], errors[e].name);
                setenv("SCRY_FAULT", rule, 1);
                struct outcome outcome = SCRY("conform", "--device", cuda_driver.device, "--only", rows[i].row);
                cr_expect_eq(outcome.exit_code, errors[e].exit_code, "%s, %s: exit code %d: %s", rows[i].row, rule,
                             outcome.exit_code, outcome.err);
                cr_expect(strstr(outcome.out, said), "%s, %s: %s", rows[i].row, rule, outcome.out);
                outcome_free(&outcome);
            }
    unsetenv("SCRY_FAULT");
}
