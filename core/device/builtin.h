/* Backends that are linked in, in the registry's order. */
#ifndef SCRY_DEVICE_BUILTIN_H
#define SCRY_DEVICE_BUILTIN_H

#include "scry/backend.h"

scry_backend_entry_function scry_reference_entry;
scry_backend_entry_function scry_cpu_entry;

#endif
