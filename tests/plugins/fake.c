/* A plugin that computes with the reference's code and misbehaves on demand, for tests of the front door.
 *
 * The environment says how, read at every call:
 *   SCRY_FAKE_SCORES  "10,20": one device per number, with that score (one of score 1 where unset; "" for none)
 *   SCRY_FAKE_FAIL    "run:7": this slot returns this status; "run:7:2": at its second call from loading on
 *   SCRY_FAKE_REFUSE  "rope": query says that this op is not supported
 *   SCRY_FAKE_HALF    "matmul": query promises only f16 for this op
 *   SCRY_FAKE_WRONG   "matmul": run leaves this op's output alone
 *   SCRY_FAKE_SLOW    "500:matmul": run takes 500 microseconds more for this op
 *   SCRY_FAKE_SCRATCH "4096": scratch bytes that query asks for besides
 *   SCRY_FAKE_TYPE    "99": what find calls the type of its devices
 *   SCRY_FAKE_ROUND   "f16": run rounds f32 inputs to it (or to tf32, bf16), as kernels do that stage them so
 *   SCRY_FAKE_REACH   "512:4096": one op reaches 512 bytes of a buffer wherever they lie, and what lies within one of
 *                     its parts of 4096 (0: none); run fails where an operand lies beyond that
 *   SCRY_FAKE_KERNELS "1": matmul has the kernels first and second; "norm": norm has them; "null": NULL for every op;
 *                     "long": matmul has two long names
 *   SCRY_FAKE_DRIVER  "2.0": what find says of the driver
 *   SCRY_FAKE_REMOTE  "1": memory has no host address, and ops run when somebody waits for them, as on a GPU; a buffer
 *                     destroyed before its work is a failure of the next wait. Set before the device is opened.
 *
 * Where an op is named, "matmul=second" means that op with that kernel. The backend's own choice is first.
 *
 * Its statistics count the ops that have run since loading as programs_built. */
#include "device/operands.h"
#include "scry/backend.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

scry_backend_entry_function scry_reference_entry;

SCRY_API scry_backend_entry_function scry_backend_entry;

static const struct scry_host    *host;
static const struct scry_backend *inner;
static struct scry_backend        table;

/* A remote device's memory, hidden from the front door, and its queue. */
enum { MOST_BUFFERS = 1024, MOST_QUEUED = 64 };
static scry_buffer *hidden[MOST_BUFFERS];
static int          hidden_count;
static scry_op      queue[MOST_QUEUED];
static int          queued;
static bool         destroyed_early;
static uint64_t     runs;

static bool is_remote(void)
{
    return getenv("SCRY_FAKE_REMOTE") != NULL;
}

/* Shows the memory's addresses to the reference's code, or hides them from everybody else. */
static void show(bool shown)
{
    for (int i = 0; i < hidden_count; i++) hidden[i]->host = shown ? hidden[i]->impl : NULL;
}

/* Does what is queued. */
static scry_status drain(scry_device *device)
{
    scry_status status = SCRY_OK;
    show(true);
    for (int i = 0; i < queued && !status; i++) status = inner->run(device, &queue[i]);
    show(false);
    queued = 0;
    if (!destroyed_early) return status;
    destroyed_early = false;
    return host->fail(SCRY_CHECK_FAILED, "a buffer was destroyed before its work was done");
}

/* The status that SCRY_FAKE_FAIL wants from this call of `slot`. */
static scry_status wanted(const char *slot)
{
    static int  calls;
    const char *rule   = getenv("SCRY_FAKE_FAIL");
    size_t      length = strlen(slot);
    int         status = 0, at = 0;
    if (!rule || strncmp(rule, slot, length) || rule[length] != ':') return SCRY_OK;
    sscanf(rule + length, ":%d:%d", &status, &at);
    if (at && ++calls != at) return SCRY_OK;
    return host->fail((scry_status)status, "%s went wrong", slot);
}

/* False where everything is in reach. */
static bool read_reach(unsigned long long *anywhere, unsigned long long *part)
{
    const char *rule = getenv("SCRY_FAKE_REACH");
    *anywhere = *part = 0;
    return rule && sscanf(rule, "%llu:%llu", anywhere, part) > 0;
}

static bool fake_reaches(const scry_buffer *buffer, size_t offset, size_t bytes)
{
    unsigned long long anywhere, part;
    (void)buffer;
    if (!read_reach(&anywhere, &part)) return true;
    return bytes <= anywhere || (part && offset / part == (offset + bytes - 1) / part);
}

/* Holds the front door to what it may dispatch. */
static scry_status check_reach(const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    for (int i = 0; i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        size_t             extent = tensor->buffer ? scry__tensor_extent(tensor) : 0;
        if (extent && !(operands[i].flags & SCRY__PAGED) && !fake_reaches(tensor->buffer, tensor->offset, extent))
            return host->fail(SCRY_CHECK_FAILED, "%s: %zu bytes at %zu are out of reach", operands[i].name, extent,
                              tensor->offset);
    }
    return SCRY_OK;
}

