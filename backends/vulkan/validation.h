/* The Khronos validation layer, which sees what drivers let pass: $SCRY_VULKAN_VALIDATION=1 asks for it, with
 * synchronization validation (hazards between commands) and GPU-assisted validation (accesses out of bounds), which
 * instruments each shader; sync leaves the latter out. What it calls an error makes the device's next wait fail. */
#ifndef SCRY_VK_VALIDATION_H
#define SCRY_VK_VALIDATION_H

#include "vk.h"

struct scry__vk_validation; /* what was found, of one instance */

/* vk->validation, where it is asked for; else NULL, with which nothing below does anything. */
scry_status scry__vk_validation_create(struct scry__vk *vk);
void        scry__vk_validation_destroy(struct scry__vk *vk); /* behind the instance */

/* Adds what asks for the layer to an instance's info, whose extensions are `names`, with room for one more. */
void scry__vk_validation_ask(struct scry__vk_validation *validation, VkInstanceCreateInfo *info, const char **names);
/* Takes what vkCreateInstance answered to that: from success on, messages are counted. */
scry_status scry__vk_validation_begin(struct scry__vk_validation *validation, VkInstance instance, VkResult code);
/* Before the instance goes. */
void scry__vk_validation_end(struct scry__vk_validation *validation, VkInstance instance);

/* Whether each access of each shader is instrumented: drivers of CPU type then compile large kernels for minutes. */
bool scry__vk_is_instrumented(const struct scry__vk *vk);

/* The name that messages call a module by. */
void scry__vk_validation_name(struct scry__vk *vk, VkShaderModule module, const char *name);

/* SCRY_CHECK_FAILED, with their number and the first of them, where there were errors since it was asked last. */
scry_status scry__vk_validation_check(struct scry__vk_validation *validation);

#endif
