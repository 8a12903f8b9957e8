/* The devices that the CUDA runtime finds: what they are, and opening and closing one. */
#include "ring.h"

#include <stdio.h>

const struct scry_host *scry__cuda_host;

SCRY_API scry_backend_entry_function scry_backend_entry;

#ifdef SCRY_CUDA_EMULATED
#define BACKEND "cuda-emulated"
enum { IS_EMULATED = 1 };
#else
#define BACKEND "cuda"
enum { IS_EMULATED = 0 };
#endif

enum { LEAST_COMPUTE = 75 }; /* that kernels are compiled for (cmake/cuda.cmake) */

/* What the runtime tells of a device without opening it. */
static scry_status probe(struct scry__cuda_limits *limits, int index)
{
    int major, minor, processors, shared_bytes, l2_bytes, watched, pools, integrated, pageable;
    const struct {
        enum cudaDeviceAttr what;
        int                *value;
    } rows[] = {
        {cudaDevAttrComputeCapabilityMajor, &major},   {cudaDevAttrComputeCapabilityMinor, &minor},
        {cudaDevAttrMultiProcessorCount, &processors}, {cudaDevAttrMaxSharedMemoryPerBlockOptin, &shared_bytes},
        {cudaDevAttrL2CacheSize, &l2_bytes},           {cudaDevAttrKernelExecTimeout, &watched},
        {cudaDevAttrMemoryPoolsSupported, &pools},     {cudaDevAttrIntegrated, &integrated},
        {cudaDevAttrPageableMemoryAccess, &pageable},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cudaError_t code   = cudaDeviceGetAttribute(rows[i].value, rows[i].what, index);
        scry_status status = scry__cuda_check(NULL, code, "cudaDeviceGetAttribute");
        if (status) return status;
    }
    *limits = (struct scry__cuda_limits){
        .compute       = 10 * major + minor,
        .processors    = processors,
        .shared_bytes  = (size_t)shared_bytes,
        .l2_bytes      = (size_t)l2_bytes,
        .is_watched    = watched,
        .has_pools     = pools,
        .is_integrated = integrated,
        /* A discrete card reads pageable memory over the bus: its own is faster. */
        .shares_memory = integrated && pageable,
        .is_emulated   = IS_EMULATED,
    };
    return SCRY_OK;
}

static void version_text(int version, char text[16])
{
    snprintf(text, 16, "%d.%d", version / 1000, version % 1000 / 10);
}

/* The runtime says the same of a driver that is too old and of none at all. */
static scry_status explain_driver(cudaError_t code)
{
    int  driver = 0, runtime = 0;
    char what[96], has[16], needs[16];
    if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
    cudaRuntimeGetVersion(&runtime);
    version_text(driver, has);
    version_text(runtime, needs);
    if (driver)
        snprintf(what, sizeof what, "cudaGetDeviceCount: runtime %s over a driver for %s", needs, has);
    else
        snprintf(what, sizeof what, "cudaGetDeviceCount: runtime %s, and no driver is installed", needs);
    return scry__cuda_check(NULL, code, what);
}

static scry_status count_devices(int *count)
{
    *count           = 0;
    cudaError_t code = cudaGetDeviceCount(count);
    if (code == cudaErrorInsufficientDriver) return explain_driver(code);
    if (code == cudaSuccess && !*count) code = cudaErrorNoDevice;
    if (code != cudaSuccess) *count = 0;
    return scry__cuda_check(NULL, code, "cudaGetDeviceCount");
}

