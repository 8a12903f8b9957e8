/* GPT-NeoX (Pythia): partial rotary, parallel residual unless switched off, LayerNorm, qkv fused head by head. */
#include "model/family.h"

static const scry__config_key keys[] = {
    SCRY__REQUIRED_INT("vocab_size", vocabulary, SCRY__MAX_VOCABULARY),
    SCRY__REQUIRED_INT("max_position_embeddings", context, SCRY__MAX_CONTEXT),
    SCRY__REQUIRED_INT("hidden_size", hidden_size, SCRY__MAX_HIDDEN),
    SCRY__REQUIRED_INT("num_hidden_layers", layer_count, SCRY__MAX_LAYERS),
    SCRY__REQUIRED_INT("num_attention_heads", head_count, SCRY_MAX_HEADS),
    SCRY__REQUIRED_INT("intermediate_size", mlp_size, SCRY__MAX_HIDDEN),
    SCRY__OPTIONAL("layer_norm_eps", NUMBER, epsilon),
    SCRY__OPTIONAL("hidden_act", ACTIVATION, activation),
    SCRY__OPTIONAL("use_parallel_residual", BOOL, parallel),
    SCRY__OPTIONAL("tie_word_embeddings", BOOL, tied),
    SCRY__OPTIONAL("initializer_range", NUMBER, initial_deviation),
    SCRY__FEATURE("attention_bias", SCRY__HAS_QKV_BIAS | SCRY__HAS_OUT_BIAS),
    {0},
};

static const scry__weight_rule weights[] = {
    {"embed_in.weight", SCRY__WEIGHT(embedding), .shape = {SCRY__DIM_VOCABULARY, SCRY__DIM_HIDDEN}},
    {"layers.#.input_layernorm.weight", SCRY__LAYER_WEIGHT(norm1.weight), .shape = {SCRY__DIM_HIDDEN}},
    {"layers.#.input_layernorm.bias", SCRY__LAYER_WEIGHT(norm1.bias), .shape = {SCRY__DIM_HIDDEN}},
    {"layers.#.post_attention_layernorm.weight", SCRY__LAYER_WEIGHT(norm2.weight), .shape = {SCRY__DIM_HIDDEN}},
    {"layers.#.post_attention_layernorm.bias", SCRY__LAYER_WEIGHT(norm2.bias), .shape = {SCRY__DIM_HIDDEN}},
    {"layers.#.attention.query_key_value.weight", SCRY__LAYER_MATRIX(qkv.weight),
     .shape = {SCRY__DIM_QKV, SCRY__DIM_HIDDEN}},
    {"layers.#.attention.query_key_value.bias", SCRY__LAYER_WEIGHT(qkv.bias), .shape = {SCRY__DIM_QKV},
     .needs = SCRY__HAS_QKV_BIAS},
    {"layers.#.attention.dense.weight", SCRY__LAYER_MATRIX(out.weight), .shape = {SCRY__DIM_HIDDEN, SCRY__DIM_QUERY}},
    {"layers.#.attention.dense.bias", SCRY__LAYER_WEIGHT(out.bias), .shape = {SCRY__DIM_HIDDEN},
     .needs = SCRY__HAS_OUT_BIAS},
    {"layers.#.mlp.dense_h_to_4h.weight", SCRY__LAYER_MATRIX(up.weight), .shape = {SCRY__DIM_MLP, SCRY__DIM_HIDDEN}},
    {"layers.#.mlp.dense_h_to_4h.bias", SCRY__LAYER_WEIGHT(up.bias), .shape = {SCRY__DIM_MLP}},
    {"layers.#.mlp.dense_4h_to_h.weight", SCRY__LAYER_MATRIX(down.weight), .shape = {SCRY__DIM_HIDDEN, SCRY__DIM_MLP}},
    {"layers.#.mlp.dense_4h_to_h.bias", SCRY__LAYER_WEIGHT(down.bias), .shape = {SCRY__DIM_HIDDEN}},
    {"final_layer_norm.weight", SCRY__WEIGHT(final_norm.weight), .shape = {SCRY__DIM_HIDDEN}},
    {"final_layer_norm.bias", SCRY__WEIGHT(final_norm.bias), .shape = {SCRY__DIM_HIDDEN}},
    {"embed_out.weight", SCRY__WEIGHT(unembedding), .shape = {SCRY__DIM_VOCABULARY, SCRY__DIM_HIDDEN},
     .flags = SCRY__RULE_NO_PREFIX | SCRY__RULE_SPARE, .needs = SCRY__HAS_UNEMBEDDING},
    {0},
};

/* Causal masks and rotary frequencies that old checkpoints carry. */
static const char *const ignored[] = {"*layers.*.attention.bias", "*layers.*.attention.masked_bias",
                                      "*layers.*.attention.rotary_emb.inv_freq", NULL};

const scry__family scry__family_gpt_neox = {
    .type    = "gpt_neox",
    .prefix  = "gpt_neox.",
    .preset  = {.features       = SCRY__HAS_QKV_BIAS | SCRY__HAS_OUT_BIAS,
                .norm           = SCRY_NORM_LAYER,
                .epsilon        = 1e-5,
                .norm_before    = true,
                .parallel       = true,
                .positions      = SCRY__POSITIONS_ROPE,
                .partial_rotary = 0.25,
                .qkv            = SCRY__QKV_BY_HEAD,
                .activation     = SCRY_GELU_ERF},
    .keys    = keys,
    .weights = weights,
    .ignored = ignored,
};
