/* The devices of every OpenCL platform: what they are, and opening and closing one.
 *
 * Devices are numbered in the order in which the ICD loader lists platforms, and each platform its devices. */
#include "matmul.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct scry_host *scry__cl_host;

SCRY_API scry_backend_entry_function scry_backend_entry;

enum { MOST_PLATFORMS = 16, MOST_DEVICES = 32 };

struct found {
    cl_platform_id platform;
    cl_device_id   device;
};

/* PoCL keeps no devices where it cannot write. */
#define POCL_HINT "PoCL needs a HOME or a POCL_CACHE_DIR that it can write"

static scry_status list_platforms(cl_platform_id *platforms, cl_uint *count)
{
    cl_int code = clGetPlatformIDs(MOST_PLATFORMS, platforms, count);
    if (code == CL_SUCCESS && *count > MOST_PLATFORMS) *count = MOST_PLATFORMS;
    if (code == CL_SUCCESS && *count) return SCRY_OK;
    return scry__cl_host->fail(
        SCRY_NO_DEVICE,
        "no OpenCL platform answers (clGetPlatformIDs gave %d): expected a driver's ICD, such as "
        "the package pocl-opencl-icd; " POCL_HINT,
        (int)code);
}

/* Every device, up to MOST_DEVICES. A platform without any, or one that fails, does not hide the others. */
static scry_status list_devices(struct found *found, int *count)
{
    cl_platform_id platforms[MOST_PLATFORMS];
    cl_uint        platform_count = 0;
    cl_int         code           = CL_DEVICE_NOT_FOUND;
    *count                        = 0;
    scry_status status            = list_platforms(platforms, &platform_count);
    for (cl_uint i = 0; i < platform_count; i++) {
        cl_device_id devices[MOST_DEVICES];
        cl_uint      device_count = 0;
        cl_int       answer = clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, MOST_DEVICES, devices, &device_count);
        if (answer != CL_SUCCESS) {
            if (answer != CL_DEVICE_NOT_FOUND) code = answer;
            continue;
        }
        for (cl_uint j = 0; j < device_count && j < MOST_DEVICES && *count < MOST_DEVICES; j++)
            found[(*count)++] = (struct found){platforms[i], devices[j]};
    }
    if (status || *count) return status;
    return scry__cl_host->fail(SCRY_NO_DEVICE,
                               "none of %u OpenCL platforms lists a device (clGetDeviceIDs gave %d); " POCL_HINT,
                               (unsigned)platform_count, (int)code);
}

/* Text and numbers that a device tells of itself; what cannot be told is "" or 0. */
static void device_text(cl_device_id device, cl_device_info what, char *text, size_t size)
{
    char   whole[1024] = "";
    size_t length      = 0;
    if (clGetDeviceInfo(device, what, sizeof whole - 1, whole, &length) != CL_SUCCESS) *whole = 0;
    snprintf(text, size, "%s", whole + strspn(whole, " "));
}

static void platform_text(cl_platform_id platform, cl_platform_info what, char *text, size_t size)
{
    char whole[1024] = "";
    if (clGetPlatformInfo(platform, what, sizeof whole - 1, whole, NULL) != CL_SUCCESS) *whole = 0;
    snprintf(text, size, "%s", whole);
}

static uint64_t device_number(cl_device_id device, cl_device_info what, size_t size)
{
    uint64_t number = 0; /* little-endian hosts only, as the checkpoints' formats are */
    return clGetDeviceInfo(device, what, size, &number, NULL) == CL_SUCCESS ? number : 0;
}

#define NUMBER(device, what, type) device_number(device, what, sizeof(type))

static bool is_cpu(cl_device_id device)
{
    return NUMBER(device, CL_DEVICE_TYPE, cl_device_type) & CL_DEVICE_TYPE_CPU;
}

static bool shares_memory(cl_device_id device)
{
    return is_cpu(device) || NUMBER(device, CL_DEVICE_HOST_UNIFIED_MEMORY, cl_bool);
}

