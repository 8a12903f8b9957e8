/* What config.json means: defaults where a key is missing, and switches that change the description of a model.
 * Refusals are in bad_checkpoint.c. */
#include "checkpoint_edit.h"
#include "model/arch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stddef.h>

/* One edit to a fixture's config, and what one field of the description is then. */
enum type { INTEGER, BOOLEAN, NUMBER, ACTIVATION };
#define FIELD(type, field) type, offsetof(scry__arch, field)

static const struct {
    const char *name;
    const char *fixture, *key, *value;
    enum type   type;
    size_t      member;
    double      expected;
} cases[] = {
    {"head size from hidden size", "llama_rope_linear", "hidden_size", "40", FIELD(INTEGER, head_size), 10},
    {"head size as given", "llama", "head_dim", "10", FIELD(INTEGER, head_size), 10},
    {"as many groups as heads", "llama", "num_key_value_heads", NULL, FIELD(INTEGER, kv_head_count), 6},
    {"four times the hidden size", "gpt2", "n_inner", "null", FIELD(INTEGER, mlp_size), 144},
    {"eps of gpt2", "gpt2", "layer_norm_epsilon", NULL, FIELD(NUMBER, epsilon), 1e-5},
    {"eps of gpt_neox", "gpt_neox", "layer_norm_eps", NULL, FIELD(NUMBER, epsilon), 1e-5},
    {"eps of llama", "llama", "rms_norm_eps", NULL, FIELD(NUMBER, epsilon), 1e-6},
    {"activation of gpt2", "gpt2", "activation_function", NULL, FIELD(ACTIVATION, activation), SCRY_GELU_TANH},
    {"activation of gpt_neox", "gpt_neox", "hidden_act", NULL, FIELD(ACTIVATION, activation), SCRY_GELU_ERF},
    {"activation of llama", "llama", "hidden_act", NULL, FIELD(ACTIVATION, activation), SCRY_SILU},
    {"swish is silu", "llama", "hidden_act", "\"swish\"", FIELD(ACTIVATION, activation), SCRY_SILU},
    {"relu", "llama", "hidden_act", "\"relu\"", FIELD(ACTIVATION, activation), SCRY_RELU},
    {"gpt2 is tied", "gpt2", "tie_word_embeddings", NULL, FIELD(BOOLEAN, tied), 1},
    {"llama is not", "llama", "tie_word_embeddings", NULL, FIELD(BOOLEAN, tied), 0},
    {"gpt_neox is parallel", "gpt_neox", "use_parallel_residual", NULL, FIELD(BOOLEAN, parallel), 1},
    {"a quarter of each head turns", "gpt_neox", "rope_parameters", NULL, FIELD(NUMBER, partial_rotary), 0.25},
    {"theta of llama", "llama", "rope_parameters", NULL, FIELD(NUMBER, ropes[0].theta), 10000.0},
    {"window of mistral", "mistral", "sliding_window", NULL, FIELD(INTEGER, window), 4096},
    {"window of qwen2", "qwen2_window", "sliding_window", NULL, FIELD(INTEGER, window), 4096},
    {"first windowed layer of qwen2", "qwen2_window", "max_window_layers", NULL, FIELD(INTEGER, window_begin), 28},
    {"qwen2 slides only where told to", "qwen2_window", "use_sliding_window", NULL, FIELD(BOOLEAN, windowed), 0},
    {"dynamic scaling widens the context", "llama_rope_dynamic", "vocab_size", "131", FIELD(INTEGER, context), 48},
    {"an older length of pre-training widens it", "qwen3_yarn", "vocab_size", "127", FIELD(INTEGER, context), 384},
    {"linear scaling does not", "llama_rope_linear", "vocab_size", "131", FIELD(INTEGER, context), 128},
};

static double read_field(const scry__arch *arch, enum type type, size_t member)
{
    const void *field = (const char *)arch + member;
    switch (type) {
    case INTEGER:
        return (double)*(const int64_t *)field;
    case BOOLEAN:
        return *(const bool *)field;
    case ACTIVATION:
        return *(const scry_activation_kind *)field;
    case NUMBER:
        break;
    }
    return *(const double *)field;
}

Test(config, keys__mean_what_transformers_has_them_mean)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char       path[CHECKPOINT_PATH];
        scry__arch arch;
        checkpoint_make(path, &(checkpoint_edit){cases[i].fixture, SET_CONFIG, cases[i].key, cases[i].value});
        cr_assert_eq(scry__arch_read(&arch, path), SCRY_OK, "%s: %s", cases[i].name, scry_last_error());
        double found = read_field(&arch, cases[i].type, cases[i].member);
        cr_expect_eq(found, cases[i].expected, "%s: %g, expected %g", cases[i].name, found, cases[i].expected);
        scry__arch_finish(&arch);
        checkpoint_remove(path);
    }
}

/* The window of each layer. */
static const struct {
    const char *fixture, *key, *value;
    int         count;
    int64_t     windows[3];
} window_cases[] = {
    {"mistral", "sliding_window", "7", 2, {7, 7}},
    {"mistral", "sliding_window", "null", 2, {0, 0}},
    {"llama", "vocab_size", "131", 2, {0, 0}},
    {"qwen2", "use_sliding_window", "false", 2, {0, 0}},
    {"qwen2", "use_sliding_window", "true", 2, {0, 5}},
    {"qwen2_window", "max_window_layers", "0", 3, {6, 6, 6}},
    {"qwen2_window", "max_window_layers", "2", 3, {0, 0, 6}},
    {"qwen2_window", "max_window_layers", NULL, 3, {0, 0, 0}},
    {"qwen2_window", "max_window_layers", "1000", 3, {0, 0, 0}},
    {"qwen2_layer_types", "max_window_layers", "0", 3, {4, 0, 4}},
    {"qwen2_layer_types", "use_sliding_window", "false", 3, {0, 0, 0}},
};

Test(config, windows__are_those_of_each_layer)
{
    for (size_t i = 0; i < sizeof window_cases / sizeof *window_cases; i++) {
        char       path[CHECKPOINT_PATH];
        scry__arch arch;
        checkpoint_make(
            path, &(checkpoint_edit){window_cases[i].fixture, SET_CONFIG, window_cases[i].key, window_cases[i].value});
        cr_assert_eq(scry__arch_read(&arch, path), SCRY_OK, "case %zu: %s", i, scry_last_error());
        cr_assert_eq(arch.layer_count, window_cases[i].count);
        for (int layer = 0; layer < window_cases[i].count; layer++)
            cr_expect_eq(arch.layers[layer].window, window_cases[i].windows[layer], "case %zu: layer %d: window %lld",
                         i, layer, (long long)arch.layers[layer].window);
        scry__arch_finish(&arch);
        checkpoint_remove(path);
    }
}
