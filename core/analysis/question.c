/* What is asked of a prompt. See question.h. */
#include "analysis/question.h"

#include "base/error.h"
#include "model/model.h"

#include <math.h>

scry_status scry__question_position(int *out, const scry_tokens *tokens, bool has_position, int position)
{
    int last = tokens->count - 1;
    *out     = has_position ? position : last;
    if (*out >= 0 && *out <= last) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "position %d: expected 0 to %d, the prompt's last", *out, last);
}

static scry_status choose(int32_t *out, scry_model *model, const scry_token_choice *choice, const char *what)
{
    *out = -1;
    if (!scry__is_chosen(choice)) return SCRY_OK;
    scry_status status = scry__model_target(out, model, choice);
    return status ? scry__fail_prefix(status, "%s", what) : SCRY_OK;
}

scry_status scry__question_tokens(int32_t *answer, int32_t *wrong, scry_model *model,
                                  const scry_token_choice *chosen_answer, const scry_token_choice *chosen_wrong)
{
    scry_status status = choose(answer, model, chosen_answer, "the answer");
    return status ? status : choose(wrong, model, chosen_wrong, "the wrong answer");
}

scry_status scry__question_likeliest(int32_t *out, scry_model *model, const int32_t *ids, int count)
{
    scry_generation              *generation = NULL;
    const scry_generation_options options    = {.ids = ids, .id_count = count, .max_tokens = 1, .top = 1};
    scry_status                   status     = scry_generate(&generation, model, NULL, &options);
    if (!status && !generation->step_count)
        status = scry__fail(SCRY_BAD_INPUT, "no token is the likeliest where logits are NaN or infinite: expected an "
                                            "answer that is named");
    if (!status) *out = generation->steps[0].top[0].id;
    scry_generation_destroy(&generation);
    return status;
}

scry_status scry__question_candidate(scry_candidate *candidate, scry_model *model, float logit, double lse)
{
    candidate->logit       = logit;
    candidate->probability = (float)exp((double)logit - lse);
    return scry_token_text(model, candidate->id, &candidate->text);
}
