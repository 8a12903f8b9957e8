/* Self-tests of the ways of computing that a driver may get wrong, on numbers whose results are exact. */
#ifndef SCRY_VK_PROVE_H
#define SCRY_VK_PROVE_H

#include "vk.h"

struct scry__vk_finding {
    char text[96]; /* what is wrong; "" where everything is right */
};

/* Each runs a kernel on the open device. A status is trouble that says nothing of the path, such as lost memory. */
scry_status scry__vk_prove_subgroups(struct scry__vk *vk, struct scry__vk_finding *finding);
scry_status scry__vk_prove_float16(struct scry__vk *vk, struct scry__vk_finding *finding);

#endif
