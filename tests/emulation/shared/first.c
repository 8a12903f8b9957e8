/* Linked in front of the kernels: where their __shared__ variables begin. See crew.c. */
__thread unsigned char scry__shared_first[16];
