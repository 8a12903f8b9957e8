/* A diagnosis' passes with one thing changed: other tokens, scaled queries, keys cut; and what the model then predicts.
 */
#include "analysis/diagnose.h"
#include "base/alloc.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

struct changing {
    const scry__diagnosing *diagnosing;
    const scry__variant    *variant;
    scry_tensor             additive; /* of the cut */
};

/* Queries as attention reads them. */
static scry__hook query_hook(const scry_model *model)
{
    return scry__model_has_hook(model, SCRY__HOOK_ROT_Q) ? SCRY__HOOK_ROT_Q : SCRY__HOOK_Q;
}

static bool wants(void *user, scry__hook hook, int layer)
{
    const struct changing *changing = user;
    (void)layer;
    return changing->variant->query_factor != 0 && hook == query_hook(changing->diagnosing->model);
}

static scry_status scale(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    const struct changing *changing = user;
    scry_op                op       = {.kind = SCRY_OP_SCALE};
    (void)hook;
    (void)layer;
    op.scale = (scry_scale){.x = *value, .out = *value, .factor = changing->variant->query_factor};
    return scry_device_run(changing->diagnosing->model->device, &op);
}

static scry_status mask(void *user, int layer, scry_mask *out)
{
    const struct changing *changing = user;
    if (changing->additive.buffer) out->additive = changing->additive;
    bool is_prompt = !changing->variant->ids && !changing->additive.buffer;
    return is_prompt ? scry__diagnose_mask(changing->diagnosing, layer, out) : SCRY_OK;
}

/* Minus infinity where a query behind the cut looks into it: [1, H, T, T], every head the same. */
static scry_status make_cut(struct changing *changing, int count)
{
    const scry_range cut    = changing->variant->cut;
    int64_t          heads  = scry_model_get_info(changing->diagnosing->model)->head_count;
    size_t           bytes  = (size_t)count * (size_t)count * sizeof(float);
    float           *values = scry__alloc((size_t)count, (size_t)count * sizeof *values);
    scry_buffer     *buffer = NULL;
    if (!values) return SCRY_OUT_OF_MEMORY;
    for (int query = cut.end; query < count; query++)
        for (int key = cut.begin; key < cut.end; key++) values[(int64_t)query * count + key] = -INFINITY;
    scry_status status = scry_buffer_create(&buffer, changing->diagnosing->model->device, bytes);
    if (!status) status = scry_buffer_write(buffer, 0, values, bytes);
    scry__free(values);
    changing->additive           = scry_tensor_of(buffer, 0, SCRY_F32, 4, (int64_t[]){1, heads, count, count});
    changing->additive.stride[1] = 0;
    return status;
}

/* What the lens op leaves for each row, in one buffer. */
enum { LSE, ENTROPY, TARGET_LOGIT, TOP_LOGIT, KL, TOP_ID, COLUMN_COUNT };

static scry_tensor column(scry_buffer *buffer, int index, int64_t rows, scry_dtype dtype, int rank)
{
    return scry_tensor_of(buffer, (size_t)index * (size_t)rows * sizeof(float), dtype, rank, (int64_t[]){1, rows, 1});
}

static scry_status read_rows(float *out, scry_model *model, const scry_tensor *residual, const int32_t *ids,
                             const scry__prediction *reference)
{
    int64_t      rows = residual->shape[1], width = residual->shape[2];
    size_t       words  = (size_t)rows * sizeof(float);
    scry_buffer *buffer = NULL, *targets = NULL;
    scry_status  status = scry_buffer_create(&buffer, model->device, COLUMN_COUNT * words);
    if (!status) status = scry_buffer_create(&targets, model->device, words);
    if (!status) status = scry_buffer_write(targets, 0, ids, words);
    if (status) goto done;
    scry_op op           = {.kind = SCRY_OP_LENS, .lens = scry__model_lens_op(model)};
    op.lens.x            = *residual;
    op.lens.target       = scry_tensor_of(targets, 0, SCRY_I32, 1, &rows);
    op.lens.lse          = column(buffer, LSE, rows, SCRY_F32, 2);
    op.lens.entropy      = column(buffer, ENTROPY, rows, SCRY_F32, 2);
    op.lens.target_logit = column(buffer, TARGET_LOGIT, rows, SCRY_F32, 2);
    op.lens.top_logit    = column(buffer, TOP_LOGIT, rows, SCRY_F32, 3);
    op.lens.top_id       = column(buffer, TOP_ID, rows, SCRY_I32, 3);
    status               = scry_device_run(model->device, &op);
    if (!status && reference) { /* of the last row alone */
        op                = (scry_op){.kind = SCRY_OP_LENS, .lens = scry__model_lens_op(model)};
        op.lens.x         = scry_tensor_slice(*residual, 1, rows - 1, 1);
        op.lens.kl        = scry_tensor_slice(column(buffer, KL, rows, SCRY_F32, 2), 1, rows - 1, 1);
        op.lens.reference = scry_tensor_of(reference->last, 0, SCRY_F32, 2, (int64_t[]){1, width});
        status            = scry_device_run(model->device, &op);
    }
    if (!status) status = scry_buffer_read(buffer, 0, out, COLUMN_COUNT * words);
done:
    scry_buffer_destroy(&targets);
    scry_buffer_destroy(&buffer);
    return status;
}

