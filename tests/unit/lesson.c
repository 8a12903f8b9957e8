/* Batches of fixtures' prompts. See lesson.h. */
#include "lesson.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define MUST(call) cr_assert_eq(call, SCRY_OK, "%s: %s", self->f.name, scry_last_error())

void lesson_open(struct lesson *self, const char *device, const char *name, void (*bend)(scry_model *model),
                 const scry_model_options *options)
{
    const scry_model_options trainable = {.round_rope = true, .trainable = true};
    *self                              = (struct lesson){0};
    fixture_open(&self->f, device, name);
    scry_model_destroy(&self->f.model);
    MUST(scry_model_open(&self->f.model, self->f.device, self->f.path, options ? options : &trainable));
    if (bend) bend(self->f.model);
    self->session = fixture_session(
        &self->f, (scry__session_options){.batch = LESSON_BATCH, .capacity = LESSON_ROWS, .rows = LESSON_ROWS});
    MUST(scry__tape_create(&self->tape, self->session));
    if (self->f.model->options.trainable)
        MUST(scry__weights_mirror(&self->gradients, &self->f.model->weights, self->f.device));
    for (int i = 0; i < LESSON_COUNT; i++) {
        int begin        = i < LESSON_ROWS ? 0 : self->f.id_count - LESSON_ROWS - 1;
        self->ids[i]     = self->f.ids[begin + i % LESSON_ROWS];
        self->targets[i] = self->f.ids[begin + i % LESSON_ROWS + 1];
    }
    self->targets[LESSON_ROWS] = -1;
    MUST(scry_buffer_create(&self->buffer, self->f.device, 2 * sizeof self->targets));
    MUST(scry_buffer_write(self->buffer, 0, self->targets, sizeof self->targets));
}

void lesson_close(struct lesson *self)
{
    scry_buffer_destroy(&self->buffer);
    scry__weights_finish(&self->gradients);
    scry__tape_destroy(&self->tape);
    scry__session_destroy(&self->session);
    fixture_close(&self->f);
}

scry__row_loss lesson_loss(struct lesson *self)
{
    const int64_t  count = LESSON_COUNT;
    scry__row_loss loss  = {.loss   = scry_tensor_of(self->buffer, sizeof self->targets, SCRY_F32, 1, &count),
                            .factor = 1.0f / (LESSON_COUNT - 1)};
    if (self->teacher.buffer)
        loss.teacher = self->teacher;
    else
        loss.target = scry_tensor_of(self->buffer, 0, SCRY_I32, 1, &count);
    return loss;
}

double lesson_mean(struct lesson *self, const scry__hooks *hooks)
{
    scry__row_loss loss = lesson_loss(self);
    float          rows[LESSON_COUNT];
    double         sum = 0;
    fixture_forward(self->session, self->ids, LESSON_ROWS, hooks);
    MUST(scry__session_loss(self->session, &loss));
    MUST(scry_buffer_read(self->buffer, loss.loss.offset, rows, sizeof rows));
    for (int i = 0; i < LESSON_COUNT; i++) sum += rows[i];
    return sum / (LESSON_COUNT - 1);
}

void lesson_backward(struct lesson *self, scry__gradients wanted)
{
    scry__row_loss loss = lesson_loss(self);
    if (self->gradients.buffers) wanted.weights = &self->gradients;
    MUST(scry__tape_forward(self->tape, self->ids, LESSON_ROWS));
    MUST(scry__backward_loss(self->tape, &loss, &wanted));
}

float *lesson_read(const struct lesson *self, const scry_tensor *x)
{
    size_t       bytes  = (size_t)scry_tensor_count(x) * sizeof(float);
    float       *values = malloc(bytes);
    scry_buffer *buffer = NULL;
    MUST(scry_buffer_create(&buffer, self->f.device, bytes));
    scry_tensor dense = scry_tensor_of(buffer, 0, SCRY_F32, x->rank, x->shape);
    MUST(scry_device_run(self->f.device, &(scry_op){.kind = SCRY_OP_COPY, .copy = {.x = *x, .out = dense}}));
    MUST(scry_buffer_read(buffer, 0, values, bytes));
    scry_buffer_destroy(&buffer);
    return values;
}
