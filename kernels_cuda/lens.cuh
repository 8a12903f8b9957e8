/* The running results of a row over a part of the vocabulary, kept by a warp; and the list of its largest entries. A
 * lane has COUNT logits of each unit of the vocabulary: entry j * 32 + lane of it is x[j]. */
#ifndef SCRY_CUDA_LENS_CUH
#define SCRY_CUDA_LENS_CUH

#include "common.cuh"

#include "lens.h"

enum { LIST_ENTRIES = CUDA_LENS_TOP / WARP };

/* The maximum of nothing: finite, so that its difference from -inf is no NaN. */
#define LOWEST -3.40282347e38f

DEVICE float sum_of_warp(float mine)
{
    for (int far = WARP / 2; far > 0; far /= 2) mine += __shfl_xor_sync(ALL_LANES, mine, far);
    return mine;
}

DEVICE float max_of_warp(float mine)
{
    for (int far = WARP / 2; far > 0; far /= 2) mine = fmaxf(mine, __shfl_xor_sync(ALL_LANES, mine, far));
    return mine;
}

/* The logit of entry `id` from its dot product, with the bias, scale and soft-cap of p. */
template <typename parameters> DEVICE float logit_of(const parameters &p, float dot, int64_t id)
{
    const float bias = p.bias.data ? load_as(p.bias.data, id * p.bias.stride[0], p.bias.dtype) : 0;
    const float x    = multiply_add(dot, p.logit_scale, bias);
    return p.softcap > 0 ? p.softcap * tanhf(x / p.softcap) : x;
}

/* The logits of a unit from their dot products; -inf, which changes nothing, from entry `end` on. `id` is that of the
 * lane's first. */
template <int COUNT, typename parameters>
DEVICE void load_unit(float (&x)[COUNT], const parameters &p, const float *dots, int64_t id, int64_t end)
{
#pragma unroll
    for (int j = 0; j < COUNT; j++) {
        const int64_t at = id + j * WARP;
        x[j]             = at < end ? logit_of(p, dots[at], at) : -INFINITY;
    }
}

/* --- Sums --- */

DEVICE cuda_lens_state empty_state()
{
    return {LOWEST, 0, 0, LOWEST, 0, 0, 0, 0};
}

/* The maximum, with that of a unit. NaN is none. */
template <int COUNT> DEVICE float grown_max(float before, const float (&x)[COUNT])
{
    float max = before;
#pragma unroll
    for (int j = 0; j < COUNT; j++) max = fmaxf(max, x[j]);
    return max_of_warp(max);
}

/* Adds a unit's exponentials to a sum whose maximum becomes `max`: the same for a row and for its reference, so that
 * equal rows have equal sums. */
template <int COUNT> DEVICE float grown_sum(float sum, float before, float max, const float (&exponentials)[COUNT])
{
    float mine = 0;
#pragma unroll
    for (int j = 0; j < COUNT; j++) mine += exponentials[j];
    return multiply_add(expf(before - max), sum, sum_of_warp(mine));
}

template <int COUNT> DEVICE void take_unit(cuda_lens_state *state, const float (&x)[COUNT])
{
    const float before = state->max, max     = grown_max(before, x);
    float       exponentials[COUNT], entropy = 0;
#pragma unroll
    for (int j = 0; j < COUNT; j++) {
        const float below = x[j] - max;
        exponentials[j]   = expf(below);
        entropy = multiply_add(-exponentials[j], fmaxf(below, -104), entropy); /* exp is 0 from here on: no 0 * inf */
    }
    const float shifted = state->sum == 0 ? 0 : (max - before) * state->sum;
    state->entropy      = multiply_add(expf(before - max), state->entropy + shifted, sum_of_warp(entropy));
    state->sum          = grown_sum(state->sum, before, max, exponentials);
    state->max          = max;
}

/* x: the row's logits; other: the reference's. */
template <int COUNT>
DEVICE void take_divergence(cuda_lens_state *state, const float (&x)[COUNT], const float (&other)[COUNT])
{
    const float before = state->other_max, max = grown_max(before, other);
    float       exponentials[COUNT], sum       = 0;
#pragma unroll
    for (int j = 0; j < COUNT; j++) {
        exponentials[j] = expf(other[j] - max);
        if (exponentials[j] != 0)
            sum = multiply_add(exponentials[j], other[j] - x[j], sum); /* or NaN, of infinite logits */
    }
    state->divergence = multiply_add(expf(before - max), state->divergence, sum_of_warp(sum));
    state->other_sum  = grown_sum(state->other_sum, before, max, exponentials);
    state->other_max  = max;
}

/* sum p (r - x) - (lse r - lse x), p the reference's probabilities and r its logits, from what the sums came to;
 * rounding never makes it negative. */
template <typename sums> DEVICE float divergence_of(const sums &total)
{
    const float between = (total.other_max - total.max) + (logf(total.other_sum) - logf(total.sum));
    const float kl      = total.divergence / total.other_sum - between;
    return kl < 0 ? 0 : kl;
}

/* How many of a unit's logits stand before the target's; `id` is that of the lane's first. */
template <int COUNT> DEVICE int ranks_above(const float (&x)[COUNT], const cuda_lens_target &target, int id)
{
    int above = 0;
#pragma unroll
    for (int j = 0; j < COUNT; j++) {
        const int other = id + j * WARP;
        above += other != target.id && (x[j] > target.logit || (x[j] == target.logit && other < target.id));
    }
    for (int far = WARP / 2; far > 0; far /= 2) above += __shfl_xor_sync(ALL_LANES, above, far);
    return above;
}

