/* Fails OpenCL calls on demand: see faults.h. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

/* X(name, parameters, arguments): functions that return a code. */
#define CODES(X)                                                                                                       \
    X(clGetPlatformIDs, (cl_uint a, cl_platform_id * b, cl_uint * c), (a, b, c))                                       \
    X(clGetPlatformInfo, (cl_platform_id a, cl_platform_info b, size_t c, void *d, size_t *e), (a, b, c, d, e))        \
    X(clGetDeviceIDs, (cl_platform_id a, cl_device_type b, cl_uint c, cl_device_id * d, cl_uint * e), (a, b, c, d, e)) \
    X(clGetDeviceInfo, (cl_device_id a, cl_device_info b, size_t c, void *d, size_t *e), (a, b, c, d, e))              \
    X(clBuildProgram,                                                                                                  \
      (cl_program a, cl_uint b, const cl_device_id *c, const char *d, void (*e)(cl_program, void *), void *f),         \
      (a, b, c, d, e, f))                                                                                              \
    X(clGetProgramInfo, (cl_program a, cl_program_info b, size_t c, void *d, size_t *e), (a, b, c, d, e))              \
    X(clGetProgramBuildInfo, (cl_program a, cl_device_id b, cl_program_build_info c, size_t d, void *e, size_t *f),    \
      (a, b, c, d, e, f))                                                                                              \
    X(clSetKernelArg, (cl_kernel a, cl_uint b, size_t c, const void *d), (a, b, c, d))                                 \
    X(clEnqueueNDRangeKernel,                                                                                          \
      (cl_command_queue a, cl_kernel b, cl_uint c, const size_t *d, const size_t *e, const size_t *f, cl_uint g,       \
       const cl_event *h, cl_event *i),                                                                                \
      (a, b, c, d, e, f, g, h, i))                                                                                     \
    X(clEnqueueReadBuffer,                                                                                             \
      (cl_command_queue a, cl_mem b, cl_bool c, size_t d, size_t e, void *f, cl_uint g, const cl_event *h,             \
       cl_event *i),                                                                                                   \
      (a, b, c, d, e, f, g, h, i))                                                                                     \
    X(clEnqueueWriteBuffer,                                                                                            \
      (cl_command_queue a, cl_mem b, cl_bool c, size_t d, size_t e, const void *f, cl_uint g, const cl_event *h,       \
       cl_event *i),                                                                                                   \
      (a, b, c, d, e, f, g, h, i))                                                                                     \
    X(clEnqueueCopyBuffer,                                                                                             \
      (cl_command_queue a, cl_mem b, cl_mem c, size_t d, size_t e, size_t f, cl_uint g, const cl_event *h,             \
       cl_event *i),                                                                                                   \
      (a, b, c, d, e, f, g, h, i))                                                                                     \
    X(clFlush, (cl_command_queue a), (a))                                                                              \
    X(clFinish, (cl_command_queue a), (a))

/* X(name, type, parameters, arguments): functions that make an object, with the code as last parameter. */
#define MAKERS(X)                                                                                                      \
    X(clCreateContext, cl_context,                                                                                     \
      (const cl_context_properties *a, cl_uint b, const cl_device_id *c,                                               \
       void (*d)(const char *, const void *, size_t, void *), void *e, cl_int *code),                                  \
      (a, b, c, d, e, code))                                                                                           \
    X(clCreateCommandQueue, cl_command_queue,                                                                          \
      (cl_context a, cl_device_id b, cl_command_queue_properties c, cl_int * code), (a, b, c, code))                   \
    X(clCreateBuffer, cl_mem, (cl_context a, cl_mem_flags b, size_t c, void *d, cl_int *code), (a, b, c, d, code))     \
    X(clCreateProgramWithSource, cl_program, (cl_context a, cl_uint b, const char **c, const size_t *d, cl_int *code), \
      (a, b, c, d, code))                                                                                              \
    X(clCreateProgramWithBinary, cl_program,                                                                           \
      (cl_context a, cl_uint b, const cl_device_id *c, const size_t *d, const unsigned char **e, cl_int *f,            \
       cl_int *code),                                                                                                  \
      (a, b, c, d, e, f, code))                                                                                        \
    X(clCreateKernel, cl_kernel, (cl_program a, const char *b, cl_int *code), (a, b, code))

/* X(name, type): functions that release one. */
#define RELEASERS(X)                                                                                                   \
    X(clReleaseContext, cl_context)                                                                                    \
    X(clReleaseCommandQueue, cl_command_queue)                                                                         \
    X(clReleaseMemObject, cl_mem)                                                                                      \
    X(clReleaseProgram, cl_program)                                                                                    \
    X(clReleaseKernel, cl_kernel)

#define FAULTS_LOADER  "libOpenCL.so.1"
#define FAULTS_LIST(X) CODES(X) MAKERS(X) RELEASERS(X)
#include "faults.h"

static cl_command_queue queue; /* the one that was made last */

static void drain(void)
{
    if (queue) REAL(clFinish)(queue);
}

#define WRAP_CODE(name, parameters, arguments)                                                                         \
    FAULTS_SEEN cl_int CL_API_CALL name parameters                                                                     \
    {                                                                                                                  \
        cl_int fault;                                                                                                  \
        if (fails(CALL_##name, false, &fault)) return fault;                                                           \
        return REAL(name) arguments;                                                                                   \
    }
CODES(WRAP_CODE)

#define WRAP_MAKER(name, type, parameters, arguments)                                                                  \
    FAULTS_SEEN type CL_API_CALL name parameters                                                                       \
    {                                                                                                                  \
        cl_int fault;                                                                                                  \
        if (fails(CALL_##name, false, &fault)) {                                                                       \
            if (code) *code = fault;                                                                                   \
            return NULL;                                                                                               \
        }                                                                                                              \
        type made = REAL(name) arguments;                                                                              \
        if (made) left++;                                                                                              \
        if (CALL_##name == CALL_clCreateCommandQueue) queue = (cl_command_queue)made;                                  \
        return made;                                                                                                   \
    }
MAKERS(WRAP_MAKER)

#define WRAP_RELEASER(name, type)                                                                                      \
    FAULTS_SEEN cl_int CL_API_CALL name(type object)                                                                   \
    {                                                                                                                  \
        cl_int fault;                                                                                                  \
        left--;                                                                                                        \
        if (fails(CALL_##name, true, &fault)) return fault;                                                            \
        return REAL(name)(object);                                                                                     \
    }
RELEASERS(WRAP_RELEASER)
