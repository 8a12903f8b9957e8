/* Finding a kernel's module. See shaders.h. */
#include "shaders.h"

#include "shared/store.h"
#include "vk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SCRY__VK_SHADER_LIST(X): X(name) for each file; made by the build. */
#include "list.h"

#define DECLARE(name) extern const scry__vk_shader scry__vk_shader_##name;
SCRY__VK_SHADER_LIST(DECLARE)
#undef DECLARE

static const struct {
    const char            *name;
    const scry__vk_shader *shader;
} shaders[] = {
#define ROW(name) {#name, &scry__vk_shader_##name},
    SCRY__VK_SHADER_LIST(ROW)
#undef ROW
};

enum { MOST_BYTES = 1 << 22, MAGIC = 0x07230203, HEADER_BYTES = 20 };

/* What a driver may rely on before it looks at a module: whole words behind SPIR-V's header. */
static bool is_module(const uint32_t *words, size_t bytes)
{
    return bytes >= HEADER_BYTES && bytes % 4 == 0 && words[0] == MAGIC;
}

/* NULL: scry's own shaders only. */
static const char *replacements(void)
{
    const char *directory = secure_getenv("SCRY_VULKAN_SHADERS");
    return directory && *directory ? directory : NULL;
}

bool scry__vk_shaders_replaced(void)
{
    return replacements() != NULL;
}

/* $SCRY_VULKAN_SHADERS/NAME.spv; *words stays NULL where there is no such file. */
static scry_status read_module(uint32_t **words, size_t *bytes, const char *name)
{
    char        path[4096];
    const char *directory = replacements();
    if (!directory) return SCRY_OK;
    scry_status status = SCRY_OUT_OF_MEMORY;
    snprintf(path, sizeof path, "%s/%s.spv", directory, name);
    FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT) return SCRY_OK;
    if (!file) return scry__vk_host->fail(SCRY_IO, "%s: %s", path, strerror(errno));
    *words = scry__vk_host->allocate(MOST_BYTES + 1, 1);
    if (!*words) goto fail;
    status = SCRY_OK;
    *bytes = fread(*words, 1, MOST_BYTES + 1, file);
    if (ferror(file))
        status = scry__vk_host->fail(SCRY_IO, "%s: %s", path, strerror(errno));
    else if (*bytes > MOST_BYTES || !is_module(*words, *bytes))
        status = scry__vk_host->fail(SCRY_BAD_INPUT, "%s: expected SPIR-V, at most %d bytes", path, (int)MOST_BYTES);
    if (status) goto fail;
    fclose(file);
    return SCRY_OK;

fail:
    scry__vk_host->release(*words);
    *words = NULL;
    fclose(file);
    return status;
}

bool scry__vk_shader_is_built(const char *name)
{
    for (size_t i = 0; i < sizeof shaders / sizeof *shaders; i++)
        if (!strcmp(shaders[i].name, name)) return true;
    return false;
}

scry_status scry__vk_shader_find(uint32_t **words, size_t *bytes, const char *name)
{
    *words             = NULL;
    scry_status status = read_module(words, bytes, name);
    if (status || *words) return status;
    for (size_t i = 0; i < sizeof shaders / sizeof *shaders; i++) {
        const scry__vk_shader *shader = shaders[i].shader;
        if (strcmp(shaders[i].name, name)) continue;
        *words = scry__vk_host->allocate(shader->size, 1);
        if (!*words) return SCRY_OUT_OF_MEMORY;
        memcpy(*words, shader->text, shader->size);
        *bytes = shader->size;
        return SCRY_OK;
    }
    return scry__vk_host->fail(SCRY_UNSUPPORTED, "vulkan: there is no kernel \"%s\"", name);
}

uint64_t scry__vk_shaders_digest(void)
{
    uint64_t digest = SCRY__HASH_SEED;
    for (size_t i = 0; i < sizeof shaders / sizeof *shaders; i++)
        digest = scry__hash(digest, shaders[i].shader->sha256, sizeof shaders[i].shader->sha256);
    return digest;
}
