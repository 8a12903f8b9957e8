/* The captures of attention. Each computes the scores again, and the probabilities with the rows' softmaxes as the
 * kernel for the output left them; sums go through queries or keys in their order.
 *
 *     received     column sums; blocks of 64 keys, over heads x sequences
 *     distances    diagonal sums, in parts, each of every `parts`-th block of 64 queries, over heads x sequences
 *     tile         probabilities and scores of a tile; blocks of 64 keys x 64 queries, over selected heads x sequences
 *     top          largest keys; blocks of 64 queries, over heads x sequences
 *
 * A struct S says where scores come from: S::L is their layout (attention.cuh), of 64 queries and 128 threads;
 * S::fetch(..) gets what a tile takes into a stage of shared memory, and S::get(..) makes scores of it, while
 * `fetch_next` gets what comes after. The first ATTENTION_PIECE_BYTES of shared memory are not theirs.
 *
 * Error: sums of Q terms; what scores and exponentials have. */
#ifndef SCRY_CUDA_ATTENTION_CAPTURE_CUH
#define SCRY_CUDA_ATTENTION_CAPTURE_CUH

#include "attention.cuh"

/* Scores become probabilities. */
template <class L>
DEVICE void to_probabilities(float (&scores)[L::ROWS][L::COLUMNS], const struct cuda_attention &p,
                             const struct query_block &at, int64_t row)
{
    const float2 *softmaxes = reinterpret_cast<const float2 *>(p.softmaxes) + row;
#pragma unroll
    for (int i = 0; i < L::ROWS; i++) {
        float2 softmax = softmaxes[min(L::query_at(i), at.count - 1)];
#pragma unroll
        for (int j = 0; j < L::COLUMNS; j++) scores[i][j] = probability_of<L>(scores[i][j], softmax.x, softmax.y);
    }
}

/* --- Column sums --- */

template <class S> DEVICE void capture_received(const struct cuda_attention_received &p, int64_t number)
{
    typedef typename S::L L;
    BLOCK_MEMORY(float, memory);
    const struct cuda_attention &of  = p.of;
    struct place                 at  = place_of(number, blocks_of(of.keys, TILE), of.heads);
    int                          key = (int)(at.block * TILE), id = (int)threadIdx.x;
    int64_t                      here = min(of.keys - key, (int64_t)TILE);
    struct query_range seen = queries_seeing(of.mask, sight_of(of.mask, at.b, (int)of.keys), of.queries, key, here);

    float              scores[L::ROWS][L::COLUMNS], sums[L::COLUMNS] = {};
    int                stage = 0;
    int64_t            query = seen.begin / TILE * TILE;
    struct query_block block = {};
    if (query < seen.end) {
        block = query_block_of(of, at.b, at.h, query, TILE, of.queries);
        S::fetch(memory, stage, of, block, key);
    }
    copy_async_commit();
    for (; query < seen.end; query += TILE) {
        struct query_block next = block;
        if (query + TILE < seen.end) next = query_block_of(of, at.b, at.h, query + TILE, TILE, of.queries);
        S::get(scores, memory, stage, of, block, key, [&](int to) {
            if (query + TILE < seen.end) S::fetch(memory, to, of, next, key);
        });
        to_probabilities<L>(scores, of, block, row_number(of, at.b, at.h, query));
#pragma unroll
        for (int i = 0; i < L::ROWS; i++)
#pragma unroll
            for (int j = 0; j < L::COLUMNS; j++) sums[j] = sums[j] + scores[i][j];
        block = next;
    }
    copy_async_wait<0>();

    /* What the groups of lanes have that share the keys. */
#pragma unroll
    for (int j = 0; j < L::COLUMNS; j++) memory[id / L::ACROSS * TILE + L::key_at(j)] = sums[j];
    __syncthreads();
    if (id >= here) return;
    float sum = 0;
    for (int group = 0; group < ATTENTION_THREADS / L::ACROSS; group++) sum = sum + memory[group * TILE + id];
    static_cast<float *>(p.received.data)[row_index(p.received, at.b, at.h, key + id)] = sum;
}

/* --- Diagonal sums --- */

/* The tile's probabilities where query - key = line - (TILE - 1); of its 2 * TILE - 1 diagonals. */
DEVICE float diagonal_sum(const float *tile, int line)
{
    float sum = 0;
    for (int i = max(0, line - (TILE - 1)); i < min(TILE, line + 1); i++)
        sum = sum + tile[i * PITCH + i - line + TILE - 1];
    return sum;
}

