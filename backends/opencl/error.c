/* From OpenCL's error codes to statuses with a reason. */
#include "opencl.h"

#include <stdio.h>

/* What NVIDIA's driver answers once a kernel has faulted; no header names it. */
enum { NVIDIA_FAULT = -9999, PLATFORM_NOT_FOUND = -1001 };

/* Codes that a reader may meet. Whatever else comes is a call that the driver should have taken. */
static const struct code {
    cl_int      code;
    const char *text;
    scry_status status;
} codes[] = {
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

static scry_status report(struct scry__cl *cl, scry_status status, cl_int code, const char *text, const char *what)
{
    if (cl && status == SCRY_DEVICE_LOST) cl->lost = true;
    return scry__cl_host->fail(status, "opencl: %s: %s (%d)", what, text, (int)code);
}

scry_status scry__cl_check(struct scry__cl *cl, cl_int code, const char *what)
{
    if (code == CL_SUCCESS) return SCRY_OK;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == code) return report(cl, codes[i].status, code, codes[i].text, what);
    return report(cl, SCRY_UNSUPPORTED, code, "an error that OpenCL 1.2 does not name", what);
}

scry_status scry__cl_check_wait(struct scry__cl *cl, cl_int code, const char *what)
{
    if (code != CL_OUT_OF_RESOURCES) return scry__cl_check(cl, code, what);
    return report(cl, SCRY_DEVICE_LOST, code, "CL_OUT_OF_RESOURCES: a kernel crashed", what);
}
