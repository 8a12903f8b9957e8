/* Does the case table notice? Each mutant must fail at least one case of its op. The bugs are those that kernels really
 * have had. */
#include "unit/conform_mutants.h"

#include "cases/cases.h"
#include "device/builtin.h"
#include "device/front.h"
#include "device/registry.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

char *scry__mutant_address(const scry_tensor *x, int64_t index)
{
    int64_t position = 0;
    for (int axis = x->rank - 1; axis >= 0; axis--) {
        position += index % x->shape[axis] * x->stride[axis];
        index /= x->shape[axis];
    }
    return (char *)x->buffer->host + x->offset + position * 4;
}

float scry__mutant_get(const scry_tensor *x, int64_t index)
{
    float value;
    memcpy(&value, scry__mutant_address(x, index), sizeof value);
    return value;
}

void scry__mutant_put(const scry_tensor *x, int64_t index, double value)
{
    float f32 = (float)value;
    memcpy(scry__mutant_address(x, index), &f32, sizeof f32);
}

int32_t scry__mutant_get_id(const scry_tensor *x, int64_t index)
{
    int32_t value;
    memcpy(&value, scry__mutant_address(x, index), sizeof value);
    return value;
}

void scry__mutant_put_id(const scry_tensor *x, int64_t index, int32_t value)
{
    memcpy(scry__mutant_address(x, index), &value, sizeof value);
}

void scry__mutant_map(const scry_tensor *x, double (*f)(double))
{
    for (int64_t i = 0; i < scry_tensor_count(x); i++) scry__mutant_put(x, i, f(scry__mutant_get(x, i)));
}

/* Rounds to 11 significant bits, as f16 and TF32 do. */
double scry__mutant_to_half(double value)
{
    int    exponent;
    double fraction = frexp(value, &exponent);
    return ldexp(rint(ldexp(fraction, 11)), exponent - 11);
}

static float *staged;

void scry__mutant_stage(const scry_tensor *x)
{
    staged = calloc((size_t)scry_tensor_count(x) + 1, sizeof *staged);
    for (int64_t i = 0; i < scry_tensor_count(x); i++) staged[i] = scry__mutant_get(x, i);
    scry__mutant_map(x, scry__mutant_to_half);
}

void scry__mutant_unstage(const scry_tensor *x)
{
    for (int64_t i = 0; i < scry_tensor_count(x); i++) scry__mutant_put(x, i, staged[i]);
    free(staged);
}

static const scry_tensor *output_of(const scry_op *op)
{
    switch (op->kind) {
    case SCRY_OP_MATMUL:
        return &op->matmul.c;
    case SCRY_OP_SOFTMAX_CAPTURE:
        return &op->softmax.probabilities;
    case SCRY_OP_ATTENTION:
        return &op->attention.out;
    case SCRY_OP_ROPE:
        return &op->rope.out;
    case SCRY_OP_NORM:
        return &op->norm.out;
    case SCRY_OP_LENS:
        return &op->lens.lse;
    case SCRY_OP_EMBED:
        return &op->embed.out;
    case SCRY_OP_ADD:
        return &op->add.out;
    case SCRY_OP_SCALE:
        return &op->scale.out;
    case SCRY_OP_ACTIVATION:
        return &op->activation.out;
    case SCRY_OP_COPY:
        return &op->copy.out;
    case SCRY_OP_SUM:
        return &op->sum.out;
    case SCRY_OP_ACTIVATION_BACKWARD:
        return &op->activation_backward.d_x;
    case SCRY_OP_ATTENTION_BACKWARD:
        return &op->attention_backward.d_q;
    default:
        return &op->fill.out;
    }
}

void scry__mutant_leave_last(const scry_op *op)
{
    const scry_tensor *x = output_of(op);
    if (scry_tensor_count(x) > 0) scry__mutant_put_id(x, scry_tensor_count(x) - 1, -1);
}

