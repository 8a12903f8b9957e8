/* scry-bench-op's ops of training: operands and parameters of each. See op.h. */
#include "bench/op.h"

/* Ids from 0 on, as many as there are; past `count` they begin again. */
static scry_tensor make_ids(struct bench *bench, scry_status *status, int64_t rows, int64_t count)
{
    scry_tensor ids = bench_make(bench, status, false, SCRY_I32, 1, SHAPE(rows));
    for (int64_t i = 0; i < rows && !*status; i++) {
        int32_t id = (int32_t)(i % count);
        *status    = scry_buffer_write(ids.buffer, (size_t)i * sizeof id, &id, sizeof id);
    }
    return ids;
}

scry_status bench_make_sum(struct bench *bench)
{
    int64_t     rows = bench->size[0], columns = bench->size[1];
    scry_status status = SCRY_OK;
    bench->op          = (scry_op){.kind = SCRY_OP_SUM};
    bench->op.sum.x    = bench_make(bench, &status, true, SCRY_F32, 2, SHAPE(rows, columns));
    bench->op.sum.out  = bench_make(bench, &status, false, SCRY_F32, 1, SHAPE(columns));
    return status;
}

scry_status bench_make_activation_backward(struct bench *bench)
{
    const int64_t            *shape      = SHAPE(bench->size[0], bench->size[1]);
    scry_status               status     = SCRY_OK;
    scry_activation_backward *activation = &bench->op.activation_backward;
    bench->op                            = (scry_op){.kind = SCRY_OP_ACTIVATION_BACKWARD};
    activation->function                 = SCRY_GELU_TANH;
    activation->x                        = bench_make(bench, &status, true, SCRY_F32, 2, shape);
    activation->d_out                    = bench_make(bench, &status, true, SCRY_F32, 2, shape);
    activation->d_x                      = bench_make(bench, &status, false, SCRY_F32, 2, shape);
    return status;
}

scry_status bench_make_norm_backward(struct bench *bench)
{
    int64_t             rows = bench->size[0], size = bench->size[1];
    scry_status         status = SCRY_OK;
    scry_norm_backward *norm   = &bench->op.norm_backward;
    bench->op                  = (scry_op){.kind = SCRY_OP_NORM_BACKWARD};
    norm->parameters.epsilon   = 1e-5F;
    norm->parameters.weight    = bench_make(bench, &status, true, SCRY_F32, 1, SHAPE(size));
    norm->x                    = bench_make(bench, &status, true, SCRY_F32, 2, SHAPE(rows, size));
    norm->d_out                = bench_make(bench, &status, true, SCRY_F32, 2, SHAPE(rows, size));
    norm->d_x                  = bench_make(bench, &status, false, SCRY_F32, 2, SHAPE(rows, size));
    norm->d_weight             = bench_make(bench, &status, false, SCRY_F32, 1, SHAPE(size));
    norm->d_bias               = bench_make(bench, &status, false, SCRY_F32, 1, SHAPE(size));
    return status;
}

scry_status bench_make_embed_backward(struct bench *bench)
{
    int64_t              rows = bench->size[0], vocabulary = bench->size[1], size = bench->size[2];
    scry_status          status = SCRY_OK;
    scry_embed_backward *embed  = &bench->op.embed_backward;
    bench->op                   = (scry_op){.kind = SCRY_OP_EMBED_BACKWARD};
    embed->ids                  = make_ids(bench, &status, rows, vocabulary);
    embed->d_out                = bench_make(bench, &status, true, SCRY_F32, 2, SHAPE(rows, size));
    embed->d_table              = bench_make(bench, &status, false, SCRY_F32, 2, SHAPE(vocabulary, size));
    return status;
}

