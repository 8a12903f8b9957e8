/* attention for CPU-type devices: an item works on 32 queries (or keys) at a time, a lane each; no barriers.
 *
 * The lanes' vectors are held transposed, so that a product with one vector of the other side is, entry by entry, a
 * float times vectors of 16, and row statistics need nothing across lanes. Formulas, operands and scratch are in
 * attention.cl; the captures are in attention_block_capture.cl.
 *
 * Launched in groups of one item over
 *     attention    blocks of 32 queries x heads x (sequences * stretches of 256 values) */

enum {
    HALVES  = 2, /* vectors of 16 */
    WIDTH   = 32,
    SIDE    = 8,   /* vectors that the lanes are multiplied with at a time: their sums stay in registers */
    STRETCH = 256, /* entries of a head that are held at a time */
};

/* A float for each of 32 lanes. */
typedef struct {
    float16 part[HALVES];
} lanes;

typedef struct {
    int16 part[HALVES];
} lanes_int;

#define LANE_NUMBERS (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

static inline lanes lanes_of(float x)
{
    lanes all = {{(float16)(x), (float16)(x)}};
    return all;
}

static inline lanes lanes_from(const float *from)
{
    lanes x = {{vload16(0, from), vload16(1, from)}};
    return x;
}

static inline lanes_int lanes_int_from(const int *from)
{
    lanes_int x = {{vload16(0, from), vload16(1, from)}};
    return x;
}

static inline void lanes_to(float *to, lanes x)
{
#pragma unroll
    for (int s = 0; s < HALVES; s++) vstore16(x.part[s], s, to);
}

/* 16 vectors of 16, exchanged: four times, the i-th and the (i + 8)-th go together like the teeth of a zip. */
static inline void transpose(float16 *x)
{
#pragma unroll
    for (int stage = 0; stage < 4; stage++) {
        float16 y[16];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            y[2 * i].even     = x[i].lo;
            y[2 * i].odd      = x[i + 8].lo;
            y[2 * i + 1].even = x[i].hi;
            y[2 * i + 1].odd  = x[i + 8].hi;
        }
#pragma unroll
        for (int i = 0; i < 16; i++) x[i] = y[i];
    }
}

/* --- Scores --- */

/* The vectors that the lanes stand for, and entries of them: entry d of all of them in entry[d]. */
typedef struct {
    vectors from;
    int     count; /* lanes past it repeat the last */
    lanes   entry[STRETCH];
} side;

static inline void side_load(side *lane, long begin, int length)
{
    for (int s = 0; s < HALVES; s++) {
        __global const float *x[16];
        float16               square[16];
        int                   d = 0;
        for (int i = 0; i < 16; i++)
            x[i] = lane->from.base + min(16 * s + i, lane->count - 1) * lane->from.stride + begin;
        for (; d + 16 <= length; d += 16) {
#pragma unroll
            for (int i = 0; i < 16; i++) square[i] = vload16(0, x[i] + d);
            transpose(square);
#pragma unroll
            for (int i = 0; i < 16; i++) lane->entry[d + i].part[s] = square[i];
        }
        for (; d < length; d++) {
            float value[16];
            for (int i = 0; i < 16; i++) value[i] = x[i][d];
            lane->entry[d].part[s] = vload16(0, value);
        }
    }
}

static inline void side_set(side *lane, vectors from, long count, sizes size)
{
    lane->from  = from;
    lane->count = (int)min(count, (long)WIDTH);
    side_load(lane, 0, (int)min(size.head_size, (long)STRETCH));
}

/* sums[n] += the lanes' vectors times vector n, over `length` entries. Vectors past `count` repeat the last. */
static inline void multiply(lanes *sums, const lanes *entry, vectors by, int count, int length)
{
    for (int n = 0; n < TILE; n += SIDE) {
        __global const float *x[SIDE];
        lanes                 sum[SIDE];
#pragma unroll
        for (int i = 0; i < SIDE; i++) {
            x[i]   = by.base + min(n + i, count - 1) * by.stride;
            sum[i] = sums[n + i];
        }
        for (int d = 0; d < length; d++) {
            lanes lane = entry[d];
#pragma unroll
            for (int i = 0; i < SIDE; i++)
#pragma unroll
                for (int s = 0; s < HALVES; s++) sum[i].part[s] = sum[i].part[s] + lane.part[s] * x[i][d];
        }
#pragma unroll
        for (int i = 0; i < SIDE; i++) sums[n + i] = sum[i];
    }
}

