/* A family as tables: what its config keys are called, what its tensors are called and how they lie.
 *
 * A new family is a new preset, a table of keys and a table of weights; the forward pass stays as it is. */
#ifndef SCRY_MODEL_FAMILY_H
#define SCRY_MODEL_FAMILY_H

#include "model/arch.h"
#include "model/weights.h"

#include <stddef.h>

typedef enum scry__key_type {
    SCRY__KEY_INT,        /* int64_t member, 1 to maximum */
    SCRY__KEY_COUNT,      /* int64_t member, 0 to maximum */
    SCRY__KEY_NUMBER,     /* double member, above 0 */
    SCRY__KEY_BOOL,       /* bool member */
    SCRY__KEY_FEATURE,    /* bool that sets or clears the bits of `features` */
    SCRY__KEY_ACTIVATION, /* string, scry_activation_kind member */
    SCRY__KEY_MUST_BE,    /* bool that has to be `expected` */
} scry__key_type;

/* One key of config.json. A key that is missing or null leaves the preset's value. */
typedef struct scry__config_key {
    const char    *name; /* NULL ends a table */
    scry__key_type type;
    size_t         member; /* offset in scry__arch */
    bool           required;
    int64_t        maximum;
    unsigned       features;
    bool           expected;
} scry__config_key;

#define SCRY__REQUIRED_INT(key, field, most)                                                                           \
    {                                                                                                                  \
        .name = key, .type = SCRY__KEY_INT, .member = offsetof(scry__arch, field), .maximum = most, .required = true   \
    }
#define SCRY__OPTIONAL_INT(key, field, most)                                                                           \
    {                                                                                                                  \
        .name = key, .type = SCRY__KEY_INT, .member = offsetof(scry__arch, field), .maximum = most                     \
    }
#define SCRY__OPTIONAL_COUNT(key, field, most)                                                                         \
    {                                                                                                                  \
        .name = key, .type = SCRY__KEY_COUNT, .member = offsetof(scry__arch, field), .maximum = most                   \
    }
#define SCRY__OPTIONAL(key, kind, field)                                                                               \
    {                                                                                                                  \
        .name = key, .type = SCRY__KEY_##kind, .member = offsetof(scry__arch, field)                                   \
    }
#define SCRY__FEATURE(key, bits)                                                                                       \
    {                                                                                                                  \
        .name = key, .type = SCRY__KEY_FEATURE, .features = bits                                                       \
    }
#define SCRY__MUST_BE(key, value)                                                                                      \
    {                                                                                                                  \
        .name = key, .type = SCRY__KEY_MUST_BE, .expected = value                                                      \
    }

/* Largest sizes that are believed; what a checkpoint really holds is checked tensor by tensor. */
enum { SCRY__MAX_HIDDEN = 1 << 20, SCRY__MAX_VOCABULARY = 1 << 24, SCRY__MAX_CONTEXT = 1 << 28 };

typedef enum scry__dim {
    SCRY__DIM_NONE,
    SCRY__DIM_VOCABULARY,
    SCRY__DIM_CONTEXT,
    SCRY__DIM_HIDDEN,
    SCRY__DIM_QUERY, /* heads x head size */
    SCRY__DIM_KEY,   /* key/value heads x head size */
    SCRY__DIM_QKV,   /* query + 2 key */
    SCRY__DIM_MLP,
    SCRY__DIM_HEAD, /* head size */
} scry__dim;

enum {
    SCRY__RULE_IN_LAYER  = 1 << 0, /* `member` is an offset in scry__layer_weights, and # in the name is the layer */
    SCRY__RULE_SWAP      = 1 << 1, /* stored [out, in] */
    SCRY__RULE_NO_PREFIX = 1 << 2, /* the family's prefix never stands before it */
    SCRY__RULE_SPARE     = 1 << 3, /* ignored where present but not needed */
    SCRY__RULE_SHRUNK    = 1 << 4, /* initialised by 1 / sqrt(2 layers) smaller */
};

/* One tensor, or one per layer. */
typedef struct scry__weight_rule {
    const char *name; /* NULL ends a table */
    size_t      member;
    scry__dim   shape[2]; /* as stored */
    unsigned    flags;
    unsigned    needs; /* SCRY__HAS_* bits without which there is no such tensor */
} scry__weight_rule;

#define SCRY__WEIGHT(field)       .member = offsetof(scry__weights, field)
#define SCRY__LAYER_WEIGHT(field) .member = offsetof(scry__layer_weights, field), .flags = SCRY__RULE_IN_LAYER
#define SCRY__LAYER_OUTPUT(field)                                                                                      \
    .member = offsetof(scry__layer_weights, field), .flags = SCRY__RULE_IN_LAYER | SCRY__RULE_SHRUNK
#define SCRY__LAYER_MATRIX(field)                                                                                      \
    .member = offsetof(scry__layer_weights, field), .flags = SCRY__RULE_IN_LAYER | SCRY__RULE_SWAP

struct scry__family {
    const char              *type;   /* model_type of config.json */
    const char              *prefix; /* before every tensor's name, unless the base model was saved by itself */
    scry__arch               preset;
    const scry__config_key  *keys;
    const scry__weight_rule *weights;
    const char *const       *ignored; /* patterns of tensors that are no weights; NULL ends */
};

extern const scry__family scry__family_gpt2, scry__family_gpt_neox, scry__family_llama, scry__family_mistral,
    scry__family_qwen2, scry__family_qwen3;

#endif
