/* Reading config.json into scry__arch: finds the family, reads its keys by table, then what no table says (defaults
 * that depend on other keys, windows by layer, end ids). */
#include "model/config.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "model/family.h"

#include <math.h>
#include <string.h>

static const size_t max_config = (size_t)1 << 24;

static const scry__family *const families[] = {
    &scry__family_gpt2,    &scry__family_gpt_neox, &scry__family_llama,
    &scry__family_mistral, &scry__family_qwen2,    &scry__family_qwen3,
};

static const struct {
    const char          *name;
    scry_activation_kind kind;
} activations[] = {
    {"gelu", SCRY_GELU_ERF},
    {"gelu_python", SCRY_GELU_ERF},
    {"gelu_new", SCRY_GELU_TANH},
    {"gelu_fast", SCRY_GELU_TANH},
    {"gelu_pytorch_tanh", SCRY_GELU_TANH},
    {"silu", SCRY_SILU},
    {"swish", SCRY_SILU},
    {"relu", SCRY_RELU},
};

static scry_status read_activation(scry__json_at config, const char *key, scry_activation_kind *out)
{
    const char *name   = NULL;
    scry_status status = scry__json_string(config, key, false, &name);
    if (status || !name) return status;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        if (strcmp(name, activations[i].name)) continue;
        *out = activations[i].kind;
        return SCRY_OK;
    }
    return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": activation \"%.64s\" is not supported", config.origin, key,
                      name);
}

static scry_status read_number(scry__json_at config, const char *key, double *out)
{
    double      number = *out;
    scry_status status = scry__json_number(config, key, false, &number);
    if (status) return status;
    if (number != *out && !(number > 0.0 && isfinite((float)number)))
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": %g: expected a number above 0 that f32 holds", config.origin,
                          key, number);
    *out = number;
    return SCRY_OK;
}

static scry_status read_switch(scry__json_at config, const scry__config_key *key, unsigned *features)
{
    bool        given  = key->type == SCRY__KEY_MUST_BE ? key->expected : (*features & key->features) != 0;
    scry_status status = scry__json_bool(config, key->name, false, &given);
    if (status) return status;
    if (key->type == SCRY__KEY_MUST_BE && given != key->expected)
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": %s is not supported", config.origin, key->name,
                          given ? "true" : "false");
    *features = given ? *features | key->features : *features & ~key->features;
    return SCRY_OK;
}

static scry_status read_key(scry__arch *arch, scry__json_at config, const scry__config_key *key)
{
    void *member = (char *)arch + key->member;
    switch (key->type) {
    case SCRY__KEY_INT:
        return scry__json_int(config, key->name, key->required, 1, key->maximum, member);
    case SCRY__KEY_COUNT:
        return scry__json_int(config, key->name, key->required, 0, key->maximum, member);
    case SCRY__KEY_NUMBER:
        return read_number(config, key->name, member);
    case SCRY__KEY_BOOL:
        return scry__json_bool(config, key->name, key->required, member);
    case SCRY__KEY_ACTIVATION:
        return read_activation(config, key->name, member);
    case SCRY__KEY_FEATURE:
    case SCRY__KEY_MUST_BE:
        break;
    }
    return read_switch(config, key, &arch->features);
}

static scry_status find_family(const scry__family **out, scry__json_at config)
{
    const char *type;
    scry_status status = scry__json_string(config, "model_type", true, &type);
    if (status) return status;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (strcmp(type, families[i]->type)) continue;
        *out = families[i];
        return SCRY_OK;
    }
    char known[256] = "";
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (i) strcat(known, ", ");
        strcat(known, families[i]->type);
    }
    return scry__fail(SCRY_BAD_INPUT, "%s: model_type \"%.64s\" is not supported; known: %s", config.origin, type,
                      known);
}

/* Sizes that follow from others where the config leaves them out, and what has to divide what. */
static scry_status complete_sizes(scry__arch *arch, const char *origin)
{
    if (!arch->head_size) {
        if (arch->hidden_size % arch->head_count)
            return scry__fail(SCRY_BAD_INPUT, "%s: hidden size %lld: expected a multiple of the %lld heads", origin,
                              (long long)arch->hidden_size, (long long)arch->head_count);
        arch->head_size = arch->hidden_size / arch->head_count;
    }
    if (!arch->kv_head_count) arch->kv_head_count = arch->head_count;
    if (arch->head_count % arch->kv_head_count)
        return scry__fail(SCRY_BAD_INPUT, "%s: %lld heads: expected a multiple of the %lld key/value heads", origin,
                          (long long)arch->head_count, (long long)arch->kv_head_count);
    if (!arch->mlp_size) arch->mlp_size = 4 * arch->hidden_size;
    if (arch->score_scale == 0.0) arch->score_scale = 1.0 / sqrt((double)arch->head_size);
    if (arch->initial_deviation == 0.0) arch->initial_deviation = 0.02;
    if (!arch->tied) arch->features |= SCRY__HAS_UNEMBEDDING;
    return SCRY_OK;
}

