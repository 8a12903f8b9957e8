/* lens: what the residual streams would predict, by tiles of the vocabulary.
 *
 *     logit[v] = softcap(unembedding[v, :] . row * logit_scale + bias[v])
 *
 * for rows that norm has left in scratch. A matrix product leaves their dot products with a tile of the vocabulary
 * there too; lens_take reads them once, and of the logits only running results remain: maximum, sum of exponentials,
 * entropy, divergence, rank, largest entries.
 *
 *     lens_begin    the logits of the targets, which ranks compare with; a thread takes a row
 *     lens_take     adds a tile to the results of each row and part; a warp takes one of these
 *     lens_merge    puts the parts together; a warp takes a row
 *
 * A part takes whole units of 512 entries, wherever tiles end: results depend neither on tiles nor on other rows. A
 * lane has 16 entries of a unit in registers; what all lanes have is added up by shuffles, in a fixed order.
 *
 * Error of a logit: that of the product, whose order of sums is the kernel's that multiplied (lens_begin adds up along
 * k). A part adds up sums of 512 exponentials, rescaled where the maximum grows. */
#include "lens.cuh"

enum { EACH = CUDA_LENS_UNIT / WARP }; /* logits of a unit for each lane */

/* --- Targets --- */

/* A dot product as a chain of multiply-adds. */
DEVICE float dot_of(const cuda_lens &p, const float *row, int64_t entry)
{
    float         sum = 0;
    const int64_t at  = entry * p.unembedding.stride[0];
    for (int64_t k = 0; k < p.size; k++)
        sum = multiply_add(row[k], load_as(p.unembedding.data, at + k * p.unembedding.stride[1], p.unembedding.dtype),
                           sum);
    return sum;
}

/* Whether two rows have the same bits, so that nothing may lie between them. */
DEVICE bool is_same(const float *row, const float *other, int64_t size)
{
    for (int64_t k = 0; k < size; k++)
        if (__float_as_uint(row[k]) != __float_as_uint(other[k])) return false;
    return true;
}

CUDA_FLAT_KERNEL(lens_begin, cuda_lens, CUDA_LENS_THREADS)
{
    const int64_t row = BLOCK_NUMBER * CUDA_LENS_THREADS + threadIdx.x, token = row % p.tokens;
    if (row >= p.layers * p.tokens) return;
    const float     *x      = p.rows + row * p.size;
    cuda_lens_target target = {NAN, -1, (int32_t)row, 0};
    if (p.ranks) {
        const int id = static_cast<const int32_t *>(p.target.data)[token * p.target.stride[0]];
        if (id >= 0 && id < p.vocabulary) target.id = id;
    }
    if (target.id >= 0) target.logit = logit_of(p, dot_of(p, x, target.id), target.id);
    const int64_t other = p.reference < 0 ? row : p.reference * p.tokens + token;
    if (other != row && !is_same(x, p.rows + other * p.size, p.size)) target.reference = (int32_t)other;
    p.targets[row] = target;
}

/* --- Taking in a tile --- */

CUDA_KERNEL(lens_take, cuda_lens, CUDA_LENS_THREADS)
{
    const int     lane  = (int)threadIdx.x % WARP;
    const int64_t place = BLOCK_NUMBER * (CUDA_LENS_THREADS / WARP) + threadIdx.x / WARP;
    const int64_t row = place / p.parts, part = place % p.parts;
    if (row >= p.layers * p.tokens) return;
    const cuda_lens_target target = p.targets[row];
    cuda_lens_state        state  = p.first ? p.states[place] : empty_state();
    lens_list              list   = p.first ? load_list(p, place, lane) : empty_list();
    const int64_t          end = p.first + p.count, step = p.parts * CUDA_LENS_UNIT;
    for (int64_t id = p.first + part * CUDA_LENS_UNIT; id < end; id += step) {
        float x[EACH], other[EACH];
        load_unit(x, p, p.dots + row * p.pitch - p.first, id + lane, end);
        if (p.reference >= 0) load_unit(other, p, p.dots + target.reference * p.pitch - p.first, id + lane, end);
        take_unit(&state, x);
        if (p.reference >= 0) take_divergence(&state, x, other);
        if (p.ranks) state.rank += ranks_above(x, target, (int)id + lane);
        if (p.top) take_largest(&list, p.top, x, (int)id, lane);
    }
    __syncwarp(); /* behind what every lane has read */
    if (lane == 0) p.states[place] = state;
    store_list(p, place, list, lane);
}

