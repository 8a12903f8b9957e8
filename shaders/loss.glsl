// loss: cross-entropy or divergence of rows of predictions, and its gradients, by tiles of the logits. What its kernels
// share.
//
// x and teacher f32 [T, d], unembedding [V, d] and bias [V] f32, f16 or bf16 (bias may be absent), target i32 [T]. A
// tile is all rows by `width` entries of the vocabulary from `first` on, f32 [T, width] in scratch, that of x and,
// apart, the teacher's; `unembedding`, `bias` and their gradients begin with the tile's first entry.
//
//     loss_logits       the tile's logits
//     loss_fold         into the state of each row, one sweep over all tiles
//     loss_rows         with the states whole: the losses
//     loss_slopes       a second sweep turns logits into their gradients,
//     loss_d_x          of which d_x and
//     loss_d_entries    d_unembedding and d_bias are sums
//
// Errors: a logit gamma(d + 4) of its terms; lse gamma(V + 8) and those of its logits; the gradient of a logit those of
// its probabilities, times factor and slope; sums over entries gamma(V + 4), over rows gamma(T + 4).

layout(constant_id = 2) const bool TAUGHT = false; // there is a teacher, else targets

// backends/vulkan/loss.c has the same.
struct loss_tile {
    uint  tokens, size, vocabulary, first, width;
    float scale, softcap, factor;
};

// A row's state: largest logit and sum of exp(logit - max) of x, the same of the teacher, the sum of exp(r - max r)
// (r - logit), r the teacher's logits; the target's logit.
const uint MAX = 0, SUM = 1, TAUGHT_MAX = 2, TAUGHT_SUM = 3, DIVERGENCE = 4, TARGET = 5, STATE = 6;

// What the sums of exponentials are measured from: `largest`, but 0 where all that was seen is -inf.
float base_of(float largest)
{
    return largest == -INFINITE ? 0.0 : largest;
}

// What a kernel that knows the targets has: the first of its views and of its bindings behind the parameters.
#define TARGET_BINDING layout(std430, set = 0, binding = 1) readonly buffer target_block { int target[]; };

// The entry that row t aims at; negative ids are large numbers.
#define TARGET_OF(t) uint(target[p.target_view.offset + (t)*p.target_view.stride[0]])

// A row does not count, and has no gradient whatever it holds, where its target is outside the vocabulary.
#define COUNTS(t) (TAUGHT || TARGET_OF(t) < p.tile.vocabulary)
