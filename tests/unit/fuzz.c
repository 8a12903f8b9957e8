/* Runs every fuzz target on its corpus, so that what a fuzzer once found stays found in every build. */
#include "fuzz/fuzz.h"

#include "base/alloc.h"
#include "base/file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>

static void run_corpus(const char *name, void (*run)(const uint8_t *data, size_t size))
{
    char           path[512];
    int            count = 0;
    struct dirent *entry;
    snprintf(path, sizeof path, SCRY_SOURCE_DIR "/tests/fuzz/corpus/%s", name);
    DIR *folder = opendir(path);
    cr_assert_not_null(folder, "%s", path);
    while ((entry = readdir(folder))) {
        char  *data;
        size_t size;
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, SCRY_SOURCE_DIR "/tests/fuzz/corpus/%s/%s", name, entry->d_name);
        cr_assert_eq(scry__file_read(&data, &size, path, 1 << 20), SCRY_OK, "%s", scry_last_error());
        run((const uint8_t *)data, size);
        scry__free(data);
        count++;
    }
    closedir(folder);
    cr_expect(count > 2, "%s: %d files", name, count);
}

#define CORPUS_TEST(name)                                                                                              \
    Test(fuzz, name##__takes_its_corpus)                                                                               \
    {                                                                                                                  \
        run_corpus(#name, fuzz_##name);                                                                                \
    }
FUZZ_TARGET_LIST(CORPUS_TEST)
