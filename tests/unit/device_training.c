/* The ops for training at the front door: descriptors at the edge of the rules, those beyond it, and what ops cost. */
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

TestSuite(device_training, .init = open_device, .fini = close_device);

/* Without buffers, a gradient is not asked for. */
#define DROP(tensor) (tensor).buffer = NULL

/* X(name, kind, what changes `op`) */
#define VALID_LIST(X)                                                                                                  \
    X(sum_no_rows, SUM, op->sum.x.shape[0] = 0)                                                                        \
    X(sum_transposed, SUM, (op->sum.x.stride[0] = 1, op->sum.x.stride[1] = 3))                                         \
    X(in_place, ACTIVATION_BACKWARD, op->activation_backward.d_x = op->activation_backward.d_out)                      \
    X(not_gated, ACTIVATION_BACKWARD, (DROP(op->activation_backward.gated), DROP(op->activation_backward.d_gated)))    \
    X(gated_alone, ACTIVATION_BACKWARD, DROP(op->activation_backward.d_x))                                             \
    X(norm_bias_alone, NORM_BACKWARD, (DROP(op->norm_backward.d_x), DROP(op->norm_backward.d_weight)))                 \
    X(norm_none, NORM_BACKWARD,                                                                                        \
      (op->norm_backward.parameters.kind = SCRY_NORM_NONE, DROP(op->norm_backward.d_weight),                           \
       DROP(op->norm_backward.d_bias)))                                                                                \
    X(embed_adds, EMBED_BACKWARD, op->embed_backward.accumulate = true)                                                \
    X(attention_keys_alone, ATTENTION_BACKWARD, (DROP(op->attention_backward.d_q), DROP(op->attention_backward.d_v)))  \
    X(attention_one_kv_head, ATTENTION_BACKWARD,                                                                       \
      op->attention_backward.k.shape[2] = op->attention_backward.v.shape[2] = op->attention_backward.d_k.shape[2] =    \
          op->attention_backward.d_v.shape[2]                               = 1)                                       \
    X(loss_alone, LOSS, (DROP(op->loss.d_x), DROP(op->loss.d_unembedding), DROP(op->loss.d_bias)))                     \
    X(loss_half, LOSS, (op->loss.unembedding.dtype = SCRY_F16, op->loss.bias.dtype = SCRY_BF16))                       \
    X(loss_bias_without_bias, LOSS, DROP(op->loss.bias))                                                               \
    X(loss_clipped_away, LOSS, op->loss.factor = 0)                                                                    \
    X(adamw_still, ADAMW, (op->adamw.rate = op->adamw.beta1 = op->adamw.beta2 = 0))                                    \
    X(sgd_bare, SGD, (op->sgd.momentum = 0, DROP(op->sgd.velocity)))

