/* Plugins: how they are found, why they are refused, which device a name means, and what happens when one fails. */
#include "absent.h"
#include "base/file.h"
#include "device/registry.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char plugin_directory[] = SCRY_BUILD_DIR "/tests/plugins";

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", plugin_directory, 1);
    unsetenv("SCRY_DEVICE");
}

TestSuite(device_plugins, .init = use_plugins);

static bool is_loaded(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/libscry-%s.so", plugin_directory, name);
    void *library = dlopen(path, RTLD_NOLOAD | RTLD_LAZY);
    if (library) dlclose(library);
    return library != NULL;
}

static const scry_device_entry *find_entry(const scry_device_list *list, const char *name)
{
    for (int i = 0; i < list->count; i++)
        if (!strcmp(list->entries[i].info.name, name)) return &list->entries[i];
    return NULL;
}

Test(device_plugins, find__says_why_each_plugin_is_not_usable)
{
    static const struct {
        const char *name, *reason;
    } cases[] = {
        {"abi", "built for backend ABI 1: expected 5"},
        {"size", "its table has 16 bytes: expected "},
        {"slot", "its table has no open"},
        {"alias", "it calls itself \"cpu\": expected \"alias\""},
        {"noname", "it calls itself \"\": expected \"noname\""},
        {"noentry", "exports no scry_backend_entry"},
        {"notable", "its entry returned no table: nothing to offer"},
        {"cuda", "not installed: no libscry-cuda.so"},
    };
    scry_device_list *list = NULL;
    cr_assert_eq(scry_devices_find(&list), SCRY_OK, "%s", scry_last_error());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const scry_device_entry *entry = find_entry(list, cases[i].name);
        cr_assert_not_null(entry, "%s is not listed", cases[i].name);
        cr_expect_not(entry->usable, "%s", cases[i].name);
        cr_expect(strstr(entry->reason, cases[i].reason), "%s: \"%s\"", cases[i].name, entry->reason);
    }
    cr_expect(find_entry(list, "fake:0")->usable);
    cr_expect(find_entry(list, "reference:0")->usable);
    scry_devices_destroy(&list);
    cr_expect_null(list);
}

Test(device_plugins, find__says_why_this_build_made_none)
{
#define ABSENT_ROW(name, reason) {#name, reason},
    static const struct {
        const char *name, *reason;
    } cases[] = {SCRY__ABSENT_LIST(ABSENT_ROW){NULL, NULL}};
#undef ABSENT_ROW
    scry_device_list *list = NULL;
    cr_assert_eq(scry_devices_find(&list), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; cases[i].name; i++) {
        const scry_device_entry *entry = find_entry(list, cases[i].name);
        cr_assert_not_null(entry, "%s is not listed", cases[i].name);
        cr_expect(strstr(entry->reason, cases[i].reason), "%s: \"%s\"", cases[i].name, entry->reason);
    }
    scry_devices_destroy(&list);
}

/* Copies the first `size` bytes of the fake plugin, or of a text, to libscry-NAME.so in `directory`. */
static void write_plugin(const char *directory, const char *name, const void *data, size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/libscry-%s.so", directory, name);
    cr_assert_eq(scry__file_write(path, data, size), SCRY_OK, "%s", scry_last_error());
}

/* Writes a plugin that claims to have no section table and lacks the last byte of its last segment. */
static void write_bare_plugin(const char *directory, const char *name, const scry__map *map)
{
    ElfW(Ehdr) header;
    size_t end  = 0;
    char  *copy = malloc(map->size);
    memcpy(copy, map->data, map->size);
    memcpy(&header, copy, sizeof header);
    for (int i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) segment;
        memcpy(&segment, copy + header.e_phoff + (size_t)i * sizeof segment, sizeof segment);
        if (segment.p_offset + segment.p_filesz > end) end = segment.p_offset + segment.p_filesz;
    }
    header.e_shoff = header.e_shnum = 0;
    memcpy(copy, &header, sizeof header);
    write_plugin(directory, name, copy, end - 1);
    free(copy);
}

