/* Tests of reading .npy and .npz: files that NumPy wrote (they are the fuzzer's seeds too), every number converted, and
 * files damaged in one place, each refused with its reason. */
#include "refusals.h"

#include "base/array_file.h"

#include "base/alloc.h"
#include "report/npz.h"
#include "trace/attention_file.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEEDS SCRY_SOURCE_DIR "/tests/fuzz/corpus/arrays/"

static const char *scratch(const char *suffix)
{
    static char path[128];
    snprintf(path, sizeof path, "/tmp/scry-arrays-%ld.%s", (long)getpid(), suffix);
    return path;
}

static scry__array_file *open_arrays(const char *path)
{
    scry__array_file *file = NULL;
    cr_assert_eq(scry__array_file_open(&file, path), SCRY_OK, "%s", scry_last_error());
    return file;
}

/* --- files that NumPy wrote --- */

Test(array_file, npy__is_one_array)
{
    scry__array_file  *file  = open_arrays(SEEDS "plain.npy");
    const scry__array *array = scry__array_find(file, "");
    float              values[6];
    cr_assert(array && file->count == 1 && array->rank == 2 && array->shape[0] == 2 && array->shape[1] == 3);
    cr_assert_eq(scry__array_read_f32(file, array, values), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < 6; i++) cr_expect_eq(values[i], (float)i / 8);
    scry__array_file_close(&file);
}

Test(array_file, npz__is_read_stored_or_deflated_in_every_dtype)
{
    static const struct {
        const char *file, *name;
        int         count;
        double      first, last;
    } expected[] = {
        {"stored.npz", "blocks.0.attn.hook_pattern", 32, 1, 0.25},
        {"stored.npz", "tokens", 4, 5, 9},
        {"deflated.npz", "blocks.0.attn.hook_pattern", 512, 1, 0.0625},
        {"deflated.npz", "blocks.10.attn.hook_pattern", 512, 1, 0.0625}, /* f2 */
        {"deflated.npz", "blocks.2.attn.hook_pattern", 512, 1, 0.0625},  /* f8 */
        {"deflated.npz", "scale", 1, 2.5, 2.5},
        {"deflated.npz", "empty", 0, 0, 0},
        {"deflated.npz", "flags", 2, 1, 0},
        {"deflated.npz", "bytes", 2, 1, 255},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        char  path[256];
        float values[512] = {0};
        snprintf(path, sizeof path, SEEDS "%s", expected[i].file);
        scry__array_file  *file  = open_arrays(path);
        const scry__array *array = scry__array_find(file, expected[i].name);
        cr_assert(array, "%s", expected[i].name);
        cr_assert_eq(array->count, (size_t)expected[i].count, "%s", expected[i].name);
        cr_expect_eq(scry__array_read_f32(file, array, values), SCRY_OK, "%s", scry_last_error());
        cr_expect_eq(values[0], (float)expected[i].first, "%s: %g", expected[i].name, values[0]);
        if (array->count) cr_expect_eq(values[array->count - 1], (float)expected[i].last, "%s", expected[i].name);
        scry__array_file_close(&file);
    }
}

Test(array_file, texts__are_utf8)
{
    static const char *const expected[] = {"a", "é", "😀b", ""};
    scry__array_file        *file       = open_arrays(SEEDS "stored.npz");
    const scry__array       *array      = scry__array_find(file, "token_texts");
    char                   **texts      = NULL;
    cr_assert_eq(scry__array_read_texts(file, array, &texts), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < 4; i++) {
        cr_expect_str_eq(texts[i], expected[i]);
        scry__free(texts[i]);
    }
    scry__free(texts);
    cr_expect_null(scry__array_find(file, "nonesuch"));
    scry__array_file_close(&file);
}

