/* Where a prompt's attention looked. See look.h. */
#include "analysis/look.h"

#include "analysis/rollout.h"
#include "base/alloc.h"
#include "model/session.h"
#include "trace/read.h"

#include <string.h>

/* Of patterns at a time, [heads, rows, keys]. */
enum { PATTERN_BUDGET = 64 << 20 };

scry_status scry__look_create(scry__look *look, const scry_model_info *info, int key_count, bool means)
{
    size_t heads = (size_t)info->layer_count * (size_t)info->head_count;
    *look = (scry__look){.layer_count = info->layer_count, .head_count = info->head_count, .key_count = key_count};
    look->received = scry__alloc(heads * (size_t)key_count, sizeof *look->received);
    if (means)
        look->means = scry__alloc((size_t)info->layer_count, scry__triangle_row(key_count) * sizeof *look->means);
    return look->received && (look->means || !means) ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

void scry__look_finish(scry__look *look)
{
    scry__free(look->means);
    scry__free(look->received);
    *look = (scry__look){0};
}

scry_status scry__look_session(scry__session **out, scry_model *model, int key_count)
{
    double row  = 4.0 * scry_model_get_info(model)->head_count * key_count;
    int    most = row < PATTERN_BUDGET ? (int)(PATTERN_BUDGET / row) : 1;
    return scry__session_create(out, model,
                                &(scry__session_options){.capacity   = key_count,
                                                         .rows       = most < key_count ? most : key_count,
                                                         .keep_cache = true});
}

/* One pass under way: of the prompt, or of a piece of it. */
struct piece {
    scry__look *look;
    float      *scratch; /* a capture on its way, where the device's memory is its own */
    size_t      scratch_bytes;
    int         begin; /* position of its first row */
};

static bool wants(void *user, scry__hook hook, int layer)
{
    (void)user, (void)layer;
    return hook == SCRY__HOOK_PATTERN || hook == SCRY__HOOK_STAT_RECEIVED;
}

/* pattern [head, row, key], keys up to the piece's last row. */
static void take_pattern(const struct piece *piece, int layer, const float *pattern, int rows, int keys)
{
    const scry__look *look = piece->look;
    for (int head = 0; head < look->head_count; head++) {
        const float *own = pattern + (size_t)head * (size_t)rows * (size_t)keys;
        for (int row = 0; look->means && row < rows; row++) {
            size_t at   = (size_t)layer * scry__triangle_row(look->key_count) + scry__triangle_row(piece->begin + row);
            float *mean = look->means + at;
            for (int key = 0; key <= piece->begin + row; key++)
                mean[key] += own[(size_t)row * (size_t)keys + (size_t)key] / (float)look->head_count;
        }
        if (keys < look->key_count) continue;
        memcpy(look->weights + ((size_t)layer * (size_t)look->head_count + (size_t)head) * (size_t)keys,
               own + (size_t)(rows - 1) * (size_t)keys, (size_t)keys * sizeof *own);
    }
}

static void take_received(const struct piece *piece, int layer, const float *received, int keys)
{
    const scry__look *look = piece->look;
    for (int head = 0; head < look->head_count; head++) {
        double *sum =
            look->received + ((size_t)layer * (size_t)look->head_count + (size_t)head) * (size_t)look->key_count;
        for (int key = 0; key < keys; key++) sum[key] += (double)received[(size_t)head * (size_t)keys + (size_t)key];
    }
}

static scry_status at_hook(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    struct piece *piece  = user;
    void         *values = NULL;
    scry_status   status = scry__tensor_on_host(&values, value);
    if (!status && !values) {
        if (!piece->scratch) piece->scratch = scry__alloc_aligned(piece->scratch_bytes);
        if (!piece->scratch) return SCRY_OUT_OF_MEMORY;
        values = piece->scratch;
        status = scry__read_tensor(value, values);
    }
    if (status) return status;
    if (hook == SCRY__HOOK_PATTERN)
        take_pattern(piece, layer, values, (int)value->shape[2], (int)value->shape[3]);
    else
        take_received(piece, layer, values, (int)value->shape[2]);
    return SCRY_OK;
}

/* Where no means are wanted, of each piece the last row alone. */
static void last_row(void *user, int layer, scry_attention_capture *capture, int64_t *queries, int64_t *keys)
{
    (void)user, (void)layer, (void)keys;
    capture->query_begin = *queries - 1;
    *queries             = 1;
}

scry_status scry__look_run(scry__look *look, scry__session *session, const int32_t *ids)
{
    int               most   = session->options.rows;
    struct piece      piece  = {.look = look,
                                .scratch_bytes =
                                    (size_t)look->head_count * (size_t)most * (size_t)look->key_count * sizeof(float)};
    const scry__hooks hooks  = {.user = &piece, .wants = wants, .at = at_hook, .tile = look->means ? NULL : last_row};
    scry_status       status = SCRY_OK;
    for (; !status && piece.begin < look->key_count; piece.begin += most) {
        int rest = look->key_count - piece.begin;
        status   = scry__session_forward(session, ids + piece.begin, rest < most ? rest : most, &hooks);
    }
    scry__free_aligned(piece.scratch);
    return status;
}
