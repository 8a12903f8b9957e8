/* Vulkan buffers: in parts (see parts.h), whether the host touches the device's memory or sends everything through the
 * ring; under the smallest binding; long transfers; and many buffers that come and go. */
#include "base/number.h"
#include "unit/device_ops.h"
#include "unit/parts.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void open_shared(void)
{
    setenv("SCRY_VULKAN_MAX_ALLOCATION", "1", 1);
    parts_use("vulkan:0");
}

static void open_discrete(void)
{
    setenv("SCRY_VULKAN_DISCRETE", "1", 1);
    open_shared();
}

TestSuite(vulkan_memory, .init = open_shared, .fini = parts_close, .timeout = 300);
TestSuite(vulkan_memory_discrete, .init = open_discrete, .fini = parts_close, .timeout = 300);

#define PARTS_TEST(name)                                                                                               \
    Test(vulkan_memory, name)                                                                                          \
    {                                                                                                                  \
        parts_##name();                                                                                                \
    }                                                                                                                  \
    Test(vulkan_memory_discrete, name)                                                                                 \
    {                                                                                                                  \
        parts_##name();                                                                                                \
    }
PARTS_LIST(PARTS_TEST)

/* Buffers are whole, but no kernel reaches more than 1 MiB of them. */
Test(vulkan_memory, op_over_many_bindings__is_cut)
{
    parts_close();
    unsetenv("SCRY_VULKAN_MAX_ALLOCATION");
    setenv("SCRY_VULKAN_MAX_BINDING", "1", 1);
    parts_use("vulkan:0");
    parts_op_over_many_parts__is_cut();
    parts_sum_over_many_parts__adds_up_every_row();
    parts_every_op_across_parts__computes_the_same_bits();
}

/* A buffer whose content is the bits of a seed, so that none needs to be kept. */
struct kept {
    scry_buffer *buffer;
    uint64_t     seed;
};

enum { MOST_WORDS = 5 << 20 };

static uint64_t words[MOST_WORDS];

static size_t word_count(const struct kept *kept)
{
    return scry_buffer_size(kept->buffer) / sizeof *words;
}

static void fill(const struct kept *kept)
{
    scry__random random;
    scry__random_seed(&random, kept->seed);
    for (size_t i = 0; i < word_count(kept); i++) words[i] = scry__random_bits(&random);
    cr_assert_eq(scry_buffer_write(kept->buffer, 0, words, word_count(kept) * sizeof *words), SCRY_OK, "%s",
                 scry_last_error());
}

static void expect_kept(const struct kept *kept)
{
    scry__random random;
    size_t       wrong = 0;
    scry__random_seed(&random, kept->seed);
    cr_assert_eq(scry_buffer_read(kept->buffer, 0, words, word_count(kept) * sizeof *words), SCRY_OK, "%s",
                 scry_last_error());
    for (size_t i = 0; i < word_count(kept); i++) wrong += words[i] != scry__random_bits(&random);
    cr_assert_eq(wrong, 0, "%zu of %zu words are not as they were written", wrong, word_count(kept));
}

/* Sizes from a few words to 32 MiB, most of them small: some share a block, some have their own. */
static size_t random_size(scry__random *random)
{
    size_t most = (size_t)1 << (1 + scry__random_bits(random) % 16);
    if (scry__random_bits(random) % 16 == 0) most = MOST_WORDS - 1;
    return (1 + scry__random_bits(random) % most) * sizeof *words;
}

static void stress(scry_device *device)
{
    enum { KEPT = 24, STEPS = 300 };
    struct kept  kept[KEPT] = {{0}};
    scry__random random;
    scry__random_seed(&random, 1);
    for (uint64_t step = 1; step <= STEPS; step++) {
        struct kept *one = &kept[scry__random_bits(&random) % KEPT];
        if (one->buffer) {
            expect_kept(one);
            scry_buffer_destroy(&one->buffer);
        } else {
            size_t bytes = random_size(&random);
            one->seed    = step;
            cr_assert_eq(scry_buffer_create(&one->buffer, device, bytes), SCRY_OK, "%s", scry_last_error());
            fill(one);
        }
    }
    for (int i = 0; i < KEPT; i++) {
        if (!kept[i].buffer) continue;
        expect_kept(&kept[i]);
        scry_buffer_destroy(&kept[i].buffer);
    }
}

/* What the pool still had when the device is closed, it would say by an assertion. */
Test(vulkan_buffers, many_that_come_and_go__keep_what_was_written, .timeout = 300)
{
    for (int discrete = 0; discrete < 2; discrete++) {
        if (discrete) setenv("SCRY_VULKAN_DISCRETE", "1", 1);
        scry_device *device = device_need("vulkan:0", NULL);
        stress(device);
        scry_device_destroy(&device);
    }
}

/* An op reads what stood in its buffers when it was given, however much is written behind it. */
static void overtake(scry_device *device, int64_t count)
{
    size_t       bytes = (size_t)count * sizeof(float);
    float       *kept = (float *)words, *seen = kept + count;
    scry_buffer *x = NULL, *out = NULL;
    cr_assert_eq(scry_buffer_create(&x, device, bytes), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_buffer_create(&out, device, bytes), SCRY_OK, "%s", scry_last_error());
    scry_op op = {.kind  = SCRY_OP_SCALE,
                  .scale = {.x      = scry_tensor_of(x, 0, SCRY_F32, 1, &count),
                            .out    = scry_tensor_of(out, 0, SCRY_F32, 1, &count),
                            .factor = 2}};
    for (int round = 1; round <= 6; round++) {
        for (int64_t i = 0; i < count; i++) kept[i] = (float)(round * 1000 + i % 1000);
        cr_assert_eq(scry_buffer_write(x, 0, kept, bytes), SCRY_OK, "%s", scry_last_error());
        cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
        memset(kept, 0, bytes);
        cr_assert_eq(scry_buffer_write(x, 0, kept, bytes), SCRY_OK, "%s", scry_last_error());
        cr_assert_eq(scry_buffer_read(out, 0, seen, bytes), SCRY_OK, "%s", scry_last_error());
        for (int64_t i = 0; i < count; i++)
            cr_assert_eq(seen[i], 2 * (float)(round * 1000 + i % 1000), "element %lld of %lld", (long long)i,
                         (long long)count);
    }
    scry_buffer_destroy(&out);
    scry_buffer_destroy(&x);
}

Test(vulkan_buffers, write_behind_an_op__does_not_overtake_it, .timeout = 300)
{
    static const int64_t counts[] = {1, 1000, 1 << 18, (1 << 18) + 1, 3 << 20};
    for (int discrete = 0; discrete < 2; discrete++) {
        if (discrete) setenv("SCRY_VULKAN_DISCRETE", "1", 1);
        scry_device *device = device_need("vulkan:0", NULL);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) overtake(device, counts[i]);
        scry_device_destroy(&device);
    }
}
