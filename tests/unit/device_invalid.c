/* Descriptors that break a rule of op.h, one by one: each is refused with a message that names op, operand, found and
 * expected. */
#include "scry/backend.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static scry_device *device, *other_device;
static scry_buffer *arena, *other_arena, *read_only;
static float        host_memory[1024];

static void open_devices(void)
{
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "reference"}), SCRY_OK);
    cr_assert_eq(scry_device_open(&other_device, &(scry_device_options){.name = "reference"}), SCRY_OK);
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
    cr_assert_eq(scry_buffer_create(&other_arena, other_device, ARENA_BYTES), SCRY_OK);
    cr_assert_eq(scry_buffer_wrap(&read_only, device, host_memory, sizeof host_memory), SCRY_OK);
}

static void close_devices(void)
{
    scry_buffer_destroy(&read_only);
    scry_buffer_destroy(&other_arena);
    scry_buffer_destroy(&arena);
    scry_device_destroy(&other_device);
    scry_device_destroy(&device);
}

TestSuite(device_invalid, .init = open_devices, .fini = close_devices);

/* X(name, kind, what spoils `op`, the beginning of the message) */
#define INVALID_LIST(X)                                                                                                \
    X(kind_negative, ADD, op->kind = (scry_op_kind)-1, "op: kind -1: expected 0 to 19")                                \
    X(kind_large, ADD, op->kind = SCRY_OP_COUNT, "op: kind 20: expected 0 to 19")                                      \
    X(precision, ADD, op->precision = (scry_precision)9, "add: precision 9: expected 0 to 3")                          \
    X(absent, ATTENTION, op->attention.v.buffer = NULL, "attention: v: absent: expected a tensor")                     \
    X(absent_out, ADD, op->add.out.buffer = NULL, "add: out: absent: expected a tensor")                               \
    X(other_device, ADD, op->add.b.buffer = other_arena, "add: b [2, 5]: expected a buffer of reference:0")            \
    X(rank_0, ADD, op->add.a.rank = 0, "add: a []: rank 0: expected 1 to 4")                                           \
    X(rank_5, ADD, op->add.a.rank = 5, "add: a []: rank 5: expected 1 to 4")                                           \
    X(rank_negative, ADD, op->add.a.rank = -7, "add: a []: rank -7: expected 1 to 4")                                  \
    X(dtype_unknown, ADD, op->add.a.dtype = (scry_dtype)77, "add: a [2, 5]: unknown: expected f32")                    \
    X(dtype_weight, ADD, op->add.b.dtype = SCRY_I32, "add: b [2, 5]: i32: expected f32, f16, bf16")                    \
    X(dtype_f32, ADD, op->add.out.dtype = SCRY_F16, "add: out [2, 5]: f16: expected f32")                              \
    X(dtype_ids, EMBED, op->embed.ids.dtype = SCRY_F32, "embed: ids [3]: f32: expected i32")                           \
    X(size_negative, ADD, op->add.a.shape[0] = -2, "add: a [-2, 5]: expected no negative size")                        \
    X(stride_negative, ADD, op->add.a.stride[1] = -1, "add: a [2, 5]: stride -1: expected none negative")              \
    X(size_huge, FILL, op->fill.out.shape[0] = INT64_MAX, "fill: out [9223372036854775807, 5]: expected at most")      \
    X(count_huge, ADD, op->add.a.shape[0] = op->add.a.shape[1] = (int64_t)1 << 40,                                     \
      "add: a [1099511627776, 1099511627776]: expected at most 281474976710656 elements")                              \
    X(stride_huge, ADD, op->add.a.stride[0] = INT64_MAX, "add: a [2, 5]: from offset 0: expected its elements inside") \
    X(stride_sum, ADD, op->add.a.stride[0] = op->add.a.stride[1] = INT64_MAX / 2,                                      \
      "add: a [2, 5]: from offset 0: expected its elements inside")                                                    \
    X(stride_bytes, ADD, op->add.a.stride[0] = INT64_MAX / 4 + 1, "add: a [2, 5]: from offset 0: expected its")        \
    X(outside, ADD, op->add.a.stride[0] = ARENA_BYTES / 4 - 4,                                                         \
      "add: a [2, 5]: from offset 0: expected its elements inside the buffer's 131072 bytes")                          \
    X(offset_past, ADD, op->add.a.offset = ARENA_BYTES - 36, "add: a [2, 5]: from offset 131036: expected its")        \
    X(offset_huge, ADD, op->add.a.offset = SIZE_MAX - 3, "add: a [2, 5]: from offset 18446744073709551612: expected")  \
    X(offset_odd, ADD, op->add.a.offset = 2, "add: a [2, 5]: offset 2: expected a multiple of 4 bytes")                \
    X(offset_half, ADD, (op->add.b.dtype = SCRY_F16, op->add.b.offset = 1), "add: b [2, 5]: offset 1: expected a")     \
    X(empty_past, ADD, (op->add.a.shape[0] = 0, op->add.a.offset = ARENA_BYTES + 4), "add: a [0, 5]: from offset")     \
    X(read_only, ADD, op->add.out.buffer = read_only, "add: out [2, 5]: from offset 8192: expected its elements")      \
    X(read_only_out, ADD, (op->add.out.buffer = read_only, op->add.out.offset = 0), "add: out [2, 5]: a wrapped")      \
    X(out_stride_0, ADD, op->add.out.stride[0] = 0, "add: out [2, 5]: expected strides that keep an output's")         \
    X(out_overlaps_itself, ADD, op->add.out.stride[0] = 4, "add: out [2, 5]: expected strides that keep an output's")  \
    X(shape_differs, ADD, op->add.b.shape[1] = 4, "add: b [2, 4]: expected [2, 5]")                                    \
    X(rank_differs, ADD, op->add.out.rank = 1, "add: out [2]: expected [2, 5]")                                        \
    X(in_place_shifted, ADD, op->add.out.offset = 4, "add: out [2, 5]: overlaps a: expected the same view or memory")  \
    X(in_place_other, ADD, (op->add.out = op->add.a, op->add.out.stride[0] = 6), "add: out [2, 5]: overlaps a: ")      \
    X(not_in_place, COPY, op->copy.out = op->copy.x, "copy: out [2, 5]: overlaps x: expected memory apart from it")    \
    X(out_over_out, NORM, op->norm.scale.offset = op->norm.out.offset, "norm: scale [2]: overlaps out: expected")      \
    X(out_over_weight, NORM, op->norm.out.offset = op->norm.parameters.weight.offset,                                  \
      "norm: out [2, 8]: overlaps weight: expected")                                                                   \
    X(matmul_rank_1, MATMUL, op->matmul.a.rank = 1, "matmul: a [2]: expected [.., m, k]")                              \
    X(matmul_inner, MATMUL, op->matmul.b.shape[1] = 4, "matmul: b [2, 4, 7]: expected [2, 3, n]")                      \
    X(matmul_batch, MATMUL, op->matmul.b.shape[0] = 1, "matmul: b [1, 3, 7]: expected [2, 3, n]")                      \
    X(matmul_ranks, MATMUL, (op->matmul.b = scry_tensor_of(arena, 0, SCRY_F32, 2, (int64_t[]){3, 7})),                 \
      "matmul: b [3, 7]: expected [2, 3, n]")                                                                          \
    X(matmul_bias, MATMUL, op->matmul.bias.shape[0] = 4, "matmul: bias [4]: expected [7]")                             \
    X(matmul_c, MATMUL, op->matmul.c.shape[2] = 6, "matmul: c [2, 4, 6]: expected [2, 4, 7]")                          \
    X(matmul_strides, MATMUL, op->matmul.a.stride[2] = 2, "matmul: a [2, 4, 3]: expected stride 1 along rows or")      \
    X(matmul_leading, MATMUL, op->matmul.b.stride[1] = 6, "matmul: b [2, 3, 7]: expected stride 1 along rows or")      \
    X(matmul_repeat, MATMUL, op->matmul.a.stride[1] = 0, "matmul: a [2, 4, 3]: expected stride 1 along rows or")       \
    X(matmul_c_stride, MATMUL, (op->matmul.c.stride[1] = 1, op->matmul.c.stride[2] = 4),                               \
      "matmul: c [2, 4, 7]: expected a last stride of 1")                                                              \
    X(matmul_alpha, MATMUL, op->matmul.alpha = INFINITY, "matmul: alpha inf: expected a finite number")                \
    X(matmul_beta, MATMUL, op->matmul.beta = NAN, "matmul: beta nan: expected a finite number")                        \
    X(softmax_rank, SOFTMAX_CAPTURE, op->softmax.scores.rank = 3, "softmax_capture: scores [2, 4, 3]: expected [B, H") \
    X(softmax_end, SOFTMAX_CAPTURE, op->softmax.mask.key_end.shape[0] = 3, "softmax_capture: key_end [3]: expected [") \
    X(softmax_rows, SOFTMAX_CAPTURE, op->softmax.rows.entropy.shape[2] = 4,                                            \
      "softmax_capture: entropy [2, 4, 4]: expected [2, 4, 3]")                                                        \
    X(softmax_key, SOFTMAX_CAPTURE, op->softmax.rows.key = 5, "softmax_capture: key 5: expected 0 <= key < 5")         \
    X(softmax_key_low, SOFTMAX_CAPTURE, op->softmax.rows.key = -1, "softmax_capture: key -1: expected 0 <= key < 5")   \
    X(mask_window, ATTENTION, op->attention.mask.window = -1, "attention: window -1: expected 0 <= window")            \
    X(mask_prefix, ATTENTION, op->attention.mask.prefix = INT64_MIN, "attention: prefix -9223372036854775808: expec")  \
    X(mask_offset, ATTENTION, op->attention.mask.query_offset = INT64_MAX, "attention: query_offset 922337203685477")  \
    X(attention_heads, ATTENTION, op->attention.k.shape[2] = op->attention.v.shape[2] = 3,                             \
      "attention: k [2, 5, 3, 8]: expected a number of")                                                               \
    X(attention_groups, ATTENTION, op->attention.v.shape[2] = 4, "attention: v [2, 5, 4, 6]: expected [2, 5, 2, Dv]")  \
    X(attention_d, ATTENTION, op->attention.k.shape[3] = 7, "attention: k [2, 5, 2, 7]: expected [2, K, G, 8]")        \
    X(attention_keys, ATTENTION, op->attention.v.shape[1] = 4, "attention: v [2, 4, 2, 6]: expected [2, 5, 2, Dv]")    \
    X(attention_out, ATTENTION, op->attention.out.shape[3] = 8, "attention: out [2, 3, 4, 8]: expected [2, 3, 4, 6]")  \
    X(attention_last, ATTENTION, op->attention.k.stride[3] = 2, "attention: k [2, 5, 2, 8]: expected a last stride")   \
    X(attention_no_d, ATTENTION, op->attention.q.shape[3] = op->attention.k.shape[3] = 0,                              \
      "attention: q [2, 3, 4, 0]: expected a head size of 1 or more")                                                  \
    X(attention_no_kv, ATTENTION, op->attention.k.shape[2] = op->attention.v.shape[2] = 0,                             \
      "attention: k [2, 5, 0, 8]: expected a number of heads that divides q's 4")                                      \
    X(attention_scale, ATTENTION, op->attention.scale = NAN, "attention: scale nan: expected a finite number")         \
    X(attention_cap, ATTENTION, op->attention.softcap = -1, "attention: softcap -1: expected a finite number, 0 or")   \
    X(attention_place, ATTENTION, op->attention.out = op->attention.q,                                                 \
      "attention: out [2, 3, 4, 8]: expected [2, 3, 4, 6]")                                                            \
    X(attention_many_heads, ATTENTION,                                                                                 \
      (memset(&op->attention.capture, 0, sizeof op->attention.capture), op->attention.mask.additive.buffer = NULL,     \
       op->attention.q.shape[2] = op->attention.out.shape[2] = 257,                                                    \
       op->attention.q.stride[1] = op->attention.q.stride[0] = 0, op->attention.out.shape[0] = 2,                      \
       op->attention.out.stride[1] = 257 * 6, op->attention.out.stride[0] = 3 * 257 * 6),                              \
      "attention: q [2, 3, 257, 8]: expected at most 256 heads")                                                       \
    X(attention_many_keys, ATTENTION,                                                                                  \
      (memset(&op->attention.capture, 0, sizeof op->attention.capture), op->attention.mask.additive.buffer = NULL,     \
       op->attention.k.stride[1] = op->attention.v.stride[1] = 0,                                                      \
       op->attention.k.shape[1] = op->attention.v.shape[1] = (int64_t)1 << 31),                                        \
      "attention: k [2, 2147483648, 2, 8]: expected at most 2147483647 to number as i32")                              \
    X(softmax_many_keys, SOFTMAX_CAPTURE,                                                                              \
      (op->softmax.probabilities.buffer = NULL, op->softmax.mask.additive.buffer = NULL,                               \
       op->softmax.scores.stride[3] = 0, op->softmax.scores.shape[3] = (int64_t)1 << 31),                              \
      "softmax_capture: scores [2, 4, 3, 2147483648]: expected at most 2147483647 to number as i32")                   \
    X(lens_many_ids, LENS,                                                                                             \
      (op->lens.bias.buffer = NULL, op->lens.unembedding.stride[0] = 0,                                                \
       op->lens.unembedding.shape[0] = (int64_t)1 << 31),                                                              \
      "lens: unembedding [2147483648, 8]: expected at most 2147483647 to number as i32")                               \
    X(tile_heads, ATTENTION, op->attention.capture.heads[0] = 5,                                                       \
      "attention: probabilities [2, 4, 2, 3]: expected 2 heads, as many as are selected")                              \
    X(tile_head, ATTENTION, op->attention.capture.heads[3] = 1, "attention: head 192: expected 0 <= head < 4")         \
    X(tile_query, ATTENTION, op->attention.capture.query_begin = 2,                                                    \
      "attention: probabilities [2, 4, 2, 3]: from query 2: expected a tile within 3 queries")                         \
    X(tile_key, ATTENTION, op->attention.capture.key_begin = 3,                                                        \
      "attention: probabilities [2, 4, 2, 3]: from key 3: expected a tile within 5 keys")                              \
    X(tile_low, ATTENTION, op->attention.capture.key_begin = -1, "attention: probabilities [2, 4, 2, 3]: from key -1") \
    X(tile_far, ATTENTION, op->attention.capture.query_begin = INT64_MAX,                                              \
      "attention: probabilities [2, 4, 2, 3]: fro")                                                                    \
    X(tile_scores, ATTENTION, op->attention.capture.scores.shape[2] = 1, "attention: scores [2, 4, 1, 3]: expected")   \
    X(received, ATTENTION, op->attention.capture.received.shape[2] = 4, "attention: received [2, 4, 4]: expected [2,") \
    X(top_differs, ATTENTION, op->attention.capture.top_key.shape[3] = 1, "attention: top_key [2, 4, 3, 1]: expected") \
    X(top_large, ATTENTION,                                                                                            \
      op->attention.capture.top_probability.shape[3] = op->attention.capture.top_key.shape[3] = 129,                   \
      "attention: top_probability [2, 4, 3, 129]: expected")                                                           \
    X(capture_over_out, ATTENTION, op->attention.capture.rows.lse.offset = op->attention.out.offset,                   \
      "attention: lse [2, 4, 3]: overlaps out: expected memory apart from it")                                         \
    X(rope_tables, ROPE, op->rope.sine.shape[1] = 2, "rope: sine [16, 2]: expected [16, 3]")                           \
    X(rope_wide, ROPE, op->rope.cosine.shape[1] = op->rope.sine.shape[1] = 5,                                          \
      "rope: cosine [16, 5]: expected at most half of the head size 8 along the last axis")                            \
    X(rope_positions, ROPE, op->rope.positions.shape[1] = 2, "rope: positions [2, 2]: expected [2, 3]")                \
    X(rope_stride, ROPE, op->rope.sine.stride[1] = 2, "rope: sine [16, 3]: expected a last stride of 1")               \
    X(rope_past, ROPE, (op->rope.positions.buffer = NULL, op->rope.position_offset = 14),                              \
      "rope: cosine [16, 3]: position_offset 14: expected rows for 3 positions from there")                            \
    X(rope_before, ROPE, (op->rope.positions.buffer = NULL, op->rope.position_offset = -1),                            \
      "rope: cosine [16, 3]: position_offset -1: expected rows for 3 positions from there")                            \
    X(norm_kind, NORM, op->norm.parameters.kind = (scry_norm_kind)3, "norm: kind of norm 3: expected 0 <= ")           \
    X(norm_epsilon, NORM, op->norm.parameters.epsilon = -1e-5f, "norm: epsilon -1e-05: expected a finite number, 0")   \
    X(norm_offset, NORM, op->norm.parameters.weight_offset = NAN, "norm: weight_offset nan: expected a finite")        \
    X(norm_weight, NORM, op->norm.parameters.weight.shape[0] = 7, "norm: weight [7]: expected [8]")                    \
    X(norm_scale, NORM, op->norm.scale.rank = 2, "norm: scale [2, 0]: expected [2]")                                   \
    X(norm_no_d, NORM,                                                                                                 \
      (op->norm.x.shape[1] = op->norm.out.shape[1] = 0, op->norm.parameters.weight.buffer = NULL,                      \
       op->norm.parameters.bias.buffer = NULL),                                                                        \
      "norm: x [2, 0]: expected a last axis of 1 or more")                                                             \
    X(lens_width, LENS, op->lens.unembedding.shape[1] = 7, "lens: unembedding [11, 7]: expected [V, 8]")               \
    X(lens_bias, LENS, op->lens.bias.shape[0] = 10, "lens: bias [10]: expected [11]")                                  \
    X(lens_reference, LENS, op->lens.reference.buffer = NULL,                                                          \
      "lens: reference: absent: expected a tensor where kl is")                                                        \
    X(lens_target, LENS, op->lens.target.buffer = NULL, "lens: target: absent: expected a tensor where target_logit")  \
    X(lens_rows, LENS, op->lens.target.shape[0] = 2, "lens: target [2]: expected [3]")                                 \
    X(lens_top, LENS, op->lens.top_id.shape[2] = op->lens.top_logit.shape[2] = 129, "lens: top_id [4, 3, 129]: expec") \
    X(lens_cap, LENS, op->lens.softcap = INFINITY, "lens: softcap inf: expected a finite number, 0 or more")           \
    X(lens_scale, LENS, op->lens.logit_scale = NAN, "lens: logit_scale nan: expected a finite number")                 \
    X(lens_norm, LENS, op->lens.norm.kind = (scry_norm_kind)-1, "lens: kind of norm -1: expected 0 <= ")               \
    X(lens_empty, LENS, op->lens.unembedding.shape[0] = op->lens.bias.shape[0] = 0,                                    \
      "lens: unembedding [0, 8]: expected a vocabulary")                                                               \
    X(embed_out, EMBED, op->embed.out.shape[0] = 4, "embed: out [4, 8]: expected [3, 8]")                              \
    X(embed_scale, EMBED, op->embed.scale = INFINITY, "embed: scale inf: expected a finite number")                    \
    X(scale_factor, SCALE, op->scale.factor = NAN, "scale: factor nan: expected a finite number")                      \
    X(scale_offset, SCALE, op->scale.offset = -INFINITY, "scale: offset -inf: expected a finite number")               \
    X(activation_kind, ACTIVATION, op->activation.function = (scry_activation_kind)4,                                  \
      "activation: function 4: expect")                                                                                \
    X(copy_to_i32, COPY, op->copy.out.dtype = SCRY_I32, "copy: out [2, 5]: i32 from f32: expected i32 only to i32")    \
    X(fill_i32, FILL, (op->fill.out.dtype = SCRY_I32, op->fill.value = 3e9),                                           \
      "fill: out [2, 5]: value 3e+09: expected")                                                                       \
    X(fill_nan, FILL, (op->fill.out.dtype = SCRY_I32, op->fill.value = NAN), "fill: out [2, 5]: value nan: expected")

