/* attention_backward: tiles of queries, one after another. shaders/attention_backward.glsl says what each kernel does.
 *
 * How many queries a tile has depends on their number, that of the keys and of the heads alone, so that a sequence's
 * sums do not depend on the others: where all of its rows fit, several sequences share a tile. Loops of one item stay
 * below what drivers of CPU type allow (SCRY__VK_TURNS): those over keys are launched in pieces, and those over queries
 * bound the tile. */
#include "runs.h"

enum {
    TILE         = 1 << 18, /* pairs of a row and a key: 1 MiB, which every binding holds */
    MOST_QUERIES = 128,
    MOST_TERMS   = 8192, /* of one sum: keys of a piece, and queries of a tile in all heads of a key */
};

/* `backward_tile` of shaders/attention_backward.glsl. */
struct tile {
    uint32_t batch, batches, query, queries, keys, heads, groups, head_size, value_size;
    float    scale, softcap;
};

struct job {
    struct scry__vk               *vk;
    const scry_attention_backward *op;
    struct tile                    tile;
    int64_t                        most_batches, most_queries;
    size_t                         sums, pairs; /* bytes of o of each row, and of p, or d_s, of each row and key */
};

/* --- Plan --- */

static struct job job_of(const struct scry__vk *vk, const scry_attention_backward *op)
{
    int64_t    B = op->q.shape[0], Q = op->q.shape[1], K = op->k.shape[1], H = op->q.shape[2], G = op->k.shape[2];
    int64_t    terms = MOST_TERMS / most(1, H / most(1, G));
    struct job job   = {.vk = (struct scry__vk *)vk, .op = op};
    job.most_queries = most(1, least(least(least(Q, MOST_QUERIES), terms), TILE / most(1, H * K)));
    job.most_batches = most(1, least(B, job.most_queries < Q ? 1 : TILE / most(1, H * Q * K)));
    int64_t rows     = job.most_batches * job.most_queries * H;
    job.sums         = (size_t)round_up(rows * (int64_t)sizeof(float), SCRY__VK_UNIT);
    job.pairs        = (size_t)round_up(rows * K * (int64_t)sizeof(float), SCRY__VK_UNIT);
    job.tile         = (struct tile){.keys       = (uint32_t)K,
                                     .heads      = (uint32_t)H,
                                     .groups     = (uint32_t)G,
                                     .head_size  = (uint32_t)op->q.shape[3],
                                     .value_size = (uint32_t)op->v.shape[3],
                                     .scale      = op->scale,
                                     .softcap    = op->softcap};
    return job;
}

void scry__vk_attention_backward_query(const struct scry__vk *vk, const scry_attention_backward *op,
                                       scry_precision allowed, scry_op_info *info)
{
    (void)allowed;
    struct job job = job_of(vk, op);
    scry__vk_runs_query(vk, SCRY_OP_ATTENTION_BACKWARD, info);
    info->scratch_bytes = job.sums + 2 * job.pairs;
    scry__vk_check_rows(vk, info, op->q.shape[1], op->k.shape[1]);
    scry__vk_check_turns(vk, info, 3 * (op->q.shape[3] + op->v.shape[3]));
}

/* --- Launches --- */

static struct scry__vk_call begin_call(const struct job *job, const char *name)
{
    return scry__vk_items_call(job->vk, SCRY_OP_ATTENTION_BACKWARD, name);
}

static void bind_sums(struct scry__vk_call *call, const struct job *job, unsigned access)
{
    scry__vk_scratch(call, 0, job->sums, access);
}

/* p, or d_s where it is `second`. */
static void bind_pairs(struct scry__vk_call *call, const struct job *job, bool second, unsigned access)
{
    scry__vk_scratch(call, job->sums + second * job->pairs, job->pairs, access);
}

static void pass_tile(struct scry__vk_call *call, const struct job *job)
{
    scry__vk_bytes(call, &job->tile, sizeof job->tile);
}

static int64_t row_count(const struct job *job)
{
    return (int64_t)job->tile.batches * job->tile.heads * job->tile.queries;
}

static scry_status run_rows(const struct job *job)
{
    struct scry__vk_call call = begin_call(job, "attention_backward_rows");
    scry__vk_tensor(&call, &job->op->out, SCRY__VK_READ);
    scry__vk_tensor(&call, &job->op->d_out, SCRY__VK_READ);
    scry__vk_in_fours(&call, job->tile.value_size);
    bind_sums(&call, job, SCRY__VK_WRITE);
    pass_tile(&call, job);
    return scry__vk_items_launch(&call, row_count(job), 2.0 * job->tile.value_size + 20);
}

