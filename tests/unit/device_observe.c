/* The observer of a device: told of each op once, after it, and of nothing else. */
#include "device/observe.h"
#include "trial.h"

#include "scry/backend.h"

#include <criterion/criterion.h>

struct seen {
    scry_device *device;
    scry_tensor  spare;
    int          count;
    float        first; /* of the last op's output, when the observer was called */
    scry_status  answer;
};

static scry_status look(void *user, const scry_op *op)
{
    struct seen *seen = user;
    seen->count++;
    cr_assert_eq(scry_buffer_read(op->fill.out.buffer, 0, &seen->first, sizeof seen->first), SCRY_OK);
    scry_op own = {.kind = SCRY_OP_FILL, .fill = {.out = seen->spare, .value = 1}};
    cr_assert_eq(scry_device_run(seen->device, &own), SCRY_OK, "%s", scry_last_error());
    return seen->answer;
}

static void check_observer(const char *device)
{
    trial t;
    trial_open(&t, device);
    struct seen    seen = {.device = t.device, .spare = trial_out(&t, SCRY_F32, 1, TRIAL_SHAPE(4))};
    scry_tensor    out = trial_out(&t, SCRY_F32, 1, TRIAL_SHAPE(4)), none = out;
    scry__observer observer = {.after = look, .user = &seen};
    scry_op        op = {.kind = SCRY_OP_FILL, .fill = {.out = out, .value = 3}}, empty = op, wrong = op;
    none.shape[0]       = 0;
    empty.fill.out      = none;
    wrong.fill.out.rank = 0;
    trial_run(&t, &op);
    cr_expect_eq(seen.count, 0, "%s: nobody asked yet", device);
    scry__device_observe(t.device, &observer);
    trial_run(&t, &op);
    trial_run(&t, &empty);
    cr_expect_neq(scry_device_run(t.device, &wrong), SCRY_OK);
    cr_expect_eq(seen.count, 1, "%s: neither empty nor refused ops, nor the observer's own: %d", device, seen.count);
    cr_expect_eq(seen.first, 3.0F, "%s: after the op", device);
    seen.answer = SCRY_CHECK_FAILED;
    cr_expect_eq(scry_device_run(t.device, &op), SCRY_CHECK_FAILED, "%s", device);
    scry__device_observe(t.device, NULL);
    trial_run(&t, &op);
    cr_expect_eq(seen.count, 2, "%s", device);
    trial_close(&t);
}

Test(device_observe, observer__is_told_of_each_op_once)
{
    check_observer("cpu");
    check_observer("reference");
}