/* Bytes of one allocation: whole pages, at least SCRY_REACHABLE_BYTES, as stage.c relies on (OpenCL grants no device
 * less), and no more than $SCRY_OPENCL_MAX_ALLOCATION says, for tests and for drivers that promise too much. */
static size_t most_allocated(cl_device_id device)
{
    enum { PAGE = 4096 };
    const char        *text = secure_getenv("SCRY_OPENCL_MAX_ALLOCATION");
    char              *end  = NULL;
    unsigned long long told = text ? strtoull(text, &end, 10) : 0;
    size_t             most = (size_t)NUMBER(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, cl_ulong);
    if (told && !*end && told < most) most = (size_t)told;
    most -= most % PAGE;
    return most < SCRY_REACHABLE_BYTES ? SCRY_REACHABLE_BYTES : most;
}

static void describe(const struct found *found, scry_device_info *info)
{
    char version[96], platform[96];
    *info = (scry_device_info){.backend = "opencl"};
    device_text(found->device, CL_DEVICE_NAME, info->description, sizeof info->description);
    device_text(found->device, CL_DRIVER_VERSION, version, sizeof version);
    platform_text(found->platform, CL_PLATFORM_NAME, platform, sizeof platform);
    snprintf(info->driver, sizeof info->driver, "%.60s %.60s", platform, version);
    info->type = is_cpu(found->device)          ? SCRY_DEVICE_SOFTWARE_GPU
                 : shares_memory(found->device) ? SCRY_DEVICE_INTEGRATED_GPU
                                                : SCRY_DEVICE_DISCRETE_GPU;
    /* The cpu backend has 100: it is faster than OpenCL on the same processor. */
    static const int scores[] = {
        [SCRY_DEVICE_SOFTWARE_GPU] = 50, [SCRY_DEVICE_INTEGRATED_GPU] = 200, [SCRY_DEVICE_DISCRETE_GPU] = 300};
    info->score            = scores[info->type];
    info->memory_bytes     = NUMBER(found->device, CL_DEVICE_GLOBAL_MEM_SIZE, cl_ulong);
    info->max_buffer_bytes = most_allocated(found->device);
    info->shared_bytes     = (uint32_t)NUMBER(found->device, CL_DEVICE_LOCAL_MEM_SIZE, cl_ulong);
    info->compute_units    = (uint32_t)NUMBER(found->device, CL_DEVICE_MAX_COMPUTE_UNITS, cl_uint);
}

static scry_status find(scry_device_info *infos, int capacity, int *count)
{
    struct found found[MOST_DEVICES];
    scry_status  status = list_devices(found, count);
    for (int i = 0; i < *count && i < capacity; i++) describe(&found[i], &infos[i]);
    return status;
}

/* What every kernel relies on. */
static scry_status check_abilities(cl_device_id device)
{
    int  major = 0, minor = 0;
    char version[128];
    device_text(device, CL_DEVICE_VERSION, version, sizeof version);
    const char *lacks = NULL;
    if (sscanf(version, "OpenCL %d.%d", &major, &minor) != 2 || major * 10 + minor < 12) lacks = "OpenCL 1.2";
    if (!NUMBER(device, CL_DEVICE_AVAILABLE, cl_bool)) lacks = "an available device";
    if (!NUMBER(device, CL_DEVICE_COMPILER_AVAILABLE, cl_bool)) lacks = "a compiler";
    if (!NUMBER(device, CL_DEVICE_ENDIAN_LITTLE, cl_bool)) lacks = "little-endian numbers";
    if (!(NUMBER(device, CL_DEVICE_SINGLE_FP_CONFIG, cl_device_fp_config) & CL_FP_INF_NAN))
        lacks = "infinities and NaN";
    if (!lacks) return SCRY_OK;
    return scry__cl_host->fail(SCRY_NO_DEVICE, "opencl: \"%s\" lacks %s, which every kernel needs", version, lacks);
}

void scry__cl_drain(struct scry__cl *cl)
{
    if (cl->lost && !cl->drained) clFinish(cl->queue);
    cl->drained = cl->lost;
}

