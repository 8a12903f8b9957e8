/* Ops in pieces: whatever a device cannot reach whole, it computes in parts, with the same bits. */
#include "cases/cases.h"
#include "device/cost.h"
#include "device/split.h"
#include "device/validate.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_REACHES = SCRY__MAX_OPERANDS + 8, LARGE = 1000000 };

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
    unsetenv("SCRY_DEVICE");
}

TestSuite(device_split, .init = use_plugins);

/* Of the quick tier's rows of each op, how many must at least run in pieces under any of the reaches. */
static const struct expectation {
    scry_op_kind kind;
    int          cut;
} expectations[] = {
    {SCRY_OP_MATMUL, 40},
    {SCRY_OP_SOFTMAX_CAPTURE, 28},
    {SCRY_OP_ATTENTION, 65},
    {SCRY_OP_ROPE, 16},
    {SCRY_OP_NORM, 23},
    {SCRY_OP_LENS, 26},
    {SCRY_OP_EMBED, 7},
    {SCRY_OP_ADD, 12},
    {SCRY_OP_SCALE, 6},
    {SCRY_OP_ACTIVATION, 18},
    {SCRY_OP_COPY, 17},
    {SCRY_OP_FILL, 7},
    {SCRY_OP_SUM, 14},
    {SCRY_OP_ACTIVATION_BACKWARD, 20},
    {SCRY_OP_NORM_BACKWARD, 3},
    {SCRY_OP_EMBED_BACKWARD, 12},
    {SCRY_OP_ATTENTION_BACKWARD, 35},
    {SCRY_OP_LOSS, 3},
    {SCRY_OP_ADAMW, 12},
    {SCRY_OP_SGD, 12},
};

/* The reaches under which a row runs: one byte less than its largest operand takes, a third of that, and where the row
 * is small, some fixed ones and one byte less than each operand takes. */
static int list_reaches(int index, scry_device *reference, char reaches[MOST_REACHES][32])
{
    static const char *const fixed[] = {"64", "512", "4096", "256:1024", "0:8192"};
    const scry__operand     *operands;
    scry__case_load         *load  = NULL;
    int                      count = sizeof fixed / sizeof *fixed;
    for (int i = 0; i < count; i++) snprintf(reaches[i], sizeof reaches[i], "%s", fixed[i]);
    cr_assert_eq(scry__case_load_create(&load, index, reference), SCRY_OK, "%s", scry_last_error());
    const scry_op *op            = scry__case_load_op(load);
    bool           large         = scry__op_flops(op) > LARGE;
    int            operand_count = scry__operands(op->kind, &operands);
    size_t         largest       = 0;
    for (int i = 0; i < operand_count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        bool               paged  = operands[i].flags & SCRY__PAGED;
        size_t             extent = tensor->buffer && !paged ? scry__tensor_extent(tensor) : 0;
        if (extent && !large) snprintf(reaches[count++], sizeof *reaches, "%zu", extent - 1);
        if (extent > largest) largest = extent;
    }
    if (large) count = 0;
    snprintf(reaches[count++], sizeof *reaches, "%zu", largest ? largest - 1 : 0);
    snprintf(reaches[count++], sizeof *reaches, "%zu", largest / 3);
    scry__case_load_destroy(&load);
    return count;
}

/* Runs one row under a reach: true if it ran in pieces. */
static bool run_row(int index, const char *reach, scry_device *reference, scry_device *device)
{
    enum { RUNS_OF_A_CASE = 2 };
    scry__case        row    = scry__case_at(index);
    uint64_t          before = device_runs(device);
    scry__case_result result;
    setenv("SCRY_FAKE_REACH", reach, 1);
    cr_expect_eq(scry__case_run(&result, index, 0, reference, device), SCRY_OK, "%s: %s", row.name, scry_last_error());
    unsetenv("SCRY_FAKE_REACH");
    if (result.status == SCRY_UNSUPPORTED) {
        cr_expect(strstr(result.detail, "bytes that no cut shortens"), "%s: %s", row.name, result.detail);
        return false;
    }
    cr_expect(result.passed, "%s, reach %s: %s", row.name, reach, result.detail);
    cr_expect(result.worst == 0, "%s, reach %s: %s differs", row.name, reach, result.output);
    return device_runs(device) - before > RUNS_OF_A_CASE;
}