template <class S> DEVICE void capture_distances(const struct cuda_attention_distances &p, int64_t number)
{
    typedef typename S::L L;
    BLOCK_MEMORY(float, memory);
    const struct cuda_attention &of = p.of;
    struct place                 at = place_of(number, p.parts, of.heads);
    int                          id = (int)threadIdx.x, stage = 0;
    float                       *sums = p.sums + number * p.count, scores[L::ROWS][L::COLUMNS];

    for (int64_t n = id; n < p.count; n += ATTENTION_THREADS) sums[n] = 0;
    for (int64_t query = at.block * TILE; query < of.queries; query += p.parts * TILE) {
        int64_t            position = of.mask.query_offset + query;
        struct query_block block    = query_block_of(of, at.b, at.h, query, TILE, of.queries);
        struct key_range   seen     = keys_seen(block.first, block.last, TILE);
        near_only(seen, position, p.count, TILE);
        int key = tile_from(seen, seen.begin);
        __syncthreads();
        if (key < seen.end) S::fetch(memory, stage, of, block, key);
        copy_async_commit();
        for (int next; key < seen.end; key = next) {
            next = tile_from(seen, key + TILE);
            S::get(scores, memory, stage, of, block, key, [&](int to) {
                if (next < seen.end) S::fetch(memory, to, of, block, next);
            });
            to_probabilities<L>(scores, of, block, row_number(of, at.b, at.h, query));
            put_tile<L>(memory, scores);
            __syncthreads();
            int64_t n = position - key + id - (TILE - 1);
            if (id < 2 * TILE - 1 && n >= 0 && n < p.count) sums[n] = sums[n] + diagonal_sum(memory, id);
        }
    }
}

/* --- Tiles --- */

/* Head number `slot` of those whose bit is set; of all where none is. */
DEVICE int64_t head_of(const uint64_t (&selected)[4], int64_t slot)
{
    if (!(selected[0] | selected[1] | selected[2] | selected[3])) return slot;
    for (int64_t head = 0;; head++)
        if (selected[head / 64] >> head % 64 & 1 && slot-- == 0) return head;
}

/* The thread's part of a tile, as far as that goes. */
template <class L>
DEVICE void put_part(const struct cuda_view &to, const float (&values)[L::ROWS][L::COLUMNS], const struct place &at,
                     int64_t query, int64_t key, int64_t down, int64_t across)
{
    if (!to.data) return;
    float *out = static_cast<float *>(to.data) + row_index(to, at.b, at.h, query) + key * to.stride[3];
#pragma unroll
    for (int i = 0; i < L::ROWS; i++)
#pragma unroll
        for (int j = 0; j < L::COLUMNS; j++)
            if (L::query_at(i) < down && L::key_at(j) < across)
                out[L::query_at(i) * to.stride[2] + L::key_at(j) * to.stride[3]] = values[i][j];
}

template <class S> DEVICE void capture_tile(const struct cuda_attention_tile &p, int64_t number)
{
    typedef typename S::L L;
    BLOCK_MEMORY(float, memory);
    const struct cuda_attention &of = p.of;
    struct place                 at = place_of(number, blocks_of(p.keys, TILE) * blocks_of(p.queries, TILE), p.slots);
    int64_t key = at.block % blocks_of(p.keys, TILE) * TILE, query = at.block / blocks_of(p.keys, TILE) * TILE;
    int64_t h = head_of(p.selected, at.h), i = p.query_begin + query;
    int     first = (int)(p.key_begin + key), stage = 0;
    float   values[L::ROWS][L::COLUMNS];

    struct query_block block = query_block_of(of, at.b, h, i, TILE, p.query_begin + p.queries);
    struct query_range seen  = queries_seeing(of.mask, sight_of(of.mask, at.b, (int)of.keys), of.queries, first,
                                              min(of.keys - first, (int64_t)TILE));
    if (i < seen.end && i + block.count > seen.begin) {
        S::fetch(memory, stage, of, block, first);
        copy_async_commit();
        S::get(values, memory, stage, of, block, first, [](int) {});
        copy_async_wait<0>();
    } else {
        clear_scores<L>(values, -INFINITY);
    }
    put_part<L>(p.scores, values, at, query, key, block.count, p.keys - key);
    to_probabilities<L>(values, of, block, row_number(of, at.b, h, i));
    put_part<L>(p.probabilities, values, at, query, key, block.count, p.keys - key);
}

/* --- Largest keys --- */

/* A row's largest scores and their keys, largest first, the lowest key of equals first; in device memory. */
struct ranking {
    float *values;
    int   *keys;
    int    count;
};

/* Puts a score in its place, which is there: all lanes of a warp, each with every 32nd place. What lies behind moves on
 * by one, from the back, so that nothing is lost. */
