/* One layer's attention: projections, query/key norms, rotation, cache, the attention op with what hooks want of it.
 *
 * Nothing is copied that can be a view: a fused projection is read in place, separate ones write straight into the
 * cache. */
#include "base/error.h"
#include "device/validate.h"
#include "model/pass.h"

/* Where a layer's attention finds its operands, each [B, rows, heads, D]. */
struct heads {
    scry_tensor q, k, v;            /* of the new rows */
    scry_tensor all_k, all_v;       /* of every row that queries may see */
    scry_tensor cached_k, cached_v; /* where the new rows belong in the cache; absent without one */
    scry_tensor z;
};

/* [B, T, columns] as [B, T, count, D]: heads `spacing` columns apart, the first at column `begin`. */
static scry_tensor head_view(scry_tensor block, int64_t begin, int64_t count, int64_t spacing, int64_t size)
{
    block.offset += (size_t)begin * sizeof(float);
    block.rank      = 4;
    block.shape[2]  = count;
    block.stride[2] = spacing;
    block.shape[3]  = size;
    block.stride[3] = 1;
    return block;
}

void scry__fused_heads(scry_tensor heads[3], const scry__arch *arch, const scry_tensor *block)
{
    int64_t size = arch->head_size, q_count = arch->head_count, k_count = arch->kv_head_count;
    bool    by_head = arch->qkv == SCRY__QKV_BY_HEAD;
    int64_t spacing = by_head ? 3 * size : size;
    heads[0]        = head_view(*block, 0, q_count, spacing, size);
    heads[1]        = head_view(*block, by_head ? size : q_count * size, k_count, spacing, size);
    heads[2]        = head_view(*block, by_head ? 2 * size : (q_count + k_count) * size, k_count, spacing, size);
}

/* [B, T, G, D] back to [B, T, G * D]: what a matmul writes. */
static scry_tensor flat_view(scry_tensor heads)
{
    heads.rank      = 3;
    heads.shape[2]  = heads.shape[2] * heads.shape[3];
    heads.stride[2] = 1;
    return heads;
}

/* Rows [begin, begin + count) of this layer's part of a cache slot: [B, count, G, D]. */
static scry_tensor cache_rows(const scry__pass *pass, scry__slot slot, int64_t begin, int64_t count)
{
    const scry__session_options *options = &pass->session->options;
    const int64_t shape[] = {options->batch, options->capacity, pass->arch->kv_head_count, pass->arch->head_size};
    int64_t       layer   = shape[0] * shape[1] * shape[2] * shape[3];
    size_t        offset  = (size_t)(layer * pass->layer) * sizeof(float);
    scry_tensor   all     = scry_tensor_of(pass->session->slots[slot], offset, SCRY_F32, 4, shape);
    return scry_tensor_slice(scry_tensor_slice(all, 0, 0, pass->batch), 1, begin, count);
}

/* Lays out a layer's attention and enqueues its projections. */
static scry_status project(const scry__pass *pass, struct heads *heads)
{
    const scry__arch *arch = pass->arch;
    int64_t           size = arch->head_size, q_count = arch->head_count, k_count = arch->kv_head_count;
    size_t            offset = 0;
    scry_status       status;
    *heads = (struct heads){0};
    if (pass->session->options.keep_cache) {
        heads->cached_k = cache_rows(pass, SCRY__SLOT_KEYS, pass->past, pass->rows);
        heads->cached_v = cache_rows(pass, SCRY__SLOT_VALUES, pass->past, pass->rows);
        heads->all_k    = cache_rows(pass, SCRY__SLOT_KEYS, 0, pass->past + pass->rows);
        heads->all_v    = cache_rows(pass, SCRY__SLOT_VALUES, 0, pass->past + pass->rows);
    }
    if (arch->qkv != SCRY__QKV_SEPARATE) {
        scry_tensor block = scry__pass_wide_block(pass, (q_count + 2 * k_count) * size, &offset), fused[3];
        scry__fused_heads(fused, arch, &block);
        heads->q = fused[0];
        heads->k = fused[1];
        heads->v = fused[2];
        status   = scry__pass_linear(pass, &pass->input, &pass->weights->qkv, &block, 0.0f);
    } else {
        bool        cached = heads->cached_k.buffer != NULL;
        scry_tensor q      = scry__pass_wide_block(pass, q_count * size, &offset);
        scry_tensor k      = cached ? flat_view(heads->cached_k) : scry__pass_wide_block(pass, k_count * size, &offset);
        scry_tensor v      = cached ? flat_view(heads->cached_v) : scry__pass_wide_block(pass, k_count * size, &offset);
        heads->q           = head_view(q, 0, q_count, size, size);
        heads->k           = head_view(k, 0, k_count, size, size);
        heads->v           = head_view(v, 0, k_count, size, size);
        status             = scry__pass_linear(pass, &pass->input, &pass->weights->q, &q, 0.0f);
        if (!status) status = scry__pass_linear(pass, &pass->input, &pass->weights->k, &k, 0.0f);
        if (!status) status = scry__pass_linear(pass, &pass->input, &pass->weights->v, &v, 0.0f);
    }
    heads->z = head_view(scry__pass_wide_block(pass, q_count * size, &offset), 0, q_count, size, size);
    return status;
}

