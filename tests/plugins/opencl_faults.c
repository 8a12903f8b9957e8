/* Fails OpenCL calls on demand: preloaded before the program, it stands between the OpenCL plugin and the ICD loader.
 *
 *   SCRY_FAULT         "clFinish:3:-5": the third call of clFinish gives -5 and does nothing; "clFinish:3+:-5": and so
 * does every later call of any function but releases, as on a device that is gone SCRY_FAULT_REPORT  a file that gets,
 * when the program ends, a line "NAME CALLS" for each function that was called, and "left N" with the number of objects
 * made and not released */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum call {
#define NUMBER(name, ...) CALL_##name,
    CODES(NUMBER) MAKERS(NUMBER) RELEASERS(NUMBER)
#undef NUMBER
        CALL_COUNT
};

static const char *const names[] = {
#define TEXT(name, ...) #name,
    CODES(TEXT) MAKERS(TEXT) RELEASERS(TEXT)
#undef TEXT
};

static atomic_long      calls[CALL_COUNT], left;
static cl_command_queue queue; /* the one that was made last */

/* The ICD loader's function: the plugin has loaded it, but not for others to see. */
static void *real(enum call call)
{
    static void *loader;
    if (!loader) loader = dlopen("libOpenCL.so.1", RTLD_LAZY);
    void *function = loader ? dlsym(loader, names[call]) : NULL;
    if (!function) abort();
    return function;
}

/* Counts the call; true with the code where it is to fail. */
static bool fails(enum call call, bool releases, cl_int *code)
{
    static atomic_bool gone;
    long               number = atomic_fetch_add(&calls[call], 1) + 1, wanted = 0;
    const char        *rule   = getenv("SCRY_FAULT");
    size_t             length = strlen(names[call]);
    char              *end;
    if (!rule) return false;
    bool named = !strncmp(rule, names[call], length) && rule[length] == ':';
    wanted     = strtol(strchr(rule, ':') + 1, &end, 10);
    *code      = (cl_int)strtol(strrchr(rule, ':') + 1, NULL, 10);
    if (named && number == wanted && *end == '+') {
        gone = true; /* and does nothing more */
        if (queue) ((__typeof__(clFinish) *)real(CALL_clFinish))(queue);
    }
    return (named && number == wanted) || (gone && !releases);
}

#define WRAP_CODE(name, parameters, arguments)                                                                         \
    __attribute__((visibility("default"))) cl_int CL_API_CALL name parameters                                          \
    {                                                                                                                  \
        cl_int fault;                                                                                                  \
        if (fails(CALL_##name, false, &fault)) return fault;                                                           \
        return ((__typeof__(name) *)real(CALL_##name))arguments;                                                       \
    }
CODES(WRAP_CODE)

#define WRAP_MAKER(name, type, parameters, arguments)                                                                  \
    __attribute__((visibility("default"))) type CL_API_CALL name parameters                                            \
    {                                                                                                                  \
        cl_int fault;                                                                                                  \
        if (fails(CALL_##name, false, &fault)) {                                                                       \
            if (code) *code = fault;                                                                                   \
            return NULL;                                                                                               \
        }                                                                                                              \
        type made = ((__typeof__(name) *)real(CALL_##name))arguments;                                                  \
        if (made) left++;                                                                                              \
        if (CALL_##name == CALL_clCreateCommandQueue) queue = (cl_command_queue)made;                                  \
        return made;                                                                                                   \
    }
MAKERS(WRAP_MAKER)

#define WRAP_RELEASER(name, type)                                                                                      \
    __attribute__((visibility("default"))) cl_int CL_API_CALL name(type object)                                        \
    {                                                                                                                  \
        cl_int fault;                                                                                                  \
        left--;                                                                                                        \
        if (fails(CALL_##name, true, &fault)) return fault;                                                            \
        return ((__typeof__(name) *)real(CALL_##name))(object);                                                        \
    }
RELEASERS(WRAP_RELEASER)

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("SCRY_FAULT_REPORT");
    FILE       *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    for (int i = 0; i < CALL_COUNT; i++)
        if (calls[i]) fprintf(file, "%s %ld\n", names[i], (long)calls[i]);
    fprintf(file, "left %ld\n", (long)left);
    fclose(file);
}