/* Scaled and capped products of the lanes with `count` vectors. */
static inline void score(lanes *scores, side *lane, vectors by, int count, sizes size)
{
    for (int n = 0; n < TILE; n++) scores[n] = lanes_of(0);
    for (long begin = 0; begin < size.head_size; begin += STRETCH) {
        int     length = (int)min(size.head_size - begin, (long)STRETCH);
        vectors rest   = {by.base + begin, by.stride};
        if (size.head_size > STRETCH) side_load(lane, begin, length);
        multiply(scores, lane->entry, rest, count, length);
    }
    for (int n = 0; n < TILE; n++)
#pragma unroll
        for (int s = 0; s < HALVES; s++) scores[n].part[s] = size.scale * scores[n].part[s];
    for (int n = 0; n < TILE && size.softcap > 0; n++)
        for (int s = 0; s < HALVES; s++) scores[n].part[s] = size.softcap * tanh(scores[n].part[s] / size.softcap);
}

/* Adds a mask's additive part, `stride` apart from lane to lane. */
static inline lanes add_bias(lanes x, __global const float *from, long stride, int count)
{
    float value[WIDTH];
    for (int lane = 0; lane < WIDTH; lane++) value[lane] = from[min(lane, count - 1) * stride];
    for (int s = 0; s < HALVES; s++) {
        float16 bias = vload16(s, value);
        x.part[s]    = select(x.part[s] + bias, (float16)(-INFINITY), bias == -INFINITY);
    }
    return x;
}

/* 0 where masked, in a row that is NaN too. */
static inline lanes probability(lanes score, lanes centre, lanes factor)
{
#pragma unroll
    for (int s = 0; s < HALVES; s++) {
        float16 bounded, p = exp_negative16(score.part[s] - centre.part[s], &bounded) * factor.part[s];
        score.part[s] = select(p, (float16)(0), score.part[s] == -INFINITY);
    }
    return score;
}

/* --- Lanes that are queries --- */

typedef struct {
    side                  queries;
    vectors               keys;
    __global const float *additive; /* of lane 0 and key 0; NULL: there is none */
    sight                 first, last;
    lanes_int             low, high;
    long                  query; /* of lane 0 */
    key_range             seen;
} query_block;

static inline void query_block_set(query_block *at, ATTENTION_PARAMETERS, long b, long h, long query)
{
    int low[WIDTH], high[WIDTH];
    at->query    = query;
    at->keys     = vectors_of(k, k_view, b, h / (size.heads / size.groups));
    at->additive = bias_of(additive, additive_view, b, h, query, 0);
    side_set(&at->queries, vectors_from(vectors_of(q, q_view, b, h), query), size.queries - query, size);
    for (int lane = 0; lane < WIDTH; lane++) {
        sight sees = sight_of(MASK_ARGUMENTS, (int)b, query + min(lane, at->queries.count - 1), (int)size.keys);
        if (lane == 0) at->first = sees;
        at->last   = sees;
        low[lane]  = sees.low;
        high[lane] = sees.high;
    }
    at->low  = lanes_int_from(low);
    at->high = lanes_int_from(high);
    at->seen = keys_seen(at->first, at->last, TILE);
}

/* Scores of the keys [key, key + TILE), -inf where masked. */
static inline void query_block_score(lanes *scores, query_block *at, view additive_view, int key, sizes size)
{
    int end = min(key + TILE, (int)size.keys);
    score(scores, &at->queries, vectors_from(at->keys, key), end - key, size);
    for (int n = 0; at->additive && n < end - key; n++)
        scores[n] = add_bias(scores[n], at->additive + (key + n) * additive_view.stride[3], additive_view.stride[2],
                             at->queries.count);
    if (all_seen(at->first, at->last, key, key + TILE)) return;
    for (int n = 0; n < TILE; n++) {
        int  j    = key + n;
        bool real = j >= at->first.begin && j < at->first.end;
        if (real && j < at->first.prefix) continue;
        for (int s = 0; s < HALVES; s++) {
            int16 seen        = (j >= at->low.part[s]) & (j < at->high.part[s]) & (int16)(real ? -1 : 0);
            scores[n].part[s] = select((float16)(-INFINITY), scores[n].part[s], seen);
        }
    }
}

/* --- Output and row statistics --- */

enum { PICKED = RECORD - PREVIOUS }; /* keys whose probability is a statistic */

