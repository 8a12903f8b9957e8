/* Where a backward pass may begin and end, models that it may go through, and what is refused. */
#include "lesson.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MUST(call) cr_assert_eq(call, SCRY_OK, "%s", scry_last_error())

enum { MOST_LAYERS = 8 };

/* Every gradient that is offered. */
struct offers {
    struct lesson *lesson;
    float         *values[SCRY__HOOK_COUNT][MOST_LAYERS];
    size_t         counts[SCRY__HOOK_COUNT];
    int            total;
};

static scry_status keep(void *user, scry__hook hook, int layer, const scry_tensor *gradient)
{
    struct offers *offers       = user;
    offers->counts[hook]        = (size_t)scry_tensor_count(gradient);
    offers->values[hook][layer] = lesson_read(offers->lesson, gradient);
    offers->total++;
    return SCRY_OK;
}

static void offers_free(struct offers *offers)
{
    for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++)
        for (int layer = 0; layer < MOST_LAYERS; layer++) free(offers->values[hook][layer]);
}

/* Everything that `some` has is in `all` to the bit; returns how much that is. */
static int expect_among(const struct offers *some, const struct offers *all)
{
    int found = 0;
    for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++)
        for (int layer = 0; layer < MOST_LAYERS; layer++) {
            if (!some->values[hook][layer]) continue;
            cr_assert(all->values[hook][layer], "%s of layer %d", scry__hook_name((scry__hook)hook), layer);
            cr_expect_arr_eq(some->values[hook][layer], all->values[hook][layer], some->counts[hook] * sizeof(float),
                             "%s of layer %d", scry__hook_name((scry__hook)hook), layer);
            found++;
        }
    return found;
}

/* A copy of values on the device. */
static scry_tensor upload(const struct lesson *l, const float *values, int rank, const int64_t *shape)
{
    scry_buffer *buffer = NULL;
    size_t       bytes  = sizeof(float);
    for (int axis = 0; axis < rank; axis++) bytes *= (size_t)shape[axis];
    MUST(scry_buffer_create(&buffer, l->f.device, bytes));
    MUST(scry_buffer_write(buffer, 0, values, bytes));
    return scry_tensor_of(buffer, 0, SCRY_F32, rank, shape);
}

Test(backward, stream__goes_on_from_a_gradient_that_was_offered)
{
    struct lesson l;
    struct offers whole = {.lesson = &l}, rest = {.lesson = &l};
    lesson_open(&l, "reference", "gpt_neox", NULL, NULL);
    int     last    = (int)l.f.model->arch.layer_count - 1;
    int64_t shape[] = {LESSON_BATCH, LESSON_ROWS, l.f.model->arch.hidden_size};
    lesson_backward(&l, (scry__gradients){.user = &whole, .at = keep});
    scry_tensor d_stream = upload(&l, whole.values[SCRY__HOOK_RESID_POST][last], 3, shape);
    MUST(scry__backward_stream(l.tape, &d_stream, &(scry__gradients){.user = &rest, .at = keep}));
    cr_expect_eq(expect_among(&rest, &whole), whole.total);
    scry_buffer_destroy(&d_stream.buffer);
    offers_free(&whole);
    offers_free(&rest);
    lesson_close(&l);
}

/* The last position's logit of one token less that of another: its gradient in the normed rows is the difference of
 * their unembeddings there. The same from the loss: the gradients of -log p of either token differ by just that, since
 * both lose the same log-sum-exp. */