/* What is listed, but not what was asked for. */
Test(array_file, reading__refuses_what_it_cannot_convert)
{
    static const struct {
        const char *file, *name, *detail;
        bool        ints;
    } refused[] = {
        {"fortran.npy", "", "in Fortran order: expected C order", false},
        {"big.npy", "", "dtype >f4: expected numbers", false},
        {"objects.npz", "a", "dtype |O: expected numbers", false},
        {"objects.npz", "b", "dtype <c8: expected numbers", false},
        {"stored.npz", "token_texts", "expected numbers", false},
        {"plain.npy", "", "dtype <f4: expected whole numbers", true},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char     path[256];
        uint32_t values[64];
        snprintf(path, sizeof path, SEEDS "%s", refused[i].file);
        scry__array_file  *file   = open_arrays(path);
        const scry__array *array  = scry__array_find(file, refused[i].name);
        scry_status        status = refused[i].ints ? scry__array_read_ints(file, array, (int32_t *)values)
                                                    : scry__array_read_f32(file, array, (float *)values);
        cr_expect_eq(status, SCRY_BAD_INPUT, "%s", refused[i].file);
        cr_expect(strstr(scry_last_error(), refused[i].detail), "%s: %s", refused[i].file, scry_last_error());
        scry__array_file_close(&file);
    }
}

Test(array_file, writer_and_reader__agree)
{
    enum { COUNT = 20000 }; /* more than one piece */
    static float   values[COUNT], back[COUNT];
    const int64_t  shape[]  = {COUNT / 4, 4};
    static int32_t ids[3]   = {1, -5, 2000000000}, ids_back[3];
    const int64_t  three    = 3;
    const char    *texts[2] = {"tab\t", "\xe2\x82\xac"};
    char         **text_back;
    scry__npz     *npz  = NULL;
    const char    *path = scratch("npz");
    for (int i = 0; i < COUNT; i++) values[i] = (float)i * 0.37f;
    cr_assert_eq(scry__npz_open(&npz, path), SCRY_OK);
    cr_assert_eq(scry__npz_add(npz, "values", SCRY__NPY_F32, 2, shape, values), SCRY_OK);
    cr_assert_eq(scry__npz_add(npz, "ids", SCRY__NPY_I32, 1, &three, ids), SCRY_OK);
    cr_assert_eq(scry__npz_add_texts(npz, "texts", texts, 2), SCRY_OK);
    cr_assert_eq(scry__npz_commit(&npz), SCRY_OK);
    scry__array_file *file = open_arrays(path);
    cr_assert_eq(scry__array_read_f32(file, scry__array_find(file, "values"), back), SCRY_OK);
    cr_expect(!memcmp(values, back, sizeof values));
    cr_assert_eq(scry__array_read_ints(file, scry__array_find(file, "ids"), ids_back), SCRY_OK);
    cr_expect(!memcmp(ids, ids_back, sizeof ids));
    cr_assert_eq(scry__array_read_texts(file, scry__array_find(file, "texts"), &text_back), SCRY_OK);
    for (int i = 0; i < 2; i++) {
        cr_expect_str_eq(text_back[i], texts[i]);
        scry__free(text_back[i]);
    }
    scry__free(text_back);
    scry__array_file_close(&file);
    unlink(path);
}

/* --- damaged files --- */

static char *seed_bytes(const char *name, size_t *size)
{
    char path[256], *bytes;
    snprintf(path, sizeof path, SEEDS "%s", name);
    cr_assert_eq(scry__file_read(&bytes, size, path, 1 << 20), SCRY_OK, "%s", scry_last_error());
    return bytes;
}

/* Opens the bytes as a file, and reads all of its arrays. */
static scry_status open_and_read(const char *bytes, size_t size)
{
    scry__array_file *file = NULL;
    const char       *path = scratch("damaged");
    FILE             *out  = fopen(path, "wb");
    static float      values[4096];
    cr_assert(out && fwrite(bytes, 1, size, out) == size && !fclose(out));
    scry_status status = scry__array_file_open(&file, path);
    for (int i = 0; file && i < file->count && !status; i++) {
        cr_assert_leq(file->arrays[i].count, sizeof values / sizeof *values);
        if (file->arrays[i].type < SCRY__ARRAY_TEXT) status = scry__array_read_f32(file, &file->arrays[i], values);
    }
    scry__array_file_close(&file);
    unlink(path);
    return status;
}

struct damage {
    const char *seed, *find, *put; /* the first `find` becomes `put`, of the same length */
    long        at;                /* else one byte here (from the end where negative) is inverted */
    const char *detail;
};