/* The last row of the final stream outlives its session. */
static scry_status keep_last(scry__prediction *out, scry_device *device, const scry_tensor *residual)
{
    scry_op     op     = {.kind = SCRY_OP_COPY};
    int64_t     rows   = residual->shape[1];
    scry_status status = scry_buffer_create(&out->last, device, (size_t)residual->shape[2] * sizeof(float));
    if (status) return status;
    op.copy.x   = scry_tensor_slice(*residual, 1, rows - 1, 1);
    op.copy.out = scry_tensor_of(out->last, 0, SCRY_F32, 3, op.copy.x.shape);
    return scry_device_run(device, &op);
}

static scry_status read_prediction(scry__prediction *out, scry_model *model, const scry_tensor *residual,
                                   const int32_t *ids, const scry__prediction *reference, float *surprises)
{
    int         rows = (int)residual->shape[1], last = rows - 1;
    float      *columns = scry__alloc((size_t)rows, COLUMN_COUNT * sizeof *columns);
    int32_t    *targets = scry__alloc((size_t)rows, sizeof *targets); /* the last row's is any: it is not used */
    double      sum     = 0;
    scry_status status  = columns && targets ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (status) goto done;
    memcpy(targets, ids + 1, (size_t)last * sizeof *targets);
    status = read_rows(columns, model, residual, targets, reference);
    if (!status) status = keep_last(out, model->device, residual);
    if (status) goto done;
    for (int i = 0; i < last; i++) {
        double surprise = (double)columns[LSE * rows + i] - (double)columns[TARGET_LOGIT * rows + i];
        sum += surprise;
        if (surprises) surprises[i] = (float)surprise;
    }
    out->loss        = last ? sum / last : NAN;
    out->entropy     = (double)columns[ENTROPY * rows + last];
    out->probability = exp((double)columns[TOP_LOGIT * rows + last] - (double)columns[LSE * rows + last]);
    out->kl          = reference ? (double)columns[KL * rows + last] : NAN;
    memcpy(&out->top, &columns[TOP_ID * rows + last], sizeof out->top);
done:
    scry__free(targets);
    scry__free(columns);
    return status;
}

scry_status scry__predict(scry__prediction *out, const scry__diagnosing *diagnosing, const scry__variant *variant,
                          const scry__prediction *reference, float *surprises)
{
    const scry_tokens *tokens   = diagnosing->result->tokens;
    const int32_t     *ids      = variant->ids ? variant->ids : tokens->ids;
    int                count    = variant->ids ? variant->count : tokens->count;
    struct changing    changing = {.diagnosing = diagnosing, .variant = variant};
    const scry__hooks  hooks    = {.user = &changing, .wants = wants, .at = scale, .mask = mask};
    scry__session     *session  = NULL;
    scry_status        status   = SCRY_OK;
    *out                        = (scry__prediction){0};
    if (variant->cut.end > variant->cut.begin) status = make_cut(&changing, count);
    if (!status)
        status = scry__session_create(&session, diagnosing->model, &(scry__session_options){.capacity = count});
    if (!status) status = scry__session_forward(session, ids, count, &hooks);
    if (!status) {
        scry_tensor residual = scry__session_residual(session);
        status               = read_prediction(out, diagnosing->model, &residual, ids, reference, surprises);
    }
    scry__session_destroy(&session);
    scry_buffer_destroy(&changing.additive.buffer);
    if (status) scry__prediction_finish(out);
    return status;
}

void scry__prediction_finish(scry__prediction *prediction)
{
    scry_buffer_destroy(&prediction->last);
}

scry_status scry__diagnose_mask(const scry__diagnosing *diagnosing, int layer, scry_mask *mask)
{
    const scry_diagnose_options *options = diagnosing->options;
    int64_t                      count   = diagnosing->result->tokens->count;
    int64_t                      heads   = scry_model_get_info(diagnosing->model)->head_count;
    size_t                       size    = (size_t)options->mask_heads * (size_t)count * (size_t)count * sizeof(float);
    if (!diagnosing->mask) return SCRY_OK;
    mask->causal   = false;
    mask->window   = 0;
    mask->additive = scry_tensor_of(diagnosing->mask, options->mask_layers > 1 ? (size_t)layer * size : 0, SCRY_F32, 4,
                                    (int64_t[]){1, heads, count, count});
    if (options->mask_heads == 1) mask->additive.stride[1] = 0;
    return SCRY_OK;
}
