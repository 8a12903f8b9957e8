/* Reading sweeps' runs: predictions at the position, losses over the prompt. See sweep.h.
 *
 * Log-sum-exp, entropy and KL need the whole vocabulary: one lens op over one row a sequence. The targets' logits are
 * those of a vocabulary of these tokens alone, so that each costs a row of the unembedding, not all of it again. */
#include "analysis/sweep.h"
#include "base/alloc.h"
#include "model/model.h"

#include <math.h>

/* Where each output begins, in floats: the first three are [most], then [most, targets] and twice [most, rows]. */
enum output { LSE, ENTROPY, KL, LOGITS, ROW_LOGITS, ROW_LSE, OUTPUTS };

static size_t place(const scry__readout *readout, enum output output)
{
    size_t most = (size_t)readout->most, targets = (size_t)readout->target_count, rows = (size_t)readout->row_count;
    size_t singles = output < LOGITS ? output : LOGITS;
    return most * (singles + (output > LOGITS ? targets : 0) + (output > ROW_LOGITS ? rows : 0) +
                   (output > ROW_LSE ? rows : 0));
}

static scry_tensor output_of(const scry__readout *readout, enum output output, int64_t sequences, int64_t columns)
{
    const int64_t shape[] = {sequences, columns};
    return scry_tensor_of(readout->outputs, place(readout, output) * sizeof(float), SCRY_F32, 2, shape);
}

/* --- what it holds --- */

static scry_status upload_ids(scry_buffer **out, const scry__readout *readout, const int32_t *ids, int count)
{
    scry_status status = scry_buffer_create(out, scry_model_device(readout->model), (size_t)count * sizeof *ids);
    return status ? status : scry_buffer_write(*out, 0, ids, (size_t)count * sizeof *ids);
}

/* Copies one row of a weight, as f32, to row `index` of a table of such rows. */
static scry_status pick_row(const scry__readout *readout, const scry_tensor *weight, int32_t id, scry_buffer *table,
                            int index)
{
    scry_op op     = {.kind = SCRY_OP_COPY};
    op.copy.x      = scry_tensor_slice(*weight, 0, id, 1);
    size_t columns = (size_t)scry_tensor_count(&op.copy.x);
    op.copy.out =
        scry_tensor_of(table, (size_t)index * columns * sizeof(float), SCRY_F32, op.copy.x.rank, op.copy.x.shape);
    return scry_device_run(scry_model_device(readout->model), &op);
}

static scry_status pick_targets(scry__readout *readout, const scry__readout_options *options)
{
    const scry_lens_op lens   = scry__model_lens_op(readout->model);
    scry_device       *device = scry_model_device(readout->model);
    size_t             count = (size_t)options->target_count, d = (size_t)lens.unembedding.shape[1];
    int32_t            indices[SCRY_SWEEP_MOST_TARGETS];
    scry_status        status = scry_buffer_create(&readout->table, device, count * d * sizeof(float));
    if (!status && lens.bias.buffer) status = scry_buffer_create(&readout->biases, device, count * sizeof(float));
    for (int i = 0; i < options->target_count && !status; i++) {
        indices[i] = i;
        status     = pick_row(readout, &lens.unembedding, options->targets[i], readout->table, i);
        if (!status && lens.bias.buffer)
            status = pick_row(readout, &lens.bias, options->targets[i], readout->biases, i);
    }
    return status ? status : upload_ids(&readout->indices, readout, indices, options->target_count);
}

scry_status scry__readout_create(scry__readout *readout, scry_model *model, const scry__readout_options *options)
{
    scry_device *device = scry_model_device(model);
    size_t       hidden = (size_t)scry_model_get_info(model)->hidden_size;
    *readout            = (scry__readout){.model        = model,
                                          .most         = options->most,
                                          .target_count = options->target_count,
                                          .position     = options->position,
                                          .row_count    = options->ids ? options->id_count - 1 : 0};
    size_t      rows = (size_t)readout->row_count, outputs = place(readout, OUTPUTS);
    scry_status status  = SCRY_OK;
    readout->host       = scry__alloc(outputs, sizeof *readout->host);
    readout->row_losses = scry__alloc(rows, sizeof *readout->row_losses);
    if (!readout->host || !readout->row_losses) status = SCRY_OUT_OF_MEMORY;
    if (!status) status = scry_buffer_create(&readout->reference, device, hidden * sizeof(float));
    if (!status) status = scry_buffer_create(&readout->outputs, device, outputs * sizeof(float));
    if (!status && options->target_count) status = pick_targets(readout, options);
    if (!status && rows) status = upload_ids(&readout->next, readout, options->ids + 1, readout->row_count);
    if (status) scry__readout_finish(readout);
    return status;
}

void scry__readout_finish(scry__readout *readout)
{
    scry_buffer_destroy(&readout->outputs);
    scry_buffer_destroy(&readout->next);
    scry_buffer_destroy(&readout->indices);
    scry_buffer_destroy(&readout->biases);
    scry_buffer_destroy(&readout->table);
    scry_buffer_destroy(&readout->reference);
    scry__free(readout->row_losses);
    scry__free(readout->host);
    *readout = (scry__readout){0};
}

/* --- reading --- */

static scry_tensor reference_row(const scry__readout *readout)
{
    const int64_t shape[] = {1, scry_model_get_info(readout->model)->hidden_size};
    return scry_tensor_of(readout->reference, 0, SCRY_F32, 2, shape);
}