static void expect_refused(const struct damage *damage)
{
    size_t size;
    char  *bytes = seed_bytes(damage->seed, &size);
    if (damage->find) {
        char *at = memmem(bytes, size, damage->find, strlen(damage->find));
        cr_assert(at && strlen(damage->put) == strlen(damage->find), "%s", damage->find);
        memcpy(at, damage->put, strlen(damage->put));
    } else {
        bytes[damage->at < 0 ? (long)size + damage->at : damage->at] ^= 0x55;
    }
    const char *what = damage->find ? damage->put : "a byte";
    cr_expect_eq(open_and_read(bytes, size), SCRY_BAD_INPUT, "%s: %s", damage->seed, what);
    cr_expect(strstr(scry_last_error(), damage->detail), "%s: %s: %s", damage->seed, what, scry_last_error());
    scry__free(bytes);
}

Test(array_file, damage__is_refused_with_its_reason)
{
    static const struct damage damages[] = {
        {"plain.npy", "NUMPY\x01", "NUMPY\x09", 0, "NumPy's format 1 to 3"},
        {"plain.npy", "NUMPY", "NUMPI", 0, "no end of a zip archive"},
        {"plain.npy", "(2, 3)", "(2, 4)", 0, "24 bytes of data: expected 8 elements of 4 bytes"},
        {"plain.npy", "(2, 3)", "(2,-3)", 0, "a size of 0 or more"},
        {"plain.npy", "(2, 3)", "(2; 3)", 0, "a comma or the shape's end"},
        {"plain.npy", "'<f4'", "<f4' ", 0, "a short string in quotes"},
        {"plain.npy", "'shape'", "'shapf'", 0, "no other key"},
        {"plain.npy", "False", "Wrong", 0, "True or False"},
        {"plain.npy", "{'descr'", " 'descr'", 0, "a dictionary"},
        {"stored.npz", "PK\x01\x02", "PK\x01\x09", 0, "a line of the archive's directory"},
        {"stored.npz", "PK\x03\x04", "PK\x03\x09", 0, "its local header"},
        {"stored.npz", "PK\x05\x06", "PK\x05\x09", 0, "no end of a zip archive"},
        {"stored.npz", NULL, NULL, -10, "directory"}, /* its size */
        {"stored.npz", NULL, NULL, -12, "members"},   /* its count */
        {"stored.npz", NULL, NULL, 220, "checksum"},  /* data of the first member */
        {"deflated.npz", NULL, NULL, 100, "damaged"},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) expect_refused(&damages[i]);
}

Test(array_file, truncation__is_refused_at_every_length)
{
    static const char *const seeds[] = {"plain.npy", "stored.npz", "deflated.npz"};
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        size_t size;
        char  *bytes = seed_bytes(seeds[i], &size);
        for (size_t cut = 0; cut < size; cut++)
            cr_assert_eq(open_and_read(bytes, cut), SCRY_BAD_INPUT, "%s cut to %zu bytes", seeds[i], cut);
        cr_expect_eq(open_and_read(bytes, size), SCRY_OK, "%s: %s", seeds[i], scry_last_error());
        scry__free(bytes);
    }
}

Test(array_file, open__survives_every_refused_allocation)
{
    struct refusals refusals = {0};
    while (refusals_next(&refusals)) {
        scry__attention_file *file   = NULL;
        scry_status           status = scry__attention_file_open(&file, SEEDS "stored.npz");
        refusals_check(&refusals, status, file != NULL);
        scry__attention_file_close(&file);
    }
    cr_expect_gt(refusals.refused, 15);
}

/* --- attention --- */

