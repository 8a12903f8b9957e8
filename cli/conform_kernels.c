/* `--kernels each`: a device once for each of its own kernels, so that all of them are checked and not only those that
 * it chooses by itself. */
#include "cli/conform.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

/* Not a kernel of ours, and it may be slow to start. */
static bool is_own(const char *kernel)
{
    return strcmp(kernel, "library") != 0;
}

/* The n-th own kernel of an op, or NULL. */
static const char *own_kernel(const scry_device *device, scry_op_kind kind, int n)
{
    for (const char *const *name = scry_device_kernels(device, kind); *name; name++)
        if (is_own(*name) && n-- == 0) return *name;
    return NULL;
}

/* Of the ops that are asked about; 1 at least. */
static int most_kernels(const struct conform_run *run, const scry_device *device)
{
    int most = 1;
    for (int i = 0; i < run->row_count; i++)
        while (own_kernel(device, run->rows[i].row.kind, most)) most++;
    return most;
}

/* Turn `n` of a device takes the n-th kernel of each op; ops that have none sit out every turn but the first. */
static scry_status add_turn(struct conform_run *run, const struct conform_device *origin, const scry_device *device,
                            int n)
{
    struct conform_device *turn = &run->devices[run->device_count++];
    *turn                       = *origin;
    turn->outcomes              = scry__alloc((size_t)run->row_count, sizeof *turn->outcomes);
    if (!turn->outcomes) return SCRY_OUT_OF_MEMORY;
    if (n) snprintf(turn->heading, sizeof turn->heading, "%s, %d", origin->name, n + 1);
    for (int kind = 0; device && kind < SCRY_OP_COUNT; kind++) {
        const char *kernel   = own_kernel(device, (scry_op_kind)kind, n);
        size_t      used     = strlen(turn->kernels);
        turn->left_out[kind] = n && !kernel;
        if (kernel)
            snprintf(turn->kernels + used, sizeof turn->kernels - used, "%s%s=%s", used ? "," : "",
                     scry_op_text((scry_op_kind)kind), kernel);
    }
    return SCRY_OK;
}

scry_status conform_each_kernel(struct conform_run *run)
{
    enum { MOST_TURNS = 16 };
    struct conform_device *origins = run->devices;
    int                    count   = run->device_count;
    scry_status            status  = SCRY_OK;
    run->devices                   = scry__alloc((size_t)count * MOST_TURNS, sizeof *run->devices);
    run->device_count              = 0;
    if (!run->devices) status = SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < count; i++) {
        scry_device *device = NULL;
        /* One that cannot be opened says so when its rows are run. */
        int turns = 1;
        if (!scry_device_open(&device, &(scry_device_options){.name = origins[i].name}))
            turns = most_kernels(run, device);
        for (int n = 0; !status && n < turns && n < MOST_TURNS; n++) status = add_turn(run, &origins[i], device, n);
        scry_device_destroy(&device);
    }
    for (int i = 0; i < count; i++) scry__free(origins[i].outcomes);
    scry__free(origins);
    return status;
}
