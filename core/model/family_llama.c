/* Llama and its descendants mistral, qwen2 and qwen3: RMSNorm, rotary positions, grouped key/value heads, gated MLP.
 * They differ in biases, query/key norms and sliding windows, which is what their presets and keys say. */
#include "model/family.h"

#define LLAMA_KEYS                                                                                                     \
    SCRY__REQUIRED_INT("vocab_size", vocabulary, SCRY__MAX_VOCABULARY),                                                \
        SCRY__REQUIRED_INT("max_position_embeddings", context, SCRY__MAX_CONTEXT),                                     \
        SCRY__REQUIRED_INT("hidden_size", hidden_size, SCRY__MAX_HIDDEN),                                              \
        SCRY__REQUIRED_INT("num_hidden_layers", layer_count, SCRY__MAX_LAYERS),                                        \
        SCRY__REQUIRED_INT("num_attention_heads", head_count, SCRY_MAX_HEADS),                                         \
        SCRY__REQUIRED_INT("intermediate_size", mlp_size, SCRY__MAX_HIDDEN),                                           \
        SCRY__OPTIONAL_INT("num_key_value_heads", kv_head_count, SCRY_MAX_HEADS),                                      \
        SCRY__OPTIONAL_INT("head_dim", head_size, SCRY__MAX_HIDDEN), SCRY__OPTIONAL("rms_norm_eps", NUMBER, epsilon),  \
        SCRY__OPTIONAL("hidden_act", ACTIVATION, activation), SCRY__OPTIONAL("tie_word_embeddings", BOOL, tied),       \
        SCRY__OPTIONAL("initializer_range", NUMBER, initial_deviation)

#define QWEN_WINDOW_KEYS                                                                                               \
    SCRY__OPTIONAL_INT("sliding_window", window, SCRY__MAX_CONTEXT),                                                   \
        SCRY__OPTIONAL("use_sliding_window", BOOL, windowed),                                                          \
        SCRY__OPTIONAL_COUNT("max_window_layers", window_begin, SCRY__MAX_LAYERS)

static const scry__config_key llama_keys[] = {
    LLAMA_KEYS,
    SCRY__FEATURE("attention_bias", SCRY__HAS_QKV_BIAS | SCRY__HAS_OUT_BIAS),
    SCRY__FEATURE("mlp_bias", SCRY__HAS_MLP_BIAS),
    {0},
};

static const scry__config_key mistral_keys[] = {
    LLAMA_KEYS,
    SCRY__OPTIONAL_INT("sliding_window", window, SCRY__MAX_CONTEXT),
    {0},
};

static const scry__config_key qwen2_keys[] = {
    LLAMA_KEYS,
    QWEN_WINDOW_KEYS,
    {0},
};

static const scry__config_key qwen3_keys[] = {
    LLAMA_KEYS,
    QWEN_WINDOW_KEYS,
    SCRY__FEATURE("attention_bias", SCRY__HAS_QKV_BIAS | SCRY__HAS_OUT_BIAS),
    {0},
};