ParameterizedTestParameters(device_split, cases__are_equal_to_the_bit)
{
    return cr_make_param_array(struct expectation, (struct expectation *)expectations, SCRY_OP_COUNT);
}

ParameterizedTest(struct expectation *expected, device_split, cases__are_equal_to_the_bit)
{
    static char  reaches[MOST_REACHES][32];
    scry_device *reference = device_open("reference", SCRY_FALLBACK_STRICT);
    scry_device *device    = device_open("fake", SCRY_FALLBACK_STRICT);
    int          cut       = 0;
    for (int i = 0; i < scry__case_count(); i++) {
        scry__case row     = scry__case_at(i);
        bool       was_cut = false;
        if (row.kind != expected->kind || row.tier > SCRY__TIER_QUICK) continue;
        int count = list_reaches(i, reference, reaches);
        for (int j = 0; j < count; j++) was_cut |= run_row(i, reaches[j], reference, device);
        cut += was_cut;
    }
    cr_expect_geq(cut, expected->cut, "%s: %d rows were cut", scry_op_text(expected->kind), cut);
    scry_device_destroy(&device);
    scry_device_destroy(&reference);
}

/* --- Single ops --- */

static void leave(scry_op *op)
{
    (void)op;
}

static void transpose_b(scry_op *op)
{
    op->matmul.b = scry_tensor_of(op->matmul.b.buffer, op->matmul.b.offset, SCRY_F32, 3, (int64_t[]){2, 7, 3});
    op->matmul.b = scry_tensor_swap(op->matmul.b, 1, 2);
}

/* Operands without elements may lie at their buffer's very end. */
static void empty_k(scry_op *op)
{
    op->matmul.a.shape[2] = op->matmul.b.shape[1] = 0;
    op->matmul.a.offset = op->matmul.b.offset = ARENA_BYTES;
}

static void drop_sums(scry_op *op)
{
    op->attention.capture.received.buffer = op->attention.capture.distance.buffer = NULL;
}

static void narrow_keys(scry_op *op)
{
    scry_attention *attention                 = &op->attention;
    attention->k.shape[1]                     = 1;
    attention->v.shape[1]                     = 1;
    attention->mask.additive.buffer           = NULL;
    attention->capture.received.shape[2]      = 1;
    attention->capture.probabilities.shape[3] = attention->capture.scores.shape[3] = 1;
}

static void narrow_keys_drop_sums(scry_op *op)
{
    narrow_keys(op);
    drop_sums(op);
}

static void drop_positions(scry_op *op)
{
    op->rope.positions.buffer = NULL;
    op->rope.position_offset  = 9;
}

static void broadcast_b(scry_op *op)
{
    op->add.b.stride[0] = 0;
}

static void drop_parameters(scry_op *op)
{
    op->norm_backward.d_weight.buffer = op->norm_backward.d_bias.buffer = NULL;
}

static void drop_keys(scry_op *op)
{
    op->attention_backward.d_k.buffer = op->attention_backward.d_v.buffer = NULL;
}

static void drop_vocabulary(scry_op *op)
{
    op->loss.d_unembedding.buffer = op->loss.d_bias.buffer = NULL;
}

static void make_in_place(scry_op *op)
{
    op->softmax.probabilities = op->softmax.scores;
}

