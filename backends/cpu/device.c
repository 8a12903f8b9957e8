/* The embedded default device: this machine's processor. Finds it, chooses the kernels and the number of threads. */
#include "cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct scry_host *scry__cpu_host;

/* As many as OMP_NUM_THREADS says, which such programs are used to obey, else as the process may use. */
static int default_threads(void)
{
    const char *asked   = getenv("OMP_NUM_THREADS");
    int         threads = asked ? atoi(asked) : 0;
    cpu_set_t   usable;
    if (threads < 1 && !sched_getaffinity(0, sizeof usable, &usable)) threads = CPU_COUNT(&usable);
    return threads < 1 ? 1 : threads > SCRY__CPU_MAX_THREADS ? SCRY__CPU_MAX_THREADS : threads;
}

/* The processor's own name, where the system tells it. */
static void describe(char *text, size_t size)
{
    char  line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(text, size, "processor");
    while (file && fgets(line, sizeof line, file)) {
        const char *value = strncmp(line, "model name", 10) ? NULL : strchr(line, ':');
        if (!value) continue;
        value += strspn(value, ": \t");
        snprintf(text, size, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    if (file) fclose(file);
}

static scry_status find(scry_device_info *infos, int capacity, int *count)
{
    *count = 0;
    if (capacity < 1) return SCRY_OK;
    scry_device_info *info  = &infos[0];
    long              pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    snprintf(info->name, sizeof info->name, "cpu:0");
    snprintf(info->backend, sizeof info->backend, "cpu");
    snprintf(info->driver, sizeof info->driver, "%s kernels", scry__cpu_kernels_usable(0)->name);
    describe(info->description, sizeof info->description);
    info->type          = SCRY_DEVICE_CPU;
    info->memory_bytes  = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    info->compute_units = (uint32_t)default_threads();
    info->score         = 100;
    *count              = 1;
    return SCRY_OK;
}

static scry_status device_open(scry_device *device, int index, const scry_device_options *options)
{
    (void)index;
    int wanted = options ? options->threads : 0;
    if (wanted < 0 || wanted > SCRY__CPU_MAX_THREADS)
        return scry__cpu_host->fail(SCRY_BAD_ARGUMENT, "cpu: %d threads: expected 1 to %d, or 0 for all", wanted,
                                    SCRY__CPU_MAX_THREADS);
    struct scry__cpu *cpu = scry__cpu_host->allocate(1, sizeof *cpu);
    if (!cpu) return SCRY_OUT_OF_MEMORY;
    cpu->threads       = wanted ? wanted : default_threads();
    cpu->kernels       = scry__cpu_kernels_usable(0);
    cpu->asked         = device->kernel;
    scry_status status = scry__cpu_pool_create(&cpu->pool, scry__cpu_host, &cpu->threads);
    if (status) {
        scry__cpu_host->release(cpu);
        return status;
    }
    device->impl = cpu;
    return SCRY_OK;
}

static void device_close(scry_device *device)
{
    struct scry__cpu *cpu = device->impl;
    if (cpu) scry__cpu_pool_destroy(&cpu->pool);
    scry__cpu_host->release(cpu);
    device->impl = NULL;
}

/* run() returns when the work is done. */
static scry_status finish(scry_device *device)
{
    (void)device;
    return SCRY_OK;
}

const struct scry_backend *scry_cpu_entry(const struct scry_host *host)
{
    static const struct scry_backend backend = {
        .abi_version    = SCRY_BACKEND_ABI,
        .struct_size    = sizeof(struct scry_backend),
        .name           = "cpu",
        .find           = find,
        .open           = device_open,
        .close          = device_close,
        .buffer_create  = scry__cpu_buffer_create,
        .buffer_wrap    = scry__cpu_buffer_wrap,
        .buffer_destroy = scry__cpu_buffer_destroy,
        .buffer_write   = scry__cpu_buffer_write,
        .buffer_read    = scry__cpu_buffer_read,
        .query          = scry__cpu_query,
        .run            = scry__cpu_run,
        .finish         = finish,
        .kernels        = scry__cpu_kernel_names,
    };
    scry__cpu_host = host;
    return &backend;
}