Test(backward, normed__takes_the_gradient_of_a_logit_difference)
{
    enum { ANSWER = 7, WRONG = 19 };
    struct lesson l;
    struct offers found = {.lesson = &l}, of_answer = {.lesson = &l}, of_wrong = {.lesson = &l};
    lesson_open(&l, "reference", "llama", NULL, NULL);
    size_t  d       = (size_t)l.f.model->arch.hidden_size;
    int64_t shape[] = {LESSON_BATCH, LESSON_ROWS, (int64_t)d};
    float  *table = lesson_read(&l, &l.f.model->weights.unembedding), *rows = calloc(LESSON_COUNT * d, sizeof *rows);
    for (size_t i = 0; i < d; i++) rows[(LESSON_COUNT - 1) * d + i] = table[ANSWER * d + i] - table[WRONG * d + i];
    scry_tensor d_normed = upload(&l, rows, 3, shape);
    MUST(scry__tape_forward(l.tape, l.ids, LESSON_ROWS));
    MUST(scry__backward_normed(l.tape, &d_normed, &(scry__gradients){.user = &found, .at = keep}));
    struct offers *const losses[] = {&of_answer, &of_wrong};
    for (int i = 0; i < 2; i++) {
        int32_t targets[LESSON_COUNT];
        memset(targets, 0xff, sizeof targets);
        targets[LESSON_COUNT - 1] = i ? WRONG : ANSWER;
        MUST(scry_buffer_write(l.buffer, 0, targets, sizeof targets));
        scry__row_loss loss = lesson_loss(&l);
        loss.factor         = 1.0f;
        MUST(scry__backward_loss(l.tape, &loss, &(scry__gradients){.user = losses[i], .at = keep}));
    }
    for (size_t i = 0; i < found.counts[SCRY__HOOK_RESID_PRE]; i++) {
        double expected =
            (double)of_wrong.values[SCRY__HOOK_RESID_PRE][0][i] - of_answer.values[SCRY__HOOK_RESID_PRE][0][i];
        cr_assert_float_eq(found.values[SCRY__HOOK_RESID_PRE][0][i], expected, 2e-6, "entry %zu", i);
    }
    for (int i = 0; i < 2; i++) offers_free(losses[i]);
    offers_free(&found);
    scry_buffer_destroy(&d_normed.buffer);
    free(rows);
    free(table);
    lesson_close(&l);
}

Test(backward, first_layer__ends_the_pass)
{
    struct lesson l;
    struct offers whole = {.lesson = &l}, some = {.lesson = &l};
    lesson_open(&l, "reference", "gpt2", NULL, NULL);
    lesson_backward(&l, (scry__gradients){.user = &whole, .at = keep});
    scry_tensor embeddings = l.gradients.embedding, clear = l.gradients.embedding;
    MUST(scry_device_run(l.f.device, &(scry_op){.kind = SCRY_OP_FILL, .fill = {.out = clear}}));
    l.gradients.unembedding = (scry_tensor){0}; /* tied */
    lesson_backward(&l, (scry__gradients){.user = &some, .at = keep, .first_layer = 1});
    cr_expect_eq(expect_among(&some, &whole) * 3, whole.total * 2);
    for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++) cr_expect_null(some.values[hook][0]);
    float *values = lesson_read(&l, &embeddings);
    for (int64_t i = 0; i < scry_tensor_count(&embeddings); i++) cr_assert_eq(values[i], 0.0f);
    free(values);
    offers_free(&whole);
    offers_free(&some);
    lesson_close(&l);
}

/* Half-precision weights as they are stored, and layers that take turns, give what a trainable copy gives; and so does
 * a second backward pass, which finds the first layers where the last ones were. */
