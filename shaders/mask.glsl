// What softmax, attention and rows share: masks and the records of rows. Host side: backends/vulkan/mask.c.
//
// A kernel that takes a mask declares MASK_PARAMETERS in its parameter block and MASK_BINDINGS(first) for the bindings
// first, first + 1 and first + 2, in the order of scry__vk_mask on the host.

// What follows scry_mask's tensors. Positions are those of query 0, brought by the host into a range in which they say
// the same of all keys and queries: `position` that of scry_mask.query_offset, `tail` that of the first key of its
// window (so low that it is key 0 where there is no window).
struct mask {
    int causal, prefix, position, tail;
};

#define MASK_PARAMETERS                                                                                                \
    mask masked;                                                                                                       \
    view key_begin_view, key_end_view, additive_view;

#define MASK_BINDINGS(first)                                                                                           \
    layout(std430, set = 0, binding = first) readonly buffer key_begin_block { int key_begin[]; };                     \
    layout(std430, set = 0, binding = first + 1) readonly buffer key_end_block { int key_end[]; };                     \
    layout(std430, set = 0, binding = first + 2) readonly buffer additive_block { float additive[]; };

// What a query sees of keys [0, keys): those of [begin, end), the unpadded ones, that lie below `prefix` or in [low,
// high). All five lie within [0, keys].
struct sight {
    int begin, end, prefix, low, high;
};

int within(int x, int keys)
{
    return clamp(x, 0, keys);
}

// What query i of sequence b sees: a macro, since it reads the mask's tensors.
#define SIGHT_OF(b, i, keys) sight_at(masked, PADDING_BEGIN(b), PADDING_END(b), int(i), int(keys))

#define PADDING_BEGIN(b)                                                                                               \
    (key_begin_view.present != 0u ? key_begin[key_begin_view.offset + (b) * key_begin_view.stride[0]] : 0)
#define PADDING_END(b)                                                                                                 \
    (key_end_view.present != 0u ? key_end[key_end_view.offset + (b) * key_end_view.stride[0]] : 0x7fffffff)

sight sight_at(mask masked, int begin, int end, int i, int keys)
{
    sight sees;
    sees.begin  = within(begin, keys);
    sees.end    = within(end, keys);
    sees.prefix = masked.prefix;
    sees.low    = within(masked.tail + i, keys);
    sees.high   = masked.causal != 0 ? within(masked.position + 1 + i, keys) : keys;
    return sees;
}

bool is_seen(sight sees, int key)
{
    return key >= sees.begin && key < sees.end && (key < sees.prefix || (key >= sees.low && key < sees.high));
}

// A score with the mask's additive part, which masks where it is -inf whatever the score is.
float with_bias(float score, float bias)
{
    return bias == -INFINITE ? -INFINITE : score + bias;
}

// --- Rows ---

// The words of a row's record, which rows.comp spreads to the statistics' tensors: floats as their bits, but ARGMAX.
const uint LSE = 0, ENTROPY = 1, MAX = 2, ARGMAX = 3, PREVIOUS = 4, SELF = 5, FIRST = 6, KEY_MASS = 7, RECORD = 8;

// Keys whose probability is a statistic: PREVIOUS to KEY_MASS.
const uint PICKED = 4;

// A row's softmax is exp(score - centre) * factor. A row of nothing but -inf (or NaN, which must reach the sums) has no
// maximum to subtract; the sum of one without any key is 0.
float centre_of(float largest)
{
    return largest == -INFINITE ? 0.0 : largest;
}

float factor_of(float sum)
{
    return sum == 0.0 ? 0.0 : 1.0 / sum;
}

// 0 where masked, in a row that is NaN too.
float probability_of(float score, float centre, float factor)
{
    const float p = exp_negative(score - centre) * factor;
    return score == -INFINITE ? 0.0 : p;
}

// lse and entropy of a row from its sums of e = exp(score - centre) and of e * (score - centre).
float lse_of(float centre, float sum)
{
    return sum == 0.0 ? -INFINITE : centre + log_positive(sum);
}

float entropy_of(float sum, float weighted)
{
    return sum == 0.0 ? 0.0 : log_positive(sum) - weighted * factor_of(sum);
}
