/* attention_backward: tiles of queries, one after another. kernels_cl/attention_backward.cl says what each kernel does.
 *
 * How many queries a tile has depends on their number, that of the keys and of the heads alone, so that a sequence's
 * sums do not depend on the others: where all of its rows fit, several sequences share a tile. */
#include "runs.h"

enum { TILE = 1 << 20 /* pairs of a row and a key */, MOST_QUERIES = 128 };

/* `backward_tile` of kernels_cl/attention_backward.cl. */
struct tile {
    cl_long  batch, batches, query, queries, keys, heads, groups, head_size, value_size, sums, scores;
    cl_float scale, softcap;
};

struct job {
    struct scry__cl               *cl;
    const scry_attention_backward *op;
    struct tile                    tile;
    int64_t                        most_batches, most_queries;
};

static struct job job_of(struct scry__cl *cl, const scry_attention_backward *op)
{
    int64_t    B = op->q.shape[0], Q = op->q.shape[1], K = op->k.shape[1], H = op->q.shape[2];
    int64_t    sequence = most(1, H * Q * K);
    struct job job      = {.cl = cl, .op = op};
    job.most_queries    = most(1, least(least(Q, MOST_QUERIES), TILE / most(1, H * K)));
    job.most_batches    = most(1, least(B, job.most_queries < Q ? 1 : TILE / sequence));
    job.tile            = (struct tile){.keys       = K,
                                        .heads      = H,
                                        .groups     = op->k.shape[2],
                                        .head_size  = op->q.shape[3],
                                        .value_size = op->v.shape[3],
                                        .scale      = op->scale,
                                        .softcap    = op->softcap};
    job.tile.scores     = job.most_batches * job.most_queries * H;
    return job;
}

void scry__cl_attention_backward_query(const struct scry__cl *cl, const scry_attention_backward *op,
                                       scry_precision allowed, scry_op_info *info)
{
    (void)allowed;
    struct job job = job_of(NULL, op);
    scry__cl_runs_query(cl, SCRY_OP_ATTENTION_BACKWARD, info);
    info->scratch_bytes = (size_t)(job.tile.scores * (1 + 2 * op->k.shape[1])) * sizeof(float);
    if (op->k.shape[1] > INT32_MAX)
        scry__op_refuse(info, "it has %lld keys: expected at most %d", (long long)op->k.shape[1], INT32_MAX);
}

static struct scry__cl_call begin_call(const struct job *job, const char *name)
{
    return scry__cl_lanes_call(job->cl, SCRY_OP_ATTENTION_BACKWARD, "mask+attention_backward", name);
}

static void pass_tile(struct scry__cl_call *call, const struct job *job)
{
    scry__cl_scratch(call, 0);
    scry__cl_bytes(call, &job->tile, sizeof job->tile);
}

static size_t row_count(const struct job *job)
{
    return (size_t)(job->tile.batches * job->tile.heads * job->tile.queries);
}

static int64_t runs_of(const struct job *job, int64_t size)
{
    return units_of(size, scry__cl_lanes(job->cl, SCRY_OP_ATTENTION_BACKWARD));
}

static scry_status run_rows(const struct job *job)
{
    struct scry__cl_call call = begin_call(job, "attention_backward_rows");
    scry__cl_tensor(&call, &job->op->out, SCRY__CL_READ);
    scry__cl_tensor(&call, &job->op->d_out, SCRY__CL_READ);
    pass_tile(&call, job);
    return scry__cl_launch(&call, 1, &(size_t){row_count(job)}, NULL);
}

static scry_status run_scores(const struct job *job)
{
    const scry_attention_backward *op      = job->op;
    const scry_tensor             *reads[] = {&op->q, &op->k, &op->v, &op->lse, &op->d_out};
    struct scry__cl_call           call    = begin_call(job, "attention_backward_scores");
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) scry__cl_tensor(&call, reads[i], SCRY__CL_READ);
    scry__cl_mask(&call, &op->mask);
    pass_tile(&call, job);
    return scry__cl_launch(&call, 2, (const size_t[]){(size_t)job->tile.keys, row_count(job)}, NULL);
}

static scry_status run_queries(const struct job *job)
{
    if (!present(&job->op->d_q)) return SCRY_OK;
    struct scry__cl_call call = begin_call(job, "attention_backward_queries");
    scry__cl_tensor(&call, &job->op->k, SCRY__CL_READ);
    scry__cl_tensor(&call, &job->op->d_q, SCRY__CL_READ | SCRY__CL_WRITE);
    pass_tile(&call, job);
    scry__cl_int(&call, job->op->accumulate);
    return scry__cl_launch(&call, 2, (const size_t[]){(size_t)runs_of(job, job->tile.head_size), row_count(job)}, NULL);
}

/* The gradients of keys, or of values, with what the tile adds. */
static scry_status run_keys(const struct job *job, bool is_values)
{
    const scry_tensor *d = is_values ? &job->op->d_v : &job->op->d_k;
    if (!present(d)) return SCRY_OK;
    struct scry__cl_call call     = begin_call(job, "attention_backward_keys");
    const size_t         global[] = {(size_t)runs_of(job, d->shape[3]), (size_t)job->tile.keys,
                                     (size_t)(job->tile.batches * job->tile.groups)};
    scry__cl_tensor(&call, is_values ? &job->op->d_out : &job->op->q, SCRY__CL_READ);
    scry__cl_tensor(&call, d, SCRY__CL_READ | SCRY__CL_WRITE);
    pass_tile(&call, job);
    scry__cl_long(&call, d->shape[3]);
    scry__cl_int(&call, is_values);
    scry__cl_int(&call, job->op->accumulate || job->tile.query > 0);
    return scry__cl_launch(&call, 3, global, NULL);
}

static scry_status run_tile(const struct job *job)
{
    scry_status status = run_rows(job);
    if (!status) status = run_scores(job);
    if (!status) status = run_queries(job);
    if (!status) status = run_keys(job, false);
    return status ? status : run_keys(job, true);
}

scry_status scry__cl_attention_backward(struct scry__cl *cl, const scry_attention_backward *op, scry_precision allowed)
{
    (void)allowed;
    struct job   job    = job_of(cl, op);
    struct tile *tile   = &job.tile;
    scry_status  status = SCRY_OK;
    for (tile->batch = 0; tile->batch < op->q.shape[0] && !status; tile->batch += job.most_batches) {
        tile->batches = least(job.most_batches, op->q.shape[0] - tile->batch);
        tile->query   = 0;
        /* Without queries too: what is not accumulated becomes 0. */
        do {
            tile->queries = least(job.most_queries, op->q.shape[1] - tile->query);
            status        = run_tile(&job);
            tile->query += job.most_queries;
        } while (tile->query < op->q.shape[1] && !status);
    }
    return status;
}
