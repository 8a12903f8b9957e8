/* Tests of core/report/npz: every byte of the archive is read back by a reader that shares no code with the writer. */
#include "refusals.h"

#include "base/file.h"
#include "report/npz.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *scratch_path(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "/tmp/scry-npz-%ld-%s.npz", (long)getpid(), name);
    return path;
}

static uint64_t number_at(const uint8_t *bytes, int size)
{
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

/* CRC-32 as its definition says, bit by bit. */
static uint32_t checksum(const uint8_t *bytes, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

struct found {
    char           name[64], description[16], shape[64];
    const uint8_t *data;
    uint64_t       size;
};

static void read_npy(struct found *array, const uint8_t *file, uint64_t size)
{
    char head[256];
    cr_assert(!memcmp(file, "\x93NUMPY\x01\x00", 8));
    uint64_t head_size = number_at(file + 8, 2);
    cr_assert_eq((10 + head_size) % 64, 0);
    cr_assert_lt(head_size, sizeof head);
    memcpy(head, file + 10, head_size);
    head[head_size] = 0;
    cr_assert_eq(head[head_size - 1], '\n');
    cr_assert_eq(sscanf(head, "{'descr': '%15[^']', 'fortran_order': False, 'shape': (%63[^)])", array->description,
                        array->shape) >= 1,
                 1, "%s", head);
    array->data = file + 10 + head_size;
    array->size = size - 10 - head_size;
}

/* Follows the end record and the central directory; checks every local header against them. */
static int read_archive(const scry__map *map, struct found *arrays, int capacity)
{
    const uint8_t *end   = map->data + map->size - 22;
    int            count = (int)number_at(end + 10, 2);
    const uint8_t *line  = map->data + number_at(end + 16, 4);
    cr_assert_eq(number_at(end, 4), 0x06054b50u);
    cr_assert_eq(number_at(end + 12, 4) + number_at(end + 16, 4), map->size - 22);
    cr_assert_leq(count, capacity);
    for (int i = 0; i < count; i++) {
        uint64_t       size = number_at(line + 24, 4), name_size = number_at(line + 28, 2);
        const uint8_t *local = map->data + number_at(line + 42, 4);
        const uint8_t *file  = local + 30 + name_size + number_at(local + 28, 2);
        cr_assert_eq(number_at(line, 4), 0x02014b50u);
        cr_assert_eq(number_at(local, 4), 0x04034b50u);
        cr_assert(!memcmp(local + 6, line + 8, 20), "local and central headers differ");
        cr_assert(!memcmp(local + 30, line + 46, name_size));
        cr_assert_eq(number_at(line + 8, 2), 1 << 11, "names are marked as UTF-8");
        cr_assert_eq(number_at(line + 16, 4), checksum(file, size));
        cr_assert_eq(number_at(local + 30 + name_size, 2), 0xd935);
        cr_assert_eq(number_at(local + 32 + name_size, 2) + 4, number_at(local + 28, 2), "the extra field is whole");
        memset(arrays[i].name, 0, sizeof arrays[i].name);
        memcpy(arrays[i].name, line + 46, name_size);
        read_npy(&arrays[i], file, size);
        cr_assert_eq((arrays[i].data - map->data) % 64, 0, "%s is not aligned", arrays[i].name);
        line += 46 + name_size + number_at(line + 30, 2) + number_at(line + 32, 2);
    }
    cr_assert_eq((const void *)line, (const void *)end);
    return count;
}

Test(npz, archive__gives_back_every_array)
{
    const char   *path = scratch_path("arrays"), *texts[] = {"a", "\xc3\xa9\xf0\x9f\x98\x80", "", "\xff!"};
    float         floats[6] = {0, 1, -2.5f, 3e38f, 1e-40f, 6};
    int32_t       ints[2]   = {-1, 70000};
    double        number    = 0.1;
    int64_t       empty[]   = {3, 0, 2};
    scry__npz    *npz       = NULL;
    scry__map     map;
    struct found  arrays[8];
    const int64_t six[] = {2, 3}, two[] = {2};

    cr_assert_eq(scry__npz_open(&npz, path), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry__npz_add(npz, "blocks.0.attn.hook_pattern", SCRY__NPY_F32, 2, six, floats), SCRY_OK);
    cr_expect_eq(scry__npz_begin(npz, "pieces", SCRY__NPY_I32, 1, two), SCRY_OK);
    cr_expect_eq(scry__npz_append(npz, ints, 3), SCRY_OK);
    cr_expect_eq(scry__npz_append(npz, (char *)ints + 3, 5), SCRY_OK);
    cr_expect_eq(scry__npz_end(npz), SCRY_OK);
    cr_expect_eq(scry__npz_add(npz, "\xc3\xbc", SCRY__NPY_F64, 0, NULL, &number), SCRY_OK);
    cr_expect_eq(scry__npz_add(npz, "empty", SCRY__NPY_U8, 3, empty, NULL), SCRY_OK);
    cr_expect_eq(scry__npz_add_texts(npz, "tokens", texts, 4), SCRY_OK);
    cr_assert_eq(scry__npz_commit(&npz), SCRY_OK, "%s", scry_last_error());
    cr_expect_null(npz);

    cr_assert_eq(scry__map_open(&map, path), SCRY_OK);
    cr_assert_eq(read_archive(&map, arrays, 8), 5);
    static const struct {
        const char *name, *description, *shape;
        uint64_t    size;
    } expected[] = {
        {"blocks.0.attn.hook_pattern.npy", "<f4", "2, 3, ", 24},
        {"pieces.npy", "<i4", "2,", 8},
        {"\xc3\xbc.npy", "<f8", "", 8},
        {"empty.npy", "|u1", "3, 0, 2, ", 0},
        {"tokens.npy", "<U2", "4,", 32},
    };
    for (int i = 0; i < 5; i++) {
        cr_expect_str_eq(arrays[i].name, expected[i].name);
        cr_expect_str_eq(arrays[i].description, expected[i].description);
        if (*expected[i].shape) cr_expect_str_eq(arrays[i].shape, expected[i].shape);
        cr_expect_eq(arrays[i].size, expected[i].size);
    }
    static const uint32_t codes[] = {'a', 0, 0xe9, 0x1f600, 0, 0, 0xfffd, '!'};
    cr_expect(!memcmp(arrays[0].data, floats, sizeof floats));
    cr_expect(!memcmp(arrays[1].data, ints, sizeof ints));
    cr_expect(!memcmp(arrays[2].data, &number, sizeof number));
    cr_expect(!memcmp(arrays[4].data, codes, sizeof codes));
    scry__map_close(&map);
    unlink(path);
}

Test(npz, misuse__is_refused_and_changes_nothing)
{
    const char   *path  = scratch_path("misuse");
    const int64_t two[] = {2}, negative[] = {-1}, huge[] = {INT64_MAX, INT64_MAX};
    float         floats[2] = {1, 2};
    scry__npz    *npz       = NULL;
    scry__map     map;
    struct found  arrays[2];
    cr_assert_eq(scry__npz_open(&npz, path), SCRY_OK);
    cr_expect_eq(scry__npz_add(npz, "", SCRY__NPY_F32, 1, two, floats), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__npz_add(npz, "../x", SCRY__NPY_F32, 1, two, floats), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__npz_add(npz, "\xff", SCRY__NPY_F32, 1, two, floats), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__npz_add(npz, "x", SCRY__NPY_F32, 1, negative, floats), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__npz_add(npz, "x", SCRY__NPY_F32, 2, huge, floats), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__npz_add(npz, "x", SCRY__NPY_F32, 9, two, floats), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__npz_append(npz, floats, 4), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__npz_end(npz), SCRY_BAD_ARGUMENT);
    cr_assert_eq(scry__npz_begin(npz, "x", SCRY__NPY_F32, 1, two), SCRY_OK);
    cr_expect_eq(scry__npz_begin(npz, "y", SCRY__NPY_F32, 1, two), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__npz_append(npz, floats, 9), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__npz_end(npz), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__npz_append(npz, floats, 8), SCRY_OK);
    cr_expect_eq(scry__npz_end(npz), SCRY_OK);
    cr_assert_eq(scry__npz_commit(&npz), SCRY_OK);
    cr_assert_eq(scry__map_open(&map, path), SCRY_OK);
    cr_expect_eq(read_archive(&map, arrays, 2), 1);
    scry__map_close(&map);
    unlink(path);
}

Test(npz, failure__leaves_no_file)
{
    const int64_t two[]     = {2};
    float         floats[2] = {1, 2};
    char          part[160];
    for (int way = 0; way < 3; way++) {
        const char *path = scratch_path("failure");
        scry__npz  *npz  = NULL;
        snprintf(part, sizeof part, "%s.%ld.part", path, (long)getpid());
        cr_assert_eq(scry__npz_open(&npz, path), SCRY_OK);
        cr_expect_eq(scry__npz_add(npz, "x", SCRY__NPY_F32, 1, two, floats), SCRY_OK);
        if (way == 0) scry__npz_abort(&npz);
        if (way == 1) { /* the same name twice */
            cr_expect_eq(scry__npz_add(npz, "x", SCRY__NPY_F32, 1, two, floats), SCRY_OK);
            cr_expect_eq(scry__npz_commit(&npz), SCRY_BAD_ARGUMENT);
        }
        if (way == 2) { /* an array left open */
            cr_expect_eq(scry__npz_begin(npz, "y", SCRY__NPY_F32, 1, two), SCRY_OK);
            cr_expect_eq(scry__npz_commit(&npz), SCRY_BAD_ARGUMENT);
        }
        cr_expect_null(npz);
        cr_expect(!scry__file_exists(path) && !scry__file_exists(part), "way %d left a file", way);
    }
    scry__npz *npz = NULL;
    cr_expect_eq(scry__npz_open(&npz, "/nonexistent/x.npz"), SCRY_IO);
    cr_expect_null(npz);
}

Test(npz, memory__refused_anywhere_is_an_error_and_leaves_no_file)
{
    const char     *path = scratch_path("memory"), *texts[] = {"one", "two"};
    const int64_t   two[]     = {2};
    float           floats[2] = {1, 2};
    struct refusals refusals  = {0};
    while (refusals_next(&refusals)) {
        scry__npz  *npz    = NULL;
        scry_status status = scry__npz_open(&npz, path);
        if (!status) status = scry__npz_add(npz, "x", SCRY__NPY_F32, 1, two, floats);
        if (!status) status = scry__npz_add_texts(npz, "tokens", texts, 2);
        if (!status) status = scry__npz_commit(&npz);
        scry__npz_abort(&npz);
        refusals_check(&refusals, status, scry__file_exists(path));
        unlink(path);
    }
    cr_expect_gt(refusals.refused, 5);
}

Test(npz, zip64__is_used_past_65535_arrays)
{
    const char *path = scratch_path("many");
    scry__npz  *npz  = NULL;
    scry__map   map;
    uint8_t     value = 7;
    char        name[16];
    cr_assert_eq(scry__npz_open(&npz, path), SCRY_OK);
    for (int i = 0; i < 65536; i++) {
        snprintf(name, sizeof name, "%d", i);
        cr_assert_eq(scry__npz_add(npz, name, SCRY__NPY_U8, 0, NULL, &value), SCRY_OK);
    }
    cr_assert_eq(scry__npz_commit(&npz), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__map_open(&map, path), SCRY_OK);
    const uint8_t *end = map.data + map.size - 22, *locator = end - 20, *record = locator - 56;
    cr_expect_eq(number_at(end + 10, 2), 0xffff);
    cr_expect_eq(number_at(locator, 4), 0x07064b50u);
    cr_expect_eq(number_at(locator + 8, 8), (uint64_t)(record - map.data));
    cr_expect_eq(number_at(record, 4), 0x06064b50u);
    cr_expect_eq(number_at(record + 32, 8), 65536);
    cr_expect_eq(number_at(record + 40, 8) + number_at(record + 48, 8), (uint64_t)(record - map.data));
    scry__map_close(&map);
    unlink(path);
}