/* "full_attention" or "sliding_attention" for each layer. */
static scry_status read_layer_types(scry__arch *arch, const json_t *types, int64_t window, const char *origin)
{
    if (json_array_size(types) != (size_t)arch->layer_count)
        return scry__fail(SCRY_BAD_INPUT, "%s: layer_types: %zu entries: expected %lld, one per layer", origin,
                          json_array_size(types), (long long)arch->layer_count);
    for (int64_t layer = 0; layer < arch->layer_count; layer++) {
        const char *type = json_string_value(json_array_get(types, (size_t)layer));
        bool        full = type && !strcmp(type, "full_attention");
        if (!full && !(type && !strcmp(type, "sliding_attention")))
            return scry__fail(SCRY_BAD_INPUT,
                              "%s: layer_types: entry %lld: expected full_attention or sliding_attention", origin,
                              (long long)layer);
        arch->layers[layer].window = full ? 0 : window;
    }
    return SCRY_OK;
}

static scry_status read_layers(scry__arch *arch, scry__json_at config)
{
    const json_t *types  = NULL;
    const json_t *given  = json_object_get(config.object, "sliding_window");
    int64_t       window = arch->windowed && !(given && json_is_null(given)) ? arch->window : 0;
    scry_status   status = scry__json_array(config, "layer_types", false, &types);
    if (status) return status;
    arch->layers = scry__alloc((size_t)arch->layer_count, sizeof *arch->layers);
    if (!arch->layers) return SCRY_OUT_OF_MEMORY;
    if (types) return read_layer_types(arch, types, window, config.origin);
    for (int64_t layer = arch->window_begin; layer < arch->layer_count; layer++) arch->layers[layer].window = window;
    return SCRY_OK;
}

/* One id or a list of them; missing or null leaves what is there. */
static scry_status read_end_ids(scry__arch *arch, scry__json_at config)
{
    const json_t *value = json_object_get(config.object, "eos_token_id");
    if (!value || json_is_null(value)) return SCRY_OK;
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    if (count > SCRY__MAX_END_IDS)
        return scry__fail(SCRY_BAD_INPUT, "%s: eos_token_id: %zu ids: expected at most %d", config.origin, count,
                          SCRY__MAX_END_IDS);
    arch->end_count = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_is_array(value) ? json_array_get(value, i) : value;
        if (!json_is_integer(id) || json_integer_value(id) < INT32_MIN || json_integer_value(id) > INT32_MAX)
            return scry__fail(SCRY_BAD_INPUT, "%s: eos_token_id: expected a token id or a list of them", config.origin);
        arch->end_ids[arch->end_count++] = (int32_t)json_integer_value(id);
    }
    return SCRY_OK;
}

static scry_status read_config(scry__arch *arch, scry__json_at config)
{
    const scry__family *family;
    scry_status         status = find_family(&family, config);
    if (status) return status;
    const json_t *quantised = json_object_get(config.object, "quantization_config");
    if (quantised && !json_is_null(quantised))
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"quantization_config\": quantised weights are not supported",
                          config.origin);
    *arch        = family->preset;
    arch->family = family;
    for (const scry__config_key *key = family->keys; key->name && !status; key++) status = read_key(arch, config, key);
    if (!status) status = complete_sizes(arch, config.origin);
    if (!status && arch->positions == SCRY__POSITIONS_ROPE) status = scry__config_rope(arch, config);
    if (!status) status = read_layers(arch, config);
    return status ? status : read_end_ids(arch, config);
}

/* What `read` makes of `name` in the directory; a missing file is an error only where `required`. */
static scry_status read_file(scry__arch *arch, const char *directory, const char *name, bool required,
                             scry_status (*read)(scry__arch *, scry__json_at))
{
    json_t     *root   = NULL;
    scry_status status = SCRY_OK;
    char       *path   = scry__path_join(directory, name);
    if (!path) return SCRY_OUT_OF_MEMORY;
    if (required || scry__file_exists(path)) {
        status = scry__json_load(&root, path, max_config);
        if (!status && !json_is_object(root)) status = scry__fail(SCRY_BAD_INPUT, "%s: expected an object", path);
        if (!status) status = read(arch, (scry__json_at){root, path});
    }
    json_decref(root);
    scry__free(path);
    return status;
}

scry_status scry__arch_read(scry__arch *arch, const char *directory)
{
    *arch              = (scry__arch){0};
    scry_status status = read_file(arch, directory, "config.json", true, read_config);
    if (!status) status = read_file(arch, directory, "generation_config.json", false, read_end_ids);
    if (status) scry__arch_finish(arch);
    return status;
}

void scry__arch_finish(scry__arch *arch)
{
    for (int i = 0; i < SCRY__MAX_ROPES; i++) {
        scry__free(arch->ropes[i].short_factor);
        scry__free(arch->ropes[i].long_factor);
    }
    scry__free(arch->layers);
    *arch = (scry__arch){0};
}
