/* Kernels by name: what devices say they have, and what comes of asking for one. */
#include "scry/backend.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
    setenv("SCRY_FAKE_KERNELS", "1", 1);
    unsetenv("SCRY_DEVICE");
}

TestSuite(device_kernels, .init = use_plugins);

/* What a query says of a small matmul. */
static scry_op_info ask_matmul(scry_device *device)
{
    scry_buffer *arena = NULL;
    scry_op_info info;
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
    scry_op op = device_op(SCRY_OP_MATMUL, arena);
    cr_expect_eq(scry_device_query(device, &op, &info), SCRY_OK, "%s", scry_last_error());
    scry_buffer_destroy(&arena);
    return info;
}

Test(device_kernels, open__takes_names_or_says_which_there_are)
{
    static const struct {
        const char *name, *kernels, *runs, *message; /* message NULL: it opens */
    } cases[] = {
        {"fake", NULL, "first", NULL},
        {"fake", "", "first", NULL},
        {"fake", "matmul=second", "second", NULL},
        {"fake", "matmul=first,matmul=second", "second", NULL},
        {"fake", "matmul=second,", "second", NULL},
        {"fake", "matmul=secon", NULL, "fake:0: kernels \"matmul=secon\": expected one of first, second for matmul"},
        {"fake", "matmul=second2,add=x", NULL,
         "fake:0: kernels \"matmul=second2\": expected one of first, second for matmul"},
        {"fake", "add=x", NULL, "fake:0: kernels \"add=x\": expected none, there is only one for add"},
        {"reference", "add=x", NULL, "reference:0: kernels \"add=x\": expected none, there is only one for add"},
        {"fake", "matmul", NULL, "kernels \"matmul\": expected OP=KERNEL, such as matmul=library"},
        {"fake", "matmul=", NULL, "kernels \"matmul=\": expected OP=KERNEL, such as matmul=library"},
        {"fake", "=tile", NULL, "kernels \"=tile\": expected OP=KERNEL, such as matmul=library"},
        {"fake", "matmul,lens=tile", NULL, "kernels \"matmul\": expected OP=KERNEL, such as matmul=library"},
        {"fake", "matmul=first,,", NULL, "kernels \"\": expected OP=KERNEL, such as matmul=library"},
        {"fake", "matmu=tile", NULL, "kernels \"matmu=tile\": expected OP=KERNEL, such as matmul=library"},
        {"fake", "matmul =tile", NULL, "kernels \"matmul =tile\": expected OP=KERNEL, such as matmul=library"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_device        *device  = NULL;
        scry_device_options options = {.name = cases[i].name, .kernels = cases[i].kernels};
        scry_status         status  = scry_device_open(&device, &options);
        cr_expect_eq(status, cases[i].message ? SCRY_BAD_ARGUMENT : SCRY_OK, "%s: %s", cases[i].kernels,
                     scry_last_error());
        if (cases[i].message) cr_expect_str_eq(scry_last_error(), cases[i].message);
        if (device) cr_expect_str_eq(ask_matmul(device).kernel, cases[i].runs);
        scry_device_destroy(&device);
    }
}

/* Opens without a name. */
static void expect_choice(const char *kernels, const char *name, const char *message)
{
    scry_device *device = NULL;
    scry_status  status = scry_device_open(&device, &(scry_device_options){.kernels = kernels});
    cr_expect_eq(status, name ? SCRY_OK : SCRY_BAD_ARGUMENT, "%s: %s", kernels, scry_last_error());
    if (name && device) cr_expect_str_eq(scry_device_get_info(device)->name, name, "%s", kernels);
    if (!name) cr_expect(!strncmp(scry_last_error(), message, strlen(message)), "%s", scry_last_error());
    scry_device_destroy(&device);
}

Test(device_kernels, open__without_a_name_takes_the_best_device_that_has_them)
{
    setenv("SCRY_FAKE_SCORES", "100000", 1);
    expect_choice("matmul=second", "fake:0", NULL);
    expect_choice("matmul=rows", "cpu:0", NULL);
    expect_choice("matmul=nonesuch", NULL,
                  "no usable device: fake:0: kernels \"matmul=nonesuch\": expected one of first, second for matmul");
    setenv("SCRY_FAKE_WRONG", "matmul", 1);
    expect_choice("matmul=second", NULL, "no usable device: cpu:0: kernels \"matmul=second\": expected one of tile, ");
    expect_choice("nonesuch=x", NULL, "kernels \"nonesuch=x\": expected OP=KERNEL, such as matmul=library");
}

Test(device_kernels, list__is_empty_where_a_backend_has_none)
{
    static const char *const names[] = {"fake", "reference"};
    setenv("SCRY_FAKE_KERNELS", "null", 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        scry_device           *device = NULL;
        scry_device_statistics statistics;
        cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = names[i]}), SCRY_OK);
        for (int kind = -1; kind <= SCRY_OP_COUNT; kind++)
            cr_expect_null(*scry_device_kernels(device, (scry_op_kind)kind), "%s: %d", names[i], kind);
        cr_expect_str_eq(ask_matmul(device).kernel, "");
        memset(&statistics, 0xff, sizeof statistics);
        scry_device_get_statistics(device, &statistics);
        cr_expect_eq(statistics.programs_built + statistics.programs_loaded, 0);
        cr_expect_eq(statistics.build_seconds, 0);
        scry_device_destroy(&device);
    }
    cr_expect_null(*scry_device_kernels(NULL, SCRY_OP_ADD));
}

/* The entry of a device's matmul in the listing. */
static void expect_listed(const char *name, const char *kernels)
{
    scry_device_list *list  = NULL;
    bool              found = false;
    cr_assert_eq(scry_devices_find(&list), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].info.name, name)) continue;
        cr_expect_str_eq(list->entries[i].kernels[SCRY_OP_MATMUL], kernels);
        cr_expect_str_eq(list->entries[i].kernels[SCRY_OP_FILL], "");
        found = true;
    }
    cr_expect(found, "%s", name);
    scry_devices_destroy(&list);
}

Test(device_kernels, find__lists_whole_names)
{
    expect_listed("fake:0", "first,second");
    expect_listed("reference:0", "");
    setenv("SCRY_FAKE_KERNELS", "long", 1);
    expect_listed("fake:0", "a-name-of-forty-characters-to-say-much-of");
    setenv("SCRY_FAKE_KERNELS", "null", 1);
    expect_listed("fake:0", "");
}
