/* Tuned kernels at the front door: loaded when a device is opened, looked up before each op. See tuning.h. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "device/front.h"
#include "device/tuning.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* The device's own pointer to that name; NULL where it has no such kernel any more. */
static const char *own_name(const scry_device *device, scry_op_kind kind, const char *name)
{
    const char *const *names = scry_device_kernels(device, kind);
    while (*names && strcmp(*names, name)) names++;
    return *names;
}

/* Once in the life of a process: programs open the same device many times. */
static void tell_unused(const char *reason)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&told)) return;
    scry__log(SCRY_LOG_WARNING, "%s; the tuning is not used: scry tune makes a new one, scry tune --forget removes it",
              reason);
}

static void use(scry_device *device, const scry__tuning *tuning)
{
    scry_device_tuning *told = &device->front->tuning;
    told->classes            = tuning->count;
    memcpy(told->date, tuning->date, sizeof told->date);
    for (int i = 0; i < tuning->count; i++) {
        const scry__tuned_class *class = &tuning->classes[i];
        const char *kernel             = *class->kernel ? own_name(device, class->kind, class->kernel) : NULL;
        device->front->tuned[class->kind][class->shape] = kernel;
        told->choices += kernel != NULL;
        if (*class->kernel && !kernel)
            scry__log(SCRY_LOG_INFO, "%s: its tuning has kernel %s for %s, which is not there any more",
                      device->info.name, class->kernel, scry_op_text(class->kind));
    }
}

scry_status scry__tuned_load(scry_device *device)
{
    scry_device_tuning *told   = &device->front->tuning;
    scry__tuning       *tuning = NULL;
    char               *path   = NULL;
    scry_status         status = scry__tuning_path(&path, &device->info);
    if (!status && path && scry__file_exists(path)) {
        snprintf(told->file, sizeof told->file, "%s", path);
        status = scry__tuning_read(&tuning, path, &device->info);
        if (!status) use(device, tuning);
        if (status && status != SCRY_OUT_OF_MEMORY) {
            snprintf(told->reason, sizeof told->reason, "%s", scry_last_error());
            tell_unused(told->reason);
        }
    }
    scry__free(tuning);
    scry__free(path);
    return status == SCRY_OUT_OF_MEMORY ? status : SCRY_OK;
}

const char *scry__tuned_kernel(const scry_device *device, const scry_op *op)
{
    if (!device->front->tuning.choices || device->kernel[op->kind] || op->precision != SCRY_STRICT_F32) return NULL;
    return device->front->tuned[op->kind][scry__shape_class(op)];
}

void scry_device_get_tuning(const scry_device *device, scry_device_tuning *tuning)
{
    if (tuning) *tuning = device ? device->front->tuning : (scry_device_tuning){0};
}
