/* OpenCL drivers that fail: each call that the plugin makes fails once, early and late, and the program ends with the
 * documented exit code and one line that says why, with every object released. */
#include "faults.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(opencl_failures, .init = make_folder, .fini = remove_folder, .timeout = 600);

static const struct fault faults[] = {
    {"clGetPlatformIDs", -1001, NO_DEVICE},
    {"clGetPlatformIDs", -6, NO_DEVICE},
    {"clGetPlatformInfo", -30, HARMLESS},
    {"clGetDeviceIDs", -1, NO_DEVICE},
    {"clGetDeviceIDs", -6, NO_DEVICE},
    {"clGetDeviceInfo", -33, NO_DEVICE | OR_DONE},
    {"clCreateContext", -6, NO_MEMORY},
    {"clCreateContext", -2, NO_DEVICE},
    {"clCreateCommandQueue", -6, NO_MEMORY},
    {"clCreateCommandQueue", -33, NO_DEVICE},
    {"clCreateBuffer", -4, NO_MEMORY | OR_DONE},
    {"clCreateBuffer", -5, NO_MEMORY | OR_DONE},
    {"clCreateBuffer", -34, LOST},
    {"clCreateProgramWithSource", -6, NO_MEMORY},
    {"clBuildProgram", -11, NO_DEVICE},
    {"clBuildProgram", -6, NO_MEMORY},
    {"clGetProgramInfo", -30, HARMLESS},
    {"clCreateKernel", -46, NO_DEVICE},
    {"clCreateKernel", -5, NO_MEMORY},
    {"clSetKernelArg", -51, NO_DEVICE},
    {"clSetKernelArg", -6, NO_MEMORY},
    {"clEnqueueNDRangeKernel", -5, NO_MEMORY},
    {"clEnqueueNDRangeKernel", -4, NO_MEMORY},
    {"clEnqueueNDRangeKernel", -54, NO_DEVICE},
    {"clEnqueueNDRangeKernel", -36, LOST},
    {"clEnqueueNDRangeKernel", -9999, LOST},
    {"clEnqueueWriteBuffer", -6, NO_MEMORY},
    {"clEnqueueWriteBuffer", -5, LOST},
    {"clEnqueueReadBuffer", -6, NO_MEMORY},
    {"clEnqueueReadBuffer", -14, LOST},
    {"clEnqueueCopyBuffer", -4, NO_MEMORY},
    {"clEnqueueCopyBuffer", -34, LOST},
    {"clFinish", -5, LOST},
    {"clFinish", -36, LOST},
    {"clReleaseContext", -34, HARMLESS},
    {"clReleaseCommandQueue", -36, HARMLESS},
    {"clReleaseMemObject", -38, HARMLESS},
    {"clReleaseProgram", -44, HARMLESS},
    {"clReleaseKernel", -48, HARMLESS},
};

static const struct fault empty_cache_faults[] = {{"clGetProgramInfo", -30, HARMLESS},
                                                  {"clGetProgramInfo", -6, HARMLESS}};

/* Programs are built where the cache's do not load. */
static const struct fault full_cache_faults[] = {
    {"clBuildProgram", -11, HARMLESS},
    {"clBuildProgram", -42, HARMLESS},
    {"clCreateProgramWithBinary", -42, HARMLESS},
    {"clCreateProgramWithBinary", -6, HARMLESS},
};

/* Where buffers are in parts and ranges are staged. */
static const struct fault part_faults[] = {
    {"clCreateBuffer", -4, NO_MEMORY | OR_DONE}, {"clSetKernelArg", -6, NO_MEMORY},
    {"clEnqueueCopyBuffer", -4, NO_MEMORY},      {"clEnqueueCopyBuffer", -36, LOST},
    {"clEnqueueNDRangeKernel", -36, LOST},       {"clEnqueueReadBuffer", -5, LOST},
};

Test(opencl_failures, each_call_that_fails__ends_with_a_reason)
{
    need_driver(&opencl_driver);
    use_cache(NO_CACHE);
    expect_rows(&opencl_driver, FEW_IDS, faults, COUNT(faults));
    expect_ends(&opencl_driver, FEW_IDS, faults, COUNT(faults), NO_CACHE);
}

Test(opencl_failures, each_call_that_the_cache_makes__may_fail)
{
    need_driver(&opencl_driver);
    expect_ends(&opencl_driver, FEW_IDS, empty_cache_faults, COUNT(empty_cache_faults), EMPTY_CACHE);
    expect_ends(&opencl_driver, FEW_IDS, full_cache_faults, COUNT(full_cache_faults), FULL_CACHE);
}

/* A prompt long enough for buffers in parts, where the device allocates 1 MiB at once. */
Test(opencl_failures, each_call_that_fails_among_parts__ends_with_a_reason)
{
    need_driver(&opencl_driver);
    const char *ids = many_ids();
    use_cache(FULL_CACHE);
    struct outcome whole  = faulty_lens(&opencl_driver, ids, NULL);
    long           copies = last_calls("clEnqueueCopyBuffer");
    setenv("SCRY_OPENCL_MAX_ALLOCATION", "1", 1);
    struct outcome parted = faulty_lens(&opencl_driver, ids, NULL);
    cr_expect(!whole.exit_code && same_results(parted.out, whole.out), "parts change the results: %s", parted.err);
    cr_expect_gt(last_calls("clEnqueueCopyBuffer"), copies, "nothing is staged");
    outcome_free(&whole);
    outcome_free(&parted);
    expect_ends(&opencl_driver, ids, part_faults, COUNT(part_faults), FULL_CACHE);
}

/* From some call on the driver answers nothing but this code. */
Test(opencl_failures, device_that_is_gone__ends_the_program)
{
    static const struct {
        const char *rule;
        int         exit_code;
    } rows[] = {
        {"clEnqueueNDRangeKernel:3+:-36", LOST}, {"clEnqueueNDRangeKernel:1+:-9999", LOST},
        {"clEnqueueReadBuffer:1+:-5", LOST},     {"clEnqueueWriteBuffer:2+:-34", LOST},
        {"clSetKernelArg:9+:-6", NO_MEMORY},     {"clCreateBuffer:5+:-2", LOST},
        {"clCreateKernel:1+:-5", NO_MEMORY},     {"clGetPlatformIDs:2+:-1001", NO_DEVICE},
    };
    need_driver(&opencl_driver);
    use_cache(NO_CACHE);
    for (int i = 0; i < COUNT(rows); i++) expect_gone(&opencl_driver, rows[i].rule, rows[i].exit_code);
}
