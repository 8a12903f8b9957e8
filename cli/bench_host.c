/* Host, commit and environment of a benchmark. See bench_host.h. */
#include "cli/bench_host.h"

#include "commit.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Variables that begin so change how fast somebody's kernels or threads are. */
static const char *const noted[] = {"OPENBLAS_",     "GOTO_NUM_",  "OMP_",      "GOMP_",
                                    "POCL_AFFINITY", "POCL_CPU_",  "POCL_MAX_", "POCL_WORK_GROUP",
                                    "POCL_DEVICES",  "POCL_KERNEL"};

/* OpenBLAS takes other kernels, or other block sizes, than suit the processor: half its speed. */
static const char *const distorting[] = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"};

extern char **environ;

static bool begins_with_one(const char *variable)
{
    for (size_t i = 0; i < sizeof noted / sizeof *noted; i++)
        if (!strncmp(variable, noted[i], strlen(noted[i]))) return true;
    return false;
}

void bench_host_clean(scry__bench_record *record)
{
    for (char **at = environ; *at && record->variable_count < SCRY__BENCH_VARIABLES; at++) {
        const char *value = strchr(*at, '=');
        if (!value || !begins_with_one(*at)) continue;
        scry__bench_variable *variable = &record->variables[record->variable_count++];
        snprintf(variable->name, sizeof variable->name, "%.*s", (int)(value - *at), *at);
        snprintf(variable->value, sizeof variable->value, "%s", value + 1);
        for (size_t i = 0; i < sizeof distorting / sizeof *distorting; i++)
            variable->removed |= !strcmp(variable->name, distorting[i]);
    }
    for (size_t i = 0; i < sizeof distorting / sizeof *distorting; i++) unsetenv(distorting[i]);
}

/* The processor's name, as the cpu device knows it. */
static void describe_processor(char *text, size_t size)
{
    scry_device *cpu = NULL;
    if (!scry_device_open(&cpu, &(scry_device_options){.name = "cpu", .threads = 1}))
        snprintf(text, size, "%s", scry_device_get_info(cpu)->description);
    scry_device_destroy(&cpu);
}

void bench_host_describe(scry__bench_record *record)
{
    time_t    now = time(NULL);
    struct tm date;
    cpu_set_t usable;
    snprintf(record->version, sizeof record->version, "%s", scry_version());
    snprintf(record->commit, sizeof record->commit, "%s", SCRY_COMMIT);
    strftime(record->date, sizeof record->date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &date));
    describe_processor(record->host, sizeof record->host);
    record->processors = sched_getaffinity(0, sizeof usable, &usable) ? 1 : CPU_COUNT(&usable);
    if (getloadavg(&record->load, 1) != 1) record->load = 0;
}
