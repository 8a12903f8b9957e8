/* Rows of scores. See rows.h. */
#include "rows.h"

#include <math.h>
#include <string.h>

struct scry__cpu_view scry__cpu_view_of(const scry_mask *mask, int64_t batch, int64_t query, int64_t keys)
{
    int64_t position = mask->query_offset + query, begin = 0, end = keys, low = 0, high = keys;
    if (present(&mask->key_begin)) begin = most(begin, index_at(&mask->key_begin, batch));
    if (present(&mask->key_end)) end = least(end, index_at(&mask->key_end, batch));
    if (mask->causal) high = least(high, position + 1);
    if (mask->window > 0) low = most(low, position - mask->window + 1);
    int64_t prefix = most(0, mask->prefix);
    /* The exempt prefix, then what causal and window leave behind it. */
    struct scry__cpu_view view = {{begin, most(begin, most(low, prefix))}, {least(prefix, end), least(high, end)}};
    for (int part = 0; part < 2; part++)
        if (view.end[part] <= view.begin[part]) view.begin[part] = view.end[part] = 0;
    return view;
}

static bool is_empty(const struct scry__cpu_view *view, int part)
{
    return view->begin[part] == view->end[part];
}

int64_t scry__cpu_view_first(const struct scry__cpu_view *view)
{
    return is_empty(view, 0) ? view->begin[1] : view->begin[0];
}

int64_t scry__cpu_view_last(const struct scry__cpu_view *view)
{
    return is_empty(view, 1) ? view->end[0] : view->end[1];
}

static void fill(float *values, int64_t begin, int64_t end, float value)
{
    for (int64_t i = begin; i < end; i++) values[i] = value;
}

static void add_additive(const scry_tensor *additive, const struct scry__cpu_scores *row, int64_t begin, int64_t end)
{
    int64_t index = row->batch * additive->stride[0] + row->head * additive->stride[1] +
                    row->query * additive->stride[2] + begin * additive->stride[3];
    float *values = row->values + begin - row->begin;
    for (int64_t i = 0; i < end - begin; i++) {
        float bias = *(const float *)element(additive, index + i * additive->stride[3]);
        values[i]  = bias == -INFINITY ? -INFINITY : values[i] + bias;
    }
}

void scry__cpu_scores_mask(const scry_mask *mask, struct scry__cpu_scores *row)
{
    int64_t done = 0;
    for (int part = 0; part < 2; part++) {
        if (is_empty(&row->view, part)) continue;
        int64_t begin = row->view.begin[part], end = row->view.end[part];
        fill(row->values, done, begin - row->begin, -INFINITY);
        if (present(&mask->additive)) add_additive(&mask->additive, row, begin, end);
        done = end - row->begin;
    }
    fill(row->values, done, row->width, -INFINITY);
}

void scry__cpu_scores_top(const struct scry__cpu *cpu, const struct scry__cpu_scores *row, int64_t count,
                          int64_t *indices)
{
    const float *values = row->values;
    int64_t      kept   = 0;
    float        bound  = -INFINITY;
    for (int64_t i = cpu->kernels->find(values, 0, row->width, bound, false); i < row->width;
         i         = cpu->kernels->find(values, i + 1, row->width, bound, false)) {
        /* Behind all that are as large: those have lower keys. */
        int64_t place = kept < count ? kept++ : count - 1;
        for (; place > 0 && values[indices[place - 1]] < values[i]; place--) indices[place] = indices[place - 1];
        indices[place] = i;
        if (kept == count) bound = values[indices[count - 1]];
    }
    for (; kept < count; kept++) indices[kept] = -1;
}

static void put(const scry_tensor *x, const struct scry__cpu_scores *row, float value)
{
    if (!present(x)) return;
    *(float *)element(x, row->batch * x->stride[0] + row->head * x->stride[1] + row->query * x->stride[2]) = value;
}

static void put_index(const scry_tensor *x, const struct scry__cpu_scores *row, int64_t value)
{
    if (!present(x)) return;
    int64_t index                 = row->batch * x->stride[0] + row->head * x->stride[1] + row->query * x->stride[2];
    *(int32_t *)element(x, index) = (int32_t)value;
}

/* The probability of a key that may lie outside the row. */
static float mass_of(const struct scry__cpu_scores *row, int64_t key, float factor)
{
    int64_t i = key - row->begin;
    return key >= 0 && i >= 0 && i < row->width ? row->values[i] * factor : 0;
}

/* Index of the row's first largest score, or -1. */
static int64_t first_largest(const struct scry__cpu *cpu, const struct scry__cpu_scores *row)
{
    float max = cpu->kernels->max_row(row->values, row->width);
    return max == -INFINITY ? -1 : cpu->kernels->find(row->values, 0, row->width, max, true);
}

float scry__cpu_scores_softmax(const struct scry__cpu *cpu, const scry_mask *mask,
                               const scry_row_statistics *statistics, struct scry__cpu_scores *row)
{
    int64_t best = -1, position = mask->query_offset + row->query;
    if (present(&statistics->argmax)) best = first_largest(cpu, row);
    struct scry__cpu_row sums   = cpu->kernels->exponentiate_row(row->values, row->width, row->scale);
    bool                 empty  = sums.max == -INFINITY && sums.sum == 0;
    float                factor = empty ? 0 : 1 / sums.sum;
    float                centre = sums.max == -INFINITY ? 0 : sums.max * row->scale;
    float                log_of = empty ? 0 : logf(sums.sum);
    int64_t              begin  = present(&mask->key_begin) ? index_at(&mask->key_begin, row->batch) : 0;
    int64_t              first  = begin > 0 ? begin : 0;
    put(&statistics->lse, row, empty ? -INFINITY : centre + log_of);
    put(&statistics->entropy, row, empty ? 0 : log_of + sums.entropy * factor);
    put(&statistics->max, row, factor); /* of the largest score, exp is 1 */
    put_index(&statistics->argmax, row, best < 0 ? -1 : row->begin + best);
    put(&statistics->previous, row, mass_of(row, position - 1, factor));
    put(&statistics->self, row, mass_of(row, position, factor));
    put(&statistics->first, row, mass_of(row, first, factor));
    put(&statistics->key_mass, row, mass_of(row, statistics->key, factor));
    return factor;
}

void scry__cpu_scores_store(const struct scry__cpu *cpu, const struct scry__cpu_scores *row, const scry_tensor *out,
                            int64_t index, int64_t stride, int64_t key, int64_t count, float factor, float outside)
{
    float  *to   = element(out, index);
    int64_t low  = least(count, most(0, row->begin - key));
    int64_t high = most(low, least(count, row->begin + row->width - key));
    if (stride == 1) {
        fill(to, 0, low, outside);
        cpu->kernels->scale(to + low, row->values + key + low - row->begin, high - low, factor, 0);
        fill(to, high, count, outside);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        to[i * stride] = i < low || i >= high ? outside : row->values[key + i - row->begin] * factor;
}