/* --- Merging --- */

/* Results of a row over the whole vocabulary. */
struct lens_totals {
    float max, sum, entropy, other_max, other_sum, divergence;
    int   rank;
};

DEVICE float shrink(float from, float to)
{
    return from == to ? 1 : expf(from - to);
}

DEVICE lens_totals totals_of(const cuda_lens_state *states, int64_t parts)
{
    lens_totals total = {LOWEST, 0, 0, LOWEST, 0, 0, 0};
    for (int64_t part = 0; part < parts; part++) {
        total.max       = fmaxf(total.max, states[part].max);
        total.other_max = fmaxf(total.other_max, states[part].other_max);
        total.rank += states[part].rank;
    }
    for (int64_t part = 0; part < parts; part++) {
        const cuda_lens_state state = states[part];
        const float           by = shrink(state.max, total.max), other_by = shrink(state.other_max, total.other_max);
        total.sum       = multiply_add(by, state.sum, total.sum);
        total.other_sum = multiply_add(other_by, state.other_sum, total.other_sum);
        total.divergence += other_by * state.divergence;
        if (by != 0 && state.sum != 0) total.entropy += by * (state.entropy + (total.max - state.max) * state.sum);
    }
    return total;
}

template <typename T> DEVICE T *element_of(const cuda_view &x, int64_t layer, int64_t token)
{
    return static_cast<T *>(x.data) + layer * x.stride[0] + token * x.stride[1];
}

DEVICE void store_totals(const cuda_lens &p, int64_t row, const lens_totals &total)
{
    const int64_t          layer = row / p.tokens, token = row % p.tokens;
    const cuda_lens_target target = p.targets[row];
    const bool             none   = total.sum == 0;
    if (p.lse.data) *element_of<float>(p.lse, layer, token) = none ? -INFINITY : total.max + logf(total.sum);
    if (p.entropy.data)
        *element_of<float>(p.entropy, layer, token) = none ? 0 : logf(total.sum) + total.entropy / total.sum;
    if (p.kl.data && p.reference >= 0) *element_of<float>(p.kl, layer, token) = divergence_of(total);
    if (p.ranks && p.target_logit.data) *element_of<float>(p.target_logit, layer, token) = target.logit;
    if (p.ranks && p.target_rank.data)
        *element_of<int32_t>(p.target_rank, layer, token) = target.id < 0 ? -1 : total.rank;
}

CUDA_KERNEL(lens_merge, cuda_lens, CUDA_LENS_THREADS)
{
    const int     lane = (int)threadIdx.x % WARP;
    const int64_t row  = BLOCK_NUMBER * (CUDA_LENS_THREADS / WARP) + threadIdx.x / WARP;
    if (row >= p.layers * p.tokens) return;
    const lens_totals total = totals_of(p.states + row * p.parts, p.parts);
    if (lane == 0) store_totals(p, row, total);
    if (!p.top) return;
    lens_list list = load_list(p, row * p.parts, lane);
    for (int64_t part = 1; part < p.parts; part++) merge_list(&list, p, load_list(p, row * p.parts + part, lane), lane);
    for (int i = 0; i < LIST_ENTRIES; i++) {
        const int entry = i * WARP + lane;
        if (entry >= p.top) continue;
        if (p.top_logit.data)
            element_of<float>(p.top_logit, row / p.tokens, row % p.tokens)[entry * p.top_logit.stride[2]] =
                list.logit[i];
        if (p.top_id.data)
            element_of<int32_t>(p.top_id, row / p.tokens, row % p.tokens)[entry * p.top_id.stride[2]] = list.id[i];
    }
}
