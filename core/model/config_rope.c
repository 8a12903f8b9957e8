/* The rope keys of config.json, in both spellings: rope_theta beside rope_scaling (keyed "type" or "rope_type"), and
 * rope_parameters that holds all of it. See config.h. */
#include "model/config.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char     *name;
    scry__rope_kind kind;
} kinds[] = {
    {"default", SCRY__ROPE_DEFAULT}, {"linear", SCRY__ROPE_LINEAR}, {"dynamic", SCRY__ROPE_DYNAMIC},
    {"yarn", SCRY__ROPE_YARN},       {"llama3", SCRY__ROPE_LLAMA3}, {"longrope", SCRY__ROPE_LONGROPE},
    {"su", SCRY__ROPE_LONGROPE}, /* the name it had at first */
};

/* A number of at least `minimum`; missing leaves *out alone. */
static scry_status number(scry__json_at at, const char *key, bool required, double minimum, double *out)
{
    double      value  = *out;
    scry_status status = scry__json_number(at, key, required, &value);
    if (status) return status;
    if (value != *out && !(value >= minimum && isfinite(value)))
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": %g: expected a number of at least %g", at.origin, key, value,
                          minimum);
    *out = value;
    return SCRY_OK;
}

static scry_status read_kind(scry__rope *rope, scry__json_at scaling)
{
    const char *name   = NULL;
    scry_status status = scry__json_string(scaling, "rope_type", false, &name);
    if (!status && !name) status = scry__json_string(scaling, "type", false, &name);
    if (status || !name) return status;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(name, kinds[i].name)) continue;
        rope->kind = kinds[i].kind;
        return SCRY_OK;
    }
    return scry__fail(SCRY_BAD_INPUT, "%s: rope type \"%.64s\" is not supported", scaling.origin, name);
}

/* How many entries of a head turn: a share of the head, under three names. */
static scry_status read_dims(scry__rope *rope, const scry__arch *arch, scry__json_at config, scry__json_at scaling)
{
    double      share  = arch->partial_rotary;
    scry_status status = number(config, "rotary_pct", false, 0.0, &share);
    if (!status) status = number(config, "partial_rotary_factor", false, 0.0, &share);
    if (!status) status = number(scaling, "partial_rotary_factor", false, 0.0, &share);
    if (status) return status;
    double dims = floor((double)arch->head_size * share);
    if (!(dims >= 2.0 && dims <= (double)arch->head_size) || fmod(dims, 2.0) != 0.0)
        return scry__fail(SCRY_BAD_INPUT,
                          "%s: a rotary share of %g of head size %lld: expected an even number of entries from 2 on",
                          config.origin, share, (long long)arch->head_size);
    rope->dims = (int)dims;
    return SCRY_OK;
}

static scry_status read_factors(double **out, int count, scry__json_at scaling, const char *key)
{
    const json_t *list;
    scry_status   status = scry__json_array(scaling, key, true, &list);
    if (status) return status;
    if (json_array_size(list) != (size_t)count)
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": %zu numbers: expected %d", scaling.origin, key,
                          json_array_size(list), count);
    *out = scry__alloc((size_t)count, sizeof **out);
    if (!*out) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++) {
        (*out)[i] = json_number_value(json_array_get(list, (size_t)i));
        if (!((*out)[i] > 0.0))
            return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": entry %d: expected a number above 0", scaling.origin,
                              key, i);
    }
    return SCRY_OK;
}

static double yarn_magnitude(double factor, double scale)
{
    return factor <= 1.0 ? 1.0 : 0.1 * scale * log(factor) + 1.0;
}

static scry_status read_yarn(scry__rope *rope, scry__json_at scaling)
{
    double      scale = 0.0, scale_all = 0.0, given = 0.0;
    scry_status status = number(scaling, "beta_fast", false, 1e-6, &rope->beta_fast);
    if (!status) status = number(scaling, "beta_slow", false, 1e-6, &rope->beta_slow);
    if (!status) status = scry__json_bool(scaling, "truncate", false, &rope->truncate);
    if (!status) status = number(scaling, "mscale", false, 0.0, &scale);
    if (!status) status = number(scaling, "mscale_all_dim", false, 0.0, &scale_all);
    if (!status) status = number(scaling, "attention_factor", false, 1e-6, &given);
    if (status) return status;
    if (given > 0.0)
        rope->attention_factor = given;
    else if (scale > 0.0 && scale_all > 0.0)
        rope->attention_factor = yarn_magnitude(rope->factor, scale) / yarn_magnitude(rope->factor, scale_all);
    else
        rope->attention_factor = yarn_magnitude(rope->factor, 1.0);
    return SCRY_OK;
}

