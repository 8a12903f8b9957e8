/* Tests of buffers in parts of 1 MiB, the least that a device may have: bytes arrive and every op computes the same
 * bits, with nothing beside them disturbed, wherever the parts meet; and host memory is used in place. For the suites
 * of each backend that has parts. */
#ifndef TESTS_PARTS_H
#define TESTS_PARTS_H

/* Opens the device that the tests run on, by device_need; and closes it. */
void parts_use(const char *name);
void parts_close(void);

#define PARTS_LIST(X)                                                                                                  \
    X(bytes_across_parts__are_read_as_they_were_written)                                                               \
    X(more_than_there_is__is_out_of_memory)                                                                            \
    X(wrapped_memory__is_read_where_it_lies)                                                                           \
    X(every_op_across_parts__computes_the_same_bits)                                                                   \
    X(interleaved_outputs_across_parts__leave_each_other_alone)                                                        \
    X(interleaved_halves_across_parts__leave_each_other_alone)                                                         \
    X(op_over_many_parts__is_cut)                                                                                      \
    X(sum_over_many_parts__adds_up_every_row)

#define PARTS_FUNCTION(name) void parts_##name(void);
PARTS_LIST(PARTS_FUNCTION)
#undef PARTS_FUNCTION

#endif
