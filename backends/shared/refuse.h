/* What plugins say no with in query. */
#ifndef SCRY_SHARED_REFUSE_H
#define SCRY_SHARED_REFUSE_H

#include "scry/device.h"

/* The op is not supported, for a reason in printf's words. */
void scry__op_refuse(scry_op_info *info, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Refuses an op whose scratch, which lies in one allocation, exceeds what the device gives at once. */
void scry__limit_scratch(scry_op_info *info, size_t most_allocated);

#endif
