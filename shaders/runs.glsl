// The elements of a shape in row-major order, in runs: four elements of a row, or what the row's end leaves of them. An
// item takes `each` runs, one after another. Host side: backends/vulkan/runs.c.
//
// A kernel's parameters end with `walk all;`. What is computed of one element depends on nothing else, so a result is
// the same whatever the strides and wherever it lies in a row.

#include "fours.glsl"

// There is one row only.
layout(constant_id = 2) const bool FLAT = false;

struct walk {
    uint shape[4];
    uint each, count; // runs of an item, and of all
};

// A run: its first element's indices, how many elements it has, and how many runs its item still has to take, this one
// among them.
struct run {
    uint i0, i1, i2, i3, count, left;
};

// The same for a run of a tensor of the shape that is walked.
#define LOAD_RUN(value, name, x_view, r, dtype)                                                                        \
    LOAD_FOUR(value, name, run_index(r, x_view), x_view.stride[3], r.count, dtype)
#define LOAD_UPDATED_RUN(value, name, x_view, r)                                                                       \
    LOAD_UPDATED(value, name, run_index(r, x_view), x_view.stride[3], r.count)
#define STORE_RUN(name, x_view, r, value) STORE_FOUR(name, run_index(r, x_view), x_view.stride[3], r.count, value)

uint count_of_run(run r, uint row)
{
    return FOURS ? 4u : min(row - r.i3, 4u);
}

// This item's first run; `left` is 0 where it has none.
run first_run(walk all)
{
    run        r     = run(0, 0, 0, 0, 0, 0);
    const uint begin = (group_number() * ITEMS + ITEM) * all.each;
    if (begin >= all.count) return r;
    r.left = min(all.count - begin, all.each);
    if (FLAT) {
        r.i3 = begin * 4;
    } else {
        const uint in_row = (all.shape[3] + 3) / 4, row = begin / in_row, outer = row / all.shape[2];
        r.i3 = (begin - row * in_row) * 4;
        r.i2 = row - outer * all.shape[2];
        r.i0 = outer / all.shape[1];
        r.i1 = outer - r.i0 * all.shape[1];
    }
    r.count = count_of_run(r, all.shape[3]);
    return r;
}

run next_run(run r, walk all)
{
    r.left--;
    r.i3 += 4;
    if (!FLAT && r.i3 >= all.shape[3]) {
        r.i3 = 0;
        if (++r.i2 == all.shape[2]) {
            r.i2 = 0;
            if (++r.i1 == all.shape[1]) {
                r.i1 = 0;
                r.i0++;
            }
        }
    }
    r.count = count_of_run(r, all.shape[3]);
    return r;
}

// Where a run begins in a tensor of the shape.
uint run_index(run r, view x)
{
    const uint across = x.offset + (FOURS ? r.i3 : r.i3 * x.stride[3]);
    return FLAT ? across : across + r.i0 * x.stride[0] + r.i1 * x.stride[1] + r.i2 * x.stride[2];
}
