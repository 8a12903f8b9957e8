/* K-composition of heads. See composition.h.
 *
 * No d x d matrix is made. With C = O K, [D, D], and the Gram matrices of V, Q, K and O^T, all [D, D],
 *     |V O K Q^T|^2 = tr(V^T V C Q^T Q C^T),   |V O|^2 = tr(V^T V O O^T),   |K Q^T|^2 = tr(K^T K Q^T Q). */
#include "analysis/composition.h"

#include "analysis/folded.h"
#include "base/alloc.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

/* --- products on the device --- */

static scry_status upload(scry_buffer **buffer, scry_device *device, const scry__matrix *matrix)
{
    size_t      bytes  = (size_t)matrix->rows * (size_t)matrix->columns * sizeof(float);
    scry_status status = scry_buffer_create(buffer, device, bytes);
    return status ? status : scry_buffer_write(*buffer, 0, matrix->values, bytes);
}

/* out = a b, contiguous. */
static scry_status multiply(float *out, scry_device *device, const scry_tensor *a, const scry_tensor *b)
{
    int          last    = a->rank - 1;
    scry_buffer *buffer  = NULL;
    int64_t      shape[] = {a->shape[0], a->shape[1], b->shape[last]};
    scry_op      op      = {.kind = SCRY_OP_MATMUL, .matmul = {.a = *a, .b = *b, .alpha = 1}};
    if (last == 1) shape[1] = b->shape[last];
    size_t bytes = sizeof *out;
    for (int axis = 0; axis <= last; axis++) bytes *= (size_t)shape[axis];
    scry_status status = scry_buffer_create(&buffer, device, bytes);
    if (!status) {
        op.matmul.c = scry_tensor_of(buffer, 0, SCRY_F32, a->rank, shape);
        status      = scry_device_run(device, &op);
    }
    if (!status) status = scry_buffer_read(buffer, 0, out, bytes);
    scry_buffer_destroy(&buffer);
    return status;
}

/* Gram matrices [heads, D, D] of the heads that lie side by side in the columns of `matrix`, or one after the other in
 * its rows. */
static scry_status grams(float *out, scry_device *device, const scry__matrix *matrix, int heads, bool in_rows)
{
    scry_buffer *buffer = NULL;
    scry_status  status = upload(&buffer, device, matrix);
    int64_t      size   = (in_rows ? matrix->rows : matrix->columns) / heads;
    int64_t      across = in_rows ? matrix->columns : matrix->rows;
    scry_tensor  tall   = scry_tensor_of(buffer, 0, SCRY_F32, 3, (int64_t[]){heads, across, size});
    tall.stride[0]      = in_rows ? size * across : size;
    tall.stride[1]      = in_rows ? 1 : matrix->columns;
    tall.stride[2]      = in_rows ? across : 1;
    scry_tensor wide    = scry_tensor_swap(tall, 1, 2);
    if (!status) status = multiply(out, device, &wide, &tall);
    scry_buffer_destroy(&buffer);
    return status;
}

/* --- readers and writers --- */

/* What is kept of the readers: keys side by side, and what their queries and their scores' norm come to. */
struct readers {
    const scry__head_place *places;
    int                     count;
    int                     size;  /* D */
    scry__matrix            keys;  /* [d, count * D] */
    float                  *grams; /* [count, D, D]: Q^T Q */
    double                 *norms; /* [count]: |K Q^T| */
};

