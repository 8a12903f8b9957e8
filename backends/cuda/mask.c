/* Masks and row statistics for kernels. See mask.h. */
#include "mask.h"

struct cuda_mask scry__cuda_mask(struct scry__cuda *cuda, const scry_mask *mask)
{
    return (struct cuda_mask){
        .window       = mask->window,
        .prefix       = mask->prefix,
        .query_offset = mask->query_offset,
        .is_causal    = mask->causal,
        .key_begin    = scry__cuda_view(cuda, &mask->key_begin),
        .key_end      = scry__cuda_view(cuda, &mask->key_end),
        .additive     = scry__cuda_view(cuda, &mask->additive),
    };
}

struct cuda_rows scry__cuda_rows(struct scry__cuda *cuda, const scry_row_statistics *rows)
{
    return (struct cuda_rows){
        .lse      = scry__cuda_view(cuda, &rows->lse),
        .entropy  = scry__cuda_view(cuda, &rows->entropy),
        .max      = scry__cuda_view(cuda, &rows->max),
        .argmax   = scry__cuda_view(cuda, &rows->argmax),
        .previous = scry__cuda_view(cuda, &rows->previous),
        .self     = scry__cuda_view(cuda, &rows->self),
        .first    = scry__cuda_view(cuda, &rows->first),
        .key_mass = scry__cuda_view(cuda, &rows->key_mass),
        .key      = rows->key,
    };
}