DEVICE void rank(const struct ranking &list, float score, int key)
{
    for (int base = (list.count - 1) / WARP * WARP; base >= 0; base -= WARP) {
        int   t      = base + (int)threadIdx.x % WARP;
        bool  is_in  = t < list.count;
        float value  = is_in ? list.values[t] : INFINITY;
        int   its    = is_in ? list.keys[t] : 0;
        float before = is_in && t > 0 ? list.values[t - 1] : INFINITY;
        __syncwarp();
        if (value < score) {
            if (t + 1 < list.count) list.values[t + 1] = value, list.keys[t + 1] = its;
            if (before >= score) list.values[t] = score, list.keys[t] = key;
        }
        __syncwarp();
    }
}

/* Ranks the scores of a tile's row that are among the largest so far. */
DEVICE void rank_row(const struct ranking &list, const float *scores, int key)
{
    float least = list.values[list.count - 1];
    for (int base = 0; base < TILE; base += WARP) {
        float    score = scores[base + (int)threadIdx.x % WARP];
        unsigned left  = __ballot_sync(~0u, score > least);
        for (; left; left &= left - 1) {
            int   lane  = __ffs((int)left) - 1;
            float found = __shfl_sync(~0u, score, lane);
            if (!(found > least)) continue;
            rank(list, found, key + base + lane);
            least = list.values[list.count - 1];
        }
    }
}

/* Scores become probabilities. exp, a rounded function, may make neighbours equal or swap them: they are sorted again.
 */
template <class L> DEVICE void finish_ranking(const struct ranking &list, float centre, float factor)
{
    for (int t = 0; t < list.count; t++) {
        int   place = t, key = list.keys[t];
        float p = key < 0 ? 0 : probability_of<L>(list.values[t], centre, factor);
        for (; key >= 0 && place > 0; place--) {
            float before = list.values[place - 1];
            if (!(before < p || (before == p && list.keys[place - 1] > key))) break;
            list.values[place] = before;
            list.keys[place]   = list.keys[place - 1];
        }
        list.values[place] = p;
        list.keys[place]   = key;
    }
}

template <class Type>
DEVICE void put_place(const struct cuda_view &to, const struct place &at, int64_t i, int t, Type value)
{
    if (to.data) static_cast<Type *>(to.data)[row_index(to, at.b, at.h, i) + t * to.stride[3]] = value;
}

template <class S> DEVICE void capture_top(const struct cuda_attention_top &p, int64_t number)
{
    typedef typename S::L L;
    BLOCK_MEMORY(float, memory);
    enum { OWN = TILE / (ATTENTION_THREADS / WARP) }; /* rows of a warp, those whose scores it computes */
    const struct cuda_attention &of    = p.of;
    struct place                 at    = place_of(number, blocks_of(of.queries, TILE), of.heads);
    int64_t                      query = at.block * TILE;
    int                          warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP, stage = 0;
    float                        scores[L::ROWS][L::COLUMNS];
    struct query_block           block = query_block_of(of, at.b, at.h, query, TILE, of.queries);
    struct key_range             seen  = keys_seen(block.first, block.last, TILE);

    auto ranking_of = [&](int row) {
        int64_t        offset = (row_number(of, at.b, at.h, query) + row) * p.count;
        struct ranking list   = {p.values + offset, p.keys + offset, (int)p.count};
        return list;
    };
    int end = min(OWN, block.count - warp * OWN);
    for (int n = 0; n < end; n++) {
        struct ranking list = ranking_of(warp * OWN + n);
        for (int t = lane; t < list.count; t += WARP) list.values[t] = -INFINITY, list.keys[t] = -1;
    }
    int key = tile_from(seen, seen.begin);
    if (key < seen.end) S::fetch(memory, stage, of, block, key);
    copy_async_commit();
    for (int next; key < seen.end; key = next) {
        next = tile_from(seen, key + TILE);
        S::get(scores, memory, stage, of, block, key, [&](int to) {
            if (next < seen.end) S::fetch(memory, to, of, block, next);
        });
        put_tile<L>(memory, scores);
        __syncwarp();
        for (int n = 0; n < end; n++) rank_row(ranking_of(warp * OWN + n), memory + (warp * OWN + n) * PITCH, key);
    }
    __syncwarp();
    if (lane >= end) return;
    int            row     = warp * OWN + lane;
    struct ranking list    = ranking_of(row);
    const float   *softmax = of.softmaxes + 2 * (row_number(of, at.b, at.h, query) + row);
    finish_ranking<L>(list, softmax[0], softmax[1]);
    for (int t = 0; t < list.count; t++) {
        put_place(p.top_probability, at, query + row, t, list.values[t]);
        put_place(p.top_key, at, query + row, t, list.keys[t]);
    }
}

#endif
