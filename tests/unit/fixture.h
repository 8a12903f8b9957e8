/* The checkpoints of tests/fixtures/models, opened on a device beside what transformers computed from them. */
#ifndef TESTS_UNIT_FIXTURE_H
#define TESTS_UNIT_FIXTURE_H

#include "model/forward.h"
#include "model/safetensors.h"
#include "scry/edit.h"
#include "scry/model.h"

#define FIXTURES SCRY_SOURCE_DIR "/tests/fixtures/models"

struct fixture {
    char               name[64], path[512];
    scry_device       *device;
    scry_model        *model;
    scry__safetensors *expected;
    int32_t           *ids;
    int                id_count;
};

/* Fails the test where something does not open. */
void fixture_open(struct fixture *self, const char *device, const char *name);
void fixture_close(struct fixture *self);

/* Names of all fixtures, ascending; returns how many. */
enum { FIXTURE_MAX = 64 };
int fixture_names(char names[FIXTURE_MAX][64]);

/* An expected tensor's values (aligned copies are not needed: fixtures are); fails the test where there is none. */
const scry__stored *fixture_find(const struct fixture *self, const char *format, int index);

/* A trace of a prompt as long as the fixture's; fails the test where it fails. */
scry_trace *fixture_trace(const struct fixture *self, const int32_t *ids, const char *hooks);

/* A capture of such a trace as values of an edit at its hook point. */
scry_edit_values fixture_values(const struct fixture *self, const scry_capture *capture);

/* Largest |a - b|; NaN where one of them is. */
double largest_difference(const float *a, const float *b, size_t count);

/* --- sessions over a fixture's model; each fails the test where a call fails --- */

/* What scry promises against transformers, on logits, hidden states and attentions. The fixtures were chosen so that
 * f32 itself stays within 5e-6 of f64 on them. */
#define PROMISE 5e-5

scry__session *fixture_session(const struct fixture *self, scry__session_options options);
void           fixture_forward(scry__session *session, const int32_t *ids, int count, const scry__hooks *hooks);

/* Logits of the last pass's rows [begin, begin + count): [batch, count, V], to be freed. */
float *fixture_logits(const struct fixture *self, scry__session *session, int batch, int begin, int count);

/* Holds logits of positions [begin, begin + count) to what transformers computed. */
void fixture_expect_logits(const struct fixture *self, const char *what, const float *found, int begin, int count);

/* Calls `check` for every built-in backend and every fixture. */
void fixture_for_all(void (*check)(const char *device, const char *name));
/* The same on a plugin's device, opencl:0, vulkan:0 or cuda-emulated:0; for_gpus: with its kernels for GPUs. Skips the
 * test where there is none, fails it there under $SCRY_TEST_OPENCL, $SCRY_TEST_VULKAN or $SCRY_TEST_CUDA. */
void fixture_for_plugin(const char *device, bool for_gpus, void (*check)(const char *device, const char *name));

/* A test of that on each of these devices. */
#define FIXTURES_ON_PLUGINS(suite, subject, behaviour, for_gpus, check)                                                \
    Test(suite, subject##_on_opencl__##behaviour, .timeout = 300)                                                      \
    {                                                                                                                  \
        fixture_for_plugin("opencl:0", for_gpus, check);                                                               \
    }                                                                                                                  \
    Test(suite, subject##_on_vulkan__##behaviour, .timeout = 300)                                                      \
    {                                                                                                                  \
        fixture_for_plugin("vulkan:0", for_gpus, check);                                                               \
    }                                                                                                                  \
    Test(suite, subject##_on_emulated_cuda__##behaviour, .timeout = 300)                                               \
    {                                                                                                                  \
        fixture_for_plugin("cuda-emulated:0", for_gpus, check);                                                        \
    }

#endif
