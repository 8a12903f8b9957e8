/* Spreads the records of rows, as softmax and attention leave them in scratch, to the row statistics' tensors.
 *
 * records    [B, H, Q, RECORD] f32, in scratch; argmax as the bits of an int
 * outputs    [B, H, Q] each, any strides; a null pointer where it is not wanted
 *
 * Launched over B * H * Q items, one a row. Copies: no error of its own. */

#define WANTED(type, name) __global type *name, view name##_view
#define PUT(name, value)                                                                                               \
    if (name)                                                                                                          \
    name[name##_view.offset + b * name##_view.stride[0] + h * name##_view.stride[1] + i * name##_view.stride[2]] = value

__kernel void rows(long batches, long heads, long queries, __global const float *scratch, long scratch_at,
                   WANTED(float, lse), WANTED(float, entropy), WANTED(float, largest), WANTED(int, argmax),
                   WANTED(float, previous), WANTED(float, self), WANTED(float, first), WANTED(float, key_mass))
{
    long row = (long)get_global_id(0);
    if (row >= batches * heads * queries) return;
    long                  b = row / (heads * queries), h = row / queries % heads, i = row % queries;
    __global const float *record = scratch + scratch_at + row * RECORD;
    PUT(lse, record[LSE]);
    PUT(entropy, record[ENTROPY]);
    PUT(largest, record[MAX]);
    PUT(argmax, as_int(record[ARGMAX]));
    PUT(previous, record[PREVIOUS]);
    PUT(self, record[SELF]);
    PUT(first, record[FIRST]);
    PUT(key_mass, record[KEY_MASS]);
}