Test(device_plugins, find__survives_files_cut_short)
{
    char       directory[] = "/tmp/scry-plugins-XXXXXX", whole[512], name[16];
    scry__map  map;
    const char text[] = "no shared object, but long enough for the header of one: sixty-four bytes and more";
    cr_assert_not_null(mkdtemp(directory));
    snprintf(whole, sizeof whole, "%s/libscry-fake.so", plugin_directory);
    cr_assert_eq(scry__map_open(&map, whole), SCRY_OK);
    for (int part = 0; part < 16; part++) {
        size_t size = part == 1 ? 63 : part == 2 ? 64 : part == 15 ? map.size - 1 : map.size / 15 * (size_t)part;
        snprintf(name, sizeof name, "cut%d", part);
        write_plugin(directory, name, map.data, size);
    }
    write_plugin(directory, "text", text, sizeof text);
    write_bare_plugin(directory, "bare", &map);
    scry__map_close(&map);
    setenv("SCRY_PLUGIN_PATH", directory, 1);

    scry_device_list *list = NULL;
    cr_assert_eq(scry_devices_find(&list), SCRY_OK, "%s", scry_last_error());
    int refused = 0;
    for (int i = 0; i < list->count; i++)
        refused += strstr(list->entries[i].reason, "not a whole shared object") != NULL;
    cr_expect_eq(refused, 18, "%d", refused);
    scry_devices_destroy(&list);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", directory);
    cr_expect_eq(system(command), 0);
}

Test(device_plugins, refuse__names_each_empty_slot)
{
    const scry__entry  *reference = scry__registry_find("reference");
    struct scry_backend table;
    char                reason[128];
#define EXPECT_SLOT(slot)                                                                                              \
    table      = *reference->backend;                                                                                  \
    table.slot = NULL;                                                                                                 \
    cr_expect_str_eq(scry__backend_refuse(&table, "reference", reason, sizeof reason), "its table has no " #slot)
    EXPECT_SLOT(find);
    EXPECT_SLOT(open);
    EXPECT_SLOT(close);
    EXPECT_SLOT(buffer_create);
    EXPECT_SLOT(buffer_destroy);
    EXPECT_SLOT(buffer_write);
    EXPECT_SLOT(buffer_read);
    EXPECT_SLOT(query);
    EXPECT_SLOT(run);
    EXPECT_SLOT(finish);
    table             = *reference->backend;
    table.buffer_wrap = NULL;
    table.reaches     = NULL;
    table.kernels     = NULL;
    table.statistics  = NULL;
    cr_expect_null(scry__backend_refuse(&table, "reference", reason, sizeof reason));
}

Test(device_plugins, open__by_name_or_with_the_reason)
{
    setenv("SCRY_FAKE_SCORES", "5,90,90,7", 1);
    static const struct {
        const char *name, *opened, *message;
    } cases[] = {
        {"reference", "reference:0", ""},
        {"fake", "fake:1", ""}, /* the best score; the first of equals */
        {"fake:0", "fake:0", ""},
        {"fake:3", "fake:3", ""},
        {"fake:4", NULL, "device \"fake:4\": fake has 4 devices"},
        {"reference:1", NULL, "device \"reference:1\": reference has 1 device"},
        {"fake:", NULL, "device \"fake:\": expected one of reference, "},
        {"fake:1x", NULL, "device \"fake:1x\": expected one of "},
        {"fake:-1", NULL, "device \"fake:-1\": expected one of "},
        {"fake:9999999999", NULL, "device \"fake:9999999999\": expected one of "},
        {":0", NULL, "device \":0\": expected one of "},
        {"nonesuch", NULL, "device \"nonesuch\": expected one of "},
        {"a-name-that-is-far-too-long-for-a-backend", NULL, "device \"a-name-that-is-far-too-long"},
        {"cuda", NULL, "cuda: not installed"},
        {"abi", NULL, "abi: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_device *device = NULL;
        scry_status  status = scry_device_open(&device, &(scry_device_options){.name = cases[i].name});
        cr_expect_eq(status, cases[i].opened ? SCRY_OK : SCRY_NO_DEVICE, "%s: %s", cases[i].name, scry_last_error());
        if (device)
            cr_expect_str_eq(scry_device_get_info(device)->name, cases[i].opened);
        else
            cr_expect(!strncmp(scry_last_error(), cases[i].message, strlen(cases[i].message)), "%s: \"%s\"",
                      cases[i].name, scry_last_error());
        scry_device_destroy(&device);
    }
}

Test(device_plugins, open__by_name_loads_no_other_plugin)
{
    scry_device *device = NULL;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "reference"}), SCRY_OK);
    cr_expect_not(is_loaded("fake"));
    cr_expect_not(is_loaded("reference"), "a plugin took the name of a built-in backend");
    scry_device_destroy(&device);
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "fake"}), SCRY_OK);
    cr_expect(is_loaded("fake"));
    scry_device_destroy(&device);
}

