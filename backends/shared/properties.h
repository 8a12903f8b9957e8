/* A plugin's list of what was probed of a device, as scry_backend.properties fills it. */
#ifndef SCRY_SHARED_PROPERTIES_H
#define SCRY_SHARED_PROPERTIES_H

#include "scry/device.h"

struct scry__properties {
    scry_device_property *out;
    int                   capacity, count;
};

/* Adds one, in printf's words; what goes past the capacity is left out. */
void scry__property_add(struct scry__properties *list, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "yes" or "no". */
const char *scry__yes(bool value);

#endif
