/* What attention leaves behind besides its output: tiles of scores and probabilities, largest keys, column and diagonal
 * sums. Row statistics are in rows.c. */
#include "attention.h"

#include <math.h>
#include <string.h>

int64_t scry__cpu_attention_slot(const struct scry__cpu_attention *plan, int64_t head)
{
    const uint64_t *heads = plan->op->capture.heads;
    int64_t         slot  = 0;
    if (!plan->selected) return head;
    if (!(heads[head / 64] >> head % 64 & 1)) return -1;
    for (int64_t other = 0; other < head; other++) slot += (int64_t)(heads[other / 64] >> other % 64 & 1);
    return slot;
}

/* The part of a row that lies in a captured tile. */
static void store_tile(const struct scry__cpu_attention *plan, const struct scry__cpu_scores *row,
                       const scry_tensor *out, float factor, float outside)
{
    const scry_attention_capture *capture = &plan->op->capture;
    if (!present(out)) return;
    int64_t slot = scry__cpu_attention_slot(plan, row->head), i = row->query - capture->query_begin;
    if (slot < 0 || i < 0 || i >= out->shape[2]) return;
    int64_t index = row->batch * out->stride[0] + slot * out->stride[1] + i * out->stride[2];
    scry__cpu_scores_store(plan->cpu, row, out, index, out->stride[3], capture->key_begin, out->shape[3], factor,
                           outside);
}

void scry__cpu_capture_scores(const struct scry__cpu_attention *plan, const struct scry__cpu_scores *row, int64_t *top)
{
    store_tile(plan, row, &plan->op->capture.scores, row->scale, -INFINITY);
    if (plan->top) scry__cpu_scores_top(plan->cpu, row, plan->top, top);
}

/* In order of score, in which exp, a rounded function, may swap neighbours by an ulp: sorted again as stored. */
static void store_top(const struct scry__cpu_attention *plan, const struct scry__cpu_scores *row, float factor,
                      int64_t *top)
{
    const scry_tensor *probability = &plan->op->capture.top_probability, *key = &plan->op->capture.top_key;
    float              mass[SCRY_MAX_TOP];
    for (int64_t t = 0; t < plan->top; t++) {
        int64_t this = top[t], place = t;
        float value = this < 0 ? 0 : row->values[this] * factor;
        for (;
             this >= 0 && place > 0 && (mass[place - 1] < value || (mass[place - 1] == value && top[place - 1] > this));
             place--) {
            mass[place] = mass[place - 1];
            top[place]  = top[place - 1];
        }
        mass[place] = value;
        top[place]  = this;
    }
    for (int64_t t = 0; t < plan->top; t++) {
        int64_t p = row->batch * probability->stride[0] + row->head * probability->stride[1] +
                    row->query * probability->stride[2] + t * probability->stride[3];
        int64_t k =
            row->batch * key->stride[0] + row->head * key->stride[1] + row->query * key->stride[2] + t * key->stride[3];
        if (present(probability)) *(float *)element(probability, p) = mass[t];
        if (present(key)) *(int32_t *)element(key, k) = (int32_t)(top[t] < 0 ? -1 : row->begin + top[t]);
    }
}

/* Key j lies at distance position - j, which grows as j falls: sums are kept in the order of keys. */
static void add_distances(const struct scry__cpu_attention *plan, float *sums, const struct scry__cpu_scores *row,
                          float factor)
{
    int64_t position = plan->op->mask.query_offset + row->query;
    int64_t begin    = most(row->begin, position - plan->distances + 1);
    int64_t end      = least(row->begin + row->width, position + 1);
    if (begin < end)
        plan->cpu->kernels->accumulate(sums + plan->distances - 1 - (position - begin),
                                       row->values + begin - row->begin, end - begin, factor);
}

void scry__cpu_capture_row(const struct scry__cpu_attention *plan, struct scry__cpu_attention_space *space,
                           const struct scry__cpu_scores *row, float factor, int64_t *top)
{
    store_tile(plan, row, &plan->op->capture.probabilities, factor, 0);
    if (plan->top) store_top(plan, row, factor, top);
    if (plan->distances) add_distances(plan, space->distance, row, factor);
}

void scry__cpu_sums_begin(const struct scry__cpu_attention *plan, struct scry__cpu_attention_space *space)
{
    memset(space->received, 0, (size_t)(plan->key_panels * plan->width) * sizeof(float));
    memset(space->distance, 0, (size_t)plan->distances * sizeof(float));
}

static void store_sums(const struct scry__cpu_attention *plan, int64_t head, const float *received,
                       const float *distance)
{
    const scry_tensor *x = &plan->op->capture.received, *d = &plan->op->capture.distance;
    int64_t            b = head / plan->heads, h = head % plan->heads;
    for (int64_t j = 0; present(x) && j < plan->keys; j++)
        *(float *)element(x, b * x->stride[0] + h * x->stride[1] + j * x->stride[2]) = received[j];
    for (int64_t n = 0; n < plan->distances; n++)
        *(float *)element(d, b * d->stride[0] + h * d->stride[1] + n * d->stride[2]) =
            distance[plan->distances - 1 - n];
}

void scry__cpu_sums_end(const struct scry__cpu_attention *plan, struct scry__cpu_attention_space *space, int64_t head,
                        bool whole)
{
    if (whole) {
        store_sums(plan, head, space->received, space->distance);
        return;
    }
    struct scry__cpu_shared_head *shared = &space->shared[space->shared[0].head >= 0];
    shared->head                         = head;
    if (present(&plan->op->capture.received))
        memcpy(shared->received, space->received, (size_t)plan->keys * sizeof(float));
    memcpy(shared->distance, space->distance, (size_t)plan->distances * sizeof(float));
}

void scry__cpu_sums_merge(const struct scry__cpu_attention *plan, int parts)
{
    struct scry__cpu_shared_head *sum = NULL;
    for (int part = 0; part < parts; part++)
        for (int i = 0; i < 2; i++) {
            struct scry__cpu_shared_head *next = &scry__cpu_attention_space(plan, part)->shared[i];
            if (next->head < 0) continue;
            if (!sum || sum->head != next->head) {
                if (sum) store_sums(plan, sum->head, sum->received, sum->distance);
                sum = next;
                continue;
            }
            if (present(&plan->op->capture.received))
                plan->cpu->kernels->accumulate(sum->received, next->received, plan->keys, 1);
            plan->cpu->kernels->accumulate(sum->distance, next->distance, plan->distances, 1);
        }
    if (sum) store_sums(plan, sum->head, sum->received, sum->distance);
}
