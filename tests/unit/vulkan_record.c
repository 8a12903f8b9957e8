/* What recording and launching promise on Vulkan: work is done in the order given, with a barrier where two commands
 * touch the same bytes and one of both writes, and nowhere else; submissions are short; a launch may have more groups
 * than a dispatch; and a device that does not answer in time is lost for good. */
#include "base/alloc.h"
#include "base/number.h"
#include "scry/device.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLOTS = 8, SLOT = 1024 /* elements */ };

static scry_device *device;

static void open_device(void)
{
    device = device_need("vulkan:0", NULL);
}

static void close_device(void)
{
    scry_device_destroy(&device);
}

TestSuite(vulkan_record, .init = open_device, .fini = close_device);

static scry_device_statistics count(void)
{
    scry_device_statistics statistics;
    scry_device_get_statistics(device, &statistics);
    return statistics;
}

static scry_buffer *create(size_t bytes)
{
    scry_buffer *buffer = NULL;
    cr_assert_eq(scry_buffer_create(&buffer, device, bytes), SCRY_OK, "%s", scry_last_error());
    return buffer;
}

static void run(const scry_op *op)
{
    cr_assert_eq(scry_device_run(device, op), SCRY_OK, "%s", scry_last_error());
}

static void finish(void)
{
    cr_assert_eq(scry_device_finish(device), SCRY_OK, "%s", scry_last_error());
}

static scry_op fill_of(scry_tensor out, double value)
{
    return (scry_op){.kind = SCRY_OP_FILL, .fill = {.out = out, .value = value}};
}

static scry_op copy_of(scry_tensor x, scry_tensor out)
{
    return (scry_op){.kind = SCRY_OP_COPY, .copy = {.x = x, .out = out}};
}

static scry_tensor slot_of(scry_buffer *buffer, int slot)
{
    return scry_tensor_of(buffer, (size_t)slot * SLOT * 4, SCRY_F32, 1, (int64_t[]){SLOT});
}

/* The same elements as a square, turned: a kernel copies it, where a copy command takes what is contiguous. */
static scry_tensor turned(scry_tensor x)
{
    enum { SIDE = 32 };
    _Static_assert(SIDE * SIDE == SLOT, "a square");
    return scry_tensor_swap(scry_tensor_of(x.buffer, x.offset, SCRY_F32, 2, (int64_t[]){SIDE, SIDE}), 0, 1);
}

/* Steps on slots a to h: "=a" fills one and "a>b" copies by command, "a~b" by a kernel, "." waits for everything. */
static void take_step(scry_buffer *buffer, const char *step)
{
    scry_op op = {0};
    if (*step == '.') {
        finish();
        return;
    }
    scry_tensor first = slot_of(buffer, *step - 'a'), last = slot_of(buffer, step[strlen("a>")] - 'a');
    if (*step == '=')
        op = fill_of(slot_of(buffer, step[1] - 'a'), 1);
    else if (step[1] == '>')
        op = copy_of(first, last);
    else
        op = copy_of(turned(first), turned(last));
    run(&op);
}

static const struct sequence {
    const char *steps;
    uint64_t    barriers, dispatches, submissions;
} sequences[] = {
    {".", 0, 0, 0},
    {"=a .", 0, 0, 1},
    {"=a =b =c .", 0, 0, 1},
    {"=a a>b .", 1, 0, 1}, /* read after write */
    {"=a a~b .", 1, 1, 1},
    {"a~b b~c .", 1, 2, 1},
    {"a~b b>c .", 1, 1, 1},
    {"a>b =b .", 1, 0, 1}, /* write after write */
    {"a~b c~b .", 1, 2, 1},
    {"=a =a .", 1, 0, 1},
    {"a>b =a .", 1, 0, 1}, /* write after read */
    {"a~b c>a .", 1, 1, 1},
    {"a~b c~a .", 1, 2, 1},
    {"a>b a>c a~d a~e .", 0, 2, 1}, /* read after read */
    {"=a =b a>c b~d .", 1, 1, 1},   /* one barrier for both */
    {"=a a>b b>c .", 2, 0, 1},
    {"=a a>b c>d =e .", 1, 0, 1},
    {"=a a>b c~d =c .", 2, 1, 1},
    {"=a . a>b .", 1, 0, 2}, /* having waited, the host knows; shaders do not see it without a barrier */
    {"a~d . b~c .", 0, 2, 2},
};

