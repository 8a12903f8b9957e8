/* loss: cross-entropy, or the divergence from a teacher, and its gradients, by tiles of the logits.
 *
 * Rows are taken in blocks and the vocabulary in chunks, so that the logits of a block and a chunk, and with a teacher
 * its own, fill a tile of bounded size. A first walk through the chunks leaves each row's maximum and sum; a second one
 * makes the logits again, unless one chunk holds the whole vocabulary, turns them into their gradients in place and
 * multiplies those with the unembedding and with x. The products are matmul's, whose order of sums does not depend on
 * the threads. */
#include "operand.h"

#include <math.h>
#include <string.h>

enum { TILE_FLOATS = 1 << 20, BLOCK_ROWS = 512, LEAST_ROWS = 48, LINE = 64 };

/* What the chunks so far leave of a row. */
struct row {
    float  max, teacher_max;
    double sum, teacher_sum; /* of exp(logit - max) */
    double divergence;       /* of exp(teacher's logit - its max) * (teacher's logit - logit) */
    double target;           /* the target's logit */
};

struct plan {
    const struct scry__cpu *cpu;
    const scry_loss        *op;
    struct scry__cpu        products; /* the device as matmul sees it: with its tile kernel, whatever was asked for */
    const char             *kernels[SCRY_OP_COUNT];
    int64_t                 rows, size, vocabulary, block, chunk, leading; /* leading size of a tile */
    bool                    teaches, differentiates;
    float                   scale;
    scry_buffer             logits, teacher_logits, x, teacher, staged; /* scratch as matmul's operands */
    struct row             *states;
    void                   *scratch;        /* of the products and sums */
    int64_t                 row, count;     /* the present block */
    int64_t                 entry, entries; /* the present chunk */
};

/* --- operands --- */

/* A contiguous matrix in scratch. */
static scry_tensor matrix(scry_buffer *buffer, int64_t rows, int64_t columns, int64_t leading)
{
    return (scry_tensor){
        .buffer = buffer, .dtype = SCRY_F32, .rank = 2, .shape = {rows, columns}, .stride = {leading, 1}};
}

/* The first axis from `begin` on, `count` of it; an absent tensor stays absent. */
static scry_tensor part_of(scry_tensor x, int64_t begin, int64_t count)
{
    if (!present(&x)) return x;
    x.offset += (size_t)(begin * x.stride[0]) * element_bytes(&x);
    x.shape[0] = count;
    return x;
}

static scry_tensor turned(scry_tensor x)
{
    scry_tensor y = x;
    y.shape[0] = x.shape[1], y.stride[0] = x.stride[1];
    y.shape[1] = x.shape[0], y.stride[1] = x.stride[0];
    return y;
}

/* The products of a block and a chunk. */
static scry_matmul logits_product(struct plan *plan, scry_buffer *x, scry_buffer *logits)
{
    const scry_loss *op = plan->op;
    return (scry_matmul){.a     = matrix(x, plan->count, plan->size, plan->size),
                         .b     = turned(part_of(op->unembedding, plan->entry, plan->entries)),
                         .bias  = part_of(op->bias, plan->entry, plan->entries),
                         .c     = matrix(logits, plan->count, plan->entries, plan->leading),
                         .alpha = plan->scale};
}

static scry_matmul d_x_product(struct plan *plan)
{
    const scry_loss *op = plan->op;
    return (scry_matmul){.a     = matrix(&plan->logits, plan->count, plan->entries, plan->leading),
                         .b     = part_of(op->unembedding, plan->entry, plan->entries),
                         .c     = part_of(op->d_x, plan->row, plan->count),
                         .alpha = plan->scale,
                         .beta  = op->accumulate || plan->entry ? 1 : 0};
}

static scry_matmul d_unembedding_product(struct plan *plan)
{
    const scry_loss *op = plan->op;
    return (scry_matmul){.a     = turned(matrix(&plan->logits, plan->count, plan->entries, plan->leading)),
                         .b     = matrix(&plan->x, plan->count, plan->size, plan->size),
                         .c     = part_of(op->d_unembedding, plan->entry, plan->entries),
                         .alpha = plan->scale,
                         .beta  = op->accumulate || plan->row ? 1 : 0};
}

static scry_sum d_bias_sum(struct plan *plan)
{
    const scry_loss *op = plan->op;
    return (scry_sum){.x          = matrix(&plan->logits, plan->count, plan->entries, plan->leading),
                      .out        = part_of(op->d_bias, plan->entry, plan->entries),
                      .accumulate = op->accumulate || plan->row};
}

/* --- plan --- */

static bool is_odd(const scry_tensor *x)
{
    return present(x) && x->stride[1] != 1;
}