/* --- The largest entries --- */

/* Largest first, ties by id: entry i * 32 + lane of them is the lane's i-th. Empty ones are -inf with id -1. */
struct lens_list {
    float logit[LIST_ENTRIES];
    int   id[LIST_ENTRIES];
};

DEVICE lens_list empty_list()
{
    lens_list list;
#pragma unroll
    for (int i = 0; i < LIST_ENTRIES; i++) list.logit[i] = -INFINITY, list.id[i] = -1;
    return list;
}

DEVICE lens_list load_list(const cuda_lens &p, int64_t place, int lane)
{
    lens_list list = empty_list();
#pragma unroll
    for (int i = 0; i < LIST_ENTRIES; i++) {
        const int entry = i * WARP + lane;
        if (entry >= p.top) continue;
        list.logit[i] = p.top_logits[place * p.top + entry];
        list.id[i]    = p.top_ids[place * p.top + entry];
    }
    return list;
}

DEVICE void store_list(const cuda_lens &p, int64_t place, const lens_list &list, int lane)
{
#pragma unroll
    for (int i = 0; i < LIST_ENTRIES; i++) {
        const int entry = i * WARP + lane;
        if (entry >= p.top) continue;
        p.top_logits[place * p.top + entry] = list.logit[i];
        p.top_ids[place * p.top + entry]    = list.id[i];
    }
}

/* Entry `entry` in every lane. */
DEVICE void entry_at(float *logit, int *id, const lens_list &list, int entry)
{
    *logit = 0, *id = 0;
#pragma unroll
    for (int i = 0; i < LIST_ENTRIES; i++) {
        if (i != entry / WARP) continue;
        *logit = __shfl_sync(ALL_LANES, list.logit[i], entry % WARP);
        *id    = __shfl_sync(ALL_LANES, list.id[i], entry % WARP);
    }
}

/* Puts an entry, the same in every lane, where it belongs; the last one falls out where the list is full. */
DEVICE void insert(lens_list *list, int top, float logit, int id, int lane)
{
    float carried_logit = 0;
    int   carried_id = 0, place = 0;
#pragma unroll
    for (int i = 0; i < LIST_ENTRIES; i++)
        if (i * WARP < top)
            place += __popc(__ballot_sync(ALL_LANES, list->logit[i] > logit || (list->logit[i] == logit &&
                                                                                list->id[i] < id && list->id[i] >= 0)));
#pragma unroll
    for (int i = 0; i < LIST_ENTRIES; i++) {
        if (i * WARP >= top) continue;
        const float above  = __shfl_up_sync(ALL_LANES, list->logit[i], 1),
                    last   = __shfl_sync(ALL_LANES, list->logit[i], WARP - 1);
        const int above_id = __shfl_up_sync(ALL_LANES, list->id[i], 1),
                  last_id  = __shfl_sync(ALL_LANES, list->id[i], WARP - 1);
        const int entry    = i * WARP + lane;
        if (entry == place) {
            list->logit[i] = logit, list->id[i] = id;
        } else if (entry > place) {
            list->logit[i] = lane ? above : carried_logit;
            list->id[i]    = lane ? above_id : carried_id;
        }
        carried_logit = last, carried_id = last_id;
    }
}

/* The last of the list's entries. */
DEVICE float least_of(const lens_list &list, int top)
{
    float least;
    int   id;
    entry_at(&least, &id, list, top - 1);
    return least;
}

template <int COUNT> DEVICE float largest_of(const float (&x)[COUNT])
{
    float largest = x[0];
#pragma unroll
    for (int j = 1; j < COUNT; j++) largest = fmaxf(largest, x[j]);
    return largest;
}

/* Candidates of a unit, whose first entry is `id`. Leaves x as it was. */
template <int COUNT> DEVICE void take_largest(lens_list *list, int top, float (&x)[COUNT], int id, int lane)
{
    float least = least_of(*list, top);
    if (!__any_sync(ALL_LANES, largest_of(x) > least)) return;
#pragma unroll 1
    for (int j = 0; j < COUNT; j++) {
        const float mine       = x[0];
        unsigned    candidates = __ballot_sync(ALL_LANES, mine > least);
        while (candidates) {
            const int   from  = __ffs((int)candidates) - 1;
            const float logit = __shfl_sync(ALL_LANES, mine, from);
            candidates &= candidates - 1;
            if (!(logit > least)) continue;
            insert(list, top, logit, id + j * WARP + from, lane);
            least = least_of(*list, top);
        }
        /* Turned round, so that x stays in registers. */
#pragma unroll
        for (int i = 0; i + 1 < COUNT; i++) x[i] = x[i + 1];
        x[COUNT - 1] = mine;
    }
}

/* Adds another part's list. */
DEVICE void merge_list(lens_list *list, const cuda_lens &p, const lens_list &others, int lane)
{
    for (int entry = 0; entry < p.top; entry++) {
        float logit, least;
        int   id, least_id;
        entry_at(&logit, &id, others, entry);
        entry_at(&least, &least_id, *list, p.top - 1);
        if (id < 0 || logit < least || (logit == least && id > least_id && least_id >= 0)) return;
        insert(list, p.top, logit, id, lane);
    }
}

#endif
