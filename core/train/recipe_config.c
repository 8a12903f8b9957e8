/* The config.json of a recipe's model, for scry and for transformers. */
#include "train/recipe.h"

static void set_gpt2(scry__json_builder *builder, json_t *config, const scry_recipe *recipe)
{
    scry__json_set_text(builder, config, "model_type", "gpt2");
    scry__json_set_int(builder, config, "n_positions", recipe->context);
    scry__json_set_int(builder, config, "n_embd", recipe->hidden);
    scry__json_set_int(builder, config, "n_layer", recipe->layers);
    scry__json_set_int(builder, config, "n_head", recipe->heads);
    scry__json_set_int(builder, config, "n_inner", recipe->mlp);
    scry__json_set_text(builder, config, "activation_function", "gelu_new");
    scry__json_set_number(builder, config, "layer_norm_epsilon", 1e-5);
    scry__json_set_number(builder, config, "embd_pdrop", 0);
    scry__json_set_number(builder, config, "attn_pdrop", 0);
    scry__json_set_number(builder, config, "resid_pdrop", 0);
}

static void set_llama(scry__json_builder *builder, json_t *config, const scry_recipe *recipe)
{
    scry__json_set_text(builder, config, "model_type", "llama");
    scry__json_set_int(builder, config, "max_position_embeddings", recipe->context);
    scry__json_set_int(builder, config, "hidden_size", recipe->hidden);
    scry__json_set_int(builder, config, "intermediate_size", recipe->mlp);
    scry__json_set_int(builder, config, "num_hidden_layers", recipe->layers);
    scry__json_set_int(builder, config, "num_attention_heads", recipe->heads);
    scry__json_set_int(builder, config, "num_key_value_heads", recipe->kv_heads);
    scry__json_set_int(builder, config, "head_dim", recipe->hidden / recipe->heads);
    scry__json_set_text(builder, config, "hidden_act", "silu");
    scry__json_set_number(builder, config, "rms_norm_eps", 1e-5);
    scry__json_set_number(builder, config, "rope_theta", 10000);
    scry__json_set_bool(builder, config, "attention_bias", false);
    scry__json_set_bool(builder, config, "mlp_bias", false);
}

json_t *scry__recipe_config(scry__json_builder *builder, const scry_recipe *recipe)
{
    bool    llama  = recipe->style == SCRY_TRAIN_STYLE_LLAMA;
    json_t *config = scry__json_new_object(builder), *classes = scry__json_new_array(builder);
    scry__json_append_text(builder, classes, llama ? "LlamaForCausalLM" : "GPT2LMHeadModel");
    scry__json_set(builder, config, "architectures", classes);
    (llama ? set_llama : set_gpt2)(builder, config, recipe);
    scry__json_set_int(builder, config, "vocab_size", recipe->vocabulary);
    scry__json_set_bool(builder, config, "tie_word_embeddings", true);
    scry__json_set_number(builder, config, "initializer_range", recipe->initial_deviation);
    /* transformers has ids of its own where a config has none, which may lie outside the vocabulary. */
    scry__json_set(builder, config, "bos_token_id", json_null());
    scry__json_set(builder, config, "eos_token_id", json_null());
    scry__json_set(builder, config, "pad_token_id", json_null());
    scry__json_set_text(builder, config, "dtype", "float32");
    return config;
}
