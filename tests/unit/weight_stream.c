/* Layers' weights that take turns in the device's memory: the same bits as where all of them stay, on every device. */
#include "device_ops.h"
#include "fixture.h"
#include "scry/scry.h"

#include <criterion/criterion.h>
#include <string.h>

#define DEMO SCRY_SOURCE_DIR "/models/demo"

static scry_model *open_demo(scry_device *device, uint64_t most)
{
    scry_model *model = NULL;
    cr_assert_eq(scry_model_open(&model, device, DEMO, &(scry_model_options){.weight_memory = most}), SCRY_OK, "%s",
                 scry_last_error());
    cr_expect_eq(scry_model_get_info(model)->streamed, most != 0);
    return model;
}

/* Residual streams and predictions of every layer, in passes of which the second finds the first one's layers there. */
static scry_lens *read_twice(scry_model *model)
{
    static const int32_t ids[] = {5, 17, 3, 99, 250, 7};
    scry_lens           *lens  = NULL;
    for (int time = 0; time < 2; time++) {
        scry_lens_destroy(&lens);
        scry_lens_options options = {.ids = ids, .id_count = 6, .top = 5};
        cr_assert_eq(scry_lens_run(&lens, model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    }
    return lens;
}

static void expect_same(const char *name)
{
    scry_device *device = device_need(name, NULL);
    scry_model  *whole = open_demo(device, 0), *streamed = NULL;
    uint64_t     bytes    = scry_model_get_info(whole)->weight_bytes;
    scry_lens   *expected = read_twice(whole), *found = NULL;
    streamed = open_demo(device, bytes - 1);
    found    = read_twice(streamed);
    cr_expect_eq(scry_model_get_info(streamed)->weight_bytes, bytes);
    size_t cells = (size_t)expected->layer_count * (size_t)expected->token_count;
    for (size_t i = 0; i < cells; i++) {
        cr_expect_eq(found->cells[i].lse, expected->cells[i].lse, "%s: cell %zu", name, i);
        cr_expect_eq(found->cells[i].entropy, expected->cells[i].entropy, "%s: cell %zu", name, i);
    }
    for (size_t i = 0; i < cells * (size_t)expected->top_count; i++)
        cr_expect(found->candidates[i].id == expected->candidates[i].id &&
                      found->candidates[i].logit == expected->candidates[i].logit,
                  "%s: candidate %zu", name, i);
    scry_lens_destroy(&expected);
    scry_lens_destroy(&found);
    scry_model_destroy(&streamed);
    scry_model_destroy(&whole);
    scry_device_destroy(&device);
}

Test(weight_stream, layers__in_turns_give_the_same_bits)
{
    expect_same("cpu");
}

Test(weight_stream, layers__in_turns_give_the_same_bits_on_opencl, .timeout = 120)
{
    expect_same("opencl:0");
}

Test(weight_stream, layers__in_turns_give_the_same_bits_on_vulkan, .timeout = 120)
{
    expect_same("vulkan:0");
}

Test(weight_stream, layers__in_turns_give_the_same_bits_on_emulated_cuda, .timeout = 120)
{
    expect_same("cuda-emulated:0");
}

Test(weight_stream, memory__that_does_not_hold_two_layers_is_refused)
{
    scry_device *device = NULL;
    scry_model  *model  = NULL;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu"}), SCRY_OK);
    cr_expect_eq(scry_model_open(&model, device, DEMO, &(scry_model_options){.weight_memory = 4096}),
                 SCRY_OUT_OF_MEMORY);
    cr_expect(strstr(scry_last_error(), "expected at most 4096"), "%s", scry_last_error());
    cr_expect_null(model);
    scry_device_destroy(&device);
}
