/* Kernels by name: what a device offers, and what its user asked for. See scry/device.h. */
#include "base/error.h"
#include "device/front.h"

#include <stdio.h>
#include <string.h>

/* One "OP=KERNEL" of a list; `text` begins at it and is not ended. */
typedef struct request {
    const char  *text, *kernel;
    size_t       length, kernel_length;
    scry_op_kind kind; /* SCRY_OP_COUNT: this is none */
} request;

static scry_op_kind find_op(const char *name, size_t length)
{
    int kind = 0;
    for (; kind < SCRY_OP_COUNT; kind++) {
        const char *text = scry_op_text((scry_op_kind)kind);
        if (strlen(text) == length && !memcmp(text, name, length)) break;
    }
    return (scry_op_kind)kind;
}

static request read_request(const char *text)
{
    request asked = {.text = text, .length = strcspn(text, ","), .kind = SCRY_OP_COUNT};
    size_t  op    = strcspn(text, "=");
    if (op + 1 >= asked.length) return asked;
    asked.kind          = find_op(text, op);
    asked.kernel        = text + op + 1;
    asked.kernel_length = asked.length - op - 1;
    return asked;
}

/* The request behind this one; "" behind the last. */
static const char *next_request(const request *asked)
{
    const char *end = asked->text + asked->length;
    return end + (*end == ',');
}

scry_status scry__kernels_check(const char *text)
{
    for (request asked; text && *text; text = next_request(&asked)) {
        asked = read_request(text);
        if (asked.kind != SCRY_OP_COUNT) continue;
        return scry__fail(SCRY_BAD_ARGUMENT, "kernels \"%.*s\": expected OP=KERNEL, such as matmul=library",
                          (int)asked.length, text);
    }
    return SCRY_OK;
}

static scry_status fail_kernel(const request *asked, const char *const *kernels)
{
    char names[256] = "";
    for (int i = 0; kernels[i]; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", kernels[i]);
    }
    return scry__fail(SCRY_BAD_ARGUMENT, "kernels \"%.*s\": expected %s%s for %s", (int)asked->length, asked->text,
                      *names ? "one of " : "none, there is only one", names, scry_op_text(asked->kind));
}

scry_status scry__kernels_choose(scry_device *device, const char *text)
{
    for (request asked; text && *text; text = next_request(&asked)) {
        asked                      = read_request(text);
        const char *const *kernels = scry_device_kernels(device, asked.kind), *const *kernel = kernels;
        while (*kernel &&
               (strlen(*kernel) != asked.kernel_length || memcmp(*kernel, asked.kernel, asked.kernel_length)))
            kernel++;
        if (!*kernel) return fail_kernel(&asked, kernels);
        device->kernel[asked.kind] = *kernel;
    }
    return SCRY_OK;
}

const char *const *scry_device_kernels(const scry_device *device, scry_op_kind kind)
{
    static const char *const none[] = {NULL};
    const char *const       *names  = NULL;
    if (device && (unsigned)kind < SCRY_OP_COUNT && device->backend->kernels)
        names = device->backend->kernels(device, kind);
    return names ? names : none;
}