void scry__mutant_write_past_end(const scry_op *op)
{
    const scry_tensor *x = output_of(op);
    if (scry_tensor_count(x) > 0) memset(scry__mutant_address(x, scry_tensor_count(x) - 1) + 4, 1, 4);
}

void scry__mutant_write_before_start(const scry_op *op)
{
    const scry_tensor *x = output_of(op);
    if (scry_tensor_count(x) > 0) memset(scry__mutant_address(x, 0) - 1, 1, 1);
}

void scry__mutant_vary(const scry_op *op)
{
    static int         runs;
    const scry_tensor *x = output_of(op);
    if (scry_tensor_count(x) > 0 && runs++ % 2) scry__mutant_put(x, 0, nextafterf(scry__mutant_get(x, 0), INFINITY));
}

void scry__mutant_give_half(const scry_op *op)
{
    scry__mutant_map(output_of(op), scry__mutant_to_half);
}

/* --- The reference with a bug --- */

static const scry__mutant *planted;
static struct scry_backend table;

static scry_status run_planted(scry_device *device, const scry_op *op)
{
    scry_op changed = *op;
    if (planted->before) planted->before(&changed);
    scry_status status = scry_reference_entry(&scry__host)->run(device, &changed);
    if (!status && planted->after) planted->after(op);
    return status;
}

static scry_status open_planted(scry_device *device, int index, const scry_device_options *options)
{
    scry_status status = scry_reference_entry(&scry__host)->open(device, index, options);
    device->backend    = &table;
    return status;
}

static scry_device *open_mutant(void)
{
    scry_device     *device = NULL;
    scry_device_info info   = {.name = "mutant:0", .backend = "mutant"};
    table                   = *scry_reference_entry(&scry__host);
    table.open              = open_planted;
    table.run               = run_planted;
    cr_assert_eq(scry__device_open_at(&device, &table, 0, &info, &(scry_device_options){0}), SCRY_OK, "%s",
                 scry_last_error());
    return device;
}

/* Does a case of the planted bug's op fail? */
static bool is_caught(scry_device *reference, scry_device *device)
{
    for (int i = 0; i < scry__case_count(); i++) {
        scry__case_result result;
        if (scry__case_at(i).kind != planted->kind || scry__case_at(i).tier > SCRY__TIER_QUICK) continue;
        scry_status status = scry__case_run(&result, i, 0, reference, device);
        if (status && reference == device) continue; /* what a wrong reference expects may be refused */
        cr_assert_eq(status, SCRY_OK, "%s", scry_last_error());
        if (!result.passed) return true;
    }
    return false;
}

static void expect_all_caught(const scry__mutant *mutants)
{
    scry_device *reference = NULL, *device = open_mutant();
    cr_assert_eq(scry_device_open(&reference, &(scry_device_options){.name = "reference"}), SCRY_OK, "%s",
                 scry_last_error());
    for (planted = mutants; planted->name; planted++)
        cr_expect(is_caught(reference, device), "no case noticed: %s", planted->name);
    scry_device_destroy(&device);
    scry_device_destroy(&reference);
}

Test(conform_mutants, cases__notice_every_bug_in_attention)
{
    expect_all_caught(scry__attention_mutants);
}

Test(conform_mutants, cases__notice_every_bug_elsewhere)
{
    expect_all_caught(scry__other_mutants);
}

Test(conform_mutants, cases__notice_every_bug_in_training)
{
    expect_all_caught(scry__training_mutants);
}

static void plant(const char *name)
{
    static const scry__mutant *const lists[] = {scry__attention_mutants, scry__other_mutants, scry__training_mutants};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (planted = lists[i]; planted->name; planted++)
            if (!strcmp(planted->name, name)) return;
    cr_assert_fail("no mutant is called: %s", name);
}

