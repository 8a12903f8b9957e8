/* attention on CUDA, emulated where there is no GPU: in strict f32 a query's bits depend on its own row alone, not on
 * how many queries there are nor on which kernel they chose. */
#include "unit/device_ops.h"
#include "unit/trial.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

TestSuite(cuda_attention, .timeout = 300);

enum { QUERIES = 70, HEADS = 4, GROUPS = 2, SIZE = 72, ROW = HEADS * SIZE };

struct outputs {
    float out[QUERIES][ROW], entropy[HEADS][QUERIES];
};

/* Causal attention of `count` queries from `first` on, among as many keys as there are queries in all. */
static void attend(const char *kernels, int first, int count, struct outputs *outputs)
{
    static float   q[QUERIES * ROW], kv[QUERIES * GROUPS * SIZE];
    trial          t    = {.device = device_need("cuda-emulated:0", kernels)};
    scry_op        op   = {.kind = SCRY_OP_ATTENTION, .attention = {.scale = 0.2f, .mask = {.causal = true}}};
    const int64_t *keys = TRIAL_SHAPE(1, QUERIES, GROUPS, SIZE);
    trial_normal(q, QUERIES * ROW, 1);
    op.attention.q = trial_f32(&t, 4, TRIAL_SHAPE(1, count, HEADS, SIZE), q + first * ROW);
    trial_normal(kv, QUERIES * GROUPS * SIZE, 2);
    op.attention.k = trial_f32(&t, 4, keys, kv);
    trial_normal(kv, QUERIES * GROUPS * SIZE, 3);
    op.attention.v                    = trial_f32(&t, 4, keys, kv);
    op.attention.out                  = trial_out(&t, SCRY_F32, 4, TRIAL_SHAPE(1, count, HEADS, SIZE));
    op.attention.capture.rows.entropy = trial_out(&t, SCRY_F32, 3, TRIAL_SHAPE(1, HEADS, count));
    op.attention.mask.query_offset    = first;
    trial_run(&t, &op);
    trial_read(&t, &op.attention.out, outputs->out);
    trial_read(&t, &op.attention.capture.rows.entropy, outputs->entropy);
    trial_close(&t);
}

ParameterizedTestParameters(cuda_attention, a_query__is_what_it_is_among_others)
{
    static char kernels[][16] = {"attention=group", "attention=few"};
    return cr_make_param_array(char[16], kernels, sizeof kernels / sizeof *kernels);
}

ParameterizedTest(char (*kernels)[16], cuda_attention, a_query__is_what_it_is_among_others)
{
    static struct outputs whole, alone;
    attend("attention=group", 0, QUERIES, &whole);
    for (int i = 0; i < QUERIES; i += 23) {
        attend(*kernels, i, 1, &alone);
        cr_expect(!memcmp(alone.out[0], whole.out[i], sizeof whole.out[i]), "%s: output of query %d", *kernels, i);
        for (int h = 0; h < HEADS; h++) /* [H, 1], one behind the other */
            cr_expect(!memcmp(&alone.entropy[0][h], &whole.entropy[h][i], sizeof(float)), "%s: entropy of query %d",
                      *kernels, i);
    }
}
