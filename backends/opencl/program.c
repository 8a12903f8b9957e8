/* Built programs and their kernels, kept for the life of the device and found again by name. */
#include "cache.h"
#include "sources.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BUCKETS = 256, MOST_FILES = 80, MOST_OPTIONS = 256, MOST_PARTS = 6 };

struct program {
    struct program *next;
    cl_program      built;
    char            file[MOST_FILES], options[MOST_OPTIONS];
};

struct kernel {
    struct kernel  *next; /* of its bucket */
    struct program *program;
    cl_kernel       made;
    char            name[48];
};

struct scry__cl_programs {
    struct program *first;
    struct kernel  *bucket[BUCKETS];
};

static uint64_t hash(uint64_t seed, const char *text)
{
    return scry__hash(seed, text, strlen(text));
}

double scry__cl_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* The compiler's first complaint, which drivers put among warnings and notes. */
static scry_status fail_build(struct scry__cl *cl, const struct program *program)
{
    size_t      size   = 0;
    scry_status status = SCRY_OUT_OF_MEMORY;
    clGetProgramBuildInfo(program->built, cl->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    char *log = scry__cl_host->allocate(size + 1, 1);
    if (!log) return status;
    clGetProgramBuildInfo(program->built, cl->device, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    const char *first = strstr(log, "error:");
    while (first && first > log && first[-1] != '\n') first--;
    if (!first) first = *log ? log : "the driver leaves no log";
    scry__cl_host->log(SCRY_LOG_DEBUG, "opencl: build log of %s.cl: %s", program->file, log);
    status = scry__cl_host->fail(SCRY_UNSUPPORTED, "opencl: %s.cl does not build with \"%s\": %.600s", program->file,
                                 program->options, first);
    scry__cl_host->release(log);
    return status;
}

static scry_status compile(struct scry__cl *cl, struct program *program, const char *const *texts, int count,
                           const char *options)
{
    cl_int code;
    program->built     = clCreateProgramWithSource(cl->context, (cl_uint)count, (const char **)texts, NULL, &code);
    scry_status status = scry__cl_check(cl, code, "clCreateProgramWithSource");
    if (status) return status;
    code = clBuildProgram(program->built, 1, &cl->device, options, NULL, NULL);
    if (code == CL_BUILD_PROGRAM_FAILURE) return fail_build(cl, program);
    status = scry__cl_check(cl, code, "clBuildProgram");
    if (!status) cl->statistics.programs_built++;
    return status;
}

/* The sources that a program is made of, one after another, each behind a line that tells the compiler its name. */
struct sources {
    int         count;
    const char *text[2 * MOST_PARTS];
    char        mark[MOST_PARTS][64];
    char       *owned[MOST_PARTS];
};

static scry_status add_source(struct sources *sources, const char *name, size_t length)
{
    int  part     = sources->count / 2;
    char file[40] = "";
    if (part == MOST_PARTS || length >= sizeof file)
        return scry__cl_host->fail(SCRY_UNSUPPORTED, "opencl: a program of \"%s\": expected up to %d files", name,
                                   MOST_PARTS - 1);
    memcpy(file, name, length);
    snprintf(sources->mark[part], sizeof *sources->mark, "\n#line 1 \"%s.cl\"\n", file);
    sources->text[sources->count++] = sources->mark[part];
    return scry__cl_source_find(&sources->text[sources->count++], &sources->owned[part], file);
}

/* common.cl, then the files that `files` names with '+' between them. */
static scry_status add_sources(struct sources *sources, const char *files)
{
    scry_status status = add_source(sources, "common", strlen("common"));
    while (!status && *files) {
        size_t length = strcspn(files, "+");
        status        = add_source(sources, files, length);
        files += length + (files[length] == '+');
    }
    return status;
}

/* From the cache, else from source. */
static scry_status build(struct scry__cl *cl, struct program *program)
{
    char                options[MOST_OPTIONS + 96];
    struct sources      sources = {0};
    struct scry__cl_key key     = {0};
    double              begin   = scry__cl_now();
    scry_status         status  = add_sources(&sources, program->file);
    if (status) goto fail;
    /* Warnings would go to the process' stderr with some drivers. */
    snprintf(options, sizeof options, "-cl-std=CL1.2 -w%s%s %s", cl->is_cpu ? " -DIS_CPU" : "",
             cl->divides_right ? " -cl-fp32-correctly-rounded-divide-sqrt" : "", program->options);
    key            = scry__cl_cache_key(cl, options, sources.text, sources.count);
    program->built = scry__cl_cache_load(cl, &key, options);
    if (program->built) {
        cl->statistics.programs_loaded++;
    } else {
        status = compile(cl, program, sources.text, sources.count, options);
        if (!status) scry__cl_cache_save(cl, &key, program->built);
    }

fail:
    cl->statistics.build_seconds += scry__cl_now() - begin;
    scry__cl_host->release(key.text);
    for (int i = 0; i < MOST_PARTS; i++) scry__cl_host->release(sources.owned[i]);
    return status;
}

static scry_status find_program(struct program **out, struct scry__cl *cl, const char *file, const char *options)
{
    struct program *program = cl->programs->first;
    while (program && (strcmp(program->file, file) || strcmp(program->options, options))) program = program->next;
    *out = program;
    if (program) return SCRY_OK;
    if (strlen(options) >= sizeof program->options || strlen(file) >= sizeof program->file)
        return scry__cl_host->fail(SCRY_UNSUPPORTED, "opencl: %s.cl with options \"%s\": too long", file, options);
    program = scry__cl_host->allocate(1, sizeof *program);
    if (!program) return SCRY_OUT_OF_MEMORY;
    memcpy(program->file, file, strlen(file));
    memcpy(program->options, options, strlen(options));
    scry_status status = build(cl, program);
    if (status) goto fail;
    program->next       = cl->programs->first;
    cl->programs->first = program;
    *out                = program;
    return SCRY_OK;

fail:
    if (program->built) clReleaseProgram(program->built);
    scry__cl_host->release(program);
    return status;
}

scry_status scry__cl_kernel(cl_kernel *out, struct scry__cl *cl, const char *file, const char *name,
                            const char *options)
{
    if (!cl->programs) cl->programs = scry__cl_host->allocate(1, sizeof *cl->programs);
    if (!cl->programs) return SCRY_OUT_OF_MEMORY;
    struct kernel **bucket = &cl->programs->bucket[hash(hash(hash(SCRY__HASH_SEED, file), name), options) % BUCKETS];
    struct kernel  *kernel = *bucket;
    while (kernel && (strcmp(kernel->name, name) || strcmp(kernel->program->options, options) ||
                      strcmp(kernel->program->file, file)))
        kernel = kernel->next;
    if (kernel) {
        *out = kernel->made;
        return SCRY_OK;
    }
    cl_int      code;
    scry_status status = SCRY_OUT_OF_MEMORY;
    kernel             = scry__cl_host->allocate(1, sizeof *kernel);
    if (!kernel) return status;
    status = find_program(&kernel->program, cl, file, options);
    if (status) goto fail;
    snprintf(kernel->name, sizeof kernel->name, "%s", name);
    kernel->made = clCreateKernel(kernel->program->built, name, &code);
    status       = scry__cl_check(cl, code, name);
    if (status) goto fail;
    kernel->next = *bucket;
    *bucket      = kernel;
    *out         = kernel->made;
    return SCRY_OK;

fail:
    scry__cl_host->release(kernel);
    return status;
}

void scry__cl_programs_destroy(struct scry__cl *cl)
{
    struct scry__cl_programs *programs = cl->programs;
    if (!programs) return;
    for (int i = 0; i < BUCKETS; i++)
        while (programs->bucket[i]) {
            struct kernel *kernel = programs->bucket[i];
            programs->bucket[i]   = kernel->next;
            clReleaseKernel(kernel->made);
            scry__cl_host->release(kernel);
        }
    while (programs->first) {
        struct program *program = programs->first;
        programs->first         = program->next;
        clReleaseProgram(program->built);
        scry__cl_host->release(program);
    }
    scry__cl_host->release(programs);
    cl->programs = NULL;
}
