/* loss: cross-entropy or divergence of rows of predictions, and its gradients, by tiles of the logits.
 *
 * x and teacher f32 [T, d], unembedding [V, d] and bias [V] f32, f16 or bf16 (bias may be absent), target i32 [T]. A
 * tile is all rows by `width` entries of the vocabulary from `first` on, f32 [T, width] in scratch, that of x and
 * behind it the teacher's; `unembedding` and `bias` begin with the tile's first entry. One sweep over the tiles folds
 * each row's logits into its state (loss_fold); with lse known, loss_rows writes the losses. A second sweep turns the
 * logits into their gradients (loss_slopes), of which d_x, d_unembedding and d_bias are sums. Host side:
 * backends/opencl/loss.c.
 *
 * Errors: a logit gamma(d + 4) of its terms; lse gamma(V + 8) and those of its logits; the gradient of a logit those of
 * its probabilities, times factor and slope; sums over entries gamma(V + 4), over rows gamma(T + 4). */

/* Floats of a row's state: largest logit and sum of exp(logit - max) of x, the same of the teacher, the sum of
 * exp(r - max r) (r - logit), r the teacher's logits; the target's logit. */
enum { MAX, SUM, TAUGHT_MAX, TAUGHT_SUM, DIVERGENCE, TARGET, STATE };

/* `tile` of loss.c. */
typedef struct {
    long  tokens, size, vocabulary, first, width, states, logits; /* the last two: places in scratch */
    float scale, softcap, factor;
    int   taught;
} loss_tile;

/* The sum of a product, in lanes: lane l adds entries l, l + LANES, ... */
inline float sum_of_lanes(lanes x)
{
    float one[LANES], sum = 0;
    JOIN(vstore, LANES)(x, 0, one);
    for (int i = 0; i < LANES; i++) sum += one[i];
    return sum;
}

inline long place_of(const loss_tile *tile, long t, long entry, int taught)
{
    return tile->logits + (taught * tile->tokens + t) * tile->width + entry;
}

__kernel void loss_logits(__global const float *x, view x_view, __global const void *unembedding, view unembedding_view,
                          __global const void *bias, view bias_view, __global float *scratch, long start,
                          loss_tile tile, int taught)
{
    long entry = get_global_id(0), t = get_global_id(1);
    long from    = x_view.offset + t * x_view.stride[0],
         weights = unembedding_view.offset + entry * unembedding_view.stride[0];
    lanes sums   = 0;
    if (entry >= tile.width) return;
    for (long i = 0; i < tile.size; i += LANES) {
        int count = (int)min(tile.size - i, (long)LANES);
        sums += load_lanes(x, from + i * x_view.stride[1], x_view.stride[1], count, F32) *
                load_lanes(unembedding, weights + i * unembedding_view.stride[1], unembedding_view.stride[1], count,
                           unembedding_view.dtype);
    }
    float logit = sum_of_lanes(sums) * tile.scale;
    if (bias) logit += load_as(bias, bias_view.offset + entry * bias_view.stride[0], bias_view.dtype);
    if (tile.softcap > 0) logit = tile.softcap * tanh(logit / tile.softcap);
    scratch[start + place_of(&tile, t, entry, taught)] = logit;
}

/* What the sums of exponentials are measured from: `largest`, but 0 where all that was seen is -inf. */
inline float base_of(float largest)
{
    return largest == -INFINITY ? 0 : largest;
}

/* The tile's logits into the state of each row, an item for each. */
__kernel void loss_fold(__global const int *target, view target_view, __global float *scratch, long start,
                        loss_tile tile)
{
    long t = get_global_id(0);
    if (t >= tile.tokens) return;
    __global float       *state      = scratch + start + tile.states + t * STATE;
    __global const float *own        = scratch + start + place_of(&tile, t, 0, 0);
    __global const float *other      = scratch + start + place_of(&tile, t, 0, 1);
    float                 largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}, divergence = 0;
    if (tile.first > 0) {
        largest[0] = state[MAX], largest[1] = state[TAUGHT_MAX];
        sum[0] = state[SUM], sum[1] = state[TAUGHT_SUM];
        divergence = state[DIVERGENCE];
    }
    for (int side = 0; side <= tile.taught; side++) {
        __global const float *logits = side ? other : own;
        float                 old = largest[side], added = 0, weighed = 0;
        for (long i = 0; i < tile.width; i++) largest[side] = fmax(largest[side], logits[i]);
        float base = base_of(largest[side]), rescale = exp(base_of(old) - base);
        for (long i = 0; i < tile.width; i++) {
            float exponential = exp(logits[i] - base);
            added += exponential;
            if (side && exponential != 0) weighed += exponential * (logits[i] - own[i]);
        }
        if (old == -INFINITY) rescale = 0;
        sum[side] = (old == -INFINITY ? 0 : sum[side] * rescale) + added;
        if (side) divergence = (old == -INFINITY ? 0 : divergence * rescale) + weighed;
    }
    state[MAX] = largest[0], state[TAUGHT_MAX] = largest[1];
    state[SUM] = sum[0], state[TAUGHT_SUM] = sum[1];
    state[DIVERGENCE] = divergence;
    if (tile.first == 0) state[TARGET] = NAN;
    if (!target) return;
    long named = target[target_view.offset + t * target_view.stride[0]] - tile.first;
    if (named >= 0 && named < tile.width) state[TARGET] = own[named];
}