#define DEFINE_SPOILER(name, kind_, spoil, message)                                                                    \
    static void spoil_##name(scry_op *op)                                                                              \
    {                                                                                                                  \
        spoil;                                                                                                         \
    }
INVALID_LIST(DEFINE_SPOILER)

static const struct device_change invalid[] = {
#define INVALID_ROW(name, kind, spoil, message) {#name, SCRY_OP_##kind, spoil_##name, message, 0, 0},
    INVALID_LIST(INVALID_ROW)
#undef INVALID_ROW
};

Test(device_invalid, op__as_built_is_valid)
{
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++) {
        scry_op      op = device_op((scry_op_kind)kind, arena);
        scry_op_info info;
        cr_expect_eq(scry_device_query(device, &op, &info), SCRY_OK, "%s: %s", scry_op_text(op.kind),
                     scry_last_error());
    }
}

Test(device_invalid, op__is_refused_with_what_was_expected)
{
    device_expect_refused(device, arena, invalid, sizeof invalid / sizeof *invalid);
}

Test(device_invalid, op__refused_changes_nothing)
{
    char before[ARENA_BYTES], after[ARENA_BYTES];
    memset(before, 0x5a, sizeof before);
    cr_assert_eq(scry_buffer_write(arena, 0, before, sizeof before), SCRY_OK);
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        scry_op op = device_op(invalid[i].kind, arena);
        invalid[i].change(&op);
        scry_device_run(device, &op);
    }
    cr_assert_eq(scry_buffer_read(arena, 0, after, sizeof after), SCRY_OK);
    cr_expect_arr_eq(before, after, sizeof before);
}

