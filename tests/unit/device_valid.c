/* Descriptors at the edge of the rules that are allowed, what empty ones do, and what ops cost. */
#include "device/cost.h"
#include "device/operands.h"
#include "device/validate.h"
#include "scry/backend.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static scry_device *device;
static scry_buffer *arena;

static void open_device(void)
{
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "reference"}), SCRY_OK);
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
}

static void close_device(void)
{
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

TestSuite(device_valid, .init = open_device, .fini = close_device);

/* X(name, kind, what changes `op`) */
#define VALID_LIST(X)                                                                                                  \
    X(in_place_a, ADD, op->add.out = op->add.a)                                                                        \
    X(in_place_b, ADD, op->add.out = op->add.b)                                                                        \
    X(doubled, ADD, op->add.a = op->add.b = op->add.out)                                                               \
    X(in_place_gated, ACTIVATION, op->activation.out = op->activation.gated)                                           \
    X(not_gated, ACTIVATION, op->activation.gated.buffer = NULL)                                                       \
    X(in_place_norm, NORM, op->norm.out = op->norm.x)                                                                  \
    X(in_place_rope, ROPE, op->rope.out = op->rope.x)                                                                  \
    X(in_place_softmax, SOFTMAX_CAPTURE, op->softmax.probabilities = op->softmax.scores)                               \
    X(broadcast, ADD, op->add.b.stride[0] = 0)                                                                         \
    X(broadcast_all, ADD, op->add.a.stride[0] = op->add.a.stride[1] = 0)                                               \
    X(half_weights, ADD, op->add.b.dtype = SCRY_BF16)                                                                  \
    X(transposed_out, ADD, (op->add.out.stride[0] = 1, op->add.out.stride[1] = 2))                                     \
    X(columns, ADD, (op->add.a.stride[0] = op->add.out.stride[0] = 10, op->add.out.offset = 20))                       \
    X(columns_swapped, ADD,                                                                                            \
      (op->add.a.stride[0] = op->add.out.stride[0] = 10, op->add.a.offset = 20, op->add.out.offset = 0))               \
    X(even_and_odd, ADD,                                                                                               \
      (op->add.a.stride[0] = op->add.out.stride[0] = 10, op->add.a.stride[1] = op->add.out.stride[1] = 2,              \
       op->add.out.offset = 4))                                                                                        \
    X(last_byte, ADD, op->add.a.offset = ARENA_BYTES - 40)                                                             \
    X(any_stride_along_1, ADD,                                                                                         \
      (op->add.a.shape[0] = op->add.b.shape[0] = op->add.out.shape[0] = 1, op->add.a.stride[0] = INT64_MAX,            \
       op->add.out.stride[0] = 0))                                                                                     \
    X(huge_repeat_of_nothing, ADD,                                                                                     \
      (op->add.a.shape[0] = op->add.b.shape[0] = op->add.out.shape[0] = 0, op->add.a.stride[1] = INT64_MAX))           \
    X(empty_at_the_end, ADD,                                                                                           \
      (op->add.a.shape[0] = op->add.b.shape[0] = op->add.out.shape[0] = 0, op->add.a.offset = ARENA_BYTES))            \
    X(matmul_transposed, MATMUL, (op->matmul.a.stride[1] = 1, op->matmul.a.stride[2] = 4))                             \
    X(matmul_one_batch, MATMUL, op->matmul.b.stride[0] = 0)                                                            \
    X(matmul_one_row, MATMUL, (op->matmul.a.shape[1] = op->matmul.c.shape[1] = 1, op->matmul.a.stride[1] = 0))         \
    X(matmul_no_k, MATMUL, op->matmul.a.shape[2] = op->matmul.b.shape[1] = 0)                                          \
    X(softmax_no_output, SOFTMAX_CAPTURE,                                                                              \
      (op->softmax.probabilities.buffer = NULL, memset(&op->softmax.rows, 0, sizeof op->softmax.rows)))                \
    X(attention_bare, ATTENTION, memset(&op->attention.capture, 0, sizeof op->attention.capture))                      \
    X(attention_one_kv_head, ATTENTION, op->attention.k.shape[2] = op->attention.v.shape[2] = 1)                       \
    X(attention_tile_corner, ATTENTION, (op->attention.capture.query_begin = 1, op->attention.capture.key_begin = 2))  \
    X(attention_two_heads, ATTENTION,                                                                                  \
      (op->attention.capture.heads[0] = 9, op->attention.capture.probabilities.shape[1] = 2,                           \
       op->attention.capture.scores.shape[1] = 2))                                                                     \
    X(attention_no_batch, ATTENTION,                                                                                   \
      (op->attention.q.shape[0] = op->attention.k.shape[0] = op->attention.v.shape[0] = op->attention.out.shape[0] =   \
           0,                                                                                                          \
       memset(&op->attention.capture, 0, sizeof op->attention.capture),                                                \
       memset(&op->attention.mask, 0, sizeof op->attention.mask)))                                                     \
    X(rope_last_position, ROPE, (op->rope.positions.buffer = NULL, op->rope.position_offset = 13))                     \
    X(rope_none, ROPE, op->rope.cosine.shape[1] = op->rope.sine.shape[1] = 0)                                          \
    X(norm_vector, NORM, op->norm.scale.buffer = NULL)                                                                 \
    X(norm_exact, NORM, op->norm.parameters.epsilon = 0)                                                               \
    X(lens_top_past_vocabulary, LENS,                                                                                  \
      (op->lens.top_logit.buffer = NULL,                                                                               \
       op->lens.top_id           = scry_tensor_of(arena, op->lens.top_id.offset, SCRY_I32, 3, (int64_t[]){4, 3, 12})))           \
    X(copy_to_half, COPY, op->copy.out.dtype = SCRY_F16)                                                               \
    X(copy_whole, COPY, op->copy.out.dtype = op->copy.x.dtype = SCRY_I32)                                              \
    X(fill_nan, FILL, op->fill.value = NAN)                                                                            \
    X(fill_least, FILL, (op->fill.out.dtype = SCRY_I32, op->fill.value = INT32_MIN - 0.4))

#define DEFINE_CHANGE(name, kind_, change)                                                                             \
    static void change_##name(scry_op *op)                                                                             \
    {                                                                                                                  \
        change;                                                                                                        \
    }
VALID_LIST(DEFINE_CHANGE)

static const struct {
    const char  *name;
    scry_op_kind kind;
    void (*change)(scry_op *op);
} valid[] = {
#define VALID_ROW(name, kind, change) {#name, SCRY_OP_##kind, change_##name},
    VALID_LIST(VALID_ROW)
#undef VALID_ROW
};

Test(device_valid, op__at_the_edge_is_accepted_and_runs)
{
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        scry_op op = device_op(valid[i].kind, arena);
        valid[i].change(&op);
        cr_expect_eq(scry_device_run(device, &op), SCRY_OK, "%s: %s", valid[i].name, scry_last_error());
    }
}

