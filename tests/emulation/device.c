/* The one emulated device: what it says of itself, and launching kernels on it. */
#include "runtime.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VERSION = 13000, WARP = 32, UNASKED_SHARED = 48 << 10, MOST_THREADS = 1024 };

/* As an A100 where it can be chosen; as a T4 where SCRY_EMULATED_OLDER is set: kernels have other ways there. */
static const struct {
    enum cudaDeviceAttr attribute;
    int                 values[2];
} attributes[] = {
    {cudaDevAttrComputeCapabilityMajor, {8, 7}},
    {cudaDevAttrComputeCapabilityMinor, {0, 5}},
    {cudaDevAttrMultiProcessorCount, {16, 16}},
    {cudaDevAttrL2CacheSize, {40 << 20, 4 << 20}},
    {cudaDevAttrMaxSharedMemoryPerBlockOptin, {163 << 10, 64 << 10}},
    {cudaDevAttrMemoryPoolsSupported, {1, 1}},
    {cudaDevAttrKernelExecTimeout, {0, 0}},
    {cudaDevAttrIntegrated, {0, 0}},
    {cudaDevAttrPageableMemoryAccess, {0, 0}},
};

static bool find_attribute(int *value, enum cudaDeviceAttr attribute)
{
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
        if (attributes[i].attribute == attribute) {
            *value = attributes[i].values[getenv("SCRY_EMULATED_OLDER") ? 1 : 0];
            return true;
        }
    return false;
}

static size_t memory_bytes(void)
{
    return (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
}

cudaError_t cudaDriverGetVersion(int *version)
{
    ENTER();
    *version = VERSION;
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    ENTER();
    *version = VERSION;
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaGetDeviceCount(int *count)
{
    ENTER();
    *count = 1;
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *out, int device)
{
    ENTER();
    if (device) return scry__emulated_leave(cudaErrorInvalidDevice);
    *out = (struct cudaDeviceProp){.totalGlobalMem = memory_bytes()};
    find_attribute(&out->major, cudaDevAttrComputeCapabilityMajor);
    snprintf(out->name, sizeof out->name, "CUDA kernels as host code, emulated: no GPU");
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    ENTER();
    if (device) return scry__emulated_leave(cudaErrorInvalidDevice);
    return scry__emulated_leave(find_attribute(value, attribute) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaSetDevice(int device)
{
    ENTER();
    return scry__emulated_leave(device ? cudaErrorInvalidDevice : cudaSuccess);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    ENTER();
    *free_bytes = *total = memory_bytes();
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value)
{
    ENTER();
    struct scry__emulated_kernel *changed = (struct scry__emulated_kernel *)kernel;
    int                           most    = 0;
    find_attribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin);
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || value > most)
        return scry__emulated_leave(cudaErrorInvalidValue);
    changed->shared_allowed = (size_t)value;
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared_bytes,
                             cudaStream_t stream)
{
    ENTER();
    const struct scry__emulated_kernel *run = kernel;
    size_t most_shared = run->shared_allowed > UNASKED_SHARED ? run->shared_allowed : UNASKED_SHARED;
    if (grid.y != 1 || grid.z != 1 || block.y != 1 || block.z != 1 || !grid.x || grid.x > INT_MAX || !block.x ||
        block.x > MOST_THREADS || shared_bytes > most_shared)
        return scry__emulated_leave(cudaErrorInvalidConfiguration);
    if (block.x > (unsigned)run->most_threads) return scry__emulated_leave(cudaErrorLaunchOutOfResources);
    /* Whole warps only: what a part of one does at a barrier or a shuffle is not emulated. */
    if (run->meets && block.x % WARP) return scry__emulated_leave(cudaErrorInvalidConfiguration);
    void *parameters = malloc(run->parameter_bytes);
    if (!parameters) return scry__emulated_leave(cudaErrorMemoryAllocation);
    memcpy(parameters, arguments[0], run->parameter_bytes);
    struct scry__work work = {.kind   = WORK_LAUNCH,
                              .owned  = parameters,
                              .launch = {.kernel       = run,
                                         .parameters   = parameters,
                                         .first_block  = *(const int64_t *)arguments[1],
                                         .blocks       = grid.x,
                                         .threads      = block.x,
                                         .shared_bytes = shared_bytes}};
    code                   = scry__stream_push(stream, &work);
    if (code) free(parameters);
    return scry__emulated_leave(code);
}
