/* Models: a checkpoint directory opened on a device, its tokenizer, and generation.
 *
 * A checkpoint is a directory as Hugging Face `save_pretrained` writes it: config.json, model.safetensors (or its
 * sharded index), and tokenizer.json where text is wanted. Weights are mapped, not read, and checked before use. */
#ifndef SCRY_MODEL_H
#define SCRY_MODEL_H

#include "scry/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Tokenizer --- */

/* Never changes once it is open, so that threads may share one. */
typedef struct scry_tokenizer scry_tokenizer;

/* Opens a tokenizer.json (a file, or a directory that holds one). */
SCRY_API scry_status scry_tokenizer_open(scry_tokenizer **out, const char *path);
SCRY_API void        scry_tokenizer_destroy(scry_tokenizer **tokenizer);
SCRY_API int         scry_tokenizer_vocabulary(const scry_tokenizer *tokenizer); /* ids are 0 .. this-1 */

/* Text (UTF-8, `size` bytes) to ids. `special` inserts what the post-processor inserts, such as BOS, once. *ids is
 * allocated; release it with scry_free. Invalid UTF-8 is SCRY_BAD_ARGUMENT with its byte offset. */
SCRY_API scry_status scry_tokenizer_encode(const scry_tokenizer *tokenizer, const char *text, size_t size, bool special,
                                           int32_t **ids, int *count);

/* Ids to text, NUL-terminated (*size, optional, excludes the NUL); release with scry_free. Bytes are joined across
 * tokens; bytes that form no UTF-8 become U+FFFD. `special` keeps special tokens' text. Ids from 0 on that no token has
 * are left out (embeddings are often padded past the vocabulary); negative ones are SCRY_BAD_ARGUMENT. */
SCRY_API scry_status scry_tokenizer_decode(const scry_tokenizer *tokenizer, const int32_t *ids, int count, bool special,
                                           char **text, size_t *size);

/* The bytes that one token stands for (never `Ġ` or `▁`, but possibly part of a UTF-8 character); owned by the
 * tokenizer. NULL for an id that no token has. */
SCRY_API const char *scry_tokenizer_bytes(const scry_tokenizer *tokenizer, int32_t id, size_t *size);

/* True for added tokens marked special (BOS, padding, ...). */
SCRY_API bool scry_tokenizer_is_special(const scry_tokenizer *tokenizer, int32_t id);

/* --- Model --- */

typedef struct scry_model scry_model;

typedef struct scry_model_options {
    bool round_rope; /* round RoPE's inverse frequencies to f32, as transformers does; the default (false) keeps f64 */
    /* Most bytes of device memory for weights; 0: what a discrete GPU has, less an eighth, and no limit elsewhere.
     * Where all weights take more, the layers' are streamed: uploaded layer by layer in every pass, two layers at a
     * time. */
    uint64_t weight_memory;
    /* The checkpoint's random twin instead: the same architecture as it is before training, drawn anew. Matrices are
     * normal with the config's initializer_range (0.02 where it has none; GPT-2's outputs of blocks smaller by
     * sqrt(2 layers)), norm weights multiply by 1, biases are 0; dtypes are those stored, f32 where the directory holds
     * no weights. The same seed gives the same bits on every machine. */
    bool     random_init;
    uint64_t random_seed;
    /* For training: the weights are copied into memory of the device's own as f32, whatever is stored, where they may
     * change. They are never streamed. */
    bool trainable;
} scry_model_options;

typedef struct scry_model_info {
    const char *family; /* "gpt2", "llama", ... */
    const char *path;
    int         layer_count, head_count, kv_head_count, head_size, hidden_size, mlp_size, vocabulary, context;
    scry_dtype  weight_dtype; /* of the embedding */
    int64_t     parameter_count;
    uint64_t    weight_bytes;
    bool        streamed;    /* layers' weights take turns in the device's memory */
    bool        random_init; /* the checkpoint's random twin, of this seed */
    uint64_t    random_seed;
} scry_model_info;

/* Opens a checkpoint directory on a device, which must outlive the model. options may be NULL. A missing tokenizer.json
 * is no error until text is used. */
SCRY_API scry_status            scry_model_open(scry_model **out, scry_device *device, const char *path,
                                                const scry_model_options *options);
SCRY_API void                   scry_model_destroy(scry_model **model);
SCRY_API const scry_model_info *scry_model_get_info(const scry_model *model);
SCRY_API scry_device           *scry_model_device(const scry_model *model);