/* Two views of one buffer, element by element: what the search must agree with. */
static bool overlap_by_enumeration(const scry_tensor *a, const scry_tensor *b)
{
    for (int64_t i = 0; i < scry_tensor_count(a); i++) {
        for (int64_t j = 0; j < scry_tensor_count(b); j++) {
            size_t from_a = a->offset, from_b = b->offset, a_size = scry_dtype_size(a->dtype);
            for (int64_t axis = a->rank - 1, rest = i; axis >= 0; rest /= a->shape[axis--])
                from_a += (size_t)(rest % a->shape[axis] * a->stride[axis]) * a_size;
            for (int64_t axis = b->rank - 1, rest = j; axis >= 0; rest /= b->shape[axis--])
                from_b += (size_t)(rest % b->shape[axis] * b->stride[axis]) * scry_dtype_size(b->dtype);
            if (from_a < from_b + scry_dtype_size(b->dtype) && from_b < from_a + a_size) return true;
        }
    }
    return false;
}

static scry_tensor random_view(uint32_t *state)
{
    scry_tensor view = {.buffer = arena};
    for (int axis = 0; axis < 3; axis++) {
        *state            = *state * 1664525 + 1013904223;
        view.shape[axis]  = *state >> 24 & 3;
        view.stride[axis] = *state >> 16 & 15;
    }
    view.rank   = 1 + (int)(*state >> 8 & 0xff) % 3;
    view.dtype  = *state >> 30 & 1 ? SCRY_F32 : SCRY_F16;
    view.offset = (*state >> 10 & 15) * scry_dtype_size(view.dtype);
    return view;
}

Test(device_valid, overlap__is_what_enumeration_finds)
{
    uint32_t state = 7;
    int      apart = 0, together = 0;
    for (int i = 0; i < 20000; i++) {
        scry_tensor a = random_view(&state), b = random_view(&state);
        bool        expected = overlap_by_enumeration(&a, &b);
        cr_assert_eq(scry__views_overlap(&a, &b), expected, "pair %d", i);
        together += expected;
        apart += !expected && scry_tensor_count(&a) && scry_tensor_count(&b);
    }
    cr_expect(apart > 1000 && together > 1000, "%d apart, %d together", apart, together);
}

Test(device_valid, table__lists_inputs_first_and_every_tensor_once)
{
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++) {
        const scry__operand *operands;
        int                  count = scry__operands((scry_op_kind)kind, &operands);
        for (int i = 1; i < count; i++) {
            cr_expect(!(operands[i - 1].flags & SCRY__WRITE) || operands[i].flags & SCRY__WRITE, "%s: %s",
                      scry_op_text((scry_op_kind)kind), operands[i].name);
            for (int j = 0; j < i; j++) {
                cr_expect_neq(operands[i].offset, operands[j].offset);
                cr_expect_str_neq(operands[i].name, operands[j].name);
            }
        }
    }
}

static void expect_floats(const scry_tensor *tensor, float expected)
{
    float values[256];
    cr_assert_eq(scry_buffer_read(arena, tensor->offset, values, (size_t)scry_tensor_count(tensor) * 4), SCRY_OK);
    for (int64_t i = 0; i < scry_tensor_count(tensor); i++)
        cr_expect(values[i] == expected, "element %d is %g", (int)i, (double)values[i]);
}

