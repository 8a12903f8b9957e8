/* Logit lens and tuned lens on text that neither was trained on. See scry/tune_lens.h. */
#include "analysis/tuned_lens.h"
#include "base/alloc.h"
#include "base/error.h"
#include "train/lens_batches.h"

/* What is read of each cell, in this order in one buffer: [layers, N] each. */
enum { LSE, ENTROPY, KL, TARGET, OUTPUT_COUNT };

struct reader {
    const scry_tuned_lens *tuned;
    scry__lens_batches     batches;
    int64_t                layers, rows; /* blocks + 1; N of a batch */
    scry_buffer           *translated, *targets, *outputs;
    float                 *host;
};

static scry_status make_room(struct reader *reader)
{
    scry_device *device = reader->batches.device;
    size_t       cells  = (size_t)reader->layers * (size_t)reader->rows;
    reader->host        = scry__alloc(cells, OUTPUT_COUNT * sizeof *reader->host);
    if (!reader->host) return SCRY_OUT_OF_MEMORY;
    scry_status status =
        scry_buffer_create(&reader->translated, device, cells * (size_t)reader->tuned->size * sizeof(float));
    if (!status) status = scry_buffer_create(&reader->targets, device, (size_t)reader->rows * sizeof(int32_t));
    if (!status) status = scry_buffer_create(&reader->outputs, device, cells * OUTPUT_COUNT * sizeof(float));
    return status;
}

static void release(struct reader *reader)
{
    scry__free(reader->host);
    scry_buffer_destroy(&reader->outputs);
    scry_buffer_destroy(&reader->targets);
    scry_buffer_destroy(&reader->translated);
    scry__lens_batches_close(&reader->batches);
}

static scry_tensor output_of(const struct reader *reader, int output)
{
    const int64_t shape[] = {reader->layers, reader->rows};
    return scry_tensor_of(reader->outputs, (size_t)(output * shape[0] * shape[1]) * sizeof(float), SCRY_F32, 2, shape);
}

/* Reads streams [layers, N, d], and adds what the first `counted` rows of each give to the sums by layer. */
static scry_status add_streams(const struct reader *reader, scry_lens_quality *sums, const scry_tensor *streams,
                               int64_t counted)
{
    size_t  cells        = (size_t)(reader->layers * reader->rows);
    scry_op op           = {.kind = SCRY_OP_LENS, .lens = scry__model_lens_op(reader->tuned->model)};
    op.lens.x            = *streams;
    op.lens.reference    = scry__lens_batches_layer(&reader->batches, (int)reader->layers - 1);
    op.lens.target       = scry_tensor_of(reader->targets, 0, SCRY_I32, 1, &reader->rows);
    op.lens.lse          = output_of(reader, LSE);
    op.lens.entropy      = output_of(reader, ENTROPY);
    op.lens.kl           = output_of(reader, KL);
    op.lens.target_logit = output_of(reader, TARGET);
    scry_status status   = scry_device_run(reader->batches.device, &op);
    if (!status) status = scry_buffer_read(reader->outputs, 0, reader->host, cells * OUTPUT_COUNT * sizeof(float));
    for (int64_t layer = 0; layer < reader->layers && !status; layer++) {
        const float *cell = reader->host + layer * reader->rows;
        for (int64_t row = 0; row < counted; row++, cell++) {
            sums[layer].cross_entropy += (double)cell[LSE * cells] - (double)cell[TARGET * cells];
            sums[layer].entropy += (double)cell[ENTROPY * cells];
            sums[layer].kl += (double)cell[KL * cells];
        }
    }
    return status;
}

/* Every layer's stream through its translator; the last has none. */
static scry_status translate(const struct reader *reader, scry_tensor *out)
{
    int         last   = (int)reader->layers - 1;
    scry_status status = SCRY_OK;
    *out               = scry_tensor_of(reader->translated, 0, SCRY_F32, 3, reader->batches.streams.shape);
    for (int layer = 0; layer <= last && !status; layer++) {
        const scry_tensor stream = scry__lens_batches_layer(&reader->batches, layer);
        const scry_tensor room   = scry_tensor_of(reader->translated, stream.offset, SCRY_F32, 2, stream.shape);
        scry_op           copy   = {.kind = SCRY_OP_COPY, .copy = {stream, room}};
        status                   = layer < last ? scry__tuned_lens_translate(reader->tuned, layer, &stream, &room)
                                                : scry_device_run(reader->batches.device, &copy);
    }
    return status;
}

