/* What the targets share: files to hand over, and giving up. See fuzz.h. */
#include "fuzz/fuzz.h"

#include "scry/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_LIMIT = 8 };

static char folder[64];
static char files[FILE_LIMIT][128];
static int  file_count;

void fuzz_broken(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: broken: %s (last error: %s)\n", file, line, condition, scry_last_error());
    abort();
}

static void remove_folder(void)
{
    for (int i = 0; i < file_count; i++) unlink(files[i]);
    rmdir(folder);
}

const char *fuzz_folder(void)
{
    if (*folder) return folder;
    /* In memory where there is such a place: thousands of files a second. */
    snprintf(folder, sizeof folder, "%s/scry-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    FUZZ_REQUIRE(mkdtemp(folder));
    atexit(remove_folder);
    return folder;
}

const char *fuzz_file(const char *name, const uint8_t *data, size_t size)
{
    char path[128];
    int  index = 0;
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    while (index < file_count && strcmp(files[index], path)) index++;
    FUZZ_REQUIRE(index < FILE_LIMIT);
    if (index == file_count) strcpy(files[file_count++], path);
    FILE *file = fopen(path, "wb");
    FUZZ_REQUIRE(file && fwrite(data, 1, size, file) == size && !fclose(file));
    return files[index];
}

void fuzz_require_detail(bool failed)
{
    FUZZ_REQUIRE(!failed || *scry_last_error());
}
