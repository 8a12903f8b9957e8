/* Steering: a vector added to the residual stream at one layer while a prompt is continued, at several strengths side
 * by side, and what that does to the prediction.
 *
 * The vector is the difference of the stream between prompts, or the caller's. Beside what it does stands what random
 * vectors of the same length do. docs/definitions.md has the formulas. */
#ifndef SCRY_STEER_H
#define SCRY_STEER_H

#include "scry/edit.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the vector is taken and added. X(name, text) */
#define SCRY_STEER_SITE_LIST(X)                                                                                        \
    X(RESID_POST, "resid_post") /* behind the layer */                                                                 \
    X(RESID_PRE, "resid_pre")   /* before it */

typedef enum scry_steer_site {
#define SCRY_STEER_SITE_ENUM(name, text) SCRY_STEER_SITE_##name,
    SCRY_STEER_SITE_LIST(SCRY_STEER_SITE_ENUM)
#undef SCRY_STEER_SITE_ENUM
        SCRY_STEER_SITE_COUNT
} scry_steer_site;

/* What of a prompt's stream the vector is made of. X(name, text) */
#define SCRY_STEER_POOL_LIST(X)                                                                                        \
    X(LAST, "last") /* its last position */                                                                            \
    X(MEAN, "mean") /* the mean over its positions, those of special tokens (BOS) left out */

typedef enum scry_steer_pool {
#define SCRY_STEER_POOL_ENUM(name, text) SCRY_STEER_POOL_##name,
    SCRY_STEER_POOL_LIST(SCRY_STEER_POOL_ENUM)
#undef SCRY_STEER_POOL_ENUM
        SCRY_STEER_POOL_COUNT
} scry_steer_pool;

/* The positions at which it is added. X(name, text) */
#define SCRY_STEER_REACH_LIST(X)                                                                                       \
    X(ALL, "all")             /* those of the prompt and those generated */                                            \
    X(PROMPT, "prompt")       /* those of the prompt */                                                                \
    X(LAST, "last")           /* the prompt's last alone */                                                            \
    X(GENERATED, "generated") /* those generated alone: the first prediction is not steered */                         \
    X(RANGE, "range")         /* those of scry_steer_options.positions */

typedef enum scry_steer_reach {
#define SCRY_STEER_REACH_ENUM(name, text) SCRY_STEER_REACH_##name,
    SCRY_STEER_REACH_LIST(SCRY_STEER_REACH_ENUM)
#undef SCRY_STEER_REACH_ENUM
        SCRY_STEER_REACH_COUNT
} scry_steer_reach;

SCRY_API const char *scry_steer_site_text(scry_steer_site site);
SCRY_API const char *scry_steer_pool_text(scry_steer_pool pool);
SCRY_API const char *scry_steer_reach_text(scry_steer_reach reach);

/* A prompt that a vector is made of. */
typedef struct scry_steer_prompt {
    const char    *text;
    const int32_t *ids; /* where text is NULL */
    int            id_count;
} scry_steer_prompt;

typedef struct scry_steer_options {
    const int32_t           *ids; /* the prompt that is continued where text is NULL */
    int                      id_count;
    const float             *vector;       /* [hidden_size]; NULL: the mean of `plus` less the mean of `minus` */
    const scry_steer_prompt *plus, *minus; /* each at least one where there is no vector */
    int                      plus_count, minus_count;
    scry_steer_pool          pool;
    int                      layer;
    scry_steer_site          site;
    bool             normalise; /* make the vector as long as the stream is there at the prompt's last position */
    const float     *strengths; /* its factors; NULL: 1, 2 and 4. Of 0: nothing is added */
    int              strength_count;
    scry_steer_reach reach;
    scry_range       positions; /* of RANGE; {4, 0}: from 4 on, those generated too */
    int              top;       /* tokens that rise, and that fall; 0: 5 */
    uint64_t         seed;      /* of the random vectors */
    /* How it is continued; NULL: by its defaults. The prompt and on_step are not used; its edits are made in every run,
     * before the vector is added. */
    const scry_generation_options *generation;
    bool (*progress)(void *user, int64_t done, int64_t total); /* false stops: SCRY_STOPPED */
    void *user;
} scry_steer_options;

/* A token's probability without the vector and with it. */
typedef struct scry_shift {
    int32_t id;
    float   before, after;
    char   *text; /* for display */
} scry_shift;

/* A run at one strength. What is compared with the run without the vector is the first prediction that it reaches. */
typedef struct scry_steered {
    float            strength;
    float            kl;        /* KL(without || with), nats; NaN where no prediction was reached */
    float            random_kl; /* the same of random vectors as long as this one, their mean */
    int              rise_count, fall_count;
    scry_shift      *rises, *falls; /* those whose probability changes most, the largest change first */
    scry_generation *generation;
} scry_steered;

typedef struct scry_odds {
    float logit, probability;
} scry_odds;

/* A token at every strength: that prediction's numbers of it, also with random vectors as long. */
typedef struct scry_followed {
    int32_t    id;
    char      *text; /* for display */
    scry_odds  plain;
    scry_odds *steered; /* [count] */
    scry_odds *random;  /* [count, random_count] */
} scry_followed;

typedef struct scry_steering {
    int              layer;
    scry_steer_site  site;
    scry_steer_reach reach;
    scry_range       positions; /* where it is added; {4, 0}: from 4 on */
    int              size;      /* hidden_size */
    float           *vector;    /* [size]: what strength 1 adds */
    double           length;    /* of the vector */
    double           stream;    /* length of the stream there at the prompt's last position */
    int              step;      /* of the generation: whose prediction is compared, 0 or 1 */
    scry_generation *plain;     /* without the vector */
    int              count;
    scry_steered    *runs; /* in the order of the strengths */
    int              random_count;
    float           *random_kls; /* [count, random_count], whose means the runs have; NULL: no prediction was reached */
    int              followed_count;
    scry_followed   *followed; /* `top` tokens that rise most at any strength, and as many that fall: the largest change
                                  first */
} scry_steering;

SCRY_API scry_status scry_steer(scry_steering **out, scry_model *model, const char *text,
                                const scry_steer_options *options);
SCRY_API void        scry_steering_destroy(scry_steering **steering);

#ifdef __cplusplus
}
#endif
#endif
