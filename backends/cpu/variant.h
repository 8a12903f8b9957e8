/* One variant of the kernels: included once by each variant_NAME.c, which defines LANES (floats in a vector register),
 * VARIANT (the table) and VARIANT_NAME. */
#include "kernels.h"

#include "variant_gemm.h"
#include "variant_lens.h"
#include "variant_row.h"
#include "variant_training.h"

const struct scry__cpu_kernels VARIANT = {
    .name               = VARIANT_NAME,
    .lanes              = LANES,
    .tile_rows          = TILE_ROWS,
    .tile_columns       = TILE_COLUMNS,
    .pack               = pack,
    .multiply           = multiply,
    .multiply_half      = multiply_half,
    .pack_turned        = pack_turned,
    .multiply_turned    = multiply_turned,
    .finish             = finish,
    .multiply_row       = multiply_row,
    .widen              = widen,
    .narrow             = narrow,
    .score_row          = score_row,
    .max_row            = max_row,
    .exponentiate_row   = exponentiate_row,
    .add_columns        = add_columns,
    .scale              = scale,
    .add                = add,
    .accumulate         = accumulate,
    .find               = find,
    .activate           = activate,
    .moment             = moment,
    .normalise          = normalise,
    .lens_logits        = lens_logits,
    .lens_sums          = lens_sums,
    .lens_divergence    = lens_divergence,
    .lens_rank          = lens_rank,
    .lens_candidates    = lens_candidates,
    .lens_dot           = lens_dot,
    .activate_backward  = activate_backward,
    .dot                = dot,
    .add_rows           = add_rows,
    .normalise_sums     = normalise_sums,
    .normalise_backward = normalise_backward,
    .adamw              = adamw,
    .sgd                = sgd,
    .attention_backward = attention_backward,
    .sum_exponentials   = sum_exponentials,
    .diverge            = diverge,
    .loss_gradient      = loss_gradient,
};
