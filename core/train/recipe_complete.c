/* What follows from a recipe: sizes that it leaves open, whether they fit, and what happens at which step. */
#include "train/recipe.h"

#include "base/error.h"

#include <math.h>

enum { COPY_VOCABULARY = 8, COPY_LENGTH = 24, TEXT_LENGTH = 128, MLP_MULTIPLE = 8 };

static void complete_sizes(scry_recipe *recipe, int tokenizer_size)
{
    bool copy  = recipe->data == SCRY_TRAIN_DATA_COPY;
    bool gated = recipe->style == SCRY_TRAIN_STYLE_LLAMA;
    if (!recipe->kv_heads) recipe->kv_heads = recipe->heads;
    if (!recipe->mlp && gated)
        recipe->mlp = (int)(((int64_t)8 * recipe->hidden + 3 * MLP_MULTIPLE - 1) / (3 * MLP_MULTIPLE)) * MLP_MULTIPLE;
    if (!recipe->mlp) recipe->mlp = 4 * recipe->hidden;
    if (!recipe->length) recipe->length = copy ? COPY_LENGTH : TEXT_LENGTH;
    if (!recipe->context) recipe->context = recipe->length;
    if (!recipe->vocabulary) recipe->vocabulary = copy ? COPY_VOCABULARY : tokenizer_size;
}

static scry_status check_data(const scry_recipe *recipe, int tokenizer_size)
{
    bool text = recipe->data == SCRY_TRAIN_DATA_TEXT, documents = recipe->data == SCRY_TRAIN_DATA_DOCUMENTS;
    if (text && (!recipe->text || !recipe->tokenizer || recipe->documents))
        return scry__fail(SCRY_BAD_ARGUMENT, "recipe: data text: expected a text and a tokenizer");
    if (documents && (!recipe->documents || !recipe->tokenizer || recipe->text))
        return scry__fail(SCRY_BAD_ARGUMENT, "recipe: data documents: expected documents and a tokenizer");
    if (!text && !documents && (recipe->text || recipe->documents || recipe->tokenizer))
        return scry__fail(SCRY_BAD_ARGUMENT, "recipe: data copy: it takes no text, documents or tokenizer");
    if (recipe->vocabulary < tokenizer_size)
        return scry__fail(SCRY_BAD_ARGUMENT, "recipe: vocabulary %d: expected at least the tokenizer's %d",
                          recipe->vocabulary, tokenizer_size);
    if (recipe->length < 2)
        return scry__fail(SCRY_BAD_ARGUMENT, "recipe: length %d: expected 2 tokens or more", recipe->length);
    if (recipe->length > recipe->context)
        return scry__fail(SCRY_BAD_ARGUMENT, "recipe: length %d: expected at most the context, %d", recipe->length,
                          recipe->context);
    return SCRY_OK;
}

static scry_status check_model(const scry_recipe *recipe)
{
    bool llama = recipe->style == SCRY_TRAIN_STYLE_LLAMA;
    if (recipe->hidden % recipe->heads)
        return scry__fail(SCRY_BAD_ARGUMENT, "recipe: hidden %d: expected a multiple of the %d heads", recipe->hidden,
                          recipe->heads);
    if (!llama && recipe->kv_heads != recipe->heads)
        return scry__fail(SCRY_BAD_ARGUMENT, "recipe: kv_heads %d: style gpt2 has as many as heads, %d",
                          recipe->kv_heads, recipe->heads);
    if (recipe->heads % recipe->kv_heads)
        return scry__fail(SCRY_BAD_ARGUMENT, "recipe: heads %d: expected a multiple of kv_heads, %d", recipe->heads,
                          recipe->kv_heads);
    if (llama && recipe->hidden / recipe->heads % 2)
        return scry__fail(SCRY_BAD_ARGUMENT, "recipe: hidden %d: expected heads of an even size: rotation takes pairs",
                          recipe->hidden);
    return SCRY_OK;
}

scry_status scry__recipe_complete(scry_recipe *recipe, int tokenizer_size)
{
    complete_sizes(recipe, tokenizer_size);
    scry_status status = check_data(recipe, tokenizer_size);
    return status ? status : check_model(recipe);
}

bool scry__recipe_has_checkpoint(const scry_recipe *recipe, int step)
{
    if (step == recipe->steps) return true;
    if (recipe->checkpoint_every && step % recipe->checkpoint_every == 0) return true;
    for (int i = 0; i < recipe->checkpoint_count; i++)
        if (recipe->checkpoints[i] == step) return true;
    return false;
}

bool scry__recipe_has_evaluation(const scry_recipe *recipe, int step)
{
    return step == recipe->steps || (recipe->evaluate_every && step % recipe->evaluate_every == 0);
}

double scry_recipe_rate(const scry_recipe *recipe, int step)
{
    if (step < recipe->warmup) return recipe->rate * step / recipe->warmup;
    int64_t falls = (int64_t)recipe->warmup + recipe->hold; /* from this step on */
    if (step <= falls) return recipe->rate;
    double share = (double)(step - falls) / (double)(recipe->steps - falls);
    double left  = 1; /* of the way down */
    if (recipe->schedule == SCRY_TRAIN_SCHEDULE_LINEAR) left = 1 - share;
    if (recipe->schedule == SCRY_TRAIN_SCHEDULE_COSINE) left = 0.5 * (1 + cos(M_PI * share));
    return recipe->rate * (recipe->final_rate + (1 - recipe->final_rate) * left);
}
