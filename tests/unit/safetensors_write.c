/* Written safetensors: read again to the bit, laid out as the format's own library does. */
#include "refusals.h"

#include "model/safetensors_write.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *scratch(void)
{
    static char path[128];
    snprintf(path, sizeof path, "/tmp/scry-written-%ld.safetensors", (long)getpid());
    return path;
}

static char name_a[] = "a", name_b[] = "b.\"quoted\"", name_c[] = "c", name_e[] = "none", name_s[] = "scalar",
            name_l[] = "int64";

static const float    floats[]  = {1, -2, 0.5F, 3e38F, 1e-40F, -0.0F};
static const uint16_t halves[]  = {0x3f80, 0x0001, 0xffff};
static const int64_t  longs[]   = {-1, INT64_MAX};
static const uint8_t  flags[]   = {1, 0, 1, 1, 0};
static const float    scalar[1] = {7};

static const scry__stored tensors[] = {
    {.name = name_c, .element = SCRY__ELEMENT_F32, .rank = 2, .shape = {2, 3}, .data = (const uint8_t *)floats},
    {.name = name_b, .element = SCRY__ELEMENT_BF16, .rank = 1, .shape = {3}, .data = (const uint8_t *)halves},
    {.name = name_a, .element = SCRY__ELEMENT_BOOL, .rank = 1, .shape = {5}, .data = flags},
    {.name = name_e, .element = SCRY__ELEMENT_F32, .rank = 3, .shape = {4, 0, 2}, .data = (const uint8_t *)floats},
    {.name = name_s, .element = SCRY__ELEMENT_F32, .rank = 0, .data = (const uint8_t *)scalar},
    {.name = name_l, .element = SCRY__ELEMENT_I64, .rank = 1, .shape = {2}, .data = (const uint8_t *)longs},
};
enum { COUNT = sizeof tensors / sizeof *tensors };

static void write_all(void)
{
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    cr_assert_eq(scry__safetensors_write(scratch(), tensors, COUNT, metadata), SCRY_OK, "%s", scry_last_error());
    json_decref(metadata);
}

Test(safetensors_write, tensors__are_read_again_to_the_bit)
{
    scry__safetensors *file = NULL;
    write_all();
    cr_assert_eq(scry__safetensors_open(&file, scratch()), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(file->count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        const scry__stored *written = &tensors[i], *found = scry__safetensors_find(file, written->name);
        size_t              bytes = scry__element_bytes(written->element);
        cr_assert(found, "%s", written->name);
        for (int axis = 0; axis < written->rank; axis++) bytes *= (size_t)written->shape[axis];
        cr_expect(found->element == written->element && found->rank == written->rank && found->bytes == bytes &&
                      !memcmp(found->shape, written->shape, sizeof written->shape),
                  "%s", written->name);
        cr_expect_eq(memcmp(found->data, written->data, bytes), 0, "%s", written->name);
        cr_expect_eq((uintptr_t)found->data % scry__element_bytes(written->element), 0, "%s", written->name);
    }
    scry__safetensors_close(&file);
    remove(scratch());
}

/* The widest elements first, then by name; spaces behind the header. Python's safetensors writes these bytes too. */
Test(safetensors_write, header__is_in_the_formats_own_order)
{
    static const char expected[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                   "\"int64\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},"
                                   "\"c\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[16,40]},"
                                   "\"none\":{\"dtype\":\"F32\",\"shape\":[4,0,2],\"data_offsets\":[40,40]},"
                                   "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[40,44]},"
                                   "\"b.\\\"quoted\\\"\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[44,50]},"
                                   "\"a\":{\"dtype\":\"BOOL\",\"shape\":[5],\"data_offsets\":[50,55]}}";
    scry__map         map;
    uint64_t          length;
    write_all();
    cr_assert_eq(scry__map_open(&map, scratch()), SCRY_OK, "%s", scry_last_error());
    memcpy(&length, map.data, sizeof length); /* little endian, as tests run */
    cr_expect_eq(length % 8, 0);
    cr_assert_eq(length, (sizeof expected - 1 + 7) / 8 * 8);
    cr_expect_eq(memcmp(map.data + 8, expected, sizeof expected - 1), 0, "%.*s", (int)length, map.data + 8);
    for (uint64_t i = sizeof expected - 1; i < length; i++) cr_expect_eq(map.data[8 + i], ' ');
    cr_expect_eq(map.size, 8 + length + 55);
    scry__map_close(&map);
    remove(scratch());
}

Test(safetensors_write, bad_tensors__are_refused_and_leave_no_file)
{
    const scry__stored twice[] = {tensors[0], tensors[0]},
                       huge[]  = {
                            {.name = name_a, .element = SCRY__ELEMENT_F32, .rank = 2, .shape = {INT64_MAX, INT64_MAX}}};
    cr_expect_eq(scry__safetensors_write(scratch(), twice, 2, NULL), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "tensor c: the name stands twice"), "%s", scry_last_error());
    cr_expect_eq(scry__safetensors_write(scratch(), huge, 1, NULL), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "tensor a: its size overflows"), "%s", scry_last_error());
    cr_expect_eq(scry__safetensors_write("/nonesuch/a.safetensors", tensors, 1, NULL), SCRY_IO);
    cr_expect_neq(access(scratch(), F_OK), 0);
}

Test(safetensors_write, refused_memory__is_reported)
{
    struct refusals refusals = {0};
    while (refusals_next(&refusals)) {
        scry_status status = scry__safetensors_write(scratch(), tensors, COUNT, NULL);
        refusals_check(&refusals, status, !access(scratch(), F_OK));
        remove(scratch());
    }
    cr_expect_gt(refusals.refused, 4);
}
