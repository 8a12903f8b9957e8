/* Random numbers by index, and the random twins of checkpoints that are drawn with them. */
#include "checkpoint_edit.h"
#include "fixture.h"
#include "refusals.h"

#include "base/noise.h"
#include "base/number.h"
#include "model/twin.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- numbers --- */

Test(noise, numbers__are_these_on_every_machine)
{
    static const struct {
        uint64_t index, bits;
        double   normal;
    } expected[] = {
        {0, 0x9c13a7fe0391dd9, -1.7731167133339083},
        {1, 0x96e5b8e67ff44643, 0.22611183773169355},
        {1000000007, 0x99a8c5c2c21e4cd7, 0.25394638464538372},
    };
    uint64_t stream = scry__noise_stream(7, "wte.weight");
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        cr_expect_eq(scry__noise_bits(stream, expected[i].index), expected[i].bits, "0x%016llx",
                     (unsigned long long)scry__noise_bits(stream, expected[i].index));
        cr_expect_eq(scry__noise_normal(stream, expected[i].index), expected[i].normal, "%.17g",
                     scry__noise_normal(stream, expected[i].index));
    }
}

Test(noise, streams__differ_by_seed_and_by_name)
{
    uint64_t stream = scry__noise_stream(7, "a");
    cr_expect_neq(stream, scry__noise_stream(8, "a"));
    cr_expect_neq(stream, scry__noise_stream(7, "b"));
    cr_expect_neq(scry__noise_bits(stream, 0), scry__noise_bits(stream, 1));
}

/* What the distribution function misses p by, in z. */
static double quantile_error(double p)
{
    double z     = scry__normal_quantile(p);
    double slope = exp(-0.5 * z * z) / sqrt(2 * M_PI);
    double below = 0.5 * erfc(-z / sqrt(2)), above = 0.5 * erfc(z / sqrt(2));
    return (p < 0.5 ? fabs(below - p) : fabs(above - (1 - p))) / slope;
}

Test(noise, quantile__inverts_the_distribution_function)
{
    for (double p = 1e-3; p < 1; p += 1e-3) cr_expect_lt(quantile_error(p), 5e-7, "%g: %g", p, quantile_error(p));
    for (double p = 1e-3; p > 1e-16; p *= 0.7) cr_expect_lt(quantile_error(p), 2e-6, "%g: %g", p, quantile_error(p));
    for (double p = 1e-3; p > 1e-6; p *= 0.7) cr_expect_lt(quantile_error(1 - p), 2e-6, "1 - %g", p);
    cr_expect_eq(scry__normal_quantile(0.5), 0);
}

Test(noise, normal__has_mean_0_and_variance_1)
{
    enum { COUNT = 200000 };
    uint64_t stream = scry__noise_stream(3, "x");
    double   sum = 0, squares = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        double z = scry__noise_normal(stream, i);
        sum += z;
        squares += z * z;
    }
    cr_expect_lt(fabs(sum / COUNT), 4 / sqrt(COUNT), "mean %g", sum / COUNT);
    cr_expect_lt(fabs(squares / COUNT - 1), 4 * sqrt(2.0 / COUNT), "variance %g", squares / COUNT);
}

/* --- twins --- */

static scry_device *open_device(const char *name)
{
    scry_device *device = NULL;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = name}), SCRY_OK, "%s", scry_last_error());
    return device;
}

/* *layers, optional, gets how many there are. */
static scry__safetensors *draw(const char *path, uint64_t seed, int64_t *layers)
{
    scry__arch         arch;
    scry__safetensors *twin = NULL;
    cr_assert_eq(scry__arch_read(&arch, path), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__twin_draw(&twin, &arch, path, seed), SCRY_OK, "%s", scry_last_error());
    if (layers) *layers = arch.layer_count;
    scry__arch_finish(&arch);
    return twin;
}

static double value_of(const scry__stored *tensor, size_t index)
{
    if (tensor->element == SCRY__ELEMENT_F32) return ((const float *)(const void *)tensor->data)[index];
    uint16_t bits = ((const uint16_t *)(const void *)tensor->data)[index];
    return tensor->element == SCRY__ELEMENT_F16 ? scry__f16_to_f32(bits) : scry__bf16_to_f32(bits);
}

/* Standard deviation about 0, or the one value that all entries have (then *constant). */
static double spread_of(const scry__stored *tensor, size_t *count, bool *constant)
{
    double squares = 0;
    *count         = tensor->bytes / (tensor->element == SCRY__ELEMENT_F32 ? 4 : 2);
    *constant      = true;
    for (size_t i = 0; i < *count; i++) {
        double value = value_of(tensor, i);
        squares += value * value;
        *constant = *constant && value == value_of(tensor, 0);
    }
    return *constant ? value_of(tensor, 0) : sqrt(squares / (double)*count);
}