/* Rows on their way through the keys. `weighted` is the sum of exp(s - largest) * (s - largest). */
typedef struct {
    lanes     largest, sum, weighted;
    lanes_int best;
    float     picked[PICKED][WIDTH]; /* scores, -inf until their key has come */
} running;

/* Looks for a new largest score among those of a tile, whose largest together with what came before is `largest`. */
static inline void find_best(running *rows, const lanes *scores, lanes largest, int key)
{
#pragma unroll
    for (int s = 0; s < HALVES; s++) {
        int16 grows = largest.part[s] > rows->largest.part[s], found = (int16)(0);
        if (!any(grows)) continue;
        for (int n = TILE - 1; n >= 0; n--)
            found = select(found, (int16)(key + n), scores[n].part[s] == largest.part[s]);
        rows->best.part[s] = select(rows->best.part[s], found, grows);
    }
}

/* `at` is the key wanted of each kind; those of PREVIOUS and SELF move on with the lanes. */
static inline void pick(running *rows, const lanes *scores, int key, const long *at)
{
    const float *score = (const float *)scores;
    for (int kind = 0; kind < PICKED; kind++) {
        int moves = kind < FIRST - PREVIOUS;
        if (at[kind] + moves * (WIDTH - 1) < key || at[kind] >= key + TILE) continue;
        for (int lane = 0; lane < WIDTH; lane++) {
            long n = at[kind] + moves * lane - key;
            if (n >= 0 && n < TILE) rows->picked[kind][lane] = score[n * WIDTH + lane];
        }
    }
}

/* Scores become exponentials; *shrink is what all sums so far are to be multiplied with. */
static inline void advance(running *rows, lanes *scores, const lanes *largest, lanes *shrink)
{
#pragma unroll
    for (int s = 0; s < HALVES; s++) {
        /* Rows of nothing but -inf (or NaN, which must reach the sums) have no maximum to subtract. */
        float16 centre   = select(largest->part[s], (float16)(0), largest->part[s] == -INFINITY), bounded;
        float16 factor   = exp_negative16(rows->largest.part[s] - centre, &bounded);
        float16 weighted = (rows->weighted.part[s] + rows->sum.part[s] * bounded) * factor;
        float16 sum      = rows->sum.part[s] * factor;
        for (int n = 0; n < TILE; n++) {
            float16 e         = exp_negative16(scores[n].part[s] - centre, &bounded);
            weighted          = weighted + e * bounded;
            sum               = sum + e;
            scores[n].part[s] = e;
        }
        rows->largest.part[s]  = largest->part[s];
        rows->sum.part[s]      = sum;
        rows->weighted.part[s] = weighted;
        shrink->part[s]        = factor;
    }
}

/* mixed[c] = mixed[c] * shrink + the sum over `count` keys of e times their values c, SIDE values at a time. */
static inline void mix(lanes *mixed, const lanes *e, lanes shrink, vectors values, int count, int length)
{
    int c = 0;
    for (; c + SIDE <= length; c += SIDE) {
        lanes sum[SIDE];
#pragma unroll
        for (int i = 0; i < SIDE; i++)
#pragma unroll
            for (int s = 0; s < HALVES; s++) sum[i].part[s] = mixed[c + i].part[s] * shrink.part[s];
        for (int n = 0; n < count; n++) {
            __global const float *x = values.base + n * values.stride + c;
            lanes                 p = e[n];
#pragma unroll
            for (int i = 0; i < SIDE; i++)
#pragma unroll
                for (int s = 0; s < HALVES; s++) sum[i].part[s] = sum[i].part[s] + p.part[s] * x[i];
        }
#pragma unroll
        for (int i = 0; i < SIDE; i++) mixed[c + i] = sum[i];
    }
    for (; c < length; c++)
        for (int s = 0; s < HALVES; s++) {
            float16 sum = mixed[c].part[s] * shrink.part[s];
            for (int n = 0; n < count; n++) sum = sum + e[n].part[s] * values.base[n * values.stride + c];
            mixed[c].part[s] = sum;
        }
}

static inline void store_out(__global float *out, long stride, const lanes *mixed, lanes factor, int count, int length)
{
    for (int s = 0; s < HALVES; s++) {
        float16 square[16];
        int     c = 0, rows = min(count - 16 * s, 16);
        for (; c + 16 <= length; c += 16) {
#pragma unroll
            for (int i = 0; i < 16; i++) square[i] = mixed[c + i].part[s] * factor.part[s];
            transpose(square);
            for (int i = 0; i < rows; i++) vstore16(square[i], 0, out + (16 * s + i) * stride + c);
        }
        for (; c < length; c++) {
            float value[16];
            vstore16(mixed[c].part[s] * factor.part[s], 0, value);
            for (int i = 0; i < rows; i++) out[(16 * s + i) * stride + c] = value[i];
        }
    }
}