static void take_steps(scry_buffer *buffer, const char *steps)
{
    for (; *steps; steps += strspn(steps, " ")) {
        take_step(buffer, steps);
        steps += strcspn(steps, " ");
    }
}

/* Buffers live on to the end: the memory of one that is gone could be the next one's. */
Test(vulkan_record, barriers__are_those_that_the_ranges_ask_for)
{
    enum { COUNT = sizeof sequences / sizeof *sequences };
    scry_buffer *buffers[COUNT];
    for (int i = 0; i < COUNT; i++) {
        buffers[i]                    = create(SLOTS * SLOT * 4);
        scry_device_statistics before = count();
        take_steps(buffers[i], sequences[i].steps);
        scry_device_statistics after = count();
        cr_expect_eq(after.barriers - before.barriers, sequences[i].barriers, "%s: %d barriers", sequences[i].steps,
                     (int)(after.barriers - before.barriers));
        cr_expect_eq(after.dispatches - before.dispatches, sequences[i].dispatches, "%s: %d dispatches",
                     sequences[i].steps, (int)(after.dispatches - before.dispatches));
        cr_expect_eq(after.submissions - before.submissions, sequences[i].submissions, "%s: %d submissions",
                     sequences[i].steps, (int)(after.submissions - before.submissions));
    }
    for (int i = 0; i < COUNT; i++) scry_buffer_destroy(&buffers[i]);
}

/* More dispatches than a command buffer of the ring takes, and more command buffers than the ring has. */
Test(vulkan_record, order__is_the_one_given)
{
    enum { STEPS = 3000 };
    float        expected[SLOTS], seen[SLOTS][SLOT];
    scry_buffer *buffer = create(sizeof seen);
    scry__random random;
    scry__random_seed(&random, 7);
    for (int i = 0; i < SLOTS; i++) {
        scry_op op = fill_of(slot_of(buffer, i), expected[i] = (float)-i);
        run(&op);
    }
    for (int i = 0; i < STEPS; i++) {
        uint64_t    bits = scry__random_bits(&random);
        int         from = (int)(bits % SLOTS), to = (int)(bits / SLOTS % SLOTS);
        scry_tensor x = slot_of(buffer, from), out = slot_of(buffer, to);
        bool        copies = from != to && bits >> 32 & 1, turns = bits >> 33 & 1;
        scry_op     op = !copies ? fill_of(out, i) : turns ? copy_of(turned(x), turned(out)) : copy_of(x, out);
        expected[to]   = copies ? expected[from] : (float)i;
        run(&op);
    }
    cr_assert_eq(scry_buffer_read(buffer, 0, seen, sizeof seen), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < SLOTS; i++)
        for (int j = 0; j < SLOT; j++) cr_assert_eq(seen[i][j], expected[i], "slot %d, element %d", i, j);
    scry_buffer_destroy(&buffer);
}

