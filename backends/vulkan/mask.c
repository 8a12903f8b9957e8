/* What softmax_capture and attention share on the host: masks as kernel parameters, and the row statistics. */
#include "vk.h"

enum { GROUP = 64 };

void scry__vk_check_rows(const struct scry__vk *vk, scry_op_info *info, int64_t queries, int64_t keys)
{
    if (most(queries, keys) > SCRY__VK_MOST_ROWS)
        scry__op_refuse(info, "it has %lld queries and %lld keys: expected at most %d of each", (long long)queries,
                        (long long)keys, SCRY__VK_MOST_ROWS);
    else
        scry__vk_check_scratch(vk, info);
}

void scry__vk_check_scratch(const struct scry__vk *vk, scry_op_info *info)
{
    if (info->scratch_bytes > vk->limits.most_bound)
        scry__op_refuse(info, "it takes %zu bytes of scratch, where the device binds %zu at once", info->scratch_bytes,
                        vk->limits.most_bound);
}

void scry__vk_check_turns(const struct scry__vk *vk, scry_op_info *info, int64_t turns)
{
    if (vk->limits.is_cpu && turns > SCRY__VK_TURNS)
        scry__op_refuse(info, "its loops turn %lld times on a device of CPU type, whose driver may end them after %d",
                        (long long)turns, SCRY__VK_TURNS);
}

void scry__vk_mask(struct scry__vk_call *call, const scry_mask *mask, int64_t queries, int64_t keys, int64_t distances)
{
    /* `mask` of shaders/mask.glsl. Where queries lie behind all keys and distances, or before all keys, how far does
     * not matter any more. */
    int64_t lowest = -queries - 1, position = mask->query_offset, tail = lowest;
    if (mask->window > 0 && position > INT64_MIN + mask->window) tail = position - mask->window + 1;
    const int32_t masked[] = {
        mask->causal,
        (int32_t)most(0, least(mask->prefix, keys)),
        (int32_t)most(lowest, least(position, keys + distances + 1)),
        (int32_t)most(lowest, least(tail, keys)),
    };
    scry__vk_bytes(call, masked, sizeof masked);
    scry__vk_tensor(call, &mask->key_begin, SCRY__VK_READ);
    scry__vk_tensor(call, &mask->key_end, SCRY__VK_READ);
    scry__vk_tensor(call, &mask->additive, SCRY__VK_READ);
}

int32_t scry__vk_key(const scry_row_statistics *rows, int64_t keys)
{
    return rows->key >= 0 && rows->key < keys ? (int32_t)rows->key : -1;
}

size_t scry__vk_record_bytes(int64_t rows)
{
    return (size_t)round_up(rows * SCRY__VK_RECORD * (int64_t)sizeof(float), SCRY__VK_UNIT);
}

scry_status scry__vk_rows(struct scry__vk *vk, const scry_row_statistics *rows, const int64_t shape[3])
{
    const scry_tensor *const wanted[] = {&rows->lse,      &rows->entropy, &rows->max,   &rows->argmax,
                                         &rows->previous, &rows->self,    &rows->first, &rows->key_mass};
    const int64_t            count    = shape[0] * shape[1] * shape[2];
    struct scry__vk_call     call     = scry__vk_call(vk, "rows", GROUP);
    scry__vk_int(&call, count);
    scry__vk_int(&call, shape[1]);
    scry__vk_int(&call, shape[2]);
    scry__vk_scratch(&call, 0, scry__vk_record_bytes(count), SCRY__VK_READ);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) scry__vk_tensor(&call, wanted[i], SCRY__VK_WRITE);
    return scry__vk_launch(&call, units_of(count, GROUP), 2. * (double)count * SCRY__VK_RECORD);
}