/* X(name, kind, what spoils `op`, the beginning of the message) */
#define INVALID_LIST(X)                                                                                                \
    X(sum_out, SUM, op->sum.out.shape[0] = 6, "sum: out [6]: expected [7]")                                            \
    X(sum_in_place, SUM, op->sum.out.offset = op->sum.x.offset, "sum: out [7]: overlaps x: expected memory apart")     \
    X(activation_gate, ACTIVATION_BACKWARD, DROP(op->activation_backward.gated),                                       \
      "activation_backward: gated: absent: expected a tensor where d_gated is asked for")                              \
    X(activation_kind, ACTIVATION_BACKWARD, op->activation_backward.function = (scry_activation_kind)4,                \
      "activation_backward: function 4: expected 0 <= function < 4")                                                   \
    X(activation_on_x, ACTIVATION_BACKWARD, op->activation_backward.d_x.offset = op->activation_backward.x.offset,     \
      "activation_backward: d_x [2, 5]: overlaps x: expected memory apart")                                            \
    X(activation_twice, ACTIVATION_BACKWARD,                                                                           \
      op->activation_backward.d_gated.offset = op->activation_backward.d_out.offset,                                   \
      "activation_backward: d_gated [2, 5]: overlaps d_out: expected memory apart")                                    \
    X(activation_nothing, ACTIVATION_BACKWARD,                                                                         \
      (DROP(op->activation_backward.d_x), DROP(op->activation_backward.d_gated)),                                      \
      "activation_backward: no output: expected one at least")                                                         \
    X(norm_nothing, NORM_BACKWARD,                                                                                     \
      (DROP(op->norm_backward.d_x), DROP(op->norm_backward.d_weight), DROP(op->norm_backward.d_bias)),                 \
      "norm_backward: no output: expected one at least")                                                               \
    X(norm_none, NORM_BACKWARD, op->norm_backward.parameters.kind = SCRY_NORM_NONE,                                    \
      "norm_backward: d_weight [8]: expected none where nothing is normalised")                                        \
    X(norm_none_bias, NORM_BACKWARD,                                                                                   \
      (op->norm_backward.parameters.kind = SCRY_NORM_NONE, DROP(op->norm_backward.d_weight)),                          \
      "norm_backward: d_bias [8]: expected none where nothing is normalised")                                          \
    X(norm_epsilon, NORM_BACKWARD, op->norm_backward.parameters.epsilon = NAN, "norm_backward: epsilon nan: expected") \
    X(norm_d_out, NORM_BACKWARD, op->norm_backward.d_out.shape[0] = 1, "norm_backward: d_out [1, 8]: expected [2, 8]") \
    X(embed_scale, EMBED_BACKWARD, op->embed_backward.scale = INFINITY, "embed_backward: scale inf: expected a")       \
    X(embed_half, EMBED_BACKWARD, op->embed_backward.d_table.dtype = SCRY_F16,                                         \
      "embed_backward: d_table [11, 8]: f16: expected f32")                                                            \
    X(embed_rows, EMBED_BACKWARD, op->embed_backward.d_out.shape[0] = 2,                                               \
      "embed_backward: d_out [2, 8]: expected [3, d]")                                                                 \
    X(attention_lse, ATTENTION_BACKWARD, DROP(op->attention_backward.lse),                                             \
      "attention_backward: lse: absent: expected")                                                                     \
    X(attention_heads, ATTENTION_BACKWARD,                                                                             \
      (op->attention_backward.k.shape[2] = op->attention_backward.v.shape[2] = 3, DROP(op->attention_backward.d_k),    \
       DROP(op->attention_backward.d_v)),                                                                              \
      "attention_backward: k [2, 5, 3, 8]: expected a number of heads that divides q's 4")                             \
    X(attention_last, ATTENTION_BACKWARD,                                                                              \
      (op->attention_backward.d_v.stride[3] = 2, op->attention_backward.d_v.stride[2] = 12,                            \
       op->attention_backward.d_v.stride[1] = 24, op->attention_backward.d_v.stride[0] = 120),                         \
      "attention_backward: d_v [2, 5, 2, 6]: expected a last stride of 1")                                             \
    X(attention_d_out, ATTENTION_BACKWARD, op->attention_backward.d_out.shape[3] = 8,                                  \
      "attention_backward: d_out [2, 3, 4, 8]: expected [2, 3, 4, 6]")                                                 \
    X(attention_scale, ATTENTION_BACKWARD, op->attention_backward.scale = NAN, "attention_backward: scale nan: ")      \
    X(attention_cap, ATTENTION_BACKWARD, op->attention_backward.softcap = -1, "attention_backward: softcap -1: ")      \
    X(attention_window, ATTENTION_BACKWARD, op->attention_backward.mask.window = -1, "attention_backward: window -1:") \
    X(attention_nothing, ATTENTION_BACKWARD,                                                                           \
      (DROP(op->attention_backward.d_q), DROP(op->attention_backward.d_k), DROP(op->attention_backward.d_v)),          \
      "attention_backward: no output: expected one at least")                                                          \
    X(loss_aim, LOSS, DROP(op->loss.target), "loss: target: absent: expected a target or a teacher")                   \
    X(loss_both, LOSS, op->loss.teacher.buffer = arena, "loss: teacher [3, 8]: expected none beside a target")         \
    X(loss_empty, LOSS,                                                                                                \
      op->loss.unembedding.shape[0] = op->loss.bias.shape[0] = op->loss.d_unembedding.shape[0] =                       \
          op->loss.d_bias.shape[0]                           = 0,                                                      \
      "loss: unembedding [0, 8]: expected a vocabulary")                                                               \
    X(loss_factor, LOSS, op->loss.factor = NAN, "loss: factor nan: expected a finite number")                          \
    X(loss_cap, LOSS, op->loss.softcap = -3, "loss: softcap -3: expected a finite number, 0 or more")                  \
    X(loss_scale, LOSS, op->loss.logit_scale = INFINITY, "loss: logit_scale inf: expected a finite number")            \
    X(loss_half, LOSS, op->loss.d_unembedding.dtype = SCRY_BF16, "loss: d_unembedding [11, 8]: bf16: expected f32")    \
    X(loss_nothing, LOSS,                                                                                              \
      (DROP(op->loss.loss), DROP(op->loss.d_x), DROP(op->loss.d_unembedding), DROP(op->loss.d_bias)),                  \
      "loss: no output: expected one at least")                                                                        \
    X(adamw_beta1, ADAMW, op->adamw.beta1 = 1, "adamw: beta1 1: expected 0 <= beta1 < 1")                              \
    X(adamw_beta2, ADAMW, op->adamw.beta2 = NAN, "adamw: beta2 nan: expected 0 <= beta2 < 1")                          \
    X(adamw_negative, ADAMW, op->adamw.beta2 = -0.5f, "adamw: beta2 -0.5: expected 0 <= beta2 < 1")                    \
    X(adamw_step, ADAMW, op->adamw.step = 0, "adamw: step 0: expected 1 <= step < ")                                   \
    X(adamw_rate, ADAMW, op->adamw.rate = -1, "adamw: rate -1: expected a finite number, 0 or more")                   \
    X(adamw_epsilon, ADAMW, op->adamw.epsilon = -1, "adamw: epsilon -1: expected a finite number, 0 or more")          \
    X(adamw_decay, ADAMW, op->adamw.decay = INFINITY, "adamw: decay inf: expected a finite number, 0 or more")         \
    X(adamw_factor, ADAMW, op->adamw.gradient_factor = NAN, "adamw: gradient_factor nan: expected a finite number")    \
    X(adamw_moments, ADAMW, op->adamw.second = op->adamw.first, "adamw: second [7]: overlaps first: expected memory")  \
    X(adamw_gradient, ADAMW, op->adamw.parameter = op->adamw.gradient, "adamw: parameter [7]: overlaps gradient: ")    \
    X(sgd_velocity, SGD, DROP(op->sgd.velocity), "sgd: velocity: absent: expected a tensor where momentum is not 0")   \
    X(sgd_momentum, SGD, op->sgd.momentum = -0.5f, "sgd: momentum -0.5: expected a finite number, 0 or more")          \
    X(sgd_size, SGD, op->sgd.velocity.shape[0] = 6, "sgd: velocity [6]: expected [7]")