static scry_status run_scores(const struct job *job)
{
    const scry_attention_backward *op      = job->op;
    const scry_tensor             *reads[] = {&op->q, &op->k, &op->v, &op->d_out};
    struct scry__vk_call           call    = begin_call(job, "attention_backward_scores");
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) scry__vk_tensor(&call, reads[i], SCRY__VK_READ);
    /* Both products' rows are whole fours, or none is taken in fours. */
    scry__vk_in_fours(&call, job->tile.head_size % SCRY__VK_RUN ? job->tile.head_size : job->tile.value_size);
    scry__vk_tensor(&call, &op->lse, SCRY__VK_READ);
    scry__vk_mask(&call, &op->mask, op->q.shape[1], job->tile.keys, 0);
    bind_sums(&call, job, SCRY__VK_READ);
    bind_pairs(&call, job, false, SCRY__VK_WRITE);
    bind_pairs(&call, job, true, SCRY__VK_WRITE);
    pass_tile(&call, job);
    return scry__vk_items_launch(&call, row_count(job) * job->tile.keys,
                                 2.0 * (job->tile.head_size + job->tile.value_size) + 100);
}

/* What the keys `begin` to `end` add to d_q. */
static scry_status add_keys(const struct job *job, int64_t begin, int64_t end)
{
    struct scry__vk_call call = begin_call(job, "attention_backward_queries");
    scry__vk_tensor(&call, &job->op->k, SCRY__VK_READ);
    scry__vk_tensor(&call, &job->op->d_q, SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_in_fours(&call, job->tile.head_size);
    bind_pairs(&call, job, false, SCRY__VK_READ);
    bind_pairs(&call, job, true, SCRY__VK_READ);
    pass_tile(&call, job);
    scry__vk_int(&call, begin);
    scry__vk_int(&call, end);
    scry__vk_int(&call, job->op->accumulate || begin > 0);
    return scry__vk_items_launch(&call, row_count(job) * units_of(job->tile.head_size, SCRY__VK_RUN),
                                 12.0 * (double)(end - begin));
}

static scry_status run_queries(const struct job *job)
{
    if (!present(&job->op->d_q)) return SCRY_OK;
    int64_t     begin = 0, end;
    scry_status status;
    do { /* without keys too: what is not accumulated becomes 0 */
        end    = least(begin + MOST_TERMS, job->tile.keys);
        status = add_keys(job, begin, end);
        begin  = end;
    } while (!status && end < job->tile.keys);
    return status;
}

/* The gradients of keys, or of values, with what the tile adds. */
static scry_status run_keys(const struct job *job, bool is_values)
{
    const scry_tensor *d = is_values ? &job->op->d_v : &job->op->d_k;
    if (!present(d)) return SCRY_OK;
    const struct tile   *tile    = &job->tile;
    struct scry__vk_call call    = begin_call(job, "attention_backward_keys");
    int64_t              vectors = (int64_t)tile->batches * tile->groups * tile->keys;
    scry__vk_tensor(&call, is_values ? &job->op->d_out : &job->op->q, SCRY__VK_READ);
    scry__vk_tensor(&call, d, SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_in_fours(&call, d->shape[3]);
    bind_pairs(&call, job, false, SCRY__VK_READ);
    bind_pairs(&call, job, !is_values, SCRY__VK_READ);
    pass_tile(&call, job);
    scry__vk_int(&call, d->shape[3]);
    scry__vk_float(&call, is_values ? 1 : tile->scale);
    scry__vk_int(&call, job->op->accumulate || tile->query > 0);
    return scry__vk_items_launch(&call, vectors * units_of(d->shape[3], SCRY__VK_RUN),
                                 12.0 * tile->queries * (tile->heads / (double)most(1, tile->groups)));
}

static scry_status run_tile(const struct job *job)
{
    scry_status status = run_rows(job);
    if (!status) status = run_scores(job);
    if (!status) status = run_queries(job);
    if (!status) status = run_keys(job, false);
    return status ? status : run_keys(job, true);
}

scry_status scry__vk_attention_backward(struct scry__vk *vk, const scry_attention_backward *op, scry_precision allowed)
{
    (void)allowed;
    struct job  job = job_of(vk, op);
    int64_t     B = op->q.shape[0], Q = op->q.shape[1];
    scry_status status = SCRY_OK;
    for (int64_t batch = 0; batch < B && !status; batch += job.most_batches) {
        int64_t query    = 0;
        job.tile.batch   = (uint32_t)batch;
        job.tile.batches = (uint32_t)least(job.most_batches, B - batch);
        do { /* without queries too: what is not accumulated becomes 0 */
            job.tile.query   = (uint32_t)query;
            job.tile.queries = (uint32_t)least(job.most_queries, Q - query);
            status           = run_tile(&job);
            query += job.most_queries;
        } while (query < Q && !status);
    }
    return status;
}
