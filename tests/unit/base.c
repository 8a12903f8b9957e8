/* Tests of core/base: numbers, text, files, JSON, the allocation gate. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/number.h"
#include "base/text.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

Test(number, f16__every_value_survives_the_round_trip)
{
    for (uint32_t half = 0; half < 0x10000; half++) {
        float value = scry__f16_to_f32((uint16_t)half);
        if (isnan(value))
            cr_assert(isnan(scry__f16_to_f32(scry__f32_to_f16(value))), "NaN 0x%04x became a number", half);
        else
            cr_assert_eq(scry__f32_to_f16(value), half, "0x%04x", half);
    }
}

Test(number, bf16__every_value_survives_the_round_trip)
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        float value = scry__bf16_to_f32((uint16_t)bits);
        if (isnan(value))
            cr_assert(isnan(scry__bf16_to_f32(scry__f32_to_bf16(value))), "NaN 0x%04x became a number", bits);
        else
            cr_assert_eq(scry__f32_to_bf16(value), bits, "0x%04x", bits);
    }
}

Test(number, f16__rounds_to_nearest_even)
{
    static const struct {
        float    value;
        uint16_t half;
    } cases[] = {
        {1.0f, 0x3c00},         {1.0f + 0x1p-11f, 0x3c00}, {1.0f + 0x1.8p-10f, 0x3c02}, {65504.0f, 0x7bff},
        {65519.0f, 0x7bff},     {65520.0f, 0x7c00},        {-65520.0f, 0xfc00},         {0x1p-24f, 0x0001},
        {0x1p-25f, 0x0000},     {0x1.8p-24f, 0x0002},      {-0x1p-25f, 0x8000},         {0x1.ff8p-15f, 0x03ff},
        {0x1.ffcp-15f, 0x0400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(scry__f32_to_f16(cases[i].value), cases[i].half, "%a gives 0x%04x", (double)cases[i].value,
                     scry__f32_to_f16(cases[i].value));
}

Test(number, random__is_the_published_sequence)
{
    /* xoshiro256** on the state {1, 2, 3, 4}: first outputs follow from its definition. */
    scry__random random = {{1, 2, 3, 4}};
    cr_expect_eq(scry__random_bits(&random), 11520u);
    cr_expect_eq(scry__random_bits(&random), 0u);
    cr_expect_eq(scry__random_bits(&random), 1509978240u);
}

