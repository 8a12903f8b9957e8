/* A short check that a device computes what it should. */
#ifndef SCRY_DEVICE_SELFTEST_H
#define SCRY_DEVICE_SELFTEST_H

#include "scry/device.h"

/* Runs every forward op once on a few numbers whose results are known, and each op for training that the device has.
 * SCRY_CHECK_FAILED with op, element, found and expected where one differs; SCRY_UNSUPPORTED where the device lacks a
 * forward op. Takes well under a millisecond on a CPU. */
scry_status scry__self_test(scry_device *device);

#endif