/* The model's tokenizer, owned by the model; NULL (and the detail set) where it has none. */
SCRY_API const scry_tokenizer *scry_model_tokenizer(scry_model *model);

/* --- Prompts --- */

/* A prompt is text, or ids where text is NULL. */
typedef struct scry_tokens {
    int      count;
    int32_t *ids;
    char **texts; /* each token's text, printable UTF-8 for display ("<0xE2>" for a lone byte); "5" without tokenizer */
} scry_tokens;

/* Tokenizes `text` (BOS and the like inserted) or takes `ids`; refuses ids outside the vocabulary, empty prompts and
 * prompts past the context, saying where. */
SCRY_API scry_status scry_tokens_create(scry_tokens **out, scry_model *model, const char *text, const int32_t *ids,
                                        int id_count);
SCRY_API void        scry_tokens_destroy(scry_tokens **tokens);

/* A token that is asked about: the one that the whole of `text` is, else `id` where has_id. All zero: none. */
typedef struct scry_token_choice {
    const char *text;
    int32_t     id;
    bool        has_id;
} scry_token_choice;

/* One token's text for display, as in scry_tokens; release with scry_free. */
SCRY_API scry_status scry_token_text(scry_model *model, int32_t id, char **text);

/* --- Generation --- */

typedef struct scry_candidate {
    int32_t id;
    float   logit, probability;
    char   *text; /* for display */
} scry_candidate;

/* Whether a distribution leaves a choice, by its number of choices exp(entropy): too sure below 1.01, where one token
 * takes all but about a thousandth; too flat above the square root of the vocabulary, as if any of that many tokens
 * were equally good. X(name, text) */
#define SCRY_SURENESS_LIST(X)                                                                                          \
    X(USUAL, "usual")                                                                                                  \
    X(TOO_SURE, "too sure")                                                                                            \
    X(TOO_FLAT, "too flat")

typedef enum scry_sureness {
#define SCRY_SURENESS_ENUM(name, text) SCRY_SURENESS_##name,
    SCRY_SURENESS_LIST(SCRY_SURENESS_ENUM)
#undef SCRY_SURENESS_ENUM
        SCRY_SURENESS_COUNT
} scry_sureness;

SCRY_API const char   *scry_sureness_text(scry_sureness sureness);
SCRY_API scry_sureness scry_sureness_of(float entropy, int vocabulary);

/* A step's distribution at another temperature: softmax(logits / temperature). */
typedef struct scry_tempered {
    float         temperature;
    float         entropy; /* nats */
    scry_sureness sureness;
    float        *probabilities; /* of the step's `top` */
} scry_tempered;

typedef struct scry_step {
    scry_candidate  chosen; /* text is its own copy */
    scry_candidate *top;    /* `top_count`, largest first; probabilities at temperature 1 */
    float           entropy, lse;
    scry_sureness   sureness;
    scry_tempered  *tempered; /* `temperature_count`, in the order of the options */
} scry_step;

enum { SCRY_MAX_TEMPERATURES = 8 };

typedef struct scry_generation_options {
    const int32_t *ids; /* the prompt where text is NULL */
    int            id_count;
    int            max_tokens;  /* 0: 20 */
    int            top;         /* candidates per step, as many as the vocabulary has; 0: 5 */
    float          temperature; /* 0: greedy */
    uint64_t       seed;
    bool           ignore_end;        /* go on past the end-of-text token */
    const float   *temperatures;      /* at which each step's distribution is given besides; NULL: none */
    int            temperature_count; /* at most SCRY_MAX_TEMPERATURES */
    /* Made in every pass, see scry/edit.h; NULL: none. What names no positions holds for those generated too. */
    const struct scry_edits *edits;
    /* Called after each step where not NULL; false stops. */
    bool (*on_step)(void *user, const scry_step *step);
    void *user;
} scry_generation_options;

typedef struct scry_generation {
    scry_tokens *prompt;
    int          step_count, top_count, temperature_count;
    scry_step   *steps;
    char        *text;        /* decoded continuation */
    const char  *stop_reason; /* "length", "end of text", "context", "caller", or "not finite": the logits were */
} scry_generation;

SCRY_API scry_status scry_generate(scry_generation **out, scry_model *model, const char *text,
                                   const scry_generation_options *options);
SCRY_API void        scry_generation_destroy(scry_generation **generation);

#ifdef __cplusplus
}
#endif
#endif