/* X(name, kind, what changes `op`, flops, bytes) with the sizes of device_ops.h */
#define COST_LIST(X)                                                                                                   \
    X(sum, SUM, op->sum.squares = false, 21, 4 * (21 + 7))                                                             \
    X(squares, SUM, op->sum.squares = op->sum.accumulate = true, 42, 4 * (21 + 2 * 7))                                 \
    X(activation, ACTIVATION_BACKWARD, op->activation_backward.accumulate = false, 10 * (8 + 2), 4 * 5 * 10)           \
    X(norm, NORM_BACKWARD, DROP(op->norm_backward.parameters.bias), 16 * (5 + 11 + 2 + 1), 4 * (3 * 16 + 3 * 8))       \
    X(embed, EMBED_BACKWARD, op->embed_backward.accumulate = false, 24, 4 * (3 + 24 + 88))                             \
    X(embed_adds, EMBED_BACKWARD, op->embed_backward.accumulate = true, 24, 4 * (3 + 24 + 2 * 24))                     \
    X(attention, ATTENTION_BACKWARD, memset(&op->attention_backward.mask.key_begin, 0, 3 * sizeof(scry_tensor)),       \
      8 * (6 * (16 + 3 + 12 + 2 + 16 + 16 + 12) + 36), 4 * (2 * 192 + 2 * 160 + 2 * 120 + 2 * 144 + 24))               \
    X(loss, LOSS, op->loss.accumulate = false, 33 * (20 + 2 + 32 + 1), 4 * (24 + 88 + 11 + 3 + 3 + 24 + 88 + 11))      \
    X(adamw, ADAMW, op->adamw.step = 2, 16 * 7, 4 * 7 * (1 + 2 * 3))                                                   \
    X(sgd, SGD, op->sgd.nesterov = true, 7 * 7, 4 * 7 * (1 + 2 * 2))