/* The allocation that is made to fail is the first one behind the last op. */
Test(vulkan_record, ops__allocate_nothing_once_they_ran)
{
    scry_buffer *buffer = create(SLOTS * SLOT * 4);
    take_steps(buffer, "=a a>b a~c .");
    scry__alloc_fail_at(1);
    for (int i = 0; i < 1000; i++) take_steps(buffer, i % 10 ? "=a a>b a~c" : "=a a>b a~c .");
    finish();
    cr_assert_null(scry__alloc(1, 1));
    scry__alloc_fail_at(0);
    scry_buffer_destroy(&buffer);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* A copy that turns a square of 2048, over and over. */
static scry_op long_op(scry_buffer *buffer)
{
    enum { SIDE = 2048 };
    scry_tensor x   = scry_tensor_of(buffer, 0, SCRY_F32, 2, (int64_t[]){SIDE, SIDE});
    scry_tensor out = scry_tensor_of(buffer, SIDE * SIDE * 4, SCRY_F32, 2, (int64_t[]){SIDE, SIDE});
    return copy_of(scry_tensor_swap(x, 0, 1), out);
}

/* The plan is made from what the kernel took before; twice that is allowed for. */
Test(vulkan_record, submissions__are_short)
{
    scry_buffer *buffer = create(2 * 2048 * 2048 * 4);
    scry_op      op     = long_op(buffer);
    for (int i = 0; i < 4; i++) {
        run(&op);
        finish();
    }
    double                 begin  = now();
    scry_device_statistics before = count();
    while (count().dispatches - before.dispatches < 2000 && now() - begin < 1.5) run(&op);
    finish();
    double seconds = now() - begin, submissions = (double)(count().submissions - before.submissions);
    cr_assert_leq(seconds / submissions, 0.5, "%g seconds in %g submissions", seconds, submissions);
    scry_buffer_destroy(&buffer);
}

static void open_thin(void)
{
    device = device_need("vulkan:0", "fill=thin");
}

TestSuite(vulkan_groups, .init = open_thin, .fini = close_device);

Test(vulkan_groups, launch__may_have_more_than_a_dispatch)
{
    const int64_t          size   = 17 << 20; /* 65,535 groups of 256 elements are less */
    scry_buffer           *buffer = create((size_t)size * 2);
    uint16_t              *seen   = malloc((size_t)size * 2);
    scry_device_statistics before = count();
    scry_op                op     = fill_of(scry_tensor_of(buffer, 0, SCRY_BF16, 1, &size), 1);
    run(&op);
    finish();
    cr_expect_gt(count().dispatches, before.dispatches + 1);
    cr_expect_eq(count().barriers, before.barriers, "between the slices of a launch");
    cr_assert_not_null(seen);
    cr_assert_eq(scry_buffer_read(buffer, 0, seen, (size_t)size * 2), SCRY_OK, "%s", scry_last_error());
    int64_t wrong = 0;
    for (int64_t i = 0; i < size; i++) wrong += seen[i] != 0x3f80;
    cr_assert_eq(wrong, 0, "%lld of %lld elements", (long long)wrong, (long long)size);
    free(seen);
    scry_buffer_destroy(&buffer);
}

static void open_impatient(void)
{
    setenv("SCRY_VULKAN_TIMEOUT", "1e-6", 1);
    open_device();
}

TestSuite(vulkan_impatient, .init = open_impatient, .fini = close_device);

Test(vulkan_impatient, device_that_does_not_answer__is_lost_for_good)
{
    scry_buffer *buffer = create(2 * 2048 * 2048 * 4);
    scry_op      op     = long_op(buffer);
    run(&op);
    cr_expect_eq(scry_device_finish(device), SCRY_DEVICE_LOST);
    cr_expect(strstr(scry_last_error(), "no answer within 1e-06 seconds"), "%s", scry_last_error());
    cr_expect_eq(scry_device_finish(device), SCRY_DEVICE_LOST);
    cr_expect_eq(scry_device_run(device, &op), SCRY_DEVICE_LOST);
    scry_buffer_destroy(&buffer);
}

/* Each open device has its own instance, queue and memory. */
Test(vulkan_record, devices__do_not_depend_on_each_other)
{
    scry_device *other  = device_need("vulkan:0", NULL);
    scry_buffer *buffer = create(SLOT * 4), *others = NULL;
    float        seen[SLOT], others_seen[SLOT];
    cr_assert_eq(scry_buffer_create(&others, other, SLOT * 4), SCRY_OK, "%s", scry_last_error());
    scry_op op = fill_of(slot_of(buffer, 0), 1), others_op = fill_of(slot_of(others, 0), 2);
    run(&op);
    cr_assert_eq(scry_device_run(other, &others_op), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_buffer_read(others, 0, others_seen, sizeof others_seen), SCRY_OK, "%s", scry_last_error());
    scry_buffer_destroy(&others);
    scry_device_destroy(&other);
    cr_assert_eq(scry_buffer_read(buffer, 0, seen, sizeof seen), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < SLOT; i++) cr_assert(seen[i] == 1 && others_seen[i] == 2, "element %d", i);
    scry_buffer_destroy(&buffer);
}

/* The loader finds no driver: the reason, at once. */
Test(vulkan_missing, driver__is_no_device_with_a_reason)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR, 1);
    setenv("VK_ICD_FILENAMES", "/nowhere/driver.json", 1);
    setenv("VK_DRIVER_FILES", "/nowhere/driver.json", 1);
    scry_device *none  = NULL;
    double       begin = now();
    cr_assert_eq(scry_device_open(&none, &(scry_device_options){.name = "vulkan:0"}), SCRY_NO_DEVICE);
    cr_expect(strstr(scry_last_error(), "vulkan") || strstr(scry_last_error(), "Vulkan"), "%s", scry_last_error());
    cr_expect_lt(now() - begin, 1.);
}
