/* From OpenCL's error codes to statuses with a reason. */
#include "opencl.h"
#include "shared/codes.h"

/* What NVIDIA's driver answers once a kernel has faulted; no header names it. */
enum { NVIDIA_FAULT = -9999, PLATFORM_NOT_FOUND = -1001 };

/* Codes that a reader may meet. Whatever else comes is a call that the driver should have taken. */
static const struct scry__code list[] = {
    {CL_DEVICE_NOT_FOUND, "CL_DEVICE_NOT_FOUND", SCRY_NO_DEVICE},
    {PLATFORM_NOT_FOUND, "CL_PLATFORM_NOT_FOUND_KHR", SCRY_NO_DEVICE},
    {CL_INVALID_PLATFORM, "CL_INVALID_PLATFORM", SCRY_NO_DEVICE},
    {CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE", SCRY_DEVICE_LOST},
    {CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST", SCRY_DEVICE_LOST},
    {CL_INVALID_DEVICE, "CL_INVALID_DEVICE", SCRY_DEVICE_LOST},
    {CL_INVALID_CONTEXT, "CL_INVALID_CONTEXT", SCRY_DEVICE_LOST},
    {CL_INVALID_COMMAND_QUEUE, "CL_INVALID_COMMAND_QUEUE", SCRY_DEVICE_LOST},
    {NVIDIA_FAULT, "the driver's code for a kernel that faulted", SCRY_DEVICE_LOST},
    {CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE", SCRY_OUT_OF_MEMORY},
    {CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES", SCRY_OUT_OF_MEMORY},
    {CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY", SCRY_OUT_OF_MEMORY},
    {CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE", SCRY_OUT_OF_MEMORY},
    {CL_COMPILER_NOT_AVAILABLE, "CL_COMPILER_NOT_AVAILABLE", SCRY_UNSUPPORTED},
    {CL_BUILD_PROGRAM_FAILURE, "CL_BUILD_PROGRAM_FAILURE", SCRY_UNSUPPORTED},
    {CL_INVALID_VALUE, "CL_INVALID_VALUE", SCRY_UNSUPPORTED},
    {CL_INVALID_HOST_PTR, "CL_INVALID_HOST_PTR", SCRY_UNSUPPORTED},
    {CL_INVALID_MEM_OBJECT, "CL_INVALID_MEM_OBJECT", SCRY_UNSUPPORTED},
    {CL_INVALID_BINARY, "CL_INVALID_BINARY", SCRY_UNSUPPORTED},
    {CL_INVALID_BUILD_OPTIONS, "CL_INVALID_BUILD_OPTIONS", SCRY_UNSUPPORTED},
    {CL_INVALID_PROGRAM, "CL_INVALID_PROGRAM", SCRY_UNSUPPORTED},
    {CL_INVALID_PROGRAM_EXECUTABLE, "CL_INVALID_PROGRAM_EXECUTABLE", SCRY_UNSUPPORTED},
    {CL_INVALID_KERNEL_NAME, "CL_INVALID_KERNEL_NAME", SCRY_UNSUPPORTED},
    {CL_INVALID_KERNEL, "CL_INVALID_KERNEL", SCRY_UNSUPPORTED},
    {CL_INVALID_ARG_INDEX, "CL_INVALID_ARG_INDEX", SCRY_UNSUPPORTED},
    {CL_INVALID_ARG_VALUE, "CL_INVALID_ARG_VALUE", SCRY_UNSUPPORTED},
    {CL_INVALID_ARG_SIZE, "CL_INVALID_ARG_SIZE", SCRY_UNSUPPORTED},
    {CL_INVALID_KERNEL_ARGS, "CL_INVALID_KERNEL_ARGS", SCRY_UNSUPPORTED},
    {CL_INVALID_WORK_DIMENSION, "CL_INVALID_WORK_DIMENSION", SCRY_UNSUPPORTED},
    {CL_INVALID_WORK_GROUP_SIZE, "CL_INVALID_WORK_GROUP_SIZE", SCRY_UNSUPPORTED},
    {CL_INVALID_WORK_ITEM_SIZE, "CL_INVALID_WORK_ITEM_SIZE", SCRY_UNSUPPORTED},
    {CL_INVALID_GLOBAL_WORK_SIZE, "CL_INVALID_GLOBAL_WORK_SIZE", SCRY_UNSUPPORTED},
    {CL_MEM_COPY_OVERLAP, "CL_MEM_COPY_OVERLAP", SCRY_UNSUPPORTED},
    {CL_MISALIGNED_SUB_BUFFER_OFFSET, "CL_MISALIGNED_SUB_BUFFER_OFFSET", SCRY_UNSUPPORTED},
};

static const struct scry__codes codes = {
    .api     = "opencl",
    .unnamed = "an error that OpenCL 1.2 does not name",
    .list    = list,
    .count   = sizeof list / sizeof *list,
};

/* What CL_OUT_OF_RESOURCES means where kernels are waited for. */
static const struct scry__code crash = {CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES: a kernel crashed", SCRY_DEVICE_LOST};
static const struct scry__codes crash_codes = {.api = "opencl", .list = &crash, .count = 1};

static scry_status report(struct scry__cl *cl, const struct scry__codes *from, cl_int code, const char *what)
{
    return scry__codes_fail(from, scry__cl_host, code, what, cl ? &cl->lost : NULL);
}

scry_status scry__cl_check(struct scry__cl *cl, cl_int code, const char *what)
{
    return code == CL_SUCCESS ? SCRY_OK : report(cl, &codes, code, what);
}

scry_status scry__cl_check_wait(struct scry__cl *cl, cl_int code, const char *what)
{
    if (code != CL_OUT_OF_RESOURCES) return scry__cl_check(cl, code, what);
    return report(cl, &crash_codes, code, what);
}