#define DEFINE_CHANGE(name, kind_, change)                                                                             \
    static void change_##name(scry_op *op)                                                                             \
    {                                                                                                                  \
        change;                                                                                                        \
    }
VALID_LIST(DEFINE_CHANGE)
#define DEFINE_SPOILER(name, kind_, spoil, message)                                                                    \
    static void spoil_##name(scry_op *op)                                                                              \
    {                                                                                                                  \
        spoil;                                                                                                         \
    }
INVALID_LIST(DEFINE_SPOILER)
#define DEFINE_COST(name, kind_, change, flops, bytes)                                                                 \
    static void cost_##name(scry_op *op)                                                                               \
    {                                                                                                                  \
        change;                                                                                                        \
    }
COST_LIST(DEFINE_COST)

Test(device_training, op__at_the_edge_is_accepted_and_runs)
{
    static const struct {
        const char  *name;
        scry_op_kind kind;
        void (*change)(scry_op *op);
    } valid[] = {
#define VALID_ROW(name, kind, change) {#name, SCRY_OP_##kind, change_##name},
        VALID_LIST(VALID_ROW)
#undef VALID_ROW
    };
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        scry_op op = device_op(valid[i].kind, arena);
        valid[i].change(&op);
        cr_expect_eq(scry_device_run(device, &op), SCRY_OK, "%s: %s", valid[i].name, scry_last_error());
    }
}

Test(device_training, op__is_refused_with_what_was_expected)
{
    static const struct device_change invalid[] = {
#define INVALID_ROW(name, kind, spoil, message) {#name, SCRY_OP_##kind, spoil_##name, message, 0, 0},
        INVALID_LIST(INVALID_ROW)
#undef INVALID_ROW
    };
    static char before[ARENA_BYTES], after[ARENA_BYTES];
    memset(before, 0x5a, sizeof before);
    cr_assert_eq(scry_buffer_write(arena, 0, before, sizeof before), SCRY_OK);
    device_expect_refused(device, arena, invalid, sizeof invalid / sizeof *invalid);
    cr_assert_eq(scry_buffer_read(arena, 0, after, sizeof after), SCRY_OK);
    cr_expect(!memcmp(before, after, sizeof before), "a refused op changed memory");
}

Test(device_training, query__counts_flops_and_bytes)
{
    static const struct device_change cases[] = {
#define COST_ROW(name, kind, change, flops, bytes) {#name, SCRY_OP_##kind, cost_##name, NULL, flops, bytes},
        COST_LIST(COST_ROW)
#undef COST_ROW
    };
    device_expect_costs(device, arena, cases, sizeof cases / sizeof *cases);
}