static const char *op_text(scry_op_kind kind)
{
    static const char *const texts[] = {
#define OP_TEXT(name, text, member) text,
        SCRY_OP_LIST(OP_TEXT)
#undef OP_TEXT
    };
    return texts[kind];
}

static const char *const *fake_kernels(const scry_device *device, scry_op_kind kind)
{
    static const char *const none[] = {NULL}, *const two[] = {"first", "second", NULL};
    static const char *const longer[] = {"a-name-of-forty-characters-to-say-much-of",
                                         "another-name-of-more-than-forty-characters", NULL};
    const char              *rule     = getenv("SCRY_FAKE_KERNELS");
    (void)device;
    if (rule && !strcmp(rule, "null")) return NULL;
    if (rule && !strcmp(rule, op_text(kind))) return two;
    if (!rule || kind != SCRY_OP_MATMUL) return none;
    return !strcmp(rule, "long") ? longer : !strcmp(rule, "1") ? two : none;
}

/* The kernel that runs an op; NULL where it has none by name. */
static const char *kernel_of(const scry_device *device, scry_op_kind kind)
{
    const char *const *kernels = fake_kernels(device, kind);
    return device->kernel[kind] ? device->kernel[kind] : kernels ? *kernels : NULL;
}

/* Whether a rule "matmul" or "matmul=second" means this op here. */
static bool means(const char *rule, const scry_device *device, scry_op_kind kind)
{
    const char *kernel = kernel_of(device, kind);
    size_t      length = strlen(op_text(kind));
    if (!rule || strncmp(rule, op_text(kind), length)) return false;
    return !rule[length] || (rule[length] == '=' && kernel && !strcmp(rule + length + 1, kernel));
}

static void delay(const scry_device *device, scry_op_kind kind)
{
    const char *rule = getenv("SCRY_FAKE_SLOW"), *op = rule ? strchr(rule, ':') : NULL;
    if (op && means(op + 1, device, kind)) usleep((useconds_t)atoi(rule));
}

static void fake_statistics(const scry_device *device, scry_device_statistics *statistics)
{
    (void)device;
    statistics->programs_built = runs;
}

static scry_status fake_find(scry_device_info *infos, int capacity, int *count)
{
    const char *scores = getenv("SCRY_FAKE_SCORES") ? getenv("SCRY_FAKE_SCORES") : "1";
    scry_status status = wanted("find");
    *count             = 0;
    for (char *end; !status && *scores; scores = *end ? end + 1 : end) {
        scry_device_info info = {.name = "ignored", .description = "fake", .type = SCRY_DEVICE_SOFTWARE_GPU};
        info.score            = (int)strtol(scores, &end, 10);
        unsigned long long anywhere, part;
        if (read_reach(&anywhere, &part)) info.max_buffer_bytes = anywhere > part ? anywhere : part;
        if (getenv("SCRY_FAKE_DRIVER")) snprintf(info.driver, sizeof info.driver, "%s", getenv("SCRY_FAKE_DRIVER"));
        if (getenv("SCRY_FAKE_TYPE")) info.type = (scry_device_type)atoi(getenv("SCRY_FAKE_TYPE"));
        if (*count < capacity) infos[*count] = info;
        ++*count;
    }
    return status || *count ? status : host->fail(SCRY_NO_DEVICE, "no fake device is plugged in");
}

static scry_status fake_open(scry_device *device, int index, const scry_device_options *options)
{
    const scry_device_info told   = device->info;
    scry_status            status = wanted("open");
    if (!status) status = inner->open(device, index, options);
    device->info = told; /* not the reference's */
    return status;
}

static scry_status fake_buffer_create(scry_buffer **out, scry_device *device, size_t bytes)
{
    scry_status status = wanted("buffer_create");
    if (!status) status = inner->buffer_create(out, device, bytes);
    if (status || !is_remote()) return status;
    if (hidden_count == MOST_BUFFERS) return host->fail(SCRY_OUT_OF_MEMORY, "too many buffers for a test");
    hidden[hidden_count++] = *out;
    show(false);
    return SCRY_OK;
}

static void fake_buffer_destroy(scry_buffer **buffer)
{
    if (queued) destroyed_early = true;
    queued = 0;
    for (int i = 0; i < hidden_count; i++)
        if (hidden[i] == *buffer) hidden[i--] = hidden[--hidden_count];
    inner->buffer_destroy(buffer);
}

static scry_status fake_buffer_write(scry_buffer *buffer, size_t offset, const void *data, size_t bytes)
{
    scry_status status = wanted("buffer_write");
    if (!status) status = drain(buffer->device);
    show(true);
    if (!status) status = inner->buffer_write(buffer, offset, data, bytes);
    show(false);
    return status;
}