/* `count` rows that are done: their softmax, their records where `records` is set, and what makes probabilities of
 * their exponentials. */
static inline void finish(const running *rows, int count, __global float *softmaxes, __global float *records,
                          lanes *factor)
{
    lanes shown[RECORD], centre;
    float value[RECORD][WIDTH], centres[WIDTH], factors[WIDTH];
    for (int s = 0; s < HALVES; s++) {
        int16   empty     = rows->sum.part[s] == 0; /* of the largest score, exp is 1 */
        float16 logarithm = select(log(rows->sum.part[s]), (float16)(0), empty);
        centre.part[s]    = select(rows->largest.part[s], (float16)(0), rows->largest.part[s] == -INFINITY);
        factor->part[s]   = select(1 / rows->sum.part[s], (float16)(0), empty);

        shown[LSE].part[s]     = select(centre.part[s] + logarithm, (float16)(-INFINITY), empty);
        shown[ENTROPY].part[s] = select(logarithm - rows->weighted.part[s] * factor->part[s], (float16)(0), empty);
        shown[MAX].part[s]     = factor->part[s];
        shown[ARGMAX].part[s]  = as_float16(rows->best.part[s]);
    }
    for (int kind = 0; kind < PICKED; kind++)
        shown[PREVIOUS + kind] = probability(lanes_from(rows->picked[kind]), centre, *factor);
    for (int field = 0; field < RECORD; field++) lanes_to(value[field], shown[field]);
    lanes_to(centres, centre);
    lanes_to(factors, *factor);
    for (int lane = 0; lane < count; lane++) {
        softmaxes[2 * lane]     = centres[lane];
        softmaxes[2 * lane + 1] = factors[lane];
        for (int field = 0; records && field < RECORD; field++) records[lane * RECORD + field] = value[field][lane];
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void attention(ATTENTION_PARAMETERS, TENSOR(v),
                                                                       OUTPUT(float, out), int wants_rows, long key)
{
    long  h = (long)get_group_id(1), b = (long)get_group_id(2) % size.batches;
    long  query = last_block_first(size), value = (long)get_group_id(2) / size.batches * STRETCH;
    long  row = row_number(size, b, h, query), position = masked.query_offset + query;
    long  at[PICKED] = {position - 1, position, first_key(key_begin, key_begin_view, (int)b), key};
    int   length     = (int)min(size.value_size - value, (long)STRETCH);
    lanes scores[TILE], mixed[STRETCH], shrink, factor;

    query_block block;
    query_block_set(&block, ATTENTION_ARGUMENTS, b, h, query);
    int     count  = block.queries.count;
    vectors values = vectors_of(v, v_view, b, h / (size.heads / size.groups));
    values.base += value;
    running rows = {lanes_of(-INFINITY), lanes_of(0), lanes_of(0), {{(int16)(-1), (int16)(-1)}}};
    for (int kind = 0; kind < PICKED; kind++) lanes_to(rows.picked[kind], lanes_of(-INFINITY));
    for (int c = 0; c < length; c++) mixed[c] = lanes_of(0);

    for (int j = tile_from(block.seen, block.seen.begin); j < block.seen.end; j = tile_from(block.seen, j + TILE)) {
        query_block_score(scores, &block, additive_view, j, size);
        lanes largest = rows.largest;
        for (int n = 0; n < TILE; n++)
#pragma unroll
            for (int s = 0; s < HALVES; s++)
                largest.part[s] = select(largest.part[s], scores[n].part[s], scores[n].part[s] > largest.part[s]);
        if (wants_rows) {
            find_best(&rows, scores, largest, j);
            pick(&rows, scores, j, at);
        }
        advance(&rows, scores, &largest, &shrink);
        mix(mixed, scores, shrink, vectors_from(values, j), (int)min(size.keys - j, (long)TILE), length);
    }

    /* Of the items that have the same queries' other values, one tells. */
    finish(&rows, value == 0 ? count : 0, softmax_of(size, scratch, scratch_at, row),
           wants_rows ? scratch + scratch_at + row * RECORD : NULL, &factor);
    store_out(out + out_view.offset + b * out_view.stride[0] + query * out_view.stride[1] + h * out_view.stride[2] +
                  value,
              out_view.stride[1], mixed, factor, count, length);
}
