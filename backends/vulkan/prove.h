/* Self-tests of the ways of computing that a driver may get wrong, on numbers whose results are exact. */
#ifndef SCRY_VK_PROVE_H
#define SCRY_VK_PROVE_H

#include "vk.h"

struct scry__vk_finding {
    char text[96]; /* what is wrong; "" where everything is right */
};

/* Says what was found wrong. */
void scry__vk_find(struct scry__vk_finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a launch's `status` means for the path: where the driver does not take the kernel, that is the finding. */
scry_status scry__vk_find_refused(struct scry__vk_finding *finding, scry_status status);

/* Each runs a kernel on the open device. A status is trouble that says nothing of the path, such as lost memory. */
scry_status scry__vk_prove_subgroups(struct scry__vk *vk, struct scry__vk_finding *finding);
scry_status scry__vk_prove_float16(struct scry__vk *vk, struct scry__vk_finding *finding);
scry_status scry__vk_prove_cooperative(struct scry__vk *vk, struct scry__vk_finding *finding);

/* The products of matmul's kernel of that name, whose path is open for it (prove_matmul.c). */
scry_status scry__vk_prove_matmul(struct scry__vk *vk, const char *kernel, struct scry__vk_finding *finding);

#endif
