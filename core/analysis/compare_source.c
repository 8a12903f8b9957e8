/* Patterns of a model or of a file. See compare_source.h. */
#include "analysis/compare_source.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "scry/trace.h"

#include <stdio.h>
#include <string.h>

/* The prompt that stands in a file, its ids as texts where the file has none. */
static scry_status take_tokens(scry__pattern_source *source)
{
    scry__attention_file *file  = source->file;
    int                   count = file->token_count;
    if (!count) return SCRY_OK;
    scry_tokens *tokens = source->tokens = scry__alloc(1, sizeof *tokens);
    if (!tokens) return SCRY_OUT_OF_MEMORY;
    *tokens     = (scry_tokens){.count = count, .ids = file->ids, .texts = file->texts};
    file->ids   = NULL;
    file->texts = NULL;
    if (!tokens->texts && !(tokens->texts = scry__alloc((size_t)count, sizeof *tokens->texts)))
        return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++) {
        char digits[16];
        snprintf(digits, sizeof digits, "%d", tokens->ids[i]);
        if (!tokens->texts[i] && !(tokens->texts[i] = scry__strdup(digits))) return SCRY_OUT_OF_MEMORY;
    }
    return SCRY_OK;
}

static scry_status open_file(scry__pattern_source *source)
{
    scry_status status = scry__attention_file_open(&source->file, source->side->file);
    if (status) return status;
    source->layer_count = source->file->layer_count;
    source->head_count  = source->file->head_count;
    source->query_count = source->file->query_count;
    source->key_count   = source->file->key_count;
    return take_tokens(source);
}

scry_status scry__pattern_source_open(scry__pattern_source *source, const scry_compare_side *side)
{
    *source = (scry__pattern_source){.side = side};
    if (!side->model && !side->file)
        return scry__fail(SCRY_BAD_ARGUMENT, "a side of a comparison: expected a model or a file");
    if (!side->model) return open_file(source);
    const scry_model_info *info = scry_model_get_info(side->model);
    scry_status status = scry_tokens_create(&source->tokens, side->model, side->text, side->ids, side->id_count);
    if (status) return status;
    source->layer_count = info->layer_count;
    source->head_count  = info->head_count;
    source->query_count = source->key_count = source->tokens->count;
    return SCRY_OK;
}

void scry__pattern_source_close(scry__pattern_source *source)
{
    scry_tokens_destroy(&source->tokens);
    scry__attention_file_close(&source->file);
}

int scry__pattern_source_layer(const scry__pattern_source *source, int index)
{
    return source->file ? source->file->layers[index].layer : index;
}

struct handover {
    scry__pattern_sink sink;
    void              *user;
};

static scry_status hand_over(void *user, const scry_capture *capture)
{
    const struct handover *handover = user;
    return handover->sink(handover->user, capture->layer, capture->data);
}

static scry_status read_model(const scry__pattern_source *source, const int *layers, int count, int queries, int keys,
                              struct handover handover)
{
    scry_trace *trace = NULL;
    scry__text  list  = {0};
    for (int i = 0; i < count; i++) scry__text_addf(&list, "%s%d", i ? "," : "", layers[i]);
    scry_status status = list.status;
    if (!status)
        status = scry_trace_run(&trace, source->side->model, NULL,
                                &(scry_trace_options){.ids      = source->tokens->ids,
                                                      .id_count = source->tokens->count,
                                                      .hooks    = "blocks.*.attn.hook_pattern",
                                                      .layers   = list.data,
                                                      .queries  = {0, queries},
                                                      .keys     = {0, keys},
                                                      .sink     = hand_over,
                                                      .user     = &handover});
    scry_trace_destroy(&trace); /* the patterns went to the sink */
    scry__text_finish(&list);
    return status;
}

/* Moves the first `queries` rows and `keys` columns of each head together. */
static void cut(float *pattern, const scry__pattern_source *source, int queries, int keys)
{
    float *to = pattern;
    if (queries == source->query_count && keys == source->key_count) return;
    for (int head = 0; head < source->head_count; head++)
        for (int row = 0; row < queries; row++) {
            size_t from = ((size_t)head * (size_t)source->query_count + (size_t)row) * (size_t)source->key_count;
            memmove(to, pattern + from, (size_t)keys * sizeof *to);
            to += keys;
        }
}

static scry_status read_file(const scry__pattern_source *source, const int *layers, int count, int queries, int keys,
                             struct handover handover)
{
    size_t      size    = (size_t)source->head_count * (size_t)source->query_count * (size_t)source->key_count;
    float      *pattern = scry__alloc(size, sizeof *pattern);
    scry_status status  = pattern ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int i = 0, index = 0; i < count && !status; i++) {
        while (source->file->layers[index].layer != layers[i]) index++;
        status = scry__attention_file_read(source->file, index, pattern);
        if (status) break;
        cut(pattern, source, queries, keys);
        status = handover.sink(handover.user, layers[i], pattern);
    }
    scry__free(pattern);
    return status;
}

scry_status scry__pattern_source_read(const scry__pattern_source *source, const int *layers, int count, int queries,
                                      int keys, scry__pattern_sink sink, void *user)
{
    struct handover handover = {sink, user};
    return source->file ? read_file(source, layers, count, queries, keys, handover)
                        : read_model(source, layers, count, queries, keys, handover);
}
