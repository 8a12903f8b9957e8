/* softmax_capture: masked softmax of given scores, row by row, with the statistics of each row.
 *
 * probabilities[b, h, i, j] = exp(s_j - max s) / sum over visible keys, s = scores + additive; exactly 0 where masked
 *
 * scores, probabilities    [B, H, Q, K], any strides, may be the same
 * records                  [B, H, Q, RECORD] in scratch (rows.cl)
 *
 * A work group of GROUP items takes one row, in chunks of WIDTH keys each, three times: for the largest score, for the
 * sums, for the probabilities. Chunks without a key that is seen are not read. CPU-type devices: one item with vectors
 * of 16; others: 64 items, one key each at a time, side by side in memory.
 *
 * Built with -DGROUP and -DWIDTH (1 or 16). Launched over B * H * Q * GROUP items in groups of GROUP.
 *
 * Error: exp_negative's 2 ulp and the rounding of its argument for each exponential; a sum of K terms. */

#if WIDTH == 16
typedef float16 floats;
typedef int16   ints;
#define EXPONENTIAL exp_negative16
#define SEEN        is_seen16
#define LANE        (ints)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#else
typedef float floats;
typedef int   ints;
#define EXPONENTIAL exp_negative
#define SEEN        is_seen
#define LANE        0
#endif

enum { CHUNK = GROUP * WIDTH }; /* keys of all items at a time */

/* A row's scores, and what its mask adds. */
typedef struct {
    __global const float *scores, *additive; /* of key 0; additive NULL: nothing */
    long                  stride, additive_stride;
    sight                 sees;
    int                   keys;
} source;

/* The score of a key that may lie outside the row; -inf where it is masked. */
static inline float score_of(const source *row, long key)
{
    if (key < 0 || key >= row->keys || !is_seen(row->sees, (int)key)) return -INFINITY;
    float score = row->scores[key * row->stride], bias = 0;
    if (row->additive) bias = row->additive[key * row->additive_stride];
    return bias == -INFINITY ? -INFINITY : score + bias;
}

/* WIDTH elements from `key` on; what lies past the row is anything. */
static inline floats elements_of(__global const float *from, long stride, int key, int keys)
{
#if WIDTH == 16
    if (stride == 1 && key + WIDTH <= keys) return vload16(0, from + key);
    float lane[WIDTH];
    for (int i = 0; i < WIDTH; i++) lane[i] = from[min(key + i, keys - 1) * stride];
    return vload16(0, lane);
#else
    return key < keys ? from[key * stride] : 0; /* in place, another item writes what is not this one's */
#endif
}

/* The scores of WIDTH keys. */
static INLINE floats scores_of(const source *row, int key)
{
    floats score = elements_of(row->scores, row->stride, key, row->keys);
    if (row->additive) {
        floats bias = elements_of(row->additive, row->additive_stride, key, row->keys);
        score       = select(score + bias, (floats)(-INFINITY), bias == -INFINITY);
    }
    if (all_seen(row->sees, row->sees, key, key + WIDTH)) return score;
    return select((floats)(-INFINITY), score, SEEN(row->sees, LANE + key));
}

static inline void put(__global float *out, long stride, int keys, int key, floats values)
{
#if WIDTH == 16
    if (stride == 1 && key + WIDTH <= keys) {
        vstore16(values, 0, out + key);
        return;
    }
    float lane[WIDTH];
    vstore16(values, 0, lane);
    for (int i = 0; i < WIDTH && key + i < keys; i++) out[(key + i) * stride] = lane[i];
#else
    if (key < keys) out[key * stride] = values;
#endif
}

/* The largest score and its key, the lowest of equals; of all items, whose own are `largest` and `best`. */
static inline float find_largest(floats largest, ints best, __local float *values, __local int *keys, int *argmax)
{
    float lane[WIDTH], max = -INFINITY;
    int   key[WIDTH];
#if WIDTH == 16
    vstore16(largest, 0, lane);
    vstore16(best, 0, key);
#else
    lane[0] = largest;
    key[0]  = best;
#endif
    *argmax = -1;
    for (int i = 0; i < WIDTH; i++)
        if (lane[i] > max || (lane[i] == max && key[i] < *argmax)) max = lane[i], *argmax = key[i];
    values[get_local_id(0)] = max;
    keys[get_local_id(0)]   = *argmax;
    barrier(CLK_LOCAL_MEM_FENCE);
    max     = -INFINITY;
    *argmax = -1;
    for (int i = 0; i < GROUP; i++)
        if (values[i] > max || (values[i] == max && keys[i] < *argmax)) max = values[i], *argmax = keys[i];
    return max;
}

