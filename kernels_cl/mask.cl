/* What softmax.cl, attention.cl and rows.cl share: masks, and the records of rows. In front of them in their programs.
 * Host side: backends/opencl/mask.c. */

/* What follows scry_mask's tensors, which are passed as parameters of their own:
 *     MASK_PARAMETERS   in the parameter list, for scry__cl_mask on the host. */
typedef struct {
    long causal, window, prefix, query_offset;
} mask;

#define MASK_PARAMETERS                                                                                                \
    mask masked, __global const int *key_begin, view key_begin_view, __global const int *key_end, view key_end_view,   \
        __global const float *additive, view additive_view

#define MASK_ARGUMENTS masked, key_begin, key_begin_view, key_end, key_end_view, additive, additive_view

/* What query i of sequence `batch` sees of keys [0, keys): those of [begin, end), the unpadded ones, that lie below
 * `prefix` or in [low, high). All five lie within [0, keys]. */
typedef struct {
    int begin, end, prefix, low, high;
} sight;

static inline int within(long x, int keys)
{
    return (int)clamp(x, 0l, (long)keys);
}

static inline sight sight_of(MASK_PARAMETERS, int batch, long query, int keys)
{
    long  position = masked.query_offset + query;
    sight sees     = {0, keys, within(masked.prefix, keys), 0, keys};
    if (key_begin) sees.begin = within(key_begin[key_begin_view.offset + batch * key_begin_view.stride[0]], keys);
    if (key_end) sees.end = within(key_end[key_end_view.offset + batch * key_end_view.stride[0]], keys);
    if (masked.window > 0) sees.low = within(position - masked.window + 1, keys);
    if (masked.causal) sees.high = within(position + 1, keys);
    return sees;
}

static inline bool is_seen(sight sees, int key)
{
    return key >= sees.begin && key < sees.end && (key < sees.prefix || (key >= sees.low && key < sees.high));
}

/* The same of 16 keys. */
static inline int16 is_seen16(sight sees, int16 key)
{
    int16 reached = (key < sees.prefix) | ((key >= sees.low) & (key < sees.high));
    return (key >= sees.begin) & (key < sees.end) & reached;
}

/* Does each query that sees from `first` to `last` see all of the keys [begin, end)? */
static inline bool all_seen(sight first, sight last, int begin, int end)
{
    bool reached = end <= first.prefix || (begin >= last.low && end <= first.high);
    return begin >= first.begin && end <= first.end && reached;
}

/* The tiles, of `tile` keys each, that a block of queries sees any key of, from the queries that see `first` and
 * `last`; what queries see moves on with them. They lie in [begin, split), the exempt prefix, and [resume, end); begin
 * and resume are tiles. */
typedef struct {
    int begin, split, resume, end;
} key_range;

static inline key_range keys_seen(sight first, sight last, int tile)
{
    key_range seen;
    seen.begin  = first.begin / tile * tile;
    seen.split  = max(seen.begin, min(first.prefix, first.end));
    seen.resume = max(first.begin, first.low) / tile * tile;
    seen.end    = max(seen.split, min(first.end, last.high));
    return seen;
}

/* The first of these tiles from `key` on; not below `end` where there is none. */
static inline int tile_from(key_range seen, int key)
{
    return key >= seen.split ? max(key, seen.resume) : key;
}

/* The key whose probability is the row statistic `first`; it may lie past the keys. */
static inline long first_key(__global const int *key_begin, view key_begin_view, int batch)
{
    return key_begin ? max(key_begin[key_begin_view.offset + batch * key_begin_view.stride[0]], 0) : 0;
}

/* --- Rows of scores --- */

/* The floats of a row's record, which rows.cl spreads to the statistics' tensors. */
enum { LSE, ENTROPY, MAX, ARGMAX, PREVIOUS, SELF, FIRST, KEY_MASS, RECORD };