Test(backward, stored_weights__give_the_same_bits)
{
    static const struct {
        const char *name;
        bool        streamed;
    } cases[] = {{"llama_f16", false},
                 {"llama_bf16", false},
                 {"gpt_neox_serial", false},
                 {"llama_sharded", true},
                 {"gpt2", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lesson      l;
        struct offers      whole = {.lesson = &l}, found = {.lesson = &l}, again = {.lesson = &l};
        scry_model_options options = {.round_rope = true};
        lesson_open(&l, "reference", cases[i].name, NULL, NULL);
        lesson_backward(&l, (scry__gradients){.user = &whole, .at = keep});
        if (cases[i].streamed) options.weight_memory = scry_model_get_info(l.f.model)->weight_bytes - 1;
        lesson_close(&l);
        lesson_open(&l, "reference", cases[i].name, NULL, &options);
        cr_expect_eq(scry_model_get_info(l.f.model)->streamed, cases[i].streamed);
        lesson_backward(&l, (scry__gradients){.user = &found, .at = keep});
        scry__row_loss loss = lesson_loss(&l);
        MUST(scry__backward_loss(l.tape, &loss, &(scry__gradients){.user = &again, .at = keep}));
        cr_expect_eq(expect_among(&found, &whole), whole.total, "%s", cases[i].name);
        cr_expect_eq(expect_among(&again, &whole), whole.total, "%s, again", cases[i].name);
        offers_free(&whole);
        offers_free(&found);
        offers_free(&again);
        lesson_close(&l);
    }
}

/* All gradients of the weights, to be freed. */
static float *all_gradients(struct lesson *l, const char *device, const char *name, size_t *count)
{
    lesson_open(l, device, name, NULL, NULL);
    lesson_backward(l, (scry__gradients){0});
    *count        = scry_buffer_size(l->gradients.buffers[0]) / sizeof(float);
    float *values = malloc(*count * sizeof *values);
    MUST(scry_buffer_read(l->gradients.buffers[0], 0, values, *count * sizeof *values));
    lesson_close(l);
    return values;
}

Test(backward, parameters__have_the_same_gradients_on_cpu)
{
    static char names[FIXTURE_MAX][64];
    int         fixtures = fixture_names(names);
    for (int i = 0; i < fixtures; i++) {
        struct lesson l;
        size_t        count;
        float        *expected = all_gradients(&l, "reference", names[i], &count);
        float        *found    = all_gradients(&l, "cpu", names[i], &count);
        double        largest  = 0;
        for (size_t n = 0; n < count; n++) largest = fmax(largest, fabs((double)expected[n]));
        double difference = largest_difference(found, expected, count) / largest;
        cr_expect(difference <= 1e-5, "%s: gradients differ by %g of the largest", names[i], difference);
        free(expected);
        free(found);
    }
}

static void check_tape(const char *device, const char *name)
{
    struct lesson l;
    lesson_open(&l, device, name, NULL, NULL);
    fixture_forward(l.session, l.ids, LESSON_ROWS, NULL);
    float *plain = fixture_logits(&l.f, l.session, LESSON_BATCH, 0, LESSON_ROWS);
    MUST(scry__tape_forward(l.tape, l.ids, LESSON_ROWS));
    float *kept  = fixture_logits(&l.f, l.session, LESSON_BATCH, 0, LESSON_ROWS);
    size_t count = LESSON_COUNT * (size_t)l.f.model->arch.vocabulary;
    cr_expect_eq(memcmp(plain, kept, count * sizeof(float)), 0, "%s on %s", name, device);
    free(plain);
    free(kept);
    lesson_close(&l);
}

Test(backward, tape__changes_no_bit_of_the_pass)
{
    fixture_for_all(check_tape);
}

Test(backward, misuse__is_refused)
{
    struct lesson l;
    scry__tape   *tape = NULL;
    scry_tensor   any  = {0};
    lesson_open(&l, "reference", "llama", NULL, NULL);
    scry__session *caching = fixture_session(&l.f, (scry__session_options){.capacity = 4, .keep_cache = true});
    cr_expect_eq(scry__tape_create(&tape, caching), SCRY_BAD_ARGUMENT);
    cr_expect_null(tape);
    cr_expect_eq(scry__backward_stream(l.tape, &any, &(scry__gradients){0}), SCRY_BAD_ARGUMENT, "nothing is kept");
    cr_expect(strstr(scry_last_error(), "no forward pass"), "%s", scry_last_error());
    MUST(scry__tape_forward(l.tape, l.ids, LESSON_ROWS));
    cr_expect_eq(scry__backward_stream(l.tape, &any, &(scry__gradients){.first_layer = 2}), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__backward_stream(l.tape, &any, &(scry__gradients){.first_layer = -1}), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__tape_forward(l.tape, l.ids, LESSON_ROWS + 1), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry__backward_normed(l.tape, &any, &(scry__gradients){0}), SCRY_BAD_ARGUMENT, "that pass has failed");
    scry__session_destroy(&caching);
    lesson_close(&l);
}
