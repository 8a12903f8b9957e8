/* GPT-2: learned positions, LayerNorm, one fused qkv, tanh-GELU, tied embedding. Matrices are stored [in, out]. */
#include "model/family.h"

static const scry__config_key keys[] = {
    SCRY__REQUIRED_INT("vocab_size", vocabulary, SCRY__MAX_VOCABULARY),
    SCRY__REQUIRED_INT("n_positions", context, SCRY__MAX_CONTEXT),
    SCRY__REQUIRED_INT("n_embd", hidden_size, SCRY__MAX_HIDDEN),
    SCRY__REQUIRED_INT("n_layer", layer_count, SCRY__MAX_LAYERS),
    SCRY__REQUIRED_INT("n_head", head_count, SCRY_MAX_HEADS),
    SCRY__OPTIONAL_INT("n_inner", mlp_size, SCRY__MAX_HIDDEN),
    SCRY__OPTIONAL("layer_norm_epsilon", NUMBER, epsilon),
    SCRY__OPTIONAL("activation_function", ACTIVATION, activation),
    SCRY__OPTIONAL("scale_attn_by_inverse_layer_idx", BOOL, scale_by_layer),
    SCRY__OPTIONAL("tie_word_embeddings", BOOL, tied),
    SCRY__OPTIONAL("initializer_range", NUMBER, initial_deviation),
    SCRY__MUST_BE("scale_attn_weights", true),
    SCRY__MUST_BE("add_cross_attention", false),
    {0},
};

static const scry__weight_rule weights[] = {
    {"wte.weight", SCRY__WEIGHT(embedding), .shape = {SCRY__DIM_VOCABULARY, SCRY__DIM_HIDDEN}},
    {"wpe.weight", SCRY__WEIGHT(positions), .shape = {SCRY__DIM_CONTEXT, SCRY__DIM_HIDDEN}},
    {"h.#.ln_1.weight", SCRY__LAYER_WEIGHT(norm1.weight), .shape = {SCRY__DIM_HIDDEN}},
    {"h.#.ln_1.bias", SCRY__LAYER_WEIGHT(norm1.bias), .shape = {SCRY__DIM_HIDDEN}},
    {"h.#.attn.c_attn.weight", SCRY__LAYER_WEIGHT(qkv.weight), .shape = {SCRY__DIM_HIDDEN, SCRY__DIM_QKV}},
    {"h.#.attn.c_attn.bias", SCRY__LAYER_WEIGHT(qkv.bias), .shape = {SCRY__DIM_QKV}},
    {"h.#.attn.c_proj.weight", SCRY__LAYER_OUTPUT(out.weight), .shape = {SCRY__DIM_QUERY, SCRY__DIM_HIDDEN}},
    {"h.#.attn.c_proj.bias", SCRY__LAYER_WEIGHT(out.bias), .shape = {SCRY__DIM_HIDDEN}},
    {"h.#.ln_2.weight", SCRY__LAYER_WEIGHT(norm2.weight), .shape = {SCRY__DIM_HIDDEN}},
    {"h.#.ln_2.bias", SCRY__LAYER_WEIGHT(norm2.bias), .shape = {SCRY__DIM_HIDDEN}},
    {"h.#.mlp.c_fc.weight", SCRY__LAYER_WEIGHT(up.weight), .shape = {SCRY__DIM_HIDDEN, SCRY__DIM_MLP}},
    {"h.#.mlp.c_fc.bias", SCRY__LAYER_WEIGHT(up.bias), .shape = {SCRY__DIM_MLP}},
    {"h.#.mlp.c_proj.weight", SCRY__LAYER_OUTPUT(down.weight), .shape = {SCRY__DIM_MLP, SCRY__DIM_HIDDEN}},
    {"h.#.mlp.c_proj.bias", SCRY__LAYER_WEIGHT(down.bias), .shape = {SCRY__DIM_HIDDEN}},
    {"ln_f.weight", SCRY__WEIGHT(final_norm.weight), .shape = {SCRY__DIM_HIDDEN}},
    {"ln_f.bias", SCRY__WEIGHT(final_norm.bias), .shape = {SCRY__DIM_HIDDEN}},
    {"lm_head.weight", SCRY__WEIGHT(unembedding), .shape = {SCRY__DIM_VOCABULARY, SCRY__DIM_HIDDEN},
     .flags = SCRY__RULE_NO_PREFIX | SCRY__RULE_SPARE, .needs = SCRY__HAS_UNEMBEDDING},
    {0},
};

/* Causal masks that old checkpoints carry. */
static const char *const ignored[] = {"*h.*.attn.bias", "*h.*.attn.masked_bias", NULL};

const scry__family scry__family_gpt2 = {
    .type    = "gpt2",
    .prefix  = "transformer.",
    .preset  = {.norm        = SCRY_NORM_LAYER,
                .epsilon     = 1e-5,
                .norm_before = true,
                .positions   = SCRY__POSITIONS_LEARNED,
                .qkv         = SCRY__QKV_BLOCKS,
                .activation  = SCRY_GELU_TANH,
                .tied        = true},
    .keys    = keys,
    .weights = weights,
    .ignored = ignored,
};
