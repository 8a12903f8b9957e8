/* From an op to its backend: validation, support, precision, scratch, and the policy where a device cannot.
 *
 * See scry/device.h. Ops that reach too far run in pieces (split.c), fallbacks in fallback.c. */
#include "base/error.h"
#include "device/cost.h"
#include "device/fallback.h"
#include "device/front.h"
#include "device/split.h"
#include "device/tuning.h"
#include "device/validate.h"

#include <stdio.h>

/* Whether `delivered` is at least what was asked for. bf16 does not admit f16, nor the other way round: one has fewer
 * bits, the other overflows at 65,504. */
static bool precision_suffices(scry_precision asked, scry_precision delivered)
{
    if (delivered == SCRY_STRICT_F32 || delivered == asked) return true;
    return delivered == SCRY_ALLOW_TF32 && asked != SCRY_STRICT_F32;
}

/* The backend's answer about one piece, held against the precision asked for. */
static scry_status ask_piece(scry_device *device, const scry_op *piece, scry_op_info *info)
{
    static const char *const texts[] = {"f32", "tf32", "f16", "bf16"};
    scry_status              status  = scry__front_result(device, device->backend->query(device, piece, info));
    if (status) return status;
    info->reason[sizeof info->reason - 1] = 0;
    info->kernel[sizeof info->kernel - 1] = 0;
    if (info->support == SCRY_NOT_SUPPORTED) return SCRY_OK;
    if (!precision_suffices(piece->precision, info->precision)) {
        info->support = SCRY_NOT_SUPPORTED;
        snprintf(info->reason, sizeof info->reason, "it delivers %s where %s was asked for",
                 (unsigned)info->precision <= SCRY_ALLOW_BF16 ? texts[info->precision] : "an unknown precision",
                 texts[piece->precision]);
    }
    return SCRY_OK;
}

/* What has been learnt of an op so far. */
typedef struct answer {
    scry_device *device;
    scry_op_info info; /* of the worst piece; scratch of the one that takes most */
    int64_t      pieces;
} answer;

static scry_status add_piece(void *state, const scry_op *piece)
{
    answer      *sum  = state;
    scry_op_info info = {0};
    if (sum->pieces++ && sum->info.support == SCRY_NOT_SUPPORTED) return SCRY_OK;
    scry_status status = ask_piece(sum->device, piece, &info);
    if (status) return status;
    size_t scratch = sum->info.scratch_bytes > info.scratch_bytes ? sum->info.scratch_bytes : info.scratch_bytes;
    if (sum->pieces == 1 || info.support > sum->info.support ||
        (info.support == sum->info.support && info.precision > sum->info.precision))
        sum->info = info;
    sum->info.scratch_bytes = scratch;
    return SCRY_OK;
}

/* The answer about a valid op. */
static scry_status ask(scry_device *device, const scry_op *op, answer *sum)
{
    char uncuttable[SCRY__UNCUTTABLE_TEXT];
    *sum               = (answer){.device = device};
    scry_status status = scry__split(device, op, add_piece, sum, uncuttable);
    if (!*uncuttable) return status;
    sum->info = (scry_op_info){.support = SCRY_NOT_SUPPORTED};
    snprintf(sum->info.reason, sizeof sum->info.reason, "%s", uncuttable);
    return SCRY_OK;
}

/* The same with the kernel that the tuning has for the whole op, so that its pieces run one kernel; device->kernel is
 * left as the op has to run. Where that kernel cannot run the op, the backend chooses. */
static scry_status ask_tuned(scry_device *device, const scry_op *op, answer *sum)
{
    const char *tuned = scry__tuned_kernel(device, op);
    if (!tuned) return ask(device, op, sum);
    device->kernel[op->kind] = tuned;
    scry_status status       = ask(device, op, sum);
    if (status || sum->info.support != SCRY_NOT_SUPPORTED) return status;
    device->kernel[op->kind] = NULL;
    return ask(device, op, sum);
}