static const scry__weight_rule weights[] = {
    {"embed_tokens.weight", SCRY__WEIGHT(embedding), .shape = {SCRY__DIM_VOCABULARY, SCRY__DIM_HIDDEN}},
    {"layers.#.input_layernorm.weight", SCRY__LAYER_WEIGHT(norm1.weight), .shape = {SCRY__DIM_HIDDEN}},
    {"layers.#.self_attn.q_proj.weight", SCRY__LAYER_MATRIX(q.weight), .shape = {SCRY__DIM_QUERY, SCRY__DIM_HIDDEN}},
    {"layers.#.self_attn.k_proj.weight", SCRY__LAYER_MATRIX(k.weight), .shape = {SCRY__DIM_KEY, SCRY__DIM_HIDDEN}},
    {"layers.#.self_attn.v_proj.weight", SCRY__LAYER_MATRIX(v.weight), .shape = {SCRY__DIM_KEY, SCRY__DIM_HIDDEN}},
    {"layers.#.self_attn.q_proj.bias", SCRY__LAYER_WEIGHT(q.bias), .shape = {SCRY__DIM_QUERY},
     .needs = SCRY__HAS_QKV_BIAS},
    {"layers.#.self_attn.k_proj.bias", SCRY__LAYER_WEIGHT(k.bias), .shape = {SCRY__DIM_KEY},
     .needs = SCRY__HAS_QKV_BIAS},
    {"layers.#.self_attn.v_proj.bias", SCRY__LAYER_WEIGHT(v.bias), .shape = {SCRY__DIM_KEY},
     .needs = SCRY__HAS_QKV_BIAS},
    {"layers.#.self_attn.q_norm.weight", SCRY__LAYER_WEIGHT(q_norm.weight), .shape = {SCRY__DIM_HEAD},
     .needs = SCRY__HAS_QK_NORM},
    {"layers.#.self_attn.k_norm.weight", SCRY__LAYER_WEIGHT(k_norm.weight), .shape = {SCRY__DIM_HEAD},
     .needs = SCRY__HAS_QK_NORM},
    {"layers.#.self_attn.o_proj.weight", SCRY__LAYER_MATRIX(out.weight), .shape = {SCRY__DIM_HIDDEN, SCRY__DIM_QUERY}},
    {"layers.#.self_attn.o_proj.bias", SCRY__LAYER_WEIGHT(out.bias), .shape = {SCRY__DIM_HIDDEN},
     .needs = SCRY__HAS_OUT_BIAS},
    {"layers.#.post_attention_layernorm.weight", SCRY__LAYER_WEIGHT(norm2.weight), .shape = {SCRY__DIM_HIDDEN}},
    {"layers.#.mlp.gate_proj.weight", SCRY__LAYER_MATRIX(gate.weight), .shape = {SCRY__DIM_MLP, SCRY__DIM_HIDDEN}},
    {"layers.#.mlp.up_proj.weight", SCRY__LAYER_MATRIX(up.weight), .shape = {SCRY__DIM_MLP, SCRY__DIM_HIDDEN}},
    {"layers.#.mlp.down_proj.weight", SCRY__LAYER_MATRIX(down.weight), .shape = {SCRY__DIM_HIDDEN, SCRY__DIM_MLP}},
    {"layers.#.mlp.gate_proj.bias", SCRY__LAYER_WEIGHT(gate.bias), .shape = {SCRY__DIM_MLP},
     .needs = SCRY__HAS_MLP_BIAS},
    {"layers.#.mlp.up_proj.bias", SCRY__LAYER_WEIGHT(up.bias), .shape = {SCRY__DIM_MLP}, .needs = SCRY__HAS_MLP_BIAS},
    {"layers.#.mlp.down_proj.bias", SCRY__LAYER_WEIGHT(down.bias), .shape = {SCRY__DIM_HIDDEN},
     .needs = SCRY__HAS_MLP_BIAS},
    {"norm.weight", SCRY__WEIGHT(final_norm.weight), .shape = {SCRY__DIM_HIDDEN}},
    {"lm_head.weight", SCRY__WEIGHT(unembedding), .shape = {SCRY__DIM_VOCABULARY, SCRY__DIM_HIDDEN},
     .flags = SCRY__RULE_NO_PREFIX | SCRY__RULE_SPARE, .needs = SCRY__HAS_UNEMBEDDING},
    {0},
};

/* Rotary frequencies that old checkpoints carry. */
static const char *const ignored[] = {"*layers.*.self_attn.rotary_emb.inv_freq", NULL};

#define LLAMA_PRESET                                                                                                   \
    .norm = SCRY_NORM_RMS, .epsilon = 1e-6, .norm_before = true, .positions = SCRY__POSITIONS_ROPE,                    \
    .partial_rotary = 1.0, .qkv = SCRY__QKV_SEPARATE, .activation = SCRY_SILU, .gated = true

/* As transformers has it where the config is silent. */
#define WINDOW_SIZE .window = 4096

const scry__family scry__family_llama = {
    .type    = "llama",
    .prefix  = "model.",
    .preset  = {LLAMA_PRESET},
    .keys    = llama_keys,
    .weights = weights,
    .ignored = ignored,
};

const scry__family scry__family_mistral = {
    .type    = "mistral",
    .prefix  = "model.",
    .preset  = {LLAMA_PRESET, WINDOW_SIZE, .windowed = true},
    .keys    = mistral_keys,
    .weights = weights,
    .ignored = ignored,
};

const scry__family scry__family_qwen2 = {
    .type    = "qwen2",
    .prefix  = "model.",
    .preset  = {LLAMA_PRESET, WINDOW_SIZE, .features = SCRY__HAS_QKV_BIAS, .window_begin = 28},
    .keys    = qwen2_keys,
    .weights = weights,
    .ignored = ignored,
};

const scry__family scry__family_qwen3 = {
    .type    = "qwen3",
    .prefix  = "model.",
    .preset  = {LLAMA_PRESET, WINDOW_SIZE, .features = SCRY__HAS_QK_NORM, .window_begin = 28},
    .keys    = qwen3_keys,
    .weights = weights,
    .ignored = ignored,
};