/* Rows of a gradient whose rows are not contiguous pass through scratch, as many at a time. */
static int64_t staged_rows(const struct plan *plan)
{
    return most(1, TILE_FLOATS / most(1, plan->size));
}

static void carve(scry_buffer *buffer, char *base, size_t *used, int64_t floats)
{
    buffer->host = base ? base + *used : NULL;
    *used += (size_t)round_up(floats * 4, LINE);
}

static size_t most_bytes(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What the products need at most: the last block and the last chunk may be smaller than others. */
static size_t product_bytes(struct plan *plan)
{
    const struct scry__cpu *cpu       = &plan->products;
    const scry_loss        *op        = plan->op;
    const int64_t           rows[]    = {plan->block, plan->rows % plan->block};
    const int64_t           entries[] = {plan->chunk, plan->vocabulary % plan->chunk};
    size_t                  bytes     = 0;
    for (int i = 0; i < 4; i++) {
        plan->count = rows[i / 2], plan->entries = entries[i % 2];
        scry_matmul logits = logits_product(plan, &plan->x, &plan->logits);
        bytes              = most_bytes(bytes, scry__cpu_matmul_scratch(cpu, &logits));
        if (present(&op->d_x)) {
            scry_matmul d_x = d_x_product(plan);
            bytes           = most_bytes(bytes, scry__cpu_matmul_scratch(cpu, &d_x));
        }
        if (present(&op->d_unembedding)) {
            scry_matmul d_unembedding = d_unembedding_product(plan);
            bytes                     = most_bytes(bytes, scry__cpu_matmul_scratch(cpu, &d_unembedding));
        }
        if (present(&op->d_bias)) {
            scry_sum d_bias = d_bias_sum(plan);
            bytes           = most_bytes(bytes, scry__cpu_sum_scratch(cpu, &d_bias));
        }
    }
    return bytes;
}

/* Fills the plan, whose products point into itself. Returns the bytes of scratch. */
static size_t prepare(struct plan *plan, const struct scry__cpu *cpu, const scry_loss *op, void *scratch)
{
    size_t used                   = 0;
    *plan                         = (struct plan){.cpu = cpu, .op = op, .products = *cpu};
    plan->rows                    = op->x.shape[0];
    plan->size                    = op->x.shape[1];
    plan->vocabulary              = op->unembedding.shape[0];
    plan->scale                   = op->logit_scale != 0 ? op->logit_scale : 1;
    plan->teaches                 = present(&op->teacher);
    plan->differentiates          = present(&op->d_x) || present(&op->d_unembedding) || present(&op->d_bias);
    plan->kernels[SCRY_OP_MATMUL] = scry__cpu_matmul_kernels()[0];
    plan->products.asked          = plan->kernels;

    /* As many rows as fit beside the whole vocabulary, or as many entries as fit beside a block of rows. */
    int64_t lanes = cpu->kernels->lanes, all = round_up(plan->vocabulary, lanes);
    int64_t rows  = most(LEAST_ROWS, TILE_FLOATS / most(1, plan->size));
    plan->block   = most(1, least(plan->rows, least(rows, most(BLOCK_ROWS, TILE_FLOATS / all))));
    plan->leading = least(all, most(lanes, TILE_FLOATS / plan->block / lanes * lanes));
    plan->chunk   = least(plan->vocabulary, plan->leading);

    bool odd = is_odd(&op->d_x) || is_odd(&op->d_unembedding);
    carve(&plan->logits, scratch, &used, plan->block * plan->leading);
    carve(&plan->teacher_logits, scratch, &used, plan->teaches ? plan->block * plan->leading : 0);
    carve(&plan->x, scratch, &used, plan->block * plan->size);
    carve(&plan->teacher, scratch, &used, plan->teaches ? plan->block * plan->size : 0);
    carve(&plan->staged, scratch, &used, odd ? staged_rows(plan) * plan->size : 0);
    scry_buffer states;
    carve(&states, scratch, &used, plan->block * (int64_t)sizeof *plan->states / 4);
    plan->states  = states.host;
    plan->scratch = scratch ? (char *)scratch + used : NULL;
    return used + product_bytes(plan);
}

size_t scry__cpu_loss_scratch(const struct scry__cpu *cpu, const scry_loss *op)
{
    struct plan plan;
    return prepare(&plan, cpu, op, NULL);
}

/* --- a block of rows, shared by the parts --- */

/* Whether row `row` of the op has a target in the vocabulary, or a teacher. */
static bool counts(const struct plan *plan, int64_t row)
{
    if (plan->teaches) return true;
    int64_t target = index_at(&plan->op->target, row);
    return target >= 0 && target < plan->vocabulary;
}

static void copy_row(const struct plan *plan, const scry_tensor *x, int64_t row, float *to)
{
    const float *from = scry__cpu_gather(plan->cpu, x, row * x->stride[0], x->stride[1], plan->size, to);
    if (from != to) memcpy(to, from, (size_t)plan->size * sizeof *to);
}

/* Rows that do not count are taken as 0, whatever they hold. */
static void begin_part(const void *job, int part, int parts)
{
    const struct plan *plan = job;
    int64_t            i, end;
    scry__cpu_share(plan->count, 1, part, parts, &i, &end);
    for (; i < end; i++) {
        float *x        = (float *)plan->x.host + i * plan->size;
        plan->states[i] = (struct row){.max = -INFINITY, .teacher_max = -INFINITY};
        if (counts(plan, plan->row + i))
            copy_row(plan, &plan->op->x, plan->row + i, x);
        else
            memset(x, 0, (size_t)plan->size * sizeof *x);
        if (plan->teaches)
            copy_row(plan, &plan->op->teacher, plan->row + i, (float *)plan->teacher.host + i * plan->size);
    }
}

/* The chunk's entries of a row, capped, and -inf up to a whole vector; *width counts them all. */
static float *logits_of(const struct plan *plan, const scry_buffer *tile, int64_t i, int64_t *width)
{
    float *logits = (float *)tile->host + i * plan->leading;
    *width        = round_up(plan->entries, plan->cpu->kernels->lanes);
    if (plan->op->softcap > 0) plan->cpu->kernels->score_row(logits, *width, 1, plan->op->softcap);
    for (int64_t j = plan->entries; j < *width; j++) logits[j] = -INFINITY;
    return logits;
}

/* Takes more logits into a maximum and a sum relative to it; returns what earlier sums are to be multiplied by. */
static double take(const struct plan *plan, const float *logits, int64_t width, float *max, double *sum)
{
    const struct scry__cpu_kernels *kernels = plan->cpu->kernels;
    float                           before  = *max;
    *max                                    = fmaxf(before, kernels->max_row(logits, width));
    float  centre                           = *max == -INFINITY ? 0 : *max;
    double rescale                          = before == -INFINITY ? 0 : exp((double)before - (double)centre);
    *sum                                    = *sum * rescale + (double)kernels->sum_exponentials(logits, width, centre);
    return rescale;
}

/* The first walk: a chunk goes into the rows' states. */
static void take_part(const void *job, int part, int parts)
{
    const struct plan *plan = job;
    int64_t            i, end, width;
    scry__cpu_share(plan->count, 1, part, parts, &i, &end);
    for (; i < end; i++) {
        struct row  *state  = &plan->states[i];
        const float *logits = logits_of(plan, &plan->logits, i, &width);
        take(plan, logits, width, &state->max, &state->sum);
        if (plan->teaches) {
            const float *teacher = logits_of(plan, &plan->teacher_logits, i, &width);
            state->divergence *= take(plan, teacher, width, &state->teacher_max, &state->teacher_sum);
            /* Before the teacher has any finite logit there is nothing to diverge from. */
            if (state->teacher_max != -INFINITY)
                state->divergence += (double)plan->cpu->kernels->diverge(teacher, logits, width, state->teacher_max);
        } else if (counts(plan, plan->row + i)) {
            int64_t target = index_at(&plan->op->target, plan->row + i) - plan->entry;
            if (target >= 0 && target < plan->entries) state->target = (double)logits[target];
        }
    }
}

static void store_losses(const struct plan *plan)
{
    const scry_tensor *loss = &plan->op->loss;
    for (int64_t i = 0; present(loss) && i < plan->count; i++) {
        const struct row *state = &plan->states[i];
        double            value = 0;
        if (plan->teaches) {
            value = state->divergence / state->teacher_sum + log(state->sum / state->teacher_sum) +
                    ((double)state->max - (double)state->teacher_max);
            if (value < 0) value = 0;
        } else if (counts(plan, plan->row + i)) {
            value = (double)state->max - state->target + log(state->sum);
        }
        *(float *)element(loss, (plan->row + i) * loss->stride[0]) = (float)value;
    }
}

/* The second walk: logits become their gradients. */
static void differentiate_row(const struct plan *plan, int64_t i, bool capped)
{
    const scry_loss  *op     = plan->op;
    const struct row *state  = &plan->states[i];
    float            *logits = (float *)plan->logits.host + i * plan->leading, *teacher = NULL;
    int64_t           width = round_up(plan->entries, plan->cpu->kernels->lanes);
    if (!capped) logits_of(plan, &plan->logits, i, &width);
    if (plan->teaches) teacher = (float *)plan->teacher_logits.host + i * plan->leading;
    if (plan->teaches && !capped) logits_of(plan, &plan->teacher_logits, i, &width);
    if (!counts(plan, plan->row + i)) {
        memset(logits, 0, (size_t)width * sizeof *logits);
        return;
    }
    int64_t target = plan->teaches ? -1 : index_at(&op->target, plan->row + i) - plan->entry;
    bool    inside = target >= 0 && target < plan->entries;
    float   share  = inside && op->softcap > 0 ? logits[target] / op->softcap : 0;
    plan->cpu->kernels->loss_gradient(
        logits, teacher, width, (struct scry__cpu_normaliser){state->max, (float)state->sum},
        (struct scry__cpu_normaliser){state->teacher_max, (float)state->teacher_sum}, op->factor, op->softcap);
    if (inside) logits[target] -= op->factor * (1 - share * share);
}

static void differentiate_part(const void *job, int part, int parts)
{
    const struct plan *plan = job;
    int64_t            i, end;
    scry__cpu_share(plan->count, 1, part, parts, &i, &end);
    for (; i < end; i++) differentiate_row(plan, i, plan->chunk == plan->vocabulary);
}

/* --- the walks --- */

static void parallel(const struct plan *plan, scry__cpu_work *work, int64_t columns)
{
    double elements = 8 * (double)plan->count * (double)columns;
    scry__cpu_parallel(plan->cpu->pool, scry__cpu_parts(plan->cpu->threads, elements), work, plan);
}

static void make_logits(struct plan *plan)
{
    scry_matmul logits = logits_product(plan, &plan->x, &plan->logits);
    scry__cpu_matmul(&plan->products, &logits, plan->scratch);
    if (!plan->teaches) return;
    scry_matmul teacher = logits_product(plan, &plan->teacher, &plan->teacher_logits);
    scry__cpu_matmul(&plan->products, &teacher, plan->scratch);
}

/* A gradient's product; where the gradient's rows are not contiguous, some of them at a time, in `staged` first. */
static void multiply(struct plan *plan, const scry_matmul *product)
{
    const scry_tensor *out = &product->c;
    if (!is_odd(out)) {
        scry__cpu_matmul(&plan->products, product, plan->scratch);
        return;
    }
    for (int64_t row = 0; row < out->shape[0]; row += staged_rows(plan)) {
        scry_matmul piece = *product;
        int64_t     count = least(staged_rows(plan), out->shape[0] - row);
        piece.a           = part_of(product->a, row, count);
        piece.c           = matrix(&plan->staged, count, plan->size, plan->size);
        piece.beta        = 0;
        scry__cpu_matmul(&plan->products, &piece, plan->scratch);
        for (int64_t i = 0; i < count * plan->size; i++) {
            float *to    = element(out, (row + i / plan->size) * out->stride[0] + i % plan->size * out->stride[1]);
            float  value = ((const float *)plan->staged.host)[i];
            *to          = product->beta != 0 ? *to + value : value;
        }
    }
}

static void multiply_gradients(struct plan *plan)
{
    const scry_loss *op = plan->op;
    if (present(&op->d_bias)) {
        scry_sum d_bias = d_bias_sum(plan);
        scry__cpu_sum(&plan->products, &d_bias, plan->scratch);
    }
    if (present(&op->d_x)) {
        scry_matmul d_x = d_x_product(plan);
        multiply(plan, &d_x);
    }
    if (present(&op->d_unembedding)) {
        scry_matmul d_unembedding = d_unembedding_product(plan);
        multiply(plan, &d_unembedding);
    }
}

static void run_block(struct plan *plan)
{
    parallel(plan, begin_part, plan->size);
    for (plan->entry = 0; plan->entry < plan->vocabulary; plan->entry += plan->chunk) {
        plan->entries = least(plan->chunk, plan->vocabulary - plan->entry);
        make_logits(plan);
        parallel(plan, take_part, plan->entries);
    }
    store_losses(plan);
    for (plan->entry = 0; plan->differentiates && plan->entry < plan->vocabulary; plan->entry += plan->chunk) {
        plan->entries = least(plan->chunk, plan->vocabulary - plan->entry);
        if (plan->chunk < plan->vocabulary) make_logits(plan);
        parallel(plan, differentiate_part, plan->entries);
        multiply_gradients(plan);
    }
}

void scry__cpu_loss(const struct scry__cpu *cpu, const scry_loss *op, void *scratch)
{
    struct plan plan;
    prepare(&plan, cpu, op, scratch);
    /* Without rows there is one block too: gradients of the unembedding are to become 0. */
    for (plan.row = 0; plan.row == 0 || plan.row < plan.rows; plan.row += plan.block) {
        plan.count = least(plan.block, plan.rows - plan.row);
        run_block(&plan);
    }
}
