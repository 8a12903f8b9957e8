/* The elements, of 2 or 4 bytes, of a tensor that lies across two parts of its buffer: from where it was staged to
 * where it belongs. See backends/opencl/stage.c.
 *
 * staged of the shape that is walked, its first element at 0. The element that lies `e` behind it goes to low[low_at +
 * e] where e < split, else to high[e - split]. Launch: one dimension of items, each with `each` runs of LANES elements
 * of a row. Moves bits: exact. */
#define SCATTER(name, element)                                                                                         \
    __kernel void name(__global const element *staged, view staged_view, __global element *low,                        \
                       __global element *high, long low_at, long split, runs all)                                      \
    {                                                                                                                  \
        for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {                                                \
            const long begin = run_index(&r, &staged_view);                                                            \
            for (int i = 0; i < r.count; i++) {                                                                        \
                const long e = begin + i * staged_view.stride[3];                                                      \
                if (e < split)                                                                                         \
                    low[low_at + e] = staged[e];                                                                       \
                else                                                                                                   \
                    high[e - split] = staged[e];                                                                       \
            }                                                                                                          \
        }                                                                                                              \
    }
SCATTER(scatter_2, ushort)
SCATTER(scatter_4, uint)
