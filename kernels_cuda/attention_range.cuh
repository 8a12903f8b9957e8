/* Which keys and queries concern a block of attention: nothing else is loaded. */
#ifndef SCRY_CUDA_ATTENTION_RANGE_CUH
#define SCRY_CUDA_ATTENTION_RANGE_CUH

#include "mask.cuh"

/* The tiles that a block of queries sees any key of, from the queries that see `first` and `last`; what queries see
 * moves on with them. They lie in [begin, split), the exempt prefix, and [resume, end); begin and resume are tiles. */
struct key_range {
    int begin, split, resume, end;
};

DEVICE struct key_range keys_seen(const struct sight &first, const struct sight &last, int tile)
{
    struct key_range seen;
    seen.begin  = first.begin / tile * tile;
    seen.split  = max(seen.begin, min(first.prefix, first.end));
    seen.resume = max(first.begin, first.low) / tile * tile;
    seen.end    = max(seen.split, min(first.end, last.high));
    return seen;
}

/* The first of these tiles from `key` on; not below `end` where there is none. */
DEVICE int tile_from(const struct key_range &seen, int key)
{
    return key >= seen.split ? max(key, seen.resume) : key;
}

/* Leaves tiles out that have no key at a distance below `count` from the queries at [position, position + tile). */
DEVICE void near_only(struct key_range &seen, int64_t position, int64_t count, int tile)
{
    int begin = within(position - count + 1, seen.end) / tile * tile;
    seen.end  = within(position + tile, seen.end);
    if (begin >= seen.split) seen.split = seen.begin;
    seen.begin  = max(seen.begin, begin);
    seen.resume = max(seen.resume, begin);
}

/* Does each query that sees from `first` to `last` see all of the keys [begin, end)? */
DEVICE bool all_seen(const struct sight &first, const struct sight &last, int begin, int end)
{
    bool reached = end <= first.prefix || (begin >= last.low && end <= first.high);
    return begin >= first.begin && end <= first.end && reached;
}

/* The queries that see any of `count` keys from `key` on. */
struct query_range {
    int64_t begin, end;
};

DEVICE struct query_range queries_seeing(const struct cuda_mask &mask, const struct sight &sees, int64_t queries,
                                         int64_t key, int64_t count)
{
    struct query_range seen   = {0, queries};
    int64_t            window = mask.window < (int64_t)1 << 62 ? mask.window : (int64_t)1 << 62;
    int64_t            past   = window + key + count - 1; /* a query at it no longer sees the last key */
    if (key >= sees.end || key + count <= sees.begin) seen.end = 0;
    if (key < sees.prefix) return seen;
    if (mask.is_causal && key > mask.query_offset) seen.begin = key - mask.query_offset;
    if (window > 0 && past - mask.query_offset < seen.end) seen.end = past - mask.query_offset;
    return seen;
}

#endif
