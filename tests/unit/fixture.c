/* Fixtures for tests of models. See fixture.h. */
#include "fixture.h"

#include "trace/edit.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By name, for fixtures on a plugin's device. */
static const char *plugin_kernels;

void fixture_open(struct fixture *self, const char *device, const char *name)
{
    char                path[600];
    scry_device_options options = {.name = device, .kernels = strchr(device, ':') ? plugin_kernels : NULL};
    *self                       = (struct fixture){0};
    snprintf(self->name, sizeof self->name, "%s", name);
    snprintf(self->path, sizeof self->path, FIXTURES "/%s", name);
    snprintf(path, sizeof path, "%s/expected.safetensors", self->path);
    cr_assert_eq(scry_device_open(&self->device, &options), SCRY_OK, "%s: %s", device, scry_last_error());
    cr_assert_eq(scry_model_open(&self->model, self->device, self->path, &(scry_model_options){.round_rope = true}),
                 SCRY_OK, "%s: %s", name, scry_last_error());
    cr_assert_eq(scry__safetensors_open(&self->expected, path), SCRY_OK, "%s: %s", name, scry_last_error());
    const scry__stored *ids = fixture_find(self, "ids", 0);
    cr_assert_eq(ids->element, SCRY__ELEMENT_I32);
    self->id_count = (int)ids->shape[0];
    self->ids      = malloc(ids->bytes);
    memcpy(self->ids, ids->data, ids->bytes);
}

void fixture_close(struct fixture *self)
{
    free(self->ids);
    scry__safetensors_close(&self->expected);
    scry_model_destroy(&self->model);
    scry_device_destroy(&self->device);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

int fixture_names(char names[FIXTURE_MAX][64])
{
    int            count     = 0;
    DIR           *directory = opendir(FIXTURES);
    struct dirent *entry;
    cr_assert(directory, "no directory " FIXTURES);
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] == '.') continue;
        cr_assert_lt(count, FIXTURE_MAX);
        snprintf(names[count++], sizeof names[0], "%.63s", entry->d_name);
    }
    closedir(directory);
    qsort(names, (size_t)count, sizeof names[0], by_text);
    return count;
}

const scry__stored *fixture_find(const struct fixture *self, const char *name, int index)
{
    char full[64];
    snprintf(full, sizeof full, strchr(name, '.') ? "%s%d" : "%s", name, index);
    const scry__stored *stored = scry__safetensors_find(self->expected, full);
    cr_assert(stored, "%s: expected.safetensors has no %s", self->name, full);
    return stored;
}

scry_trace *fixture_trace(const struct fixture *self, const int32_t *ids, const char *hooks)
{
    scry_trace              *trace   = NULL;
    const scry_trace_options options = {.ids = ids, .id_count = self->id_count, .hooks = hooks};
    cr_assert_eq(scry_trace_run(&trace, self->model, NULL, &options), SCRY_OK, "%s: %s", self->name, scry_last_error());
    return trace;
}

scry_edit_values fixture_values(const struct fixture *self, const scry_capture *capture)
{
    scry__hook hook;
    int        layer;
    cr_assert(capture && scry__edit_find_hook(self->model, capture->name, &hook, &layer), "%s: no capture", self->name);
    return (scry_edit_values){.data    = capture->data,
                              .rows    = self->id_count,
                              .heads   = scry__edit_extent_of(self->model, hook).heads,
                              .columns = (int)capture->shape[capture->rank - 1]};
}

double largest_difference(const float *a, const float *b, size_t count)
{
    double largest = 0.0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        if (!(difference <= largest)) largest = difference;
        if (isnan(difference)) return NAN;
    }
    return largest;
}

scry__session *fixture_session(const struct fixture *self, scry__session_options options)
{
    scry__session *session = NULL;
    cr_assert_eq(scry__session_create(&session, self->model, &options), SCRY_OK, "%s", scry_last_error());
    return session;
}

void fixture_forward(scry__session *session, const int32_t *ids, int count, const scry__hooks *hooks)
{
    cr_assert_eq(scry__session_forward(session, ids, count, hooks), SCRY_OK, "%s", scry_last_error());
}

float *fixture_logits(const struct fixture *self, scry__session *session, int batch, int begin, int count)
{
    int64_t      shape[] = {batch, count, scry_model_get_info(self->model)->vocabulary};
    size_t       bytes   = (size_t)(shape[0] * shape[1] * shape[2]) * sizeof(float);
    scry_buffer *buffer  = NULL;
    float       *values  = malloc(bytes);
    cr_assert_eq(scry_buffer_create(&buffer, self->device, bytes), SCRY_OK);
    scry_tensor out = scry_tensor_of(buffer, 0, SCRY_F32, 3, shape);
    cr_assert_eq(scry__session_logits(session, begin, count, &out), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_buffer_read(buffer, 0, values, bytes), SCRY_OK);
    scry_buffer_destroy(&buffer);
    return values;
}

void fixture_expect_logits(const struct fixture *self, const char *what, const float *found, int begin, int count)
{
    const scry__stored *expected   = fixture_find(self, "logits", 0);
    size_t              vocabulary = (size_t)expected->shape[1];
    const float        *rows       = (const float *)(const void *)expected->data + (size_t)begin * vocabulary;
    double              difference = largest_difference(found, rows, (size_t)count * vocabulary);
    cr_expect(difference <= PROMISE, "%s: %s: logits from position %d differ by %g", self->name, what, begin,
              difference);
}

static void for_each(const char *device, void (*check)(const char *device, const char *name))
{
    static char names[FIXTURE_MAX][64];
    int         count = fixture_names(names);
    cr_assert_gt(count, 0);
    for (int i = 0; i < count; i++) check(device, names[i]);
}

void fixture_for_all(void (*check)(const char *device, const char *name))
{
    for_each("reference", check);
    for_each("cpu", check);
}

/* Those that run where items are many and thin. */
#define THIN_KERNELS                                                                                                   \
    "attention=group,softmax_capture=group,rope=thin,norm=group,lens=group,embed=thin,add=thin,scale=thin,"            \
    "activation=thin"

static const char *gpu_kernels(const char *device)
{
    static const struct {
        const char *device, *kernels;
    } all[] = {
        {"opencl:0", "matmul=tile," THIN_KERNELS},
        {"vulkan:0", "matmul=tile64,copy=thin,fill=thin," THIN_KERNELS},
        {"cuda-emulated:0", "matmul=tile,attention=group,lens=group,norm=block"}, /* its own choice: other ones */
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i].device, device)) return all[i].kernels;
    return NULL;
}

void fixture_for_plugin(const char *device, bool for_gpus, void (*check)(const char *device, const char *name))
{
    scry_device *opened = device_need(device, NULL);
    plugin_kernels      = for_gpus ? gpu_kernels(device) : NULL;
    scry_device_destroy(&opened);
    for_each(device, check);
}