static void destroy(struct scry__cl *cl)
{
    if (!cl) return;
    scry__cl_drain(cl);
    scry__cl_library_forget(cl);
    scry__cl_programs_destroy(cl);
    for (int i = 0; i < SCRY__CL_STAGED; i++)
        if (cl->staging[i]) clReleaseMemObject(cl->staging[i]);
    if (cl->queue) clReleaseCommandQueue(cl->queue);
    if (cl->context) clReleaseContext(cl->context);
    scry__cl_host->release(cl);
}

static void measure(struct scry__cl *cl)
{
    cl_device_fp_config single = NUMBER(cl->device, CL_DEVICE_SINGLE_FP_CONFIG, cl_device_fp_config);
    cl->is_cpu                 = is_cpu(cl->device);
    cl->shares_memory          = shares_memory(cl->device);
    cl->divides_right          = single & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT;
    cl->compute_units          = (uint32_t)NUMBER(cl->device, CL_DEVICE_MAX_COMPUTE_UNITS, cl_uint);
    cl->vector_floats          = (uint32_t)NUMBER(cl->device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, cl_uint);
    cl->most_items             = (size_t)NUMBER(cl->device, CL_DEVICE_MAX_WORK_GROUP_SIZE, size_t);
    cl->local_bytes            = (size_t)NUMBER(cl->device, CL_DEVICE_LOCAL_MEM_SIZE, cl_ulong);
    cl->most_allocated         = most_allocated(cl->device);
}

static scry_status device_open(scry_device *device, int index, const scry_device_options *options)
{
    (void)options;
    struct found     found[MOST_DEVICES];
    struct scry__cl *cl = NULL;
    cl_int           code;
    int              count;
    scry_status      status = list_devices(found, &count);
    if (status) return status;
    if (index < 0 || index >= count)
        return scry__cl_host->fail(SCRY_NO_DEVICE, "opencl: device %d of %d is gone", index, count);
    status = check_abilities(found[index].device);
    if (status) return status;

    cl = scry__cl_host->allocate(1, sizeof *cl);
    if (!cl) return SCRY_OUT_OF_MEMORY;
    cl->platform = found[index].platform;
    cl->device   = found[index].device;
    cl->front    = device;
    cl->store    = (struct scry__store){
           .host = scry__cl_host, .name = "opencl", .without = "programs are compiled anew each time", .most_files = 512};
    measure(cl);
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)cl->platform, 0};
    cl->context                              = clCreateContext(properties, 1, &cl->device, NULL, NULL, &code);
    status                                   = scry__cl_check(NULL, code, "clCreateContext");
    if (status) goto fail;
    cl->queue = clCreateCommandQueue(cl->context, cl->device, 0, &code);
    status    = scry__cl_check(NULL, code, "clCreateCommandQueue");
    if (status) goto fail;
    device->impl = cl;
    return SCRY_OK;

fail:
    destroy(cl);
    return status;
}

static void device_close(scry_device *device)
{
    destroy(device->impl);
    device->impl = NULL;
}

static scry_status finish(scry_device *device)
{
    struct scry__cl *cl = device->impl;
    return scry__cl_check_wait(cl, clFinish(cl->queue), "clFinish");
}

static void statistics(const scry_device *device, scry_device_statistics *out)
{
    const struct scry__cl *cl = device->impl;
    *out                      = cl->statistics;
}

const struct scry_backend *scry_backend_entry(const struct scry_host *host)
{
    static const struct scry_backend backend = {
        .abi_version    = SCRY_BACKEND_ABI,
        .struct_size    = sizeof(struct scry_backend),
        .name           = "opencl",
        .find           = find,
        .open           = device_open,
        .close          = device_close,
        .buffer_create  = scry__cl_buffer_create,
        .buffer_wrap    = scry__cl_buffer_wrap,
        .buffer_destroy = scry__cl_buffer_destroy,
        .buffer_write   = scry__cl_buffer_write,
        .buffer_read    = scry__cl_buffer_read,
        .query          = scry__cl_query,
        .run            = scry__cl_run,
        .finish         = finish,
        .reaches        = scry__cl_reaches,
        .kernels        = scry__cl_kernels,
        .statistics     = statistics,
    };
    scry__cl_host = host;
    return &backend;
}