static void check_twin(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, FIXTURES "/%s", name);
    int64_t            layers;
    scry__safetensors *twin = draw(path, 1, &layers), *again = draw(path, 1, NULL), *other = draw(path, 2, NULL);
    scry__safetensors *stored = NULL;
    cr_assert_eq(scry__safetensors_open(&stored, path), SCRY_OK);
    for (int i = 0; i < twin->count; i++) {
        const scry__stored *tensor = &twin->tensors[i], *was = scry__safetensors_find(stored, tensor->name);
        size_t              count;
        bool                constant;
        double              spread = spread_of(tensor, &count, &constant);
        cr_assert(was, "%s: the checkpoint has no %s", name, tensor->name);
        cr_expect_eq(tensor->element, was->element, "%s: %s", name, tensor->name);
        cr_expect(!memcmp(tensor->data, again->tensors[i].data, tensor->bytes));
        if (tensor->rank == 1) {
            cr_expect(constant, "%s: %s", name, tensor->name);
            cr_expect_eq(spread, strstr(tensor->name, ".bias") ? 0 : 1, "%s: %s", name, tensor->name);
        } else {
            double wanted = strstr(tensor->name, "c_proj") ? 0.02 / sqrt(2.0 * (double)layers) : 0.02;
            cr_expect(!constant && fabs(spread / wanted - 1) < 5 / sqrt(2.0 * (double)count), "%s: %s: %g", name,
                      tensor->name, spread);
            cr_expect(memcmp(tensor->data, other->tensors[i].data, tensor->bytes), "%s: %s", name, tensor->name);
        }
    }
    scry__safetensors_close(&twin);
    scry__safetensors_close(&again);
    scry__safetensors_close(&other);
    scry__safetensors_close(&stored);
}

Test(twin, weights__are_those_of_a_model_before_training)
{
    char names[FIXTURE_MAX][64];
    int  count = fixture_names(names);
    for (int i = 0; i < count; i++) check_twin(names[i]);
}

static float *last_logits(const char *device_name, const char *name, uint64_t seed, int *vocabulary)
{
    struct fixture f     = {.device = open_device(device_name)};
    int32_t        ids[] = {1, 2, 3, 4, 5};
    snprintf(f.path, sizeof f.path, FIXTURES "/%s", name);
    scry_model_options options = {.random_init = true, .random_seed = seed};
    cr_assert_eq(scry_model_open(&f.model, f.device, f.path, &options), SCRY_OK, "%s", scry_last_error());
    cr_expect(scry_model_get_info(f.model)->random_init);
    cr_expect_eq(scry_model_get_info(f.model)->random_seed, seed);
    *vocabulary            = scry_model_get_info(f.model)->vocabulary;
    scry__session *session = fixture_session(&f, (scry__session_options){.batch = 1, .capacity = 5});
    fixture_forward(session, ids, 5, NULL);
    float *logits = fixture_logits(&f, session, 1, 4, 1);
    scry__session_destroy(&session);
    fixture_close(&f);
    return logits;
}

/* Of every family: one backend's numbers are the other's, since the weights are the same bits. */
Test(twin, model__runs_alike_on_both_backends)
{
    char names[FIXTURE_MAX][64];
    int  count = fixture_names(names);
    for (int i = 0; i < count; i++) {
        int    size;
        float *reference = last_logits("reference", names[i], 5, &size), *cpu = last_logits("cpu", names[i], 5, &size);
        float *other = last_logits("cpu", names[i], 6, &size);
        cr_expect_lt(largest_difference(reference, cpu, (size_t)size), 1e-5, "%s", names[i]);
        cr_expect_gt(largest_difference(cpu, other, (size_t)size), 1e-3, "%s", names[i]);
        free(reference);
        free(cpu);
        free(other);
    }
}

Test(twin, config_alone__is_enough)
{
    char         path[CHECKPOINT_PATH];
    scry_model  *model  = NULL;
    scry_device *device = open_device("cpu");
    checkpoint_make(path, &(checkpoint_edit){"gpt2", REMOVE, "model.safetensors", NULL});
    cr_expect_eq(scry_model_open(&model, device, path, NULL), SCRY_BAD_INPUT);
    cr_assert_eq(scry_model_open(&model, device, path, &(scry_model_options){.random_init = true}), SCRY_OK, "%s",
                 scry_last_error());
    cr_expect_eq(scry_model_get_info(model)->weight_dtype, SCRY_F32);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    checkpoint_remove(path);
}

Test(twin, deviation__is_the_configs_initializer_range)
{
    char   path[CHECKPOINT_PATH];
    size_t count;
    bool   constant;
    checkpoint_make(path, &(checkpoint_edit){"llama", SET_CONFIG, "initializer_range", "0.5"});
    scry__safetensors *twin   = draw(path, 1, NULL);
    double             spread = spread_of(scry__safetensors_find(twin, "model.embed_tokens.weight"), &count, &constant);
    cr_expect_lt(fabs(spread / 0.5 - 1), 5 / sqrt(2.0 * (double)count), "%g", spread);
    scry__safetensors_close(&twin);
    checkpoint_remove(path);
}

Test(twin, open__survives_every_refused_allocation)
{
    scry_device    *device   = open_device("reference");
    struct refusals refusals = {0};
    while (refusals_next(&refusals)) {
        scry_model *model = NULL;
        scry_status status =
            scry_model_open(&model, device, FIXTURES "/gpt2", &(scry_model_options){.random_init = true});
        refusals_check(&refusals, status, model != NULL);
        scry_model_destroy(&model);
    }
    cr_expect_gt(refusals.refused, 40);
    scry_device_destroy(&device);
}
