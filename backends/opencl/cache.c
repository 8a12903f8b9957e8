/* Built programs on disk. See cache.h. */
#include "cache.h"

#include <string.h>

enum { MOST_BYTES = 1 << 28 };

struct scry__cl_key scry__cl_cache_key(const struct scry__cl *cl, const char *options, const char *const *texts,
                                       int count)
{
    enum { FACT_BYTES = 1024 };
    static const cl_platform_info platform_facts[] = {CL_PLATFORM_NAME, CL_PLATFORM_VERSION};
    static const cl_device_info   device_facts[]   = {CL_DEVICE_VENDOR, CL_DEVICE_NAME, CL_DEVICE_VERSION,
                                                      CL_DRIVER_VERSION};
    const int                     facts            = 2 + 4;

    struct scry__cl_key key  = {0};
    size_t              most = (size_t)facts * FACT_BYTES + strlen(options) + 1;
    for (int i = 0; i < count; i++) most += strlen(texts[i]) + 1;
    key.text = scry__cl_host->allocate(most, 1);
    if (!key.text) return key;
    for (int i = 0; i < facts; i++) {
        char  *fact = key.text + key.size;
        cl_int code = i < 2 ? clGetPlatformInfo(cl->platform, platform_facts[i], FACT_BYTES, fact, NULL)
                            : clGetDeviceInfo(cl->device, device_facts[i - 2], FACT_BYTES, fact, NULL);
        if (code != CL_SUCCESS) goto fail;
        key.size += strlen(fact) + 1;
    }
    for (int i = -1; i < count; i++) {
        const char *text = i < 0 ? options : texts[i];
        memcpy(key.text + key.size, text, strlen(text));
        key.size += strlen(text) + 1;
    }
    return key;

fail:
    scry__cl_host->release(key.text);
    return (struct scry__cl_key){0};
}

static cl_program build_binary(struct scry__cl *cl, const char *binary, size_t size, const char *options)
{
    cl_int               code, refused = CL_SUCCESS;
    const unsigned char *bytes = (const unsigned char *)binary;
    cl_program program         = clCreateProgramWithBinary(cl->context, 1, &cl->device, &size, &bytes, &refused, &code);
    if (code == CL_SUCCESS && refused == CL_SUCCESS &&
        clBuildProgram(program, 1, &cl->device, options, NULL, NULL) == CL_SUCCESS)
        return program;
    if (code == CL_SUCCESS) clReleaseProgram(program);
    return NULL;
}

cl_program scry__cl_cache_load(struct scry__cl *cl, const struct scry__cl_key *key, const char *options)
{
    struct scry__found found   = scry__store_load(&cl->store, (struct scry__key){key->text, key->size});
    cl_program         program = found.content ? build_binary(cl, found.content, found.size, options) : NULL;
    if (found.content && !program)
        scry__cl_host->log(SCRY_LOG_DEBUG, "opencl: the driver refuses a binary of its own: it will be replaced");
    scry__cl_host->release(found.file);
    return program;
}

void scry__cl_cache_save(struct scry__cl *cl, const struct scry__cl_key *key, cl_program program)
{
    size_t         size   = 0;
    unsigned char *binary = NULL;
    if (!key->text) return;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) != CL_SUCCESS) size = 0;
    if (size && size < MOST_BYTES) binary = scry__cl_host->allocate(size, 1);
    if (!binary || clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) != CL_SUCCESS)
        scry__cl_host->log(SCRY_LOG_DEBUG, "opencl: the driver gives no binary to cache");
    else
        scry__store_save(&cl->store, (struct scry__key){key->text, key->size}, binary, size);
    scry__cl_host->release(binary);
}
