/* The lens on plugins' devices where the unembedding lies across many parts of its buffer, and where its scratch holds
 * only a few positions at a time: the same bits as in one piece. */
#include "base/number.h"
#include "scry/device.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 7 };

/* A lens op with every output, on one device. */
struct lens {
    scry_device *device;
    scry_buffer *inputs, *outputs;
    size_t       used, written; /* bytes of each */
    scry_op      op;
};

static const struct shape {
    int64_t    layers, tokens, size, vocabulary;
    scry_dtype weight;
    bool       compares;
} shapes[] = {
    {3, 11, 96, 9001, SCRY_F32, true},   {2, 5, 130, 20011, SCRY_BF16, true},  {1, 1, 1024, 3001, SCRY_F16, false},
    {7, 150, 256, 1200, SCRY_F32, true}, {2, 400, 300, 1900, SCRY_F32, false},
};

static size_t bytes_of(const struct shape *shape)
{
    int64_t elements = shape->vocabulary * (shape->size + 1) + (shape->layers + 1) * shape->tokens * (shape->size + 1);
    return (size_t)elements * 4 + 4096;
}

static scry_tensor next(scry_buffer *buffer, size_t *used, scry_dtype dtype, int rank, int64_t a, int64_t b, int64_t c)
{
    scry_tensor tensor = scry_tensor_of(buffer, *used, dtype, rank, (const int64_t[]){a, b, c});
    *used += ((size_t)scry_tensor_count(&tensor) * scry_dtype_size(dtype) + 3) / 4 * 4;
    return tensor;
}

static void fill(struct lens *lens, const scry_tensor *tensor, scry__random *random)
{
    size_t bytes = (size_t)scry_tensor_count(tensor) * scry_dtype_size(tensor->dtype);
    float *words = malloc(bytes + 4);
    for (size_t i = 0; i < bytes / scry_dtype_size(tensor->dtype); i++) {
        float value = (float)scry__random_normal(random);
        if (tensor->dtype == SCRY_F32)
            words[i] = value;
        else if (tensor->dtype == SCRY_I32)
            ((int32_t *)(void *)words)[i] = (int32_t)(scry__random_bits(random) % 2000) - 3;
        else
            ((uint16_t *)(void *)words)[i] =
                tensor->dtype == SCRY_BF16 ? scry__f32_to_bf16(value) : scry__f32_to_f16(value);
    }
    cr_assert_eq(scry_buffer_write(lens->inputs, tensor->offset, words, bytes), SCRY_OK, "%s", scry_last_error());
    free(words);
}

/* The operands begin a few words into their buffers, so that rows lie across parts. */
static void make_op(struct lens *lens, const struct shape *shape)
{
    scry_lens_op *op = &lens->op.lens;
    scry__random  random;
    int64_t       N = shape->layers, T = shape->tokens, d = shape->size, V = shape->vocabulary;
    *lens = (struct lens){.device = lens->device, .used = 52, .op = {.kind = SCRY_OP_LENS}};
    cr_assert_eq(scry_buffer_create(&lens->inputs, lens->device, bytes_of(shape)), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_buffer_create(&lens->outputs, lens->device, (size_t)(N * T * (5 + 2 * TOP)) * 4), SCRY_OK);
    op->unembedding    = next(lens->inputs, &lens->used, shape->weight, 2, V, d, 0);
    op->bias           = next(lens->inputs, &lens->used, shape->weight, 1, V, 0, 0);
    op->x              = next(lens->inputs, &lens->used, SCRY_F32, 3, N, T, d);
    op->target         = next(lens->inputs, &lens->used, SCRY_I32, 1, T, 0, 0);
    op->norm           = (scry_norm_parameters){.kind = SCRY_NORM_RMS, .epsilon = 1e-5f};
    scry_tensor *ids[] = {&op->top_id, &op->top_logit};
    for (int i = 0; i < 2; i++) *ids[i] = next(lens->outputs, &lens->written, i ? SCRY_F32 : SCRY_I32, 3, N, T, TOP);
    scry_tensor *rows[] = {&op->lse, &op->entropy, &op->target_logit, &op->target_rank, &op->kl};
    for (int i = 0; i < 4 + shape->compares; i++)
        *rows[i] = next(lens->outputs, &lens->written, i == 3 ? SCRY_I32 : SCRY_F32, 2, N, T, 0);
    if (shape->compares) op->reference = next(lens->inputs, &lens->used, SCRY_F32, 2, T, d, 0);
    scry__random_seed(&random, (uint64_t)V);
    const scry_tensor *inputs[] = {&op->unembedding, &op->bias, &op->x, &op->target, &op->reference};
    for (int i = 0; i < 4 + shape->compares; i++) fill(lens, inputs[i], &random);
}

/* The bytes of every output, to be freed. */
static char *run_lens(const struct shape *shape, const char *device, const char *kernels, size_t *bytes)
{
    struct lens lens = {.device = device_need(device, kernels)};
    make_op(&lens, shape);
    char *found = malloc(lens.written);
    *bytes      = lens.written;
    cr_assert_eq(scry_device_run(lens.device, &lens.op), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_buffer_read(lens.outputs, 0, found, lens.written), SCRY_OK, "%s", scry_last_error());
    scry_buffer_destroy(&lens.inputs);
    scry_buffer_destroy(&lens.outputs);
    scry_device_destroy(&lens.device);
    return found;
}

/* limit: the variable that says how many bytes the device allocates at once, or its kernels reach; 1: as few as can be.
 */
static void compare_pieces(const char *device, const char *limit, const char *bytes_told, const char *kernels)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t bytes[2];
        unsetenv(limit);
        char *whole = run_lens(&shapes[i], device, kernels, &bytes[0]);
        setenv(limit, bytes_told, 1);
        char *pieces = run_lens(&shapes[i], device, kernels, &bytes[1]);
        cr_expect(bytes[0] == bytes[1] && !memcmp(whole, pieces, bytes[0]), "%s, %s: shape %zu", limit, kernels, i);
        free(whole);
        free(pieces);
    }
}

Test(lens_pieces, parts_on_opencl__change_no_bit, .timeout = 300)
{
    compare_pieces("opencl:0", "SCRY_OPENCL_MAX_ALLOCATION", "1", "lens=block");
}

Test(lens_pieces, parts_in_groups_on_opencl__change_no_bit, .timeout = 300)
{
    compare_pieces("opencl:0", "SCRY_OPENCL_MAX_ALLOCATION", "1", "lens=group");
}

Test(lens_pieces, parts_on_vulkan__change_no_bit, .timeout = 300)
{
    compare_pieces("vulkan:0", "SCRY_VULKAN_MAX_ALLOCATION", "1", "lens=block");
}

/* Its running results of one position take more than 1 MiB. */
Test(lens_pieces, parts_in_groups_on_vulkan__change_no_bit, .timeout = 300)
{
    compare_pieces("vulkan:0", "SCRY_VULKAN_MAX_ALLOCATION", "3145728", "lens=group");
}

Test(lens_pieces, small_bindings_on_vulkan__change_no_bit, .timeout = 300)
{
    compare_pieces("vulkan:0", "SCRY_VULKAN_MAX_BINDING", "1", "lens=block");
}