static scry_status add_batch(struct reader *reader, scry_lens_evaluation *evaluation, int number, int64_t counted)
{
    scry_tensor translated;
    scry_status status = scry__lens_batches_evaluate(&reader->batches, number);
    if (!status)
        status = scry_buffer_write(reader->targets, 0, reader->batches.targets,
                                   (size_t)reader->rows * sizeof *reader->batches.targets);
    if (!status) status = translate(reader, &translated);
    if (!status) status = add_streams(reader, evaluation->logit, &reader->batches.streams, counted);
    if (!status) status = add_streams(reader, evaluation->tuned, &translated, counted);
    evaluation->tokens += counted;
    return status;
}

static scry_status report(const scry_tune_lens_options *options, int done, int total)
{
    const scry_tune_lens_progress now = {.step = done, .steps = total};
    if (!options->progress || options->progress(options->user, &now)) return SCRY_OK;
    return scry__fail(SCRY_STOPPED, "tuned lens: evaluation stopped behind batch %d of %d", done, total);
}

static scry_status add_batches(struct reader *reader, scry_lens_evaluation *evaluation)
{
    const scry_tune_lens_options *options = &reader->batches.options;
    int64_t                       rows    = scry__data_evaluation_rows(&reader->batches.data);
    int64_t                       batches = (rows + options->batch - 1) / options->batch;
    scry_status                   status  = SCRY_OK;
    if (batches > options->evaluation_batches) batches = options->evaluation_batches;
    for (int i = 0; i < batches && !status; i++) {
        int64_t left = rows - (int64_t)i * options->batch; /* then they would begin again */
        status = add_batch(reader, evaluation, i, (left < options->batch ? left : options->batch) * options->length);
        if (!status) status = report(options, i + 1, (int)batches);
    }
    return status;
}

static void divide(scry_lens_quality *sums, int layers, int64_t count)
{
    for (int layer = 0; layer < layers; layer++) {
        sums[layer].cross_entropy /= (double)count;
        sums[layer].entropy /= (double)count;
        sums[layer].kl /= (double)count;
    }
}

scry_status scry_tuned_lens_evaluate(scry_lens_evaluation **out, const scry_tuned_lens *tuned,
                                     const scry_tune_lens_options *options)
{
    struct reader         reader     = {.tuned = tuned, .layers = tuned->layer_count + 1};
    scry_lens_evaluation *evaluation = scry__alloc(1, sizeof *evaluation);
    *out                             = NULL;
    if (!evaluation) return SCRY_OUT_OF_MEMORY;
    evaluation->layer_count = (int)reader.layers;
    evaluation->logit       = scry__alloc((size_t)reader.layers, sizeof *evaluation->logit);
    evaluation->tuned       = scry__alloc((size_t)reader.layers, sizeof *evaluation->tuned);
    scry_status status      = evaluation->logit && evaluation->tuned ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__lens_batches_open(&reader.batches, tuned, options);
    if (!status) {
        reader.rows = reader.batches.streams.shape[1];
        status      = make_room(&reader);
        if (!status) status = add_batches(&reader, evaluation);
        release(&reader);
    }
    if (status) {
        scry_lens_evaluation_destroy(&evaluation);
        return status;
    }
    divide(evaluation->logit, evaluation->layer_count, evaluation->tokens);
    divide(evaluation->tuned, evaluation->layer_count, evaluation->tokens);
    *out = evaluation;
    return SCRY_OK;
}

void scry_lens_evaluation_destroy(scry_lens_evaluation **evaluation)
{
    if (!evaluation || !*evaluation) return;
    scry__free((*evaluation)->tuned);
    scry__free((*evaluation)->logit);
    scry__free(*evaluation);
    *evaluation = NULL;
}