/* The sum over lanes and items, in their order. */
static inline float sum_up(floats x, __local float *sums)
{
    float total = 0;
#if WIDTH == 16
    float8 halves = x.lo + x.hi;
    float4 fourth = halves.lo + halves.hi;
    float2 eighth = fourth.lo + fourth.hi;
    total         = eighth.x + eighth.y;
#else
    total   = x;
#endif
    sums[get_local_id(0)] = total;
    barrier(CLK_LOCAL_MEM_FENCE);
    total = 0;
    for (int i = 0; i < GROUP; i++) total += sums[i];
    return total;
}

static inline float mass_of(const source *row, long key, float centre, float factor)
{
    float bounded, score = score_of(row, key);
    return score == -INFINITY ? 0 : exp_negative(score - centre, &bounded) * factor;
}

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void
softmax(long heads, long queries, long keys, long key, __global const float *scores, view scores_view, MASK_PARAMETERS,
        __global float *probabilities, view probabilities_view, __global float *scratch, long scratch_at)
{
    __local float largest_of[GROUP], sum_of[GROUP], entropy_of[GROUP];
    __local int   best_of[GROUP];

    int    first  = (int)get_local_id(0) * WIDTH;
    long   number = (long)get_group_id(0);
    long   b = number / (heads * queries), h = number / queries % heads, i = number % queries;
    source row     = {scores + scores_view.offset + b * scores_view.stride[0] + h * scores_view.stride[1] +
                          i * scores_view.stride[2],
                      NULL, scores_view.stride[3], additive_view.stride[3]};
    row.keys       = (int)keys;
    row.sees       = sight_of(MASK_ARGUMENTS, (int)b, i, row.keys);
    key_range seen = keys_seen(row.sees, row.sees, CHUNK);
    if (additive)
        row.additive = additive + additive_view.offset + b * additive_view.stride[0] + h * additive_view.stride[1] +
                       i * additive_view.stride[2];

    floats largest = (floats)(-INFINITY);
    ints   best    = (ints)(-1);
    for (int j = tile_from(seen, seen.begin); j < seen.end; j = tile_from(seen, j + CHUNK)) {
        floats score = scores_of(&row, j + first);
        best         = select(best, LANE + j + first, score > largest);
        largest      = select(largest, score, score > largest);
    }
    int   argmax;
    float max = find_largest(largest, best, largest_of, best_of, &argmax);
    /* A row of nothing but -inf (or NaN, which must reach the sums) has no maximum to subtract. */
    float centre = max == -INFINITY ? 0 : max;

    floats sums = (floats)(0), weighted = (floats)(0);
    for (int j = tile_from(seen, seen.begin); j < seen.end; j = tile_from(seen, j + CHUNK)) {
        floats below, e = EXPONENTIAL(scores_of(&row, j + first) - centre, &below);
        sums += e;
        weighted -= e * below;
    }
    float sum    = sum_up(sums, sum_of);
    float spread = sum_up(weighted, entropy_of);
    bool  empty  = sum == 0; /* of the largest score, exp is 1 */
    float factor = empty ? 0 : 1 / sum, log_of = empty ? 0 : log(sum);

    if (get_local_id(0) == 0) {
        __global float *record   = scratch + scratch_at + number * RECORD;
        long            position = masked.query_offset + i;
        record[LSE]              = empty ? -INFINITY : centre + log_of;
        record[ENTROPY]          = empty ? 0 : log_of + spread * factor;
        record[MAX]              = factor;
        record[ARGMAX]           = as_float(argmax);
        record[PREVIOUS]         = mass_of(&row, position - 1, centre, factor);
        record[SELF]             = mass_of(&row, position, centre, factor);
        record[FIRST]            = mass_of(&row, first_key(key_begin, key_begin_view, (int)b), centre, factor);
        record[KEY_MASS]         = mass_of(&row, key, centre, factor);
    }
    /* In place, the first item must have read the scores that it needed. */
    barrier(CLK_GLOBAL_MEM_FENCE);
    __global float *out = probabilities + probabilities_view.offset + b * probabilities_view.stride[0] +
                          h * probabilities_view.stride[1] + i * probabilities_view.stride[2];
    for (int j = 0; probabilities && j < row.keys; j += CHUNK) {
        floats below, p = (floats)(0);
        if (j >= seen.begin && j < seen.end && tile_from(seen, j) == j) {
            floats score = scores_of(&row, j + first);
            p            = EXPONENTIAL(score - centre, &below) * factor;
            p            = select(p, (floats)(0), score == -INFINITY);
        }
        put(out, probabilities_view.stride[3], row.keys, j + first, p);
    }
}