scry_status scry__readout_refer(scry__readout *readout, const scry_tensor *stream, int row)
{
    scry_op           op   = {.kind = SCRY_OP_COPY};
    const scry_tensor rows = scry_tensor_slice(*stream, 1, row, 1);
    op.copy.x              = rows;
    op.copy.out            = scry_tensor_of(readout->reference, 0, SCRY_F32, 3, rows.shape);
    return scry_device_run(scry_model_device(readout->model), &op);
}

/* The distribution of one row a sequence: [n, 1, d]. */
static scry_status read_row(const scry__readout *readout, const scry_tensor *row)
{
    scry_op op        = {.kind = SCRY_OP_LENS, .lens = scry__model_lens_op(readout->model)};
    op.lens.x         = *row;
    op.lens.reference = reference_row(readout);
    op.lens.lse       = output_of(readout, LSE, row->shape[0], 1);
    op.lens.entropy   = output_of(readout, ENTROPY, row->shape[0], 1);
    op.lens.kl        = output_of(readout, KL, row->shape[0], 1);
    return scry_device_run(scry_model_device(readout->model), &op);
}

/* The same row once for each target. */
static scry_status read_targets(const scry__readout *readout, const scry_tensor *row)
{
    const int64_t count   = readout->target_count;
    const int64_t table[] = {count, row->shape[2]};
    scry_op       op      = {.kind = SCRY_OP_LENS, .lens = scry__model_lens_op(readout->model)};
    if (!count) return SCRY_OK;
    op.lens.x            = *row;
    op.lens.x.shape[1]   = count;
    op.lens.x.stride[1]  = 0;
    op.lens.unembedding  = scry_tensor_of(readout->table, 0, SCRY_F32, 2, table);
    op.lens.target       = scry_tensor_of(readout->indices, 0, SCRY_I32, 1, &count);
    op.lens.target_logit = output_of(readout, LOGITS, row->shape[0], count);
    if (readout->biases) op.lens.bias = scry_tensor_of(readout->biases, 0, SCRY_F32, 1, &count);
    return scry_device_run(scry_model_device(readout->model), &op);
}

/* Next tokens, from position `first` on. */
static scry_status read_losses(const scry__readout *readout, const scry_tensor *streams, int first)
{
    const int64_t rows = readout->row_count, count = rows - first;
    scry_op       op = {.kind = SCRY_OP_LENS, .lens = scry__model_lens_op(readout->model)};
    if (count <= 0) return SCRY_OK;
    op.lens.x            = scry_tensor_slice(*streams, 1, 0, count);
    op.lens.target       = scry_tensor_slice(scry_tensor_of(readout->next, 0, SCRY_I32, 1, &rows), 0, first, count);
    op.lens.target_logit = output_of(readout, ROW_LOGITS, streams->shape[0], count);
    op.lens.lse          = output_of(readout, ROW_LSE, streams->shape[0], count);
    return scry_device_run(scry_model_device(readout->model), &op);
}

/* Mean loss of a sequence: the baseline's rows before `first`, its own from there on. */
static float loss_of(const scry__readout *readout, int64_t sequence, int first)
{
    int64_t      count  = readout->row_count > first ? readout->row_count - first : 0;
    const float *logits = readout->host + place(readout, ROW_LOGITS) + sequence * count;
    const float *lse    = readout->host + place(readout, ROW_LSE) + sequence * count;
    double       sum    = 0.0;
    if (!readout->row_count) return NAN;
    for (int row = 0; row < readout->row_count; row++)
        sum += row < first ? (double)readout->row_losses[row] : (double)(lse[row - first] - logits[row - first]);
    return (float)(sum / readout->row_count);
}

static void keep_losses(const scry__readout *readout)
{
    const float *logits = readout->host + place(readout, ROW_LOGITS), *lse = readout->host + place(readout, ROW_LSE);
    for (int row = 0; row < readout->row_count; row++) readout->row_losses[row] = lse[row] - logits[row];
}

static void take_prediction(const scry__readout *readout, size_t sequence, scry_outcome *outcome)
{
    size_t targets   = (size_t)readout->target_count;
    outcome->lse     = readout->host[place(readout, LSE) + sequence];
    outcome->entropy = readout->host[place(readout, ENTROPY) + sequence];
    outcome->kl      = readout->host[place(readout, KL) + sequence];
    for (size_t i = 0; i < SCRY_SWEEP_MOST_TARGETS; i++)
        outcome->logits[i] = i < targets ? readout->host[place(readout, LOGITS) + sequence * targets + i] : NAN;
}

scry_status scry__readout_read(scry__readout *readout, const scry_tensor *streams, int first, bool baseline,
                               scry_outcome *outcomes)
{
    bool        predicts = readout->position >= first;
    scry_status status   = SCRY_OK;
    if (predicts) {
        const scry_tensor row = scry_tensor_slice(*streams, 1, readout->position - first, 1);
        status                = read_row(readout, &row);
        if (!status) status = read_targets(readout, &row);
    }
    if (!status) status = read_losses(readout, streams, first);
    if (!status) status = scry_buffer_read(readout->outputs, 0, readout->host, place(readout, OUTPUTS) * sizeof(float));
    if (status) return status;
    if (baseline) keep_losses(readout);
    for (int64_t i = 0; i < streams->shape[0]; i++) {
        if (predicts) take_prediction(readout, (size_t)i, &outcomes[i]);
        outcomes[i].loss = loss_of(readout, i, first);
    }
    return SCRY_OK;
}
