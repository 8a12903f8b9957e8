/* Bytes as the tuning of a device. What is read can be written, and read again as the same. */
#include "base/alloc.h"
#include "device/tuning.h"
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

static void check(const scry__tuning *tuning)
{
    FUZZ_REQUIRE(tuning->count >= 0 && tuning->count <= SCRY__TUNED_CLASSES);
    for (int i = 0; i < tuning->count; i++) {
        const scry__tuned_class *at = &tuning->classes[i];
        FUZZ_REQUIRE((unsigned)at->kind < SCRY_OP_COUNT);
        FUZZ_REQUIRE(at->shape >= 0 && at->shape < scry__shape_class_count(at->kind));
        FUZZ_REQUIRE(memchr(at->kernel, 0, sizeof at->kernel) && memchr(at->own, 0, sizeof at->own));
        for (int j = 0; j < i; j++)
            FUZZ_REQUIRE(at->kind != tuning->classes[j].kind || at->shape != tuning->classes[j].shape);
    }
}

void fuzz_tuning(const uint8_t *data, size_t size)
{
    const scry_device_info info   = {.backend = "fake", .description = "fake", .driver = "2.0"};
    scry__tuning          *tuning = NULL, *again = NULL;
    scry_status            status = scry__tuning_read(&tuning, fuzz_file("tuning.json", data, size), &info);
    fuzz_require_detail(status);
    if (status) return;
    check(tuning);
    const char *path = fuzz_file("again.json", data, 0);
    FUZZ_REQUIRE(!scry__tuning_write(tuning, path) && !scry__tuning_read(&again, path, &info));
    FUZZ_REQUIRE(again->count == tuning->count && !strcmp(again->date, tuning->date));
    for (int i = 0; i < tuning->count; i++) FUZZ_REQUIRE(!strcmp(again->classes[i].kernel, tuning->classes[i].kernel));
    scry__free(again);
    scry__free(tuning);
}
