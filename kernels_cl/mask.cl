/* What softmax.cl, attention.cl and rows.cl share: masks, exponentials, and the records of rows. In front of them in
 * their programs. Host side: backends/opencl/mask.c. */

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

/* The key whose probability is the row statistic `first`; it may lie past the keys. */
static inline long first_key(__global const int *key_begin, view key_begin_view, int batch)
{
    return key_begin ? max(key_begin[key_begin_view.offset + batch * key_begin_view.stride[0]], 0) : 0;
}

/* --- Rows of scores --- */

/* The floats of a row's record, which rows.cl spreads to the statistics' tensors. */
enum { LSE, ENTROPY, MAX, ARGMAX, PREVIOUS, SELF, FIRST, KEY_MASS, RECORD };

/* exp(x) for x <= 0, -inf or NaN, and in *bounded x itself, at least -88.03: for products with the result, which are
 * NaN for 0 and an infinite x.
 *
 * x = n ln 2 + r with ln 2 in two parts, the first of so few bits that n times it is exact; exp(r) is a minimax
 * polynomial on |r| <= ln 2 / 2, its relative error 0.05 * 2^-24. With the roundings of its last two steps and of r the
 * result is within 2 ulp down to 2^-126. From 2^-126.5 on it is 0, since 2^-127 put together from its bits is 0: so
 * exp(-inf) = 0; exp(0) = 1 exactly. Unlike the built-in function it is the same on every device that rounds products
 * alike, and of adds and multiplies only. */
#define EXP_NEGATIVE(name, floats, as_floats, as_bits)                                                                 \
    static inline floats name(floats x, floats *bounded)                                                               \
    {                                                                                                                  \
        *bounded       = select(x, (floats)(-0x1.602p6f), x < -0x1.602p6f);                                            \
        floats shifted = *bounded * 0x1.715476p0f + 0x1.8p23f, n = shifted - 0x1.8p23f;                                \
        floats r = *bounded - n * 0x1.63p-1f;                                                                          \
        r        = r + n * 0x1.bd0106p-13f;                                                                            \
        floats p = (floats)(0x1.6a234ep-10f);                                                                          \
        p        = p * r + 0x1.123a6cp-7f;                                                                             \
        p        = p * r + 0x1.5558f4p-5f;                                                                             \
        p        = p * r + 0x1.55549p-3f;                                                                              \
        p        = p * r + 0x1.fffffcp-2f;                                                                             \
        p        = (p * (r * r) + r) + 1.0f;                                                                           \
        return p * as_floats((as_bits(shifted) << 23) + 0x3f800000u);                                                  \
    }
EXP_NEGATIVE(exp_negative, float, as_float, as_uint)
EXP_NEGATIVE(exp_negative16, float16, as_float16, as_uint16)
