/* Models that are opened to be trained: they compute what they did, on every device; and what training says where a
 * device lacks its ops. */
#include "device_ops.h"
#include "fixture.h"
#include "refusals.h"
#include "train/learner.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MUST(call) cr_assert_eq(call, SCRY_OK, "%s", scry_last_error())

static void check_trainable(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    int64_t parameters = scry_model_get_info(f.model)->parameter_count;
    scry_model_destroy(&f.model);
    MUST(scry_model_open(&f.model, f.device, f.path, &(scry_model_options){.round_rope = true, .trainable = true}));
    const scry_model_info *info = scry_model_get_info(f.model);
    cr_expect_eq(info->parameter_count, parameters);
    cr_expect_eq(info->weight_bytes, 4 * (uint64_t)parameters);
    cr_expect_eq(info->weight_dtype, SCRY_F32);
    scry__session *session = fixture_session(&f, (scry__session_options){.capacity = f.id_count});
    fixture_forward(session, f.ids, f.id_count, NULL);
    float *logits = fixture_logits(&f, session, 1, 0, f.id_count);
    fixture_expect_logits(&f, "trainable", logits, 0, f.id_count);
    free(logits);
    scry__session_destroy(&session);
    scry_model_destroy(&f.model);
    cr_expect_eq(
        scry_model_open(&f.model, f.device, f.path,
                        &(scry_model_options){.trainable = true, .weight_memory = 4 * (uint64_t)parameters - 1}),
        SCRY_OUT_OF_MEMORY, "never streamed");
    fixture_close(&f);
}

Test(trainable, models__compute_the_same)
{
    fixture_for_all(check_trainable);
}

FIXTURES_ON_PLUGINS(trainable, models, compute_the_same, false, check_trainable)

/* --- devices with the training ops, and without them --- */

/* Three steps; the device is closed. *loss is that before the last. */
static scry_status learn(scry_device *device, float *loss)
{
    scry_model    *model   = NULL;
    scry__learner *learner = NULL;
    scry_status    status  = SCRY_OK;
    int32_t        ids[16];
    for (int i = 0; i < 16; i++) ids[i] = 7 * i;
    MUST(scry_model_open(&model, device, FIXTURES "/gpt2", &(scry_model_options){.trainable = true}));
    MUST(scry__learner_create(&learner, model, &(scry__learner_options){.batch = 2, .rows = 8}));
    for (int i = 0; i < 3 && !status; i++) status = scry__learner_step(learner, ids, ids, 0.01, loss);
    scry__learner_destroy(&learner);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return status;
}

static void expect_loss_of_cpu(const char *name, float loss)
{
    float expected = 0;
    MUST(learn(device_open("cpu", SCRY_FALLBACK_STRICT), &expected));
    cr_expect_float_eq(loss, expected, 1e-5, "%s: a loss of %g, on cpu %g", name, loss, expected);
}

static void expect_learns(const char *name)
{
    float loss = 0;
    MUST(learn(device_need(name, NULL), &loss));
    expect_loss_of_cpu(name, loss);
}

Test(trainable, opencl__learns_as_cpu_does)
{
    expect_learns("opencl:0");
}

Test(trainable, vulkan__learns_as_cpu_does)
{
    expect_learns("vulkan:0");
}

Test(trainable, emulated_cuda__learns_as_cpu_does)
{
    expect_learns("cuda-emulated:0");
}

/* A plugin without kernels for training, as a new one is. */
Test(trainable, device_without_an_op__says_so_or_leaves_it_to_cpu)
{
    static const char *const ops[] = {"sum", "norm_backward", "attention_backward", "loss", "adamw"};
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        float loss = 0;
        setenv("SCRY_FAKE_REFUSE", ops[i], 1);
        cr_expect_eq(learn(device_open("fake", SCRY_FALLBACK_STRICT), &loss), SCRY_UNSUPPORTED, "%s", ops[i]);
        cr_expect(strstr(scry_last_error(), ops[i]), "%s: %s", ops[i], scry_last_error());
        MUST(learn(device_open("fake", SCRY_FALLBACK_ALLOW_CPU), &loss));
        expect_loss_of_cpu(ops[i], loss);
    }
    unsetenv("SCRY_FAKE_REFUSE");
}

Test(trainable, open__survives_every_refused_allocation)
{
    struct fixture  f;
    struct refusals refusals = {0};
    fixture_open(&f, "reference", "llama_f16");
    while (refusals_next(&refusals)) {
        scry_model *model  = NULL;
        scry_status status = scry_model_open(&model, f.device, f.path, &(scry_model_options){.trainable = true});
        refusals_check(&refusals, status, model != NULL);
        scry_model_destroy(&model);
    }
    cr_expect_gt(refusals.refused, 40);
    fixture_close(&f);
}