Test(attention_file, patterns__are_found_in_each_form)
{
    static const struct {
        const char *seed;
        int         layers, heads, queries, last_layer, tokens;
    } expected[] = {
        {"stored.npz", 2, 2, 4, 1, 4},
        {"deflated.npz", 3, 2, 16, 10, 0}, /* [1, H, T, T], of three dtypes; layers in the order of their numbers */
        {"stacked.npy", 2, 2, 3, 1, 0},    /* [L, 1, H, T, T] */
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        char                  path[256];
        float                 values[512];
        scry__attention_file *file = NULL;
        snprintf(path, sizeof path, SEEDS "%s", expected[i].seed);
        cr_assert_eq(scry__attention_file_open(&file, path), SCRY_OK, "%s", scry_last_error());
        int T = expected[i].queries;
        cr_expect_eq(file->layer_count, expected[i].layers);
        cr_expect_eq(file->head_count, expected[i].heads);
        cr_expect(file->query_count == T && file->key_count == T);
        cr_expect_eq(file->layers[file->layer_count - 1].layer, expected[i].last_layer);
        cr_expect_eq(file->token_count, expected[i].tokens);
        for (int layer = 0; layer < file->layer_count; layer++) {
            cr_assert_eq(scry__attention_file_read(file, layer, values), SCRY_OK, "%s", scry_last_error());
            for (int row = 0; row < 2 * T; row++)
                for (int key = 0; key < T; key++)
                    cr_expect_float_eq(values[row * T + key], key <= row % T ? 1.0f / (float)(row % T + 1) : 0, 5e-4f);
        }
        scry__attention_file_close(&file);
    }
}

static scry_status open_made(const char *name, int rank, const int64_t *shape, const float *values, int copies)
{
    scry__npz            *npz  = NULL;
    scry__attention_file *file = NULL;
    const char           *path = scratch("npz");
    float                 read[64];
    char                  full[64];
    cr_assert_eq(scry__npz_open(&npz, path), SCRY_OK);
    for (int i = 0; i < copies; i++) {
        snprintf(full, sizeof full, name, i);
        cr_assert_eq(scry__npz_add(npz, full, SCRY__NPY_F32, rank, shape, values), SCRY_OK);
    }
    cr_assert_eq(scry__npz_commit(&npz), SCRY_OK);
    scry_status status = scry__attention_file_open(&file, path);
    if (!status) status = scry__attention_file_read(file, 0, read);
    scry__attention_file_close(&file);
    unlink(path);
    return status;
}

Test(attention_file, what_is_no_attention__is_refused_with_its_reason)
{
    static const float weights[8] = {1, 0, 0.5f, 0.5f, 1, 0, 0.25f, 0.75f}, scores[8] = {-3, 1, 0, 2, 5, 1, 1, 1};
    static const float heavy[8] = {1, 1, 0.5f, 0.5f, 1, 0, 0.25f, 0.75f};
    static const struct {
        const char  *name;
        int          rank;
        int64_t      shape[6];
        const float *values;
        int          copies;
        const char  *detail; /* NULL: it is attention */
    } rows[] = {
        {"blocks.%d.attn.hook_pattern", 3, {2, 2, 2}, weights, 2, NULL},
        {"anything", 4, {1, 2, 2, 2}, weights, 1, NULL},
        {"anything", 2, {4, 2}, weights, 1, NULL},
        {"blocks.%d.attn.hook_pattern", 3, {2, 2, 2}, scores, 1, "layer 0, head 0, row 0: expected attention weights"},
        {"blocks.%d.attn.hook_pattern", 3, {2, 2, 2}, heavy, 1, "layer 0, head 0, row 0: expected attention weights"},
        {"blocks.%d.attn.hook_pattern", 4, {2, 1, 2, 2}, weights, 1, "one pattern of the same shape for each layer"},
        {"blocks.%d.attn.hook_pattern", 1, {8}, weights, 1, "rank 1"},
        {"anything", 6, {1, 1, 1, 2, 2, 2}, weights, 1, "rank 6"},
        {"other.%d", 3, {2, 2, 2}, weights, 2, "found other.0, other.1"},
        {"flat", 1, {8}, weights, 1, "found flat"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scry_status status = open_made(rows[i].name, rows[i].rank, rows[i].shape, rows[i].values, rows[i].copies);
        cr_expect_eq(status, rows[i].detail ? SCRY_BAD_INPUT : SCRY_OK, "row %zu: %s", i, scry_last_error());
        if (rows[i].detail) cr_expect(strstr(scry_last_error(), rows[i].detail), "row %zu: %s", i, scry_last_error());
    }
}
