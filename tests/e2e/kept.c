/* What can happen to the files that plugins keep. See kept.h. */
#include "kept.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct kept_files kept_list(void)
{
    struct kept_files files = {0};
    struct dirent    *entry;
    DIR              *folder = opendir(in_folder("cache"));
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.' && (size_t)files.count < sizeof files.names / sizeof *files.names)
            snprintf(files.names[files.count++], sizeof *files.names, "%s", entry->d_name);
    if (folder) closedir(folder);
    return files;
}

const char *kept_path(const char *name)
{
    char path[96];
    snprintf(path, sizeof path, "cache/%s", name);
    return in_folder(path);
}

void write_bytes(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(bytes, 1, size, file) == size, "%s", path);
    fclose(file);
}

/* As backends/shared/store.c lays it out. */
struct head {
    char     magic[8];
    uint64_t key_bytes, content_bytes, checksum;
};

_Static_assert(sizeof(struct head) == KEPT_HEAD, "its members fill it");

size_t kept_key_bytes(const char *name)
{
    struct head head;
    char       *bytes = read_file(kept_path(name), NULL);
    memcpy(&head, bytes, sizeof head);
    free(bytes);
    return head.key_bytes;
}

const struct damage kept_damages[] = {
    {"empty", CUT, HEAD, 0},
    {"cut in the head", CUT, HEAD, 17},
    {"cut in the key", CUT, KEY, 20},
    {"cut before the content", CUT, CONTENT, 0},
    {"cut in the content", CUT, CONTENT, 10},
    {"last byte missing", CUT, END, -1},
    {"a byte more", GROW, HEAD, 0},
    {"bit in the magic", FLIP, HEAD, 3},
    {"bit in the key's length", FLIP, HEAD, 9},
    {"bit in the highest byte of the content's length", FLIP, HEAD, 23},
    {"bit in the checksum", FLIP, HEAD, 24},
    {"bit in the key", FLIP, KEY, 8},
    {"first bit of the content", FLIP, CONTENT, 0},
    {"bit in the content", FLIP, CONTENT, 11},
    {"last bit", FLIP, END, -1},
    {"another's", FOREIGN, HEAD, 0},
};
const int kept_damage_count = sizeof kept_damages / sizeof *kept_damages;

void kept_apply(const struct damage *damage, const char *name, const char *other)
{
    size_t key_bytes = kept_key_bytes(name), size;
    char  *bytes     = read_file(kept_path(damage->change == FOREIGN ? other : name), &size);
    size_t begin[]   = {[HEAD] = 0, [KEY] = KEPT_HEAD, [CONTENT] = KEPT_HEAD + key_bytes, [END] = size};
    size_t at        = begin[damage->part] + (size_t)damage->at;
    cr_assert(at < size, "%s: byte %zu of %zu", damage->name, at, size);
    if (damage->change == CUT) size = at;
    if (damage->change == FLIP) bytes[at] ^= 1;
    write_bytes(kept_path(name), bytes, size + (damage->change == GROW)); /* read_file ends with a 0 */
    free(bytes);
}

void kept_seal(const char *name)
{
    struct head head;
    size_t      size;
    char       *bytes = read_file(kept_path(name), &size);
    memcpy(&head, bytes, sizeof head);
    head.content_bytes = size - sizeof head - head.key_bytes;
    head.checksum      = 0xcbf29ce484222325; /* FNV-1a, 64 bits */
    for (size_t i = sizeof head; i < size; i++)
        head.checksum = (head.checksum ^ (unsigned char)bytes[i]) * 0x100000001b3;
    memcpy(bytes, &head, sizeof head);
    write_bytes(kept_path(name), bytes, size);
    free(bytes);
}

const char *const unusable_places[] = {"/dev/null/none", "/proc", "relative", "", NULL};

void kept_fill(const char *prefix, int count)
{
    cr_assert_eq(mkdir(in_folder("cache"), 0700), 0);
    for (int i = 0; i < count; i++) {
        char                  name[32];
        const struct timespec times[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
        snprintf(name, sizeof name, "%s-%d.bin", prefix, i);
        write_bytes(kept_path(name), "x", 1);
        cr_assert_eq(utimensat(AT_FDCWD, kept_path(name), times, 0), 0);
    }
}

int kept_gone(const char *prefix, int count)
{
    int gone = 0;
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s-%d.bin", prefix, i);
        if (!access(kept_path(name), F_OK)) continue;
        cr_expect_eq(gone, i, "%s is gone, and an older one is there", name);
        gone++;
    }
    return gone;
}
