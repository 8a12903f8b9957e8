/* A fixture's checkpoint opened to be trained, with a batch of its prompt: for tests of gradients and of training. */
#ifndef TESTS_UNIT_LESSON_H
#define TESTS_UNIT_LESSON_H

#include "fixture.h"
#include "model/backward.h"
#include "model/model.h"

enum { LESSON_BATCH = 2, LESSON_ROWS = 8, LESSON_COUNT = LESSON_BATCH * LESSON_ROWS };

struct lesson {
    struct fixture f;
    scry__session *session;
    scry__tape    *tape;
    scry__weights  gradients;
    int32_t        ids[LESSON_COUNT], targets[LESSON_COUNT]; /* the second sequence's first target is none */
    scry_buffer   *buffer;                                   /* of targets, then of losses */
    scry_tensor    teacher;                                  /* [LESSON_COUNT, d], in place of targets where present */
};

/* `bend`, optional, changes the model before it is used. `options` NULL: it is trainable; `gradients` are there only
 * then. Each fails the test where a call fails. */
void lesson_open(struct lesson *self, const char *device, const char *name, void (*bend)(scry_model *model),
                 const scry_model_options *options);
void lesson_close(struct lesson *self);

/* The batch's loss: of the mean over what counts. */
scry__row_loss lesson_loss(struct lesson *self);

/* The mean loss of a pass with these hooks, of rows as the device left them, added up in double. */
double lesson_mean(struct lesson *self, const scry__hooks *hooks);

/* Sets the gradients of the mean loss; `wanted` may ask for more. */
void lesson_backward(struct lesson *self, scry__gradients wanted);

/* The values of a tensor of any strides, to be freed. */
float *lesson_read(const struct lesson *self, const scry_tensor *x);

#endif