static scry_status begin(scry_device *device, const scry_op *op)
{
    if (!device || !op) return scry__fail(SCRY_BAD_ARGUMENT, "op: expected a device and an op");
    scry_status status = scry__front_check(device);
    return status ? status : scry__validate(device, op);
}

/* Scratch only grows, a quarter beyond the need, so that a growing sequence does not reallocate at every step. */
static scry_status reserve_scratch(scry_device *device, size_t bytes)
{
    if (bytes <= scry_buffer_size(device->scratch)) return SCRY_OK;
    scry_status status = scry_device_finish(device); /* work under way may still use the old one */
    if (status) return status;
    scry_buffer_destroy(&device->scratch);
    status = scry_buffer_create(&device->scratch, device, bytes < SIZE_MAX / 2 ? bytes + bytes / 4 : bytes);
    return status == SCRY_OUT_OF_MEMORY ? scry_buffer_create(&device->scratch, device, bytes) : status;
}

scry_status scry_device_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    if (!info) return scry__fail(SCRY_BAD_ARGUMENT, "query: expected a place for the answer");
    answer      sum;
    scry_status status = begin(device, op);
    if (status) return status;
    const char *asked        = device->kernel[op->kind];
    status                   = ask_tuned(device, op, &sum);
    device->kernel[op->kind] = asked;
    if (status) return status;
    *info             = sum.info;
    info->flops       = scry__op_flops(op);
    info->bytes_moved = scry__op_bytes(op);
    return SCRY_OK;
}

static scry_status run_piece(void *state, const scry_op *piece)
{
    scry_device *device = state;
    return scry__front_result(device, device->backend->run(device, piece));
}

static void tell_pieces(const scry_device *device, const scry_op *op, int64_t pieces)
{
    if (pieces == 1 || device->front->told_pieces) return;
    device->front->told_pieces = true;
    scry__log(SCRY_LOG_INFO, "%s: %s runs in %lld pieces, each within what one op can reach; so will others",
              device->info.name, scry_op_text(op->kind), (long long)pieces);
}

/* A valid op that does something. */
static scry_status run_op(scry_device *device, const scry_op *op)
{
    answer      sum;
    char        uncuttable[SCRY__UNCUTTABLE_TEXT];
    scry_status status = ask_tuned(device, op, &sum);
    if (status) return status;
    if (sum.info.support == SCRY_NOT_SUPPORTED && device->front->fallback == SCRY_FALLBACK_ALLOW_CPU)
        return scry__fallback_run(device, op, sum.info.reason);
    if (sum.info.support == SCRY_NOT_SUPPORTED)
        return scry__fail(SCRY_UNSUPPORTED, "%s on %s: %s", scry_op_text(op->kind), device->info.name, sum.info.reason);
    status = reserve_scratch(device, sum.info.scratch_bytes);
    if (status) return status;
    tell_pieces(device, op, sum.pieces);
    return scry__split(device, op, run_piece, device, uncuttable);
}

void scry__device_observe(scry_device *device, const scry__observer *observer)
{
    device->front->observer = observer ? *observer : (scry__observer){0};
}

/* The observer is away while it is called, so that it may run ops of its own. */
static scry_status tell_observer(scry_device *device, const scry_op *op)
{
    const scry__observer observer = device->front->observer;
    if (!observer.after) return SCRY_OK;
    scry__device_observe(device, NULL);
    scry_status status = observer.after(observer.user, op);
    scry__device_observe(device, &observer);
    return status;
}

scry_status scry_device_run(scry_device *device, const scry_op *op)
{
    scry_status status = begin(device, op);
    if (status || scry__op_is_empty(op)) return status;
    const char *asked        = device->kernel[op->kind];
    status                   = run_op(device, op);
    device->kernel[op->kind] = asked;
    return status ? status : tell_observer(device, op);
}

scry_status scry_device_finish(scry_device *device)
{
    if (!device) return scry__fail(SCRY_BAD_ARGUMENT, "finish: expected a device");
    scry_status status = scry__front_check(device);
    return status ? status : scry__front_result(device, device->backend->finish(device));
}