/* Opens without a name. */
static void expect_choice(const char *name)
{
    scry_device *device = NULL;
    scry_status  status = scry_device_open(&device, NULL);
    cr_expect_eq(status, SCRY_OK, "%s", scry_last_error());
    if (device) cr_expect_str_eq(scry_device_get_info(device)->name, name);
    scry_device_destroy(&device);
}

Test(device_plugins, open__takes_the_best_score)
{
    setenv("SCRY_FAKE_SCORES", "100000,100001", 1);
    expect_choice("fake:1");
    setenv("SCRY_FAKE_SCORES", "-5", 1);
    expect_choice("cpu:0");
    setenv("SCRY_DEVICE", "fake", 1);
    expect_choice("fake:0");
    setenv("SCRY_DEVICE", "", 1);
    expect_choice("cpu:0");
}

Test(device_plugins, open__passes_over_what_fails_its_self_test)
{
    static const char *const ops[] = {
#define OP_TEXT(name, text, member) text,
        SCRY_OP_LIST(OP_TEXT)
#undef OP_TEXT
    };
    setenv("SCRY_FAKE_SCORES", "100000", 1);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        scry_device_list *list = NULL;
        char              expected[64];
        setenv("SCRY_FAKE_WRONG", ops[i], 1);
        expect_choice("cpu:0");
        cr_assert_eq(scry_devices_find(&list), SCRY_OK);
        const scry_device_entry *entry = find_entry(list, "fake:0");
        snprintf(expected, sizeof expected, "self-test: %s: ", ops[i]);
        cr_expect(!entry->usable && strstr(entry->reason, expected), "%s: \"%s\"", ops[i], entry->reason);
        cr_expect_str_eq(find_entry(list, "cpu:0")->reason, "chosen");
        scry_devices_destroy(&list);
    }
}

Test(device_plugins, open__asks_no_op_for_training)
{
    static const char *const ops[] = {
#define OP_TEXT(name, text, member) text,
        SCRY_TRAINING_OP_LIST(OP_TEXT)
#undef OP_TEXT
    };
    setenv("SCRY_FAKE_SCORES", "100000", 1);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        setenv("SCRY_FAKE_REFUSE", ops[i], 1);
        expect_choice("fake:0");
    }
    setenv("SCRY_FAKE_REFUSE", "matmul", 1);
    expect_choice("cpu:0");
}

Test(device_plugins, find__sorts_by_preference_and_explains)
{
    scry_device_list *list = NULL;
    setenv("SCRY_FAKE_SCORES", "100000,200000", 1);
    cr_assert_eq(scry_devices_find(&list), SCRY_OK);
    cr_expect_str_eq(list->entries[0].info.name, "fake:1");
    cr_expect_str_eq(list->entries[0].reason, "chosen");
    cr_expect_str_eq(list->entries[1].info.name, "fake:0");
    cr_expect_str_eq(list->entries[1].reason, "score 100000, against 200000 of fake:1");
    cr_expect_str_eq(find_entry(list, "reference:0")->reason, "taken only where it is named");
    scry_devices_destroy(&list);

    setenv("SCRY_DEVICE", "reference", 1);
    cr_assert_eq(scry_devices_find(&list), SCRY_OK);
    cr_expect_str_eq(find_entry(list, "reference:0")->reason, "chosen");
    cr_expect_str_eq(list->entries[0].reason, "SCRY_DEVICE asks for reference");
    scry_devices_destroy(&list);

    setenv("SCRY_FAKE_SCORES", "", 1);
    cr_assert_eq(scry_devices_find(&list), SCRY_OK);
    cr_expect_str_eq(find_entry(list, "fake")->reason, "no fake device is plugged in");
    scry_devices_destroy(&list);
}

static void *list_devices(void *unused)
{
    scry_device_list *list   = NULL;
    scry_device      *device = NULL;
    (void)unused;
    intptr_t good = !scry_devices_find(&list) && find_entry(list, "fake:0")->usable &&
                    !scry_device_open(&device, &(scry_device_options){.name = "fake"});
    scry_device_destroy(&device);
    scry_devices_destroy(&list);
    return (void *)good;
}

Test(device_plugins, registry__serves_many_threads)
{
    pthread_t threads[4];
    void     *good;
    for (int i = 0; i < 4; i++) cr_assert_eq(pthread_create(&threads[i], NULL, list_devices, NULL), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &good);
        cr_expect(good, "thread %d", i);
    }
}
