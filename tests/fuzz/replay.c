/* Runs a fuzz target on files, to reproduce a finding without libFuzzer: scry-replay TARGET FILE ... */
#include "fuzz/fuzz.h"

#include "base/alloc.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    void (*run)(const uint8_t *data, size_t size);
} targets[] = {
#define TARGET_ROW(name) {#name, fuzz_##name},
    FUZZ_TARGET_LIST(TARGET_ROW)
#undef TARGET_ROW
};

int main(int count, char **arguments)
{
    size_t index = 0, target_count = sizeof targets / sizeof *targets;
    while (index < target_count && (count < 2 || strcmp(arguments[1], targets[index].name))) index++;
    if (index == target_count) {
        fprintf(stderr, "usage: scry-replay TARGET FILE ...\ntargets:");
        for (size_t i = 0; i < target_count; i++) fprintf(stderr, " %s", targets[i].name);
        fprintf(stderr, "\n");
        return 2;
    }
    for (int i = 2; i < count; i++) {
        char  *data;
        size_t size;
        if (scry__file_read(&data, &size, arguments[i], (size_t)1 << 28)) {
            fprintf(stderr, "%s\n", scry_last_error());
            return 3;
        }
        targets[index].run((const uint8_t *)data, size);
        scry__free(data);
    }
    printf("%d files\n", count - 2);
    return 0;
}