Test(text, utf8__refuses_what_is_not_utf8)
{
    static const struct {
        const char *bytes;
        size_t      bad_at; /* (size_t)-1: valid */
    } cases[] = {
        {"plain", (size_t)-1},   {"\xc3\xa9", (size_t)-1}, {"\xf0\x9f\x98\x80", (size_t)-1}, {"a\x80", 1},
        {"\xc0\xaf", 0},         {"\xed\xa0\x80", 0},      {"ab\xf4\x90\x80\x80", 2},        {"\xe2\x82", 0},
        {"\xf5\x80\x80\x80", 0}, {"\xe0\x80\x80", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t offset = (size_t)-1;
        bool   valid  = scry__utf8_valid(cases[i].bytes, strlen(cases[i].bytes), &offset);
        cr_expect_eq(valid, cases[i].bad_at == (size_t)-1, "case %zu", i);
        cr_expect_eq(offset, cases[i].bad_at, "case %zu: bad at %zu", i, offset);
    }
}

Test(text, utf8__encodes_what_it_decodes)
{
    for (uint32_t code = 0; code < 0x110000; code += code < 0x3000 ? 1 : 97) {
        char     bytes[4];
        uint32_t back = 0;
        if (code >= 0xd800 && code < 0xe000) continue;
        int length = scry__utf8_encode(code, bytes);
        cr_assert_eq(scry__utf8_decode(bytes, (size_t)length, &back), length, "U+%04X", code);
        cr_assert_eq(back, code, "U+%04X came back as U+%04X", code, back);
    }
}

Test(text, glob__matches_whole_names)
{
    static const struct {
        const char *pattern, *name;
        bool        match;
    } cases[] = {
        {"blocks.*.hook_resid_pre", "blocks.11.hook_resid_pre", true},
        {"blocks.*.hook_resid_pre", "blocks.1.hook_resid_post", false},
        {"*", "", true},
        {"?", "", false},
        {"a*b*c", "axxbyyc", true},
        {"a*b*c", "axxbyyd", false},
        {"logits", "logits", true},
        {"*pre", "hook_pre_linear_pre", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(scry__glob(cases[i].pattern, cases[i].name), cases[i].match, "%s against %s", cases[i].pattern,
                     cases[i].name);
}

Test(text, text__keeps_the_first_failure)
{
    scry__text text = {0};
    char      *out  = NULL;
    scry__text_adds(&text, "kept");
    scry__alloc_fail_at(1);
    for (int i = 0; i < 100; i++) scry__text_addf(&text, "%d", i);
    cr_expect_eq(scry__text_take(&text, &out, NULL), SCRY_OUT_OF_MEMORY);
    cr_expect_null(out);
}

Test(alloc, alloc__refuses_a_product_that_overflows)
{
    cr_expect_null(scry__alloc((size_t)1 << 63, 4));
    cr_expect(strstr(scry_last_error(), "out of memory"), "detail: %s", scry_last_error());
}

Test(file, path__stays_below_its_directory)
{
    static const struct {
        const char *directory, *name, *path;
    } cases[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}, {".", "b", "./b"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = scry__path_join(cases[i].directory, cases[i].name);
        cr_expect_str_eq(path, cases[i].path);
        scry__free(path);
    }
}

Test(file, writer__leaves_nothing_behind_when_aborted)
{
    char path[64], part[96];
    snprintf(path, sizeof path, "/tmp/scry-test-%ld", (long)getpid());
    snprintf(part, sizeof part, "%s.%ld.part", path, (long)getpid());
    scry__writer writer;
    cr_assert_eq(scry__writer_open(&writer, path), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__writer_write(&writer, "half", 4), SCRY_OK);
    cr_expect(!scry__file_exists(path));
    cr_expect_eq(scry__file_exists(part), writer.named);
    scry__writer_abort(&writer);
    cr_expect(!scry__file_exists(path) && !scry__file_exists(part));
}

Test(file, writer__puts_the_whole_file_in_place)
{
    char   path[64], *data;
    size_t size;
    snprintf(path, sizeof path, "/tmp/scry-test-%ld", (long)getpid());
    cr_assert_eq(scry__file_write(path, "whole", 5), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__file_read(&data, &size, path, 100), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(size, 5);
    cr_expect_str_eq(data, "whole");
    scry__free(data);
    cr_expect_eq(scry__file_read(&data, &size, path, 4), SCRY_BAD_INPUT);
    unlink(path);
}

Test(file, writer__names_the_path_it_cannot_write)
{
    cr_expect_eq(scry__file_write("/nonexistent/x", "", 0), SCRY_IO);
    cr_expect(strstr(scry_last_error(), "/nonexistent/x"), "%s", scry_last_error());
}

Test(file, writer__replaces_no_device)
{
    cr_expect_eq(scry__file_write("/dev/null", "", 0), SCRY_IO);
    cr_expect(strstr(scry_last_error(), "/dev/null: expected a regular file"), "%s", scry_last_error());
}

Test(json, getters__name_file_key_and_expectation)
{
    static const char text[] = "{\"n\": 3, \"s\": \"x\", \"big\": 900}";
    json_t           *root;
    int64_t           number = 7;
    cr_assert_eq(scry__json_parse(&root, text, sizeof text - 1, "c.json"), SCRY_OK);
    scry__json_at at = {root, "c.json"};
    cr_expect_eq(scry__json_int(at, "n", true, 0, 10, &number), SCRY_OK);
    cr_expect_eq(number, 3);
    cr_expect_eq(scry__json_int(at, "missing", false, 0, 10, &number), SCRY_OK);
    cr_expect_eq(number, 3);
    cr_expect_eq(scry__json_int(at, "s", false, 0, 10, &number), SCRY_BAD_INPUT);
    cr_expect_str_eq(scry_last_error(), "c.json: key \"s\": expected an integer, found a string");
    cr_expect_eq(scry__json_int(at, "big", false, 0, 10, &number), SCRY_BAD_INPUT);
    json_decref(root);
    cr_expect_eq(scry__json_parse(&root, "{\"a\":1,\"a\":2}", 13, "d.json"), SCRY_BAD_INPUT);
}
