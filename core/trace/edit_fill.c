/* Edits' values from other prompts: means over them, or another prompt's own. See scry/edit.h. */
#include "trace/edit.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"
#include "base/text.h"

#include <string.h>

/* What is gathered for one edit: the values of as many rows as the result has, summed over what it is the mean of. */
struct sum {
    double *values;
    int     rows, heads, columns;
    bool    by_head;
    double  terms; /* in each value */
};

static size_t count_of(const struct sum *sum)
{
    return (size_t)sum->rows * (size_t)sum->heads * (size_t)sum->columns;
}

/* Adds a prompt's values; MEAN adds its positions up in one row. */
static scry_status add_capture(struct sum *sum, const scry_capture *capture, int tokens, scry_edit_sample sample)
{
    bool one     = sample == SCRY_EDIT_SAMPLE_MEAN;
    int  columns = (int)capture->shape[capture->rank - 1];
    if (!sum->values) {
        sum->rows    = one ? 1 : tokens;
        sum->columns = columns;
        sum->values  = scry__alloc(count_of(sum), sizeof *sum->values);
        if (!sum->values) return SCRY_OUT_OF_MEMORY;
    }
    size_t size = count_of(sum), all = one ? size * (size_t)tokens : size;
    for (size_t i = 0; i < all; i++) sum->values[i % size] += (double)((const float *)capture->data)[i];
    sum->terms += one ? tokens : 1;
    return SCRY_OK;
}

/* Runs one prompt, or the ids where it is NULL, and adds what it holds at each edit's hook point. */
static scry_status add_prompt(struct sum *sums, const scry_edit *edits, int count, scry_model *model, const char *hooks,
                              const char *prompt, const scry_edit_source *source)
{
    scry_trace              *trace   = NULL;
    scry_edit_sample         sample  = source->sample;
    const scry_trace_options options = {.ids = source->ids, .id_count = source->id_count, .hooks = hooks};
    scry_status              status  = scry_trace_run(&trace, model, prompt, &options);
    for (int i = 0; i < count && !status; i++) {
        int tokens = trace->tokens->count;
        if (sums[i].values && sample == SCRY_EDIT_SAMPLE_MEAN_AT && tokens != sums[i].rows)
            status = scry__fail(SCRY_BAD_ARGUMENT,
                                "prompt \"%.60s\" has %d tokens: expected %d as the first, for a mean at each position",
                                prompt, tokens, sums[i].rows);
        else
            status = add_capture(&sums[i], scry_trace_find(trace, edits[i].hook), tokens, sample);
    }
    scry_trace_destroy(&trace);
    return status;
}

/* The edits' hook points, and that each has what is asked of it. */
static scry_status name_hooks(char **out, struct sum *sums, const scry_edit *edits, int count, const scry_model *model,
                              scry_edit_sample sample)
{
    scry__text  text   = {0};
    scry_status status = SCRY_OK;
    for (int i = 0; i < count && !status; i++) {
        scry__hook hook;
        int        layer;
        if (!edits[i].hook || !scry__edit_find_hook(model, edits[i].hook, &hook, &layer)) {
            status = scry__fail(SCRY_BAD_ARGUMENT, "edit %d: this %s model has no hook point %s", i + 1,
                                scry_model_get_info(model)->family, edits[i].hook ? edits[i].hook : "without a name");
            break;
        }
        scry__edit_extent extent = scry__edit_extent_of(model, hook);
        status                   = scry__edit_check_hook(model, hook, edits[i].hook, true);
        if (!status && extent.by_head && sample == SCRY_EDIT_SAMPLE_MEAN)
            status = scry__fail(SCRY_BAD_ARGUMENT,
                                "%s has no mean over positions, which see different keys: expected "
                                "mean_at or resample",
                                edits[i].hook);
        sums[i] = (struct sum){.heads = extent.heads, .by_head = extent.by_head};
        scry__text_addf(&text, "%s%s", i ? "," : "", edits[i].hook);
    }
    if (!status) return scry__text_take(&text, out, NULL);
    scry__text_finish(&text);
    return status;
}

/* The sums as values of the edits, all of them or none. */
static scry_status take_means(scry_edit *edits, const struct sum *sums, int count)
{
    float     **data   = scry__alloc((size_t)count, sizeof *data);
    scry_status status = data ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count && !status; i++) {
        data[i] = scry__alloc(count_of(&sums[i]), sizeof **data);
        if (!data[i]) status = SCRY_OUT_OF_MEMORY;
        for (size_t j = 0; !status && j < count_of(&sums[i]); j++)
            data[i][j] = (float)(sums[i].values[j] / sums[i].terms);
    }
    for (int i = 0; i < count && data; i++) {
        if (status) {
            scry__free(data[i]);
            continue;
        }
        edits[i].kind   = SCRY_EDIT_REPLACE;
        edits[i].values = (scry_edit_values){data[i], sums[i].rows, sums[i].heads, sums[i].columns};
    }
    scry__free(data);
    return status;
}

scry_status scry_edit_fill(scry_edit *edits, int count, scry_model *model, const scry_edit_source *source)
{
    int          prompts = source->prompt_count || !source->ids ? source->prompt_count : 1;
    char        *hooks   = NULL;
    scry__random random;
    scry_status  status;
    if (prompts < 1 || count < 1 || (unsigned)source->sample >= SCRY_EDIT_SAMPLE_COUNT)
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "%d edits from %d prompts: expected at least one of each, and a way to "
                          "take them",
                          count, prompts);
    struct sum *sums = scry__alloc((size_t)count, sizeof *sums);
    if (!sums) return SCRY_OUT_OF_MEMORY;
    scry__random_seed(&random, source->seed);
    bool one   = source->sample == SCRY_EDIT_SAMPLE_RESAMPLE;
    int  first = one ? (int)scry__random_below(&random, (uint64_t)prompts) : 0;
    int  end   = one ? first + 1 : prompts;
    status     = name_hooks(&hooks, sums, edits, count, model, source->sample);
    for (int i = first; i < end && !status; i++)
        status = add_prompt(sums, edits, count, model, hooks, source->prompt_count ? source->prompts[i] : NULL, source);
    if (!status) status = take_means(edits, sums, count);
    for (int i = 0; i < count; i++) scry__free(sums[i].values);
    scry__free(sums);
    scry__free(hooks);
    return status;
}