inline bool counts(__global const int *target, const view *target_view, const loss_tile *tile, long t)
{
    long named = target ? target[target_view->offset + t * target_view->stride[0]] : 0;
    return named >= 0 && named < tile->vocabulary;
}

__kernel void loss_rows(__global const int *target, view target_view, __global float *loss, view loss_view,
                        __global const float *scratch, long start, loss_tile tile)
{
    long t = get_global_id(0);
    if (t >= tile.tokens) return;
    __global const float *state = scratch + start + tile.states + t * STATE;
    float                 value = 0;
    if (tile.taught) {
        value = state[DIVERGENCE] / state[TAUGHT_SUM] -
                ((state[TAUGHT_MAX] - state[MAX]) + (log(state[TAUGHT_SUM]) - log(state[SUM])));
        if (value < 0) value = 0;
    } else if (counts(target, &target_view, &tile, t)) {
        value = (state[MAX] - state[TARGET]) + log(state[SUM]);
    }
    loss[loss_view.offset + t * loss_view.stride[0]] = value;
}

/* The tile's logits become the gradients in what lies below their soft-cap; those of rows that do not count mean
 * nothing, and no sum takes them. */
__kernel void loss_slopes(__global const int *target, view target_view, __global float *scratch, long start,
                          loss_tile tile)
{
    long entry = get_global_id(0), t = get_global_id(1);
    if (entry >= tile.width) return;
    __global const float *state = scratch + start + tile.states + t * STATE;
    __global float       *place = scratch + start + place_of(&tile, t, entry, 0);
    float                 logit = *place, slope = 1, aim = 0;
    if (tile.taught)
        aim = exp(scratch[start + place_of(&tile, t, entry, 1)] - base_of(state[TAUGHT_MAX])) / state[TAUGHT_SUM];
    else if (target)
        aim = target[target_view.offset + t * target_view.stride[0]] - tile.first == entry;
    if (tile.softcap > 0) slope = 1 - (logit / tile.softcap) * (logit / tile.softcap);
    *place = tile.factor * (exp(logit - base_of(state[MAX])) / state[SUM] - aim) * slope;
}

/* What is added to a gradient that is a sum over tiles: nothing is there before the first, unless it accumulates. */
inline void add_lanes(__global float *x, long index, long stride, int count, lanes value, bool adds)
{
    if (adds) value += load_lanes(x, index, stride, count, F32);
    store_lanes(x, index, stride, count, value);
}

/* A row that does not count has no gradient, whatever it holds. */
__kernel void loss_d_x(__global const int *target, view target_view, __global const void *unembedding,
                       view unembedding_view, __global float *d_x, view d_x_view, __global const float *scratch,
                       long start, loss_tile tile, int accumulate)
{
    long i = get_global_id(0) * LANES, t = get_global_id(1);
    if (i >= tile.size) return;
    int                   count = (int)min(tile.size - i, (long)LANES);
    __global const float *given = scratch + start + place_of(&tile, t, 0, 0);
    lanes                 sum   = 0;
    for (long entry = 0; entry < tile.width && counts(target, &target_view, &tile, t); entry++)
        sum += given[entry] *
               load_lanes(unembedding,
                          unembedding_view.offset + entry * unembedding_view.stride[0] + i * unembedding_view.stride[1],
                          unembedding_view.stride[1], count, unembedding_view.dtype);
    add_lanes(d_x, d_x_view.offset + t * d_x_view.stride[0] + i * d_x_view.stride[1], d_x_view.stride[1], count,
              tile.scale * sum, accumulate || tile.first > 0);
}

/* d_unembedding and d_bias of the tile's entries, which no other tile has. */
__kernel void loss_d_entries(__global const int *target, view target_view, __global const float *x, view x_view,
                             __global float *d_unembedding, view d_unembedding_view, __global float *d_bias,
                             view d_bias_view, __global const float *scratch, long start, loss_tile tile,
                             int accumulate)
{
    long i = get_global_id(0) * LANES, entry = get_global_id(1);
    if (i >= tile.size) return;
    int   count = (int)min(tile.size - i, (long)LANES);
    lanes sum   = 0;
    float total = 0;
    for (long t = 0; t < tile.tokens; t++) {
        float given = scratch[start + place_of(&tile, t, entry, 0)];
        if (!counts(target, &target_view, &tile, t)) continue;
        total += given;
        if (d_unembedding)
            sum += given * load_lanes(x, x_view.offset + t * x_view.stride[0] + i * x_view.stride[1], x_view.stride[1],
                                      count, F32);
    }
    if (d_unembedding)
        add_lanes(d_unembedding,
                  d_unembedding_view.offset + entry * d_unembedding_view.stride[0] + i * d_unembedding_view.stride[1],
                  d_unembedding_view.stride[1], count, tile.scale * sum, accumulate);
    if (!d_bias || i > 0) return;
    long place    = d_bias_view.offset + entry * d_bias_view.stride[0];
    d_bias[place] = accumulate ? d_bias[place] + total : total;
}