/* Ops of device_ops.h, of the bytes that it says; pieces 0: none, with this reason. */
static const struct single {
    scry_op_kind kind;
    void (*change)(scry_op *op);
    const char *reach;
    int         pieces;
    const char *reason;
} singles[] = {
    {SCRY_OP_ADD, leave, "40", 1, NULL},
    {SCRY_OP_ADD, leave, "39", 2, NULL}, /* rows of 20 bytes */
    {SCRY_OP_ADD, leave, "8", 6, NULL},  /* 2, 2 and 1 of each row */
    {SCRY_OP_ADD, leave, "7", 10, NULL}, /* single elements */
    {SCRY_OP_ADD, leave, "3", 0, "a: 4 bytes"},
    {SCRY_OP_ADD, broadcast_b, "20", 2, NULL},
    {SCRY_OP_ADD, leave, "0:16", 4, NULL},
    {SCRY_OP_MATMUL, leave, "112", 2, NULL},         /* c: two batches of 112 */
    {SCRY_OP_MATMUL, leave, "84", 4, NULL},          /* 3 rows of c, then 1; b: 84 */
    {SCRY_OP_MATMUL, leave, "83", 8, NULL},          /* 2 rows of c, and of b 6 columns, then 1 */
    {SCRY_OP_MATMUL, transpose_b, "48", 16, NULL},   /* 1 row of c; of b 4 columns of 12 bytes, then 3 */
    {SCRY_OP_MATMUL, leave, "59", 0, "b: 60 bytes"}, /* one column */
    {SCRY_OP_MATMUL, empty_k, "84", 4, NULL},
    {SCRY_OP_ATTENTION, leave, "767", 2, NULL}, /* q: 384 a batch */
    {SCRY_OP_ATTENTION, leave, "383", 4, NULL}, /* groups of two heads: 320 */
    {SCRY_OP_ATTENTION, leave, "319", 8, NULL}, /* single heads: 288; of k 288 too */
    {SCRY_OP_ATTENTION, leave, "287", 0, "q: 288 bytes"},
    {SCRY_OP_ATTENTION, drop_sums, "287", 0, "k: 288 bytes"},
    {SCRY_OP_ATTENTION, narrow_keys, "160", 0, "q: 288 bytes"},
    {SCRY_OP_ATTENTION, narrow_keys_drop_sums, "160", 6, NULL}, /* single queries */
    {SCRY_OP_SOFTMAX_CAPTURE, leave, "240", 2, NULL},
    {SCRY_OP_SOFTMAX_CAPTURE, leave, "20", 24, NULL}, /* single rows */
    {SCRY_OP_SOFTMAX_CAPTURE, make_in_place, "20", 24, NULL},
    {SCRY_OP_SOFTMAX_CAPTURE, leave, "19", 0, "scores: 20 bytes"},
    {SCRY_OP_ROPE, leave, "384", 2, NULL},
    {SCRY_OP_ROPE, leave, "191", 0, "cosine: 192 bytes"}, /* a position may mean any row */
    {SCRY_OP_ROPE, drop_positions, "191", 6, NULL},
    {SCRY_OP_NORM, leave, "32", 2, NULL},
    {SCRY_OP_NORM, leave, "31", 0, "x: 32 bytes"},
    {SCRY_OP_LENS, leave, "96", 4, NULL},  /* layers; the unembedding's 352 bytes are the backend's to walk */
    {SCRY_OP_LENS, leave, "64", 8, NULL},  /* 2 rows, then 1 */
    {SCRY_OP_EMBED, leave, "64", 2, NULL}, /* 2 rows, then 1 */
    {SCRY_OP_COPY, leave, "20", 2, NULL},
    {SCRY_OP_FILL, leave, "20", 2, NULL},
    {SCRY_OP_SCALE, leave, "20", 2, NULL},
    {SCRY_OP_ACTIVATION, leave, "20", 2, NULL},
    {SCRY_OP_SUM, leave, "12", 3, NULL}, /* 3, 3 and 1 of the columns; the rows are the backend's to walk */
    {SCRY_OP_SUM, leave, "3", 0, "out: 4 bytes"},
    {SCRY_OP_ACTIVATION_BACKWARD, leave, "20", 2, NULL},
    {SCRY_OP_NORM_BACKWARD, drop_parameters, "32", 2, NULL},
    {SCRY_OP_NORM_BACKWARD, leave, "63", 0, "x: 64 bytes"},
    {SCRY_OP_EMBED_BACKWARD, leave, "92", 2, NULL},      /* 7 columns, then 1; the table is the backend's to walk */
    {SCRY_OP_ATTENTION_BACKWARD, leave, "767", 2, NULL}, /* q: 384 a batch */
    {SCRY_OP_ATTENTION_BACKWARD, leave, "383", 4, NULL}, /* groups of two heads: 320 */
    {SCRY_OP_ATTENTION_BACKWARD, leave, "319", 0, "q: 320 bytes"}, /* whose keys' gradients add up */
    {SCRY_OP_ATTENTION_BACKWARD, drop_keys, "319", 8, NULL},
    {SCRY_OP_ATTENTION_BACKWARD, drop_keys, "287", 0, "k: 288 bytes"},
    {SCRY_OP_LOSS, drop_vocabulary, "64", 2, NULL}, /* 2 rows, then 1 */
    {SCRY_OP_LOSS, leave, "95", 0, "x: 96 bytes"},
    {SCRY_OP_ADAMW, leave, "12", 3, NULL},
    {SCRY_OP_SGD, leave, "4", 7, NULL},
};
enum { SINGLES = sizeof singles / sizeof *singles };

