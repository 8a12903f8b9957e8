/* A learner: steps of gradient descent on the weights of a trainable model. Nothing in it is random: the same model,
 * batches and rates on the same device give the same bits. */
#ifndef SCRY_TRAIN_LEARNER_H
#define SCRY_TRAIN_LEARNER_H

#include "scry/model.h"

typedef enum scry__optimiser { SCRY__OPTIMISER_ADAMW, SCRY__OPTIMISER_SGD } scry__optimiser;

typedef struct scry__learner_options {
    int             batch, rows; /* of each step: sequences, and tokens of each */
    scry__optimiser optimiser;
    double          beta1, beta2; /* adamw; 0: 0.9 and 0.999 */
    double          epsilon;      /* adamw; 0: 1e-8 */
    double          momentum;     /* sgd */
    bool            nesterov;     /* sgd */
    /* Of weights, see scry_adamw and scry_sgd. Only the matrices of blocks and an unembedding of its own decay, as is
     * customary: not embeddings (a tied one neither), norms and biases. */
    double decay;
    /* Gradients whose norm, over all parameters together, is larger are scaled down to it; 0: never. */
    double clip;
    /* Parameters that stay as they are: glob patterns of names, NULL at the end; NULL: none. */
    const char *const *frozen;
} scry__learner_options;

/* A tensor of the checkpoint. All are contiguous f32 of the stored shape, on the model's device; absent are the
 * gradient and the moments of what is frozen, and moments that the optimiser has not (sgd: `first` is the velocity,
 * where there is momentum). Gradients are those of the last step, before clipping. */
typedef struct scry__parameter {
    const char *name; /* the model's */
    bool        decays;
    scry_tensor value, gradient, first, second;
} scry__parameter;

typedef struct scry__learner scry__learner;

/* `model` is open with `trainable`, and outlives the learner. Frozen patterns that no parameter has are refused. */
scry_status scry__learner_create(scry__learner **out, scry_model *model, const scry__learner_options *options);
void        scry__learner_destroy(scry__learner **learner);

/* Where each row's attention begins in the passes to come, [batch, rows]: row r of a sequence sees begins[r] to r, so
 * that several documents in it stay apart. Each is 0 to r. NULL: at 0. */
scry_status scry__learner_set_begins(scry__learner *learner, const int32_t *begins);

/* One step: ids and targets are [batch, rows]; a target of -1 does not count, and one at least has to count. *loss,
 * optional, is the mean over what counts before the step, in nats. SCRY_CHECK_FAILED where the loss or the gradient is
 * not finite: no parameter is changed then. */
scry_status scry__learner_step(scry__learner *learner, const int32_t *ids, const int32_t *targets, double rate,
                               float *loss);

/* The loss without a step. `by_row` [batch, rows], optional, gets each row's (0 where it does not count). */
scry_status scry__learner_loss(scry__learner *learner, const int32_t *ids, const int32_t *targets, float *loss,
                               float *by_row);

/* The gradient's norm at the last step, before clipping. */
double scry__learner_gradient_norm(const scry__learner *learner);

/* For checkpoints: every parameter, by name in ascending order, and the number of steps taken. To go on from one, write
 * the values and moments, and set the steps. */
int                    scry__learner_parameter_count(const scry__learner *learner);
const scry__parameter *scry__learner_parameter(const scry__learner *learner, int index);
const scry__parameter *scry__learner_find(const scry__learner *learner, const char *name); /* NULL: none */
int64_t                scry__learner_steps(const scry__learner *learner);
void                   scry__learner_set_steps(scry__learner *learner, int64_t steps);

#endif