/* With the bug in the reference too, only the judge's own results can tell. */
Test(conform_mutants, judges__notice_a_wrong_reference)
{
    static const char *const names[] = {
        "matmul drops the last k",
        "attention sees one future key",
        "attention's entropy is in bits",
        "norm forgets epsilon",
        "lens forgets bias",
        "softmax forgets the prefix",
        "attention forgets the scale",
        "attention's distance is one off",
        "sum drops the last row",
        "activation_backward exchanges the GELUs",
        "norm_backward forgets the mean",
        "embed_backward keeps the last of equal ids",
        "attention_backward forgets d_out . out",
        "loss forgets the soft-cap",
        "adamw forgets the corrections",
        "sgd forgets Nesterov's step",
    };
    scry_device *device = open_mutant();
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        plant(names[n]);
        cr_expect(is_caught(device, device), "no judge noticed: %s", names[n]);
    }
    scry_device_destroy(&device);
}

Test(conform_mutants, relations__notice_a_leak_a_drift_and_lost_precision)
{
    static const char *const bugs[][2] = {
        {"attention sees one future key", "attention/"},
        {"attention varies", "attention/"},
        {"rope rounds to half precision", "rope/"},
        {"attention_backward sees one future key", "attention_backward/"},
        {"attention_backward varies", "attention_backward/"},
    };
    scry_device *device = open_mutant();
    for (size_t n = 0; n < sizeof bugs / sizeof *bugs; n++) {
        int caught = 0;
        plant(bugs[n][0]);
        for (int i = 0; i < scry__relation_count(); i++) {
            scry__case_result result;
            if (!strstr(scry__relation_at(i).name, bugs[n][1])) continue;
            cr_assert_eq(scry__relation_run(&result, i, 0, device), SCRY_OK, "%s", scry_last_error());
            caught += !result.passed;
        }
        cr_expect(caught > 0, "no relation noticed: %s", bugs[n][0]);
    }
    scry_device_destroy(&device);
}

Test(conform_mutants, cases__that_expect_only_zeros_are_refused)
{
    scry__case_result result;
    scry_device      *device = open_mutant();
    plant("matmul drops the last k");
    cr_expect_eq(scry__case_run(&result, scry__case_find("matmul/1x1x1"), 0, device, device), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "matmul/1x1x1 on mutant:0: mistrusted: only 0 of 1 "), "%s", scry_last_error());
    scry_device_destroy(&device);
}

static void spoil_first(const scry_op *op)
{
    scry__mutant_put(output_of(op), 0, 77);
}

static void spoil_last(const scry_op *op)
{
    scry__mutant_put(output_of(op), scry_tensor_count(output_of(op)) - 1, 77);
}

/* Of a large case only samples are held against the reference, but all of it is looked at for damage and drift. */
Test(conform_mutants, large_cases__notice_bugs_at_both_ends_and_beside_the_elements)
{
    static const struct {
        scry__mutant mutant;
        const char  *says;
    } bugs[] = {
        {{.name = "spoils the first", .kind = SCRY_OP_EMBED, .after = spoil_first}, "out[0, 0]: expected "},
        {{.name = "spoils the last", .kind = SCRY_OP_EMBED, .after = spoil_last}, "out[50020, 767]: expected "},
        {{.name = "varies", .kind = SCRY_OP_EMBED, .after = scry__mutant_vary}, "in one run and "},
        {{.name = "writes past the end", .kind = SCRY_OP_EMBED, .after = scry__mutant_write_past_end}, "was changed"},
    };
    scry_device *reference = NULL, *device = open_mutant();
    cr_assert_eq(scry_device_open(&reference, &(scry_device_options){.name = "reference"}), SCRY_OK);
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
        scry__case_result result;
        planted            = &bugs[i].mutant;
        scry_status status = scry__case_run(&result, scry__case_find("embed/past-128-MiB"), 0, reference, device);
        cr_assert_eq(status, SCRY_OK, "%s", scry_last_error());
        cr_expect(!result.passed && strstr(result.detail, bugs[i].says), "%s: %s", bugs[i].mutant.name, result.detail);
        cr_expect_lt(result.compared, 50021 * 768);
    }
    scry_device_destroy(&device);
    scry_device_destroy(&reference);
}