/* What the pieces of an op come to. */
typedef struct census {
    scry_device *device;
    int          pieces;
    int64_t      written[SCRY__MAX_OPERANDS]; /* elements of each output */
} census;

static scry_status count_piece(void *state, const scry_op *piece)
{
    census              *sum = state;
    const scry__operand *operands;
    int                  count = scry__operands(piece->kind, &operands);
    cr_expect_eq(scry__validate(sum->device, piece), SCRY_OK, "%s", scry_last_error());
    sum->pieces++;
    for (int i = 0; i < count; i++)
        if (operands[i].flags & SCRY__WRITE)
            sum->written[i] += scry_tensor_count(scry__operand_in(piece, &operands[i]));
    return SCRY_OK;
}

Test(device_split, pieces__are_valid_and_write_everything_once)
{
    for (int i = 0; i < SINGLES; i++) {
        const scry__operand *operands;
        scry_buffer         *arena  = NULL;
        scry_device         *device = device_open("fake", SCRY_FALLBACK_STRICT);
        census               sum    = {.device = device};
        char                 uncuttable[SCRY__UNCUTTABLE_TEXT];
        cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
        scry_op     op   = device_op(singles[i].kind, arena);
        const char *text = scry_op_text(op.kind), *reason = singles[i].reason ? singles[i].reason : "";
        int         count = scry__operands(op.kind, &operands);
        singles[i].change(&op);
        cr_assert_eq(scry__validate(device, &op), SCRY_OK, "%d: %s", i, scry_last_error());
        setenv("SCRY_FAKE_REACH", singles[i].reach, 1);
        scry_status status = scry__split(device, &op, count_piece, &sum, uncuttable);
        unsetenv("SCRY_FAKE_REACH");
        cr_expect_eq(status, singles[i].pieces ? SCRY_OK : SCRY_UNSUPPORTED, "%s, reach %s", text, singles[i].reach);
        cr_expect(!strncmp(uncuttable, reason, strlen(reason)) && !*uncuttable == !*reason, "%s, reach %s: %s", text,
                  singles[i].reach, uncuttable);
        if (!status)
            cr_expect_eq(sum.pieces, singles[i].pieces, "%s, reach %s: %d pieces", text, singles[i].reach, sum.pieces);
        for (int j = 0; !status && j < count; j++)
            if (operands[j].flags & SCRY__WRITE)
                cr_expect_eq(sum.written[j], scry_tensor_count(scry__operand_in(&op, &operands[j])), "%s: %s", text,
                             operands[j].name);
        scry_buffer_destroy(&arena);
        scry_device_destroy(&device);
    }
}
