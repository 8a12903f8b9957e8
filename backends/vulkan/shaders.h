/* The kernels' modules: shaders/NAME.comp, compiled to SPIR-V and embedded when scry is built. */
#ifndef SCRY_VK_SHADERS_H
#define SCRY_VK_SHADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scry/status.h"

typedef struct scry__vk_shader {
    const char *text; /* SPIR-V */
    size_t      size;
    uint8_t     sha256[32];
} scry__vk_shader;

/* The SPIR-V of kernel NAME, as words: embedded, or $SCRY_VULKAN_SHADERS/NAME.spv where there is such a file. Release
 * `*words` through the host. */
scry_status scry__vk_shader_find(uint32_t **words, size_t *bytes, const char *name);

/* Whether kernel NAME is embedded: one is not where the compiler did not know what it takes. */
bool scry__vk_shader_is_built(const char *name);

/* A digest of everything that was embedded. */
uint64_t scry__vk_shaders_digest(void);

/* Whether $SCRY_VULKAN_SHADERS may give others. */
bool scry__vk_shaders_replaced(void);

#endif