/* Norms each head of x in place. */
static scry_status head_norm(const scry__pass *pass, const scry_tensor *x, const scry_norm_parameters *parameters)
{
    return scry__pass_run(pass,
                          (scry_op){.kind = SCRY_OP_NORM, .norm = {.x = *x, .out = *x, .parameters = *parameters}});
}

static bool is_same_place(const scry_tensor *a, const scry_tensor *b)
{
    return a->buffer == b->buffer && a->offset == b->offset;
}

static scry_status copy(const scry__pass *pass, const scry_tensor *x, const scry_tensor *out)
{
    if (is_same_place(x, out)) return SCRY_OK;
    return scry__pass_run(pass, (scry_op){.kind = SCRY_OP_COPY, .copy = {.x = *x, .out = *out}});
}

scry_rope scry__session_rope(const scry__session *session, int layer)
{
    const scry__arch *arch    = &session->model->arch;
    int               index   = arch->layers[layer].rope;
    int64_t           shape[] = {session->options.capacity, arch->ropes[index].dims / 2};
    return (scry_rope){.cosine      = scry_tensor_of(session->slots[SCRY__SLOT_COSINE + index], 0, SCRY_F32, 2, shape),
                       .sine        = scry_tensor_of(session->slots[SCRY__SLOT_SINE + index], 0, SCRY_F32, 2, shape),
                       .interleaved = arch->ropes[index].interleaved};
}

static scry_status rotate(const scry__pass *pass, const scry_tensor *x, const scry_tensor *out)
{
    scry_rope op       = scry__session_rope(pass->session, pass->layer);
    op.x               = *x;
    op.out             = *out;
    op.position_offset = pass->past;
    return scry__pass_run(pass, (scry_op){.kind = SCRY_OP_ROPE, .rope = op});
}

/* From projections to what attention reads: norms, rotation, and the new rows' place in the cache. */
static scry_status place_heads(const scry__pass *pass, struct heads *heads)
{
    scry_tensor k_place = heads->cached_k.buffer ? heads->cached_k : heads->k;
    scry_tensor v_place = heads->cached_v.buffer ? heads->cached_v : heads->v;
    scry_status status  = scry__pass_offer(pass, SCRY__HOOK_Q, &heads->q);
    if (!status) status = scry__pass_offer(pass, SCRY__HOOK_K, &heads->k);
    if (!status) status = scry__pass_offer(pass, SCRY__HOOK_V, &heads->v);
    if (!status && pass->arch->features & SCRY__HAS_QK_NORM) {
        status = head_norm(pass, &heads->q, &pass->weights->q_norm);
        if (!status) status = head_norm(pass, &heads->k, &pass->weights->k_norm);
    }
    if (!status) status = copy(pass, &heads->v, &v_place);
    if (pass->arch->positions == SCRY__POSITIONS_ROPE) {
        if (!status) status = rotate(pass, &heads->q, &heads->q);
        if (!status) status = rotate(pass, &heads->k, &k_place);
        if (!status) status = scry__pass_offer(pass, SCRY__HOOK_ROT_Q, &heads->q);
        if (!status) status = scry__pass_offer(pass, SCRY__HOOK_ROT_K, &k_place);
    } else if (!status) {
        status = copy(pass, &heads->k, &k_place);
    }
    if (!heads->all_k.buffer) {
        heads->all_k = k_place;
        heads->all_v = v_place;
    }
    return status;
}

