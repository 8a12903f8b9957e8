/* The checkpoints of tests/fixtures/models, opened on a device beside what transformers computed from them. */
#ifndef TESTS_UNIT_FIXTURE_H
#define TESTS_UNIT_FIXTURE_H

#include "model/safetensors.h"
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

/* Largest |a - b|; NaN where one of them is. */
double largest_difference(const float *a, const float *b, size_t count);

#endif