Test(device_invalid, call__without_what_it_needs)
{
    scry_op      op     = device_op(SCRY_OP_ADD, arena);
    scry_buffer *buffer = NULL;
    scry_device *opened = NULL;
    scry_op_info info;
    char         byte = 0;
    cr_expect_eq(scry_device_open(NULL, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_device_open(&opened, &(scry_device_options){.threads = -1}), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_device_open(&opened, &(scry_device_options){.fallback = (scry_fallback)2}), SCRY_BAD_ARGUMENT);
    cr_expect_null(opened);
    cr_expect_eq(scry_devices_find(NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_device_run(NULL, &op), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_device_run(device, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_device_query(device, &op, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_device_query(NULL, &op, &info), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_device_finish(NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_buffer_create(NULL, device, 4), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_buffer_create(&buffer, NULL, 4), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_buffer_create(&buffer, device, 0), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_buffer_wrap(&buffer, device, NULL, 4), SCRY_BAD_ARGUMENT);
    cr_expect_null(buffer);
    cr_expect_eq(scry_buffer_write(NULL, 0, &byte, 1), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_buffer_write(arena, ARENA_BYTES, &byte, 1), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_buffer_write(arena, SIZE_MAX, &byte, 2), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_buffer_write(arena, 0, NULL, 1), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_buffer_write(read_only, 0, &byte, 1), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_buffer_read(arena, 1, &byte, SIZE_MAX), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_buffer_read(arena, ARENA_BYTES, &byte, 0), SCRY_OK);
    scry_buffer_destroy(NULL);
    scry_buffer_destroy(&buffer);
    scry_device_destroy(NULL);
    scry_devices_destroy(NULL);
}
