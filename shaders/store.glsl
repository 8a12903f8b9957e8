// What copy and fill do alike: the elements of out, of 2 or 4 bytes, run by run.
//
// The kernel includes runs.glsl and half.glsl, has parameters `out_view` and `all`, says by OUT_BINDING where out is,
// and defines `uint bits_at(run r, uint i)`: element i of a run as out holds it, of dtype TO.

layout(std430, set = 0, binding = OUT_BINDING) buffer out_block { uint out_[]; };
layout(std430, set = 0, binding = OUT_BINDING) buffer out_fours_block { uvec4 out_fours[]; };

uint pair_at(run r, uint i)
{
    return bits_at(r, i) | bits_at(r, i + 1) << 16;
}

// Where not every four is whole, words that the run has whole are stored so all the same.
void store_uneven(run r, uint to, uint step)
{
    for (uint i = 0; i < r.count; i++, to += step) {
        if (!is_short(TO)) {
            out_[to] = bits_at(r, i);
        } else if (step == 1 && (to & 1u) == 0u && i + 1 < r.count) {
            out_[to >> 1] = pair_at(r, i);
            i++, to++;
        } else {
            STORE_SHORT(out_, to, bits_at(r, i))
        }
    }
}

void main()
{
    for (run r = first_run(all); r.left > 0; r = next_run(r, all)) {
        const uint to = run_index(r, out_view);
        if (!FOURS) {
            store_uneven(r, to, out_view.stride[3]);
        } else if (is_short(TO)) {
            out_[to >> 1]       = pair_at(r, 0);
            out_[(to >> 1) + 1] = pair_at(r, 2);
        } else {
            out_fours[to >> 2] = uvec4(bits_at(r, 0), bits_at(r, 1), bits_at(r, 2), bits_at(r, 3));
        }
    }
}