static scry_status read_llama3(scry__rope *rope, scry__json_at scaling)
{
    scry_status status = number(scaling, "low_freq_factor", true, 1e-6, &rope->low_frequency_factor);
    if (!status) status = number(scaling, "high_freq_factor", true, 1e-6, &rope->high_frequency_factor);
    if (!status && rope->high_frequency_factor <= rope->low_frequency_factor)
        status = scry__fail(SCRY_BAD_INPUT, "%s: high_freq_factor %g: expected more than low_freq_factor %g",
                            scaling.origin, rope->high_frequency_factor, rope->low_frequency_factor);
    return status;
}

static scry_status read_longrope(scry__rope *rope, scry__json_at scaling)
{
    double      given  = 0.0;
    scry_status status = read_factors(&rope->short_factor, rope->dims / 2, scaling, "short_factor");
    if (!status) status = read_factors(&rope->long_factor, rope->dims / 2, scaling, "long_factor");
    if (!status) status = number(scaling, "attention_factor", false, 1e-6, &given);
    if (status) return status;
    if (given > 0.0)
        rope->attention_factor = given;
    else if (rope->factor > 1.0 && rope->original > 1.0)
        rope->attention_factor = sqrt(1.0 + log(rope->factor) / log(rope->original));
    return SCRY_OK;
}

/* The parameters that a kind of scaling takes; `original` and `factor` come first because others follow from them. */
static scry_status read_scaling(scry__rope *rope, scry__json_at config, scry__json_at scaling)
{
    bool        longrope = rope->kind == SCRY__ROPE_LONGROPE;
    scry_status status   = number(scaling, "original_max_position_embeddings", false, 1.0, &rope->original);
    /* Beside the scaling, where phi writes it, it wins. */
    if (!status) status = number(config, "original_max_position_embeddings", false, 1.0, &rope->original);
    if (!status && longrope) rope->factor = rope->max_position / rope->original;
    if (!status) status = number(scaling, "factor", !longrope, longrope ? 1e-6 : 1.0, &rope->factor);
    if (status) return status;
    switch (rope->kind) {
    case SCRY__ROPE_YARN:
        return read_yarn(rope, scaling);
    case SCRY__ROPE_LLAMA3:
        return read_llama3(rope, scaling);
    case SCRY__ROPE_LONGROPE:
        return read_longrope(rope, scaling);
    case SCRY__ROPE_DYNAMIC:
        if (rope->dims > 2) return SCRY_OK;
        return scry__fail(SCRY_BAD_INPUT, "%s: dynamic scaling of 2 rotary entries: expected 4 or more",
                          scaling.origin);
    case SCRY__ROPE_DEFAULT:
    case SCRY__ROPE_LINEAR:
        break;
    }
    return SCRY_OK;
}

/* The object that holds the scaling; an empty one where there is none. */
static scry_status find_scaling(const json_t **out, scry__json_at config)
{
    const char   *key;
    const json_t *value;
    scry_status   status = scry__json_object(config, "rope_parameters", false, out);
    if (!status) status = scry__json_object(config, "rope_scaling", false, out);
    if (status) return status;
    json_object_foreach((json_t *)*out, key, value)
    {
        if (json_is_object(value) || !strcmp(key, "mrope_section"))
            return scry__fail(SCRY_BAD_INPUT, "%s: rope: key \"%.64s\" is not supported", config.origin, key);
    }
    return SCRY_OK;
}

scry_status scry__config_rope(scry__arch *arch, scry__json_at config)
{
    scry__rope   *rope    = &arch->ropes[0];
    const json_t *scaling = NULL;
    char          origin[512];
    scry_status   status = find_scaling(&scaling, config);
    if (status) return status;
    snprintf(origin, sizeof origin, "%s: rope scaling", config.origin);
    scry__json_at at = {scaling, origin};
    *rope            = (scry__rope){.kind             = SCRY__ROPE_DEFAULT,
                                    .theta            = 10000.0,
                                    .factor           = 1.0,
                                    .max_position     = (double)arch->context,
                                    .original         = (double)arch->context,
                                    .attention_factor = 1.0,
                                    .beta_fast        = 32.0,
                                    .beta_slow        = 1.0,
                                    .truncate         = true};
    arch->rope_count = 1;
    status           = number(config, "rotary_emb_base", false, 1.0 + 1e-6, &rope->theta);
    if (!status) status = number(config, "rope_theta", false, 1.0 + 1e-6, &rope->theta);
    if (!status) status = number(at, "rope_theta", false, 1.0 + 1e-6, &rope->theta);
    if (!status) status = read_kind(rope, at);
    if (!status) status = read_dims(rope, arch, config, at);
    if (!status && rope->kind != SCRY__ROPE_DEFAULT) status = read_scaling(rope, config, at);
    if (status) return status;
    /* Some configs leave max_position_embeddings at the length of pre-training. */
    double reach = floor(rope->original * rope->factor);
    if (rope->kind != SCRY__ROPE_LINEAR && reach > (double)arch->context)
        arch->context = (int64_t)fmin(reach, (double)(1 << 28));
    return SCRY_OK;
}
