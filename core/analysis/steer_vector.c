/* Vectors for steering. See steer_vector.h. */
#include "analysis/steer_vector.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"
#include "model/model.h"

#include <math.h>

/* Which rows of a prompt are pooled: all but those of special tokens, unless there are no others. */
static int choose_rows(bool *rows, const scry_tokens *tokens, const scry_tokenizer *tokenizer, scry_steer_pool pool)
{
    int chosen = 0;
    for (int t = 0; t < tokens->count; t++) {
        bool special = tokenizer && scry_tokenizer_is_special(tokenizer, tokens->ids[t]);
        rows[t]      = pool == SCRY_STEER_POOL_LAST ? t == tokens->count - 1 : !special;
        chosen += rows[t];
    }
    for (int t = 0; !chosen && t < tokens->count; t++) rows[t] = true;
    return chosen ? chosen : tokens->count;
}

/* Adds the mean of the chosen rows, times `share`. */
static scry_status add_rows(double *out, scry_model *model, const scry_trace *trace, scry_steer_pool pool, double share)
{
    const float          *values = trace->captures[0].data;
    int                   size   = scry_model_get_info(model)->hidden_size;
    const scry_tokenizer *tokenizer;
    scry_status           status = scry__model_find_tokenizer(model, &tokenizer);
    if (status) return status;
    bool *rows = scry__alloc((size_t)trace->tokens->count, sizeof *rows);
    if (!rows) return SCRY_OUT_OF_MEMORY;
    int count = choose_rows(rows, trace->tokens, tokenizer, pool);
    for (int t = 0; t < trace->tokens->count; t++)
        for (int i = 0; rows[t] && i < size; i++)
            out[i] += share / count * (double)values[(size_t)t * (size_t)size + (size_t)i];
    scry__free(rows);
    return SCRY_OK;
}

scry_status scry__steer_mean(double *out, scry_model *model, const char *hook, const scry_steer_prompt *prompts,
                             int count, scry_steer_pool pool)
{
    scry_status status = SCRY_OK;
    for (int i = 0; i < scry_model_get_info(model)->hidden_size; i++) out[i] = 0;
    for (int i = 0; i < count && !status; i++) {
        const scry_trace_options options = {.ids = prompts[i].ids, .id_count = prompts[i].id_count, .hooks = hook};
        scry_trace              *trace   = NULL;
        status                           = scry_trace_run(&trace, model, prompts[i].text, &options);
        if (!status) status = add_rows(out, model, trace, pool, 1.0 / count);
        scry_trace_destroy(&trace);
    }
    return status;
}

double scry__steer_length(const float *vector, int size)
{
    double sum = 0;
    for (int i = 0; i < size; i++) sum += (double)vector[i] * (double)vector[i];
    return sqrt(sum);
}

void scry__steer_draw(float *out, int size, double length, uint64_t seed)
{
    scry__random random;
    scry__random_seed(&random, seed);
    for (int i = 0; i < size; i++) out[i] = (float)scry__random_normal(&random);
    double drawn = scry__steer_length(out, size);
    for (int i = 0; i < size; i++) out[i] = (float)((double)out[i] * (length / drawn));
}
