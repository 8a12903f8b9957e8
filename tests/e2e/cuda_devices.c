/* Why there is no CUDA: a build without nvcc says so, and one with it gives the runtime's error by name. */
#include "program.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether the program under test has a plugin beside it. */
static bool has_plugin(const char *name)
{
    char        path[4096];
    const char *program = program_path();
    snprintf(path, sizeof path, "%.*s/libscry-%s.so", (int)(strrchr(program, '/') - program), program, name);
    return access(path, F_OK) == 0;
}

/* The line of backend `name`; "" where it has a device that is usable. */
static void reason_of(const char *name, char *reason, size_t size)
{
    struct outcome outcome = SCRY("devices", "--json");
    json_t        *devices = outcome_json(&outcome), *entry;
    size_t         index;
    bool           found = false;
    json_array_foreach(json_object_get(devices, "devices"), index, entry)
    {
        const char *listed = json_string_value(json_object_get(entry, "name"));
        if (strncmp(listed, name, strlen(name)) || (listed[strlen(name)] && listed[strlen(name)] != ':')) continue;
        bool usable = json_is_true(json_object_get(entry, "usable"));
        snprintf(reason, size, "%s", usable ? "" : json_string_value(json_object_get(entry, "reason")));
        found = true;
    }
    cr_assert(found, "%s is not listed", name);
    json_decref(devices);
    outcome_free(&outcome);
}

Test(cuda_devices, none__is_told_with_the_reason)
{
    char reason[256];
    reason_of("cuda", reason, sizeof reason);
    if (!*reason) cr_skip("there is a CUDA device here");
    cr_expect(strstr(reason, has_plugin("cuda") ? ": cudaError" : "this build made none: "), "\"%s\"", reason);
}

Test(cuda_devices, driver_that_fails__is_told_by_the_name_of_its_error)
{
    static const struct {
        const char *fault, *reason;
    } cases[] = {
        {"cudaGetDeviceCount:1:35", " over a driver for "},
        {"cudaGetDeviceCount:1:35", ": cudaErrorInsufficientDriver: "},
        {"cudaGetDeviceCount:1:100", "cuda: cudaGetDeviceCount: cudaErrorNoDevice: "},
        {"cudaGetDeviceCount:1:802", ": cudaErrorSystemNotReady: "},
    };
    if (!has_plugin("cuda-emulated")) cr_skip("this build emulates no CUDA");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char reason[256];
        setenv("SCRY_FAULT", cases[i].fault, 1);
        reason_of("cuda-emulated", reason, sizeof reason);
        cr_expect(strstr(reason, cases[i].reason), "%s: \"%s\"", cases[i].fault, reason);
    }
    unsetenv("SCRY_FAULT");
}
