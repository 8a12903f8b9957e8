/* Training of tiny models: a recipe says what and how, a folder of checkpoints is what comes out. */
#ifndef SCRY_TRAIN_H
#define SCRY_TRAIN_H

#include "scry/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Recipes --- */

/* What is learned from. copy: rows of tokens that repeat a pattern of 3 to 5 tokens, both drawn uniformly, so that the
 * best possible loss is known. text: a file's tokens, by a tokenizer, in rows that begin anywhere. documents: those of
 * a JSON Lines file, whole and in its order, each of which attends to nothing outside itself. X(name, text) */
#define SCRY_TRAIN_DATA_LIST(X)                                                                                        \
    X(COPY, "copy")                                                                                                    \
    X(TEXT, "text")                                                                                                    \
    X(DOCUMENTS, "documents")

/* The architecture. gpt2: learned positions, LayerNorm, tanh-GELU, biases; llama: rotary positions, RMSNorm, gated
 * SiLU. In both the embedding is the unembedding. X(name, text) */
#define SCRY_TRAIN_STYLE_LIST(X)                                                                                       \
    X(GPT2, "gpt2")                                                                                                    \
    X(LLAMA, "llama")

/* AdamW (Loshchilov and Hutter 2019), or SGD with Nesterov momentum. X(name, text) */
#define SCRY_TRAIN_OPTIMISER_LIST(X)                                                                                   \
    X(ADAMW, "adamw")                                                                                                  \
    X(SGD, "sgd")

/* The learning rate behind the warm-up and the steps that hold its peak: it stays, or falls to final_rate at the last
 * step, by a straight line or by half a wave of a cosine. X(name, text) */
#define SCRY_TRAIN_SCHEDULE_LIST(X)                                                                                    \
    X(CONSTANT, "constant")                                                                                            \
    X(LINEAR, "linear")                                                                                                \
    X(COSINE, "cosine")

#define SCRY_TRAIN_DATA_ENUM(name, text)      SCRY_TRAIN_DATA_##name,
#define SCRY_TRAIN_STYLE_ENUM(name, text)     SCRY_TRAIN_STYLE_##name,
#define SCRY_TRAIN_OPTIMISER_ENUM(name, text) SCRY_TRAIN_OPTIMISER_##name,
#define SCRY_TRAIN_SCHEDULE_ENUM(name, text)  SCRY_TRAIN_SCHEDULE_##name,
typedef enum scry_train_data { SCRY_TRAIN_DATA_LIST(SCRY_TRAIN_DATA_ENUM) SCRY_TRAIN_DATA_COUNT } scry_train_data;
typedef enum scry_train_style { SCRY_TRAIN_STYLE_LIST(SCRY_TRAIN_STYLE_ENUM) SCRY_TRAIN_STYLE_COUNT } scry_train_style;
typedef enum scry_train_optimiser {
    SCRY_TRAIN_OPTIMISER_LIST(SCRY_TRAIN_OPTIMISER_ENUM) SCRY_TRAIN_OPTIMISER_COUNT
} scry_train_optimiser;
typedef enum scry_train_schedule {
    SCRY_TRAIN_SCHEDULE_LIST(SCRY_TRAIN_SCHEDULE_ENUM) SCRY_TRAIN_SCHEDULE_COUNT
} scry_train_schedule;
#undef SCRY_TRAIN_DATA_ENUM
#undef SCRY_TRAIN_STYLE_ENUM
#undef SCRY_TRAIN_OPTIMISER_ENUM
#undef SCRY_TRAIN_SCHEDULE_ENUM

/* A recipe is complete: with a device and a seed it fixes every bit of what comes out. Where a size is 0, the comment
 * says what it then is. Strings and the list belong to the recipe: set them by scry_recipe_set. */