static scry_status describe(int index, scry_device_info *info)
{
    struct cudaDeviceProp    device;
    struct scry__cuda_limits limits;
    int                      driver = 0, runtime = 0;
    char                     has[16], needs[16];
    scry_status status = scry__cuda_check(NULL, cudaGetDeviceProperties(&device, index), "cudaGetDeviceProperties");
    if (!status) status = scry__cuda_check(NULL, cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    if (!status) status = scry__cuda_check(NULL, cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
    if (!status) status = probe(&limits, index);
    if (status) return status;
    *info = (scry_device_info){
        .backend       = BACKEND,
        .type          = limits.is_emulated     ? SCRY_DEVICE_SOFTWARE_GPU
                         : limits.is_integrated ? SCRY_DEVICE_INTEGRATED_GPU
                                                : SCRY_DEVICE_DISCRETE_GPU,
        .memory_bytes  = device.totalGlobalMem,
        .shared_bytes  = (uint32_t)limits.shared_bytes,
        .subgroup_size = 32,
        .compute_units = (uint32_t)limits.processors,
    };
    /* Above every other interface to the same card; emulation, below everything, is for tests. */
    info->score = limits.is_emulated ? -1 : limits.is_integrated ? 220 : 340;
    version_text(driver, has);
    version_text(runtime, needs);
    snprintf(info->description, sizeof info->description, "%.120s", device.name);
    snprintf(info->driver, sizeof info->driver, "CUDA driver %s, runtime %s", has, needs);
    return SCRY_OK;
}

static scry_status find(scry_device_info *infos, int capacity, int *count)
{
    scry_status status = count_devices(count);
    for (int i = 0; i < *count && i < capacity && !status; i++) status = describe(i, &infos[i]);
    return status;
}

/* The device's pool, from which memory goes back to the system only when the device is closed. */
static scry_status create_pool(struct scry__cuda *cuda)
{
    if (!cuda->limits.has_pools) return SCRY_OK;
    struct cudaMemPoolProps properties = {
        .allocType = cudaMemAllocationTypePinned,
        .location  = {.type = cudaMemLocationTypeDevice, .id = cuda->index},
    };
    uint64_t    kept   = UINT64_MAX;
    scry_status status = scry__cuda_check(cuda, cudaMemPoolCreate(&cuda->pool, &properties), "cudaMemPoolCreate");
    return status ? status
                  : scry__cuda_check(cuda, cudaMemPoolSetAttribute(cuda->pool, cudaMemPoolAttrReleaseThreshold, &kept),
                                     "cudaMemPoolSetAttribute");
}

scry_status scry__cuda_enter(struct scry__cuda *cuda)
{
    return scry__cuda_check(cuda, cudaSetDevice(cuda->index), "cudaSetDevice");
}

static void destroy(struct scry__cuda *cuda)
{
    if (!cuda) return;
    cudaSetDevice(cuda->index);
    /* A lost device was not waited for. */
    if (cuda->stream) cudaStreamSynchronize(cuda->stream);
    if (cuda->copies) cudaStreamSynchronize(cuda->copies);
    scry__cuda_library_destroy(cuda);
    scry__cuda_ring_destroy(cuda);
    for (int i = 0; i < SCRY__CUDA_MARKS; i++)
        if (cuda->marks[i].event) cudaEventDestroy(cuda->marks[i].event);
    if (cuda->pool) cudaMemPoolDestroy(cuda->pool);
    if (cuda->copies) cudaStreamDestroy(cuda->copies);
    if (cuda->stream) cudaStreamDestroy(cuda->stream);
    scry__cuda_host->release(cuda);
}

static scry_status create(struct scry__cuda *cuda)
{
    scry_status status = scry__cuda_enter(cuda);
    if (!status)
        status = scry__cuda_check(cuda, cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking),
                                  "cudaStreamCreateWithFlags");
    if (!status)
        status = scry__cuda_check(cuda, cudaStreamCreateWithFlags(&cuda->copies, cudaStreamNonBlocking),
                                  "cudaStreamCreateWithFlags");
    for (int i = 0; i < SCRY__CUDA_MARKS && !status; i++)
        status = scry__cuda_check(cuda, cudaEventCreateWithFlags(&cuda->marks[i].event, cudaEventDisableTiming),
                                  "cudaEventCreateWithFlags");
    if (!status) status = create_pool(cuda);
    return status ? status : scry__cuda_ring_create(cuda);
}

static scry_status refuse_old(const struct scry__cuda *cuda)
{
    return scry__cuda_host->fail(SCRY_NO_DEVICE, "cuda: the card's compute capability is %d.%d: expected %d.%d or more",
                                 cuda->limits.compute / 10, cuda->limits.compute % 10, LEAST_COMPUTE / 10,
                                 LEAST_COMPUTE % 10);
}

static scry_status device_open(scry_device *device, int index, const scry_device_options *options)
{
    (void)options;
    struct scry__cuda *cuda = NULL;
    int                count;
    scry_status        status = count_devices(&count);
    if (status) return status;
    if (index < 0 || index >= count)
        return scry__cuda_host->fail(SCRY_NO_DEVICE, "cuda: device %d of %d is gone", index, count);
    cuda = scry__cuda_host->allocate(1, sizeof *cuda);
    if (!cuda) return SCRY_OUT_OF_MEMORY;
    cuda->index = index;
    cuda->front = device;
    status      = probe(&cuda->limits, index);
    if (!status) status = cuda->limits.compute < LEAST_COMPUTE ? refuse_old(cuda) : create(cuda);
    if (status) goto fail;
    device->impl = cuda;
    return SCRY_OK;

fail:
    destroy(cuda);
    return status;
}

static void device_close(scry_device *device)
{
    destroy(device->impl);
    device->impl = NULL;
}

static scry_status finish(scry_device *device)
{
    struct scry__cuda *cuda   = device->impl;
    scry_status        status = scry__cuda_enter(cuda);
    if (!status) status = scry__cuda_check(cuda, cudaStreamSynchronize(cuda->stream), "cudaStreamSynchronize");
    return status ? status : scry__cuda_check(cuda, cudaStreamSynchronize(cuda->copies), "cudaStreamSynchronize");
}

static void statistics(const scry_device *device, scry_device_statistics *out)
{
    const struct scry__cuda *cuda = device->impl;
    *out                          = cuda->statistics;
}

const struct scry_backend *scry_backend_entry(const struct scry_host *host)
{
    static const struct scry_backend backend = {
        .abi_version    = SCRY_BACKEND_ABI,
        .struct_size    = sizeof(struct scry_backend),
        .name           = BACKEND,
        .find           = find,
        .open           = device_open,
        .close          = device_close,
        .buffer_create  = scry__cuda_buffer_create,
        .buffer_wrap    = scry__cuda_buffer_wrap,
        .buffer_destroy = scry__cuda_buffer_destroy,
        .buffer_write   = scry__cuda_buffer_write,
        .buffer_read    = scry__cuda_buffer_read,
        .query          = scry__cuda_query,
        .run            = scry__cuda_run,
        .finish         = finish,
        .kernels        = scry__cuda_kernels,
        .statistics     = statistics,
        .properties     = scry__cuda_properties,
    };
    scry__cuda_host = host;
    return &backend;
}
