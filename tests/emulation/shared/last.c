/* Linked behind the kernels: where their __shared__ variables end. See crew.c. */
__thread unsigned char scry__shared_last[16];