typedef struct scry_recipe {
    scry_train_data data;
    char           *text;      /* of data text: a UTF-8 file */
    char           *documents; /* of data documents: a file of lines {"text": T} or {"ids": [..]}, either with
                                  "unscored": N where so many tokens at the start are not to be predicted */
    char  *tokenizer;          /* of both: a tokenizer.json, or a folder that holds one */
    double held_out;           /* share of the tokens or rows, the last ones, that is evaluated on, not trained on */

    scry_train_style style;
    int              layers, heads, kv_heads; /* kv_heads 0: as heads */
    int              hidden, mlp;             /* mlp 0: 4 hidden; llama, which has three matrices: 8/3 hidden, rounded
                                                 up to a multiple of 8 */
    int      context;                         /* most positions; 0: length */
    int      vocabulary;                      /* 0: the tokenizer's; copy: 8 */
    double   initial_deviation;               /* of matrices before training */
    uint64_t seed;                            /* of weights and data */

    int                  steps, batch, length; /* rows in a step, tokens in a row; length 0: 128; copy: 24 */
    scry_train_optimiser optimiser;
    double               rate;         /* the peak, reached after `warmup` steps from 0 */
    int                  warmup, hold; /* steps; it stays at the peak for `hold` of them before the schedule begins */
    scry_train_schedule  schedule;
    double               final_rate;            /* as a share of the peak */
    double               decay;                 /* decoupled weight decay, of the matrices of blocks */
    double               beta1, beta2, epsilon; /* of AdamW */
    double               momentum;              /* of SGD */
    double               clip;                  /* longest gradient, over all parameters together; 0: any */

    int  checkpoint_every; /* steps; 0: only those listed. The last step always has one */
    int *checkpoints;      /* steps, 0 is before training; those past the last are not reached */
    int  checkpoint_count;
    int  evaluate_every;     /* steps; 0: at the last one only */
    int  evaluation_batches; /* fresh or held-out batches that are evaluated on */
} scry_recipe;

/* A new recipe: one that scry has ("copy"), that of a JSON file (its path), or the defaults (NULL). Unknown keys and
 * values out of range are SCRY_BAD_INPUT, with their name. */
SCRY_API scry_status scry_recipe_create(scry_recipe **out, const char *name);
SCRY_API void        scry_recipe_destroy(scry_recipe **recipe);

/* Sets the field of that name, spelled as in a file: "layers" to "4", "style" to "llama", "checkpoints" to "0,1,2,4".
 * Anything else is SCRY_BAD_ARGUMENT, and changes nothing. */
SCRY_API scry_status scry_recipe_set(scry_recipe *recipe, const char *field, const char *value);

/* The learning rate of a step, from 1 to `steps`. */
SCRY_API double scry_recipe_rate(const scry_recipe *recipe, int step);

/* --- Training --- */

/* The mean loss, in nats, on batches that are not trained on. */
typedef struct scry_evaluation {
    int    step;
    double loss, error; /* the sampling error of the mean */
    double best;        /* the best predictor's loss on these very batches; NaN: not known */
} scry_evaluation;

/* How a training went. */
typedef struct scry_training {
    scry_recipe     *recipe; /* complete */
    double           bound;  /* mean loss that no predictor can beat; NaN: not known */
    int              step;   /* the last one done */
    float           *losses; /* [step]: of each step's batch before the step, in nats */
    scry_evaluation *evaluations;
    int              evaluation_count;
} scry_training;

/* What is reported on the way. */
typedef struct scry_train_progress {
    int                    step, steps; /* done, to do; 0: before the first */
    int64_t                tokens;      /* in a step */
    float                  loss;        /* of the step; NaN at 0 */
    const scry_evaluation *evaluation;  /* made behind this step; NULL: none */
    const char            *checkpoint;  /* the folder written behind this step; NULL: none */
} scry_train_progress;

typedef struct scry_train_options {
    const scry_recipe *recipe; /* NULL: with `resume`, the one that the folder's newest checkpoint was made by */
    const char        *output; /* the folder of the checkpoints; it is made where there is none */
    /* Go on behind the folder's newest whole checkpoint, or begin where it has none: the final weights are then, to the
     * bit, those of a run that nothing stopped. Without it a folder that has checkpoints is refused. */
    bool resume;
    /* The step to end behind, with a checkpoint; 0: the recipe's last one. Who resumes goes on from there. */
    int until;
    /* Called after each step where not NULL; false stops, SCRY_STOPPED. */
    bool (*progress)(void *user, const scry_train_progress *progress);
    void *user;
} scry_train_options;

/* Trains by the recipe and writes a checkpoint, folder step-N (zeros before N make names sort as steps), at each step
 * that has one: config.json, model.safetensors and the tokenizer's files, as every command and transformers open them;
 * recipe.json; the state of the training in optimiser.safetensors and training.json; and SHA256SUMS of all these. A
 * checkpoint appears whole or not at all, also where the process is killed; what is left of one that did not is removed
 * by the next run there. One process at a time can train into a folder. */
SCRY_API scry_status scry_train_run(scry_training **out, scry_device *device, const scry_train_options *options);
SCRY_API void        scry_training_destroy(scry_training **training);

/* The newest checkpoint in a folder that is whole, and its step; NULL where there is none. Damaged ones are passed over
 * with a warning in the log. Release *path with scry_free. */
SCRY_API scry_status scry_checkpoint_find(char **path, int *step, const char *folder);

/* How the training that wrote a checkpoint had gone by then. */
SCRY_API scry_status scry_training_read(scry_training **out, const char *checkpoint);

#ifdef __cplusplus
}
#endif
#endif
