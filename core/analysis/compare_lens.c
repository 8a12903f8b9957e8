/* Predictions compared. See compare_lens.h.
 *
 * Two models have two unembeddings, so that the lens op, which holds one, cannot compare them: logits come to the host,
 * a few rows at a time, and are summed up there in double precision. */
#include "analysis/compare_lens.h"

#include "base/alloc.h"
#include "model/forward.h"
#include "scry/trace.h"

#include <math.h>
#include <stdio.h>

enum { CHUNK_LOGITS = 1 << 22 };

/* One model's residual streams, and its logits of a few rows at a time. */
struct reader {
    scry_model  *model;
    scry_trace  *trace;  /* one capture [T, d] per layer */
    scry_buffer *buffer; /* rows, normed rows, logits */
    float       *logits; /* [chunk, V] */
    int          chunk;  /* most rows at a time */
    int64_t      hidden, vocabulary;
};

static void reader_close(struct reader *reader)
{
    scry__free(reader->logits);
    scry_buffer_destroy(&reader->buffer);
    scry_trace_destroy(&reader->trace);
}

/* Runs the model; keeps the streams of all layers, or of the last alone. */
static scry_status reader_open(struct reader *reader, scry_model *model, const scry_tokens *tokens, int positions,
                               bool all_layers)
{
    const scry_model_info *info      = scry_model_get_info(model);
    int64_t                fitting   = CHUNK_LOGITS / info->vocabulary;
    char                   hooks[64] = "blocks.0.hook_resid_pre,blocks.*.hook_resid_post";
    *reader                          = (struct reader){.model      = model,
                                                       .chunk      = fitting < 1           ? 1
                                                                     : fitting < positions ? (int)fitting
                                                                                           : positions,
                                                       .hidden     = info->hidden_size,
                                                       .vocabulary = info->vocabulary};
    if (!all_layers) snprintf(hooks, sizeof hooks, "blocks.%d.hook_resid_post", info->layer_count - 1);
    const scry_trace_options options = {.ids = tokens->ids, .id_count = tokens->count, .hooks = hooks};
    size_t      bytes  = (size_t)reader->chunk * (size_t)(2 * reader->hidden + reader->vocabulary) * sizeof(float);
    scry_status status = scry_trace_run(&reader->trace, model, NULL, &options);
    if (!status) status = scry_buffer_create(&reader->buffer, scry_model_device(model), bytes);
    if (status) return status;
    reader->logits = scry__alloc((size_t)reader->chunk, (size_t)reader->vocabulary * sizeof *reader->logits);
    return reader->logits ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

/* Puts the logits of `count` rows of one stream into reader->logits. */
static scry_status read_logits(const struct reader *reader, int stream, int begin, int count)
{
    const float  *rows    = (const float *)reader->trace->captures[stream].data + (int64_t)begin * reader->hidden;
    const int64_t shape[] = {1, count, reader->hidden};
    const int64_t wide[]  = {1, count, reader->vocabulary};
    size_t        bytes   = (size_t)count * (size_t)reader->hidden * sizeof(float);
    scry_tensor   x       = scry_tensor_of(reader->buffer, 0, SCRY_F32, 3, shape);
    scry_tensor   normed  = scry_tensor_of(reader->buffer, bytes, SCRY_F32, 3, shape);
    scry_tensor   logits  = scry_tensor_of(reader->buffer, 2 * bytes, SCRY_F32, 3, wide);
    scry_status   status  = scry_buffer_write(reader->buffer, 0, rows, bytes);
    if (!status) status = scry__model_logits(reader->model, &x, &normed, &logits);
    if (status) return status;
    return scry_buffer_read(reader->buffer, logits.offset, reader->logits,
                            (size_t)count * (size_t)reader->vocabulary * sizeof *reader->logits);
}

/* What one row of logits says. */
struct row {
    const float *logits;
    double       lse, entropy;
    int64_t      top; /* the likeliest token, the lowest among equals */
};

static struct row row_of(const float *logits, int64_t vocabulary)
{
    struct row row = {.logits = logits};
    double     sum = 0, weighted = 0;
    for (int64_t v = 1; v < vocabulary; v++)
        if (logits[v] > logits[row.top]) row.top = v;
    double most = logits[row.top];
    for (int64_t v = 0; v < vocabulary; v++) {
        double above = logits[v] - most, share = exp(above);
        sum += share;
        if (share > 0) weighted += share * above;
    }
    row.lse     = most + log(sum);
    row.entropy = log(sum) - weighted / sum;
    return row;
}

static double divergence(const struct row *a, const struct row *b, int64_t vocabulary)
{
    double sum = 0;
    for (int64_t v = 0; v < vocabulary; v++) {
        double log_a = a->logits[v] - a->lse, share = exp(log_a);
        if (share > 0 || isnan(share)) sum += share * (log_a - (b->logits[v] - b->lse));
    }
    return sum > 0 || isnan(sum) ? sum : 0; /* rounding */
}

/* Sums over the positions of one layer. */
struct sums {
    double kl, kl_largest, entropy[2], loss[2];
    int    position, agreements;
};

static double loss_of(const struct row *row, const scry_tokens *tokens, int position)
{
    return row->lse - row->logits[tokens->ids[position + 1]];
}

/* One layer, of both sides' index-th streams. Losses by position are kept where `losses` is not NULL. */
static scry_status compare_stream(struct sums *sums, const scry_compare *compare, const struct reader readers[2],
                                  int stream, int positions, float *const *losses)
{
    int64_t vocabulary = readers[0].vocabulary;
    for (int begin = 0; begin < positions; begin += readers[0].chunk) {
        int         count  = positions - begin < readers[0].chunk ? positions - begin : readers[0].chunk;
        scry_status status = SCRY_OK;
        for (int side = 0; side < 2 && !status; side++) status = read_logits(&readers[side], stream, begin, count);
        if (status) return status;
        for (int i = 0; i < count; i++) {
            struct row rows[2];
            for (int side = 0; side < 2; side++) {
                rows[side] = row_of(readers[side].logits + (size_t)i * (size_t)vocabulary, vocabulary);
                sums->entropy[side] += rows[side].entropy;
                if (begin + i + 1 == positions) continue;
                double loss = loss_of(&rows[side], compare->tokens[side], begin + i);
                sums->loss[side] += loss;
                if (losses) losses[side][begin + i] = (float)loss;
            }
            double kl = divergence(&rows[0], &rows[1], vocabulary);
            sums->kl += kl;
            sums->agreements += rows[0].top == rows[1].top;
            if (!(kl > sums->kl_largest)) continue;
            sums->kl_largest = kl;
            sums->position   = begin + i;
        }
    }
    return SCRY_OK;
}

static float mean_of(double sum, int count)
{
    return count ? (float)(sum / count) : NAN;
}

static scry_compare_layer layer_of(const struct sums *sums, int positions)
{
    scry_compare_layer layer = {.kl         = mean_of(sums->kl, positions),
                                .kl_largest = sums->kl_largest < 0 ? NAN : (float)sums->kl_largest,
                                .position   = sums->position,
                                .agreement  = mean_of(sums->agreements, positions)};
    for (int side = 0; side < 2; side++) {
        layer.entropy[side] = mean_of(sums->entropy[side], positions);
        layer.loss[side]    = mean_of(sums->loss[side], positions - 1);
    }
    return layer;
}

scry_status scry__compare_lens(scry_compare *compare, scry_model *const models[2], int positions, bool with_lens)
{
    struct reader      readers[2] = {0};
    scry_compare_layer line       = {0};
    scry_status        status     = SCRY_OK;
    for (int side = 0; side < 2 && !status; side++) {
        compare->losses[side] = scry__alloc((size_t)positions, sizeof *compare->losses[side]);
        status                = compare->losses[side] ? SCRY_OK : SCRY_OUT_OF_MEMORY;
        if (!status) status = reader_open(&readers[side], models[side], compare->tokens[side], positions, with_lens);
    }
    int layers = status ? 0 : readers[0].trace->count;
    if (!status && with_lens && !(compare->lens = scry__alloc((size_t)layers, sizeof *compare->lens)))
        status = SCRY_OUT_OF_MEMORY;
    for (int layer = 0; layer < layers && !status; layer++) {
        struct sums   sums   = {.kl_largest = -1};
        float *const *losses = layer == layers - 1 ? compare->losses : NULL;
        status               = compare_stream(&sums, compare, readers, layer, positions, losses);
        line                 = layer_of(&sums, positions);
        if (with_lens) compare->lens[layer] = line;
    }
    if (!status) {
        compare->lens_count = with_lens ? layers : 0;
        compare->loss_count = positions - 1;
        for (int side = 0; side < 2; side++) compare->loss[side] = line.loss[side];
    }
    for (int side = 0; side < 2; side++) reader_close(&readers[side]);
    return status;
}

scry_status scry__prompt_loss(float *loss, scry_model *model, const scry_tokens *tokens)
{
    struct reader reader = {0};
    double        sum    = 0;
    int           count  = tokens->count - 1;
    scry_status   status = reader_open(&reader, model, tokens, tokens->count, false);
    for (int begin = 0; begin < count && !status; begin += reader.chunk) {
        int rows = count - begin < reader.chunk ? count - begin : reader.chunk;
        status   = read_logits(&reader, 0, begin, rows);
        for (int i = 0; i < rows && !status; i++) {
            struct row row = row_of(reader.logits + (size_t)i * (size_t)reader.vocabulary, reader.vocabulary);
            sum += loss_of(&row, tokens, begin + i);
        }
    }
    *loss = mean_of(sum, count);
    reader_close(&reader);
    return status;
}
