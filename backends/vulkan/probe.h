/* From a physical device to its limits, and to a VkDevice with what of it is used: device.c's view of probe.c. */
#ifndef SCRY_VK_PROBE_H
#define SCRY_VK_PROBE_H

#include "vk.h"

/* Fails only where memory runs out; what a device lacks is in out->lacks. */
scry_status scry__vk_probe(struct scry__vk_limits *out, VkPhysicalDevice physical);

/* Fills out->matrix_shape, where the device has cooperative matrices (cooperative.c). */
scry_status scry__vk_probe_matrices(struct scry__vk_limits *out, VkInstance instance, VkPhysicalDevice physical);

/* With one queue, and every feature and extension on that `limits` says is there. */
scry_status scry__vk_device_create(VkDevice *out, VkPhysicalDevice physical, const struct scry__vk_limits *limits);

/* The backend's slot (properties.c). */
int scry__vk_properties(const scry_device *device, scry_device_property *out, int capacity);

#endif
