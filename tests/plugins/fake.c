/* A plugin that computes with the reference's code and misbehaves on demand, for tests of the front door.
 *
 * The environment says how, read at every call:
 *   SCRY_FAKE_SCORES  "10,20": one device per number, with that score (one of score 1 where unset; "" for none)
 *   SCRY_FAKE_FAIL    "run:7": this slot returns this status; "run:7:2": at its second call from loading on
 *   SCRY_FAKE_REFUSE  "rope": query says that this op is not supported
 *   SCRY_FAKE_HALF    "matmul": query promises only f16 for this op
 *   SCRY_FAKE_WRONG   "matmul": run leaves this op's output alone
 *   SCRY_FAKE_SCRATCH "4096": scratch bytes that query asks for besides */
#include "scry/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

scry_backend_entry_function scry_reference_entry;

SCRY_API scry_backend_entry_function scry_backend_entry;

static const struct scry_host    *host;
static const struct scry_backend *inner;
static struct scry_backend        table;

static bool names_op(const char *variable, const scry_op *op)
{
    static const char *const texts[] = {
#define OP_TEXT(name, text, member) text,
        SCRY_OP_LIST(OP_TEXT)
#undef OP_TEXT
    };
    const char *value = getenv(variable);
    return value && !strcmp(value, texts[op->kind]);
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

static scry_status fake_find(scry_device_info *infos, int capacity, int *count)
{
    const char *scores = getenv("SCRY_FAKE_SCORES") ? getenv("SCRY_FAKE_SCORES") : "1";
    scry_status status = wanted("find");
    *count             = 0;
    for (char *end; !status && *scores; scores = *end ? end + 1 : end) {
        scry_device_info info = {.name = "ignored", .description = "fake", .type = SCRY_DEVICE_SOFTWARE_GPU};
        info.score            = (int)strtol(scores, &end, 10);
        if (*count < capacity) infos[*count] = info;
        ++*count;
    }
    return status || *count ? status : host->fail(SCRY_NO_DEVICE, "no fake device is plugged in");
}

static scry_status fake_open(scry_device *device, int index, const scry_device_options *options)
{
    scry_status status = wanted("open");
    return status ? status : inner->open(device, index, options);
}

static scry_status fake_buffer_create(scry_buffer **out, scry_device *device, size_t bytes)
{
    scry_status status = wanted("buffer_create");
    return status ? status : inner->buffer_create(out, device, bytes);
}

static scry_status fake_buffer_write(scry_buffer *buffer, size_t offset, const void *data, size_t bytes)
{
    scry_status status = wanted("buffer_write");
    return status ? status : inner->buffer_write(buffer, offset, data, bytes);
}

static scry_status fake_buffer_read(scry_buffer *buffer, size_t offset, void *data, size_t bytes)
{
    scry_status status = wanted("buffer_read");
    return status ? status : inner->buffer_read(buffer, offset, data, bytes);
}

static scry_status fake_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    scry_status status = wanted("query");
    if (!status) status = inner->query(device, op, info);
    if (getenv("SCRY_FAKE_SCRATCH")) info->scratch_bytes += (size_t)strtoull(getenv("SCRY_FAKE_SCRATCH"), NULL, 10);
    if (names_op("SCRY_FAKE_HALF", op)) info->precision = SCRY_ALLOW_F16;
    if (names_op("SCRY_FAKE_REFUSE", op)) {
        info->support = SCRY_NOT_SUPPORTED;
        snprintf(info->reason, sizeof info->reason, "it takes more than the 32 KiB at hand");
    }
    return status;
}

static scry_status fake_run(scry_device *device, const scry_op *op)
{
    scry_status status = wanted("run");
    if (status || names_op("SCRY_FAKE_WRONG", op)) return status;
    return inner->run(device, op);
}

static scry_status fake_finish(scry_device *device)
{
    scry_status status = wanted("finish");
    return status ? status : inner->finish(device);
}

const struct scry_backend *scry_backend_entry(const struct scry_host *given)
{
    host                = given;
    inner               = scry_reference_entry(given);
    table               = *inner;
    table.name          = FAKE_NAME;
    table.find          = fake_find;
    table.open          = fake_open;
    table.buffer_create = fake_buffer_create;
    table.buffer_wrap   = NULL;
    table.buffer_write  = fake_buffer_write;
    table.buffer_read   = fake_buffer_read;
    table.query         = fake_query;
    table.run           = fake_run;
    table.finish        = fake_finish;
    return &table;
}