static scry_status fake_buffer_read(scry_buffer *buffer, size_t offset, void *data, size_t bytes)
{
    scry_status status = wanted("buffer_read");
    if (!status) status = drain(buffer->device);
    show(true);
    if (!status) status = inner->buffer_read(buffer, offset, data, bytes);
    show(false);
    return status;
}

static scry_status fake_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    scry_status status = wanted("query");
    if (!status) status = inner->query(device, op, info);
    if (getenv("SCRY_FAKE_SCRATCH")) info->scratch_bytes += (size_t)strtoull(getenv("SCRY_FAKE_SCRATCH"), NULL, 10);
    if (kernel_of(device, op->kind)) snprintf(info->kernel, sizeof info->kernel, "%s", kernel_of(device, op->kind));
    if (means(getenv("SCRY_FAKE_HALF"), device, op->kind)) info->precision = SCRY_ALLOW_F16;
    if (means(getenv("SCRY_FAKE_REFUSE"), device, op->kind)) {
        info->support = SCRY_NOT_SUPPORTED;
        snprintf(info->reason, sizeof info->reason, "it takes more than the 32 KiB at hand");
    }
    return status;
}

/* To as many significant bits as the named format has; f16 overflows. */
static float rounded(float value, const char *format)
{
    int   exponent, bits = !strcmp(format, "bf16") ? 8 : 11;
    float fraction = frexpf(value, &exponent);
    if (!isfinite(value)) return value;
    if (!strcmp(format, "f16") && fabsf(value) >= 65520) return copysignf(INFINITY, value);
    return ldexpf(rintf(ldexpf(fraction, bits)), exponent - bits);
}

static void round_elements(const scry_tensor *tensor, const char *format)
{
    for (int64_t i = 0; i < scry_tensor_count(tensor); i++) {
        int64_t position = 0, rest = i;
        for (int axis = tensor->rank - 1; axis >= 0; axis--) {
            position += rest % tensor->shape[axis] * tensor->stride[axis];
            rest /= tensor->shape[axis];
        }
        float *element = (float *)(void *)((char *)tensor->buffer->host + tensor->offset) + position;
        *element       = rounded(*element, format);
    }
}

/* Is the buffer one that the op writes? */
static bool is_output(const scry_op *op, const scry_buffer *buffer)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    for (int i = 0; i < count; i++)
        if (operands[i].flags & SCRY__WRITE && scry__operand_in(op, &operands[i])->buffer == buffer) return true;
    return false;
}

/* The inputs are what they were when it returns. */
static scry_status run_rounded(scry_device *device, const scry_op *op, const char *format)
{
    const scry__operand *operands;
    int                  count                    = scry__operands(op->kind, &operands);
    void                *kept[SCRY__MAX_OPERANDS] = {0};
    for (int i = 0; i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        if (!tensor->buffer || tensor->dtype != SCRY_F32 || is_output(op, tensor->buffer)) continue;
        kept[i] = host->allocate(tensor->buffer->size, 1);
        if (!kept[i]) continue;
        memcpy(kept[i], tensor->buffer->host, tensor->buffer->size);
        round_elements(tensor, format);
    }
    scry_status status = inner->run(device, op);
    for (int i = count - 1; i >= 0; i--) {
        scry_buffer *buffer = scry__operand_in(op, &operands[i])->buffer;
        if (kept[i]) memcpy(buffer->host, kept[i], buffer->size);
        host->release(kept[i]);
    }
    return status;
}

static scry_status fake_run(scry_device *device, const scry_op *op)
{
    scry_status status = wanted("run");
    if (!status) status = check_reach(op);
    if (status || means(getenv("SCRY_FAKE_WRONG"), device, op->kind)) return status;
    delay(device, op->kind);
    runs++;
    if (getenv("SCRY_FAKE_ROUND")) return run_rounded(device, op, getenv("SCRY_FAKE_ROUND"));
    if (!is_remote()) return inner->run(device, op);
    if (queued == MOST_QUEUED) status = drain(device);
    queue[queued++] = *op;
    return status;
}

static scry_status fake_finish(scry_device *device)
{
    scry_status status = wanted("finish");
    if (!status) status = drain(device);
    return status ? status : inner->finish(device);
}

const struct scry_backend *scry_backend_entry(const struct scry_host *given)
{
    host                 = given;
    inner                = scry_reference_entry(given);
    table                = *inner;
    table.name           = FAKE_NAME;
    table.find           = fake_find;
    table.open           = fake_open;
    table.buffer_create  = fake_buffer_create;
    table.buffer_destroy = fake_buffer_destroy;
    table.buffer_wrap    = NULL;
    table.buffer_write   = fake_buffer_write;
    table.buffer_read    = fake_buffer_read;
    table.query          = fake_query;
    table.run            = fake_run;
    table.finish         = fake_finish;
    table.reaches        = fake_reaches;
    table.kernels        = fake_kernels;
    table.statistics     = fake_statistics;
    return &table;
}