/* Attention's captures that hooks may want: where each goes, and its shape behind [B, H]. */
enum extent { QUERIES, KEYS };
static const struct {
    scry__hook  hook;
    size_t      member; /* in scry_attention_capture */
    scry_dtype  dtype;
    enum extent extent;
} statistics[] = {
#define ROW_STATISTIC(hook, field, dtype)                                                                              \
    {                                                                                                                  \
        SCRY__HOOK_STAT_##hook, offsetof(scry_attention_capture, rows.field), dtype, QUERIES                           \
    }
    ROW_STATISTIC(LSE, lse, SCRY_F32),
    ROW_STATISTIC(ENTROPY, entropy, SCRY_F32),
    ROW_STATISTIC(MAX, max, SCRY_F32),
    ROW_STATISTIC(ARGMAX, argmax, SCRY_I32),
    ROW_STATISTIC(PREVIOUS, previous, SCRY_F32),
    ROW_STATISTIC(SELF, self, SCRY_F32),
    ROW_STATISTIC(FIRST, first, SCRY_F32),
#undef ROW_STATISTIC
    {SCRY__HOOK_STAT_RECEIVED, offsetof(scry_attention_capture, received), SCRY_F32, KEYS},
    {SCRY__HOOK_STAT_DISTANCE, offsetof(scry_attention_capture, distance), SCRY_F32, KEYS},
};
enum { STATISTIC_COUNT = sizeof statistics / sizeof *statistics };
_Static_assert(SCRY__SLOT_STATISTICS + STATISTIC_COUNT == SCRY__SLOT_LOGITS, "one slot per statistic");

static scry_tensor *statistic(scry_attention_capture *capture, int i)
{
    return (scry_tensor *)((char *)capture + statistics[i].member);
}

/* Gives the capture a tensor for everything that is wanted of this layer. */
static scry_status request_captures(const scry__pass *pass, scry_attention_capture *capture)
{
    int64_t     queries = pass->rows, keys = pass->past + pass->rows, all = pass->arch->head_count;
    bool        whole   = scry__pass_materialises(pass);
    bool        scores  = scry__pass_wants(pass, SCRY__HOOK_ATTN_SCORES);
    bool        pattern = scry__pass_wants(pass, SCRY__HOOK_PATTERN) || whole;
    scry_status status  = SCRY_OK;
    for (int i = 0; i < STATISTIC_COUNT && !status; i++) {
        int64_t shape[] = {pass->batch, all, statistics[i].extent == KEYS ? keys : queries};
        if (!scry__pass_wants(pass, statistics[i].hook)) continue;
        if (whole)
            return scry__fail(SCRY_UNSUPPORTED, "%s where scores or pattern are edited: expected it of other layers",
                              scry__hook_name(statistics[i].hook));
        status = scry__session_tensor(statistic(capture, i), pass->session, (scry__slot)(SCRY__SLOT_STATISTICS + i),
                                      statistics[i].dtype, 3, shape);
    }
    if (status || !(scores || pattern)) return status;
    if (pass->hooks->tile && !whole) pass->hooks->tile(pass->hooks->user, pass->layer, capture, &queries, &keys);
    int64_t shape[] = {pass->batch, scry__selected_heads(capture, all), queries, keys};
    if (scores) status = scry__session_tensor(&capture->scores, pass->session, SCRY__SLOT_SCORES, SCRY_F32, 4, shape);
    if (!status && pattern)
        status = scry__session_tensor(&capture->probabilities, pass->session, SCRY__SLOT_PATTERN, SCRY_F32, 4, shape);
    return status;
}

scry_attention scry__layer_attention(const scry__arch *arch, int layer)
{
    return (scry_attention){.scale   = (float)(arch->score_scale / (arch->scale_by_layer ? layer + 1 : 1)),
                            .softcap = (float)arch->score_softcap,
                            .mask    = {.causal = true, .window = arch->layers[layer].window}};
}

static scry_status attend(const scry__pass *pass, const struct heads *heads)
{
    scry_attention op    = scry__layer_attention(pass->arch, pass->layer);
    op.q                 = heads->q;
    op.k                 = heads->all_k;
    op.v                 = heads->all_v;
    op.out               = heads->z;
    op.mask.query_offset = pass->past;
    op.mask.additive     = pass->session->additive;
    scry_status status =
        pass->hooks && pass->hooks->mask ? pass->hooks->mask(pass->hooks->user, pass->layer, &op.mask) : SCRY_OK;
    if (!status) status = request_captures(pass, &op.capture);
    if (!status) status = scry__pass_run(pass, (scry_op){.kind = SCRY_OP_ATTENTION, .attention = op});
    if (!status) status = scry__pass_edit_pattern(pass, &op);
    for (int i = 0; i < STATISTIC_COUNT && !status; i++)
        status = scry__pass_offer(pass, statistics[i].hook, statistic(&op.capture, i));
    return status ? status : scry__pass_offer(pass, SCRY__HOOK_Z, &heads->z);
}

scry_status scry__pass_attention(const scry__pass *pass, scry_tensor *z)
{
    struct heads heads;
    scry_status  status = project(pass, &heads);
    if (!status) status = place_heads(pass, &heads);
    if (!status) status = attend(pass, &heads);
    if (!status) *z = flat_view(heads.z);
    return status;
}