/* What the forward op leaves is left by it, outside the clock. */
scry_status bench_make_attention_backward(struct bench *bench)
{
    int64_t        batches = bench->size[0], heads = bench->size[1], tokens = bench->size[2], size = bench->size[3];
    const int64_t *shape               = SHAPE(batches, tokens, heads, size);
    scry_status    status              = bench_make_attention(bench);
    scry_op        forward             = bench->op;
    scry_attention_backward backward   = {.q     = forward.attention.q,
                                          .k     = forward.attention.k,
                                          .v     = forward.attention.v,
                                          .out   = forward.attention.out,
                                          .scale = forward.attention.scale,
                                          .mask  = forward.attention.mask};
    backward.lse                       = bench_make(bench, &status, false, SCRY_F32, 3, SHAPE(batches, heads, tokens));
    backward.d_out                     = bench_make(bench, &status, true, SCRY_F32, 4, shape);
    backward.d_q                       = bench_make(bench, &status, false, SCRY_F32, 4, shape);
    backward.d_k                       = bench_make(bench, &status, false, SCRY_F32, 4, shape);
    backward.d_v                       = bench_make(bench, &status, false, SCRY_F32, 4, shape);
    forward.attention.capture.rows.lse = backward.lse;
    if (!status) status = scry_device_run(bench->device, &forward);
    bench->op = (scry_op){.kind = SCRY_OP_ATTENTION_BACKWARD, .attention_backward = backward};
    return status;
}

scry_status bench_make_loss(struct bench *bench)
{
    int64_t     rows = bench->size[0], vocabulary = bench->size[1], size = bench->size[2];
    scry_status status  = SCRY_OK;
    scry_loss  *loss    = &bench->op.loss;
    bench->op           = (scry_op){.kind = SCRY_OP_LOSS};
    loss->factor        = 1 / (float)rows;
    loss->x             = bench_make(bench, &status, true, SCRY_F32, 2, SHAPE(rows, size));
    loss->unembedding   = bench_make(bench, &status, true, bench->weights, 2, SHAPE(vocabulary, size));
    loss->target        = make_ids(bench, &status, rows, vocabulary);
    loss->loss          = bench_make(bench, &status, false, SCRY_F32, 1, SHAPE(rows));
    loss->d_x           = bench_make(bench, &status, false, SCRY_F32, 2, SHAPE(rows, size));
    loss->d_unembedding = bench_make(bench, &status, false, SCRY_F32, 2, SHAPE(vocabulary, size));
    return status;
}

/* Moments begin as 0. */
static scry_tensor make_zeros(struct bench *bench, scry_status *status, int64_t count)
{
    scry_tensor x = bench_make(bench, status, false, SCRY_F32, 1, SHAPE(count));
    if (!*status) *status = scry_device_run(bench->device, &(scry_op){.kind = SCRY_OP_FILL, .fill = {.out = x}});
    return x;
}

scry_status bench_make_adamw(struct bench *bench)
{
    int64_t     count  = bench->size[0];
    scry_status status = SCRY_OK;
    scry_adamw *adamw  = &bench->op.adamw;
    bench->op          = (scry_op){.kind = SCRY_OP_ADAMW};
    *adamw             = (scry_adamw){.rate            = 1e-3F,
                                      .beta1           = 0.9F,
                                      .beta2           = 0.999F,
                                      .epsilon         = 1e-8F,
                                      .decay           = 0.01F,
                                      .gradient_factor = 1,
                                      .step            = 1};
    adamw->gradient    = bench_make(bench, &status, true, SCRY_F32, 1, SHAPE(count));
    adamw->parameter   = bench_make(bench, &status, true, SCRY_F32, 1, SHAPE(count));
    adamw->first       = make_zeros(bench, &status, count);
    adamw->second      = make_zeros(bench, &status, count);
    return status;
}

scry_status bench_make_sgd(struct bench *bench)
{
    int64_t     count  = bench->size[0];
    scry_status status = SCRY_OK;
    scry_sgd   *sgd    = &bench->op.sgd;
    bench->op          = (scry_op){.kind = SCRY_OP_SGD};
    *sgd               = (scry_sgd){.rate = 1e-3F, .momentum = 0.9F, .nesterov = true, .gradient_factor = 1};
    sgd->gradient      = bench_make(bench, &status, true, SCRY_F32, 1, SHAPE(count));
    sgd->parameter     = bench_make(bench, &status, true, SCRY_F32, 1, SHAPE(count));
    sgd->velocity      = make_zeros(bench, &status, count);
    return status;
}