/* tr(A B^T) of two matrices of so many entries: the trace of A B where B is symmetric. */
static double inner(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* One reader's keys into their columns, its grams and its norm. */
static scry_status add_reader(struct readers *readers, const scry_model *model, int index, const scry__matrix *queries,
                              const scry__matrix *keys)
{
    const scry__head_place *place = &readers->places[index];
    int                     size = readers->size, group = (int)(model->arch.head_count / model->arch.kv_head_count);
    size_t                  square   = (size_t)size * (size_t)size;
    scry__matrix            one      = {0};
    float                  *key_gram = scry__alloc(square, sizeof *key_gram);
    float                  *gram     = readers->grams + (size_t)index * square;
    scry_status             status   = key_gram ? scry__matrix_create(&one, keys->rows, size) : SCRY_OUT_OF_MEMORY;
    for (int row = 0; !status && row < keys->rows; row++)
        memcpy(one.values + row * size, queries->values + row * queries->columns + place->head * size,
               (size_t)size * sizeof(float));
    if (!status) status = grams(gram, model->device, &one, 1, false);
    for (int row = 0; !status && row < keys->rows; row++) {
        const float *from = keys->values + row * keys->columns + place->head / group * size;
        memcpy(one.values + row * size, from, (size_t)size * sizeof(float));
        memcpy(readers->keys.values + row * readers->keys.columns + index * size, from, (size_t)size * sizeof(float));
    }
    if (!status) status = grams(key_gram, model->device, &one, 1, false);
    if (!status) readers->norms[index] = sqrt(inner(key_gram, gram, square));
    scry__matrix_finish(&one);
    scry__free(key_gram);
    return status;
}

static scry_status read_layer_readers(struct readers *readers, const scry_model *model, int layer)
{
    scry__matrix queries = {0}, keys = {0};
    scry_status  status = SCRY_OK;
    for (int i = 0; i < readers->count && !status; i++) {
        if (readers->places[i].layer != layer) continue;
        if (!queries.values) {
            status = scry__folded_part(&queries, model, layer, SCRY__PART_Q);
            if (!status) status = scry__folded_part(&keys, model, layer, SCRY__PART_K);
        }
        if (!status) status = add_reader(readers, model, i, &queries, &keys);
    }
    scry__matrix_finish(&queries);
    scry__matrix_finish(&keys);
    return status;
}

static scry_status readers_create(struct readers *readers, const scry_model *model, const scry__head_place *places,
                                  int count)
{
    const scry__arch *arch = &model->arch;
    *readers               = (struct readers){.places = places, .count = count, .size = (int)arch->head_size};
    size_t      square     = (size_t)arch->head_size * (size_t)arch->head_size;
    scry_status status     = scry__matrix_create(&readers->keys, arch->hidden_size, (int64_t)count * arch->head_size);
    readers->grams         = scry__alloc((size_t)count, square * sizeof *readers->grams);
    readers->norms         = scry__alloc((size_t)count, sizeof *readers->norms);
    if (!status && !(readers->grams && readers->norms)) status = SCRY_OUT_OF_MEMORY;
    for (int layer = 0; layer < arch->layer_count && !status; layer++)
        status = read_layer_readers(readers, model, layer);
    return status;
}

static void readers_finish(struct readers *readers)
{
    scry__matrix_finish(&readers->keys);
    scry__free(readers->grams);
    scry__free(readers->norms);
}

/* One layer's writers. */
struct writers {
    float *value_grams;  /* [G, D, D]: V^T V */
    float *output_grams; /* [H, D, D]: O O^T */
    float *crossed;      /* [H * D, readers * D]: O K of every pair */
};

static scry_status writers_fill(struct writers *writers, const scry_model *model, int layer, scry_buffer *keys,
                                const struct readers *readers)
{
    const scry__arch *arch   = &model->arch;
    scry__matrix      values = {0}, output = {0};
    scry_buffer      *buffer = NULL;
    scry_status       status = scry__folded_part(&values, model, layer, SCRY__PART_V);
    if (!status) status = scry__folded_output(&output, model, layer);
    if (!status) status = grams(writers->value_grams, model->device, &values, (int)arch->kv_head_count, false);
    if (!status) status = grams(writers->output_grams, model->device, &output, (int)arch->head_count, true);
    if (!status) status = upload(&buffer, model->device, &output);
    if (!status) {
        scry_tensor a = scry_tensor_of(buffer, 0, SCRY_F32, 2, (int64_t[]){output.rows, output.columns});
        scry_tensor b = scry_tensor_of(keys, 0, SCRY_F32, 2, (int64_t[]){readers->keys.rows, readers->keys.columns});
        status        = multiply(writers->crossed, model->device, &a, &b);
    }
    scry_buffer_destroy(&buffer);
    scry__matrix_finish(&values);
    scry__matrix_finish(&output);
    return status;
}

/* tr(V^T V C Q^T Q C^T) = the inner product of V^T V C and C Q^T Q. `scratch` is [2, D, D]. */
static double compose(const float *value_gram, const float *crossed, int64_t stride, const float *query_gram, int size,
                      float *scratch)
{
    float *left = scratch, *right = scratch + size * size;
    memset(scratch, 0, 2 * (size_t)size * (size_t)size * sizeof *scratch);
    for (int i = 0; i < size; i++)
        for (int k = 0; k < size; k++) {
            float value = value_gram[i * size + k], cross = crossed[i * stride + k];
            for (int j = 0; j < size; j++) {
                left[i * size + j] += value * crossed[k * stride + j];
                right[i * size + j] += cross * query_gram[k * size + j];
            }
        }
    return inner(left, right, (size_t)size * (size_t)size);
}

static void compose_layer(float *out, const scry_model *model, int layer, const struct writers *writers,
                          const struct readers *readers, float *scratch)
{
    const scry__arch *arch = &model->arch;
    int               size = readers->size, group = (int)(arch->head_count / arch->kv_head_count);
    size_t            square = (size_t)size * (size_t)size;
    int64_t           stride = (int64_t)readers->count * size;
    for (int head = 0; head < arch->head_count; head++) {
        const float *value_gram = writers->value_grams + (size_t)(head / group) * square;
        double       norm       = sqrt(inner(value_gram, writers->output_grams + (size_t)head * square, square));
        for (int i = 0; i < readers->count; i++) {
            if (readers->places[i].layer <= layer) continue;
            const float *crossed = writers->crossed + (int64_t)head * size * stride + (int64_t)i * size;
            double       both =
                sqrt(fmax(compose(value_gram, crossed, stride, readers->grams + (size_t)i * square, size, scratch), 0));
            out[(i * arch->layer_count + layer) * arch->head_count + head] = (float)(both / (norm * readers->norms[i]));
        }
    }
}

/* --- the calls --- */

scry_status scry__k_composition(float *out, scry_model *model, const scry__head_place *places, int reader_count)
{
    const scry__arch *arch    = &model->arch;
    size_t            square  = (size_t)arch->head_size * (size_t)arch->head_size;
    struct readers    readers = {0};
    struct writers    writers = {0};
    scry_buffer      *keys    = NULL;
    float            *scratch = NULL;
    int               last    = 0; /* the deepest reader's layer: writers stand before it */
    scry_status       status;
    for (int64_t i = 0; i < reader_count * arch->layer_count * arch->head_count; i++) out[i] = NAN;
    for (int i = 0; i < reader_count; i++) last = places[i].layer > last ? places[i].layer : last;
    if (!last) return SCRY_OK;
    status               = readers_create(&readers, model, places, reader_count);
    writers.value_grams  = scry__alloc((size_t)arch->kv_head_count, square * sizeof(float));
    writers.output_grams = scry__alloc((size_t)arch->head_count, square * sizeof(float));
    writers.crossed      = scry__alloc((size_t)(arch->head_count * reader_count), square * sizeof(float));
    scratch              = scry__alloc(2, square * sizeof *scratch);
    if (!status && !(writers.value_grams && writers.output_grams && writers.crossed && scratch))
        status = SCRY_OUT_OF_MEMORY;
    if (!status) status = upload(&keys, model->device, &readers.keys);
    for (int layer = 0; layer < last && !status; layer++) {
        status = writers_fill(&writers, model, layer, keys, &readers);
        if (!status) compose_layer(out, model, layer, &writers, &readers, scratch);
    }
    scry_buffer_destroy(&keys);
    scry__free(scratch);
    scry__free(writers.crossed);
    scry__free(writers.output_grams);
    scry__free(writers.value_grams);
    readers_finish(&readers);
    return status;
}

double scry__k_composition_null(const scry_model *model)
{
    int64_t directions = model->arch.hidden_size - (model->arch.norm == SCRY_NORM_LAYER);
    return 1 / sqrt((double)(directions > 0 ? directions : 1));
}