Test(device_valid, empty_sum__still_writes_its_outputs)
{
    scry_op op                        = device_op(SCRY_OP_ATTENTION, arena);
    op.attention.k.shape[1]           = 0;
    op.attention.v.shape[1]           = 0;
    op.attention.mask.additive.buffer = NULL;
    scry_row_statistics    rows       = {.lse = op.attention.capture.rows.lse, .max = op.attention.capture.rows.max};
    scry_attention_capture capture    = {.rows = rows};
    op.attention.capture              = capture;
    cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
    expect_floats(&op.attention.out, 0);
    expect_floats(&op.attention.capture.rows.lse, -INFINITY);
    expect_floats(&op.attention.capture.rows.max, 0);

    float   ones[56];
    scry_op product = device_op(SCRY_OP_MATMUL, arena);
    for (int i = 0; i < 56; i++) ones[i] = 1;
    cr_assert_eq(scry_buffer_write(arena, product.matmul.c.offset, ones, sizeof ones), SCRY_OK);
    cr_assert_eq(scry_buffer_write(arena, product.matmul.bias.offset, ones, 28), SCRY_OK);
    product.matmul.a.shape[2] = product.matmul.b.shape[1] = 0;
    product.matmul.beta                                   = 3;
    cr_assert_eq(scry_device_run(device, &product), SCRY_OK, "%s", scry_last_error());
    expect_floats(&product.matmul.c, 4);
}

/* X(name, kind, what changes `op`, flops, bytes) with the sizes of device_ops.h */
#define COST_LIST(X)                                                                                                   \
    X(matmul, MATMUL, op->matmul.beta = 0, 56 * (2 * 3 + 1), 4 * (24 + 42 + 7 + 56))                                   \
    X(matmul_adds, MATMUL, op->matmul.bias.buffer = NULL, 56 * (2 * 3 + 2), 4 * (24 + 42 + 2 * 56))                    \
    X(matmul_one_b, MATMUL, (op->matmul.b.stride[0] = 0, op->matmul.beta = 0), 56 * 7, 4 * (24 + 21 + 7 + 56))         \
    X(matmul_half, MATMUL, (op->matmul.b.dtype = SCRY_F16, op->matmul.beta = 0), 56 * 7, 4 * (24 + 21 + 7 + 56))       \
    X(softmax, SOFTMAX_CAPTURE, bare_softmax(op), 5 * 8 * 15, 4 * (120 + 120))                                         \
    X(causal, ATTENTION, bare_attention(op), 8 * 6 * (17 + 5 + 12), 4 * (192 + 160 + 120 + 144))                       \
    X(cached, ATTENTION, (bare_attention(op), op->attention.mask.query_offset = 2), 8 * 12 * 34, 4 * 616)              \
    X(window, ATTENTION, (bare_attention(op), op->attention.mask.window = 1), 8 * 3 * 34, 4 * 616)                     \
    X(prefix, ATTENTION, (bare_attention(op), op->attention.mask.prefix = 2), 8 * 7 * 34, 4 * 616)                     \
    X(not_causal, ATTENTION, (bare_attention(op), op->attention.mask.causal = false), 8 * 15 * 34, 4 * 616)            \
    X(rope, ROPE, op->rope.positions.buffer = NULL, 6 * 24 * 3, 4 * (2 * 192 + 2 * 9))                                 \
    X(norm, NORM, op->norm.scale.buffer = NULL, 7 * 16, 4 * (16 + 8 + 8 + 16))                                         \
    X(embed, EMBED, op->embed.accumulate = true, 24, 4 * (3 + 24 + 48))                                                \
    X(add, ADD, op->add.b.stride[0] = 0, 10, 4 * (10 + 5 + 10))                                                        \
    X(copy, COPY, op->copy.out.dtype = SCRY_BF16, 0, 60)                                                               \
    X(fill, FILL, op->fill.value = 1, 0, 40)

static void bare_softmax(scry_op *op)
{
    scry_softmax bare = {.scores = op->softmax.scores, .probabilities = op->softmax.probabilities};
    op->softmax       = bare;
}

static void bare_attention(scry_op *op)
{
    scry_attention *full = &op->attention;
    scry_attention  bare = {.q = full->q, .k = full->k, .v = full->v, .out = full->out, .scale = 1};
    bare.mask.causal     = true;
    *full                = bare;
}

#define DEFINE_COST(name, kind_, change, flops, bytes)                                                                 \
    static void cost_##name(scry_op *op)                                                                               \
    {                                                                                                                  \
        change;                                                                                                        \
    }
COST_LIST(DEFINE_COST)

Test(device_valid, query__counts_flops_and_bytes)
{
    static const struct device_change cases[] = {
#define COST_ROW(name, kind, change, flops, bytes) {#name, SCRY_OP_##kind, cost_##name, NULL, flops, bytes},
        COST_LIST(COST_ROW)
#undef COST_ROW
    };
    device_expect_costs(device, arena, cases, sizeof cases / sizeof *cases);
}
